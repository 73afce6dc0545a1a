"""The engine: events in, rows and commands out; no I/O, and no clock or chance but what it is given.

Rules of this package:

* Everything that is remembered is in the rows (``nodes.Node``, ``nodes.RunRow``). What else ``turn.State`` holds can be made again from them.
* ``Engine.handle`` is the only way in. It applies a batch of events to rows, then makes passes until a pass changes nothing.
* A pass walks down from the root, but only to what changed (``whole.operate``, ``execute.Executing``, ``behaviors``). It does what one
  reconciliation of Argo's controller does, in the same order; the batch stands for what happened between two of them.
* A row that changes is noted with those that are told of it (``State.touch``), whoever changed it, so nothing can be missed.
* A late or repeated event changes nothing.

How to follow one node: ``execute`` makes it (or a Retry node and its attempts), ``behaviors.pod.begin`` asks for its start, ``started`` and
``ended`` apply what its executor reports, and its owner's ``advance`` finds it fulfilled.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from flowcore.engine import control, gates, reopening, times, whole
from flowcore.engine.behaviors import pod, suspend
from flowcore.engine.behaviors.dag import DagRunning
from flowcore.engine.behaviors.retry import Retrying
from flowcore.engine.behaviors.steps import Stepping
from flowcore.engine.execute import RETRY, Advance, Begin, Executing
from flowcore.engine.frames import DagFrame, Frame, LeafFrame, RetryFrame, StepsFrame
from flowcore.engine.lock_status import LockStatus
from flowcore.engine.messages import (
    Command,
    Event,
    Finished,
    Granted,
    NodeSetRequested,
    Opened,
    Progressed,
    Ready,
    Recalled,
    Refused,
    ResumeRequested,
    ShutdownRequested,
    Started,
    SuspendRequested,
    Woken,
)
from flowcore.engine.turn import Ask, State, Turn
from flowcore.errors import InternalError
from flowcore.language.sources import Chance, sources
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, WorkflowPhase
from flowcore.plan.plan import Plan

_MOST_PASSES = 10_000


@dataclass(frozen=True, slots=True)
class Reaction:
    """What came of some events: the rows that changed, the run's row, and what is wanted of the world, in order."""

    nodes: tuple[Node, ...]
    run: RunRow
    commands: tuple[Command, ...]


