"""What the backend does on a cluster: the one that ``FLOWCORE_TEST_KUBECONFIG`` names, with nothing faked, else a fake one as far as that goes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore.clocks import RealClock
from flowcore.errors import ExecutorError
from flowcore.jsontypes import Json, JsonObject, object_of, text_of
from flowcore.nodes import Phase
from flowcore.ports import Invocation, Progressed, Ready, Started
from tests.backends.contract import COMMANDS, ExecutorContract, Play, invocation, run_context
from tests.scenarios.documents import EXAMPLES, split
from tests.scenarios.test_examples import NAMES
from tests.scenarios.trees import table

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.api import Api
from flowcore_backends.kubernetes.status import DEADLINE
from tests.backends.kubernetes import a_cluster
from tests.backends.kubernetes.a_cluster import BUSYBOX, IMAGE, PYTHON, Cluster, own_namespace_only, real_only

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(a_cluster.SECONDS + 60)]
NAMESPACE = a_cluster.namespace()
REAL = a_cluster.KUBECONFIG is not None
SIZES = [10, 300_000, 200 << 20] if REAL else [10, 300_000]
ROOT = Path(__file__).parents[3]

_own_namespace = pytest.fixture(scope="session", autouse=True)(a_cluster.namespace_of_the_tests)


class ClusterPlay(Play):
    """Invocations on a cluster, under names that no other run of the tests has."""

    def __init__(self, cluster: Cluster, executor: KubernetesExecutor, folder: Path) -> None:
        super().__init__(executor, run_context(folder, namespace=NAMESPACE))
        self.cluster = cluster

    def asked(self, work: str = "work", body: JsonObject | None = None, **more: Any) -> Invocation:
        given = body or {"container": {"image": IMAGE, "command": list(COMMANDS[work])}}
        return invocation(work, given, pod_name=f"fc-{work}-{uuid.uuid4().hex[:8]}", namespace=NAMESPACE, **more)

    def shell(self, script: str, **more: Any) -> Invocation:
        body: JsonObject = {"container": {"image": IMAGE, "command": ["sh", "-c", script], **more.pop("container", {})}}
        return self.asked("work", body | more.pop("body", {}), **more)

    def begin(self, asked: Invocation) -> asyncio.Task[Any]:
        return asyncio.create_task(self.run(asked))

    def started(self, asked: Invocation) -> bool:
        return any(isinstance(report, Started) and report.node == asked.node for report in self.reports)

    async def until(self, condition: Any) -> None:
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture
async def play(tmp_path: Path) -> AsyncIterator[ClusterPlay]:
    async with a_cluster.reached(tmp_path) as cluster:
        executor = cluster.executor()
        made = ClusterPlay(cluster, executor, tmp_path)
        yield made
        await executor.close(made.context)


@real_only
class TestContract(ExecutorContract):
    """The contract of all executors; on the fake cluster it is in ``test_executor.py``."""

    daemon_address = r"[0-9a-f.:]+"

    @pytest.fixture
    def loop(self) -> str:
        return "asyncio"

    @pytest.fixture
    def play(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr("flowcore.testing.contract._SOON", a_cluster.SECONDS)

        def start(scene: Any) -> None:
            async def within() -> None:
                async with a_cluster.reached(tmp_path) as cluster:
                    made = ContractPlay(cluster, cluster.executor(), tmp_path)
                    await scene(made)
                    await made.executor.close(made.context)

            asyncio.run(within())

        return start

    def executor(self) -> Any:
        return KubernetesExecutor(a_cluster.options())


class ContractPlay(ClusterPlay):
    """Takes the invocations of the contract to the cluster's images and namespace."""

    async def run(self, asked: Invocation) -> Any:
        from dataclasses import replace

        container = {**object_of(asked.body, "container"), "image": IMAGE}
        return await super().run(replace(asked, namespace=NAMESPACE, body={**asked.body, "container": container}))


