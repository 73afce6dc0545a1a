"""What is known about a value before it exists: its Go type as expr-lang would see it. Used by ``check``, ``fold`` and ``emit``.

A nature without a type is unknown (nothing can be said) or nil. Type names are Go's because error messages print them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes and gives. ``check``: whether argument counts and types are known at all."""

    parameters: tuple[Nature, ...] = ()
    result: Nature | None = None
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class Nature:
    """``type`` is Go's name of the type, ``kind`` its reflect kind; both are empty for unknown and for nil.

    ``elem`` refines the elements of a list beyond what the type says; ``fields`` are the known entries of the environment.
    """

    type: str = ""
    kind: str = ""
    nil: bool = False
    elem: Nature | None = None
    body: Nature | None = None
    key: str = "string"
    fields: Mapping[str, Nature] | None = field(default=None, compare=False)
    signature: Signature | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.type or "unknown"

    @property
    def is_unknown(self) -> bool:
        """Nothing is known, or the type is Go's ``interface {}``."""
        return (not self.type and not self.nil) or self.kind == "interface"

    @property
    def is_integer(self) -> bool:
        """One of Go's own integer types, not a named one such as a duration."""
        return self.type in ("int", "uint8", "int64")

    @property
    def is_number(self) -> bool:
        """An integer or a float."""
        return self.type in ("int", "float64", "uint8", "int64")

    @property
    def is_list(self) -> bool:
        """A slice or an array."""
        return self.kind in ("slice", "array")

    def element(self) -> Nature:
        """The nature of the elements of a list or the values of a map."""
        if self.elem is not None:
            return self.elem
        return INTERFACE if self.kind in ("slice", "array", "map") else UNKNOWN

    def plain(self) -> Nature:
        """The same type without what is known beyond its name."""
        return BY_TYPE.get(self.type, self)

    def assignable_to(self, other: Nature) -> bool:
        """Go's assignability, as far as JSON-like values need it."""
        if self.nil and other.kind in ("ptr", "interface", "func", "map", "slice"):
            return True
        if not self.type or not other.type:
            return False
        return other.kind == "interface" or (self.kind == other.kind and self.type == other.type)

    def comparable_to(self, other: Nature) -> bool:
        """Whether ``==`` makes sense."""
        return (
            self.is_unknown
            or other.is_unknown
            or self.nil
            or other.nil
            or (self.is_number and other.is_number)
            or (self.is_list and other.is_list)
            or self.assignable_to(other)
        )

    def any_of(self, *families: str) -> bool:
        """Whether the value belongs to one of the families ``bool string integer number map list time duration``."""
        return any(_FAMILIES[family](self) for family in families)

    def maybe_compatible(self, other: Nature, *families: str) -> bool:
        """Whether one is unknown and the other unknown too or of one of the families."""
        if self.is_unknown:
            return other.is_unknown or other.any_of(*families)
        return other.is_unknown and self.any_of(*families)


_FAMILIES = {
    "bool": lambda nature: nature.kind == "bool",
    "string": lambda nature: nature.kind == "string",
    "integer": lambda nature: nature.is_integer,
    "number": lambda nature: nature.is_number,
    "map": lambda nature: nature.kind == "map",
    "list": lambda nature: nature.is_list,
    "time": lambda nature: nature.type == "time.Time",
    "duration": lambda nature: nature.type == "time.Duration",
}

UNKNOWN = Nature()
NIL = Nature(nil=True)
INTERFACE = Nature("interface {}", "interface")
BOOL = Nature("bool", "bool")
INT = Nature("int", "int")
INT64 = Nature("int64", "int64")
UINT8 = Nature("uint8", "uint8")
FLOAT = Nature("float64", "float64")
STRING = Nature("string", "string")
BYTES = Nature("[]uint8", "slice", elem=UINT8)
LIST = Nature("[]interface {}", "slice")
TEXTS = Nature("[]string", "slice", elem=STRING)
INTS = Nature("[]int", "slice", elem=INT)
FLOATS = Nature("[]float64", "slice", elem=FLOAT)
MAP = Nature("map[string]interface {}", "map")
ANY_MAP = Nature("map[interface {}]interface {}", "map", key="interface {}")
TIME = Nature("time.Time", "struct")
DURATION = Nature("time.Duration", "int64")
ZONE = Nature("*time.Location", "ptr")
MONTH = Nature("time.Month", "int")
WEEKDAY = Nature("time.Weekday", "int")

BY_TYPE: dict[str, Nature] = {
    nature.type: nature
    for nature in (
        INTERFACE,
        BOOL,
        INT,
        INT64,
        UINT8,
        FLOAT,
        STRING,
        BYTES,
        LIST,
        TEXTS,
        INTS,
        FLOATS,
        MAP,
        ANY_MAP,
        TIME,
        DURATION,
        ZONE,
        MONTH,
        WEEKDAY,
    )
}


def list_of(elem: Nature) -> Nature:
    """A list whose elements are known better than its type says."""
    return Nature("[]interface {}", "slice", elem=elem)


def groups_of(elem: Nature) -> Nature:
    """What ``groupBy`` gives: lists of ``elem`` by any key."""
    return Nature("map[interface {}][]interface {}", "map", elem=list_of(elem), key="interface {}")


def function(type_name: str, signature: Signature | None = None) -> Nature:
    """A function of the environment or a method; without signature every call is accepted at compile time."""
    return Nature(type_name, "func", signature=signature)


def pointed(nature: Nature) -> Nature:
    """What a pointer points to, else the same."""
    return Nature("time.Location", "struct") if nature.kind == "ptr" else nature
