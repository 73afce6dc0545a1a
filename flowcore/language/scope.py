"""Scopes: what the names in tags and expressions stand for, one layer on top of another.

A scope is a flat map of dotted names (``inputs.parameters.message``) with an optional parent that it hides where both know a name. Simple
tags look names up flat; expressions see the same names nested (``environment``). Built by ``plan.scopes``, read by ``language.tags``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final, TypeAlias

from flowcore.jsontypes import Json

PLACEHOLDER_PREFIX: Final = "__argo__internal__placeholder-"
"""Values that begin so stand for something only a run can know; the validator puts them into its scopes."""


class AbsentType(Enum):
    """The type of ``ABSENT``."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


class MissingType(Enum):
    """The type of ``MISSING``."""

    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


ABSENT: Final = AbsentType.ABSENT
"""The value of an output that a skipped node never made and that has no default: the name exists, in expressions it is nil."""

MISSING: Final = MissingType.MISSING
"""What ``lookup`` gives for a name that no layer knows."""

Value: TypeAlias = "Json | AbsentType"
Environment: TypeAlias = dict[str, object]


class Scope:
    """One layer of names over an optional parent.

    Layers are cheap: a child copies nothing of its parent, and its environment copies only the maps on the way to its own names.
    """

    __slots__ = ("_base", "_base_stamp", "_environment", "_pending", "_stamp", "parent", "placed", "values")

    def __init__(self, values: Mapping[str, Value] | None = None, parent: Scope | None = None) -> None:
        self.values: dict[str, Value] = dict(values) if values else {}
        self.parent = parent
        self._environment: Environment | None = None
        self._base: Environment | None = None
        self._base_stamp = 0
        self._pending: list[str] = []
        self.placed: dict[int, object] = {}  # maps in the environment that are values; held, so that their ids stay theirs
        self._stamp = 0

    def lookup(self, key: str) -> Value | MissingType:
        """The value of exactly ``key``, from the nearest layer that has it, else ``MISSING``."""
        scope: Scope | None = self
        while scope is not None:
            value = scope.values.get(key, MISSING)
            if value is not MISSING:
                return value
            scope = scope.parent
        return MISSING

    def __contains__(self, key: str) -> bool:
        return self.lookup(key) is not MISSING

    def child(self, values: Mapping[str, Value] | None = None) -> Scope:
        """A new layer on top of this one."""
        return Scope(values, self)

    def set(self, key: str, value: Value) -> None:
        """Give ``key`` a value in this layer; children see it too, unless they hide it."""
        self.values[key] = value
        if self._environment is not None:
            self._pending.append(key)

    def layers(self) -> Iterator[Scope]:
        """Yield the layer itself, its parent, and so on."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def flat(self) -> dict[str, Value]:
        """All names with the values that ``lookup`` would give."""
        result: dict[str, Value] = {}
        for scope in reversed(list(self.layers())):
            result.update(scope.values)
        return result

    def has_placeholders(self) -> bool:
        """Whether any value in any layer is a validator's placeholder."""
        return any(_is_placeholder(value) for scope in self.layers() for value in scope.values.values())

    def environment(self) -> Mapping[str, object]:
        """The names as expressions see them: ``a.b.c`` nested in maps, absent optionals as None.

        Where one name is the beginning of another (``workflow.parameters`` and ``workflow.parameters.x``) the shorter one is dropped.
        The result is shared and follows later ``set`` calls: read it, do not keep it.
        """
        return self.nested()[0]

    def nested(self) -> tuple[Environment, int]:
        """The environment and a number that changes whenever its content does, for the layers above."""
        base, base_stamp = self.parent.nested() if self.parent is not None else (None, 0)
        environment = self._environment
        if environment is None or base is not self._base or base_stamp != self._base_stamp:
            environment = dict(base) if base is not None else {}
            self._environment, self._base, self._base_stamp = environment, base, base_stamp
            self._pending, self.placed = list(self.values), {}
            self._stamp += 1
        elif self._pending:
            self._stamp += 1
        if self._pending:
            for key in _longest_first(self._pending):
                self._insert(environment, base, key)
            self._pending = []
        return environment, self._stamp

    def _insert(self, environment: Environment, base: Environment | None, key: str) -> None:
        """Put ``key`` into the nested maps; maps that still belong to the parent are copied first."""
        *path, last = key.split(".")
        node, shared = environment, base
        for part in path:
            below = node.get(part)
            inherited = shared.get(part) if shared is not None else None
            if not isinstance(below, dict) or self._is_value(below):
                below, inherited = {}, None
            elif below is inherited:
                below = dict(below)
            node[part] = below
            node, shared = below, inherited if isinstance(inherited, dict) else None
        present = node.get(last)
        if isinstance(present, dict) and not self._is_value(present):
            return  # longer names are there
        value = self.values[key]
        node[last] = None if value is ABSENT else value
        if isinstance(value, dict):
            self.placed[id(value)] = value

    def _is_value(self, found: dict[str, object]) -> bool:
        """Whether a map in the environment is itself a value (an artifact, say) and not made of longer names."""
        return any(id(found) in scope.placed for scope in self.layers())


def _longest_first(keys: list[str]) -> list[str]:
    return sorted(keys, key=_segments, reverse=True) if len(keys) > 1 else keys


def _segments(key: str) -> int:
    return key.count(".")


def _is_placeholder(value: Value) -> bool:
    return isinstance(value, str) and value.startswith(PLACEHOLDER_PREFIX)