@pytest.mark.parametrize(
    ("work", "phase", "code", "message"),
    [("succeeds", Phase.SUCCEEDED, 0, ""), ("fails", Phase.FAILED, 1, "main: Error (exit code 1)")],
)
async def test_ends(play: ClusterPlay, work: str, phase: Phase, code: int, message: str) -> None:
    ended = await play.run(play.asked(work))
    assert (ended.phase, ended.exit_code, ended.message) == (phase, code, message)


async def test_results(play: ClusterPlay) -> None:
    assert (await play.run(play.asked("prints", capture_result=True))).result == "one\ntwo"


@pytest.mark.parametrize("size", SIZES)
async def test_outputs(play: ClusterPlay, tmp_path: Path, size: int) -> None:
    """A file and a folder; small ones in the pod's status, larger ones by exec."""
    made = f"{tmp_path}/out" if not REAL else "/tmp/out"
    script = f"mkdir -p {made}/d/e; head -c {size} /dev/urandom > {made}/f; echo hi > {made}/p; echo deep > {made}/d/e/x"
    outputs: JsonObject = {
        "parameters": [{"name": "p", "valueFrom": {"path": f"{made}/p"}}],
        "artifacts": [{"name": "a", "path": f"{made}/f", "archive": {"none": {}}}, {"name": "d", "path": f"{made}/d"}],
    }
    ended = await play.run(play.shell(script, body={"outputs": outputs}))
    assert (ended.phase, ended.message, dict(ended.parameters)) == (Phase.SUCCEEDED, "", {"p": "hi"})
    await play.context.artifacts.load(ended.artifacts["a"]["s3"]["key"], tmp_path / "got")
    assert (tmp_path / "got").stat().st_size == size
    assert ended.artifacts["d"]["s3"]["key"].endswith("/d.tgz")


