"""The cluster that ``test_cluster.py`` is about: the real one that ``FLOWCORE_TEST_KUBECONFIG`` names, else ``FakeKube`` with processes of this machine.

A namespace is made for the tests and deleted after them, unless ``FLOWCORE_TEST_NAMESPACE`` names one. What else can be chosen is in
``docs/kubernetes.md``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import Json, JsonObject
from flowcore_backends.kubernetes import KubernetesExecutor, KubernetesOptions
from flowcore_backends.kubernetes.api import Api, pods_path
from flowcore_backends.kubernetes.testing import FakeKube, local_processes

KUBECONFIG = os.path.expanduser(os.environ.get("FLOWCORE_TEST_KUBECONFIG", "")) or None
CONTEXT = os.environ.get("FLOWCORE_TEST_CONTEXT") or None
NAMESPACE = os.environ.get("FLOWCORE_TEST_NAMESPACE", "")
IMAGE = os.environ.get("FLOWCORE_TEST_IMAGE", "alpine:latest")
PYTHON = os.environ.get("FLOWCORE_TEST_PYTHON", "python:3.12-alpine")
BUSYBOX = os.environ.get("FLOWCORE_TEST_BUSYBOX", "busybox:musl")
SECONDS = float(os.environ.get("FLOWCORE_TEST_SECONDS", "240"))  # for one test: images may have to be pulled
_RUN = uuid.uuid4().hex[:6]

real_only = pytest.mark.skipif(not KUBECONFIG, reason="only a real cluster does this; FLOWCORE_TEST_KUBECONFIG names none")
own_namespace_only = pytest.mark.skipif(bool(NAMESPACE), reason="changes the whole namespace, and FLOWCORE_TEST_NAMESPACE is somebody's")


@cache
def namespace() -> str:
    """The namespace of the tests: the named one, or one of their own."""
    return NAMESPACE or f"flowcore-test-{_RUN}"


def options(**more: Any) -> KubernetesOptions:
    """How the real cluster is reached."""
    given: dict[str, Any] = {"kubeconfig": KUBECONFIG, "kube_context": CONTEXT, "namespace": namespace(), "busybox_image": BUSYBOX}
    return KubernetesOptions(**given | more)


@dataclass(frozen=True)
class Cluster:
    """Where pods run in a test; ``kube`` is the fake one, or None."""

    folder: Path
    kube: FakeKube | None
    made: list[KubernetesExecutor] = field(default_factory=list)

    def options(self, **more: Any) -> KubernetesOptions:
        """The options of executors here."""
        if self.kube is None:
            return options(**more)
        return KubernetesOptions(api_server=self.kube.url, **({"namespace": namespace()} | more))

    def executor(self, **more: Any) -> KubernetesExecutor:
        """An executor whose pods go when they have ended."""
        made = KubernetesExecutor(self.options(**({"pod_gc": "OnPodCompletion", "owner": False} | more)))
        self.made.append(made)
        return made

    async def ask(self, question: Callable[[Api], Awaitable[JsonObject]]) -> JsonObject:
        """Ask the API as somebody else would."""
        async with Api(self.options()) as api:
            return await question(api)

    async def delete_pod(self, name: str) -> None:
        """As ``kubectl delete pod`` does."""
        await self.ask(lambda api: api.request("DELETE", pods_path(namespace(), name)))


@asynccontextmanager
async def reached(folder: Path) -> AsyncIterator[Cluster]:
    """The cluster, for one test."""
    async with asyncio.timeout(SECONDS):
        if KUBECONFIG:
            yield Cluster(folder, None)
            return
        if shutil.which("busybox") is None:
            pytest.skip("needs busybox on this machine, or a real cluster")
        async with FakeKube(default=local_processes(folder / "pods")) as kube:
            yield Cluster(folder, kube)


def namespace_of_the_tests() -> Iterator[None]:
    """Make the namespace if it is the tests' own, and delete it with all that is left in it."""
    if not KUBECONFIG or NAMESPACE:
        yield
        return
    asyncio.run(_make_namespace())
    try:
        yield
    finally:
        with suppress(ExecutorError):
            asyncio.run(_asked("DELETE", f"/api/v1/namespaces/{namespace()}", None))


async def _make_namespace() -> None:
    body: JsonObject = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace()}}
    try:
        await _asked("POST", "/api/v1/namespaces", body)
        account = f"/api/v1/namespaces/{namespace()}/serviceaccounts/default"
        for _ in range(100):  # pods are refused before the controller has made it
            with suppress(ExecutorError):
                await _asked("GET", account, None)
                return
            await asyncio.sleep(0.1)
    except ExecutorError as error:
        pytest.exit(f"no namespace for the tests: {error}; name one that you may use: FLOWCORE_TEST_NAMESPACE", returncode=2)


async def _asked(method: str, path: str, body: Json) -> None:
    async with Api(options()) as api:
        await api.send(method, path, body=body, patience=10)
