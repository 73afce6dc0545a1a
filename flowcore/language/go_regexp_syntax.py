"""Reading regular expressions in RE2's syntax into a tree. Called by ``go_regexp`` only.

RE2 has no backreferences and no lookaround: both are refused here, with Go's message. What a class matches is resolved to ranges of code
points at once (negation, case folding, Unicode categories), so the engines know nothing of flags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.go_regexp_classes import (
    PERL_CLASSES,
    POSIX_CLASSES,
    Ranges,
    fold_ranges,
    merge_ranges,
    negate_ranges,
    unicode_class,
)

MAX_PATTERN = 20_000
MAX_NESTING = 60
MAX_REPEAT = 1000

_ESCAPED = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_COUNT = re.compile(r"\{(\d+)(,?)(\d*)\}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_]+")
_NEWLINE: Ranges = ((10, 10),)


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of the ranges."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Sequence:
    """The parts, one behind the other; without parts it matches the empty text."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The first of the options that leads to a match."""

    options: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The body ``least`` to ``most`` times (None: any number), as often as possible when ``greedy``."""

    body: Node
    least: int
    most: int | None
    greedy: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The body, remembered under a number."""

    body: Node
    number: int


@dataclass(frozen=True, slots=True)
class Assertion:
    """A condition on a position: ``begin_text end_text begin_line end_line word_boundary no_word_boundary``."""

    kind: str


Node = Chars | Sequence | Choice | Repeat | Group | Assertion


@dataclass(frozen=True, slots=True)
class _Flags:
    fold: bool = False
    multi_line: bool = False
    dot_newline: bool = False
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """What was read: the tree, and the names of the groups by number (index 0 is the whole match)."""

    tree: Node
    group_names: tuple[str, ...]


def parse_pattern(source: str) -> Pattern:
    """Read a pattern; raises ExpressionError(stage="compile") with Go's message."""
    if len(source) > MAX_PATTERN:
        raise LimitExceeded(f"a regular expression of more than {MAX_PATTERN} characters", source=source[:200], stage="compile")
    parser = _Parser(source)
    tree = parser.choice(_Flags(), 0)
    if parser.position < len(source):
        raise parser.problem("unexpected )", source)
    return Pattern(tree, tuple(parser.names))