class Engine:
    """Decides, and does nothing itself: the same events give the same reactions."""

    def __init__(
        self,
        plan: Plan,
        rows: Iterable[Node] = (),
        run: RunRow | None = None,
        *,
        one_pass: bool = False,
        chance: Chance | None = None,
        ask: Ask | None = None,
    ) -> None:
        """Take up ``plan`` with the rows that were recorded of it, if any. ``chance`` is what the functions of expressions draw from, instead
        of the operating system's.

        With ``one_pass`` each ``handle`` makes one pass only, in the rhythm of Argo's controller: call it again, without events, while it
        changes rows. With ``ask`` nodes get their locks and remembered outputs from there, at once, instead of by commands and events.
        """
        self.plan = copy.copy(plan)
        self._state = State(self.plan, rows, run or plan.run)
        self._state.ask = ask
        self._executing = _executing()
        self._locks = LockStatus(self._state.run, lambda node: self._state.nodes[node].name)
        self._passes = 1 if one_pass else _MOST_PASSES
        self._chance = chance

    @property
    def nodes(self) -> Mapping[NodeId, Node]:
        """All rows."""
        return self._state.nodes

    @property
    def run(self) -> RunRow:
        """The row of the run."""
        return self._state.run

    def children(self, node: NodeId) -> Sequence[NodeId]:
        """The children of a node, in order."""
        return self._state.children.get(node, ())

    def check(self) -> None:
        """Raise InternalError if what is derived from the rows is not what the rows give; for tests and for the search of faults."""
        live, rebuilt = self._state.derived(), State(self.plan, self._state.nodes.values(), self._state.run).derived()
        wrong = [f"{what} is {live[what]!r}, the rows say {rebuilt[what]!r}" for what in live if live[what] != rebuilt[what]]
        if wrong:
            raise InternalError(f"run {self.run.name}: {'; '.join(wrong)}")

    def handle(self, events: Sequence[Event], now: datetime) -> Reaction:
        """Take in what happened, in order, and say what follows. The run's end is in ``Reaction.run.phase``.

        Expressions take ``now`` for the present.
        """
        with sources(clock=lambda: now, chance=self._chance):
            return self._handle(events, now)

    def _handle(self, events: Sequence[Event], now: datetime) -> Reaction:
        state = self._state
        turn = Turn(state, now)
        if not state.run.phase.completed:
            for event in sorted(events, key=_is_order):  # Argo looks at pods before it acts on orders
                self._apply(turn, event)
            self._settle(turn)
            gates.leave_abandoned(turn)
            self._note_locks(turn, events)
            self._end_if_deadlocked(turn)
        else:
            for event in events:
                if isinstance(event, Finished) and event.node in state.stopping:
                    state.stopping.discard(event.node)
        return Reaction(tuple(turn.changed.values()), state.run, tuple(turn.commands))

    def _note_locks(self, turn: Turn, events: Sequence[Event]) -> None:
        """Record with the run what its locks came to; one that has ended holds none."""
        told = self._locks.after(turn.run, events, turn.commands)
        if turn.run.phase.completed:
            told = None
        if told != turn.run.synchronization:
            turn.update_run(replace(turn.run, synchronization=told))

    def _end_if_deadlocked(self, turn: Turn) -> None:
        """End a run all that is left of which waits for mutexes that it holds itself, perhaps for a node that will never end; Argo would wait."""
        if turn.commands or not whole.is_idle(turn):
            return
        lock = self._locks.own_deadlock(gates.waiters(turn))
        if lock:
            whole.end_stuck(turn, f"nothing can start any more: what is left waits for {lock}, which this run holds itself")
            self._note_locks(turn, ())

    def _settle(self, turn: Turn) -> None:
        """Make passes until one changes nothing."""
        state = self._state
        for _ in range(self._passes):
            turn.progressed = False
            state.wait_for_slot = False
            if state.root_dirty or state.blocked:
                whole.operate(self._executing, turn)
                control.end_late_comers(turn)
            if state.run.phase.completed:
                return
            if not turn.progressed and not whole.fail_if_stuck(turn):
                return
        if self._passes == 1:
            return
        raise InternalError(
            f"the rows of run {state.run.name} do not come to rest", story=[repr(row) for row in turn.changed.values()][:20]
        )

    def _apply(self, turn: Turn, event: Event) -> None:
        match event:
            case Started(node) | Finished(node) | Ready(node) | Progressed(node) | Recalled(node):  # the frequent ones first
                self._apply_to_node(turn, event, node)
            case Opened():
                self._open(turn)
            case ShutdownRequested(strategy):
                control.shut_down(turn, strategy)
                whole.end_if_pending(turn)
            case SuspendRequested():
                control.suspend_run(turn)
            case ResumeRequested(selector):
                control.resume(turn, selector)
            case NodeSetRequested():
                control.set_node(turn, event)
            case Woken(None):
                if times.deadline_passed(turn):
                    control.pass_deadline(turn)
            case Granted(None):
                if turn.run.phase is WorkflowPhase.PENDING:
                    whole.begin_running(turn)
            case Refused(None, message, _, error) if turn.run.phase is WorkflowPhase.PENDING:
                self._refuse_run(turn, message, error=error)
            case Woken(node) | Granted(node) | Refused(node) if node is not None:
                self._apply_to_node(turn, event, node)
            case Woken() | Granted() | Refused():
                pass  # of the run, and handled above
            case _:
                assert_never(event)

    def _refuse_run(self, turn: Turn, message: str, *, error: bool) -> None:
        if error:
            whole.finish(turn, WorkflowPhase.FAILED, f"Failed to acquire the synchronization lock. {message}")
        else:
            turn.update_run(replace(turn.run, phase=WorkflowPhase.PENDING, message=message))

    def _apply_to_node(self, turn: Turn, event: Event, id_: NodeId) -> None:
        node = turn.get(id_)
        if node is None or node.phase.fulfilled:
            if node is not None and isinstance(event, Finished) and id_ in self._state.stopping:
                pod.ended_late(turn, node, event.outcome)
            return  # a late report changes nothing
        match event:
            case Started(_, host):
                if node.phase is Phase.PENDING:
                    pod.started(turn, node, host)
            case Ready(_, pod_ip):
                pod.ready(turn, node, pod_ip)
            case Progressed(_, progress, message):
                waiting = node.phase is Phase.PENDING and message is not None
                turn.put(replace(node, progress=progress or node.progress, message=message or "" if waiting else node.message))
            case Finished(_, outcome):
                pod.ended(turn, node, outcome)
            case Woken():
                self._wake(turn, node)
            case Granted():
                gates.granted(turn, node)
            case Refused(_, message, lock, error):
                self._refuse(turn, node, message, lock, error=error)
            case Recalled(_, hit, outputs, error):
                if error:
                    self._refuse(turn, node, error, None, error=True)
                else:
                    gates.recalled(turn, node, hit=hit, outputs=outputs)

    def _wake(self, turn: Turn, node: Node) -> None:
        if node.wake_at is None or turn.now < node.wake_at:
            return
        match node.type:
            case _ if node.waiting is not None:
                times.leaf_woken(turn, node)
                gates.leave(turn, turn.row(node.id))
            case NodeType.SUSPEND:
                turn.state.touch(node)
            case NodeType.RETRY:
                turn.put(replace(node, wake_at=None))
                turn.state.touch(node)
            case _:
                times.leaf_woken(turn, node)

    def _refuse(self, turn: Turn, node: Node, message: str, lock: str | None, *, error: bool) -> None:
        if error:
            turn.state.refused[node.id] = message
            gates.heed(turn, node)
        else:
            gates.refused(turn, node, message, lock)

    def _open(self, turn: Turn) -> None:
        """Begin a new run, or take one up that was recorded: its standing orders are given again."""
        whole.prepare(turn)
        if turn.run.phase is WorkflowPhase.UNKNOWN and not turn.state.nodes:
            whole.start(turn)
            return
        reopening.take_up(self._executing, turn)


def _is_order(event: Event) -> bool:
    return isinstance(event, ShutdownRequested | SuspendRequested)


def _executing() -> Executing:
    """The common path, and the table of behaviors that it leads to."""
    begin: dict[str, Begin] = dict.fromkeys(("container", "containerSet", "script", "resource", "data", "http", "plugin"), pod.begin)
    begin["suspend"] = suspend.begin
    advance: dict[type[Frame], Advance] = {}
    executing = Executing(begin, advance)
    stepping, running, retrying = Stepping(executing), DagRunning(executing), Retrying(executing)
    begin.update({"steps": stepping.begin, "dag": running.begin, RETRY: retrying.begin})
    advance.update({LeafFrame: suspend.advance, StepsFrame: stepping.advance, DagFrame: running.advance, RetryFrame: retrying.advance})
    return executing


__all__ = ["Engine", "Reaction"]
