"""Random workflows in random worlds: every run ends, nothing is lost, repeats change nothing, and crashes make no difference."""

from __future__ import annotations

import os
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowcore.engine.messages import Event, Finished, Granted, Opened, Progressed, Ready, Recalled, Refused, Started, Woken
from flowcore.nodes import NodeType
from tests.engine.scene import Scene
from tests.property.reopening import check_reopening, replay
from tests.property.workflows import workflows
from tests.property.worlds import World, some_orders

modest = settings(
    max_examples=int(os.environ.get("FLOWCORE_EXAMPLES", "120")),
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
worlds = st.integers(0, 2**32).map(Random)


@modest
@given(workflows(), worlds)
def test_every_run_ends_and_loses_nothing(document: dict[str, Any], chance: Random) -> None:
    scene = Scene(document)
    World(scene, chance, some_orders(chance)).play()
    # As in Argo, only pods keep a run from ending, and what is around an error or under failFast may be left as it stands.
    whole = scene.phase == "Succeeded" and "failFast" not in str(document)
    # So may what is beneath a retried node that ended while a hook ran.
    ended = [row.name for row in scene.rows.values() if row.type is NodeType.RETRY and row.fulfilled and "hooks" in str(document)]
    beneath = tuple(name + mark for name in ended for mark in "(.[")
    rows = scene.rows.values()
    kept = [row for row in rows if (whole and not row.name.startswith(beneath)) or (row.type is NodeType.POD and row.waiting is None)]
    lost = [row.name for row in kept if not row.fulfilled]
    assert not lost, f"{lost} in {scene.phases()}"


@modest
@given(workflows(), worlds)
def test_late_and_repeated_reports_change_nothing(document: dict[str, Any], chance: Random) -> None:
    scene = Scene(document)
    told: list[Event] = []

    def repeat(_: Scene) -> None:
        told.extend(
            event for event in world.batches[-1][0] if isinstance(event, (Started, Finished, Ready, Granted, Refused, Recalled, Woken))
        )
        stale = [event for event in chance.sample(told, min(len(told), 3)) if is_stale(scene, event)]
        reaction = scene.tell(*stale)
        assert not reaction.nodes, stale
        assert not reaction.commands, stale

    world = World(scene, chance, some_orders(chance), after_batch=repeat)
    world.play()
    before = dict(scene.rows)
    scene.tell(*told)
    assert scene.rows == before


def is_stale(scene: Scene, event: Event) -> bool:
    """Whether an event that was told says nothing that could still be news."""
    assert isinstance(event, Started | Finished | Ready | Granted | Refused | Recalled | Woken)
    if event.node is None:
        return not isinstance(event, Granted | Refused)
    row = scene.rows[event.node]
    if isinstance(event, Granted | Refused | Recalled):
        return row.waiting is None
    return not isinstance(event, Woken) or row.wake_at is None or row.wake_at > scene.now


@modest
@given(workflows(), worlds)
def test_opening_again_changes_no_row_and_gives_the_standing_orders_again(document: dict[str, Any], chance: Random) -> None:
    scene = Scene(document)
    check_reopening(scene)
    World(scene, chance, some_orders(chance), after_batch=check_reopening).play()


@modest
@given(workflows(), worlds)
def test_a_run_with_crashes_is_as_one_without(document: dict[str, Any], chance: Random) -> None:
    scene = Scene(document)
    world = World(scene, chance, some_orders(chance))
    world.play()
    again = replay(document, world.batches, chance)
    assert again.run == scene.run
    assert again.rows == scene.rows


@modest
@given(workflows(), worlds)
def test_an_ended_run_takes_no_more(document: dict[str, Any], chance: Random) -> None:
    scene = Scene(document)
    World(scene, chance).play()
    run = scene.run
    reaction = Scene.reopen(scene)
    assert not reaction.nodes
    assert not reaction.commands
    some = next(iter(scene.rows))
    assert not scene.tell(Opened(), Progressed(some, "1/2"), Woken(None)).nodes
    assert scene.run == run
