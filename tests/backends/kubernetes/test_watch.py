"""The shared list and watch against an API that breaks in every way that a real one was seen to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from flowcore.errors import ExecutorError, TransientExecutorError
from flowcore.jsontypes import JsonObject, object_of
from tests.backends.jumping_loop import run_jumping

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes.api import Api, ApiError, pods_path, query_of
from flowcore_backends.kubernetes.list_watch import lines
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.testing import FakeKube, Fault, ends, runs_for_ever
from flowcore_backends.kubernetes.watch import PodWatch

POD: JsonObject = {"spec": {"containers": [{"name": "main", "image": "i"}]}}


class Scene:
    def __init__(self, kube: FakeKube, api: Api, watch: PodWatch) -> None:
        self.kube, self.api, self.watch = kube, api, watch

    def make(self, name: str, **labels: str) -> None:
        self.kube.store.create(
            "pods", "ns", {"metadata": {"name": name, "labels": {"app": "x", **labels}}, **POD, "status": {"phase": "Pending"}}
        )

    def delete(self, name: str) -> None:
        self.kube.store.delete("pods", "ns", name, grace=0)


@asynccontextmanager
async def scene(*, seconds: int = 280, timeout: float = 30, **options: Any) -> AsyncIterator[Scene]:
    async with FakeKube(default=runs_for_ever()) as kube, Api(KubernetesOptions(api_server=kube.url, **options)) as api:
        watch = PodWatch(api, "ns", "app=x", seconds=seconds, pause=0.01)
        task = asyncio.create_task(watch.run())
        try:
            async with asyncio.timeout(timeout):
                yield Scene(kube, api, watch)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def phase(pod: JsonObject | None) -> Any:
    return object_of(pod or {}, "status").get("phase")


async def test_pods_are_seen_as_they_change_and_as_they_go() -> None:
    async with scene() as it:
        followed = it.watch.follow("a")
        it.make("a")
        await until(lambda: phase(followed.pod) == "Running")
        it.delete("a")
        await until(lambda: followed.gone)
        assert it.watch.lists == 1


@pytest.mark.parametrize("break_", [FakeKube.drop_connections, FakeKube.restart], ids=["connection lost", "API restarted: 410"])
async def test_what_happened_while_the_watch_was_broken_is_not_lost(break_: Callable[[FakeKube], None]) -> None:
    async with scene() as it:
        followed, other = it.watch.follow("a"), it.watch.follow("b")
        it.make("a")
        it.make("b")
        await until(lambda: phase(followed.pod) == "Running" and phase(other.pod) == "Running")
        break_(it.kube)
        it.delete("a")
        if break_ is FakeKube.restart:
            it.kube.store.forget_history()
        await until(lambda: followed.gone)
        assert not other.gone
        assert it.watch.lists == (2 if break_ is FakeKube.restart else 1)


@pytest.mark.parametrize("seconds", [1, 280])
def test_a_watch_that_the_server_ends_goes_on_without_a_list(seconds: int) -> None:
    async def test() -> None:
        async with scene(seconds=seconds, timeout=1000) as it:
            followed = it.watch.follow("a")
            while it.watch.watches < 2:
                await asyncio.sleep(1)
            it.make("a")
            await until(lambda: phase(followed.pod) == "Running")
            assert it.watch.lists == 1

    run_jumping(test)


async def test_bookmarks_carry_the_version_on() -> None:
    async with FakeKube(bookmark_every=0.02, default=runs_for_ever()) as kube, Api(KubernetesOptions(api_server=kube.url)) as api:
        watch = PodWatch(api, "ns", "app=x", pause=0.01)
        task = asyncio.create_task(watch.run())
        async with asyncio.timeout(5):
            await until(lambda: kube.open_watches == 1)
            kube.store.create("configmaps", "ns", {"metadata": {"name": "c"}})
            await until(lambda: watch._version == str(kube.store.version))
        kube.store.oldest = kube.store.version
        kube.drop_connections()
        async with asyncio.timeout(5):
            await until(lambda: watch.watches >= 2 and kube.open_watches == 1)
        assert watch.lists == 1
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_pages_of_a_list_and_a_token_that_expires_between_them() -> None:
    async with scene() as it:
        await until(lambda: it.kube.open_watches == 1)
        followed = it.watch.follow("p-700")
        for number in range(702):
            it.make(f"p-{number}")
        it.kube.faults.append(Fault("GET .*continue=", status=410, body={"kind": "Status", "code": 410, "message": "expired"}))
        it.kube.restart()
        await until(lambda: followed.pod is not None)
        await until(lambda: it.watch.lists >= 4)


async def test_a_faulty_api_costs_only_time() -> None:
    async with scene() as it:
        followed = it.watch.follow("a")
        await until(lambda: it.kube.open_watches == 1)
        it.kube.faults += [
            Fault("watch=true", status=500, body="boom"),
            Fault("watch=true", drop=True),
            Fault("GET .*pods", times=2, status=429, body="Too many requests", headers={"Retry-After": "0"}),
            Fault("watch=true", status=504),
        ]
        it.kube.restart()
        it.make("a")
        await until(lambda: phase(followed.pod) == "Running")


async def test_no_permission_is_told_with_verb_resource_and_namespace() -> None:
    async with scene() as it:
        followed = it.watch.follow("a")
        it.kube.forbidden.add("list pods")
        it.kube.restart()
        with pytest.raises(ApiError, match='cannot list resource "pods" in API group "" in the namespace "ns"'):
            await followed.change()


async def test_the_end_of_an_earlier_pod_of_the_same_name_is_not_the_new_ones() -> None:
    async with scene() as it:
        followed = it.watch.follow("a")
        followed.show({"metadata": {"name": "a", "uid": "new"}})
        followed.show({"metadata": {"name": "a", "uid": "old"}}, gone=True)
        assert not followed.gone


async def test_a_pod_is_followed_once() -> None:
    async with scene() as it:
        it.watch.follow("a")
        with pytest.raises(ExecutorError, match="already waited for"):
            it.watch.follow("a")


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_lines_are_whole_wherever_a_body_is_cut(size: int) -> None:
    body = b'{"a": 1}\n\n{"b": "\xc3\xa4"}\n{"c": 3}\n{"cut'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    assert [line async for line in lines(pieces())] == [b'{"a": 1}', b'{"b": "\xc3\xa4"}', b'{"c": 3}']


class TestRequests:
    async def test_answers_that_pass_are_asked_for_again(self) -> None:
        async with FakeKube() as kube, Api(KubernetesOptions(api_server=kube.url)) as api:
            kube.faults += [
                Fault("GET", status=429, body="slow down", headers={"Retry-After": "0"}),
                Fault("GET", drop=True),
                Fault("GET", status=503),
            ]
            assert (await api.request("GET", pods_path("ns")))["kind"] == "PodList"
            assert len(kube.requests) == 4

    async def test_patience_ends(self) -> None:
        async with FakeKube() as kube, Api(KubernetesOptions(api_server=kube.url)) as api:
            kube.faults.append(Fault("GET", times=1000, status=503, body="away"))
            with pytest.raises(TransientExecutorError, match="away"):
                await api.request("GET", pods_path("ns"), patience=0.01)

    async def test_an_api_that_is_not_there_is_named(self) -> None:
        async with Api(KubernetesOptions(api_server="http://127.0.0.1:1")) as api:
            with pytest.raises(TransientExecutorError, match=r"connection timed out: .*127\.0\.0\.1:1"):
                await api.request("GET", "/version", patience=0.01)

    @pytest.mark.parametrize(("status", "body", "passes"), [
        (403, {"message": "exceeded quota"}, False), (409, {"message": "Operation cannot be fulfilled on resourcequotas"}, True),
        (500, {"kind": "Status", "message": "etcdserver: request is too large"}, False),
        (500, {"kind": "Status", "reason": "InternalError", "message": "etcdserver: leader changed"}, True), (500, {}, True), (422, {}, False),
        (500, {"message": "<html>upstream is away</html>"}, True), (503, {"kind": "Status", "reason": "ServiceUnavailable"}, True),
    ])  # fmt: skip
    def test_which_answers_pass(self, status: int, body: Any, passes: bool) -> None:
        assert ApiError(status, body).passes is passes

    async def test_a_context_that_is_not_there_is_named(self, tmp_path: Any) -> None:
        kubeconfig = tmp_path / "config"
        kubeconfig.write_text("apiVersion: v1\nkind: Config\ncontexts: []\nclusters: []\nusers: []\n")
        with pytest.raises(ExecutorError, match=r"the kubeconfig cannot be used: .*nowhere"):
            async with Api(KubernetesOptions(kubeconfig=kubeconfig, kube_context="nowhere")):
                pass

    async def test_a_kubeconfig_that_is_not_there_is_named(self, tmp_path: Any) -> None:
        with pytest.raises(ExecutorError, match=f"the kubeconfig {tmp_path}/none is not there"):
            async with Api(KubernetesOptions(kubeconfig=tmp_path / "none")):
                pass

    def test_queries_are_written_as_kubernetes_does(self) -> None:
        assert query_of(watch=True, limit=5, continue_=None) == [("watch", "true"), ("limit", "5")]


async def test_a_pod_that_ends_is_seen_to_the_end() -> None:
    async with scene() as it:
        it.kube.script("short", ends(3, message="why"))
        followed = it.watch.follow("short")
        it.make("short")
        await until(lambda: phase(followed.pod) == "Failed")
