"""Reading kubectl's JSONPath templates into nodes. Called by ``kubectl_jsonpath`` only.

A template is text with actions in braces. Names in brackets and filters are read as small actions of their own, as client-go does.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.go_numbers import parse_float, parse_int

MAX_TEXT = 64 * 1024
MAX_NODES = 5_000
MAX_DEPTH = 20

_TERMINATORS = frozenset(" \t\r\n.,[]$@{}")
_KEY = re.compile(r"'([^']*)'")
_SLICE = re.compile(r"(-?[0-9]*)(:-?[0-9]*)?(:-?[0-9]*)?")
_FILTER = re.compile(r"([^!<>=]+)([!<>=~]+)(.+)")
_NUMBER = re.compile(r"[+-]?[0-9.]*")
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))")
_SHORT = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))


@dataclass(frozen=True, slots=True)
class Literal:
    """A text, number or bool of the template."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Field:
    """A member by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Keyword:
    """``range``, ``end``, or a word that means nothing."""

    word: str


@dataclass(frozen=True, slots=True)
class Wildcard:
    """All members or items."""


@dataclass(frozen=True, slots=True)
class Descent:
    """The value and everything within it (``..``)."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Items by position; ``single`` marks the end that only follows from a lone index."""

    begin: int | None
    end: int | None
    step: int | None
    single: bool = False


@dataclass(frozen=True, slots=True)
class Union:
    """The results of several actions, one after the other."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Filter:
    """The items for which the comparison holds, or (``exists``) for which the left side finds something."""

    left: Action
    operator: str
    right: Action


Node = Literal | Field | Keyword | Wildcard | Descent | Slice | Union | Filter
Action = tuple[Node, ...]


def parse_template(text: str) -> tuple[Action, ...]:
    """The actions of a template, plain text being an action too; raises ExpressionError(stage="compile") with client-go's message."""
    if len(text) > MAX_TEXT:
        raise LimitExceeded(f"a JSONPath template of more than {MAX_TEXT} characters", source=text[:200], stage="compile")
    return tuple(_Parser(text, 0).template())


