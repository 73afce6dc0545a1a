"""Runs a compiled jq program: one step at a time, with its own stacks, so that neither depth nor the number of results is Python's affair.

A step takes a value, the path to it (only while one is asked for), the environment, and what is to be done with results; it gives the next
step. Where a program has several results, the steps to the later ones wait on the stack of forks. A failure unwinds that stack down to
the handler that is in force.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias, cast

from flowcore.errors import LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.jq.failures import Broken, Halt, JqFailure
from flowcore.language.jq.meter import meter

MAX_FORKS = 500_000
_CHUNK = 512
_STEP = 2
_FAILURE = 20

Env: TypeAlias = "tuple[object, Env] | None"
"""What variables and parameters stand for, the innermost first."""

Path: TypeAlias = "tuple[Path, Json, Json] | None"
"""The path before, the last key, and the value there; None while no path is asked for."""

Then: TypeAlias = "tuple[Resume, object, Env, Then] | None"
"""What is to be done with a result: a function, what it needs, its environment, and what comes after."""

Step: TypeAlias = "Callable[[Machine, Json, Path, Env, Then], State]"
Resume: TypeAlias = "Callable[[Machine, Json, Path, Then], State]"
State: TypeAlias = "tuple[Step, Json, Path, Env, Then] | None"


class Exhausted(Exception):
    """There are no further results."""


class Machine:
    """One run of a program."""

    def __init__(self) -> None:
        self.forks: list[tuple[Step, Json, Path, Env, Then]] = []
        self.labels = 0
        self.result: Json = None
        self._meter = meter()

    def results(self, step: Step, value: Json) -> Iterator[Json]:
        """The results of a program for a value; raises JqFailure for what no handler caught, and LimitExceeded."""
        state: State = (step, value, None, None, (_emit, None, None, None))
        while True:
            try:
                state = self._run(state) if state is not None else self.backtrack()
            except Exhausted:
                return
            except JqFailure as failure:
                self._meter.spend(_FAILURE)
                state = self._unwound(failure)
                continue
            if state is None:
                yield self.result

    def _run(self, state: State) -> State:
        """Step until there is a result or a chunk of steps is spent."""
        for _ in range(_CHUNK):
            if state is None:
                return None
            step, value, path, env, then = state
            state = step(self, value, path, env, then)
        self._pay()
        return state

    def _pay(self) -> None:
        self._meter.spend(_STEP * _CHUNK)
        if len(self.forks) > MAX_FORKS:
            raise LimitExceeded(f"a jq program keeps more than {MAX_FORKS} things to come back to")

    def backtrack(self) -> State:
        """Go on with the latest fork."""
        if not self.forks:
            raise Exhausted
        return self.forks.pop()

    def _unwound(self, failure: JqFailure) -> State:
        """Drop forks down to the handler of a failure, and go on there; without one the failure goes to the caller.

        A handler whose body has given a result meanwhile is left alone: what fails behind the body is none of its business.
        """
        left: set[int] = set()
        while self.forks:
            step, value, path, env, then = self.forks.pop()
            if step is passed_handler:
                left.add(id(then))
            elif step is handler:
                if id(then) not in left and not isinstance(failure, (Broken, Halt)):
                    assert env is not None
                    catch = env[0]
                    if catch is None:
                        return self.backtrack_or_end()
                    return cast("Step", catch), failure.caught, path, env[1], then
            elif step is alternative:
                assert env is not None
                return cast("Step", env[0]), value, path, env[1], then
            elif step is label and isinstance(failure, Broken) and failure.label == value:
                return self.backtrack_or_end()
        raise failure

    def backtrack_or_end(self) -> State:
        """Like ``backtrack``, for use while a failure is dealt with."""
        return self.forks.pop() if self.forks else (_end, None, None, None, None)


def _emit(machine: Machine, value: Json, _path: Path, _then: Then) -> State:
    machine.result = value
    return None


def _end(_machine: Machine, _value: Json, _path: Path, _env: Env, _then: Then) -> State:
    raise Exhausted


# Marks on the stack of forks. Backtracking passes over them; only a failure looks at them.


def handler(machine: Machine, _value: Json, _path: Path, _env: Env, _then: Then) -> State:
    """The begin of a ``try``: the environment holds the handler's step (None: drop the failure) and its environment."""
    return machine.backtrack()


def passed_handler(machine: Machine, _value: Json, _path: Path, _env: Env, _then: Then) -> State:
    """A result left the ``try`` that has the same continuation."""
    return machine.backtrack()


def alternative(machine: Machine, _value: Json, _path: Path, _env: Env, _then: Then) -> State:
    """The next of several patterns, for when this one or what follows it fails."""
    return machine.backtrack()


def label(machine: Machine, _value: Json, _path: Path, _env: Env, _then: Then) -> State:
    """Where a ``break`` ends; the value is the label's number."""
    return machine.backtrack()
