"""Taking up a run that was recorded: frames are made again from the rows, and standing orders are given once more.

The walk is that of any other pass, but it changes no row (``Turn.frozen``): whoever would change one has to wait. Each
node that was under way is met by ``Executing.execute``, which finds it in ``State.unopened``. What the walk does not reach any more, because
all around it has ended (failFast, errors), is taken up by itself, unless it waits at a gate: it would not be let through. A normal pass
follows.
"""

from __future__ import annotations

from dataclasses import replace

from flowcore.engine import gates, rules, times, whole
from flowcore.engine.behaviors import suspend
from flowcore.engine.behaviors.retry import attempt_variables
from flowcore.engine.calls import Call, CallFailed, NotNow, TooDeep
from flowcore.engine.execute import Executing, own_scope
from flowcore.engine.messages import Acquire, Release, Wake
from flowcore.engine.turn import Turn
from flowcore.jsontypes import object_of
from flowcore.nodes import Node, NodeType, WorkflowPhase, step_name_of
from flowcore.plan.arguments import substitute_again, substitute_template
from flowcore.plan.locking import locks_of
from flowcore.plan.templates import Holder, TemplateNotFound, calls_of


def take_up(executing: Executing, turn: Turn) -> None:
    """Go on with a run of which there are rows already. Its standing orders are among the turn's commands."""
    if turn.run.phase is WorkflowPhase.UNKNOWN:
        whole.begin_running(turn)
    else:
        _order_for_the_run(turn)
    for node in turn.state.nodes.values():
        if node.wake_at is not None and not node.phase.fulfilled:
            turn.commands.append(Wake(node.id, node.wake_at))
    if turn.run.phase is WorkflowPhase.RUNNING:
        _walk(executing, turn)
        _ask_in_turn(turn)
    for node in list(turn.state.nodes.values()):
        if node.type is NodeType.SUSPEND:
            suspend.wait_again(turn, node, turn.state.frames.get(node.id))
        if not node.phase.fulfilled:
            turn.state.touch(node)
    turn.state.root_dirty = True


def _order_for_the_run(turn: Turn) -> None:
    """Ask for the locks of the run, which it holds if it is Running, and for its deadline."""
    locks = locks_of(object_of(turn.plan.spec, "synchronization"))
    if locks:
        turn.commands.append(Acquire(None, locks))
    deadline = times.run_deadline(turn)
    if deadline is not None:
        turn.commands.append(Wake(None, deadline))


def _walk(executing: Executing, turn: Turn) -> None:
    turn.frozen = True
    try:
        whole.meet_all(executing, turn)
        for node in list(turn.state.nodes.values()):
            if node.id in turn.state.unopened and (node.waiting is not None or not node.type.composite):
                if node.waiting is not None and gates.is_abandoned(turn, node):
                    turn.state.unopened.discard(node.id)
                    turn.tell(Release(node.id))  # it may have got them just before the driver died
                else:
                    _take_up_alone(executing, turn, node)
    finally:
        turn.frozen = False


def _ask_in_turn(turn: Turn) -> None:
    """Have those who wait for locks ask in the order in which they asked first, which is that of their making: nobody loses his place."""
    waiting = {
        place: turn.row(command.node).seq
        for place, command in enumerate(turn.commands)
        if isinstance(command, Acquire) and command.node is not None and turn.row(command.node).waiting is not None
    }
    in_turn = [turn.commands[place] for place in sorted(waiting, key=lambda place: waiting[place])]
    for place, command in zip(waiting, in_turn, strict=True):
        turn.commands[place] = command


def _take_up_alone(executing: Executing, turn: Turn, node: Node) -> None:
    """Take up a node that nothing leads to any more; one whose template is gone is left as it stands."""
    try:
        call = _call_of(turn, node)
        if node.retried:
            _take_up_attempt(executing, turn, call, node)
        else:
            executing.take_up(turn, call, node)
    except (CallFailed, NotNow, TooDeep, TemplateNotFound):
        return
    finally:
        turn.state.unopened.discard(node.id)


def _take_up_attempt(executing: Executing, turn: Turn, call: Call, node: Node) -> None:
    base, entry = turn.plan.templates.resolve(call.base, call.holder)
    siblings = turn.children(node.owner) if node.owner is not None else []
    attempts = [row for row in map(turn.row, siblings) if row.retried and row.seq <= node.seq]
    names = attempt_variables(len(attempts) - 1, attempts[-2] if len(attempts) > 1 else None)
    processed = substitute_template(entry, node.inputs, own_scope(turn, call, entry))
    executing.dispatch(turn, call, base, substitute_again(processed, turn.state.current.child(names)), node)


def _call_of(turn: Turn, node: Node) -> Call:
    """What asked for a recorded node, as far as its row tells. Raises TemplateNotFound."""
    return Call(
        name=node.name,
        holder=_holder_of(turn, node),
        arguments={},
        base=turn.plan.templates.base_of(node.template_scope),
        boundary=node.boundary,
        owner=node.owner,
        parents=node.parents,
        hooked=node.hooked,
        retried=node.retried,
        on_exit=rules.is_part_of_exit_handler(node, turn.state.nodes),
    )


def _holder_of(turn: Turn, node: Node) -> Holder:
    """What names the template of a recorded node. An inline template has no name: it is looked for in the template around the node."""
    boundary = turn.get(node.boundary) if node.boundary is not None else None
    caller = "tasks" if boundary is not None and boundary.type is NodeType.DAG else "steps"
    named = turn.row(node.owner) if node.retried and node.owner is not None else node
    caller_name = "" if node.hooked or boundary is None else named.display_name
    if node.template_name or node.template_ref or boundary is None:
        return Holder(template=node.template_name, ref=node.template_ref, caller=caller, caller_name=caller_name)
    outer = turn.plan.templates.base_of(boundary.template_scope)
    _, entry = turn.plan.templates.resolve(outer, _holder_of(turn, boundary))
    step = step_name_of(node.name)
    found = next((call for call in calls_of(entry.json) if call.get("name") == step), {})
    return replace(Holder.of(found, caller=caller), caller_name=caller_name)