class _Parser:
    def __init__(self, source: str) -> None:
        self.source, self.position = source, 0
        self.names: list[str] = [""]

    def problem(self, message: str, shown: str) -> ExpressionError:
        return ExpressionError(f"error parsing regexp: {message}: `{shown}`", source=self.source, at=self.position, stage="compile")

    def choice(self, flags: _Flags, depth: int) -> Node:
        """Options up to the end or the closing bracket; a flag group such as (?i) holds to the end of them all."""
        if depth > MAX_NESTING:
            raise self.problem("expression nests too deeply", self.source[:100])
        options: list[Node] = []
        parts: list[Node] = []
        while self.position < len(self.source) and self.source[self.position] != ")":
            if self.source[self.position] == "|":
                self.position += 1
                options.append(_sequence(parts))
                parts = []
            elif (changed := self._flag_group(flags)) is not None:
                flags = changed
            else:
                self._item(parts, flags, depth)
        options.append(_sequence(parts))
        return options[0] if len(options) == 1 else _choice(options)

    def _item(self, parts: list[Node], flags: _Flags, depth: int) -> None:
        begin = self.position
        if self._take_quoted(parts, flags):
            return
        if self._repeat_operator(begin) is not None:
            raise self.problem("missing argument to repetition operator", self.source[begin : self.position])
        node = self._atom(flags, depth)
        parts.append(self._repeated(node, flags))

    def _repeated(self, node: Node, flags: _Flags) -> Node:
        """The node with the repetition operator behind it; a second operator is refused."""
        begin = self.position
        counts = self._repeat_operator(begin)
        if counts is None:
            return node
        lazy = self._skip("?")
        node = Repeat(node, *counts, greedy=lazy == flags.lazy)
        if _repeat_size(node) > MAX_REPEAT:
            raise self.problem("invalid repeat count", self.source[begin : self.position])
        if self._repeat_operator(self.position) is not None:
            self._skip("?")
            raise self.problem("invalid nested repetition operator", self.source[begin : self.position])
        return node

    def _repeat_operator(self, begin: int) -> tuple[int, int | None] | None:
        sign = self.source[begin : begin + 1]
        if sign and sign in "*+?":
            self.position = begin + 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        match = _COUNT.match(self.source, begin) if sign == "{" else None
        if match is None:
            return None
        self.position = match.end()
        least, comma, most_text = match.groups()
        if len(least) > 4 or len(most_text) > 4:
            raise self.problem("invalid repeat count", match.group())
        most = int(most_text) if most_text else None if comma else int(least)
        if int(least) > MAX_REPEAT or (most is not None and not int(least) <= most <= MAX_REPEAT):
            raise self.problem("invalid repeat count", match.group())
        return int(least), most

    def _take_quoted(self, parts: list[Node], flags: _Flags) -> bool:
        r"""Take \Q...\E, in which every character is plain; a repetition behind it is for its last character."""
        if not self.source.startswith("\\Q", self.position):
            return False
        end = self.source.find("\\E", self.position + 2)
        text = self.source[self.position + 2 : end if end >= 0 else len(self.source)]
        self.position = end + 2 if end >= 0 else len(self.source)
        parts.extend(_literal(character, flags) for character in text)
        if text:
            parts[-1] = self._repeated(parts[-1], flags)
        return True

    def _atom(self, flags: _Flags, depth: int) -> Node:
        character = self.source[self.position]
        match character:
            case "(":
                return self._group(flags, depth)
            case "[":
                return Chars(self._bracket(flags))
            case "\\":
                return self._escape(flags)
        self.position += 1
        match character:
            case ".":
                return Chars(negate_ranges(() if flags.dot_newline else _NEWLINE))
            case "^":
                return Assertion("begin_line" if flags.multi_line else "begin_text")
            case "$":
                return Assertion("end_line" if flags.multi_line else "end_text")
        return _literal(character, flags)

    # -- groups -------------------------------------------------------------------------------------------------------------------

    def _group(self, flags: _Flags, depth: int) -> Node:
        if self.source.startswith("(?", self.position):
            return self._special_group(flags, depth)
        self.position += 1
        return self._captured("", flags, depth)

    def _special_group(self, flags: _Flags, depth: int) -> Node:
        begin = self.position
        for opening in ("(?P<", "(?<"):
            if self.source.startswith(opening, begin) and not self.source.startswith(("(?<=", "(?<!"), begin):
                return self._named_group(begin + len(opening), flags, depth)
        flags, _ends = self._read_flags(flags)
        return self._closed(self.choice(flags, depth + 1))

    def _named_group(self, name_begin: int, flags: _Flags, depth: int) -> Node:
        begin = self.position
        end = self.source.find(">", name_begin)
        if end < 0:
            raise self.problem("invalid named capture", self.source[begin:])
        name = self.source[name_begin:end]
        if not _NAME.fullmatch(name):
            raise self.problem("invalid named capture", self.source[begin : end + 1])
        if name in self.names:
            raise self.problem("duplicate capture group name", name)
        self.position = end + 1
        return self._captured(name, flags, depth)

    def _captured(self, name: str, flags: _Flags, depth: int) -> Node:
        number = len(self.names)
        self.names.append(name)
        return Group(self._closed(self.choice(flags, depth + 1)), number)

    def _closed(self, node: Node) -> Node:
        if not self._skip(")"):
            raise self.problem("missing closing )", self.source)
        return node

    def _flag_group(self, flags: _Flags) -> _Flags | None:
        """Take (?flags) without colon; None when something else stands here."""
        if not re.compile(r"\(\?[imsU-]*\)").match(self.source, self.position):
            return None
        return self._read_flags(flags)[0]

    def _read_flags(self, flags: _Flags) -> tuple[_Flags, bool]:
        """Take ``(?`` and flags up to ``:`` or ``)``; the bool tells that no body follows."""
        begin = self.position
        self.position += 2
        names = {"i": "fold", "m": "multi_line", "s": "dot_newline", "U": "lazy"}
        value, seen = True, False
        while self.position < len(self.source):
            character = self.source[self.position]
            self.position += 1
            if character in names:
                flags, seen = replace(flags, **{names[character]: value}), True
            elif character == "-" and value:
                value, seen = False, False
            elif character in ":)" and (seen or value):
                return flags, character == ")"
            else:
                raise self.problem("invalid or unsupported Perl syntax", self.source[begin : self.position])
        raise self.problem("missing closing )", self.source)

    # -- escapes and classes ------------------------------------------------------------------------------------------------------

    def _escape(self, flags: _Flags) -> Node:
        following = self.source[self.position + 1 : self.position + 2]
        assertions = {"A": "begin_text", "z": "end_text", "b": "word_boundary", "B": "no_word_boundary"}
        if following in assertions and following:
            self.position += 2
            return Assertion(assertions[following])
        if (ranges := self._class_escape(flags)) is not None:
            return Chars(ranges)
        return _literal(self._escaped_character(), flags)

    def _class_escape(self, flags: _Flags) -> Ranges | None:
        r"""Take \d, \pL, \p{Greek} and their like; None when something else stands here."""
        following = self.source[self.position + 1 : self.position + 2]
        if following and following in PERL_CLASSES:
            self.position += 2
            return PERL_CLASSES[following]
        if not following or following not in "pP":
            return None
        match = re.compile(r"\\[pP](?:\{(\^?)([^}]*)\}|(.))", re.DOTALL).match(self.source, self.position)
        if match is None:
            raise self.problem("invalid character class range", self.source[self.position :])
        name = match.group(2) if match.group(2) is not None else match.group(3)
        ranges = unicode_class(name)
        if ranges is None:
            raise self.problem("invalid character class range", match.group())
        self.position = match.end()
        ranges = fold_ranges(ranges) if flags.fold else ranges
        return negate_ranges(ranges) if (following == "P") != bool(match.group(1)) else ranges

    def _escaped_character(self) -> str:
        begin = self.position
        following = self.source[begin + 1 : begin + 2]
        if not following:
            raise self.problem("trailing backslash at end of expression", "")
        if match := re.compile(r"\\(?:([1-7][0-7]{1,2}|0[0-7]{0,2})|x([0-9A-Fa-f]{2})|x\{([0-9A-Fa-f]+)\})").match(self.source, begin):
            octal, short, long = match.groups()
            code = int(octal, 8) if octal else int(short or long, 16)
            if code > 0x10FFFF:
                raise self.problem("invalid escape sequence", match.group())
            self.position = match.end()
            return chr(code)
        self.position += 2
        if following in _ESCAPED:
            return chr(_ESCAPED[following])
        if ord(following) < 128 and not following.isalnum() and following.isprintable():
            return following
        raise self.problem("invalid escape sequence", self.source[begin : self.position])

    def _bracket(self, flags: _Flags) -> Ranges:
        begin = self.position
        self.position += 1
        negated = self._skip("^")
        ranges: list[tuple[int, int]] = []
        first = True
        while first or not self.source.startswith("]", self.position):
            if self.position >= len(self.source):
                raise self.problem("missing closing ]", self.source[begin:])
            ranges.extend(self._bracket_item(begin, flags))
            first = False
        self.position += 1
        merged = merge_ranges(ranges)
        return negate_ranges(merged) if negated else merged

    def _bracket_item(self, begin: int, flags: _Flags) -> Ranges:
        if match := re.compile(r"\[:(\^?)([^:\]]*):\]").match(self.source, self.position):
            ranges = POSIX_CLASSES.get(match.group(2))
            if ranges is None:
                raise self.problem("invalid character class range", match.group())
            self.position = match.end()
            ranges = fold_ranges(ranges) if flags.fold else ranges
            return negate_ranges(ranges) if match.group(1) else ranges
        if self.source[self.position] == "\\" and (taken := self._class_escape(flags)) is not None:
            return taken
        item = self.position
        low = self._bracket_character(begin)
        high = low
        if re.compile(r"-[^\]]").match(self.source, self.position):
            self.position += 1
            high = self._bracket_character(begin)
            if high < low:
                raise self.problem("invalid character class range", self.source[item : self.position])
        ranges = ((ord(low), ord(high)),)
        return fold_ranges(ranges) if flags.fold else ranges

    def _bracket_character(self, begin: int) -> str:
        if self.position >= len(self.source):
            raise self.problem("missing closing ]", self.source[begin:])
        if self.source[self.position] == "\\":
            return self._escaped_character()
        self.position += 1
        return self.source[self.position - 1]

    def _skip(self, text: str) -> bool:
        found = self.source.startswith(text, self.position)
        self.position += len(text) if found else 0
        return found


def _literal(character: str, flags: _Flags) -> Chars:
    ranges: Ranges = ((ord(character), ord(character)),)
    return Chars(fold_ranges(ranges) if flags.fold else ranges)


def _sequence(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))


def _choice(options: list[Node]) -> Node:
    """Options that are single characters are one class, which both engines do much faster."""
    if all(isinstance(option, Chars) for option in options):
        return Chars(merge_ranges([span for option in options if isinstance(option, Chars) for span in option.ranges]))
    return Choice(tuple(options))


def _repeat_size(node: Node) -> int:
    """How often the innermost body may be written out when every counted repetition is unfolded."""
    match node:
        case Repeat():
            count = node.least if node.most is None else node.most
            return max(1, count) * _repeat_size(node.body)
        case Group():
            return _repeat_size(node.body)
        case Sequence():
            return max((_repeat_size(part) for part in node.parts), default=1)
        case Choice():
            return max(_repeat_size(option) for option in node.options)
    return 1
