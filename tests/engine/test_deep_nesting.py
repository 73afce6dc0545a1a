"""Templates may be nested a hundred levels deep, as in Argo, however deep the caller already is in Python's own stack."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

import flowcore
from flowcore.deep_calls import DeepCalls
from flowcore.results import RunResult
from flowcore_backends.fake import FakeExecutor

DEEPER = {
    "a DAG that calls itself": "dag: {tasks: [{name: next, template: main}]}",
    "steps that call themselves": "steps: [[{name: next, template: main}]]",
    "a DAG that goes on when a pod has ended": "dag: {tasks: [{name: pod, template: pod}, {name: next, template: main, dependencies: [pod]}]}",
}


def from_below(depth: int, deed: Callable[[], RunResult]) -> RunResult:
    """``deed``, done ``depth`` calls deeper."""
    return deed() if depth == 0 else from_below(depth - 1, deed)


@pytest.mark.parametrize("body", DEEPER.values(), ids=DEEPER)
def test_endless_recursion_ends_at_the_hundredth_level(body: str) -> None:
    text = f"""
    kind: Workflow
    metadata: {{name: wf}}
    spec:
      entrypoint: main
      templates:
      - name: main
        {body}
      - {{name: pod, container: {{image: a}}}}
    """
    result = from_below(300, lambda: flowcore.run_sync(text, executor=FakeExecutor()))
    deepest = [node for node in result.nodes.values() if "Maximum recursion depth exceeded" in node.message]
    assert result.phase in ("Error", "Failed") and len(deepest) == 1
    assert deepest[0].name.count("next") in (98, 99)


def test_the_limit_is_put_back_when_the_last_engine_is_done() -> None:
    before = sys.getrecursionlimit()
    first, second = DeepCalls(100), DeepCalls(1000)
    with first:
        with second:
            assert sys.getrecursionlimit() >= 20_000
        assert sys.getrecursionlimit() > before
    assert sys.getrecursionlimit() == before
