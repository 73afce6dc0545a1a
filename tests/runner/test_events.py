"""Changes of a run as its readers see them: all for who keeps up, the latest of each node for who does not, and the end for everybody."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowcore
from flowcore.audience import Change, Mailbox, NodeChanged, RunChanged
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, WorkflowPhase
from flowcore.ports import Invocation, Logged, Outcome, Reporter, RunContext
from flowcore.testing import Flow
from flowcore_backends.fake import FakeExecutor

HELLO = Path(__file__).resolve().parents[2] / "docs" / "examples" / "hello.yaml"
WIDE = """
kind: Workflow
metadata: {name: wide}
spec:
  entrypoint: main
  templates:
    - name: main
      steps: [[{name: one, template: work, withSequence: {count: "300"}}]]
    - name: work
      container: {image: alpine, command: [work]}
"""


def node(name: str, phase: Phase) -> Node:
    return Node(id=NodeId(name), name=name, display_name=name, type=NodeType.POD, phase=phase)


def logged(text: str) -> Logged:
    return Logged(NodeId("a"), "main", "stdout", text, datetime(2024, 1, 1, tzinfo=UTC))


async def emptied(box: Mailbox) -> list[Change]:
    box.close()
    return [change async for change in box]


async def test_who_keeps_up_gets_every_change() -> None:
    box = Mailbox(most=10)
    changes: list[Change] = [NodeChanged(node("a", Phase.PENDING), None), logged("x"), RunChanged(RunRow(name="r"))]
    for change in changes:
        box.put(change)
    assert await emptied(box) == changes


async def test_who_falls_behind_gets_the_latest_row_and_the_one_he_knew() -> None:
    box = Mailbox(most=4)
    rows = [node("a", phase) for phase in (Phase.PENDING, Phase.RUNNING, Phase.SUCCEEDED)]
    for before, after in zip([None, *rows], rows, strict=False):
        box.put(NodeChanged(after, before))
    for phase in (WorkflowPhase.RUNNING, WorkflowPhase.SUCCEEDED):
        box.put(RunChanged(RunRow(name="r", phase=phase)))
    assert await emptied(box) == [NodeChanged(rows[-1], None), RunChanged(RunRow(name="r", phase=WorkflowPhase.SUCCEEDED))]


PUTS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(list(Phase)), st.integers(0, 60)), max_size=120)


@given(PUTS)
def test_whatever_is_dropped_the_last_row_of_each_node_arrives(puts: list[tuple[str, Phase, int]]) -> None:
    """And the box never holds more than twice as much as there are nodes and as it may."""
    box, last = Mailbox(most=10, text=200), {}
    for name, phase, length in puts:
        last[name] = node(name, phase)
        box.put(NodeChanged(last[name], None))
        box.put(logged("x" * length))
        assert len(box) <= 2 * (len(last) + 5) + 1
    found = anyio.run(emptied, box)
    assert {change.node.name: change.node for change in found if isinstance(change, NodeChanged)} == last
    assert sum(len(change.text) for change in found if isinstance(change, Logged)) <= 200


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_a_reader_who_sleeps_through_a_run_sees_its_end(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run does not wait for him, and he learns how each of its nodes ended."""
    monkeypatch.setattr(Mailbox.__init__, "__kwdefaults__", {"most": 50, "text": 1000})

    async def sleeper() -> dict[str, Phase]:
        seen: dict[str, Phase] = {}
        async with flowcore.open_run(WIDE, executor=FakeExecutor()) as run:
            first = True
            async for change in run.events(replay=True):
                if first:
                    await run.result()
                    first = False
                if isinstance(change, NodeChanged):
                    seen[change.node.name] = change.node.phase
            assert seen == {row.name: row.phase for row in (await run.result()).nodes.values()}
        return seen

    seen = anyio.run(sleeper, backend=library)
    assert len(seen) == 302
    assert set(seen.values()) == {Phase.SUCCEEDED}