@pytest.mark.parametrize("size", SIZES)
async def test_inputs(play: ClusterPlay, tmp_path: Path, size: int) -> None:
    (tmp_path / "given").write_bytes(os.urandom(1000) * (size // 1000) or os.urandom(size))
    size = (tmp_path / "given").stat().st_size
    await play.context.artifacts.save("given", tmp_path / "given")
    given: JsonObject = {"name": "x", "path": "/in/data", "s3": {"key": "given"}, "archive": {"none": {}}}
    body: JsonObject = {"script": {"image": IMAGE, "command": ["sh"], "source": "wc -c < /in/data"}, "inputs": {"artifacts": [given]}}
    assert (await play.run(play.asked("work", body, capture_result=True))).result == str(size)


async def test_stopping(play: ClusterPlay) -> None:
    lasting = play.asked("lasts")
    task = play.begin(lasting)
    await play.until(lambda: play.started(lasting))
    await play.executor.stop(lasting, timedelta(seconds=10))
    ended = await task
    assert (ended.phase, ended.exit_code) == (Phase.FAILED, 143)


async def test_a_pod_that_is_deleted_by_hand_is_an_error(play: ClusterPlay) -> None:
    lasting = play.asked("lasts")
    task = play.begin(lasting)
    await play.until(lambda: play.started(lasting))
    await play.cluster.delete_pod(lasting.pod_name)
    ended = await task
    assert (ended.phase, ended.message) == (Phase.ERROR, "pod deleted")


async def test_sidecars(play: ClusterPlay) -> None:
    sidecar: JsonObject = {"name": "helper", "image": IMAGE, "command": ["sleep", "600"]}
    ended = await play.run(play.shell("true", body={"sidecars": [sidecar]}))
    assert (ended.phase, ended.message) == (Phase.SUCCEEDED, "")


async def test_init_containers_and_volumes(play: ClusterPlay) -> None:
    mounts: JsonObject = {"volumeMounts": [{"name": "desk", "mountPath": "/desk"}]}
    prepare: JsonObject = {"name": "prepare", "image": IMAGE, "command": ["sh", "-c", "echo prepared > /desk/note"], **mounts}
    body: JsonObject = {"initContainers": [prepare], "volumes": [{"name": "desk", "emptyDir": {}}]}
    ended = await play.run(play.shell("cat /desk/note", container=mounts, body=body, capture_result=True))
    assert (ended.phase, ended.message, ended.result) == (Phase.SUCCEEDED, "", "prepared")


async def test_daemons_have_an_address(play: ClusterPlay) -> None:
    daemon = play.asked("serves", daemon=True)
    task = play.begin(daemon)
    await play.until(lambda: any(isinstance(report, Ready) for report in play.reports))
    (address,) = [report.pod_ip for report in play.reports if isinstance(report, Ready)]
    assert re.fullmatch(r"[0-9a-f.:]+", address or "")
    await play.executor.stop(daemon, timedelta(seconds=1))
    assert (await task).phase is Phase.FAILED


async def test_a_namespace_that_is_not_there_is_named(play: ClusterPlay) -> None:
    if play.cluster.kube is not None:
        play.cluster.kube.namespaces = {NAMESPACE}
    executor = play.cluster.executor(namespace="flowcore-no-such-namespace")
    with pytest.raises(ExecutorError, match='template succeeds: namespaces "flowcore-no-such-namespace" not found'):
        await executor.run(play.asked("succeeds"), play.context, play.reports.append)
    await executor.close(play.context)


# --- what only a real cluster does ------------------------------------------------------------------------------------------------------


@real_only
async def test_deadlines(play: ClusterPlay) -> None:
    ended = await play.run(play.shell("sleep 300", body={"activeDeadlineSeconds": 5}))
    assert (ended.phase, ended.message) == (Phase.FAILED, DEADLINE)


@real_only
async def test_out_of_memory(play: ClusterPlay) -> None:
    limits: JsonObject = {"resources": {"limits": {"memory": "24Mi"}}}
    ended = await play.run(play.shell("exec tail /dev/zero", container=limits))
    assert ended.phase is Phase.FAILED
    assert "OOMKilled" in ended.message


@real_only
async def test_images_that_cannot_be_had_are_told_while_the_pod_waits(play: ClusterPlay) -> None:
    asked = play.asked("work", {"container": {"image": "localhost:1/flowcore/no-such-image:1", "command": ["true"]}})
    task = play.begin(asked)
    await play.until(lambda: any(isinstance(report, Progressed) and "ErrImagePull" in (report.message or "") for report in play.reports))
    await play.executor.stop(asked, timedelta(seconds=1))
    assert (await task).phase is Phase.FAILED


@real_only
async def test_a_manifest_that_the_server_refuses_is_told_in_its_words(play: ClusterPlay) -> None:
    asked = play.shell("true", body={"metadata": {"labels": {"a": "no label at all!"}}})
    with pytest.raises(ExecutorError, match=r"template work: Pod .* is invalid: metadata\.labels: Invalid value"):
        await play.run(asked)


@real_only
@own_namespace_only
async def test_a_used_up_quota_is_waited_for(play: ClusterPlay) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas"
    quota: JsonObject = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"count/pods": "0"}}}
    await play.cluster.ask(lambda api: api.request("POST", path, body=quota))
    try:
        task = play.begin(play.asked("succeeds"))
        await play.until(lambda: any("exceeded quota" in (getattr(report, "message", "") or "") for report in play.reports))
    finally:
        await play.cluster.ask(lambda api: api.request("DELETE", f"{path}/none"))
    assert (await task).phase is Phase.SUCCEEDED


