"""How a template comes to run under a node name: the common path of every node, whatever its type.

``execute`` is called by whoever wants a node to exist or to go on: the run for its entrypoint, Steps and DAG nodes for their children, hooks.
It may be called again for the same node; a node that is fulfilled stays as it is. What is special to a type of node stands in
``behaviors/``; the table that leads there is made in ``engine.py``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from flowcore.engine import daemons, gates, limits
from flowcore.engine.calls import Call, CallFailed, LimitReached, NotNow, TooDeep
from flowcore.engine.frames import Frame, LeafFrame, RetryFrame
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.language.scope import Scope, Value
from flowcore.nodes import Node, NodeType, Phase, node_id, pod_name, pod_name_version
from flowcore.plan.arguments import Processed, process, substitute_template
from flowcore.plan.templates import Base, Entry, TemplateNotFound

ANNOTATION_DISPLAY_NAME = "workflows.argoproj.io/display-name"
_DISPLAY_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9-.]{0,61}[a-zA-Z0-9]$")

Begin = Callable[[Turn, Call, Base, Processed, "Node | None"], Node]
Advance = Callable[[Turn, Frame], Node]


RETRY = "retry"


class Executing:
    """The common path, with the tables of behaviors that it leads to.

    ``begin`` says what is done first, by the kind of the template (and ``RETRY``); ``advance`` what is done later, by the kind of frame.
    """

    def __init__(self, begin: Mapping[str, Begin], advance: Mapping[type[Frame], Advance]) -> None:
        self.begin = begin
        self.advance = advance

    def execute(self, turn: Turn, call: Call) -> Node:
        """Make the node that ``call`` asks for, or move it on.

        Raises NotNow (a limit on parallelism), TooDeep, and CallFailed (the node, if there is one, is in phase Error).
        """
        node = turn.by_name(call.name)
        if node is not None and node.phase.fulfilled:
            return node
        turn.depth += 1
        try:
            if node is None:
                return self._begin(turn, call, None)
            frame = turn.state.frames.get(node.id)
            if frame is None and node.id in turn.state.unopened:
                return self.take_up(turn, call, node)
            if limits.workflow_is_full(turn):
                raise NotNow
            return node if frame is None else self.go_on(turn, frame, node)
        finally:
            turn.depth -= 1

    def take_up(self, turn: Turn, call: Call, node: Node) -> Node:
        """Give a recorded node that was under way its frame again, and with it its standing orders.

        Raises TooDeep and CallFailed as ``execute`` does; what has to wait is looked at again later.
        """
        try:
            return self._begin(turn, call, node)
        except NotNow:
            limits.block(turn, node.id)
            return turn.row(node.id)
        finally:
            turn.state.unopened.discard(node.id)

    def go_on_deeper(self, turn: Turn, frame: Frame, node: Node) -> Node:
        """Move a node on that has begun, one level below its caller."""
        turn.depth += 1
        try:
            return self.go_on(turn, frame, node)
        finally:
            turn.depth -= 1

    def go_on(self, turn: Turn, frame: Frame, node: Node) -> Node:
        """Move a node on that has begun; it gives its locks back when it is fulfilled, also by failFast on the way."""
        try:
            return self._advanced(turn, frame, node)
        finally:
            made = turn.row(node.id)
            if made.phase.fulfilled:
                gates.leave(turn, made)

    def _advanced(self, turn: Turn, frame: Frame, node: Node) -> Node:
        if isinstance(frame, LeafFrame):
            if not gates.waiting(turn, frame):
                return self._or_error(turn, frame.call, lambda: self.advance[LeafFrame](turn, frame))
            limits.check_existing(turn, frame, node)
            return self._through_gates(turn, frame.call, frame.base, frame.processed, node)
        limits.check_existing(turn, frame, node)
        if isinstance(frame, RetryFrame):
            return self.advance[RetryFrame](turn, frame)
        return self._or_error(turn, frame.call, lambda: self.advance[type(frame)](turn, frame))

    def _begin(self, turn: Turn, call: Call, node: Node | None) -> Node:
        if turn.depth >= turn.plan.options.max_depth:
            make_error(turn, call, node, TooDeep.message)
            raise TooDeep
        try:
            base, entry = turn.plan.templates.resolve(call.base, call.holder)
            scope = own_scope(turn, call, entry)
            if node is None:
                processed = process(entry, call.arguments, scope, turn.plan.read_config_map)
            else:  # what was recorded holds, whatever its arguments would be by now
                processed = substitute_template(entry, node.inputs, scope)
            check_display_name(processed.body)
        except (TemplateNotFound, ExpressionError) as error:
            make_error(turn, call, node, str(error))
            raise CallFailed(str(error)) from None
        limits.check_new(turn, call, node)
        return self._through_gates(turn, call, base, processed, node)

    def _through_gates(self, turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None) -> Node:
        """Wait for locks and look into the cache, if the template says so; then run it."""
        try:
            gated = gates.enter(turn, call, base, processed, node)
        except ExpressionError as error:
            node = turn.by_name(call.name)
            make_error(turn, call, node, str(error))
            raise CallFailed(str(error)) from None
        if gated is not None:
            return gated
        return self.run(turn, call, base, processed, turn.by_name(call.name))

    def run(self, turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None) -> Node:
        """Run a bound template: under a Retry node if it has a retryStrategy, else by itself."""
        if retry_strategy(turn, processed.body) is not None:
            made = self.begin[RETRY](turn, call, base, processed, node)
        else:
            made = self.dispatch(turn, call, base, processed, node)
        made = turn.row(made.id)
        if made.phase.fulfilled:
            gates.leave(turn, made)
        return made

    def dispatch(self, turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None) -> Node:
        """Begin the node by the kind of its template. Raises CallFailed after marking the node."""
        return self._or_error(turn, call, lambda: self.begin[processed.entry.kind](turn, call, base, processed, node))

    def _or_error(self, turn: Turn, call: Call, act: Callable[[], Node]) -> Node:
        """``act``, which may find that the node cannot go on: then it is in phase Error, and so is its caller's group."""
        try:
            return act()
        except (CallFailed, ExpressionError) as error:
            message = error.message if isinstance(error, CallFailed) else str(error)
            existing = turn.by_name(call.name)
            if existing is not None and existing.phase.fulfilled and existing.message == message:
                made = existing
            else:
                made = make_error(turn, call, existing, message)
            gates.leave(turn, made)
            raise (LimitReached(message) if isinstance(error, LimitReached) else CallFailed(message)) from None


