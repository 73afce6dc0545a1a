"""The lexer: expr-lang's tokens with their places. Called by ``parser``.

Messages and places are those of expr-lang 1.17: an error points to the character that was read last.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from flowcore.errors import ExpressionError
from flowcore.language.expr.literals import BadEscape, unescape_bytes, unescape_text
from flowcore.language.expr.quoting import go_quote, go_rune


class Token(NamedTuple):
    """``kind`` is Identifier, Number, String, Bytes, Operator, Bracket or EOF; ``at`` counts characters from 0."""

    kind: str
    value: str
    at: int
    content: bytes = b""

    def __str__(self) -> str:
        return f"{self.kind}({go_quote(self.value)})" if self.value else self.kind

    def is_(self, kind: str, *values: str) -> bool:
        """Whether this is a token of the kind, with one of the values if any are given."""
        return self.kind == kind and (not values or self.value in values)


_SPACE = re.compile(r"[ \t\n\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_NUMBER_DIGITS = {"x": "0123456789abcdefABCDEF_", "o": "01234567_", "b": "01_"}
_WORD_OPERATORS = frozenset({"in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else", "not"})
_NEGATABLE = frozenset({"in", "matches", "contains", "startsWith", "endsWith"})
_HEX = frozenset("0123456789abcdefABCDEF")


def is_letter(char: str) -> bool:
    """Whether a name may begin with the character."""
    return char in "_$" or char.isalpha()


def is_name_char(char: str) -> bool:
    """Whether a name may go on with the character."""
    return char in "_$" or char.isalpha() or char.isdecimal()


def is_name(text: str) -> bool:
    """Whether the text could stand as a member name."""
    return bool(text) and is_letter(text[0]) and all(map(is_name_char, text))


class LexError(ExpressionError):
    """A text that is no sequence of tokens; ``at`` is the last character read."""


@lru_cache(maxsize=256)
def tokenize(source: str) -> tuple[tuple[Token, ...], LexError | None]:
    """The tokens up to the first error, and that error; an error of the parser on an earlier token counts before it."""
    lexer = _Lexer(source)
    try:
        lexer.run()
    except LexError as error:
        return tuple(lexer.tokens), error
    return tuple(lexer.tokens), None


class _Lexer:
    def __init__(self, source: str) -> None:
        self.source, self.position, self.start = source, 0, 0
        self.tokens: list[Token] = []

    def run(self) -> None:
        """Read everything; the tokens read before an error stay in ``tokens``."""
        while self.position < len(self.source):
            self.start = self.position
            self._step(self.source[self.position])
        self.tokens.append(Token("EOF", "", max(len(self.source) - 1, 0)))

    def _step(self, char: str) -> None:
        if space := _SPACE.match(self.source, self.position):
            self.position = space.end()
        elif char in "'\"":
            self._string()
        elif char == "`":
            self._raw_string()
        elif char in "bB" and self._peek(1) in ("'", '"'):
            self._bytes()
        elif "0" <= char <= "9" or (char == "." and "0" <= (self._peek(1) or " ") <= "9"):
            self._number()
        elif self.source.startswith(("//", "/*"), self.position):
            self._comment()
        elif is_name_char(char):
            self._word()
        else:
            self._operator(char)

    def _peek(self, ahead: int = 0) -> str:
        return self.source[self.position + ahead : self.position + ahead + 1]

    def _emit(self, kind: str, value: str, content: bytes = b"") -> None:
        self.tokens.append(Token(kind, value, self.start, content))

    def _fail(self, message: str, position: int) -> LexError:
        """An error whose last character read is the one before ``position``."""
        return LexError(message, source=self.source, at=position - 1, stage="compile")

    # -- operators and names -----------------------------------------------------------------------------------------------------

    def _operator(self, char: str) -> None:
        following = self._peek(1)
        if char in "([{)]}":
            return self._take("Bracket", 1)
        if char == "#":
            return self._pointer()
        double = (
            (char == "?" and following in (".", "?"))
            or (char in "|:." and following == char)
            or (char in "&!=*<>" and following in ("&", "=", "*"))
        )
        if char in "?/|:,;%+-^&!=*<>.":
            return self._take("Operator", 2 if double and following else 1)
        raise self._fail(f"unrecognized character: {go_rune(char)}", self.position + 1)

    def _take(self, kind: str, length: int) -> None:
        self._emit(kind, self.source[self.position : self.position + length])
        self.position += length

    def _pointer(self) -> None:
        self._take("Operator", 2 if self._peek(1) == "#" else 1)
        self.start = self.position
        word = self._read_word(self.position)
        if word:
            self._take("Identifier", len(word))

    def _read_word(self, position: int) -> str:
        end = position
        while end < len(self.source) and is_name_char(self.source[end]):
            end += 1
        return self.source[position:end]

    def _word(self) -> None:
        word = self._read_word(self.position)
        self._take("Operator" if word in _WORD_OPERATORS else "Identifier", len(word))
        if word == "not":
            self._after_not()

    def _after_not(self) -> None:
        while self._peek() == " ":
            self.position += 1
        word = self._read_word(self.position)
        if word in _NEGATABLE:
            self.start = self.position
            self._take("Operator", len(word))

    # -- literals ----------------------------------------------------------------------------------------------------------------

    def _number(self) -> None:
        source, end = self.source, self.position
        digits = "0123456789_"
        if source[end] == "0":
            end += 1
            base = source[end : end + 1].lower()
            if base in _NUMBER_DIGITS and base:
                digits, end = _NUMBER_DIGITS[base], end + 1
        end = self._run_of(digits, end)
        if source[end : end + 1] == "." and source[end + 1 : end + 2] != ".":
            end = self._run_of(digits, end + 1)
            end = self._exponent(digits, end)
        elif source[end : end + 1] != ".":
            end = self._exponent(digits, end)
        if end < len(source) and is_name_char(source[end]):
            raise self._fail(f"bad number syntax: {go_quote(source[self.position : end + 1])}", end + 1)
        self._take("Number", end - self.position)

    def _exponent(self, digits: str, end: int) -> int:
        if self.source[end : end + 1] not in ("e", "E"):
            return end
        end += 1
        if self.source[end : end + 1] in ("+", "-"):
            end += 1
        return self._run_of(digits, end)

    def _run_of(self, characters: str, end: int) -> int:
        while end < len(self.source) and self.source[end] in characters:
            end += 1
        return end

    def _string(self) -> None:
        end = self._scan_string(self.position)
        try:
            text = unescape_text(self.source[self.position + 1 : end - 1])
        except BadEscape as error:
            raise self._fail(str(error), end) from None
        self._emit("String", text)
        self.position = end

    def _bytes(self) -> None:
        end = self._scan_string(self.position + 1)
        try:
            content = unescape_bytes(self.source[self.position + 2 : end - 1])
        except BadEscape as error:
            raise self._fail(str(error), end) from None
        self._emit("Bytes", content.decode("utf-8", "replace"), content)
        self.position = end

    def _scan_string(self, start: int) -> int:
        """The position after the closing quote."""
        source, quote, end = self.source, self.source[start], start + 1
        while True:
            char = source[end : end + 1]
            if char in ("", "\n"):
                raise self._fail("literal not terminated", end + 1)
            if char == quote:
                return end + 1
            end = self._scan_escape(end + 1, quote) if char == "\\" else end + 1

    def _scan_escape(self, end: int, quote: str) -> int:
        """The position after one escape sequence whose backslash was just before ``end``."""
        char = self.source[end : end + 1]
        if char and char in "abfnrtv\\" + quote:
            return end + 1
        if char and char in "01234567":
            return self._scan_digits(end, "01234567", 3)
        if char == "u" and self.source[end + 1 : end + 2] == "{":
            return self._scan_braced(end + 2)
        if char in ("x", "u", "U"):
            return self._scan_digits(end + 1, "0123456789abcdefABCDEF", {"x": 2, "u": 4, "U": 8}[char])
        raise self._fail("invalid char escape", end + 1)

    def _scan_digits(self, end: int, digits: str, count: int) -> int:
        for _ in range(count):
            if self.source[end : end + 1] not in digits or end >= len(self.source):
                raise self._fail("invalid char escape", end + 1)
            end += 1
        return end

    def _scan_braced(self, start: int) -> int:
        end = start
        while self.source[end : end + 1] in _HEX and end - start < 6:
            end += 1
        if end == start or self.source[end : end + 1] != "}":
            raise self._fail("invalid char escape", end)
        return end + 1

    def _raw_string(self) -> None:
        end = self.position + 1
        while True:
            end = self.source.find("`", end)
            if end < 0:
                raise self._fail("literal not terminated", len(self.source) + 1)
            if self.source[end + 1 : end + 2] != "`":
                break
            end += 2
        self._emit("String", self.source[self.position + 1 : end].replace("``", "`"))
        self.position = end + 1

    def _comment(self) -> None:
        if self.source[self.position + 1] == "/":
            end = self.source.find("\n", self.position)
            self.position = len(self.source) if end < 0 else end + 1
            return
        end = self.source.find("*/", self.position + 2)
        if end < 0:
            raise self._fail("unclosed comment", len(self.source) + 1)
        self.position = end + 2