@real_only
async def test_a_killed_process_leaves_its_pods_to_the_next_one(tmp_path: Path) -> None:
    """What the pods did is counted in their logs: each ran once."""
    name = f"kill-{uuid.uuid4().hex[:6]}"
    work: JsonObject = {"name": "work", "container": {"image": IMAGE, "command": ["sh", "-c", "sleep 5; echo x"]}}
    main: JsonObject = {"name": "main", "steps": [[{"name": "work", "template": "work", "withSequence": {"count": 4}}]]}
    spec: JsonObject = {"entrypoint": "main", "templates": [main, work], "podGC": {"strategy": "OnWorkflowCompletion"}}
    file = tmp_path / "kill.json"
    workflow: JsonObject = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": spec}
    file.write_text(json.dumps(workflow))
    environment = {**os.environ, "FLOWCORE_STATE": str(tmp_path / "state"), "PYTHONPATH": str(ROOT), "FLOWCORE_TEST_NAMESPACE": NAMESPACE}
    selector = [("labelSelector", f"workflows.argoproj.io/workflow={name}")]

    async def pods() -> dict[str, str]:
        async with Api(a_cluster.options()) as api:
            found = await api.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods", query=selector)
        return {text_of(object_of(one, "metadata"), "name"): text_of(object_of(one, "metadata"), "uid") for one in found["items"]}

    words = [sys.executable, "-m", "tests.backends.kubernetes.drive", "-", f"sqlite:///{tmp_path / 'runs.db'}", str(file), name]
    async with asyncio.timeout(a_cluster.SECONDS):
        first = await asyncio.create_subprocess_exec(*words, env=environment, cwd=ROOT)
        while len(before := await pods()) < 4:
            await asyncio.sleep(0.1)
        first.send_signal(signal.SIGKILL)
        await first.wait()
        second = await asyncio.create_subprocess_exec(*words, env=environment, cwd=ROOT)
        while second.returncode is None and (now := await pods()):
            assert now.items() <= before.items()
            await asyncio.sleep(0.1)
        assert await second.wait() == 0


def with_images(value: Json) -> Json:
    """A document with the images that this cluster has."""
    if isinstance(value, list):
        return [with_images(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {key: with_images(each) for key, each in value.items()}
    if isinstance(image := made.get("image"), str):
        made["image"] = PYTHON if image.startswith("python") else IMAGE
    manifest = made.get("manifest")
    return made | {"manifest": manifest.replace("python:3.12-alpine", PYTHON)} if isinstance(manifest, str) else made


@real_only
@pytest.mark.parametrize("name", NAMES)
async def test_examples(name: str) -> None:
    """Every example leaves the tree that it leaves on the other backends; what depends on the run's name is left out."""
    workflow, catalog = split(EXAMPLES / f"{name}.yaml")
    run_name = f"{name}-{uuid.uuid4().hex[:6]}"
    executor = KubernetesExecutor(a_cluster.options(pod_gc="OnWorkflowCompletion", busybox_image=BUSYBOX))
    made = [document for document in catalog if text_of(document, "kind") in ("Secret", "ConfigMap")]
    async with Api(executor.options) as api, asyncio.timeout(a_cluster.SECONDS):
        for document in made:
            await api.request("POST", place_of(document), body=without_namespace(document))
        try:
            document = with_images(flowcore.load_workflow(workflow).to_json())
            given: Any = {"clock": RealClock(), "name": run_name, "namespace": NAMESPACE}
            result = await flowcore.run(document, executor=executor, catalog=catalog, **given)
        finally:
            for document in made:
                await api.request("DELETE", f"{place_of(document)}/{object_of(document, 'metadata')['name']}")
    head, *rows = (EXAMPLES / "expected" / f"{name}.txt").read_text().splitlines()
    assert str(result.phase) == head.partition(":")[0]
    found = [line.split()[:2] for line in table(run_name, result.nodes).splitlines()]
    assert found == [line.split()[:2] for line in rows[1:]]


def place_of(document: JsonObject) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/{text_of(document, 'kind').lower()}s"


def without_namespace(document: JsonObject) -> JsonObject:
    """An API refuses an object that names another namespace than the path."""
    metadata = {key: value for key, value in object_of(document, "metadata").items() if key != "namespace"}
    return {**document, "metadata": metadata}
