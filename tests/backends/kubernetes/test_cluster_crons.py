"""CronWorkflows and templates of a cluster under a service: made, changed, suspended and deleted there, run here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flowcore.jsontypes import JsonObject, object_of
from flowcore.service import Service
from flowcore.service.host_documents import HostDocuments
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.stores.sqlite import SqliteStore

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes.catalog import ClusterCatalog
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.testing import FakeKube
from tests.backends.kubernetes.served import served

INSTANCE = "workflows.argoproj.io/controller-instanceid"
START = datetime(2024, 1, 1, 12, 0, 30, tzinfo=UTC)


class Moved:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.01)

    async def sleep_until(self, moment: datetime) -> None:
        while self.at < moment:
            await asyncio.sleep(0.005)


class Scene:
    def __init__(self, kube: FakeKube, loop: asyncio.AbstractEventLoop, service: Service, clock: Moved) -> None:
        self.kube, self.service, self.clock = kube, service, clock
        self._loop = loop

    def do(self, deed: Callable[..., Any], *given: Any) -> None:
        """Do something in the thread of the server."""

        async def done() -> None:
            deed(*given)

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(10)

    def change(self, name: str, **changes: Any) -> None:
        """Change a CronWorkflow in the cluster, by a merge patch."""
        self.do(self.kube.store.patch, "cronworkflows", "default", name, changes, "merge")

    async def kept(self) -> dict[str, JsonObject]:
        found = await self.service.store.documents("CronWorkflow")
        return {str(object_of(one, "metadata")["name"]): one for one in found}

    async def until(self, condition: Callable[[dict[str, JsonObject]], object]) -> dict[str, JsonObject]:
        """The documents that the store keeps, once they are so."""
        while not condition(found := await self.kept()):
            await asyncio.sleep(0.005)
        return found

    async def minute_passes(self, minutes: int = 1) -> list[str]:
        """The names of all runs after so much time, once the service has looked."""
        self.clock.at += timedelta(minutes=minutes)
        for document in await self.service.store.documents("CronWorkflow"):
            await self.service.schedules._tend(document)
        return sorted(each.run.name for each in await self.service.store.runs())


def cron(name: str, *, labelled: bool = True, **spec: Any) -> JsonObject:
    template = {"name": "main", "container": {"image": "i", "command": ["c"]}}
    workflow: JsonObject = {"entrypoint": "main", "templates": [template]}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": name, "labels": {INSTANCE: "flowcore"} if labelled else {}},
        "spec": {"schedules": ["* * * * *"], "workflowSpec": workflow, **spec},
    }


@asynccontextmanager
async def scene(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> AsyncIterator[Scene]:
    monkeypatch.setenv("FLOWCORE_STATE", str(folder))
    clock: Any = Moved()
    kube = FakeKube()
    with served(kube) as loop:
        chosen = KubernetesOptions(api_server=kube.url, write_back_every=timedelta(milliseconds=10), **options)
        with ClusterCatalog(chosen) as catalog:
            service = Service(SqliteStore(":memory:"), FakeExecutor(), catalog, clock=clock)
            follow = asyncio.create_task(HostDocuments(service).run())
            try:
                async with asyncio.timeout(20):
                    yield Scene(kube, loop, service, clock)
            finally:
                follow.cancel()
                with suppress(asyncio.CancelledError):
                    await follow
                await service.store.close()


async def test_they_are_run_as_they_are_made_changed_suspended_and_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(tmp_path, monkeypatch) as it:
        it.do(it.kube.add, cron("nightly"))
        it.do(it.kube.add, cron("of-a-controller", labelled=False))
        assert set(await it.until(lambda kept: kept)) == {"nightly"}
        assert await it.minute_passes(0) == []
        assert len(first := await it.minute_passes()) == 1
        assert first[0].startswith("nightly-")

        it.change("nightly", spec={"suspend": True})
        await it.until(lambda kept: object_of(kept["nightly"], "spec").get("suspend"))
        assert await it.minute_passes(5) == first

        it.change("nightly", spec={"suspend": False})
        await it.until(lambda kept: not object_of(kept["nightly"], "spec").get("suspend"))
        assert await it.minute_passes(0) == first  # what was missed while it was suspended is not made up for
        assert len(second := await it.minute_passes()) == 2

        it.change("nightly", spec={"schedules": ["0 0 * * *"]})
        await it.until(lambda kept: object_of(kept["nightly"], "spec")["schedules"] == ["0 0 * * *"])
        assert await it.minute_passes() == second

        it.do(it.kube.store.delete, "cronworkflows", "default", "nightly")
        await it.until(lambda kept: not kept)
        assert await it.minute_passes(60 * 24) == second


async def test_a_service_that_is_started_follows_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real clock: the schedule is every second."""
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))
    kube = FakeKube()
    with served(kube), ClusterCatalog(KubernetesOptions(api_server=kube.url)) as catalog:
        kube.add(cron("often", schedules=["@every 1s"]))
        service = Service(SqliteStore(":memory:"), FakeExecutor(), catalog)
        async with service.start(), asyncio.timeout(20):
            while not (made := await service.store.runs()):
                await asyncio.sleep(0.02)
        assert made[0].run.name.startswith("often-")
        await service.store.close()