def own_scope(turn: Turn, call: Call, entry: Entry) -> Scope:
    """The globals with the names that a node gives itself: node.name, steps.name or tasks.name, pod.name."""
    own: dict[str, Value] = {"node.name": call.name, f"{call.holder.caller}.name": call.holder.caller_name}
    needed = entry.tagged or "inputs" in entry.json or "volumes" in turn.plan.spec
    if needed and entry.is_pod and retry_strategy(turn, entry.json) is None:
        own["pod.name"] = name_of_pod(turn, call.name, entry)
    return base_scope(turn, entry).child(own)


def base_scope(turn: Turn, entry: Entry) -> Scope:
    """What holds for a template whoever calls it. Argo fills Steps and DAG bodies in anew in each pass, and this engine once: so what changes
    with time is left in them for their steps and tasks.
    """
    return turn.state.globals if entry.kind in ("steps", "dag") else turn.state.current


def name_of_pod(turn: Turn, node_name: str, entry: Entry) -> str:
    """The name of the pod of the node ``node_name``."""
    name = pod_name(turn.run.name, node_name, entry.name, version=pod_name_version(turn.run))
    return name + turn.id_of(node_name).removeprefix(node_id(turn.run.name, node_name))


def retry_strategy(turn: Turn, body: JsonObject) -> JsonObject | None:
    """The retryStrategy that holds for a template: its own, else the workflow's; there is no merging of the two."""
    own = body.get("retryStrategy")
    if isinstance(own, dict):
        return own
    general = turn.plan.spec.get("retryStrategy")
    return general if isinstance(general, dict) else None


def display_name_of(body: JsonObject) -> str | None:
    """The display name that a template gives its nodes, if any."""
    metadata = object_of(body, "annotations")
    return text_of(metadata, ANNOTATION_DISPLAY_NAME) or None


def check_display_name(body: JsonObject) -> None:
    """Raise ExpressionError for a display name that Argo would refuse."""
    name = display_name_of(body)
    if name is not None and not _DISPLAY_NAME.match(name):
        raise ExpressionError(f"displayName must match the regex {_DISPLAY_NAME.pattern}")


def make_error(turn: Turn, call: Call, node: Node | None, message: str) -> Node:
    """Put a node in phase Error; one that does not exist yet is made, with type Skipped as Argo makes it."""
    if node is not None:
        if turn.frozen:  # the error is found again by the pass that follows; its frame has to be there
            raise NotNow
        turn.state.frames.pop(node.id, None)
        daemons.end_beneath(turn, node.id)
        return turn.mark(node.id, Phase.ERROR, message)
    return turn.create(call, NodeType.SKIPPED, Phase.ERROR, message=message)


def attempt_call(call: Call, number: int, wrapper: Node) -> Call:
    """The call for one attempt of a retried node."""
    return replace(call, name=f"{wrapper.name}({number})", owner=wrapper.id, parents=(wrapper.id,), retried=True)


__all__ = [
    "RETRY",
    "Advance",
    "Begin",
    "Executing",
    "attempt_call",
    "base_scope",
    "display_name_of",
    "make_error",
    "name_of_pod",
    "own_scope",
    "retry_strategy",
]
