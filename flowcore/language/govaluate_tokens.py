"""Tokens of the govaluate dialect: reading them, and which may follow which. Called by ``govaluate`` only.

The rules and messages are those of the Go library that Argo uses for ``when``: any character may be escaped by a backslash, either quote
ends a string, quoted dates become times, and a word with a dot is a field access.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.go_format import go_text
from flowcore.language.go_numbers import parse_float
from flowcore.language.go_time import ANSIC, DEFAULT_TEXT, KITCHEN, RFC3339, RUBY_DATE, UNIX_DATE, ParsedTime, try_parse_time

MAX_TEXT = 512 * 1024
MAX_TOKENS = 20_000
MAX_NESTING = 40

_SPACES = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))
_PREFIXES = frozenset("-!~")
_MODIFIERS = frozenset(("+", "-", "*", "/", "%", "**", "&", "|", "^", ">>", "<<"))
_SYMBOLS: dict[str, str] = (
    dict.fromkeys(_MODIFIERS, "MODIFIER")
    | dict.fromkeys(("&&", "||"), "LOGICALOP")
    | dict.fromkeys(("==", "!=", ">", ">=", "<", "<=", "=~", "!~", "in"), "COMPARATOR")
    | dict.fromkeys(("?", ":", "??"), "TERNARY")
)
_DATE_LAYOUTS = (
    ANSIC,
    UNIX_DATE,
    RUBY_DATE,
    KITCHEN,
    RFC3339,
    "2006-01-02T15:04:05.999999999Z07:00",
    "2006-01-02",
    "2006-01-02 15:04",
    "2006-01-02 15:04:05",
    "2006-01-02 15:04:05-07:00",
    "2006-01-02T15Z0700",
    "2006-01-02T15:04Z0700",
    "2006-01-02T15:04:05Z0700",
    "2006-01-02T15:04:05.999999999Z0700",
)
_LONGEST_DATE = 64

_OPERANDS = "NUMERIC BOOLEAN VARIABLE ACCESSOR CLAUSE"
_AFTER_VALUE = frozenset(["MODIFIER", "COMPARATOR", "LOGICALOP", "CLAUSE_CLOSE", "TERNARY", "SEPARATOR"])
_START = frozenset(f"PREFIX PATTERN STRING TIME {_OPERANDS}".split())
FOLLOWERS: dict[str, frozenset[str]] = {
    "UNKNOWN": _START,
    "CLAUSE": _START | {"CLAUSE_CLOSE"},
    "CLAUSE_CLOSE": _AFTER_VALUE | frozenset(["NUMERIC", "BOOLEAN", "VARIABLE", "STRING", "PATTERN", "TIME", "CLAUSE"]),
    "NUMERIC": _AFTER_VALUE,
    "BOOLEAN": _AFTER_VALUE,
    "STRING": _AFTER_VALUE,
    "VARIABLE": _AFTER_VALUE,
    "TIME": _AFTER_VALUE - {"TERNARY"},
    "PATTERN": _AFTER_VALUE - {"TERNARY"},
    "ACCESSOR": _AFTER_VALUE | {"CLAUSE"},
    "MODIFIER": frozenset(f"PREFIX STRING CLAUSE_CLOSE {_OPERANDS}".split()),
    "COMPARATOR": frozenset(f"PREFIX STRING TIME PATTERN CLAUSE_CLOSE {_OPERANDS}".split()),
    "LOGICALOP": frozenset(f"PREFIX STRING TIME CLAUSE_CLOSE {_OPERANDS}".split()),
    "PREFIX": frozenset(f"CLAUSE_CLOSE {_OPERANDS}".split()),
    "TERNARY": frozenset(f"PREFIX STRING TIME SEPARATOR {_OPERANDS}".split()),
    "SEPARATOR": frozenset(f"PREFIX STRING TIME {_OPERANDS}".split()),
}
_MAY_END = frozenset(["CLAUSE_CLOSE", "NUMERIC", "BOOLEAN", "STRING", "TIME", "PATTERN", "VARIABLE", "ACCESSOR"])


class Token(NamedTuple):
    """One token; ``value`` is a number, text, bool, time, or the dotted parts of a field access."""

    kind: str
    value: float | str | bool | ParsedTime | tuple[str, ...]

    @property
    def shown(self) -> str:
        """The value as error messages print it."""
        if self.kind in ("CLAUSE", "CLAUSE_CLOSE"):
            return str(ord(str(self.value)))
        if isinstance(self.value, ParsedTime):
            return self.value.text(DEFAULT_TEXT)
        return go_text(self.value)


def read_tokens(source: str) -> list[Token]:
    """Split an expression into tokens; raises ExpressionError(stage="compile") with the Go library's message."""
    if len(source) > MAX_TEXT:
        raise LimitExceeded(f"the expression has more than {MAX_TEXT} characters", source=source[:200], stage="compile")
    reader = _Reader(source)
    tokens: list[Token] = []
    kind = "UNKNOWN"
    while (token := reader.next_token(kind)) is not None:
        tokens.append(token)
        kind = token.kind
        if len(tokens) > MAX_TOKENS:
            raise LimitExceeded(f"the expression has more than {MAX_TOKENS} tokens", source=source[:200], stage="compile")
    return tokens


