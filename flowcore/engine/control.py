"""Orders from outside: suspend and resume, outputs set by hand, stop and terminate, and the run's own deadline.

Each is an edit of rows; what follows from it is found by the pass after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from flowcore.engine import gates, rules, times
from flowcore.engine import outputs as exported
from flowcore.engine.behaviors import suspend
from flowcore.engine.messages import NodeSetRequested
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError, UsageError
from flowcore.jsontypes import Json, JsonObject, named, objects_of, text_of
from flowcore.nodes import Node, NodeType, Phase, Shutdown


def shut_down(turn: Turn, strategy: Shutdown) -> None:
    """Take the order to stop or terminate; what is under way is stopped, what waits has failed."""
    turn.update_run(replace(turn.run, shutdown=strategy))
    for node in list(turn.state.nodes.values()):
        if not node.phase.fulfilled and _must_end(turn, node):
            _end(turn, node)
    turn.state.root_dirty = True
    for node in list(turn.state.nodes.values()):
        if node.type in (NodeType.DAG, NodeType.RETRY) and not node.phase.fulfilled:
            turn.state.touch(node)


def _must_end(turn: Turn, node: Node) -> bool:
    strategy = turn.run.shutdown
    return strategy is Shutdown.TERMINATE or not rules.is_part_of_exit_handler(node, turn.state.nodes)


def _end(turn: Turn, node: Node) -> None:
    stopped = f"Stopped with strategy '{turn.run.shutdown}'"
    match node.type:
        case NodeType.SUSPEND | NodeType.HTTP | NodeType.PLUGIN:
            _fail(turn, node, stopped)
        case NodeType.POD if node.waiting is not None:
            _fail(turn, node, stopped)
        case NodeType.POD if not node.daemoned:
            _stop_pod(turn, node, f"workflow shutdown with strategy:  {turn.run.shutdown}")
        case NodeType.POD:
            times.stop(turn, node)
        case NodeType.RETRY:
            _fail_idle_retry(turn, node)


def fail_idle_retries(turn: Turn) -> None:
    """Under a shutdown, Retry nodes whose attempts are all fulfilled have failed: no more attempts will be made."""
    for node in list(turn.state.nodes.values()):
        if node.type is NodeType.RETRY and not node.phase.fulfilled and _must_end(turn, node):
            _fail_idle_retry(turn, node)


def _fail_idle_retry(turn: Turn, node: Node) -> None:
    if rules.all_fulfilled_beneath(node.id, turn.state.nodes, turn.children):
        _fail(turn, node, f"Stopped with strategy '{turn.run.shutdown}'")


def _stop_pod(turn: Turn, node: Node, message: str) -> None:
    """One that runs ends by itself, and its own end gives the message; one that is Pending has failed at once."""
    times.stop(turn, node)
    if node.phase is Phase.PENDING:
        _fail(turn, node, message)
    else:
        turn.put(replace(node, message=message, wake_at=None))


def _fail(turn: Turn, node: Node, message: str) -> None:
    times.stop(turn, node)
    turn.state.frames.pop(node.id, None)
    turn.put(replace(turn.row(node.id), wake_at=None, waiting=None))
    gates.leave(turn, turn.mark(node.id, Phase.FAILED, message))
    for member in turn.children(node.id):
        row = turn.row(member)
        if row.type is NodeType.CONTAINER and not row.phase.fulfilled:
            turn.mark(member, Phase.FAILED, message)


def pass_deadline(turn: Turn) -> None:
    """The run's deadline has passed: what runs is stopped, what waits has failed; exit handlers are not touched."""
    for node in list(turn.state.nodes.values()):
        if node.phase.fulfilled or rules.is_part_of_exit_handler(node, turn.state.nodes):
            continue
        if node.type is NodeType.SUSPEND or node.phase is Phase.PENDING:
            _fail(turn, node, times.DEADLINE)
        elif node.type in (NodeType.POD, NodeType.HTTP, NodeType.PLUGIN):
            if node.id not in turn.state.stopping:
                _stop_pod(turn, node, times.DEADLINE)
        elif node.type is NodeType.RETRY:
            turn.state.touch(node)
    turn.state.root_dirty = True


def end_late_comers(turn: Turn) -> None:
    """Suspend nodes and nodes that wait at a gate have failed at once if they were made when the run was to end already."""
    stopped, late = turn.run.shutdown is not Shutdown.NONE, times.deadline_passed(turn)
    if not stopped and not late:
        return
    for node in [turn.row(id_) for id_ in turn.changed]:
        if node.phase.fulfilled or (node.type is not NodeType.SUSPEND and node.waiting is None):
            continue
        if late and not rules.is_part_of_exit_handler(node, turn.state.nodes):
            _fail(turn, node, times.DEADLINE)
        elif stopped and _must_end(turn, node):
            _end(turn, node)


def suspend_run(turn: Turn) -> None:
    """Nothing new is started until the run is resumed."""
    turn.update_run(replace(turn.run, suspended=True))


