"""The gates before a node's work: locks (``synchronization``) and remembered outputs (``memoize``).

The engine asks by a command and is answered by an event; meanwhile the node is Pending. An engine that was given somebody who answers at
once (``State.ask``) asks him, and the node goes on in the same pass, as it does in Argo's controller. ``enter`` lets a node through or makes
it wait, ``leave`` gives back its locks when it is fulfilled.
"""

from __future__ import annotations

import re
from dataclasses import replace

from flowcore.engine import limits, times
from flowcore.engine.calls import Call
from flowcore.engine.frames import LeafFrame
from flowcore.engine.messages import Acquire, Recall, Recalled, Refused, Release, Remember
from flowcore.engine.turn import RECALLING, Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.language.quantities import parse_go_duration
from flowcore.nodes import Node, NodeId, NodeType, Phase
from flowcore.plan.arguments import Processed
from flowcore.plan.locking import locks_of, problem_of
from flowcore.plan.templates import Base

ANSWER = "?"  # what a node waits for until it is told whether it gets its locks; it is not active meanwhile
_CACHE_KEY = re.compile(r"^[a-zA-Z0-9][-a-zA-Z0-9]*$")


def waiting(turn: Turn, frame: LeafFrame) -> bool:
    """Whether a node has not passed its gates yet."""
    return not frame.begun and frame.node in turn.state.asked


def enter(turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None) -> Node | None:
    """Let the node pass (None), or return it as it stands: waiting, or ended by a cache hit. Raises ExpressionError for a bad key."""
    body = processed.body
    if "synchronization" not in body and "memoize" not in body:
        return None
    locks = locks_of(object_of(body, "synchronization"))
    memoize = object_of(body, "memoize")
    if not locks and not memoize:
        return None
    id_ = turn.id_of(call.name)
    refusal = turn.state.refused.pop(id_, None)
    if refusal is not None:
        raise ExpressionError(refusal)
    if node is not None and node.waiting is None and id_ in turn.state.unopened:
        _hold_on(turn, id_, locks)
        return None
    if locks and id_ not in turn.state.granted:
        problem = problem_of(locks, turn.run.namespace, turn.plan.documents)
        if problem:
            raise ExpressionError(problem)
        if turn.state.ask is None:
            return _wait(turn, call, base, processed, node, Acquire(id_, locks))
        _take_locks(turn, call, base, processed, Acquire(id_, locks))
    if memoize and id_ not in turn.state.recalled and (node is None or node.memoization is None or node.waiting is not None):
        if turn.state.ask is None:
            return _wait(turn, call, base, processed, node, _recall(id_, memoize))
        _look_up(turn, call, processed, memoize)
    row = turn.get(id_)
    if row is not None and row.waiting is not None and row.waiting != ANSWER and turn.state.ask is not None:
        return row
    if row is not None and row.phase.fulfilled:
        turn.state.frames.pop(id_, None)
        return row
    if row is not None and row.waiting is not None:
        row = turn.put(replace(row, waiting=None, wake_at=None))
    if row is not None and row.type in (NodeType.STEPS, NodeType.DAG, NodeType.RETRY) and not stays_pending(turn, row):
        turn.mark(id_, Phase.RUNNING)
    turn.state.asked.discard(id_)
    turn.state.answered.discard(id_)
    turn.state.frames.pop(id_, None)
    return None


def stays_pending(turn: Turn, node: Node) -> bool:
    """Whether a composite node that waited at a gate keeps the phase it was made in until it ends. In Argo all do that were made to wait; those
    that got their locks at once were not, and an engine that asks by commands cannot tell them apart.
    """
    return node.memoization is not None or turn.state.ask is not None


def _hold_on(turn: Turn, node: NodeId, locks: tuple[JsonObject, ...]) -> None:
    """A recorded node that is past its gates: its locks are its own before anybody who waits for them is answered."""
    turn.state.recalled.add(node)
    if locks:
        turn.state.granted.add(node)
        _asked(turn, node).add(Acquire.__name__)
        if turn.state.ask is None:
            turn.commands.insert(0, Acquire(node, locks))
        else:
            turn.settle(Acquire(node, locks))


def _recall(node: NodeId, memoize: JsonObject) -> Recall:
    key = text_of(memoize, "key")
    cache = text_of(object_of(object_of(memoize, "cache"), "configMap"), "name")
    if not _CACHE_KEY.match(key):
        raise ExpressionError(f"invalid cache key: {key}")
    max_age = text_of(memoize, "maxAge")
    try:
        return Recall(node, cache, key, parse_go_duration(max_age) if max_age else None)
    except ExpressionError as error:
        raise ExpressionError(f"invalid maxAge: {error}") from None


def _wait(turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None, ask: Acquire | Recall) -> Node:
    """Make the node, Pending, and ask; the same question is asked once."""
    id_ = turn.id_of(call.name)
    if node is None:
        node = _make(turn, call, processed)
    if isinstance(ask, Recall):
        node = turn.put(replace(node, waiting=RECALLING))
    elif node.waiting is None:
        node = turn.put(replace(node, waiting=ANSWER))
    frame = turn.state.frames.get(id_)
    if not isinstance(frame, LeafFrame) or type(ask).__name__ not in _asked(turn, id_):
        turn.state.frames[id_] = LeafFrame(node=id_, call=call, processed=processed, base=base)
        turn.state.asked.add(id_)
        turn.state.answered.discard(id_)
        _asked(turn, id_).add(type(ask).__name__)
        turn.commands.append(ask)
    return turn.row(id_)


