"""Expressions take the time from the run's clock, and chance from its seed."""

from __future__ import annotations

from datetime import UTC, datetime

import flowcore
from flowcore.clocks import VirtualClock
from flowcore.jsontypes import object_of, strings_of
from flowcore_backends.fake import FakeExecutor

LOOKS = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: looks}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: wait, template: wait}
    - - {name: look, template: look}
  - {name: wait, suspend: {duration: 24h}}
  - name: look
    container:
      image: busybox
      command: ["{{=sprig.randAlphaNum(12)}}", "{{=now().Format('2006-01-02T15')}}", "{{=sprig.date('2006-01-02', sprig.now())}}"]
"""


def seen(seed: int | None) -> list[str]:
    executor = FakeExecutor(record=True)
    flowcore.run_sync(LOOKS, executor=executor, clock=VirtualClock(datetime(2031, 5, 6, 7, tzinfo=UTC)), seed=seed)
    (call,) = executor.calls("look")
    return strings_of(object_of(call.body, "container"), "command")


def test_time_is_the_clocks() -> None:
    assert seen(1)[1:] == ["2031-05-07T07", "2031-05-07"]


def test_chance_repeats_with_the_seed_and_only_then() -> None:
    assert seen(1) == seen(1)
    assert len({seen(seed)[0] for seed in (1, 2, None, None)}) == 4


CALLS = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: calls}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: wait, template: wait}
    - - name: step
        template: look
        arguments: {parameters: [{name: at, value: "{{=now().Format('15')}}"}]}
    - - {name: graph, template: graph}
  - name: graph
    retryStrategy: {limit: 1}
    dag:
      tasks:
      - {name: wait, template: wait}
      - name: task
        depends: wait
        template: look
        arguments: {parameters: [{name: at, value: "{{=now().Format('15')}}"}]}
  - {name: wait, suspend: {duration: 2h}}
  - name: look
    inputs: {parameters: [{name: at}]}
    container: {image: busybox, command: ["{{inputs.parameters.at}}"]}
"""


def test_arguments_have_the_time_at_which_their_step_or_task_begins() -> None:
    """In Argo, which fills them in anew in each pass."""
    executor = FakeExecutor(record=True)
    flowcore.run_sync(CALLS, executor=executor, clock=VirtualClock(datetime(2031, 5, 6, 7, tzinfo=UTC)))
    assert [strings_of(object_of(call.body, "container"), "command") for call in executor.calls("look")] == [["09"], ["11"]]