async def test_who_comes_late_learns_what_each_row_was_before() -> None:
    flow = Flow().load(HELLO)
    flow.when("say-hello").takes("1h")
    async with flow.open() as run:
        while not run.snapshot().nodes:
            await anyio.lowlevel.checkpoint()
        before = dict(run.snapshot().nodes)
        changed = [change async for change in run.events() if isinstance(change, NodeChanged)]
    assert changed[0].previous == before[changed[0].node.id]
    for one, other in pairwise(changed):
        assert other.previous == one.node


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_readers_come_and_go_while_it_runs(library: str) -> None:
    async def some(run: flowcore.Run, most: int, told: Callable[[int], None]) -> None:
        count = 0
        async for _ in run.events():
            count += 1
            if count == most:
                break
        told(count)

    async def main() -> list[int]:
        counts: list[int] = []
        async with flowcore.open_run(WIDE, executor=FakeExecutor()) as run, anyio.create_task_group() as tasks:
            for most in (1, 20, 100_000):
                tasks.start_soon(some, run, most, counts.append)
        return sorted(counts)

    one, twenty, all_ = anyio.run(main, backend=library)
    assert (one, twenty) == (1, 20)
    assert all_ > 300


def test_many_event_loops_at_once() -> None:
    """One executor object, a loop and a thread for each run, asyncio and trio side by side."""
    fake = FakeExecutor()
    fake.when("work").takes("1h")
    phases: list[str] = []

    def drive(library: str, number: int) -> None:
        result = anyio.run(partial(flowcore.run, WIDE, executor=fake, name=f"wide-{number}"), backend=library)
        phases.append(str(result.phase))

    threads = [threading.Thread(target=drive, args=(("asyncio", "trio")[number % 2], number)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert phases == ["Succeeded"] * 4


def test_names_and_ids_repeat_with_a_seed() -> None:
    one, same, other = (
        flowcore.run_sync(WIDE.replace("name: wide", "generateName: wide-", 1), executor=FakeExecutor(), seed=seed) for seed in (7, 7, 8)
    )
    assert (one.name, one.row.uid) == (same.name, same.row.uid) != (other.name, other.row.uid)


class _Broken:
    """An executor with a mistake in it."""

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        raise ZeroDivisionError("oh")

    async def stop(self, invocation: Invocation, grace: object) -> None:
        """Nothing runs."""

    async def close(self, context: RunContext) -> None:
        """Nothing is kept."""


def test_what_goes_wrong_inside_goes_to_the_logger_called_flowcore(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="flowcore"):
        result = flowcore.run_sync(HELLO, executor=_Broken())
    assert result.phase == "Error"
    assert [record.name for record in caplog.records] == ["flowcore"]
    assert "ZeroDivisionError: oh" in result.message


async def test_a_run_that_can_never_end_says_so() -> None:
    """Nothing stops a run that nobody holds: work that hangs for ever is an error, not a test that never returns."""
    flow = Flow().load(HELLO)
    flow.when("say-hello").hangs()
    with pytest.raises(flowcore.UsageError, match=r"can never end: .* runs until something stops it"):
        await flow.run_async()


LOCKED = """
kind: Workflow
metadata: {name: locked}
spec:
  entrypoint: main
  templates:
    - name: main
      steps: [[{name: one, template: work}, {name: other, template: work}]]
    - name: work
      synchronization: {mutexes: [{name: door}]}
      container: {image: alpine, command: [work]}
"""
INTO_ITSELF = LOCKED.replace("- name: main", "- name: main\n      synchronization: {mutexes: [{name: door}]}")


async def test_a_run_that_waits_for_a_lock_of_its_own_says_so() -> None:
    """Whether its holder hangs, or is what encloses the one that waits."""
    flow = Flow().load(LOCKED)
    flow.when("work").hangs()
    with pytest.raises(flowcore.UsageError, match="runs until something stops it"):
        await flow.run_async()
    result = await Flow().load(INTO_ITSELF).run_async()
    assert (result.phase, result.message) == (
        "Error",
        "nothing can start any more: what is left waits for default/Mutex/door, which this run holds itself",
    )
    limits = {"kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {"one": "1"}}
    semaphore = INTO_ITSELF.replace("mutexes: [{name: door}]", "semaphores: [{configMapKeyRef: {name: limits, key: one}}]")
    with pytest.raises(flowcore.UsageError, match="waits for locks that it holds itself"):
        await flowcore.run(semaphore, executor=FakeExecutor(), catalog=flowcore.MemoryCatalog([limits]))
