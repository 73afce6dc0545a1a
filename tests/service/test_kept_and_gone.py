"""What is left of pods when they have ended: logs that are archived, and pods that ``podGC`` removes. Runs of a service on real processes."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from flowcore.artifacts import FolderArtifacts
from flowcore.catalogs import MemoryCatalog
from flowcore.jsontypes import JsonObject, objects_of
from flowcore.operations import export_run
from flowcore.plan.plan import PlanOptions
from flowcore.ports import Executor
from flowcore.service import Service
from flowcore_backends.local import LocalExecutor
from flowcore_backends.stores.sqlite import SqliteStore

REPOSITORIES: JsonObject = {
    "kind": "ConfigMap",
    "metadata": {
        "name": "artifact-repositories",
        "namespace": "default",
        "annotations": {"workflows.argoproj.io/default-artifact-repository": "logs"},
    },
}


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path / "state"))


def workflow(*templates: JsonObject, **spec: Any) -> JsonObject:
    """Each template is a step; they run at once."""
    steps: list[Any] = [
        [{"name": template["name"], "template": template["name"], "continueOn": {"failed": True}} for template in templates]
    ]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "wf", "uid": "0-1"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "steps": steps}, *templates], **spec},
    }


def says(name: str, text: str, *, exit_code: int = 0, **more: Any) -> JsonObject:
    command = ["sh", "-c", f"echo {text}; exit {exit_code}"]
    return {"name": name, "container": {"image": "i", "command": command}, **more}


async def ended(executor: Executor, manifest: JsonObject, tmp_path: Path, **given: Any) -> tuple[JsonObject, FolderArtifacts]:
    """The run's export when it has ended, and the artifacts that are kept."""
    artifacts = FolderArtifacts(tmp_path / "artifacts")
    store = SqliteStore(":memory:")
    service = Service(store, executor, given.pop("catalog", None), artifacts=artifacts, **given)
    async with asyncio.timeout(30), service.start():
        await service.submit(manifest)
        await service.wait("wf")
    exported = export_run(await service.get("wf"))
    await store.close()
    return exported, artifacts


def logs_of(exported: JsonObject) -> dict[str, list[JsonObject]]:
    """The artifacts that are logs, by the display names of their nodes."""
    nodes: Any = exported["status"]["nodes"]
    found = {node["displayName"]: objects_of(node.get("outputs") or {}, "artifacts") for node in nodes.values() if node["type"] == "Pod"}
    return {name: [artifact for artifact in artifacts if artifact["name"].endswith("-logs")] for name, artifacts in found.items()}


async def kept(exported: JsonObject, artifacts: FolderArtifacts, node: str) -> str:
    (artifact,) = logs_of(exported)[node]
    assert artifact["name"] == "main-logs"
    return (artifacts.path / artifact["s3"]["key"]).read_text()


WHERE: JsonObject = {"s3": {"key": "here/it/is"}}


@pytest.mark.parametrize(
    ("spec", "own", "default", "archived"),
    [
        ({}, {}, {}, False),
        ({"archiveLogs": True}, {}, {}, True),
        ({"archiveLogs": True}, {"archiveLocation": {"archiveLogs": False}}, {}, False),
        ({}, {"archiveLocation": {"archiveLogs": True}}, {}, True),
        ({"archiveLogs": False}, {"archiveLocation": {"archiveLogs": True, **WHERE}}, {}, True),
        ({"archiveLogs": False}, {"archiveLocation": {"archiveLogs": False}}, {"archiveLogs": True}, True),
    ],
)
async def test_who_says_that_logs_are_archived(
    tmp_path: Path, spec: JsonObject, own: JsonObject, default: JsonObject, archived: bool
) -> None:
    """The repository before all, then the template, then the workflow; a failed pod's log is kept like any other."""
    manifest = workflow(says("good", "fine", **own), says("bad", "broken", exit_code=1, **own), **spec)
    options = PlanOptions(artifact_repository=default) if default else None
    exported, artifacts = await ended(LocalExecutor(isolation="off"), manifest, tmp_path, options=options)
    assert exported["status"]["phase"] == "Succeeded"
    if not archived:
        assert logs_of(exported) == {"good": [], "bad": []}
        assert await artifacts.keys("") == []
        return
    texts = {await kept(exported, artifacts, "good"), await kept(exported, artifacts, "bad")}
    assert texts <= {"fine\n", "broken\n"}
    if "archiveLocation" in own and "s3" in own["archiveLocation"]:
        assert await artifacts.keys("") == ["here/it/is/main.log"]
    else:
        assert texts == {"fine\n", "broken\n"}
        assert [key.split("/")[0] for key in await artifacts.keys("")] == ["wf", "wf"]


