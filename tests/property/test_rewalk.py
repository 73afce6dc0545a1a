"""The engine looks only at what changed; the slow reading of the rules looks at everything each time. Both come to the same rows."""

from __future__ import annotations

import os
from copy import deepcopy
from itertools import chain
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowcore.engine.messages import Finished, Outcome, Started
from flowcore.nodes import Phase
from tests.engine.scene import Scene
from tests.property.rewalk import Rewalk
from tests.property.workflows import workflows

LEAVES = ("plain", "plain", "flaky", "out", "given")
BEYOND_SPEC = ("hooks", "parallelism", "activeDeadlineSeconds", "synchronization")
BEYOND_TEMPLATE = ("parallelism", "failFast", "synchronization")
BEYOND_CALL = ("hooks", "withParam")


def within_reach(document: dict[str, Any]) -> dict[str, Any]:
    """The workflow without what the slow reading does not know."""
    made = deepcopy(document)
    spec = made["spec"]
    for key in BEYOND_SPEC:
        spec.pop(key, None)
    for template in spec["templates"]:
        for key in BEYOND_TEMPLATE:
            template.pop(key, None)
        composite = "steps" in template or "dag" in template
        if composite:
            template.pop("retryStrategy", None)
        for call in [*chain(*template.get("steps", [])), *template.get("dag", {}).get("tasks", [])]:
            for key in BEYOND_CALL:
                call.pop(key, None)
    return made


def rows_of(scene: Scene) -> dict[str, tuple[str, str, str, list[str]]]:
    name_of = {row.id: row.name for row in scene.rows.values()}
    return {
        row.name: (str(row.type), str(row.phase), row.message, [name_of[child] for child in scene.engine.children(row.id)])
        for row in scene.rows.values()
    }


def play(document: dict[str, Any], chance: Random) -> None:
    scene, slow = Scene(document), Rewalk(document)
    begun: set[str] = set()
    while True:
        expected = {name: (row.type, row.phase, row.message, row.children) for name, row in slow.rows.items()}
        assert rows_of(scene) == expected
        if scene.run.phase.completed or not scene.working:
            break
        node = chance.choice(list(scene.working))
        name = scene.rows[node].name
        if name not in begun and chance.random() < 0.5:
            begun.add(name)
            scene.tell(Started(node))
            slow.begun(name)
            continue
        del scene.working[node]
        phase, code = chance.choice([(Phase.SUCCEEDED, 0), (Phase.SUCCEEDED, 0), (Phase.FAILED, 1), (Phase.ERROR, None)])
        message = {Phase.FAILED: "main: Error (exit code 1)", Phase.ERROR: "gone"}.get(phase, "")
        scene.tell(Finished(node, Outcome(phase=phase, exit_code=code, message=message)))
        slow.ended(name, str(phase), message)
    assert scene.run.phase.completed


@pytest.mark.timeout(600)
@settings(
    max_examples=int(os.environ.get("FLOWCORE_EXAMPLES", "2000")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(workflows(leaves=LEAVES).map(within_reach), st.integers(0, 2**32).map(Random))
def test_the_engine_comes_to_the_rows_of_the_slow_reading(document: dict[str, Any], chance: Random) -> None:
    play(document, chance)
