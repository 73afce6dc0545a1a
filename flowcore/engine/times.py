"""Points in time: deadlines of the run and of leaves, timeouts of leaves, and the timers behind them.

A timer is the ``wake_at`` of a row and a ``Wake`` command; after a crash the rows give the commands again. Whatever a timer stops is asked
to end, and its own end decides its message, as in Argo.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from flowcore.engine import rules
from flowcore.engine.messages import Stop, Wake
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import JsonObject, text_of
from flowcore.language.quantities import parse_duration
from flowcore.nodes import Node, NodeType, Phase, Shutdown

DEADLINE = "Step exceeded its deadline"
POD_DEADLINE = "Pod was active on the node longer than the specified deadline"
TIMEOUT = "timeout"
GRACE = timedelta(seconds=30)


def run_deadline(turn: Turn) -> datetime | None:
    """When the run must have ended, by ``spec.activeDeadlineSeconds`` from its start."""
    seconds = turn.plan.spec.get("activeDeadlineSeconds")
    if not isinstance(seconds, int) or turn.run.started_at is None:
        return None
    return turn.run.started_at.replace(microsecond=0) + timedelta(seconds=seconds)


def deadline_passed(turn: Turn) -> bool:
    """Whether the run should have ended by now."""
    deadline = run_deadline(turn)
    return deadline is not None and turn.now >= deadline


def watch_pending(turn: Turn, node: Node, body: JsonObject) -> None:
    """Set the timer for a node that may be Pending only so long, also while it waits for locks."""
    limits = [parse_duration(text) for text in (text_of(body, "timeout"), text_of(body, "pendingTimeout")) if text]
    if limits and node.started_at is not None:
        set_timer(turn, node, node.started_at + min(limits))


def watch_running(turn: Turn, node: Node, body: JsonObject, until: datetime | None) -> None:
    """Set the timer for a node that runs: the earliest of ``until``, its timeout and its own deadline, which counts from now."""
    ends = [until] if until is not None else []
    timeout = text_of(body, "timeout")
    if timeout and node.started_at is not None:
        ends.append(node.started_at + parse_duration(timeout))
    seconds = active_deadline(body)
    if seconds is not None:
        ends.append(turn.now + timedelta(seconds=seconds))
    if ends:
        set_timer(turn, node, min(ends))
    elif node.wake_at is not None:
        turn.put(replace(node, wake_at=None))


def active_deadline(body: JsonObject) -> int | None:
    """A template's ``activeDeadlineSeconds``. Raises ExpressionError for one that is no number."""
    value = body.get("activeDeadlineSeconds")
    if value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        raise ExpressionError(f"strconv.ParseInt: parsing {str(value)!r}: invalid syntax") from None


def set_timer(turn: Turn, node: Node, at: datetime) -> None:
    """Wake ``node`` at ``at``, and no longer at any other time."""
    turn.put(replace(node, wake_at=at))
    turn.commands.append(Wake(node.id, at))


def leaf_woken(turn: Turn, node: Node) -> None:
    """The time of a leaf is over: one that is Pending failed, one that runs is stopped."""
    if node.wake_at is None or turn.now < node.wake_at:
        return
    node = turn.put(replace(node, wake_at=None))
    if node.phase is Phase.PENDING:
        turn.mark(node.id, Phase.FAILED, TIMEOUT)
        turn.timed_out.add(node.id)
        turn.state.frames.pop(node.id, None)
        if node.waiting is None:
            stop(turn, node)
    elif not node.daemoned:
        turn.put(replace(node, message=POD_DEADLINE))
        stop(turn, node)


def is_to_end(turn: Turn, node: Node) -> bool:
    """Whether the work of a recorded leaf was ordered to end: by its own deadline, or because the run was stopped."""
    if node.message in (DEADLINE, POD_DEADLINE):
        return True
    shutdown = turn.run.shutdown
    return shutdown is Shutdown.TERMINATE or (shutdown is Shutdown.STOP and not rules.is_part_of_exit_handler(node, turn.state.nodes))


def stop(turn: Turn, node: Node) -> None:
    """Ask the work of a leaf to end; asked once."""
    if node.id not in turn.state.stopping and node.type in (NodeType.POD, NodeType.HTTP, NodeType.PLUGIN):
        turn.state.stopping.add(node.id)
        turn.commands.append(Stop(node.id, GRACE))


def go_time(at: datetime | None) -> str:
    """A time as Go prints it."""
    return at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC") if at is not None else ""
