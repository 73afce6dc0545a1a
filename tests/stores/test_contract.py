"""What every store does: rows, claims, orders, logs, documents, remembered outputs and locks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from flowcore.clocks import VirtualClock
from flowcore.durable import RunStore
from flowcore.errors import StoreError
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, WorkflowPhase
from flowcore.ports import Logged
from flowcore_backends.stores.sql_store import SqlStore

NOW = datetime(2024, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
RUN = RunRow(name="wf", uid="0000-1", created_at=NOW, labels={"a": "b"}, conditions=({"type": "X"},))
MANIFEST = {"kind": "Workflow", "metadata": {"name": "wf"}, "spec": {"entrypoint": "main"}}


def node(number: int, **given: object) -> Node:
    name = f"wf[{number}]"
    return Node(id=NodeId(f"wf-{number}"), name=name, display_name=name, type=NodeType.POD, seq=number, **given)


async def test_is_a_run_store(store: SqlStore) -> None:
    assert isinstance(store, RunStore)


async def test_what_is_saved_is_loaded(store: SqlStore) -> None:
    claim = await store.claim("wf", "default")
    full = node(
        2,
        phase=Phase.RUNNING,
        parents=(NodeId("wf"),),
        outbound=(NodeId("x"),),
        wake_at=NOW,
        started_at=NOW,
        inputs={"parameters": [{"name": "p", "value": "ü\0\ud800"}]},
        memoization={"hit": False},
        daemoned=True,
    )
    await claim.save(RUN, [node(1), full], MANIFEST)
    done = replace(node(1), phase=Phase.SUCCEEDED, outputs={"result": "1"})
    running = replace(RUN, phase=WorkflowPhase.RUNNING)
    await claim.save(running, [done])
    stored = await store.load("wf", "default")
    assert stored is not None
    assert (stored.run, list(stored.nodes), stored.manifest) == (running, [done, full], MANIFEST)
    assert await store.load("wf", "other") is None


async def test_a_run_goes_into_the_archive_and_back(store: SqlStore) -> None:
    """With its nodes, logs and documents, under a name of its own, so that the old one can be given again."""
    claim = await store.claim("wf", "default")
    ended = replace(RUN, phase=WorkflowPhase.SUCCEEDED)
    await claim.save(ended, [node(1)], MANIFEST)
    await claim.append_logs([Logged(NodeId("wf-1"), "main", "stdout", "text", NOW)])
    await store.put_document("RunTemplates", "wf", "default", {"of": "this"})
    with pytest.raises(StoreError, match="is driven by"):
        await store.move("wf", "wf#0000-1", ended, archived=True)
    await claim.give_back()
    await store.move("wf", "wf#0000-1", ended, archived=True)
    assert await store.load("wf", "default") is None
    assert await store.runs() == []
    (found,) = await store.runs(archived=True, prefix="0000")
    assert (found.run, found.key, found.archived) == (ended, "wf#0000-1", True)
    await store.replace(replace(RUN, uid="0000-2"), [], MANIFEST)
    with pytest.raises(StoreError, match="there is a run wf already"):
        await store.move(found.key, "wf", ended, archived=False)
    assert (await store.load(found.key, "default")).nodes == (node(1),)
    assert [line.logged.text for line in await store.logs(found.key, "default")] == ["text"]
    assert await store.documents("RunTemplates", name=found.key) == [{"of": "this"}]
    await store.delete("wf", "default")
    await store.move(found.key, "wf", ended, archived=False)
    assert [each.key for each in await store.runs()] == ["wf"]
    assert await store.delete("wf", "default")
    with pytest.raises(StoreError, match="deleted just now"):
        await store.move("wf", "wf#0000-1", ended, archived=True)


async def test_nobody_takes_a_run_from_a_living_driver(store: SqlStore) -> None:
    await store.claim("wf", "default")
    with pytest.raises(StoreError, match="run wf is driven by process"):
        await store.claim("wf", "default")


async def test_a_silent_driver_loses_its_run_and_can_save_nothing(store: SqlStore, clock: VirtualClock) -> None:
    first = await store.claim("wf", "default")
    await first.save(RUN, [node(1)], MANIFEST)
    clock.advance(timedelta(seconds=31))
    second = await store.claim("wf", "default")
    for attempt in (first.save(RUN, [node(2)]), first.renew(), first.save(RUN, [node(3)], MANIFEST)):
        with pytest.raises(StoreError, match="driven by another process now"):
            await attempt
    await first.give_back()
    await second.renew()
    stored = await store.load("wf", "default")
    assert stored is not None
    assert [row.id for row in stored.nodes] == ["wf-1"]


async def test_renewing_and_saving_keep_a_run(store: SqlStore, clock: VirtualClock) -> None:
    claim = await store.claim("wf", "default")
    for step in (claim.renew, lambda: claim.save(RUN, [], MANIFEST), claim.renew):
        clock.advance(timedelta(seconds=20))
        await step()
    with pytest.raises(StoreError):
        await store.claim("wf", "default")
    await claim.give_back()
    await store.claim("wf", "default")


async def test_a_claim_without_a_row_leaves_nothing(store: SqlStore) -> None:
    claim = await store.claim("wf", "default")
    assert await store.runs() == []
    await claim.give_back()
    assert not await store.delete("wf", "default")


async def test_runs_are_listed_newest_first(store: SqlStore) -> None:
    for day, (name, phase) in enumerate([("old", WorkflowPhase.SUCCEEDED), ("mid", WorkflowPhase.RUNNING), ("new", WorkflowPhase.FAILED)]):
        row = RunRow(name=name, namespace="n", uid=f"u{name}", phase=phase, created_at=NOW + timedelta(days=day))
        await store.replace(row, [], MANIFEST)
    assert [each.run.name for each in await store.runs()] == ["new", "mid", "old"]
    assert [each.run.name for each in await store.runs("n", unfinished=True)] == ["mid"]
    assert [each.run.name for each in await store.runs(prefix="ol")] == ["old"]
    assert [each.run.name for each in await store.runs(prefix="unew")] == ["new"]
    assert await store.runs("other") == []


async def test_the_driver_is_shown_while_it_lives(store: SqlStore, clock: VirtualClock) -> None:
    claim = await store.claim("wf", "default")
    await claim.save(RUN, [], MANIFEST)
    assert [each.driver for each in await store.runs()] == [store.driver]
    clock.advance(timedelta(minutes=1))
    assert [each.driver for each in await store.runs()] == [None]


async def test_replacing_forgets_old_rows(store: SqlStore) -> None:
    await store.replace(RUN, [node(1), node(2)], MANIFEST)
    await store.replace(RUN, [node(1)], {**MANIFEST, "x": 1})
    stored = await store.load("wf", "default")
    assert stored is not None
    assert ([row.seq for row in stored.nodes], stored.manifest["x"]) == ([1], 1)


async def test_deleting_takes_all_that_belongs_to_a_run(store: SqlStore) -> None:
    claim = await store.claim("wf", "default")
    await claim.save(RUN, [node(1)], MANIFEST)
    await claim.append_logs([Logged(NodeId("wf-1"), "main", "stdout", "hello", NOW)])
    await store.give_order("wf", "default", {"stop": True})
    with pytest.raises(StoreError, match="driven by"):
        await store.delete("wf", "default")
    await claim.give_back()
    assert await store.delete("wf", "default")
    assert not await store.delete("wf", "default")
    assert (await store.load("wf", "default"), await store.orders(), await store.logs("wf", "default")) == (None, [], [])


async def test_orders_wait_until_they_are_struck_off(store: SqlStore) -> None:
    await store.give_order("wf", "default", {"order": "stop"})
    await store.give_order("wf", "default", {"order": "resume"})
    first, second = await store.orders()
    assert (first.name, first.namespace, first.order, second.order) == ("wf", "default", {"order": "stop"}, {"order": "resume"})
    await store.strike_orders([first.id])
    assert await store.orders() == [second]


async def test_logs_by_node_and_place(store: SqlStore) -> None:
    claim = await store.claim("wf", "default")
    await claim.save(RUN, [], MANIFEST)
    await claim.append_logs([Logged(NodeId(f"wf-{number % 2}"), "main", "stderr", f"line {number}\0", NOW) for number in range(4)])
    lines = await store.logs("wf", "default")
    assert [line.logged.text for line in lines] == [f"line {number}\ufffd" for number in range(4)]
    assert [line.logged.text for line in await store.logs("wf", "default", node=NodeId("wf-1"), after=lines[1].id)] == ["line 3\ufffd"]
    assert lines[0].logged.stream == "stderr"
    assert lines[0].logged.at == NOW


async def test_documents(store: SqlStore) -> None:
    await store.put_document("WorkflowTemplate", "a", "n", {"v": 1})
    await store.put_document("WorkflowTemplate", "a", "n", {"v": 2})
    await store.put_document("CronWorkflow", "c", "n", {"v": 3})
    assert await store.documents() == [{"v": 3}, {"v": 2}]
    assert await store.documents("WorkflowTemplate", name="a", namespace="n") == [{"v": 2}]
    assert await store.delete_document("CronWorkflow", "c", "n")
    assert not await store.delete_document("CronWorkflow", "c", "n")


async def test_remembered_outputs_age(store: SqlStore) -> None:
    await store.remember("cache", "key", namespace="n", node=NodeId("wf-1"), outputs={"result": "1"}, now=NOW)
    late = NOW + timedelta(minutes=10)
    assert (await store.recall("cache", "key", namespace="n", max_age=None, now=late)).outputs == {"result": "1"}
    assert not (await store.recall("cache", "key", namespace="n", max_age=timedelta(minutes=9), now=late)).hit
    assert not (await store.recall("cache", "key", namespace="other", max_age=None, now=late)).hit
    await store.remember("cache", "key", namespace="n", node=NodeId("wf-2"), outputs=None, now=late)
    again = await store.recall("cache", "key", namespace="n", max_age=timedelta(minutes=9), now=late)
    assert (again.hit, again.outputs) == (True, None)


async def test_locks_are_recorded_with_the_next_rows(store: SqlStore) -> None:
    claim = await store.claim("wf", "default")
    store.note_lock("n/Mutex/m", "n/wf/1")
    store.note_lock("n/Mutex/o", "n/wf/1")
    store.note_lock("n/Mutex/m", "n/wf/2")
    assert await store.held_locks() == []
    await claim.save(RUN, [], MANIFEST)
    store.note_release("n/wf/1")
    assert len(await store.held_locks()) == 3
    await claim.save(RUN, [])
    assert await store.held_locks() == [("n/Mutex/m", "n/wf/2")]


async def test_what_comes_together_is_one_commit(store: SqlStore) -> None:
    """As long as it is not so little that each is recorded on the spot."""
    claims = [await store.claim(f"wf-{number}", "default") for number in range(50)]
    before = store.connections.commits
    async with anyio.create_task_group() as tasks:
        for number, claim in enumerate(claims):
            row = RunRow(name=f"wf-{number}", created_at=NOW)
            tasks.start_soon(claim.save, row, [node(place) for place in range(40)], MANIFEST)
    assert store.connections.commits - before <= 3
    assert len(await store.runs()) == 50


async def test_what_fails_takes_back_only_itself(store: SqlStore, clock: VirtualClock) -> None:
    lost, good = await store.claim("lost", "default"), await store.claim("good", "default")
    clock.advance(timedelta(seconds=31))
    await store.claim("lost", "default")
    failures: list[StoreError] = []

    async def save(claim: object, name: str) -> None:
        try:
            await claim.save(RunRow(name=name, created_at=NOW), [node(1)], MANIFEST)
        except StoreError as error:
            failures.append(error)

    async with anyio.create_task_group() as tasks:
        for claim, name in ((good, "good"), (lost, "lost"), (good, "good")):
            tasks.start_soon(save, claim, name)
    assert len(failures) == 1
    stored = await store.load("good", "default")
    assert stored is not None
    assert len(stored.nodes) == 1
    assert await store.load("lost", "default") is None
