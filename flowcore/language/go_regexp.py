"""Regular expressions with Go's meaning (RE2). Called wherever a pattern from a document is used.

A pattern is read by flowcore itself, so that only what Go accepts is accepted. Where Python's engine surely needs little time for the text
it does the matching, otherwise the linear engine does. What is empty and stands right behind a match is no match of its own, as in Go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from flowcore.errors import LimitExceeded
from flowcore.language.go_regexp_machine import Machine, Slots
from flowcore.language.go_regexp_syntax import Assertion, Chars, Choice, Group, Node, Repeat, Sequence, parse_pattern

MAX_TEXT = 4 * 1024 * 1024
MAX_RESULT = 16 * 1024 * 1024
_BACKTRACKING = 3_000_000.0
_TEMPLATE = re.compile(r"\$(?:\$|([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\})")


class Regexp:
    """A compiled pattern; immutable. All positions count characters."""

    def __init__(self, source: str) -> None:
        self.source = source
        pattern = parse_pattern(source)
        self.group_names = pattern.group_names
        self._tree = pattern.tree
        self._degree, self._factor = _cost(pattern.tree)
        self._python: re.Pattern[str] | None = None
        self._machine: Machine | None = None

    def matches(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text."""
        return self.search(text) is not None

    def search(self, text: str, begin: int = 0) -> Slots | None:
        """Begin and end of the leftmost match from ``begin`` on and of its groups, flat (-1: the group took no part); or None."""
        if len(text) > MAX_TEXT:
            raise LimitExceeded(f"a text of more than {MAX_TEXT} characters for a regular expression", source=self.source[:200])
        if self._cheap_for(len(text)):
            match = self._python_pattern().search(text, begin)
            return None if match is None else tuple(edge for span in match.regs for edge in span)
        if self._machine is None:
            self._machine = Machine(self._tree, len(self.group_names), self.source)
        return self._machine.search(text, begin)

    def find_all(self, text: str, count: int = -1) -> Iterator[Slots]:
        """The matches from left to right that do not overlap, at most ``count`` unless that is negative."""
        position, previous = 0, -1
        while position <= len(text) and count:
            slots = self.search(text, position)
            if slots is None:
                return
            accepted = slots[1] != position or slots[0] != previous
            position = slots[1] if slots[1] > position else position + 1
            previous = slots[1]
            if accepted:
                count -= 1
                yield slots

    def replace(self, text: str, template: str) -> str:
        """Replace every match; ``$1`` and ``${name}`` in the template stand for groups, ``$$`` for a dollar sign."""
        return self.replace_by(text, lambda slots: self.expand(template, text, slots))

    def replace_literal(self, text: str, replacement: str) -> str:
        """Replace every match by the replacement as it is."""
        return self.replace_by(text, lambda _slots: replacement)

    def replace_by(self, text: str, replacement: Callable[[Slots], str]) -> str:
        """Replace every match by what the function makes of its positions."""
        built: list[str] = []
        size = copied = position = 0
        while position <= len(text) and (slots := self.search(text, position)) is not None:
            built.append(text[copied : slots[0]])
            if slots[1] > copied or slots[0] == 0:
                built.append(replacement(slots))
                size += len(built[-1])
            if size > MAX_RESULT:
                raise LimitExceeded(f"a replacement makes more than {MAX_RESULT} characters", source=self.source[:200])
            copied = slots[1]
            position = max(position + 1, slots[1])
        return "".join(built) + text[copied:]

    def expand(self, template: str, text: str, slots: Slots) -> str:
        """The template with its group references filled in; an unknown group is empty."""

        def group(match: re.Match[str]) -> str:
            name = match.group(1) or match.group(2)
            if name is None:
                return "$"
            number = int(name) if name.isdecimal() and len(name) < 9 else self._number_of(name)
            if not 0 <= number < len(self.group_names) or slots[2 * number] < 0:
                return ""
            return text[slots[2 * number] : slots[2 * number + 1]]

        return _TEMPLATE.sub(group, template)

    def split(self, text: str, count: int = -1) -> list[str]:
        """The pieces between matches, at most ``count`` unless that is negative (0: none)."""
        if not count:
            return []
        if self.source and not text:
            return [""]
        pieces: list[str] = []
        begin = end = 0
        for slots in self.find_all(text, count):
            if 0 < count == len(pieces) + 1:
                break
            end = slots[0]
            if slots[1]:
                pieces.append(text[begin:end])
            begin = slots[1]
        if end != len(text):
            pieces.append(text[begin:])
        return pieces

    def _number_of(self, name: str) -> int:
        return self.group_names.index(name) if name in self.group_names else -1

    def _cheap_for(self, length: int) -> bool:
        """Whether backtracking stays within bounds even in the worst case: each open repetition may try every length."""
        return self._factor * float(length + 1) ** (self._degree + 1) <= _BACKTRACKING or (
            self._degree <= 1 and self._factor <= 4 and length <= 20_000
        )

    def _python_pattern(self) -> re.Pattern[str]:
        if self._python is None:
            self._python = re.compile(_python_source(self._tree))
        return self._python


