"""Reading the JSONPath dialect of the ``jsonpath()`` function into parts. Called by ``jsonpath`` and ``jsonpath_scripts``.

The dialect is that of evilmonkeyinc/jsonpath: ``$.store.book[?(@.price < 10)].title``, with ``..``, unions, ranges and scripts in brackets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.go_numbers import parse_int

MAX_TEXT = 10_000
MAX_DEPTH = 25


@dataclass(frozen=True, slots=True)
class Root:
    """``$``, the whole document."""


@dataclass(frozen=True, slots=True)
class Current:
    """``@``, the item that a script is asked about."""


@dataclass(frozen=True, slots=True)
class Wildcard:
    """All members or items."""


@dataclass(frozen=True, slots=True)
class Descent:
    """``..``: what follows, applied to the value and everything within it."""


@dataclass(frozen=True, slots=True)
class Length:
    """``.length``: the number of members, items or bytes; a member of that name comes first."""


@dataclass(frozen=True, slots=True)
class Key:
    """A member by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """An item by position, from the end when negative."""

    position: int


@dataclass(frozen=True, slots=True)
class Script:
    """The key or position that an expression gives; as an argument of ranges and unions, its value."""

    expression: Compiled


@dataclass(frozen=True, slots=True)
class Filter:
    """The members or items for which an expression holds."""

    expression: Compiled


@dataclass(frozen=True, slots=True)
class Range:
    """Items from one position to another."""

    begin: int | Script | None
    end: int | Script | None
    step: int | Script | None


@dataclass(frozen=True, slots=True)
class Union:
    """Several keys or several positions."""

    arguments: tuple[str | int | Script, ...]


Part = Root | Current | Wildcard | Descent | Length | Key | Index | Script | Filter | Range | Union


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression within a path: its text, and what it was read into (None: a bare word or number)."""

    text: str
    tree: object | None


Compiler = Callable[[str, int], Compiled]


def parse_path(path: str, compile_script: Compiler, depth: int = 0) -> tuple[Part, ...]:
    """The parts of a path; ``compile_script`` reads the expressions within it. Raises ExpressionError(stage="compile")."""
    if len(path) > MAX_TEXT or depth > MAX_DEPTH:
        message = f"a JSONPath of more than {MAX_TEXT} characters, or nested more than {MAX_DEPTH} deep"
        raise LimitExceeded(message, source=path[:200], stage="compile")
    return tuple(_part(text.strip(), compile_script, depth) for text in _split(path))


# -- splitting --------------------------------------------------------------------------------------------------------------------


def _split(path: str) -> list[str]:
    first = path[:1]
    if first not in ("$", "@") or not path:
        raise _problem(f"unexpected token '{first}' at index 0", path)
    if path[1:2] not in ("", ".", "["):
        raise _problem(f"unexpected token '{path[1]}' at index 1", path)
    return _Splitter(path).split()


class _Splitter:
    """Collects the characters of one part until the next dot or bracket ends it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._parts = [path[0]]
        self._collected = ""
        self._quotes = self._round = self._square = 0

    def split(self) -> list[str]:
        for character in self._path[1:]:
            if not self._collected:
                self._quotes = self._round = 0
            self._quotes += character == "'"
            self._round += (character == "(") - (character == ")")
            self._square += (character == "[") - (character == "]")
            self._collected += character
            self._step(character)
        if self._collected:
            self._parts.append(self._collected.removeprefix("."))
        return self._parts

    def _step(self, character: str) -> None:
        collected = self._collected
        if collected == ".":
            return
        if collected == "..":
            self._finish("..", "")
        elif character == "[":
            if collected not in ("[", ".[") and collected.count("[") == 1:
                self._finish(collected[:-1].removeprefix("."), "[")
        elif self._quotes % 2 or self._round:
            return
        elif "[" in collected:
            if character == "]" and not self._square:
                self._finish(collected.removeprefix("."), "")
        elif character == ".":
            self._finish(collected[:-1].removeprefix("."), ".")

    def _finish(self, part: str, rest: str) -> None:
        self._parts.append(part)
        self._collected = rest


# -- one part ---------------------------------------------------------------------------------------------------------------------

_PLAIN: dict[str, Part] = {"$": Root(), "@": Current(), "*": Wildcard(), "..": Descent(), "length": Length()}


def _part(text: str, compile_script: Compiler, depth: int) -> Part:
    if not text:
        raise _problem("invalid token. token string is empty", text)
    if text in _PLAIN:
        return _PLAIN[text]
    if not text.startswith("["):
        return Key(text)
    inner = text[1:-1].strip() if text.endswith("]") else ""
    if not inner:
        raise _unknown(text)
    if inner == "*":
        return Wildcard()
    if inner.startswith("?"):
        if not inner.startswith("?(") or not inner.endswith(")"):
            raise _unknown(text)
        return Filter(compile_script(inner[2:-1].strip(), depth + 1))
    return _bracket(_Arguments(text, inner).read(), text, compile_script, depth)


