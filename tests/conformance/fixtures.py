"""What exists in the cluster that upstream's end-to-end tests and examples run in, before any of them begins."""

from __future__ import annotations

import base64
from typing import Any

_BUCKET = "bucket: my-bucket\nendpoint: minio:9000\ninsecure: true\n"
_S3 = "s3:\n" + "".join(f"  {line}\n" for line in _BUCKET.splitlines())
ARTIFACT_DRIVERS = ("test",)
POWERLESS_ACCOUNTS = ("github.com",)  # service accounts with which no pod can report what it did
WORKFLOW_DEFAULTS: dict[str, Any] = {
    "spec": {
        "activeDeadlineSeconds": 300,
        "podSpecPatch": "terminationGracePeriodSeconds: 10\n",
        "workflowMetadata": {"labels": {"default-label": "thisLabelIsFromWorkflowDefaults"}},
    }
}


def cluster_documents() -> list[dict[str, Any]]:
    """ConfigMaps and Secrets of the test cluster."""
    return [
        _config_map(
            "artifact-repositories",
            {
                "default-v1": f"archiveLogs: true\n{_S3}",
                "my-key": f"archiveLogs: true\n{_S3}",
                "plugin-v1": "archiveLogs: true\nplugin:\n  name: test\n  configuration: |\n    bucket: plugin-bucket\n",
            },
            {"workflows.argoproj.io/default-artifact-repository": "default-v1"},
        ),
        _config_map("simple-parameters", {"msg": "hello world"}, labels={"workflows.argoproj.io/configmap-type": "Parameter"}),
        _secret("my-minio-cred", {"accesskey": "admin", "secretkey": "password"}),
        _secret("my-secret", {"mypassword": "S00perS3cretPa55word"}),
        _secret(
            "my-httpbin-cred", {"user": "admin", "pass": "password", "clientID": "admin", "clientSecret": "password", "cert": "", "key": ""}
        ),
    ]


def _config_map(
    name: str, data: dict[str, str], annotations: dict[str, str] | None = None, *, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "annotations": annotations or {}, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _secret(name: str, values: dict[str, str]) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