def check_tokens(tokens: list[Token], source: str) -> None:
    """Check brackets and which token follows which; raises ExpressionError(stage="compile")."""
    _check_brackets(tokens, source)
    kind, previous = "UNKNOWN", None
    for token in tokens:
        if token.kind not in FOLLOWERS[kind]:
            if previous is not None and previous.kind == "VARIABLE" and token.kind == "CLAUSE":
                raise _problem(f"Undefined function {previous.value}", source)
            shown = previous.shown if previous else "<nil>"
            raise _problem(f"Cannot transition token types from {kind} [{shown}] to {token.kind} [{token.shown}]", source)
        kind, previous = token.kind, token
    if kind not in _MAY_END:
        raise _problem("Unexpected end of expression", source)


def _check_brackets(tokens: list[Token], source: str) -> None:
    opened = deepest = 0
    for token in tokens:
        opened += (token.kind == "CLAUSE") - (token.kind == "CLAUSE_CLOSE")
        deepest = max(deepest, opened)
    if opened:
        raise _problem("Unbalanced parenthesis", source)
    if deepest > MAX_NESTING:
        raise LimitExceeded(f"the expression nests more than {MAX_NESTING} brackets", source=source[:200], stage="compile")


def _problem(message: str, source: str, at: int | None = None) -> ExpressionError:
    return ExpressionError(message, source=source, at=at, stage="compile")


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] == "L"


def _is_digit(character: str) -> bool:
    return unicodedata.category(character) == "Nd"


def _is_number_part(character: str) -> bool:
    return _is_digit(character) or character == "."


def _is_word_part(character: str) -> bool:
    return character in "_." or _is_letter(character) or _is_digit(character)


def _is_symbol_part(character: str) -> bool:
    return not (character in "()[]'\"" or _is_letter(character) or _is_digit(character))


def _is_hex_part(character: str) -> bool:
    return _is_digit(character) or character in "abcdefABCDEF"


