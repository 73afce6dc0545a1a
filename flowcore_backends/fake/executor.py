"""The executor that runs nothing: its script says how everything ends, in no time or in as much as the script says."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio

from flowcore.clocks import VirtualClock
from flowcore.errors import ArtifactError
from flowcore.jsontypes import object_of
from flowcore.nodes import NodeId
from flowcore.ports import Foreseen, ForeseenResume, Invocation, Logged, Outcome, Ready, Reporter, RunContext, Started
from flowcore_backends.fake.deliveries import Deliveries
from flowcore_backends.fake.facts import Daemon, Fact, Said
from flowcore_backends.fake.fitting import Fitting
from flowcore_backends.fake.functions import called
from flowcore_backends.fake.matching import InputPattern, Matcher, Pattern, Predicate
from flowcore_backends.fake.misses import misses
from flowcore_backends.fake.outcomes import NotScripted, broken, failed, killed, succeeded, supplied
from flowcore_backends.fake.script import Decision, Script, run_key
from flowcore_backends.fake.stubs import from_stubs

_log = logging.getLogger("flowcore")
_NOW = timedelta(0)
_UP_AT_ONCE = Daemon(_NOW, "127.0.0.1")


class FakeExecutor:
    """Ends every invocation as its script says; what the script does not speak of succeeds at once.

    ::

        fake = FakeExecutor()
        fake.when("flip-coin").returns("heads")
        fake.when("train", epochs=10).takes("2h").outputs(parameters={"accuracy": 0.93})
        fake.when("deploy").fails(exit_code=2, times=2)
        fake.when("notify").runs(lambda message: print(message))

    A declared output that no fact speaks of takes its default; without one the node ends in Error with the line to write, or, unless
    ``strict``, gets a visible placeholder of the form that its use needs: a list to loop over, a number to compare. Artifacts are taken to be
    there, and are stored if something says what they hold. Time is virtual unless the run is given another clock. ``seed`` decides what is
    left to chance. One executor may serve many runs: each counts for itself.
    ``record`` keeps every invocation for ``calls`` and ``misses``; ``unscripted`` holds the lines that a strict executor asked for.
    """

    runs_nothing = True  # Python functions that come with a workflow may stand in for its containers

    def __init__(self, *, seed: int = 0, strict: bool = True, record: bool = False) -> None:
        self.strict = strict
        self.unscripted: list[str] = []
        self._script = Script(seed)
        self._deliveries = Deliveries()
        self._fitting = Fitting()
        self._recorded: dict[tuple[str, NodeId], Invocation] | None = {} if record else None
        self._running: dict[tuple[str, NodeId], anyio.CancelScope] = {}

    @classmethod
    def from_stubs(cls, source: str | Path, *, file: str | None = None, **settings: object) -> FakeExecutor:
        """The executor that a stub file describes: YAML text, or the Path of a file (``flowcore_backends.fake.stubs`` says what it holds).

        ``settings`` (seed, strict, record) win over the file's. Raises InvalidWorkflow with every problem, its file and line.
        """
        return from_stubs(cls, source, file=file, **settings)

    def when(
        self,
        what: Pattern | None = None,
        /,
        *,
        template: Pattern | None = None,
        node: Pattern | None = None,
        step: Pattern | None = None,
        image: Pattern | None = None,
        attempt: int | None = None,
        where: Predicate | None = None,
        inputs: Mapping[str, InputPattern] | None = None,
        **parameters: InputPattern,
    ) -> Fact:
        """A new fact, about the invocations that fit all that is given; with nothing given, about all.

        ``what`` is a template, a node (by name or display name) or a step. Texts may hold ``*`` and ``?``; regular expressions are searched
        for. ``attempt`` counts from 0. ``where`` is a function of the Invocation. Other keywords are input parameters and their values
        (``inputs`` for those whose names are taken). Later facts win over earlier ones.
        """
        wanted = {**(inputs or {}), **parameters}
        matcher = Matcher(what=what, template=template, node=node, step=step, image=image, attempt=attempt, where=where, inputs=wanted)
        return self._script.add(matcher)

    def calls(self, what: Pattern | None = None, **conditions: InputPattern) -> list[Invocation]:
        """The recorded invocations that fit, as in ``when``, in the order of their start."""
        matcher = Matcher(what=what, inputs=conditions)
        return [invocation for invocation in (self._recorded or {}).values() if matcher.matches(invocation)]

    def misses(self) -> list[str]:
        """For each fact that fitted none of the recorded invocations: what it is, and what it would have fitted."""
        return misses([fact.matcher for fact in self._script.facts], list((self._recorded or {}).values()))

    def speaks_of(self, invocation: Invocation) -> bool:
        """Whether a fact says how this invocation ends or what it leaves; asked for work that somebody else would do, which is recorded too."""
        if self._recorded is not None:
            self._recorded.setdefault((invocation.uid, invocation.node), invocation)
        decision = self._script.decide(invocation)
        return decision.ending is not None or decision.daemoned is not None or decision.said != Said()

    @property
    def clock(self) -> VirtualClock:
        """A new virtual clock, which a run takes that is given no other."""
        return VirtualClock()

    # --- the port -----------------------------------------------------------------------------------------------------------------

    def attend(self, context: RunContext) -> None:
        """Learn what outputs are used for, so that values that are made up fit; strict executors make none up."""
        if not self.strict:
            self._fitting.attend(context)

    def foresee(self, invocation: Invocation) -> Foreseen | None:
        """The scripted outcome; None where a function does the work."""
        if self._recorded is not None:
            self._recorded.setdefault((invocation.uid, invocation.node), invocation)
        decision = self._script.decide(invocation)
        if decision.ending is not None and decision.ending.kind == "runs":
            return None
        return self._foreseen(invocation, decision)

    def foresee_resume(self, invocation: Invocation) -> ForeseenResume | None:
        """Whether somebody is scripted to resume this suspend node; unless strict, somebody does at once where no duration is set."""
        if self._recorded is not None:
            self._recorded.setdefault((invocation.uid, invocation.node), invocation)
        scripted = self._script.resumption(invocation)
        if scripted is not None or self.strict or object_of(invocation.body, "suspend").get("duration"):
            return scripted
        return ForeseenResume(parameters=supplied(invocation, self._fitting))

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Call the function that stands for the work; or wait, in real time, for the scripted outcome."""
        key = run_key(invocation.uid, invocation.workflow), invocation.node
        report(Started(invocation.node))
        try:
            with anyio.CancelScope() as scope:
                self._running[key] = scope
                return await self._work(invocation, context, report)
        except ArtifactError as error:
            return broken(invocation, str(error))
        finally:
            self._running.pop(key, None)
        return killed(invocation)

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """End what ``run`` waits for, at once: nothing scripted needs time to end."""
        scope = self._running.get((run_key(invocation.uid, invocation.workflow), invocation.node))
        if scope is not None:
            scope.cancel()

    async def close(self, context: RunContext) -> None:
        """Store the artifacts that the run has left, and forget what was counted for it."""
        run = run_key(context.uid, context.name)
        self._script.forget(run)
        self._fitting.forget(run)
        try:
            await self._deliveries.deliver(run, context)
        except ArtifactError as error:
            _log.warning("run %s: %s", context.name, error)

    # --- what happens -------------------------------------------------------------------------------------------------------------

    async def _work(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        decision = self._script.decide(invocation)
        ending = decision.ending
        if ending is not None and ending.kind == "runs":
            run = run_key(context.uid, context.name)
            await self._deliveries.deliver(run, context)
            value = await called(ending, invocation, context, lambda text: report(_logged(invocation, text)))
            outcome = value if isinstance(value, Outcome) else self._succeeded(invocation, _merged(value, decision.said))
            await self._deliveries.deliver(run, context)
            return outcome
        foreseen = self._foreseen(invocation, decision)
        if foreseen.pod_ip is not None:
            await anyio.sleep(foreseen.ready_after.total_seconds())
            report(Ready(invocation.node, foreseen.pod_ip))
        if foreseen.outcome is None:
            await anyio.sleep_forever()
        await anyio.sleep((foreseen.after - foreseen.ready_after).total_seconds())
        assert foreseen.outcome is not None
        return foreseen.outcome

    def _foreseen(self, invocation: Invocation, decision: Decision) -> Foreseen:
        after = decision.said.after or _NOW
        daemon = decision.daemoned or (_UP_AT_ONCE if invocation.daemon else None)
        ends = decision.ending is not None or daemon is None
        outcome = self._outcome(invocation, decision) if ends else None
        if daemon is None:
            return Foreseen(outcome, after)
        return Foreseen(outcome, max(after, daemon.ready_after) if outcome else after, daemon.ready_after, daemon.pod_ip)

    def _outcome(self, invocation: Invocation, decision: Decision) -> Outcome | None:
        ending = decision.ending
        match ending.kind if ending else "succeeds":
            case "hangs":
                return None
            case "fails":
                assert ending is not None
                self._leave(invocation, ending.said)
                return failed(invocation, ending)
            case "errors":
                assert ending is not None
                return broken(invocation, ending.message)
            case _:
                return self._succeeded(invocation, decision.said)

    def _succeeded(self, invocation: Invocation, said: Said) -> Outcome:
        self._leave(invocation, said)
        try:
            return succeeded(invocation, said, None if self.strict else self._fitting)
        except NotScripted as error:
            if error.line not in self.unscripted:
                self.unscripted.append(error.line)
            return broken(invocation, str(error))

    def _leave(self, invocation: Invocation, said: Said) -> None:
        if said.artifacts:
            self._deliveries.leave(run_key(invocation.uid, invocation.workflow), invocation, said.artifacts)

    def __repr__(self) -> str:
        return f"FakeExecutor({len(self._script.facts)} facts)"


def _merged(value: Said, said: Said) -> Said:
    """What a function said, and beside it what the facts say."""
    result = said.result if value.result is None else value.result
    return Said(said.after, result, said.parameters | value.parameters, said.artifacts | value.artifacts)


def _logged(invocation: Invocation, text: str) -> Logged:
    return Logged(invocation.node, "main", "stderr", text, datetime.now(UTC))


__all__ = ["FakeExecutor"]
