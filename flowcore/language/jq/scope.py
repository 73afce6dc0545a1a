"""What names stand for at a place in a jq program, and how far away in the environment. Used by ``compiler``."""

from __future__ import annotations

from dataclasses import dataclass, field

from flowcore.language.jq.machine import Env, Step


@dataclass(slots=True)
class Function:
    """A function: its step once it is compiled, how many environment cells its definition sees, and its parameters."""

    name: str
    parameters: tuple[str, ...]
    depth: int
    step: Step | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """One name and the scope around it. ``depth`` counts the environment cells; a function takes none."""

    kind: str = ""
    name: str = ""
    arity: int = 0
    depth: int = 0
    function: Function | None = None
    outer: Scope | None = None

    def with_cell(self, kind: str, name: str) -> Scope:
        """The scope within which the next cell has a name; ``kind`` is ``variable``, ``parameter``, ``label`` or empty."""
        return Scope(kind, name, 0, self.depth + 1, None, self)

    def named(self, name: str) -> Scope:
        """The scope in which the innermost cell is known as a variable."""
        return Scope("variable", name, 0, self.depth, None, self)

    def with_function(self, function: Function) -> Scope:
        """The scope that knows a function."""
        return Scope("function", function.name, len(function.parameters), self.depth, function, self)

    def find(self, kind: str, name: str, arity: int = 0) -> Scope | None:
        """The innermost entry of a kind; a ``call`` finds functions and parameters."""
        scope: Scope | None = self
        while scope is not None:
            if scope.name == name and scope.arity == arity:
                if scope.kind == kind or (kind == "call" and scope.kind in ("function", "parameter")):
                    return scope
            scope = scope.outer
        return None


def cell(env: Env, distance: int) -> object:
    """What an environment holds so many cells further out."""
    for _ in range(distance):
        assert env is not None
        env = env[1]
    assert env is not None
    return env[0]


def further_out(env: Env, distance: int) -> Env:
    """An environment without its innermost cells."""
    for _ in range(distance):
        assert env is not None
        env = env[1]
    return env
