"""Retry, resubmit, fork, import and export of real runs, driven on after the operation."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import flowcore
from flowcore import operations, orders
from flowcore import running as flowcore_running
from flowcore.clocks import VirtualClock
from flowcore.errors import InvalidWorkflow, UsageError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase, RunRow
from flowcore.operations.resubmit import memoized
from flowcore.ports import StoredRun
from flowcore.results import RunResult
from flowcore.service import Runs
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.stores.sqlite import SqliteStore

PIPELINE = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf, labels: {team: a}}
spec:
  entrypoint: main
  arguments: {parameters: [{name: who, value: you}, {name: more, value: 1}]}
  onExit: bye
  templates:
    - name: main
      dag:
        tasks:
          - {name: load, template: work}
          - {name: train, template: nested, depends: load}
          - {name: report, template: work, depends: train}
    - name: nested
      steps:
        - - {name: one, template: work}
        - - {name: two, template: flaky}
    - {name: work, script: {image: any, command: [sh], source: "echo {{workflow.parameters.who}}"}}
    - {name: flaky, retryStrategy: {limit: 1}, container: {image: any, command: [flaky]}}
    - {name: bye, container: {image: any, command: [bye]}}
"""


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))


async def ended(*, fails: bool = True) -> tuple[RunRow, list[flowcore.Node], flowcore.RunResult]:
    fake = FakeExecutor()
    if fails:
        fake.when(template="flaky").fails()
    result = await flowcore.run(PIPELINE, executor=fake)
    return result.row, list(result.nodes.values()), result


async def driven_on(run: RunRow, nodes: object, manifest: object) -> tuple[RunResult, list[str]]:
    """The run's end, and what was started for it."""
    store = SqliteStore(":memory:")
    await store.replace(run, nodes, manifest)
    fake = FakeExecutor(record=True)
    result = await flowcore.resume(run.name, store=store, executor=fake)
    await store.close()
    return result, [invocation.node_name for invocation in fake.calls()]


async def test_a_retry_runs_what_failed_and_what_follows() -> None:
    run, nodes, result = await ended()
    assert run.phase == "Failed"
    made = operations.retry(run, nodes, result.manifest, now=VirtualClock().now())
    assert {row.name for row in made.nodes} == {
        "wf",
        "wf.load",
        "wf.train",
        "wf.train[0]",
        "wf.train[0].one",
        "wf.train[1]",
        "wf.train[1].two",
    }
    assert all(pod.startswith(("wf-flaky-", "wf-bye-")) for pod in made.pods)
    again, started = await driven_on(made.run, made.nodes, made.manifest)
    assert again.phase == "Succeeded"
    assert started == ["wf.train[1].two(0)", "wf.report", "wf.onExit"]


async def test_a_retry_restarts_what_succeeded_when_it_is_told_to() -> None:
    run, nodes, result = await ended(fails=False)
    now = VirtualClock().now()
    with pytest.raises(UsageError, match="restart-successful"):
        operations.retry(run, nodes, result.manifest, now=now)
    with pytest.raises(UsageError, match="no node of run wf matches"):
        operations.retry(run, nodes, result.manifest, now=now, restart_successful=True, selector="displayName=none")
    made = operations.retry(
        run, nodes, result.manifest, now=now, restart_successful=True, selector="displayName=train", parameters={"who": "me"}
    )
    again, started = await driven_on(made.run, made.nodes, made.manifest)
    assert started == ["wf.train[0].one", "wf.train[1].two(0)", "wf.report", "wf.onExit"]
    assert again.phase == "Succeeded"
    assert [parameter["name"] for parameter in again.manifest["spec"]["arguments"]["parameters"]] == ["who", "more"]


async def test_a_run_that_goes_on_is_not_retried() -> None:
    with pytest.raises(UsageError, match="cannot retry a workflow in phase Pending"):
        operations.retry(RunRow(name="wf"), [], {}, now=VirtualClock().now())