async def test_the_repository_of_a_namespace_may_archive_logs(tmp_path: Path) -> None:
    """As a controller's configuration does it; the service has the ConfigMap from its catalog."""
    catalog = MemoryCatalog()
    catalog.add({**REPOSITORIES, "data": {"logs": "archiveLogs: true\nplugin: {name: none}\n"}})
    manifest = workflow(says("good", "fine"))
    store = SqliteStore(":memory:")
    service = Service(store, LocalExecutor(isolation="off"), catalog, artifacts=FolderArtifacts(tmp_path / "artifacts"))
    async with asyncio.timeout(30), service.start():
        await service.submit(manifest)
        await service.wait("wf")
    (log,) = logs_of(export_run(await service.get("wf")))["good"]
    assert log["plugin"]["key"].endswith("/main.log")
    await store.close()


async def test_every_attempt_keeps_its_own_log(tmp_path: Path) -> None:
    """A retried node has one log for each attempt, and the Retry node that of its last."""
    again = says("again", "'try {{retries}}'", exit_code=1, retryStrategy={"limit": 1})
    exported, artifacts = await ended(LocalExecutor(isolation="off"), workflow(again, archiveLogs=True), tmp_path)
    assert [await kept(exported, artifacts, f"again({number})") for number in range(2)] == ["try 0\n", "try 1\n"]
    assert len(await artifacts.keys("")) == 2


async def test_archived_logs_go_with_artifact_collection(tmp_path: Path) -> None:
    exported, artifacts = await ended(
        LocalExecutor(isolation="off"),
        workflow(says("good", "fine"), archiveLogs=True, artifactGC={"strategy": "OnWorkflowCompletion"}),
        tmp_path,
    )
    assert [log.get("deleted") for log in logs_of(exported)["good"]] == [True]
    assert await artifacts.keys("") == []


@pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox on this machine")
@pytest.mark.parametrize(
    ("pod_gc", "left"),
    [
        ({}, {"good", "bad"}),
        ({"strategy": "OnPodCompletion"}, set()),
        ({"strategy": "OnPodSuccess"}, {"bad"}),
        ({"strategy": "OnWorkflowCompletion"}, set()),
        ({"strategy": "OnWorkflowSuccess"}, set()),
        ({"strategy": "OnWorkflowCompletion", "labelSelector": {"matchLabels": {"team": "red"}}}, {"bad"}),
        (
            {
                "strategy": "OnPodCompletion",
                "labelSelector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]},
            },
            {"good"},
        ),
    ],
)
async def test_pods_go_when_their_strategy_says(tmp_path: Path, pod_gc: JsonObject, left: set[str]) -> None:
    """On a cluster (of processes): when the service has ended they are gone or on their way out, and the logs are kept in any case."""
    pytest.importorskip("kubernetes_asyncio")
    from flowcore_backends.kubernetes import KubernetesExecutor
    from flowcore_backends.kubernetes.testing import FakeKube, local_processes

    red: JsonObject = {"labels": {"team": "red"}}
    good, bad = says("good", "fine", metadata=red), says("bad", "broken", exit_code=1)
    gc = {"deleteDelayDuration": "0s", **pod_gc} if pod_gc else {}
    async with FakeKube(default=local_processes(tmp_path)) as kube:
        executor = KubernetesExecutor(api_server=kube.url)
        exported, artifacts = await ended(executor, workflow(good, bad, archiveLogs=True, podGC=gc), tmp_path)
        pods: list[Any] = [pod["metadata"] for pod in kube.objects("pods") if "deletionTimestamp" not in pod["metadata"]]
        assert {name for name in ("good", "bad") if any(f"-{name}-" in pod["name"] for pod in pods)} == left
    assert exported["status"]["phase"] == "Succeeded"
    assert {await kept(exported, artifacts, "good"), await kept(exported, artifacts, "bad")} == {"fine\n", "broken\n"}