class _Parser:
    def __init__(self, text: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"a JSONPath template nested more than {MAX_DEPTH} deep", source=text[:200], stage="compile")
        self._text, self._position, self._depth = text, 0, depth
        self._nodes: list[Node] = []

    def template(self) -> list[Action]:
        """Texts and actions in order."""
        actions: list[Action] = []
        while self._position < len(self._text):
            brace = self._text.find("{", self._position)
            plain = self._text[self._position : brace if brace >= 0 else None]
            if plain:
                actions.append((Literal(plain),))
            if brace < 0:
                break
            self._position = brace + 1
            actions.append(self._action())
        return actions

    def _problem(self, message: str) -> ExpressionError:
        return ExpressionError(message, source=self._text, at=self._position, stage="compile")

    def _inner(self, text: str) -> Action:
        """A text read as an action of its own."""
        return _Parser("{" + text + "}", self._depth + 1).template()[0]

    def _action(self) -> Action:
        self._nodes = []
        while not self._text.startswith("}", self._position):
            self._element()
            if len(self._nodes) > MAX_NODES:
                raise LimitExceeded(f"a JSONPath action of more than {MAX_NODES} parts", source=self._text[:200], stage="compile")
        self._position += 1
        return tuple(self._nodes)

    def _element(self) -> None:
        text, position = self._text, self._position
        character = text[position : position + 1]
        if text.startswith("[?(", position):
            self._filter()
        elif text.startswith("..", position):
            self._descent()
        elif not character or character in "\r\n":
            raise self._problem("unclosed action")
        elif character in " @$":
            self._position += 1
        elif character == "[":
            self._bracket()
        elif character in "\"'":
            self._nodes.append(Literal(self._quoted(character)))
        elif character == ".":
            self._position += 1
            self._field()
        elif character in "+-" or unicodedata.category(character) == "Nd":
            self._number()
        elif _is_word_character(character):
            self._word()
        else:
            raise self._problem(f"unrecognized character in action: U+{ord(character):04X} '{character}'")

    def _descent(self) -> None:
        if self._nodes and isinstance(self._nodes[-1], Descent):
            raise self._problem("invalid multiple recursive descent")
        self._position += 2
        self._nodes.append(Descent())
        following = self._text[self._position : self._position + 1]
        if following and _is_word_character(following):
            self._field()

    def _field(self) -> None:
        """A name up to the next terminator; a backslash makes one part of the name."""
        begin = self._position
        while (character := self._text[self._position : self._position + 1]) and character not in _TERMINATORS:
            self._position += 2 if character == "\\" else 1
        self._position = min(self._position, len(self._text))
        name = self._text[begin : self._position]
        self._nodes.append(Wildcard() if name == "*" else Field(name.replace("\\", "")))

    def _word(self) -> None:
        begin = self._position
        while (character := self._text[self._position : self._position + 1]) and character not in _TERMINATORS:
            self._position += 1
        word = self._text[begin : self._position]
        self._nodes.append(Literal(word == "true") if word in ("true", "false") else Keyword(word))

    def _number(self) -> None:
        match = _NUMBER.match(self._text, self._position)
        assert match is not None
        self._position = match.end() if match.group() else self._position + 1
        number = parse_int(match.group())
        value = number if number is not None else parse_float(match.group())
        if value is None:
            raise self._problem(f"cannot parse number {match.group()}")
        self._nodes.append(Literal(value))

    def _quoted(self, quote: str) -> str:
        begin = self._position
        self._position += 1
        while True:
            character = self._text[self._position : self._position + 1]
            if not character or character == "\n":
                raise self._problem("unterminated quoted string")
            self._position += 1
            if character == quote and self._text[self._position - 2] != "\\":
                break
        raw = self._text[begin : self._position]
        inner = _unquoted(raw[1:-1], quote) if len(raw) > 1 else None
        if inner is None:
            raise self._problem(f"unquote string {raw} error invalid syntax")
        return inner

    def _bracket(self) -> None:
        """A key in quotes, a position, a slice, or several of them; the first closing bracket ends it wherever it stands."""
        match = re.compile(r"[^\]\n]*\]").match(self._text, self._position + 1)
        if match is None:
            raise self._problem("unterminated array")
        self._position = match.end()
        inner = match.group()[:-1]
        inner = ":" if inner == "*" else inner
        if "," in inner:
            self._nodes.append(Union(tuple(self._inner(f"[{part.strip(' ')}]") for part in inner.split(","))))
        elif key := _KEY.fullmatch(inner):
            self._nodes.extend(self._inner(f".{key.group(1)}"))
        else:
            self._nodes.append(self._slice(inner))

    def _slice(self, inner: str) -> Slice:
        match = _SLICE.fullmatch(inner)
        if match is None:
            raise self._problem(f"invalid array index {inner}")
        begin_text, end_text, step_text = match.groups()
        begin, step = self._index(begin_text), self._index((step_text or ":")[1:])
        if not end_text:
            return Slice(begin, (begin or 0) + 1, step, single=True)
        return Slice(begin, self._index(end_text[1:]), step)

    def _index(self, text: str) -> int | None:
        if not text:
            return None
        number = parse_int(text)
        if number is None:
            raise self._problem(f"array index {text} is not a number")
        return number

    def _filter(self) -> None:
        self._position += len("[?(")
        begin = self._position
        self._to_filter_end()
        inner = self._text[begin : self._position - 1]
        if not self._text.startswith("]", self._position):
            raise self._problem("unclosed array expect ]")
        self._position += 1
        match = _FILTER.fullmatch(inner)
        if match is None:
            self._nodes.append(Filter(self._inner(inner), "exists", ()))
        else:
            left, operator, right = match.groups()
            self._nodes.append(Filter(self._inner(left), operator, self._inner(right)))

    def _to_filter_end(self) -> None:
        """Move behind the bracket that closes a filter: the first one that stands outside of its one quoted text."""
        pair, closed = "", False
        while True:
            character = self._text[self._position : self._position + 1]
            if not character or character == "\n":
                raise self._problem("unterminated filter")
            self._position += 1
            if character in "\"'":
                if not pair:
                    pair = character
                elif character == pair and self._text[self._position - 2] != "\\":
                    closed = True
            elif character == ")" and bool(pair) == closed:
                return


def _is_word_character(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] == "L" or unicodedata.category(character) == "Nd"


def _unquoted(inner: str, quote: str) -> str | None:
    """A quoted text with Go's escapes resolved; None when one makes no sense."""
    if "\\" not in inner and quote not in inner:
        return inner
    built: list[str] = []
    position = 0
    while position < len(inner):
        if inner[position] == quote:
            return None
        if inner[position] != "\\":
            built.append(inner[position])
            position += 1
            continue
        match = _ESCAPE.match(inner, position)
        if match is None:
            return None
        short, *codes = match.groups()
        if short and short in "'\"" and short != quote:
            return None
        built.append(_SHORT.get(short, short) if short else _character(codes))
        position = match.end()
    return "".join(built)


def _character(codes: list[str | None]) -> str:
    byte, short, long, octal = codes
    code = int(octal, 8) if octal else int(byte or short or long or "0", 16)
    return chr(code) if code <= 0x10FFFF else "\ufffd"
