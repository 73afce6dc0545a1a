"""The contract of executors and the layout of pods on a real cluster, with nothing faked. Runs when ``FLOWCORE_TEST_KUBECONFIG`` is set.

``FLOWCORE_TEST_NAMESPACE`` (default ``default``), ``FLOWCORE_TEST_IMAGE`` (an image with sh; default ``alpine:latest``), ``FLOWCORE_TEST_PYTHON``
(default ``python:3.12-alpine``) and ``FLOWCORE_TEST_BUSYBOX`` (default ``busybox:musl``) say what is used, so that a cluster without internet works.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore.clocks import RealClock
from flowcore.jsontypes import Json, JsonObject, object_of, text_of
from flowcore.nodes import Phase
from flowcore.ports import Invocation
from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.api import Api
from tests.backends.contract import COMMANDS, Play, invocation, run_context
from tests.scenarios.documents import EXAMPLES, split
from tests.scenarios.test_examples import NAMES
from tests.scenarios.trees import table

KUBECONFIG = os.environ.get("FLOWCORE_TEST_KUBECONFIG")
NAMESPACE = os.environ.get("FLOWCORE_TEST_NAMESPACE", "default")
IMAGE = os.environ.get("FLOWCORE_TEST_IMAGE", "alpine:latest")
PYTHON = os.environ.get("FLOWCORE_TEST_PYTHON", "python:3.12-alpine")
BUSYBOX = os.environ.get("FLOWCORE_TEST_BUSYBOX", "busybox:musl")

pytest.importorskip("kubernetes_asyncio")
pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.skipif(not KUBECONFIG, reason="FLOWCORE_TEST_KUBECONFIG names no cluster"),
    pytest.mark.timeout(300),
]


def asked(work: str, body: JsonObject | None = None, **more: Any) -> Invocation:
    """An invocation whose pod has a name that no other test run has."""
    given = body or {"container": {"image": IMAGE, "command": list(COMMANDS[work])}}
    return invocation(work, given, pod_name=f"fc-{work}-{uuid.uuid4().hex[:8]}", namespace=NAMESPACE, **more)


@pytest.fixture
async def play(tmp_path: Path) -> Any:
    executor = KubernetesExecutor(kubeconfig=KUBECONFIG, busybox_image=BUSYBOX, pod_gc="OnPodCompletion", owner=False)
    context = run_context(tmp_path, namespace=NAMESPACE)
    yield Play(executor, context)
    await executor.close(context)


@pytest.mark.parametrize(
    ("work", "phase", "code", "message"),
    [("succeeds", Phase.SUCCEEDED, 0, ""), ("fails", Phase.FAILED, 1, "main: Error (exit code 1)")],
)
async def test_ends(play: Play, work: str, phase: Phase, code: int, message: str) -> None:
    ended = await play.run(asked(work))
    assert (ended.phase, ended.exit_code, ended.message) == (phase, code, message)


async def test_results(play: Play) -> None:
    assert (await play.run(asked("prints", capture_result=True))).result == "one\ntwo"


@pytest.mark.parametrize("size", [10, 5_000_000], ids=["in the status", "by exec"])
async def test_outputs(play: Play, tmp_path: Path, size: int) -> None:
    script = f"head -c {size} /dev/urandom > /tmp/f; echo hi > /tmp/p"
    outputs: JsonObject = {
        "parameters": [{"name": "p", "valueFrom": {"path": "/tmp/p"}}],
        "artifacts": [{"name": "a", "path": "/tmp/f", "archive": {"none": {}}}],
    }
    ended = await play.run(asked("work", {"container": {"image": IMAGE, "command": ["sh", "-c", script]}, "outputs": outputs}))
    assert (ended.phase, ended.message, ended.parameters) == (Phase.SUCCEEDED, "", {"p": "hi"})
    await play.context.artifacts.load(ended.artifacts["a"]["s3"]["key"], tmp_path / "got")
    assert (tmp_path / "got").stat().st_size == size


@pytest.mark.parametrize("size", [10, 3_000_000], ids=["in the manifest", "by exec"])
async def test_inputs(play: Play, size: int) -> None:
    body: JsonObject = {
        "script": {"image": IMAGE, "command": ["sh"], "source": "wc -c < /in/data"},
        "inputs": {"artifacts": [{"name": "x", "path": "/in/data", "raw": {"data": os.urandom(size // 2).hex()}}]},
    }
    assert (await play.run(asked("work", body, capture_result=True))).result == str(size // 2 * 2)


async def test_stopping(play: Play) -> None:
    lasting = asked("lasts")
    task = asyncio.create_task(play.run(lasting))
    while not play.reports:
        await asyncio.sleep(0.1)
    await play.executor.stop(lasting, timedelta(seconds=10))
    ended = await task
    assert (ended.phase, ended.exit_code) == (Phase.FAILED, 143)


async def test_sidecars(play: Play) -> None:
    sidecar: JsonObject = {"name": "helper", "image": IMAGE, "command": ["sleep", "600"]}
    ended = await play.run(asked("work", {"container": {"image": IMAGE, "command": ["true"]}, "sidecars": [sidecar]}))
    assert (ended.phase, ended.message) == (Phase.SUCCEEDED, "")


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


@pytest.mark.parametrize("name", NAMES)
async def test_examples(name: str, tmp_path: Path) -> None:
    """Every example leaves the tree that it leaves on the other backends; what depends on the run's name is left out."""
    workflow, catalog = split(EXAMPLES / f"{name}.yaml")
    run_name = f"{name}-{uuid.uuid4().hex[:6]}"
    executor = KubernetesExecutor(kubeconfig=KUBECONFIG, busybox_image=BUSYBOX, pod_gc="OnWorkflowCompletion", namespace=NAMESPACE)
    made = [document for document in catalog if text_of(document, "kind") in ("Secret", "ConfigMap")]
    async with Api(executor.options) as api:
        for document in made:
            await api.request("POST", place_of(document), body=document)
        try:
            result = await flowcore.run(
                with_images(flowcore.load_workflow(workflow).to_json()),
                executor=executor,
                catalog=catalog,
                clock=RealClock(),
                name=run_name,
                namespace=NAMESPACE,
            )
        finally:
            for document in made:
                await api.request("DELETE", f"{place_of(document)}/{object_of(document, 'metadata')['name']}")
    head, *rows = (EXAMPLES / "expected" / f"{name}.txt").read_text().splitlines()
    assert str(result.phase) == head.partition(":")[0]
    found = [line.split()[:2] for line in table(run_name, result.nodes).splitlines()]
    assert found == [line.split()[:2] for line in rows[1:]]


def place_of(document: JsonObject) -> str:
    return f"/api/v1/namespaces/{NAMESPACE}/{text_of(document, 'kind').lower()}s"