def _make(turn: Turn, call: Call, processed: Processed) -> Node:
    # Only a retryStrategy of the template's own makes it a Retry node from the first; so Argo has it.
    node_type = NodeType.RETRY if isinstance(processed.body.get("retryStrategy"), dict) else processed.entry.node_type
    node = turn.create(call, node_type, Phase.PENDING, inputs=processed.inputs)
    memoize = object_of(processed.body, "memoize")
    if memoize:
        node = turn.put(replace(node, memoization=memoization(memoize)))
    times.watch_pending(turn, node, processed.body)
    return turn.row(node.id)


def _take_locks(turn: Turn, call: Call, base: Base, processed: Processed, ask: Acquire) -> None:
    """Ask for locks and be answered at once. A node that does not get them waits, and asks again in every pass. Raises ExpressionError."""
    answer = turn.settle(ask)
    node = turn.get(ask.node) if ask.node is not None else None
    _asked(turn, turn.id_of(call.name)).add(Acquire.__name__)
    if isinstance(answer, Refused):
        if answer.error:
            raise ExpressionError(answer.message)
        node = node or _make(turn, call, processed)
        turn.put(replace(node, waiting=answer.waiting or "?", message=answer.message))
        turn.state.frames[node.id] = LeafFrame(node=node.id, call=call, processed=processed, base=base)
        turn.state.asked.add(node.id)
        limits.block(turn, node.id)
        return
    turn.state.granted.add(turn.id_of(call.name))
    if node is not None:
        turn.put(replace(node, waiting=ANSWER, message=""))


def _look_up(turn: Turn, call: Call, processed: Processed, memoize: JsonObject) -> None:
    """Look into the cache and be answered at once. Raises ExpressionError."""
    id_ = turn.id_of(call.name)
    answer = turn.settle(_recall(id_, memoize))
    if isinstance(answer, Recalled):
        if answer.error:
            raise ExpressionError(answer.error)
        node = turn.get(id_) or _make(turn, call, processed)
        turn.put(replace(node, waiting=ANSWER))
        recalled(turn, turn.row(id_), hit=answer.hit, outputs=answer.outputs)


def _asked(turn: Turn, node: NodeId) -> set[str]:
    return turn.state.questions.setdefault(node, set())


def memoization(memoize: JsonObject) -> JsonObject:
    """What a node records of its cache entry, which it has not found so far."""
    return {"hit": False, "key": text_of(memoize, "key"), "cacheName": text_of(object_of(object_of(memoize, "cache"), "configMap"), "name")}


def granted(turn: Turn, node: Node) -> None:
    """All locks are held now: the node may go on. Told twice, it makes no difference."""
    if node.waiting is None or node.id in turn.state.granted:
        return
    if is_abandoned(turn, node):
        leave(turn, node)
        return
    turn.state.granted.add(node.id)
    turn.put(replace(node, waiting=ANSWER, message=""))
    heed(turn, node)


def is_abandoned(turn: Turn, node: Node) -> bool:
    """Whether what encloses a waiting node has ended, so that nobody will begin it: then others may have its locks."""
    inner: Node | None = node
    while inner is not None:
        retry = turn.get(inner.owner) if inner.retried and inner.owner is not None else None
        around = turn.get(inner.boundary) if inner.boundary is not None else None
        if any(above is not None and above.phase.fulfilled for above in (retry, around)):
            return True
        inner = around
    return False


def waiters(turn: Turn) -> list[NodeId]:
    """Who waits for an answer, and would begin with it."""
    state = turn.state
    return [id_ for id_ in state.asked if id_ not in state.answered and not is_abandoned(turn, turn.row(id_))]


def leave_abandoned(turn: Turn) -> None:
    """Have those give back their locks who got them, had to wait for a slot, and will not begin any more: all around them has ended meanwhile."""
    for node in [turn.row(id_) for id_ in turn.state.answered & turn.state.granted]:
        if is_abandoned(turn, node):
            leave(turn, node)


def heed(turn: Turn, node: Node) -> None:
    """The node's question was answered: it is looked at in this pass."""
    if node.id in turn.state.asked:
        turn.state.answered.add(node.id)
    turn.state.touch(node)


def refused(turn: Turn, node: Node, message: str, lock: str | None) -> None:
    """The node queues for ``lock``, unless it holds its locks already."""
    if node.id in turn.state.granted:
        return
    turn.put(replace(node, waiting=lock or "?", message=message))


def recalled(turn: Turn, node: Node, *, hit: bool, outputs: JsonObject | None) -> None:
    """The cache answered: a hit ends the node with the remembered outputs. An answer that nobody waits for changes nothing."""
    if node.waiting is None:
        return
    turn.state.recalled.add(node.id)
    status = {**(node.memoization or {}), "hit": hit}
    if hit:
        turn.state.frames.pop(node.id, None)
        turn.put(
            replace(node, phase=Phase.SUCCEEDED, outputs=outputs, memoization=status, finished_at=turn.now, waiting=None, wake_at=None)
        )
        leave(turn, turn.row(node.id))
    else:
        turn.put(replace(node, memoization=status))
        heed(turn, node)


def leave(turn: Turn, node: Node) -> None:
    """Give back the locks of a node that is fulfilled."""
    state = turn.state
    if node.id in state.granted or (node.id in state.questions and "Acquire" in state.questions[node.id]):
        state.granted.discard(node.id)
        state.questions.pop(node.id, None)
        turn.tell(Release(node.id))
    state.asked.discard(node.id)
    state.answered.discard(node.id)


def remember(turn: Turn, node: Node) -> None:
    """Have the outputs of a node that succeeded remembered, if it was a miss."""
    status = node.memoization
    if status is not None and not status.get("hit") and node.phase is Phase.SUCCEEDED:
        turn.tell(Remember(node.id, text_of(status, "cacheName"), text_of(status, "key"), node.outputs))
