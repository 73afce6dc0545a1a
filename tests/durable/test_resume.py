"""A run that stops between any two turns is driven on, and ends as if nothing had happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore import orders
from flowcore.clocks import RealClock, VirtualClock
from flowcore.errors import StoreError, UsageError
from flowcore.nodes import Phase
from flowcore.ports import Invocation, Logged, Outcome, Reporter, RunContext
from flowcore.results import RunResult
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.stores.sqlite import SqliteStore
from tests.durable.scenes import EVERYTHING, FailingStore


def executor() -> FakeExecutor:
    fake = FakeExecutor()
    fake.when(template="work").takes("7s")
    for number in ("1", "2", "3", "a", "c"):
        fake.when(template="work", text=number).returns(number)
    fake.when(template="flaky", attempt=0).fails(exit_code=1)
    return fake


def shape(result: RunResult) -> dict[str, tuple[Any, ...]]:
    """What must be equal however often a run was interrupted."""
    return {
        row.name: (row.type, row.phase, row.message, row.outputs, row.inputs, sorted(row.parents), row.boundary, row.retried, row.hooked)
        for row in result.nodes.values()
    }


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Artifacts and folders of recorded runs go here."""
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))


async def uninterrupted() -> tuple[RunResult, int]:
    store = FailingStore(10**9, lost=False)
    clock = VirtualClock()
    result = await flowcore.run(EVERYTHING, executor=executor(), clock=clock, store=store)
    return result, 10**9 - store.saves


@pytest.mark.parametrize("lost", [True, False])
async def test_a_crash_at_every_turn(lost: bool) -> None:
    """Before the rows of a turn are recorded, and between record and deed."""
    expected, turns = await uninterrupted()
    assert expected.phase == "Succeeded"
    assert turns > 15
    for turn in range(1, turns):
        store, clock = FailingStore(turn, lost=lost), VirtualClock()
        with pytest.raises(StoreError, match="the disk is full"):
            await flowcore.run(EVERYTHING, executor=executor(), clock=clock, store=store)
        result = await flowcore.resume("all", store=store, executor=executor(), clock=clock)
        assert shape(result) == shape(expected), f"turn {turn}"
        assert result.phase == expected.phase
        assert await store.held_locks() == []
        await store.close()


async def test_a_run_that_has_ended_or_is_unknown_is_not_continued() -> None:
    store = SqliteStore(":memory:")
    await flowcore.run(EVERYTHING, executor=executor(), store=store)
    result = await flowcore.resume("@latest", store=store, executor=executor())
    assert (result.phase, len(result.nodes)) == ("Succeeded", 22)
    with pytest.raises(UsageError, match="recorded already"):
        await flowcore.run(EVERYTHING, executor=executor(), store=store)
    with pytest.raises(UsageError, match="there is no run 'other'"):
        await flowcore.resume("other", store=store, executor=executor())


async def test_templates_are_those_of_the_submission() -> None:
    template = {
        "kind": "WorkflowTemplate",
        "metadata": {"name": "shared"},
        "spec": {"templates": [{"name": "main", "container": {"image": "i", "command": ["old"]}}]},
    }
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "wf"},
        "spec": {"workflowTemplateRef": {"name": "shared"}, "entrypoint": "main"},
    }
    store = FailingStore(1, lost=False)
    with pytest.raises(StoreError):
        await flowcore.run(workflow, executor=FakeExecutor(), store=store, catalog=flowcore.MemoryCatalog([template]))
    fake = FakeExecutor(record=True)
    result = await flowcore.resume("wf", store=store, executor=fake)
    assert result.phase == "Succeeded"
    assert fake.calls()[0].body["container"] == {"image": "i", "command": ["old"]}


async def test_an_order_from_elsewhere_reaches_the_run() -> None:
    store = SqliteStore(":memory:")
    fake = FakeExecutor()
    fake.when(template="flaky").hangs()
    async with flowcore.open_run(EVERYTHING, executor=fake, store=store, clock=RealClock()) as run:
        await store.give_order("all", "default", orders.TERMINATE)
        result = await run.result()
    assert (result.phase, result.message) == ("Failed", "Stopped with strategy 'Terminate'")
    assert await store.orders() == []


class Talking:
    """An executor whose work prints a line."""

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        report(Logged(invocation.node, "main", "stdout", "hello", datetime(2024, 1, 1, tzinfo=UTC)))
        return Outcome(phase=Phase.SUCCEEDED)

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Nothing runs."""

    async def close(self, context: RunContext) -> None:
        """Nothing is kept."""


async def test_what_nodes_print_is_kept() -> None:
    store = SqliteStore(":memory:")
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "wf"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "i", "command": ["c"]}}]},
    }
    await flowcore.run(workflow, executor=Talking(), store=store)
    assert [line.logged.text for line in await store.logs("wf", "default")] == ["hello"]
