"""The service: queue and limits, shared locks, orders, what it takes up, time to live, schedules and events, all in virtual time."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from flowcore.clocks import SharedVirtualClock
from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject
from flowcore.memory import MemoryCache
from flowcore.ports import Invocation, RunContext
from flowcore.service import Service
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.stores.sqlite import SqliteStore

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))


def workflow(name: str, **spec: Any) -> JsonObject:
    main = {"name": "main", "container": {"image": "i", "command": ["c"]}, **spec.pop("template", {})}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"entrypoint": "main", "templates": [main], **spec},
    }


class Counting(FakeExecutor):
    """A fake that notes when each node began, and how many ran at once."""

    def __init__(self, takes: str = "10s") -> None:
        super().__init__()
        self.when().takes(takes)
        self.order: list[str] = []

    def foresee(self, invocation: Invocation) -> Any:
        self.order.append(invocation.workflow)
        return super().foresee(invocation)


def service(fake: FakeExecutor | None = None, *, until: datetime | None = None, **given: Any) -> Service:
    store = given.pop("store", None) or SqliteStore(":memory:")
    return Service(store, fake or Counting(), clock=given.pop("clock", None) or SharedVirtualClock(START, until), seed=1, **given)


async def test_remembered_outputs_are_where_the_service_is_told_to_keep_them() -> None:
    cache, fake = MemoryCache(), Counting()
    memoize = {"key": "k", "cache": {"configMap": {"name": "c"}}}
    one = service(fake, cache=cache)
    async with one.start():
        for name in ("first", "second"):
            await one.wait((await one.submit(workflow(name, template={"memoize": memoize}))).name)
    assert fake.order == ["first"]
    assert (await cache.recall("c", "k", namespace="default", max_age=None, now=START)).hit


async def test_runs_share_one_virtual_time() -> None:
    one = service()
    async with one.start():
        rows = [await one.submit(workflow(f"wf-{number}")) for number in range(3)]
        ends = [await one.wait(row.name) for row in rows]
    assert [row.phase for row in ends] == ["Succeeded"] * 3
    assert {row.finished_at - row.started_at for row in ends} == {timedelta(seconds=10)}


async def test_parallelism_and_priority() -> None:
    fake = Counting()
    one = service(fake, parallelism=1)
    async with one.start():
        await one.submit(workflow("first"))
        await one.submit(workflow("low", priority=1))
        await one.submit(workflow("high", priority=5))
        await one.submit(workflow("low-2", priority=1))
        for name in ("first", "low", "high", "low-2"):
            await one.wait(name)
    assert fake.order == ["first", "high", "low", "low-2"]


async def test_locks_hold_across_runs() -> None:
    fake = Counting()
    one = service(fake)
    lock = {"synchronization": {"mutexes": [{"name": "m"}]}}
    async with one.start():
        for number in range(20):
            await one.submit(workflow(f"wf-{number:02}", template=lock))
        rows = [await one.wait(f"wf-{number:02}") for number in range(20)]
        held = await one.store.held_locks()
    ends = sorted(row.finished_at for row in rows if row.finished_at is not None)
    assert all(later - sooner >= timedelta(seconds=10) for sooner, later in itertools.pairwise(ends))
    assert held == []


async def test_unfinished_runs_are_taken_up() -> None:
    store = SqliteStore(":memory:")
    first = service(Counting("1h"), store=store, until=START + timedelta(minutes=1))
    async with first.start():
        await first.submit(workflow("wf"))
        await first.clock.reached_end()
        assert (await first.get("wf")).run.phase == "Running"
    second = service(Counting("1m"), store=store)
    async with second.start():
        assert (await second.wait("wf")).phase == "Succeeded"


async def test_what_has_begun_goes_on_before_what_waits() -> None:
    store = SqliteStore(":memory:")
    first = service(Counting("40s"), store=store, until=START + timedelta(minutes=1), parallelism=1)
    async with first.start():
        await first.submit(workflow("before"))
        await first.submit(workflow("urgent", priority=9))
        await first.submit(workflow("old"))
        await first.clock.reached_end()
        assert (await first.get("urgent")).run.phase == "Running"
    fake = Counting("1m")
    second = service(fake, store=store, parallelism=1)
    async with second.start():
        for name in ("old", "urgent"):
            assert (await second.wait(name)).phase == "Succeeded"
    assert fake.order == ["urgent", "old"]


async def test_orders_by_name_prefix_and_latest() -> None:
    one = service(until=START + timedelta(days=1))
    async with one.start():
        row = await one.submit(workflow("approval", template={"container": None, "suspend": {}}))
        await one.clock.reached_end()
        with pytest.raises(UsageError, match="no suspended node matches"):
            await one.resume("appr", selector="displayName=other")
        await one.resume("@latest")
        assert (await one.wait(row.uid)).phase == "Succeeded"
        with pytest.raises(UsageError, match="has ended"):
            await one.stop("approval")


async def test_a_retry_waits_until_the_end_of_the_run_is_wound_up() -> None:
    """Its rows say already that it has ended, and its driver still clears away what it made."""

    class Slow(Counting):
        async def close(self, context: RunContext) -> None:
            closing.set()
            await may_close.wait()

    closing, may_close = anyio.Event(), anyio.Event()
    fake = Slow()
    fake.when().fails()
    one = service(fake)
    async with one.start():
        await one.submit(workflow("wf"))
        await closing.wait()
        assert (await one.get("wf")).run.phase == "Failed"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.retry, "wf")
            await anyio.wait_all_tasks_blocked()
            may_close.set()
        await one.wait("wf")
    assert fake.order == ["wf", "wf"]


async def test_retry_resubmit_and_fork() -> None:
    fake = FakeExecutor()
    fake.when().fails(times=1)
    one = service(fake)
    async with one.start():
        await one.submit(workflow("wf"))
        assert (await one.wait("wf")).phase == "Failed"
        await one.retry("wf")
        await one.wait("wf")
        row = await one.resubmit("wf", parameters={"x": "1"})
        assert row.name.startswith("wf-")
        await one.wait(row.name)
        forked = await one.fork("wf", selector="name=wf", name="forked") if (await one.get("wf")).run.phase.completed else row
        await one.wait(forked.name)
        with pytest.raises(UsageError, match="already exists"):
            await one.submit(workflow("wf"))
        await one.delete("forked")
        with pytest.raises(UsageError, match="there is no run 'forked'"):
            await one.get("forked")


async def test_time_to_live() -> None:
    one = service(until=START + timedelta(hours=1))
    async with one.start():
        await one.submit(workflow("short", ttlStrategy={"secondsAfterCompletion": 60}))
        await one.submit(workflow("long", ttlStrategy={"secondsAfterSuccess": 7200}))
        await one.clock.reached_end()
        assert [each.run.name for each in await one.list()] == ["long"]


def cron_workflow(**spec: Any) -> JsonObject:
    body = workflow("x")["spec"]
    return {"kind": "CronWorkflow", "metadata": {"name": "nightly", "namespace": "default"}, "spec": {"workflowSpec": body, **spec}}


async def runs_of(cron: JsonObject, *, length: timedelta, takes: str = "10s") -> tuple[list[str], JsonObject]:
    """The runs that a schedule began in so much time, and what became of it."""
    fake = Counting(takes)
    one = service(fake, until=START + length)
    await one.store.put_document("CronWorkflow", "nightly", "default", cron)
    async with one.start():
        await one.clock.reached_end()
    found = await one.store.documents("CronWorkflow")
    return fake.order, found[0]


async def test_a_month_of_nights() -> None:
    order, cron = await runs_of(cron_workflow(schedules=["0 3 * * *"], timezone="Europe/Berlin"), length=timedelta(days=30))
    assert len(order) == 30
    assert order[0] == f"nightly-{int(datetime(2024, 1, 1, 2, tzinfo=UTC).timestamp())}"
    assert cron["status"]["succeeded"] == 30


async def test_forbid_and_replace() -> None:
    forbidden, _ = await runs_of(cron_workflow(schedules=["0 * * * *"], concurrencyPolicy="Forbid"), length=timedelta(hours=6), takes="90m")
    assert len(forbidden) == 3
    replaced, cron = await runs_of(
        cron_workflow(schedules=["0 * * * *"], concurrencyPolicy="Replace"), length=timedelta(hours=6), takes="90m"
    )
    assert len(replaced) == 6
    assert cron["status"]["failed"] == 5


async def test_stop_strategy_and_when() -> None:
    order, cron = await runs_of(
        cron_workflow(schedules=["0 * * * *"], stopStrategy={"expression": "cronworkflow.succeeded >= 3"}), length=timedelta(days=1)
    )
    assert len(order) == 3
    assert cron["status"]["phase"] == "Stopped"
    skipped, _ = await runs_of(cron_workflow(schedules=["0 * * * *"], when="1 == 2"), length=timedelta(days=1))
    assert skipped == []


async def test_one_missed_run_is_made_up_for() -> None:
    cron = cron_workflow(schedules=["0 * * * *"], startingDeadlineSeconds=3700)
    cron["status"] = {"lastScheduledTime": "2023-12-31T12:00:00Z"}
    order, _ = await runs_of(cron, length=timedelta(minutes=30))
    assert order == [f"nightly-{int(datetime(2023, 12, 31, 23, tzinfo=UTC).timestamp())}"]


async def test_events_submit_what_is_bound_to_them() -> None:
    one = service()
    template = {
        "kind": "WorkflowTemplate",
        "metadata": {"name": "t"},
        "spec": workflow("x", arguments={"parameters": [{"name": "who"}]})["spec"],
    }
    binding = {
        "kind": "WorkflowEventBinding",
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {
            "event": {"selector": 'payload.kind == "push" && discriminator == "git"'},
            "submit": {
                "workflowTemplateRef": {"name": "t"},
                "arguments": {"parameters": [{"name": "who", "valueFrom": {"event": "payload.user"}}]},
            },
        },
    }
    await one.store.put_document("WorkflowTemplate", "t", "default", template)
    await one.store.put_document("WorkflowEventBinding", "b", "default", binding)
    async with one.start():
        assert await one.dispatch_event({"kind": "pull"}, discriminator="git") == []
        (row,) = await one.dispatch_event({"kind": "push", "user": {"id": 7}}, discriminator="git")
        assert (await one.wait(row.name)).phase == "Succeeded"
        manifest = (await one.get(row.name)).manifest
    assert manifest["spec"]["arguments"]["parameters"] == [{"name": "who", "value": '{"id":7}'}]


async def test_hundreds_of_runs_with_a_contended_semaphore() -> None:
    fake = Counting("1m")
    limits = {"kind": "ConfigMap", "metadata": {"name": "limits", "namespace": "default"}, "data": {"three": "3"}}
    one = service(fake)
    await one.store.put_document("ConfigMap", "limits", "default", limits)
    lock = {"synchronization": {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "three"}}]}}
    async with one.start():
        for number in range(60):
            await one.submit(workflow(f"wf-{number:02}", template=lock))
        rows = [await one.wait(f"wf-{number:02}") for number in range(60)]
    spans = [(row.started_at, row.finished_at) for row in rows]
    assert max(end for _, end in spans if end is not None) >= START + timedelta(minutes=20)
    assert {row.phase for row in rows} == {"Succeeded"}
