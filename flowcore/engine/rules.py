"""Rules that decide a phase or a next step from rows alone, in the meaning of Argo: pure functions, without the engine's state."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, text_of
from flowcore.language.go_regexp import compile_regexp
from flowcore.language.quantities import humanize, parse_duration
from flowcore.nodes import Node, NodeId, NodeType, Phase, WorkflowPhase

WORKFLOW_PHASE: Mapping[Phase, WorkflowPhase] = {
    Phase.PENDING: WorkflowPhase.PENDING,
    Phase.RUNNING: WorkflowPhase.RUNNING,
    Phase.SUCCEEDED: WorkflowPhase.SUCCEEDED,
    Phase.SKIPPED: WorkflowPhase.SUCCEEDED,
    Phase.OMITTED: WorkflowPhase.SUCCEEDED,
    Phase.FAILED: WorkflowPhase.FAILED,
    Phase.ERROR: WorkflowPhase.ERROR,
}

_TRANSIENT = (
    "i/o timeout",
    "connection timed out",
    "connection reset by peer",
    "connect: connection refused",
    "net/http: TLS handshake timeout",
    "Connection closed by foreign host",
    "invalid connection",
    "http2: client connection lost",
    "http2: server sent GOAWAY and closed the connection",
    "request did not complete within requested timeout",
    "error when reading response body",
    "etcdserver: leader changed",
    "etcdserver: request timed out",
    "etcdserver: too many requests",
    "client rate limiter Wait returned an error",
)


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Make the next attempt; ``until`` is when its work is stopped at the latest."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Make the next attempt at ``at``, and say ``message`` meanwhile."""

    at: datetime
    message: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No more attempts: the wrapper takes the last attempt's phase with this message."""

    message: str


Verdict = TryAgain | WaitUntil | GiveUp


def decide_retry(
    strategy: JsonObject, attempts: list[Node], now: datetime, may_continue: Callable[[str], bool], transient: str = ""
) -> Verdict:
    """What follows after the last of ``attempts`` failed.

    ``may_continue`` evaluates the strategy's expression; ``transient`` is a pattern of messages that tell of faults that may pass. Raises ExpressionError for a strategy that cannot be read.
    """
    last = attempts[-1]
    until: datetime | None = None
    backoff = strategy.get("backoff")
    limit = _limit(strategy)
    if isinstance(backoff, dict):
        waited = _back_off(backoff, attempts, now, limit)
        if not isinstance(waited, TryAgain):
            return waited
        until = waited.until
    if not policy_covers(policy_of(strategy), last, transient):
        return GiveUp(last.message)
    if limit is not None and len(attempts) > limit:
        return GiveUp("No more retries left")
    expression = text_of(strategy, "expression")
    if expression and not may_continue(expression):
        return GiveUp("retryStrategy.expression evaluated to false")
    return TryAgain(until)


def _limit(strategy: JsonObject) -> int | None:
    return _int32(strategy.get("limit"))


def _int32(value: Json) -> int | None:
    if value is None:
        return None
    text = str(value)
    if not re.fullmatch(r"[+-]?\d{1,10}", text):
        raise ExpressionError(f"value '{text}' cannot be resolved to an int")
    return int(text)


def _back_off(backoff: JsonObject, attempts: list[Node], now: datetime, limit: int | None) -> Verdict:
    first, last = attempts[0], attempts[-1]
    until = retried_until({"backoff": backoff}, first)
    if until is not None and now > until:
        return GiveUp("Max duration limit exceeded")
    duration = text_of(backoff, "duration")
    if not duration:
        raise ExpressionError("no base duration specified for retryStrategy")
    wait = _wait(backoff, parse_duration(duration), len(attempts))
    ready = _add((last.finished_at or now), wait)
    if until is not None and ready > until:
        return GiveUp("Backoff would exceed max duration limit")
    if now < ready and limit is not None and len(attempts) <= limit:
        return WaitUntil(ready, f"Backoff for {humanize(wait)}")
    return TryAgain(until)


def retried_until(strategy: JsonObject, first: Node) -> datetime | None:
    """When the last attempt must have ended, by the strategy's maxDuration from the start of the ``first``."""
    backoff = strategy.get("backoff")
    longest = text_of(backoff, "maxDuration") if isinstance(backoff, dict) else ""
    return first.started_at + parse_duration(longest) if longest and first.started_at is not None else None


_LONGEST = timedelta(days=106751)  # what Go's Duration can hold


def _wait(backoff: JsonObject, base: timedelta, attempts: int) -> timedelta:
    """Duration * factor ** (attempts - 1), bounded by ``cap``."""
    factor = _int32(backoff.get("factor"))
    wait = base
    if factor is not None and factor > 0:
        try:
            wait = base * float(factor) ** (attempts - 1)
        except OverflowError:
            wait = _LONGEST
        wait = min(wait, _LONGEST)
    cap = text_of(backoff, "cap")
    return min(wait, parse_duration(cap)) if cap else wait


def _add(at: datetime, wait: timedelta) -> datetime:
    try:
        return at + wait
    except OverflowError:
        return datetime.max.replace(tzinfo=at.tzinfo)


def policy_of(strategy: JsonObject) -> str:
    """The retryPolicy that holds: OnFailure by default, Always if there is an expression."""
    policy = text_of(strategy, "retryPolicy")
    return policy or ("Always" if text_of(strategy, "expression") else "OnFailure")


