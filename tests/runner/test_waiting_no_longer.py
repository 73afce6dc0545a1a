"""``timeout`` and ``pendingTimeout`` hold for a node from its making, also while it waits for a lock."""

from __future__ import annotations

from datetime import timedelta

import pytest

import flowcore
from flowcore.results import RunResult
from flowcore_backends.fake import FakeExecutor

HEAD = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
  - {name: holder, synchronization: {mutexes: [{name: m}]}, container: {image: busybox}}
"""


def play(*templates: str, holder: str) -> RunResult:
    """The run, whose holder of the lock works so long."""
    fake = FakeExecutor()
    fake.when("holder").takes(holder)
    return flowcore.run_sync(HEAD + "".join(f"  - {template}\n" for template in templates), executor=fake)


def lasted(result: RunResult, name: str) -> timedelta:
    row = result.node(name)
    assert row.started_at is not None and row.finished_at is not None
    return row.finished_at - row.started_at


WAITER = "{{name: waiter, synchronization: {{mutexes: [{{name: m}}]}}, container: {{image: busybox}}, {}}}"


@pytest.mark.parametrize("limit", ["timeout: 10s", "pendingTimeout: 10s", "pendingTimeout: 10s, timeout: 30s"])
def test_a_task_that_waits_too_long_for_a_lock_has_failed(limit: str) -> None:
    tasks = "{name: main, dag: {tasks: [{name: a, template: holder}, {name: b, template: waiter}]}}"
    result = play(tasks, WAITER.format(limit), holder="1h")
    assert (result.node("wf.b").phase, result.node("wf.b").message, lasted(result, "wf.b")) == ("Failed", "timeout", timedelta(seconds=10))
    assert (result.node("wf.a").phase, result.phase) == ("Succeeded", "Failed")


def test_a_step_that_waits_too_long_ends_its_group_at_once() -> None:
    steps = "{name: main, steps: [[{name: a, template: holder}, {name: b, template: waiter}]]}"
    result = play(steps, WAITER.format("timeout: 10s"), holder="1h")
    assert [(result.node(name).phase, result.node(name).message) for name in ("wf[0].b", "wf[0]", "wf")] == [("Failed", "timeout")] * 3
    assert lasted(result, "wf") == timedelta(seconds=10)


@pytest.mark.parametrize("kind", ["retryStrategy: {limit: 2}", "metadata: {}"])
def test_who_gets_the_lock_in_time_has_the_rest_of_its_timeout(kind: str) -> None:
    steps = "{name: main, steps: [[{name: a, template: holder}, {name: b, template: waiter}]]}"
    result = play(steps, WAITER.format(f"{kind}, pendingTimeout: 10s"), holder="9s")
    assert (result.phase, result.node("wf[0].b").phase) == ("Succeeded", "Succeeded")


def test_who_waited_too_long_does_not_stand_in_the_way() -> None:
    """The lock goes to the next one, and nothing is waited for any more."""
    tasks = "{name: a, template: holder}, {name: b, template: waiter}, {name: c, template: patient}"
    patient = "{name: patient, synchronization: {mutexes: [{name: m}]}, container: {image: busybox}}"
    result = play(f"{{name: main, dag: {{failFast: false, tasks: [{tasks}]}}}}", WAITER.format("timeout: 10s"), patient, holder="20s")
    assert [result.node(f"wf.{name}").phase for name in "abc"] == ["Succeeded", "Failed", "Succeeded"]
    assert result.row.synchronization is None
