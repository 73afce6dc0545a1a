"""The contract of executors and the layout of pods on a real cluster, with nothing faked. Runs when ``FLOWCORE_TEST_KUBECONFIG`` is set.

``FLOWCORE_TEST_NAMESPACE`` (default ``default``), ``FLOWCORE_TEST_IMAGE`` (an image with sh; default ``alpine:latest``) and
``FLOWCORE_TEST_BUSYBOX`` (default ``busybox:musl``) say what is used, so that a cluster without internet works.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from flowcore.ports import Invocation
from flowcore_backends.kubernetes import KubernetesExecutor
from tests.backends.contract import COMMANDS, Play, invocation, run_context

KUBECONFIG = os.environ.get("FLOWCORE_TEST_KUBECONFIG")
NAMESPACE = os.environ.get("FLOWCORE_TEST_NAMESPACE", "default")
IMAGE = os.environ.get("FLOWCORE_TEST_IMAGE", "alpine:latest")
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
    await play.context.artifacts.load(ended.artifacts["a"]["s3"]["key"], tmp_path / "got")  # type: ignore[index, call-overload, arg-type]  # as stored
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