def policy_covers(policy: str, last: Node, transient: str = "") -> bool:
    """Whether ``policy`` lets an attempt that ended as ``last`` be followed by another. Raises ExpressionError for an unknown policy."""
    match policy:
        case "Always":
            return True
        case "OnFailure":
            return last.phase is not Phase.ERROR
        case "OnError":
            return last.phase is not Phase.FAILED
        case "OnTransientError":
            return is_transient(last.message, transient)
        case _:
            raise ExpressionError(f"{policy} is not a valid RetryPolicy")


def is_transient(message: str, pattern: str = "") -> bool:
    """Whether a message tells of a fault that may pass: a known one, or one that ``pattern`` (a regular expression as in Go) matches."""
    return any(mark in message for mark in _TRANSIENT) or (bool(pattern) and compile_regexp(pattern).matches(message))


def group_failure(children: Iterable[Node], continues: Callable[[Node], bool]) -> Node | None:
    """The child that makes a step group fail: the first that failed without a matching continueOn."""
    return next((child for child in children if child.phase.failed_or_error and not continues(child)), None)


def dag_phase(
    start: list[NodeId],
    targets: list[NodeId],
    nodes: Mapping[NodeId, Node],
    children: Callable[[NodeId], list[NodeId]],
    *,
    fail_fast: bool,
    continues: Callable[[NodeId, Phase], bool],
    completed_groups: dict[NodeId, Phase],
    waiting_groups: Container[NodeId] = (),
) -> Phase:
    """The phase of a DAG, by a walk from its first tasks along the children.

    Each branch carries the phase of the last node in it that completed; a target takes the worst of the branches that reach it. A TaskGroup
    that runs although all of its items are fulfilled counts as complete, and is added to ``completed_groups``; not so one of
    ``waiting_groups``, of which an item found no slot so far.
    """
    reached: dict[NodeId, Phase | None] = dict.fromkeys(targets)
    queue: deque[tuple[NodeId, Phase]] = deque((node, Phase.SUCCEEDED) for node in start)
    seen = set(queue)
    while queue:
        id_, branch = queue.popleft()
        node = nodes.get(id_)
        if node is None:
            return Phase.RUNNING
        if not node.fulfilled:
            group = group_phase(node, nodes, children) if id_ not in waiting_groups else None
            if group is None:
                return Phase.RUNNING
            completed_groups[id_] = branch = group
        elif node.phase.completed:
            branch = node.phase
        if id_ in reached:
            before = reached[id_]
            if before is None or not before.failed_or_error:
                reached[id_] = branch
        for following in _following(node, nodes, children):
            if (following, branch) not in seen:
                seen.add((following, branch))
                queue.append((following, branch))
    return _verdict(targets, reached, fail_fast=fail_fast, continues=continues)


def group_phase(node: Node, nodes: Mapping[NodeId, Node], children: Callable[[NodeId], list[NodeId]]) -> Phase | None:
    """The phase of a TaskGroup whose items are all fulfilled: that of the last one that failed, else Succeeded."""
    items = children(node.id)
    if node.type is not NodeType.TASK_GROUP or not items:
        return None
    phase = Phase.SUCCEEDED
    for id_ in items:
        item = nodes.get(id_)
        if item is None or not item.fulfilled:
            return None
        if item.phase.failed_or_error:
            phase = item.phase
    return phase


def all_fulfilled_beneath(node: NodeId, nodes: Mapping[NodeId, Node], children: Callable[[NodeId], list[NodeId]]) -> bool:
    """Whether all nodes at the ends of the graph beneath ``node`` are fulfilled; those in between are not looked at, as in Argo."""
    seen: set[NodeId] = {node}
    stack = [node]
    while stack:
        id_ = stack.pop()
        below = children(id_)
        if not below and not nodes[id_].fulfilled:
            return False
        for child in below:
            if child not in seen:
                seen.add(child)
                stack.append(child)
    return True


def _following(node: Node, nodes: Mapping[NodeId, Node], children: Callable[[NodeId], list[NodeId]]) -> list[NodeId]:
    """Where the walk goes on: a Retry node stands for its attempts, so their children and its hooks follow."""
    if node.type is not NodeType.RETRY:
        return children(node.id)
    following: list[NodeId] = []
    for id_ in reversed(children(node.id)):
        child = nodes.get(id_)
        if child is not None and child.hooked:
            following.append(id_)
        else:
            following.extend(children(id_))
    return following


def _verdict(
    targets: list[NodeId], reached: Mapping[NodeId, Phase | None], *, fail_fast: bool, continues: Callable[[NodeId, Phase], bool]
) -> Phase:
    result = Phase.SUCCEEDED
    for target in targets:
        phase = reached[target]
        if phase is None:
            result = Phase.RUNNING
            if not fail_fast:
                break
        elif phase.failed_or_error and not continues(target, phase):
            result = phase
            if fail_fast:
                break
    return result


def is_part_of_exit_handler(node: Node, nodes: Mapping[NodeId, Node]) -> bool:
    """Whether a node, or one around it, is an exit handler: those may run although the run was stopped."""
    current: Node | None = node
    while current is not None:
        if current.hooked and current.name.endswith(".onExit"):
            return True
        if current.retried and current.owner is not None:
            current = nodes.get(current.owner)
            continue
        current = nodes.get(current.boundary) if current.boundary is not None else None
    return False


__all__ = [
    "WORKFLOW_PHASE",
    "GiveUp",
    "TryAgain",
    "Verdict",
    "WaitUntil",
    "all_fulfilled_beneath",
    "dag_phase",
    "decide_retry",
    "group_failure",
    "group_phase",
    "is_part_of_exit_handler",
    "is_transient",
    "policy_covers",
    "policy_of",
    "retried_until",
]
