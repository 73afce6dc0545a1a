"""What must hold of a run that is opened again from its rows: nothing changes, and the world is given the same standing orders."""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any

from flowcore.engine.engine import Engine
from flowcore.engine.messages import Acquire, AwaitResume, Command, Event, Granted, Invocation, Opened, Recalled, Start, Stop, Wake
from flowcore.nodes import NodeId
from tests.engine.scene import Scene
from tests.property.worlds import Batch

_SAME = ("body", "inputs", "pod_name", "attempt", "daemon", "on_exit", "step_name", "display_name", "volumes")


def check_reopening(scene: Scene) -> None:
    """Open the scene's run beside it: no row changes, and work, ends, timers and people are asked for as they stand."""
    if scene.run.phase.completed:
        return
    reaction = Engine(scene.plan, scene.rows.values(), scene.run).handle([Opened()], scene.now)
    changed = [f"{row.name}: {scene.rows.get(row.id)} became {row}" for row in reaction.nodes]
    assert not changed, "\n".join(changed)
    assert reaction.run == scene.run
    started = {command.invocation.node: command.invocation for command in reaction.commands if isinstance(command, Start)}
    assert started.keys() == _open(scene, scene.working)
    for node, invocation in started.items():
        _check_invocation(scene.working[node], invocation)
    stopped = {command.node for command in reaction.commands if isinstance(command, Stop)}
    assert stopped == _open(scene, {node: None for node in scene.working if node in scene.stopped})
    awaited = {command.invocation.node for command in reaction.commands if isinstance(command, AwaitResume)}
    assert awaited == _open(scene, scene.awaited)
    _check_timers(scene, reaction.commands)


def _open(scene: Scene, nodes: dict[NodeId, Any]) -> set[NodeId]:
    return {node for node in nodes if not scene.rows[node].phase.fulfilled}


def _check_invocation(known: Invocation, again: Invocation) -> None:
    for what in _SAME:
        assert getattr(again, what) == getattr(known, what), f"{known.node_name}: {what}"


def _check_timers(scene: Scene, commands: tuple[Command, ...]) -> None:
    """Every timer that a row tells of is set again; one that is due may be set once more."""
    again: dict[NodeId | None, datetime] = {command.node: command.at for command in commands if isinstance(command, Wake)}
    for node, at in scene.timers.items():
        if node is None or scene.rows[node].wake_at == at:
            assert again.pop(node) == at
    assert all(at <= scene.now for at in again.values())


def replay(document: dict[str, Any], batches: list[Batch], chance: Random) -> Scene:
    """Tell a new engine the same again, throwing it away now and then and going on with one made from the rows."""
    scene = Scene(document)
    answers: dict[tuple[type[Event], NodeId | None], Event] = {}
    for events, now in batches:
        scene.now = now
        scene.tell(*events)
        answers.update({(type(event), event.node): event for event in events if isinstance(event, Granted | Recalled)})
        if not scene.run.phase.completed and chance.random() < 0.5:
            scene.reopen()
            _answer_again(scene, answers)
    return scene


def _answer_again(scene: Scene, answers: dict[tuple[type[Event], NodeId | None], Event]) -> None:
    """Answer what is asked again and was answered before; an answer may lead to the next question."""
    while True:
        again = []
        for node, question in list(scene.asked.items()):
            answer = answers.get((Granted if isinstance(question, Acquire) else Recalled, node))
            if answer is not None and (node is None or scene.rows[node].waiting is not None):
                again.append(answer)
                del scene.asked[node]
        if not again:
            return
        scene.tell(*again)