def resume(turn: Turn, selector: str) -> None:
    """Resume the run, or the suspend nodes that ``selector`` matches; outputs that nobody set take their defaults."""
    if not selector:
        turn.update_run(replace(turn.run, suspended=False))
        turn.state.root_dirty = True
    for node in active_suspends(turn.state.nodes.values(), selector):
        try:
            filled = suspend.with_defaults(node)
        except ExpressionError:
            continue
        turn.state.frames.pop(node.id, None)
        turn.put(replace(filled, phase=Phase.SUCCEEDED, finished_at=turn.now, wake_at=None))


def set_node(turn: Turn, order: NodeSetRequested) -> None:
    """Set outputs, message and phase of the active suspend nodes that the order selects."""
    for node in active_suspends(turn.state.nodes.values(), order.selector):
        outputs = _with_values(node.outputs, order.parameters)
        exported.export(turn, {"parameters": [*_set_by(order, outputs)]})
        message = node.message if order.message is None else order.message
        row = replace(node, outputs=outputs, message=message)
        if order.phase is not None:
            finished = turn.now if order.phase.fulfilled else None
            row = replace(row, phase=order.phase, finished_at=finished, wake_at=None if finished else row.wake_at)
            if finished:
                turn.state.frames.pop(node.id, None)
        turn.put(row)


def _set_by(order: NodeSetRequested, outputs: JsonObject | None) -> list[JsonObject]:
    return [parameter for parameter in objects_of(outputs or {}, "parameters") if text_of(parameter, "name") in order.parameters]


def _with_values(outputs: JsonObject | None, values: Mapping[str, str]) -> JsonObject | None:
    if not outputs or not values:
        return outputs
    made: list[Json] = []
    for parameter in objects_of(outputs, "parameters"):
        value = values.get(text_of(parameter, "name"))
        if value is not None:
            parameter = {**{key: item for key, item in parameter.items() if key != "valueFrom"}, "value": value}
        made.append(parameter)
    return {**outputs, "parameters": made}


def active_suspends(nodes: Iterable[Node], selector: str) -> list[Node]:
    """The suspend nodes that wait for somebody and that ``selector`` matches. Raises UsageError for a selector that cannot be read."""
    terms = read_selector(selector)
    return [node for node in nodes if node.type is NodeType.SUSPEND and node.phase is Phase.RUNNING and _matches(node, terms)]


def check_resume(nodes: Iterable[Node], selector: str) -> None:
    """Raise UsageError if a node to be resumed has an output that nobody set, or if nothing is selected."""
    found = active_suspends(nodes, selector)
    if selector and not found:
        raise UsageError(f"no suspended node matches {selector!r}")
    for node in found:
        try:
            suspend.with_defaults(node)
        except ExpressionError as error:
            raise UsageError(f"{node.name}: {error}") from None


def check_set(nodes: Iterable[Node], order: NodeSetRequested) -> None:
    """Raise UsageError if an output to be set is not one that somebody is to supply, or is set already."""
    found = active_suspends(nodes, order.selector)
    if not found:
        raise UsageError(f"currently, set only targets suspend nodes: no suspend nodes matching nodeFieldSelector: {order.selector}")
    for node in found:
        if order.parameters and node.outputs is None:
            raise UsageError("cannot set output parameters because node is not expecting any raw parameters")
        for name in order.parameters:
            parameter = named(node.outputs or {}, "parameters", name)
            if parameter is None:
                raise UsageError(f"node is not expecting output parameter '{name}'")
            if parameter.get("value") is not None:
                raise UsageError(f"output parameter '{name}' was already set")


def read_selector(selector: str) -> list[tuple[str, bool, str]]:
    """The terms of a node field selector: field, whether it must be equal, value."""
    terms: list[tuple[str, bool, str]] = []
    for term in filter(None, (part.strip() for part in selector.split(","))):
        match = re.fullmatch(r"([^=!]+?)\s*(==|!=|=)\s*(.*)", term)
        if match is None:
            raise UsageError(f"a node field selector is a list of field=value, and {term!r} is not")
        terms.append((match[1], match[2] != "!=", match[3]))
    return terms


def _matches(node: Node, terms: list[tuple[str, bool, str]]) -> bool:
    return all((_field(node, field) == value) is equal for field, equal, value in terms)


def _field(node: Node, field: str) -> str | None:
    match field.split("."):
        case ["displayName"]:
            return node.display_name
        case ["templateName"]:
            return node.template_name
        case ["phase"]:
            return str(node.phase)
        case ["name"]:
            return node.name
        case ["id"]:
            return node.id
        case ["templateRef", part]:
            return text_of(node.template_ref or {}, part)
        case ["inputs", "parameters", name, "value"]:
            parameter = named(node.inputs or {}, "parameters", name)
            return None if parameter is None else text_of(parameter, "value")
    raise UsageError(f"nodes cannot be selected by {field!r}")


__all__ = [
    "active_suspends",
    "check_resume",
    "check_set",
    "end_late_comers",
    "pass_deadline",
    "read_selector",
    "resume",
    "set_node",
    "shut_down",
    "suspend_run",
]
