"""The examples on pods leave the trees that they leave on the fake, the local and the Docker backend."""

from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from flowcore.jsontypes import object_of
from tests.scenarios.documents import EXAMPLES, split
from tests.scenarios.test_examples import NAMES, run

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.testing import FakeKube, local_processes
from flowcore_backends.kubernetes.testing.store import Event

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox on this machine")


def run_jobs(kube: FakeKube) -> None:
    """Have a controller for Jobs: each that is made succeeds at once."""

    def changed(event: Event) -> None:
        if event.kind == "ADDED" and event.resource == "jobs":
            name = str(object_of(event.object, "metadata")["name"])
            asyncio.get_running_loop().call_soon(kube.store.patch, "jobs", event.namespace, name, {"status": {"succeeded": 1}}, "merge")

    kube.store.on_change.append(changed)


async def test_on_kubernetes(tmp_path: Path) -> None:
    """All at once, on one cluster and one watch: most of their time is waiting."""
    async with FakeKube(default=local_processes(tmp_path)) as kube, asyncio.timeout(60):
        run_jobs(kube)
        for name in NAMES:
            for document in split(EXAMPLES / f"{name}.yaml")[1]:
                if document.get("kind") in ("Secret", "ConfigMap"):
                    kube.add(document)
        executor = KubernetesExecutor(api_server=kube.url, poll=timedelta(milliseconds=20))
        found = await asyncio.gather(*(run(name, executor) for name in NAMES))
        expected = {name: (EXAMPLES / "expected" / f"{name}.txt").read_text() for name in NAMES}
        assert dict(zip(NAMES, found, strict=True)) == expected
        assert kube.most_watches == 1
