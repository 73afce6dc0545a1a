"""Retry nodes of recorded runs: what was wrong with them is told when the run is taken up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowcore.nodes import NodeType, Phase
from flowcore.plan.plan import PlanOptions
from tests.engine.scene import Scene

RETRIED = """
    templates:
    - name: main
      retryStrategy: {limit: 2, retryPolicy: %s}
      container: {image: alpine, command: ['true']}
"""


def taken_up(policy: str, message: str = "", options: PlanOptions | None = None) -> Scene:
    """A run that was recorded when its first attempt had just ended in an error, and is opened again."""
    scene = Scene(RETRIED % policy, options=options)
    attempt = scene.node("(0)")
    scene.rows[attempt.id] = replace(attempt, phase=Phase.ERROR, message=message, finished_at=scene.now)
    assert scene.node("wf").type is NodeType.RETRY
    scene.reopen()
    return scene


def test_an_unknown_policy_is_an_error() -> None:
    scene = taken_up("Sometimes")
    assert (scene.phase, scene.run.message) == ("Error", "error in entry template execution: Sometimes is not a valid RetryPolicy")
    assert scene.node("wf").phase is Phase.ERROR


@pytest.mark.parametrize(
    ("message", "pattern", "attempts"),
    [
        ("dial tcp: i/o timeout", "", 2),
        ("the disk is wet", "", 1),
        ("the disk is wet", "disk is (wet|cold)$", 2),
        ("the disk is wet", "disk is dry", 1),
    ],
)
def test_faults_that_pass_are_known_or_match_a_pattern(message: str, pattern: str, attempts: int) -> None:
    scene = taken_up("OnTransientError", message, PlanOptions(transient_errors=pattern))
    assert len(scene.rows) == 1 + attempts
