"""The tree of a jq program. Made by ``parser``, compiled by ``compiler``."""

from __future__ import annotations

from dataclasses import dataclass, field

from flowcore.jsontypes import Json


@dataclass(frozen=True, slots=True)
class Identity:
    """``.``"""


@dataclass(frozen=True, slots=True)
class Constant:
    """null, true, false, a number, or a text without interpolation."""

    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Text:
    """A text with interpolations; ``format`` is the name of the format they go through, without the sign."""

    parts: tuple[str | Node, ...]
    format: str = ""


@dataclass(frozen=True, slots=True)
class Format:
    """A format on its own, as in ``@csv``."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """``base[key]``, also ``.name``."""

    base: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Slice:
    """``base[begin:end]``."""

    base: Node
    begin: Node | None
    end: Node | None


@dataclass(frozen=True, slots=True)
class Iterate:
    """``base[]``."""

    base: Node


@dataclass(frozen=True, slots=True)
class Try:
    """``try body catch handler``; without a handler also ``body?``."""

    body: Node
    handler: Node | None = None


@dataclass(frozen=True, slots=True)
class Pipe:
    """``left | right``."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comma:
    """``left, right``."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator on two values, or one of the assignments."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Unary:
    """A sign before a term."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class If:
    """``if condition then consequence else otherwise end``; without else the input."""

    condition: Node
    consequence: Node
    otherwise: Node | None


@dataclass(frozen=True, slots=True)
class Reduce:
    """``reduce source as pattern (start; update)``."""

    source: Node
    pattern: Pattern
    start: Node
    update: Node


@dataclass(frozen=True, slots=True)
class Foreach:
    """``foreach source as pattern (start; update; extract)``."""

    source: Node
    pattern: Pattern
    start: Node
    update: Node
    extract: Node | None


@dataclass(frozen=True, slots=True)
class Label:
    """``label $name | body``."""

    name: str
    body: Node


@dataclass(frozen=True, slots=True)
class Break:
    """``break $name``."""

    name: str


@dataclass(frozen=True, slots=True)
class Bind:
    """``source as pattern ?// pattern | body``."""

    source: Node
    patterns: tuple[Pattern, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Variable:
    """``$name``; the name is kept with its sign."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function or a parameter, with arguments."""

    name: str
    arguments: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Define:
    """A function definition and what may use it."""

    name: str
    parameters: tuple[str, ...]
    definition: Node
    body: Node


@dataclass(frozen=True, slots=True)
class ListOf:
    """``[body]``; None is the empty list."""

    body: Node | None


@dataclass(frozen=True, slots=True)
class ObjectOf:
    """``{key: value, ...}``; a missing value is the member of that name."""

    members: tuple[tuple[Node, Node | None], ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a value is taken apart into: a variable, a list of patterns, or members with a key, a variable and a pattern each."""

    name: str = ""
    items: tuple[Pattern, ...] = ()
    members: tuple[tuple[Node, str, Pattern | None], ...] = field(default=())


Node = (
    Identity
    | Constant
    | Text
    | Format
    | Index
    | Slice
    | Iterate
    | Try
    | Pipe
    | Comma
    | Binary
    | Unary
    | If
    | Reduce
    | Foreach
    | Label
    | Break
    | Bind
    | Variable
    | Call
    | Define
    | ListOf
    | ObjectOf
)


def written_keys(node: Node) -> list[Json] | None:
    """The keys of a path like ``.a[0][1:2]`` that are all written down; None for any other node."""
    keys: list[Json] = []
    found: Json
    while True:
        match node:
            case Pipe(inner, Identity()) if inner != Identity():
                node = inner
                continue
            case Index(base, key):
                found = _written_key(key)
            case Slice(base, begin, end):
                bounds = [_written_key(bound) if bound else None for bound in (begin, end)]
                if any(bound and written is None for bound, written in zip((begin, end), bounds, strict=True)):
                    return None
                found = {"start": bounds[0], "end": bounds[1]}
            case _:
                return None
        if found is None:
            return None
        keys.insert(0, found)
        if base == Identity():
            return keys
        node = base


def _written_key(node: Node) -> str | int | float | None:
    match node:
        case Constant(value) if not isinstance(value, bool):
            return value
        case Unary(sign, Constant(value)) if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value if sign == "-" else value
    return None
