"""What the ``flow`` fixture needs of an executor that can be scripted, and what its facts can say. The fake backend is one of these."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeAlias

from flowcore.jsontypes import Json
from flowcore.ports import Executor, Invocation

Pattern: TypeAlias = "str | re.Pattern[str]"
InputPattern: TypeAlias = "Pattern | int | float | bool | Callable[[str], bool]"
Length: TypeAlias = str | int | float | timedelta
Content: TypeAlias = str | bytes | Path


class Fact(Protocol):
    """What is known of the invocations that a ``when`` describes. Every method adds to it and gives it back, so that lines read on."""

    def succeeds(self, *, times: int | None = None) -> Fact:
        """It ends Succeeded."""
        ...

    def returns(self, *results: Json, times: int | None = None) -> Fact:
        """It succeeds and prints ``results``, one for each invocation in order; the last one stands for all that follow."""
        ...

    def fails(self, exit_code: int = 1, message: str = "", *, times: int | None = None, container: str | None = None) -> Fact:
        """It ends Failed with ``exit_code``."""
        ...

    def errors(self, message: str, *, times: int | None = None) -> Fact:
        """It ends in phase Error: not the work but the system could not do it."""
        ...

    def flaky(self, probability: float, exit_code: int = 1, message: str = "") -> Fact:
        """It fails with this probability; the seed decides when."""
        ...

    def hangs(self, *, times: int | None = None) -> Fact:
        """It runs until it is stopped."""
        ...

    def runs(self, function: Callable[..., object], *, times: int | None = None, in_thread: bool = False) -> Fact:
        """``function`` does the work: it gets the inputs that it takes by name, and what it returns is the result, or outputs by name."""
        ...

    def takes(self, length: Length) -> Fact:
        """It takes this long: ``"2h"``, ``"10d"``, seconds, or a timedelta."""
        ...

    def outputs(
        self, *, parameters: Mapping[str, Json] | None = None, artifacts: Mapping[str, Content] | None = None, result: Json = None
    ) -> Fact:
        """It leaves these output parameters, artifacts (text, bytes, or the path of a file or folder) and result."""
        ...

    def daemon(self, *, ready_after: Length = 0, pod_ip: str = "127.0.0.1") -> Fact:
        """It is up ``ready_after`` its start, and runs until it is stopped."""
        ...

    def resumes(self, *, after: Length = 0, parameters: Mapping[str, Json] | None = None, failed: bool = False, message: str = "") -> Fact:
        """Somebody resumes this suspend node ``after`` it began to wait, with ``parameters`` as its supplied outputs."""
        ...


class ScriptedExecutor(Executor, Protocol):
    """An executor that ends every invocation as its facts say, and remembers what it was asked."""

    unscripted: list[str]

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
        where: Callable[[Invocation], bool] | None = None,
        inputs: Mapping[str, InputPattern] | None = None,
        **parameters: InputPattern,
    ) -> Fact:
        """A new fact about the invocations that fit all that is given."""
        ...

    def calls(self, what: Pattern | None = None, **conditions: InputPattern) -> list[Invocation]:
        """The invocations so far that fit, in the order of their start."""
        ...

    def misses(self) -> list[str]:
        """For each fact that fitted nothing so far: what it is, and what it would have fitted."""
        ...


__all__ = ["Content", "Fact", "InputPattern", "Length", "Pattern", "ScriptedExecutor"]
