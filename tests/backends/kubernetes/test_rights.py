"""The rights that the documentation asks for are all that is needed: everything is done once, with these and no others."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import flowcore
from flowcore.catalogs import MemoryCatalog
from flowcore.jsontypes import JsonObject, object_of
from flowcore.nodes import WorkflowPhase
from flowcore.service import Service
from tests.backends.contract import until
from tests.backends.kubernetes.served import served

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.fake import FakeExecutor
from flowcore_backends.kubernetes import KubernetesExecutor, KubernetesOptions
from flowcore_backends.kubernetes.testing import FakeKube, local_processes
from flowcore_backends.stores.sqlite import SqliteStore

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox on this machine")
PAGE = Path(__file__).parents[3] / "docs" / "kubernetes.md"

WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: rights}
spec:
  entrypoint: main
  podGC: {strategy: OnPodSuccess, deleteDelayDuration: 0s}
  volumeClaimTemplates: [{metadata: {name: desk}, spec: {accessModes: [ReadWriteOnce]}}]
  volumeClaimGC: {strategy: OnWorkflowCompletion}
  podDisruptionBudget: {minAvailable: 100%}
  templates:
  - name: main
    steps:
    - - {name: large, template: large}
    - - {name: read, templateRef: {name: shared, template: read}, arguments: {artifacts: [{name: x, from: "{{steps.large.outputs.artifacts.x}}"}]}}
      - {name: bad, templateRef: {name: everywhere, template: bad, clusterScope: true}, continueOn: {failed: true}}
  - name: large
    memoize: {key: "{{workflow.name}}", cache: {configMap: {name: remembered}}}
    synchronization: {semaphores: [{configMapKeyRef: {name: limits, key: one}}]}
    container: {image: i, command: [sh, -c, "head -c 90000 /dev/urandom > FOLDER/x"], volumeMounts: [{name: desk, mountPath: /desk}]}
    outputs: {artifacts: [{name: x, path: FOLDER/x, archive: {none: {}}}]}
"""
READ: JsonObject = {
    "name": "read",
    "inputs": {"artifacts": [{"name": "x", "path": "/in/x"}]},
    "container": {"image": "i", "command": ["sh", "-c", "[ $(wc -c < /in/x) = 90000 ]"]},
}
BAD: JsonObject = {"name": "bad", "container": {"image": "i", "command": ["false"]}}


def documented() -> set[tuple[str, str, str]]:
    """The rules of the page."""
    (block,) = re.findall(r"```yaml\n(apiVersion: rbac[^`]*)```", PAGE.read_text())
    rules = YAML(typ="safe").load(block)["rules"]
    return {
        (group, resource, verb) for rule in rules for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]
    }


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[FakeKube]:
    made = FakeKube(default=local_processes(tmp_path / "pods"))
    made.granted = documented()
    with served(made):
        yield made


def test_a_run_with_everything_needs_no_other_rights(kube: FakeKube, tmp_path: Path) -> None:
    kube.add({"kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {"one": "1"}})
    kube.add({"kind": "WorkflowTemplate", "metadata": {"name": "shared"}, "spec": {"templates": [READ]}})
    kube.add({"kind": "ClusterWorkflowTemplate", "metadata": {"name": "everywhere"}, "spec": {"templates": [BAD]}})
    for write_back in (False, True):
        executor = KubernetesExecutor(api_server=kube.url, write_back=write_back, direct_uploads=False)
        text = WORKFLOW.replace("FOLDER", str(tmp_path)).replace("name: rights", f"name: rights-{write_back}".lower())

        async def run(text: str = text, executor: Any = executor, catalog: Any = None) -> Any:
            async with flowcore.open_run(text, executor=executor, catalog=catalog, cache=executor.cache()) as run, executor.shown(run):
                return await run.result()

        with executor.catalog(MemoryCatalog()) as catalog:
            result = asyncio.run(run(catalog=catalog))
        assert result.phase is WorkflowPhase.SUCCEEDED, [(node.name, node.message) for node in result.nodes.values()]
    assert kube.refused == []
    asked = " ".join(kube.requests)
    for part in (
        "/exec",
        "/log",
        "persistentvolumeclaims",
        "poddisruptionbudgets",
        "/workflows/",
        "configmaps/remembered",
        "DELETE /api/v1/namespaces/default/pods",
    ):
        assert part in asked, f"{part} was not needed: the test shows too little"


async def test_a_service_with_crons_needs_no_other_rights(kube: FakeKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))
    workflow: JsonObject = {"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "i", "command": ["c"]}}]}
    labels: JsonObject = {"workflows.argoproj.io/controller-instanceid": "flowcore"}
    cron: JsonObject = {"metadata": {"name": "often", "labels": labels}, "spec": {"schedules": ["@every 1s"], "workflowSpec": workflow}}
    kube.add({"apiVersion": "argoproj.io/v1alpha1", "kind": "CronWorkflow", **cron})
    options = KubernetesOptions(api_server=kube.url, write_back=True, write_back_every=timedelta(milliseconds=10))
    with KubernetesExecutor(options).catalog() as catalog:
        service = Service(SqliteStore(":memory:"), FakeExecutor(), catalog)
        async with service.start():
            await until(lambda: bool(object_of(kube.objects("cronworkflows")[0], "status")))
        await service.store.close()
    assert kube.refused == []


async def test_what_is_not_granted_is_refused(kube: FakeKube) -> None:
    """Or the other tests here would show nothing."""
    kube.granted = documented() - {("", "pods", "create")}
    executor = KubernetesExecutor(api_server=kube.url)
    body: JsonObject = {"metadata": {"name": "x"}, "spec": {"entrypoint": "main", "templates": [{**BAD, "name": "main"}]}}
    result = await flowcore.run({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", **body}, executor=executor)
    assert 'cannot create resource "pods"' in (result.message or "")
    assert kube.refused == ["create pods"]