class _Reader:
    """A position in the text, and how each kind of token is read from there."""

    def __init__(self, source: str) -> None:
        self.source, self.position = source, 0

    def next_token(self, previous: str) -> Token | None:
        """The token at the position, which moves behind it; None at the end."""
        source = self.source
        while self.position < len(source) and source[self.position] in _SPACES:
            self.position += 1
        if self.position >= len(source):
            return None
        first = source[self.position]
        if _is_number_part(first):
            return self._number()
        if first == ",":
            self.position += 1
            return Token("SEPARATOR", ",")
        if first == "[":
            return Token("VARIABLE", self._enclosed("]", "Unclosed parameter bracket"))
        if _is_letter(first):
            return self._word()
        if first in "'\"":
            return self._string()
        if first in "()":
            self.position += 1
            return Token("CLAUSE" if first == "(" else "CLAUSE_CLOSE", first)
        return self._symbol(previous)

    def _run(self, belongs: Callable[[str], bool]) -> str:
        """Characters up to white space or the first that does not belong; a backslash takes the next one as it is."""
        read: list[str] = []
        source = self.source
        while self.position < len(source):
            character = source[self.position]
            if character == "\\":
                read.append(self._escaped())
                continue
            if character in _SPACES:
                self.position += 1
                if read:
                    break
                continue
            if not belongs(character):
                break
            read.append(character)
            self.position += 1
        return "".join(read)

    def _escaped(self) -> str:
        if self.position + 1 >= len(self.source):
            raise _problem("nothing follows the backslash at the end of the expression", self.source, self.position)
        self.position += 2
        return self.source[self.position - 1]

    def _enclosed(self, closing: str, message: str) -> str:
        """The text up to one of the closing characters, with backslashes resolved; the position moves behind it."""
        plain = re.compile(rf"[^\\{re.escape(closing)}]*")
        begin = self.position
        self.position += 1
        read: list[str] = []
        while True:
            match = plain.match(self.source, self.position)
            assert match is not None
            read.append(match.group())
            self.position = match.end()
            if self.position >= len(self.source):
                raise _problem(message, self.source, begin)
            if self.source[self.position] != "\\":
                self.position += 1
                return "".join(read)
            read.append(self._escaped())

    def _number(self) -> Token:
        source, begin = self.source, self.position
        if source.startswith("0x", begin) and begin + 2 < len(source):
            self.position += 2
            digits = self._run(_is_hex_part)
            if not re.fullmatch("[0-9a-fA-F]+", digits) or int(digits, 16) >= 1 << 64:
                raise _problem(f"Unable to parse hex value '{digits}' to uint64\n", source, begin)
            return Token("NUMERIC", float(int(digits, 16)))
        digits = self._run(_is_number_part)
        number = parse_float(digits)
        if number is None or number == float("inf"):
            raise _problem(f"Unable to parse numeric value '{digits}' to float64\n", source, begin)
        return Token("NUMERIC", number)

    def _word(self) -> Token:
        begin = self.position
        word = self._run(_is_word_part)
        if word.find(".") > 0:
            return self._field_access(word, begin)
        if word in ("true", "false"):
            return Token("BOOLEAN", word == "true")
        return Token("COMPARATOR", "in") if word in ("in", "IN") else Token("VARIABLE", word)

    def _field_access(self, word: str, begin: int) -> Token:
        if word[-1] == ".":
            raise _problem(f"Hanging accessor on token '{word}'", self.source, begin)
        parts = tuple(word.split("."))
        for part in parts[1:]:
            if part[:1].upper()[:1] != part[:1]:
                raise _problem(f"Unable to access unexported field '{part}' in token '{word}'", self.source, begin)
        return Token("ACCESSOR", parts)

    def _string(self) -> Token:
        text = self._enclosed("'\"", "Unclosed string literal")
        moment = _read_date(text)
        return Token("STRING", text) if moment is None else Token("TIME", moment)

    def _symbol(self, previous: str) -> Token:
        begin = self.position
        symbol = self._run(_is_symbol_part)
        if symbol in _PREFIXES and "PREFIX" in FOLLOWERS[previous]:
            return Token("PREFIX", symbol)
        kind = _SYMBOLS.get(symbol)
        if kind is None:
            raise _problem(f"Invalid token: '{symbol}'", self.source, begin)
        return Token(kind, symbol)


def _read_date(text: str) -> ParsedTime | None:
    if not text[:1].isascii() or not text[:1].isalnum() or len(text) > _LONGEST_DATE:
        return None
    for layout in _DATE_LAYOUTS:
        if (moment := try_parse_time(text, layout)) is not None:
            return moment
    return None