async def test_a_resubmission_is_a_new_run_of_the_same_workflow() -> None:
    run, _, result = await ended()
    document = operations.resubmit(run, result.manifest, "wf-2", parameters={"who": "me"})
    metadata = document["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["labels"] == {"team": "a", "workflows.argoproj.io/resubmitted-from-workflow": "wf"}
    again = await flowcore.run(document, executor=FakeExecutor())
    assert (again.phase, again.name) == ("Succeeded", "wf-2")


async def test_a_memoized_resubmission_takes_over_what_succeeded() -> None:
    run, nodes, result = await ended()
    now = VirtualClock().now()
    document = operations.resubmit(run, result.manifest, "wf-2")
    rows = memoized(run, nodes, "wf-2", now=now)
    load = next(row for row in rows if row.name == "wf-2.load")
    assert (load.phase, load.type, load.message.startswith("original pod: wf-")) == (Phase.SKIPPED, "Skipped", True)
    again, started = await driven_on(RunRow(name="wf-2", created_at=now), rows, document)
    assert "wf-2.load" not in started
    assert "wf-2.train[0].one" not in started
    assert again.phase == "Succeeded"


async def test_a_succeeded_run_is_not_resubmitted_memoized() -> None:
    run, nodes, _ = await ended(fails=False)
    with pytest.raises(UsageError, match="must be Failed or Error"):
        memoized(run, nodes, "wf-2", now=VirtualClock().now())


async def test_a_fork_begins_at_a_node_of_a_succeeded_run() -> None:
    run, nodes, result = await ended(fails=False)
    made = operations.fork(
        run, nodes, result.manifest, "other", now=VirtualClock().now(), uid="2", selector="displayName=report", parameters={"who": "me"}
    )
    again, started = await driven_on(made.run, made.nodes, made.manifest)
    assert started == ["other.report", "other.onExit"]
    assert again.phase == "Succeeded"
    assert again.node("other.load").phase is Phase.SUCCEEDED
    assert again.node("other.report").display_name == "report"
    assert run.phase == "Succeeded"


async def test_forks_that_make_no_sense() -> None:
    run, nodes, result = await ended(fails=False)
    now = VirtualClock().now()
    with pytest.raises(UsageError, match="from which node"):
        operations.fork(run, nodes, result.manifest, "other", now=now, uid="2")
    with pytest.raises(UsageError, match="has not ended"):
        operations.fork(RunRow(name="wf"), nodes, result.manifest, "other", now=now, uid="2")


async def test_what_is_exported_can_be_imported_and_retried() -> None:
    run, nodes, result = await ended()
    exported = operations.export_run(StoredRun(run, nodes, result.manifest))
    stored = operations.import_run(exported)
    assert stored.run.phase == "Failed"
    assert {row.name for row in stored.nodes} == {row.name for row in nodes}
    made = operations.retry(stored.run, stored.nodes, stored.manifest, now=VirtualClock().now())
    again, _ = await driven_on(made.run, made.nodes, made.manifest)
    assert again.phase == "Succeeded"


@pytest.mark.parametrize(("document", "words"), [({"kind": "ConfigMap"}, "a Workflow is wanted"), ({"kind": "Workflow"}, "has no status")])
def test_what_is_no_run_is_not_imported(document: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidWorkflow, match=words):
        operations.import_run(document)


@pytest.mark.parametrize(
    ("order", "suspended", "message"),
    [
        (orders.STOP, False, "Stopped with strategy 'Stop'"),
        (orders.TERMINATE, False, "Stopped with strategy 'Terminate'"),
        (orders.SUSPEND, True, ""),
    ],
)
async def test_what_was_ordered_before_a_run_is_driven_holds_from_its_beginning(order: JsonObject, suspended: bool, message: str) -> None:
    """Nothing is begun that was not to begin, and no order is left when the run has ended, which would meet its retry."""
    store, fake = SqliteStore(":memory:"), FakeExecutor(record=True)
    runs = Runs(store, None, VirtualClock())
    await runs.submit(PIPELINE)
    await runs.order("wf", order)
    async with flowcore_running.open_resumed("wf", store=store, executor=fake) as run:
        if suspended:
            with anyio.fail_after(10):
                while not run.row.suspended or not run.phase:
                    await anyio.sleep(0)
            assert not fake.calls()
            await run.resume()
        end = await run.result()
    assert (end.phase, end.row.message) == (("Succeeded", "") if suspended else ("Failed", message))
    assert bool(fake.calls()) == (suspended or order is orders.STOP)  # an exit handler runs after a stop
    assert await store.orders() == []


async def test_a_retry_knows_no_orders_of_before() -> None:
    store, fake = SqliteStore(":memory:"), FakeExecutor()
    fake.when(template="flaky").fails()
    assert (await flowcore.run(PIPELINE, executor=fake, store=store)).phase == "Failed"
    await store.give_order("wf", "default", orders.TERMINATE)  # too late, and nobody took it up
    await Runs(store, None, VirtualClock()).retry("wf")
    assert (await flowcore.resume("wf", store=store, executor=FakeExecutor())).phase == "Succeeded"
