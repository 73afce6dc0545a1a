"""Everything that is sent to a cluster, against the schema of its API: no field that it would drop or refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of
from flowcore.manifests import load_documents
from flowcore_backends.router import kind_of
from flowcore_backends.sample_pods import samples
from tests.backends.contract import invocation
from tests.backends.kubernetes.scene import container, pod_of
from tests.backends.kubernetes.test_executor import scene
from tests.scenarios.documents import EXAMPLES

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes.capture import PlacedInput
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.pods import PodParts, pod_manifest
from flowcore_backends.kubernetes.testing import ends
from tests.backends.kubernetes.strict_schema import pod_problems, schema_problems

OWNER: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "name": "wf-flowcore", "uid": "u", "controller": True}
PODS = ("container", "script", "containerSet")

SPEC: JsonObject = {
    "podMetadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
    "nodeSelector": {"disk": "ssd"},
    "affinity": {"podAffinity": {}},
    "tolerations": [{"key": "k", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 5}],
    "schedulerName": "default-scheduler",
    "podPriorityClassName": "high",
    "hostAliases": [{"ip": "1.1.1.1", "hostnames": ["one"]}],
    "imagePullSecrets": [{"name": "pull"}],
    "hostNetwork": True,
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["9.9.9.9"], "options": [{"name": "ndots", "value": "2"}]},
    "serviceAccountName": "runner",
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "fsGroup": 5, "seccompProfile": {"type": "RuntimeDefault"}},
    "podResources": {"requests": {"cpu": "1", "memory": "1Gi"}},
    "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpus"}],
    "podGC": {"strategy": "OnPodSuccess"},
}
MAIN = container(
    args=["x"],
    env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    envFrom=[{"configMapRef": {"name": "c"}}],
    ports=[{"containerPort": 80}],
    resources={"requests": {"cpu": "1"}},
    securityContext={"capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True},
    volumeMounts=[{"name": "work", "mountPath": "/srv"}],
    readinessProbe={"httpGet": {"path": "/", "port": 80}},
    lifecycle={"preStop": {"exec": {"command": ["true"]}}},
)
FULL: JsonObject = {
    "container": MAIN,
    "volumes": [{"name": "t", "emptyDir": {}}],
    "initContainers": [{"name": "prep", "image": "i", "command": ["true"], "mirrorVolumeMounts": True}],
    "sidecars": [{"name": "one", "image": "i", "command": ["serve"], "mirrorVolumeMounts": True}, {"name": "two", "image": "nginx"}],
    "activeDeadlineSeconds": "20",
    "retryStrategy": {"limit": 2, "affinity": {"nodeAntiAffinity": {}}},
    "inputs": {"artifacts": [{"name": "a", "path": "/in/a"}, {"name": "b", "path": "/srv/b"}]},
    "outputs": {"artifacts": [{"name": "o", "path": "/out"}]},
    "metadata": {"labels": {"l": "m"}},
    "hostAliases": [{"ip": "2.2.2.2", "hostnames": ["two"]}],
}
GROUP: JsonObject = {
    "containerSet": {
        "volumeMounts": [{"name": "t", "mountPath": "/t"}],
        "retryStrategy": {"retries": 2, "duration": "1s"},
        "containers": [{"name": "a", **container()}, {"name": "main", **container(), "dependencies": ["a"]}],
    },
    "volumes": [{"name": "t", "emptyDir": {}}],
}
SCRIPT: JsonObject = {"script": {"image": "i", "command": ["sh"], "source": "true", "workingDir": "/"}}
PARTS = PodParts(
    owner=OWNER,
    claims={"work": "wf-work"},
    inputs=[PlacedInput("0", "/in/a"), PlacedInput("1", "/srv/b")],
    inline="QUJD",
    avoid_hosts=["n1"],
)
UPLOADED = PodParts(owner=OWNER, claims={"work": "wf-work"}, inputs=PARTS.inputs, upload=True)
ALONE = PodParts(owner=OWNER, claims={"work": "wf-work"}, inputs=PARTS.inputs, tasks="get 0 none 5 -R 755\nput 0 6", secret="wf-work-urls")


@pytest.mark.parametrize("parts", [PARTS, UPLOADED, ALONE], ids=["inline", "uploaded", "on its own"])
@pytest.mark.parametrize("body", [FULL, GROUP, SCRIPT, {"container": {"image": "plain"}}], ids=["full", "set", "script", "plain"])
@pytest.mark.parametrize("spec", [{}, SPEC], ids=["bare", "with all fields"])
def test_pods_have_nothing_that_the_api_does_not_know(body: JsonObject, spec: JsonObject, parts: PodParts) -> None:
    given = parts if body in (FULL, SCRIPT) else PodParts(owner=OWNER)
    assert pod_problems(pod_manifest(pod_of(body, capture_result=True), spec, KubernetesOptions(), given)) == []


def pods_of(path: Path) -> Iterator[tuple[str, JsonObject]]:
    for document in load_documents(path):
        if "spec" not in document.json or "workflow" not in str(document.json["kind"]).lower():
            continue
        found, spec, _ = samples(document.json)
        for sample in found:
            if kind_of(sample.invocation) in PODS:
                claims = {str(object_of(one, "metadata")["name"]): "c" for one in spec.get("volumeClaimTemplates") or []}
                try:
                    yield sample.path, pod_manifest(sample.invocation, spec, KubernetesOptions(), PodParts(claims=claims, owner=OWNER))
                except ExecutorError as error:
                    assert "failed to look-up entrypoint" in str(error)  # that is not known here


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_pods_of_the_examples(path: Path) -> None:
    for place, pod in pods_of(path):
        assert pod_problems(pod) == [], place


async def test_the_objects_of_a_run(tmp_path: Path) -> None:
    claim: Any = {"metadata": {"name": "work"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    spec: JsonObject = {"volumeClaimTemplates": [claim], "podDisruptionBudget": {"minAvailable": "100%"}}
    kinds = {
        "configmaps": "V1ConfigMap",
        "persistentvolumeclaims": "V1PersistentVolumeClaim",
        "poddisruptionbudgets": "V1PodDisruptionBudget",
    }
    async with scene(tmp_path, life=ends(), spec=spec) as it:
        await it.run(invocation("succeeds"))
        for resource, model in kinds.items():
            (made,) = it.kube.objects(resource)
            assert list(schema_problems(model, made)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"nodeSelektor": {}}, ".spec.nodeSelektor: unknown field"),
        ({"hostNetwork": "yes"}, ".spec.hostNetwork: 'yes' is no bool"),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, "volume 'v' twice"),
        ({"containers": [{"image": "i"}]}, ".spec.containers[0]: Invalid value for `name`, must not be `None`"),
        ({"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds: 0"),
        ({"tolerations": {}}, ".spec.tolerations: not a list"),
    ],
)
def test_what_is_wrong_is_found(change: JsonObject, problem: str) -> None:
    """Or the other tests here would show nothing."""
    pod: JsonObject = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "i"}], **change}}
    assert problem in pod_problems(pod)
