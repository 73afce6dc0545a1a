"""How much may run at once: ``parallelism`` of the workflow and of templates, and ``failFast`` of templates.

``check_new`` is asked before a node is made, ``check_existing`` before one goes on; both raise NotNow. Whoever called tries again in
a later pass: ``block`` notes that.
"""

from __future__ import annotations

from flowcore.engine.calls import Call, NotNow
from flowcore.engine.frames import DagFrame, Frame, StepsFrame
from flowcore.engine.turn import Turn
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, NodeType, Phase

FAIL_FAST = "template has failed or errored children and failFast enabled"


def workflow_is_full(turn: Turn, *, expected: int = 0) -> bool:
    """Whether as many pods are active as ``spec.parallelism`` allows, with so many that are ``expected``."""
    limit = turn.plan.spec.get("parallelism")
    return isinstance(limit, int) and turn.state.active_pods + expected >= limit


def check_new(turn: Turn, call: Call, node: Node | None) -> None:
    """Raise NotNow if the node of ``call`` may not be made now."""
    if node is not None and node.id in turn.state.unopened:
        return
    # A hook that finds no slot is an error: it is not refused for work that may never begin.
    if workflow_is_full(turn, expected=0 if call.hooked else turn.state.recalling):
        raise NotNow
    if call.boundary is None or node is not None:
        return
    frame = turn.state.frames.get(call.boundary)
    if not isinstance(frame, StepsFrame | DagFrame) or frame.call.holder.inline is not None:
        return
    template = frame.processed.entry.json
    if template.get("failFast"):
        _fail_fast(turn, frame)
    limit = template.get("parallelism")
    if isinstance(limit, int) and turn.state.active_children_under[call.boundary] >= limit:
        raise NotNow


def check_existing(turn: Turn, frame: Frame, node: Node) -> None:
    """Raise NotNow if a node that has begun may not go on now."""
    if workflow_is_full(turn):
        raise NotNow
    if not isinstance(frame, StepsFrame | DagFrame) or (frame.call.retried and not frame.call.hooked):
        return  # Argo asks this of the Retry node, which has nothing directly beneath it
    template: JsonObject = frame.processed.body
    if template.get("failFast"):
        _fail_fast(turn, frame)
    limit = template.get("parallelism")
    if isinstance(limit, int) and turn.state.active_pods_under[node.id] >= limit:
        raise NotNow


def _fail_fast(turn: Turn, frame: StepsFrame | DagFrame) -> None:
    """Under failFast nothing new starts beneath a node once a child was unsuccessful; when no pod is active the node has failed."""
    if turn.state.unsuccessful_under[frame.node] == 0:
        return
    if turn.state.active_pods_under[frame.node] == 0:
        if isinstance(frame, StepsFrame):
            group = _last_group(turn, frame.node)
            if group is not None:
                turn.mark(group, Phase.FAILED, FAIL_FAST)
        turn.mark(frame.node, Phase.FAILED, FAIL_FAST)
    raise NotNow


def _last_group(turn: Turn, steps: NodeId) -> NodeId | None:
    """The step group that is reached last from a Steps node along the children."""
    found: NodeId | None = None
    seen: set[NodeId] = set()
    stack = [steps]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        row = turn.get(node)
        if row is None:
            continue
        if row.type is NodeType.STEP_GROUP:
            found = node
        stack.extend(reversed(turn.children(node)))
    return found


def block(turn: Turn, node: NodeId) -> None:
    """Note that something beneath ``node`` waits for a free slot."""
    turn.state.blocked[node] = None


def wake_blocked(turn: Turn) -> None:
    """Have all that wait for a slot looked at again."""
    if turn.state.blocked:
        for node in list(turn.state.blocked):
            row = turn.get(node)
            if row is not None and not row.phase.fulfilled:
                turn.state.touch(row)
        turn.state.blocked.clear()
