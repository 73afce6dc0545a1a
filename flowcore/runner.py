"""The runner: the only part of the core that waits. It saves rows, carries commands out, and feeds what happens back into the engine.

One inbox, one consumer: everything that happens to a run is an event in ``Run._inbox`` or on its agenda, and only ``Run.drive`` takes them
out. The record comes before the deed: rows are saved, then commands are carried out, so that a crash between the two is healed by opening
the run again. Cancelling the runner looks away from the work; to end it, ``stop`` or ``terminate`` the run.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import anyio
from anyio.abc import TaskGroup

from flowcore.audience import Audience, Change, NodeChanged, Observer, RunChanged
from flowcore.clocks import SharedVirtualClock
from flowcore.deep_calls import DeepCalls
from flowcore.engine import control
from flowcore.engine.engine import Engine
from flowcore.engine.messages import (
    Acquire,
    AwaitResume,
    Command,
    Event,
    Finished,
    Granted,
    Invocation,
    NodeSetRequested,
    Opened,
    Outcome,
    Ready,
    Recall,
    Recalled,
    Refused,
    Release,
    Remember,
    ResumeRequested,
    ShutdownRequested,
    Start,
    Started,
    Stop,
    SuspendRequested,
    Wake,
)
from flowcore.errors import ExecutorError, UsageError
from flowcore.nodes import NodeId, Phase, RunRow, Shutdown, WorkflowPhase
from flowcore.plan.plan import Plan
from flowcore.ports import (
    AttendingExecutor,
    Cache,
    Clock,
    Executor,
    ForeseeingExecutor,
    Locks,
    Logged,
    Report,
    RunContext,
    Store,
)
from flowcore.results import RunResult
from flowcore.secrecy import Mask, learn_secrets
from flowcore.timers import Agenda

_BATCH = 1000
_log = logging.getLogger("flowcore")


@dataclass(slots=True, kw_only=True)
class World:
    """What a run uses of the world."""

    executor: Executor
    store: Store
    clock: Clock
    locks: Locks
    cache: Cache
    context: RunContext
    keep_log: Callable[[Logged], None] | None = None  # is told of everything that nodes print
    mask: Mask = field(default_factory=Mask)  # what must not be shown
    observers: Sequence[Observer] = ()
    closed: bool = False  # nobody outside holds the run: what only somebody could resume will never go on
    alone: bool = False  # no other run uses its locks: what waits for them waits for this run


@dataclass(slots=True)
class _Work:
    """Work that an executor does for a node."""

    invocation: Invocation
    scope: anyio.CancelScope | None = None  # None: its outcome is foreseen
    stopped: bool = False


class Run:
    """One execution of a workflow. Made by ``open_run``; its methods may be called from any task of the same event loop."""

    def __init__(self, engine: Engine, world: World) -> None:
        self._engine = engine
        self._world = world
        self._inbox: deque[Event] = deque()
        self._agenda = Agenda()
        self._work: dict[NodeId, _Work] = {}
        self._awake = anyio.Event()
        self._done = anyio.Event()
        self._audience = Audience(world.mask)
        self._tasks: TaskGroup | None = None
        self._unwatch = world.locks.watch(self._lock_is_free)
        self._questions: dict[NodeId | None, Acquire] = {}
        self._own = f"{engine.run.namespace}/{engine.run.name}"  # as whom the run holds locks
        self._saved_manifest = False
        self._now = world.clock.now()
        self._deep_calls = DeepCalls(engine.plan.options.max_depth)
        self._seer = world.executor if isinstance(world.executor, ForeseeingExecutor) else None

    def __repr__(self) -> str:
        nodes = self._engine.nodes.values()
        ended = sum(node.phase.fulfilled for node in nodes)
        return f"<Run {self.name} {self.phase or 'new'}: {len(self._work)} running, {len(nodes) - ended} open, {ended} ended>"

    # --- what can be seen -----------------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._engine.run.name

    @property
    def phase(self) -> WorkflowPhase:
        return self._engine.run.phase

    @property
    def row(self) -> RunRow:
        """The row of the run as it stands."""
        return self._engine.run

    @property
    def plan(self) -> Plan:
        """What is run."""
        return self._engine.plan

    def snapshot(self) -> RunResult:
        """The run as it stands now."""
        return RunResult(self._engine.run, dict(self._engine.nodes), self._engine.plan.manifest, self._world.mask)

    async def result(self) -> RunResult:
        """Wait for the end of the run, and return it."""
        await self._done.wait()
        return self.snapshot()

    def events(self, *, replay: bool = False) -> AsyncIterator[Change]:
        """All changes from now on, as they happen, until the run has ended; with ``replay``, first every node as it stands now.

        So whoever comes late, even after the end, learns how each node stands and misses no change after that. The run waits for no reader: one
        who is behind by thousands of changes gets the latest row of each node instead of every step, and the newest output.
        """
        return self._audience.subscribe(self._engine.nodes.values(), replay=replay)

    # --- orders ---------------------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """End the run before its time: what runs is stopped, exit handlers still run."""
        self._order(ShutdownRequested(Shutdown.STOP))

    async def terminate(self) -> None:
        """End the run before its time: what runs is stopped, and nothing more is started."""
        self._order(ShutdownRequested(Shutdown.TERMINATE))

    async def suspend(self) -> None:
        """Start nothing new until the run is resumed."""
        self._order(SuspendRequested())

    async def resume(self, selector: str = "") -> None:
        """Resume the run and its suspend nodes, or those nodes that ``selector`` (``displayName=approve``) matches.

        Raises UsageError if none matches, or if one has an output that nobody set and that has no default.
        """
        control.check_resume(self._engine.nodes.values(), selector)
        self._order(ResumeRequested(selector))

    async def set_node(
        self, selector: str, *, parameters: dict[str, str] | None = None, phase: Phase | None = None, message: str | None = None
    ) -> None:
        """Set outputs, phase or message of the suspend nodes that ``selector`` matches. Raises UsageError."""
        order = NodeSetRequested(selector, parameters or {}, phase, message)
        control.check_set(self._engine.nodes.values(), order)
        self._order(order)

    def _order(self, event: Event) -> None:
        if self.phase.completed:
            raise UsageError(f"run {self.name} has ended ({self.phase}); it takes no more orders")
        self._send(event)

    def _send(self, event: Event) -> None:
        self._inbox.append(event)
        self._awake.set()

    # --- the loop -------------------------------------------------------------------------------------------------------------------

    async def drive(self) -> None:
        """Run to the end. Raises StoreError if rows cannot be saved: the run stops where it is, and nothing recorded is lost."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                self._audience.admit(self._world.observers, self, self._engine.nodes.values())
                if isinstance(self._world.executor, AttendingExecutor):
                    self._world.executor.attend(self._world.context)
                await self._react([Opened()])
                while not self.phase.completed:
                    events = self._next_events()
                    if events:
                        await self._react(events)
                        await anyio.lowlevel.checkpoint()
                    else:
                        await self._wait()
                await self._wind_up()
                tasks.cancel_scope.cancel()
        finally:
            self._unwatch()
            self._done.set()
            self._audience.close()

    def _next_events(self) -> list[Event]:
        if self._inbox:
            events = [self._inbox.popleft() for _ in range(min(len(self._inbox), _BATCH))]
            if not self._inbox:
                self._awake = anyio.Event()
            return events
        clock = self._world.clock
        events = self._agenda.due(clock.now(), _BATCH)
        if events or not clock.virtual or self._is_working():
            return events
        following = self._agenda.next_time()
        if following is not None:
            clock.advance_to(following)
            return self._agenda.due(clock.now(), _BATCH)
        return []

    def _is_working(self) -> bool:
        return any(work.scope is not None for work in self._work.values())

    async def _wait(self) -> None:
        clock = self._world.clock
        if isinstance(clock, SharedVirtualClock) and not self._is_working():
            await clock.idle(self._agenda.next_time(), self._awake)
            if not self._inbox:
                self._awake = anyio.Event()
            return
        following = None if self._world.clock.virtual else self._agenda.next_time()
        if following is None:
            self._refuse_to_wait_for_nobody()
            await self._awake.wait()
            return
        with anyio.move_on_after(max((following - self._world.clock.now()).total_seconds(), 0)):
            await self._awake.wait()

    def _refuse_to_wait_for_nobody(self) -> None:
        if not self._world.closed or self._is_working() or (self._questions and not self._world.alone):
            return
        waiting = control.active_suspends(self._engine.nodes.values(), "")
        if self._work and not waiting:
            endless = ", ".join(repr(work.invocation.node_name) for work in list(self._work.values())[:5])
            raise UsageError(
                f"run {self.name} can never end: {endless} runs until something stops it, and nothing does; "
                "script an end (fake.when(...).takes(...)), give the template a timeout, or use open_run and stop the run"
            )
        if self._questions and not waiting:
            raise UsageError(f"run {self.name} can never end: it waits for locks that it holds itself; give its templates different locks")
        what = ", ".join(repr(node.display_name) for node in waiting[:5]) or "the run itself"
        raise UsageError(
            f"run {self.name} is suspended at {what}, and nobody can resume it: use open_run and resume it, "
            "or let a fake executor script it (fake.when(...).resumes())"
        )

    async def _react(self, events: Sequence[Event]) -> None:
        self._now = self._world.clock.now()
        with self._deep_calls:
            reaction = self._engine.handle(events, self._now)
        if self._audience:
            self._audience.publish(reaction.nodes, reaction.run)
        for command in reaction.commands:
            if isinstance(command, Remember):  # true whatever becomes of the rows, and nobody would remember it later
                await self._carry_out(command)
        manifest = None if self._saved_manifest else self._engine.plan.manifest
        await self._world.store.save(reaction.run, reaction.nodes, manifest)
        self._saved_manifest = True
        for command in reaction.commands:
            if not isinstance(command, Remember):
                await self._carry_out(command)

    # --- commands -------------------------------------------------------------------------------------------------------------------

    async def _carry_out(self, command: Command) -> None:
        match command:
            case Start(invocation):
                self._start(invocation)
            case Stop(node, grace):
                self._stop(node, grace)
            case Wake(node, at):
                self._agenda.wake(node, at)
            case AwaitResume(invocation):
                self._foresee_resume(invocation)
            case Acquire(node):
                self._questions[node] = command
                self._ask_for_locks(command)
            case Release(node):
                self._questions.pop(node, None)
                self._world.locks.release(self._holder(node))
            case Recall(node, cache, key, max_age):
                answer = await self._world.cache.recall(
                    cache, key, namespace=self.row.namespace, max_age=max_age, now=self._world.clock.now()
                )
                self._send(Recalled(node, answer.hit, answer.outputs, answer.error))
            case Remember(node, cache, key, outputs):
                await self._world.cache.remember(
                    cache, key, namespace=self.row.namespace, node=node, outputs=outputs, now=self._world.clock.now()
                )

    def _start(self, invocation: Invocation) -> None:
        self._learn_secrets(invocation)
        foreseen = self._seer.foresee(invocation) if self._seer is not None else None
        if foreseen is None:
            work = self._work[invocation.node] = _Work(invocation, anyio.CancelScope())
            if self._tasks is not None:
                self._tasks.start_soon(self._run_work, work)
            return
        self._work[invocation.node] = _Work(invocation)
        now = self._now
        self._agenda.add(now, Started(invocation.node))
        if invocation.daemon:
            self._agenda.add(now + foreseen.ready_after, Ready(invocation.node, foreseen.pod_ip))
        if foreseen.outcome is not None:
            self._agenda.add(now + foreseen.after, Finished(invocation.node, foreseen.outcome))
        if not invocation.daemon and foreseen.outcome is not None:
            del self._work[invocation.node]

    def _learn_secrets(self, invocation: Invocation) -> None:
        """Know the values of the Secrets that an invocation names before anything is printed."""
        if self._engine.plan.mentions("ecret"):  # secretKeyRef, secretRef, accessKeySecret, ...
            for part in (invocation.body, *invocation.volumes):
                learn_secrets(self._world.mask, part, self._world.context.catalog, self.row.namespace)

    async def _run_work(self, work: _Work) -> None:
        node = work.invocation.node
        scope = work.scope or anyio.CancelScope()
        with scope:
            try:
                outcome = await self._world.executor.run(work.invocation, self._world.context, self._hear)
            except ExecutorError as error:
                outcome = Outcome(phase=Phase.ERROR, message=str(error))
            except Exception as error:  # noqa: BLE001 - whatever a third party's executor raises ends its node, not the run
                trace = self._world.mask.text("".join(traceback.format_exception(error)))
                _log.error("the executor failed on node %s\n%s", work.invocation.node_name, trace)
                outcome = Outcome(phase=Phase.ERROR, message=f"the executor failed: {type(error).__name__}: {error}")
            self._work.pop(node, None)
            if self._world.mask and outcome.message:
                outcome = replace(outcome, message=self._world.mask.text(outcome.message))
            self._send(Finished(node, outcome))

    def _hear(self, report: Report) -> None:
        if isinstance(report, Logged):
            if self._world.mask:
                report = replace(report, text=self._world.mask.text(report.text))
            if self._world.keep_log is not None:
                self._world.keep_log(report)
            self._audience.tell(report)
        else:
            self._send(report)

    def _stop(self, node: NodeId, grace: timedelta) -> None:
        work = self._work.get(node)
        if work is None or work.scope is None:
            self._agenda.drop(node)
            self._work.pop(node, None)
            self._send(Finished(node, Outcome(phase=Phase.FAILED, exit_code=143, message="main: Error (exit code 143)")))
        elif not work.stopped and self._tasks is not None:
            work.stopped = True
            self._tasks.start_soon(self._stop_work, work, grace)

    async def _stop_work(self, work: _Work, grace: timedelta) -> None:
        try:
            await self._world.executor.stop(work.invocation, grace)
        except ExecutorError as error:
            _log.warning("node %s could not be stopped: %s", work.invocation.node_name, error)

    def _foresee_resume(self, invocation: Invocation) -> None:
        foreseen = self._seer.foresee_resume(invocation) if self._seer is not None else None
        if foreseen is None:
            return
        at = self._world.clock.now() + foreseen.after
        selector = f"id={invocation.node}"
        phase = Phase.FAILED if foreseen.failed else None
        if foreseen.parameters or phase or foreseen.message:
            self._agenda.add(at, NodeSetRequested(selector, foreseen.parameters, phase, foreseen.message or None))
        if not foreseen.failed:
            self._agenda.add(at, ResumeRequested(selector))

    # --- locks ----------------------------------------------------------------------------------------------------------------------

    def _holder(self, node: NodeId | None) -> str:
        return self._own if node is None else f"{self._own}/{node}"

    def _ask_for_locks(self, question: Acquire) -> None:
        priority = self._engine.plan.spec.get("priority")
        answer = self._world.locks.acquire(
            self._holder(question.node),
            question.locks,
            namespace=self.row.namespace,
            priority=priority if isinstance(priority, int) else 0,
            created=self.row.created_at or self._world.clock.now(),
        )
        if answer.granted:
            self._questions.pop(question.node, None)
            self._send(Granted(question.node))
        elif answer.error is not None:
            self._questions.pop(question.node, None)
            self._send(Refused(question.node, answer.error, error=True))
        else:
            self._send(Refused(question.node, answer.message, answer.waiting))

    def _lock_is_free(self, holder: str) -> None:
        if not self._questions or not holder.startswith(self._own):  # of many runs, nearly all are asked for nothing
            return
        node = None if holder == self._own else NodeId(holder[len(self._own) + 1 :])
        question = self._questions.get(node)
        if question is not None:
            self._ask_for_locks(question)

    # --- the end --------------------------------------------------------------------------------------------------------------------

    async def _wind_up(self) -> None:
        """Wait for work that was stopped with the run (daemons, mostly), give locks back, and close the executor's part."""
        for work in list(self._work.values()):
            if work.scope is not None:
                self._stop(work.invocation.node, timedelta(seconds=30))
        while self._is_working():
            if not self._inbox:
                await self._awake.wait()
            self._inbox.clear()
            self._awake = anyio.Event()
        for node in list(self._questions):
            self._world.locks.release(self._holder(node))
        with anyio.CancelScope(shield=True):
            await self._world.executor.close(replace(self._world.context, phase=self.phase))


__all__ = ["Change", "NodeChanged", "Observer", "Run", "RunChanged", "World"]
