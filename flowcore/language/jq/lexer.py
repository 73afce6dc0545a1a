"""The tokens of a jq program. Called by ``parser``."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from flowcore.errors import ExpressionError

_WORDS_OF_CONTROL = ["if", "then", "elif", "else", "end", "try", "catch", "reduce", "foreach", "label", "break"]
_OTHER_WORDS = ["or", "and", "module", "import", "include", "def", "as", "null", "true", "false"]
KEYWORDS = frozenset(_WORDS_OF_CONTROL + _OTHER_WORDS)
_SPACE = re.compile(r"(?:[ \t\r\n]+|#(?:[^\\\r\n]|\\(?:\r\n|[\\\r\n]|(?=[^\\\r\n])|\Z))*)*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)?")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BAD_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]*)?[A-Za-z_.]?")
_OPERATOR = re.compile(r"\?//|//=|\|=|\+=|-=|\*=|/=|%=|==|!=|<=|>=|//|\.\.|.", re.DOTALL)
_FIELD = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)")
_FORMAT = re.compile(r"@[A-Za-z0-9_]+")
_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)?")
_PLAIN = re.compile(r'[^"\\]*')
_ESCAPE = re.compile(r'\\(?:(u[0-9a-fA-F]{4})|(["\\/bfnrt]))')
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Token(NamedTuple):
    """One token. ``kind`` is a keyword or sign itself, or ``word variable field number format text-begin text query text-end end``."""

    kind: str
    text: str
    at: int


class Lexer:
    """Reads one token at a time; within a text the parser asks for its pieces."""

    def __init__(self, source: str) -> None:
        self.source, self.position = source, 0

    def problem(self, message: str, at: int | None = None) -> ExpressionError:
        """An error at a place."""
        return ExpressionError(message, source=self.source, at=self.position if at is None else at, stage="compile")

    def unexpected(self, token: Token) -> ExpressionError:
        """The error for a token that does not fit where it stands."""
        if token.kind == "end":
            return self.problem("unexpected EOF", token.at)
        return self.problem(f"unexpected token {json.dumps(token.text, ensure_ascii=False)}", token.at)

    def next_token(self) -> Token:
        """The token at the position, which moves behind it."""
        source = self.source
        space = _SPACE.match(source, self.position)
        self.position = begin = space.end() if space else self.position
        if begin >= len(source):
            return Token("end", "", begin)
        if source[begin] == '"':
            self.position += 1
            return Token("text-begin", '"', begin)
        for pattern, kind in ((_FIELD, "field"), (_WORD, "word"), (_VARIABLE, "variable"), (_FORMAT, "format")):
            match = pattern.match(source, begin)
            if match is not None:
                self.position = match.end()
                text = match.group(1) if kind == "field" else match.group()
                return Token(text if kind == "word" and text in KEYWORDS else kind, text, begin)
        if _NUMBER.match(source, begin):
            return self._number(begin)
        match = _OPERATOR.match(source, begin)
        assert match is not None
        self.position = match.end()
        return Token(match.group(), match.group(), begin)

    def _number(self, begin: int) -> Token:
        good, greedy = _NUMBER.match(self.source, begin), _BAD_NUMBER.match(self.source, begin)
        assert good is not None and greedy is not None
        if greedy.end() > good.end():
            raise self.problem(f"invalid token {json.dumps(greedy.group())}", begin)
        self.position = good.end()
        return Token("number", good.group(), begin)

    def text_piece(self) -> Token:
        """Within a text: its next piece, the begin of an interpolation (``query``), or its end."""
        begin = self.position
        built: list[str] = []
        while True:
            plain = _PLAIN.match(self.source, self.position)
            assert plain is not None
            built.append(plain.group())
            self.position = plain.end()
            if self.position >= len(self.source):
                raise self.problem("unterminated string literal")
            escape = _ESCAPE.match(self.source, self.position)
            if escape is None:
                break
            built.append(self._escaped(escape))
        if text := "".join(built):
            return Token("text", text, begin)
        if self.source[self.position] == '"':
            self.position += 1
            return Token("text-end", '"', begin)
        return self._interpolation(begin)

    def _interpolation(self, begin: int) -> Token:
        if self.source.startswith("\\(", self.position):
            self.position += 2
            return Token("query", "\\(", begin)
        if self.position + 1 >= len(self.source):
            raise self.problem("unterminated string literal")
        match = re.compile(r"\\(?:u[0-9a-fA-F]{0,3}|.)", re.DOTALL).match(self.source, self.position)
        shown = match.group() if match else "\\"
        raise self.problem(f'invalid escape sequence "{shown}" in string literal')

    def _escaped(self, match: re.Match[str]) -> str:
        code, short = match.groups()
        self.position = match.end()
        if short:
            return _SHORT.get(short, short)
        unit = int(code[1:], 16)
        if 0xD800 <= unit < 0xDC00:
            low = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})").match(self.source, self.position)
            if low is None:
                return "\ufffd"
            self.position = low.end()
            return chr(0x10000 + ((unit - 0xD800) << 10) + int(low.group(1), 16) - 0xDC00)
        return "\ufffd" if 0xDC00 <= unit < 0xE000 else chr(unit)