@lru_cache(maxsize=512)
def compile_regexp(source: str) -> Regexp:
    """Compile a pattern; raises ExpressionError(stage="compile") with Go's message."""
    return Regexp(source)


def quote_meta(text: str) -> str:
    """The text with a backslash before each character that means something in a pattern."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


_HOPELESS = 1e30


def _cost(node: Node, *, repeated: bool = False) -> tuple[int, float]:
    """How many open repetitions stand in a row, and the factor of all other ways to match; a choice within a repetition is hopeless."""
    match node:
        case Group():
            return _cost(node.body, repeated=repeated)
        case Sequence():
            costs = [_cost(part, repeated=repeated) for part in node.parts]
            return sum(degree for degree, _ in costs), _product([factor for _, factor in costs])
        case Choice():
            costs = [_cost(option, repeated=repeated) for option in node.options]
            worst = max(degree for degree, _ in costs)
            return worst, _HOPELESS if repeated else min(_HOPELESS, sum(factor for _, factor in costs))
        case Repeat():
            return _repeat_cost(node, repeated=repeated)
    return 0, 1.0


def _repeat_cost(node: Repeat, *, repeated: bool) -> tuple[int, float]:
    varies = node.least != node.most
    if varies and repeated:
        return 0, _HOPELESS
    degree, factor = _cost(node.body, repeated=repeated or node.most != 1)
    if not varies:
        return degree, factor if node.least <= 1 or not (degree or factor > 1) else _HOPELESS
    if node.most is None:
        return degree + 1, factor
    return degree, min(_HOPELESS, factor * (node.most - node.least + 1))


def _product(factors: list[float]) -> float:
    product = 1.0
    for factor in factors:
        product = min(_HOPELESS, product * factor)
    return product


_ASSERTIONS = {
    "begin_text": r"\A",
    "end_text": r"\Z",
    "begin_line": r"(?m:^)",
    "end_line": r"(?m:$)",
    "word_boundary": r"(?a:\b)",
    "no_word_boundary": r"(?!(?a:\b))",
}


def _python_source(node: Node) -> str:
    """The pattern in Python's syntax."""
    match node:
        case Chars():
            return _class_source(node)
        case Assertion():
            return _ASSERTIONS[node.kind]
        case Group():
            return f"({_python_source(node.body)})"
        case Sequence():
            return "".join(map(_python_source, node.parts))
        case Choice():
            return "(?:" + "|".join(map(_python_source, node.options)) + ")"
        case Repeat():
            most = "" if node.most is None else str(node.most)
            body = _python_source(node.body)
            body = body if isinstance(node.body, (Chars, Group)) else f"(?:{body})"
            return f"{body}{{{node.least},{most}}}{'' if node.greedy else '?'}"


def _class_source(node: Chars) -> str:
    if not node.ranges:
        return r"(?!)"
    if len(node.ranges) == 1 and node.ranges[0][0] == node.ranges[0][1]:
        return re.escape(chr(node.ranges[0][0]))
    return "[" + "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in node.ranges) + "]"