async def test_what_became_of_them_is_kept_here_and_shown_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(tmp_path, monkeypatch, write_back=True) as it:
        it.do(it.kube.add, cron("nightly"))
        await it.until(lambda kept: kept)
        await it.minute_passes(0)
        (run,) = await it.minute_passes()
        while not (status := object_of(it.kube.objects("cronworkflows")[0], "status")):
            await asyncio.sleep(0.005)
        assert [one["name"] for one in status["active"]] == [run]
        it.change("nightly", spec={"concurrencyPolicy": "Forbid"})
        kept = await it.until(lambda kept: object_of(kept["nightly"], "spec").get("concurrencyPolicy"))
        assert object_of(kept["nightly"], "status") == status


async def test_those_that_went_while_nobody_looked_go_and_those_of_the_store_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(tmp_path, monkeypatch) as it:
        own = cron("own")
        await it.service.store.put_document("CronWorkflow", "own", "default", own)
        it.do(it.kube.add, cron("gone"))
        await it.until(lambda kept: "gone" in kept)
        it.do(it.kube.drop_connections)
        it.do(it.kube.store.delete, "cronworkflows", "default", "gone")
        it.do(it.kube.add, cron("own", suspend=True))
        it.do(it.kube.restart)
        assert (await it.until(lambda kept: "gone" not in kept)) == {"own": own}


@pytest.mark.parametrize(("which", "expected"), [("all", {"a", "b", "c"}), ("instance", {"a", "c"})])
async def test_which_of_them_is_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, expected: set[str]) -> None:
    async with scene(tmp_path, monkeypatch, cron_workflows=which) as it:
        it.do(it.kube.add, cron("b", labelled=False))
        it.do(it.kube.add, cron("a"))
        await it.until(lambda kept: "a" in kept)
        it.do(it.kube.add, cron("c"))
        assert set(await it.until(lambda kept: "c" in kept)) == expected


async def test_a_missing_right_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("flowcore_backends.kubernetes.documents._SECONDS_UNTIL_ASKED_AGAIN", 0.01)
    async with scene(tmp_path, monkeypatch) as it:
        it.kube.forbidden.add("list cronworkflows")
        it.do(it.kube.restart)
        while 'cannot list resource "cronworkflows"' not in caplog.text:
            await asyncio.sleep(0.005)
        it.kube.forbidden.clear()
        it.do(it.kube.add, cron("a"))
        await it.until(lambda kept: kept)
        assert caplog.text.count("CronWorkflows of the cluster are not watched") == 1


async def test_templates_are_known_as_they_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a request, and without the delay with which others are read again."""
    async with scene(tmp_path, monkeypatch) as it:
        catalog = it.service.catalog
        it.do(it.kube.add, {"kind": "WorkflowTemplate", "metadata": {"name": "t"}, "spec": {"n": 1}})
        it.do(it.kube.add, {"kind": "ClusterWorkflowTemplate", "metadata": {"name": "c"}, "spec": {"n": 1}})

        def seen() -> list[Any]:
            known = [one for one in _known(catalog) if one is not None]
            return sorted(object_of(one, "spec")["n"] for one in known)

        while seen() != [1, 1]:
            await asyncio.sleep(0.005)
        it.kube.requests.clear()
        it.do(it.kube.store.patch, "workflowtemplates", "default", "t", {"spec": {"n": 2}}, "merge")
        while seen() != [1, 2]:
            await asyncio.sleep(0.005)
        assert object_of(catalog.get("WorkflowTemplate", "t", "default") or {}, "spec") == {"n": 2}
        assert object_of(catalog.get("ClusterWorkflowTemplate", "c") or {}, "spec") == {"n": 1}
        it.do(it.kube.store.delete, "workflowtemplates", "default", "t")
        while seen() != [1]:
            await asyncio.sleep(0.005)
        assert all("watch=true" in request for request in it.kube.requests)


def _known(catalog: Any) -> list[JsonObject | None]:
    return [known.manifest for known in catalog._base._known.values()]
