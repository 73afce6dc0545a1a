"""Loops in a DAG: a TaskGroup node stands for the task, its items hang below it.

``begin`` makes the group, ``advance`` starts and moves on its items; the group is fulfilled when all of them are. In a Steps template
the step group itself plays this part.
"""

from __future__ import annotations

from collections.abc import Callable

from flowcore.engine import hooks, limits, rules
from flowcore.engine.calls import Call, CallFailed, LimitReached, Loop, NotNow, TooDeep, expand
from flowcore.engine.execute import Executing
from flowcore.engine.frames import DagFrame, GroupState
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.language.scope import Scope
from flowcore.language.when import evaluate_when
from flowcore.nodes import Node, NodeId, NodeType, Phase
from flowcore.plan.templates import Holder


def begin(turn: Turn, frame: DagFrame, task: JsonObject, scope: Scope) -> NodeId | None:
    """Make the TaskGroup of a resolved task, or None if there are no items. Raises ExpressionError for items that cannot be read."""
    loop = expand(task, scope)
    name = text_of(task, "name")
    if not loop.items:
        return None
    loop.at(0)
    state = GroupState(attentive=hooks.exit_hook(frame.tasks[name], {}) is not None)
    state.waiting.append(loop)
    frame.loops[name] = state
    node_name = f"{turn.row(frame.node).name}.{name}"
    existing = turn.by_name(node_name)
    if existing is not None:
        return existing.id
    call = Call(
        name=node_name, holder=Holder.of(task, caller="tasks"), arguments={}, base=frame.base, boundary=frame.node, owner=frame.node
    )
    return turn.create(call, NodeType.TASK_GROUP, Phase.RUNNING).id


def advance(executing: Executing, turn: Turn, frame: DagFrame, name: str, group: NodeId, place_of: Callable[[], hooks.Place]) -> None:
    """Move on the items that changed and start those that wait; end the group when all are fulfilled.

    With an exit handler the items are looked at in order, and what comes after one that waits for its handler waits too, as in Argo.
    Raises CallFailed if a handler cannot be started.
    """
    state = frame.loops[name]
    changed = turn.take_dirty(group)
    if state.attentive:
        state.changed.update(dict.fromkeys(changed))
        if not _attend(executing, turn, frame, name, state, place_of()):
            return
    else:
        for child in changed:
            if child in state.unsettled:
                _move_on(executing, turn, child)
                if turn.row(child).fulfilled:
                    del state.unsettled[child]
    _start_waiting(executing, turn, frame, group, state)
    if state.attentive and turn.frozen:
        _attend(executing, turn, frame, name, state, place_of())
    if not state.unsettled and not state.waiting:
        turn.mark(group, _phase(turn, group))
        del frame.loops[name]


def _phase(turn: Turn, group: NodeId) -> Phase:
    """The phase of the last item that failed, else Succeeded."""
    return rules.group_phase(turn.row(group), turn.state.nodes, turn.children) or Phase.SUCCEEDED


def _attend(executing: Executing, turn: Turn, frame: DagFrame, name: str, state: GroupState, place: hooks.Place) -> bool:
    """Move on the items in order, each with its exit handler; False when one of them waits for that."""
    handler = hooks.exit_hook(frame.tasks[name], turn.state.arguments())
    for child in list(state.unsettled):
        if child in state.changed:
            del state.changed[child]
            _move_on(executing, turn, child)
        node = turn.row(child)
        if not node.fulfilled:
            continue
        if node.phase.completed:
            place.scope.set(f"tasks.{name}.status", str(node.phase))
            if not hooks.run_exit_handler(executing, turn, handler, node, place):
                return False
        del state.unsettled[child]
    return True


def _move_on(executing: Executing, turn: Turn, child: NodeId) -> None:
    node = turn.row(child)
    known = turn.state.frames.get(child)
    if known is None or node.phase.fulfilled:
        return
    try:
        executing.go_on_deeper(turn, known, node)
    except NotNow:
        limits.block(turn, child)
    except LimitReached:
        return
    except CallFailed as error:
        turn.mark(child, Phase.ERROR, f"task '{node.name}' errored: {error.message}")


def _start_waiting(executing: Executing, turn: Turn, frame: DagFrame, group: NodeId, state: GroupState) -> None:
    while state.waiting:
        loop = state.waiting[0]
        if not isinstance(loop, Loop):
            raise TypeError(f"a task group expands a loop, not {loop!r}")
        try:
            while loop.next < len(loop.items):
                _start(executing, turn, frame, group, state, loop.at(loop.next))
                loop.next += 1
        except NotNow:
            state.refused = True
            limits.block(turn, frame.node)
            limits.block(turn, group)
            return
        except ExpressionError as error:
            state.waiting.clear()
            turn.mark(group, Phase.ERROR, str(error))
            return
        state.waiting.popleft()
    state.refused = False


def _start(executing: Executing, turn: Turn, frame: DagFrame, group: NodeId, state: GroupState, item: JsonObject) -> None:
    call = Call(
        name=f"{turn.row(frame.node).name}.{text_of(item, 'name')}",
        holder=Holder.of(item, caller="tasks"),
        arguments=object_of(item, "arguments"),
        base=frame.base,
        boundary=frame.node,
        owner=group,
        parents=(group,),
        on_exit=frame.call.on_exit,
    )
    made = turn.by_name(call.name)
    if made is None:
        refused = _condition(turn, call, text_of(item, "when"))
        if refused is not None:
            turn.connect(group, refused.id)
            return
    try:
        made = executing.execute(turn, call)
    except (TooDeep, LimitReached):
        made = turn.row(turn.id_of(call.name))
    except CallFailed as error:
        made = turn.mark(turn.id_of(call.name), Phase.ERROR, f"task '{call.name}' errored: {error.message}")
    turn.connect(group, made.id)
    if not turn.row(made.id).fulfilled or state.attentive:
        state.unsettled[made.id] = None
    if state.attentive:
        turn.state.touch(turn.row(group))


def _condition(turn: Turn, call: Call, when: str) -> Node | None:
    """The node of an item that does not run, because its ``when`` is false or cannot be evaluated."""
    try:
        if not when or evaluate_when(when):
            return None
    except ExpressionError as error:
        return turn.create(call, NodeType.SKIPPED, Phase.ERROR, message=str(error))
    return turn.create(call, NodeType.SKIPPED, Phase.SKIPPED, message=f"when '{when}' evaluated false")
