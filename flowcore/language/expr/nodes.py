"""The syntax tree of an expression. Built by ``parser``, read by ``check``, ``fold``, ``references`` and ``emit``.

``at`` is the offset in characters that an error in this node points to. ``nature`` is what ``check`` found out about the value.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from flowcore.language.expr.natures import UNKNOWN, Nature


@dataclass(slots=True, eq=False)
class Node:
    """What all nodes have."""

    at: int = field(default=0, kw_only=True)
    nature: Nature = field(default=UNKNOWN, kw_only=True)

    def children(self) -> Iterator[Node]:
        """The nodes directly below, in the order in which they are evaluated."""
        yield from ()


@dataclass(slots=True, eq=False)
class Nil(Node):
    """``nil``."""


@dataclass(slots=True, eq=False)
class Literal(Node):
    """A number, boolean, string or bytes as written, or a list that folding made of such."""

    value: object


@dataclass(slots=True, eq=False)
class Identifier(Node):
    """A name: a ``let``, an entry of the environment, or ``$env``."""

    name: str


@dataclass(slots=True, eq=False)
class Unary(Node):
    """``-x``, ``+x``, ``!x``, ``not x``."""

    operator: str
    operand: Node

    def children(self) -> Iterator[Node]:
        yield self.operand


@dataclass(slots=True, eq=False)
class Binary(Node):
    """Two operands and what stands between them, except ``|`` which is a call."""

    operator: str
    left: Node
    right: Node

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right


@dataclass(slots=True, eq=False)
class Chain(Node):
    """The end of a run of members of which one is optional: a nil receiver ends the whole run."""

    inner: Node

    def children(self) -> Iterator[Node]:
        yield self.inner


@dataclass(slots=True, eq=False)
class Member(Node):
    """``a.b``, ``a[b]``, ``a?.b``; ``method``: it is about to be called."""

    base: Node
    key: Node
    optional: bool = False
    method: bool = False

    def children(self) -> Iterator[Node]:
        yield self.base
        yield self.key


@dataclass(slots=True, eq=False)
class Slice(Node):
    """``a[low:high]``."""

    base: Node
    low: Node | None = None
    high: Node | None = None

    def children(self) -> Iterator[Node]:
        yield from (node for node in (self.base, self.low, self.high) if node is not None)


@dataclass(slots=True, eq=False)
class Call(Node):
    """A call of a function from the environment, or of a method."""

    callee: Node
    arguments: list[Node]

    def children(self) -> Iterator[Node]:
        yield self.callee
        yield from self.arguments


@dataclass(slots=True, eq=False)
class Builtin(Node):
    """A call of a function of the language.

    Set by ``fold``: ``projection`` is what ``filter`` and ``find`` give instead of the element; ``throws``: no match is an error;
    ``threshold``: a count that needs no more.
    """

    name: str
    arguments: list[Node]
    projection: Node | None = None
    throws: bool = False
    threshold: int = 0

    def children(self) -> Iterator[Node]:
        yield from self.arguments
        if self.projection is not None:
            yield self.projection


@dataclass(slots=True, eq=False)
class Predicate(Node):
    """The body that a builtin evaluates for each element."""

    body: Node

    def children(self) -> Iterator[Node]:
        yield self.body


@dataclass(slots=True, eq=False)
class Pointer(Node):
    """``#``, ``#index``, ``#acc``, or the element before a leading dot."""

    name: str


@dataclass(slots=True, eq=False)
class Let(Node):
    """``let name = value; body``."""

    name: str
    value: Node
    body: Node

    def children(self) -> Iterator[Node]:
        yield self.value
        yield self.body


@dataclass(slots=True, eq=False)
class Sequence(Node):
    """``a; b; c``: all are evaluated, the last one counts."""

    parts: list[Node]

    def children(self) -> Iterator[Node]:
        yield from self.parts


@dataclass(slots=True, eq=False)
class Conditional(Node):
    """``c ? a : b``, ``c ?: b`` and ``if c { a } else { b }``."""

    condition: Node
    then: Node
    otherwise: Node

    def children(self) -> Iterator[Node]:
        yield self.condition
        yield self.then
        yield self.otherwise


@dataclass(slots=True, eq=False)
class Array(Node):
    """``[a, b]``."""

    items: list[Node]

    def children(self) -> Iterator[Node]:
        yield from self.items


@dataclass(slots=True, eq=False)
class Pair(Node):
    """One entry of a map."""

    key: Node
    value: Node

    def children(self) -> Iterator[Node]:
        yield self.key
        yield self.value


@dataclass(slots=True, eq=False)
class Map(Node):
    """``{a: 1, "b": 2, (c): 3}``."""

    pairs: list[Pair]

    def children(self) -> Iterator[Node]:
        yield from self.pairs


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, without recursion."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(list(current.children())))
