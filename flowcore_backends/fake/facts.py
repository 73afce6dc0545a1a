"""Facts: what a script says of the work it stands for, one readable line each.

``Fact`` is what ``FakeExecutor.when`` gives back. Its outcomes are taken in the order in which they were written; ``takes`` and ``outputs``
after an outcome speak of that outcome, before any they speak of all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, TypeAlias

from flowcore.errors import ExpressionError, UsageError
from flowcore.jsontypes import Json, json_text
from flowcore.language.quantities import parse_duration
from flowcore.ports import ForeseenResume
from flowcore_backends.fake.deliveries import Content
from flowcore_backends.fake.matching import Matcher

Length: TypeAlias = str | int | float | timedelta
Function: TypeAlias = Callable[..., object]

_DAYS = re.compile(r"(\d{1,6})d(.*)")


@dataclass(slots=True)
class Said:
    """What is said besides success or failure: how long it takes and what comes out. None and absent names: nothing is said."""

    after: timedelta | None = None
    result: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, Content] = field(default_factory=dict)


@dataclass(slots=True)
class Ending:
    """One outcome of a fact. ``times`` is for how many invocations it stands (None: one if others follow, else all that come)."""

    kind: Literal["succeeds", "fails", "errors", "runs", "hangs"]
    times: int | None = None
    exit_code: int = 0
    message: str = ""
    container: str | None = None
    function: Function | None = None
    in_thread: bool = False
    said: Said = field(default_factory=Said)


@dataclass(frozen=True, slots=True)
class Chance:
    """That something happens with a probability."""

    probability: float
    ending: Ending


@dataclass(frozen=True, slots=True)
class Daemon:
    """That the work is up after a while and then runs until it is stopped."""

    ready_after: timedelta
    pod_ip: str


class Fact:
    """What is known of the invocations that a ``when`` describes. Every method adds to it and gives it back, so that lines read on."""

    def __init__(self, matcher: Matcher) -> None:
        self.matcher = matcher
        self.endings: list[Ending] = []
        self.said = Said()
        self.chance: Chance | None = None
        self.daemoned: Daemon | None = None
        self.resumption: ForeseenResume | None = None

    # --- outcomes -----------------------------------------------------------------------------------------------------------------

    def succeeds(self, *, times: int | None = None) -> Fact:
        """It ends Succeeded."""
        return self._ends(Ending("succeeds", times))

    def returns(self, *results: Json, times: int | None = None) -> Fact:
        """It succeeds and prints ``results``, one for each invocation in order; what is no text is written as JSON.

        The last one stands for all that follow, unless ``times`` says for how many. As in Argo, a node keeps its result only where
        something in the workflow refers to it.
        """
        if not results:
            raise UsageError("returns() needs at least one result")
        for result in results[:-1]:
            self._ends(Ending("succeeds", 1, said=Said(result=as_text(result))))
        self._ends(Ending("succeeds", times, said=Said(result=as_text(results[-1]))))
        return self

    def fails(self, exit_code: int = 1, message: str = "", *, times: int | None = None, container: str | None = None) -> Fact:
        """It ends Failed with ``exit_code``; ``message`` is what it left as termination message.

        ``container`` is the one that fails in a containerSet: ``main`` if there is one, else the first.
        """
        return self._ends(Ending("fails", times, _checked(exit_code), message, container))

    def errors(self, message: str, *, times: int | None = None) -> Fact:
        """It ends in phase Error: not the work but the system could not do it, for instance because the machine was lost."""
        return self._ends(Ending("errors", times, message=message))

    def flaky(self, probability: float, exit_code: int = 1, message: str = "") -> Fact:
        """It fails with this probability; else what follows or came before holds. The executor's seed and the node's name decide."""
        if not 0 <= probability <= 1:
            raise UsageError(f"flaky({probability!r}): a probability is from 0 to 1")
        self.chance = Chance(probability, Ending("fails", None, _checked(exit_code), message))
        return self

    def hangs(self, *, times: int | None = None) -> Fact:
        """It runs until it is stopped: by a timeout, a deadline or by hand."""
        return self._ends(Ending("hangs", times))

    def runs(self, function: Function, *, times: int | None = None, in_thread: bool = False) -> Fact:
        """``function`` does the work. It gets the inputs that it takes by name: parameters as texts, artifacts as paths, and the Invocation
        if it asks for ``invocation``.

        It may be async; a function that blocks belongs in a thread (``in_thread``). What it returns is the result; of a mapping whose keys are
        declared outputs, each is one output; None is no output. What it raises is a failure, ``SystemExit(code)`` one with that exit code.
        """
        if not callable(function):
            raise UsageError(f"runs() takes a function, not {function!r}")
        return self._ends(Ending("runs", times, function=function, in_thread=in_thread))

    # --- what else is known -------------------------------------------------------------------------------------------------------

    def takes(self, length: Length) -> Fact:
        """It takes this long: ``"2h"``, ``"1m30s"``, ``"10d"``, seconds, or a timedelta. Without this it takes no time; a function takes its own."""
        self._latest.after = length_of(length)
        return self

    def outputs(
        self,
        *,
        parameters: Mapping[str, Json] | None = None,
        artifacts: Mapping[str, Content] | None = None,
        result: Json = None,
    ) -> Fact:
        """It leaves these output parameters (what is no text is written as JSON), artifacts (their content: text, bytes, or the path of a file or folder) and result.

        A failure leaves only what was said after it.
        """
        said = self._latest
        said.parameters |= {name: as_text(value) for name, value in (parameters or {}).items()}
        said.artifacts |= dict(artifacts or {})
        if result is not None:
            said.result = as_text(result)
        return self

    def daemon(self, *, ready_after: Length = 0, pod_ip: str = "127.0.0.1") -> Fact:
        """It is up ``ready_after`` its start under the address ``pod_ip``, and runs until it is stopped, or until an outcome with ``takes``."""
        self.daemoned = Daemon(length_of(ready_after), pod_ip)
        return self

    def resumes(self, *, after: Length = 0, parameters: Mapping[str, Json] | None = None, failed: bool = False, message: str = "") -> Fact:
        """Somebody resumes this suspend node ``after`` it began to wait, with ``parameters`` as its supplied outputs; or stops it as ``failed``."""
        values = {name: as_text(value) for name, value in (parameters or {}).items()}
        self.resumption = ForeseenResume(length_of(after), values, failed, message)
        return self

    @property
    def _latest(self) -> Said:
        return self.endings[-1].said if self.endings else self.said

    def _ends(self, ending: Ending) -> Fact:
        if ending.times is not None and (isinstance(ending.times, bool) or not isinstance(ending.times, int) or ending.times < 1):
            raise UsageError(f"times={ending.times!r}: say for how many invocations this holds, from 1")
        self.endings.append(ending)
        return self

    def ending(self, number: int) -> Ending | None:
        """The outcome of the invocation with this ``number`` (from 0) among those that the fact speaks of; None when all are used up."""
        for place, ending in enumerate(self.endings):
            last = place == len(self.endings) - 1
            times = ending.times or (None if last else 1)
            if times is None or number < times:
                return ending
            number -= times
        return None

    @property
    def counts(self) -> bool:
        """Whether it matters how many invocations came before."""
        return len(self.endings) > 1 or any(ending.times is not None for ending in self.endings)

    def __repr__(self) -> str:
        return f"<fact: {self.matcher}>"


def _checked(exit_code: int) -> int:
    if isinstance(exit_code, bool) or not isinstance(exit_code, int) or not 0 < exit_code < 256:
        raise UsageError(f"exit_code={exit_code!r}: exit codes of failures are from 1 to 255")
    return exit_code


def length_of(length: Length) -> timedelta:
    """A length of time as scripts write it. Raises UsageError."""
    if isinstance(length, timedelta):
        found = length
    elif isinstance(length, str):
        days, rest = match.groups() if (match := _DAYS.fullmatch(length)) else ("0", length)
        try:
            found = timedelta(days=int(days)) + parse_duration(rest or "0")
        except ExpressionError as error:
            raise UsageError(error.message) from None
    else:
        found = timedelta(seconds=length)
    if found < timedelta(0):
        raise UsageError(f"{length!r} is a negative length of time")
    return found


def as_text(value: Json) -> str:
    """A value as outputs hold it: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json_text(value)


__all__ = ["Chance", "Daemon", "Ending", "Fact", "Function", "Length", "Said", "as_text", "length_of"]