def _bracket(arguments: list[str | int | None], text: str, compile_script: Compiler, depth: int) -> Part:
    if len(arguments) == 1:
        return _single(arguments[0], text, compile_script, depth)
    colons, commas = arguments.count(":"), arguments.count(",")
    given = _without_separators(arguments)
    if (colons and commas) or colons > 2 or not (colons or commas):
        raise _unknown(text)
    if commas:
        return _union(given, commas, text, compile_script, depth)
    bounds = [_bound(argument, compile_script, depth) for argument in [*given, None, None][: max(3, len(given))]]
    return Range(*bounds[:3])


def _without_separators(arguments: list[str | int | None]) -> list[str | int | None]:
    """The arguments proper; nothing between two colons counts as one."""
    given: list[str | int | None] = []
    after_colon = False
    for argument in arguments:
        if argument == ":":
            if after_colon:
                given.append(None)
            after_colon = True
            continue
        if argument != ",":
            given.append(argument)
        after_colon = False
    return given


def _single(argument: str | int | None, text: str, compile_script: Compiler, depth: int) -> Part:
    if isinstance(argument, int):
        return Index(argument)
    if argument is not None and _is_quoted(argument):
        return Key(argument[1:-1])
    if argument is not None and _is_script(argument):
        return Script(compile_script(argument[1:-1], depth + 1))
    raise _unknown(text)


def _union(given: list[str | int | None], commas: int, text: str, compile_script: Compiler, depth: int) -> Union:
    if commas >= len(given):
        raise _unknown(text)
    arguments: list[str | int | Script] = []
    for argument in given:
        if isinstance(argument, int):
            arguments.append(argument)
        elif argument is not None and _is_script(argument):
            arguments.append(Script(compile_script(argument[1:-1], depth + 1)))
        elif argument is not None and _is_quoted(argument):
            arguments.append(argument[1:-1])
        else:
            raise _unknown(text)
    return Union(tuple(arguments))


def _bound(argument: str | int | None, compile_script: Compiler, depth: int) -> int | Script | None:
    if not isinstance(argument, str):
        return argument
    if not _is_script(argument):
        raise _problem(f"invalid expression. invalid format '{argument}'", argument)
    return Script(compile_script(argument[1:-1], depth + 1))


class _Arguments:
    """Reads what stands between brackets: numbers, quoted keys, scripts, and the separators ``:`` and ``,``."""

    def __init__(self, text: str, inner: str) -> None:
        self._text, self._inner = text, inner
        self._buffer = self._quote = ""
        self._round = 0
        self._found: list[str | int | None] = []

    def read(self) -> list[str | int | None]:
        for index, character in enumerate(self._inner):
            self._buffer += character
            if character in "'\"":
                self._at_quote(character)
            elif character in "()":
                self._at_round(character)
            elif not self._quote and not self._round:
                self._at_plain(character, index)
        if self._buffer:
            self._found.append(_number_or_text(self._buffer))
        return self._found

    def _at_plain(self, character: str, index: int) -> None:
        if character == " ":
            self._buffer = self._buffer.strip()
        elif character in ":,":
            self._at_separator(character, index)

    def _at_separator(self, character: str, index: int) -> None:
        argument = self._buffer[:-1]
        if argument:
            value = _number_or_text(argument)
            if character == ":" and isinstance(value, str):
                raise _unknown(self._text)
            self._found.append(value)
        elif character == ":" and not index:
            self._found.append(None)
        self._found.append(character)
        self._buffer = ""

    def _at_round(self, character: str) -> None:
        if character == "(":
            self._round += not self._quote
            return
        self._round -= 1
        if not self._round:
            if not _is_script(self._buffer):
                raise _problem(f"invalid expression. invalid format '{self._buffer}'", self._text)
            self._found.append(self._buffer)
            self._buffer = ""

    def _at_quote(self, character: str) -> None:
        if self._round or self._quote not in ("", character):
            return
        if self._buffer[-2:-1] == "\\":
            self._buffer = self._buffer[:-2] + character
            return
        if not self._quote:
            self._quote = character
            if self._buffer != character:
                raise _unknown(self._text)
            return
        self._quote = ""
        if not _is_quoted(self._buffer):
            raise _unknown(self._text)
        self._found.append(self._buffer)
        self._buffer = ""


def _number_or_text(text: str) -> str | int:
    number = parse_int(text)
    return text if number is None else number


def _is_script(text: str) -> bool:
    return len(text) > 2 and text[0] == "(" and text[-1] == ")"


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]


def _unknown(text: str) -> ExpressionError:
    return _problem(f"invalid token. '{text}' does not match any token format", text)


def _problem(message: str, source: str) -> ExpressionError:
    return ExpressionError(message, source=source, stage="compile")
