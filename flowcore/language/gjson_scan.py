"""Reading JSON text piece by piece, without ever refusing it: the floor of the GJSON dialect. Called by the other ``gjson`` modules.

Values keep the very text they had (``raw``). On text that is no JSON the results are those of the Go library: whatever comes next that
looks like the begin of a value is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from flowcore.language.go_format import format_plain
from flowcore.language.go_numbers import parse_float

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_BRACKETS = re.compile(r'["{}()\[\]]')
_NUMBER = re.compile(r".[^\x00-\x20,\]}]*", re.DOTALL)
_LITERAL = re.compile(r".[a-z]*", re.DOTALL)
_VALUE_BEGIN = re.compile(r'["{\[ntf+\-0-9iIN]')
_NOT_SPACE = re.compile(r"[^\x00-\x20]")
_KEY_BEGIN = re.compile(r'"')
_SEPARATORS = re.compile(r"[\x00-\x20,:]*")
_ESCAPE = re.compile(r'\\(?:u(....)|(["\\/bfnrt])|(.?))|([\x00-\x1f])', re.DOTALL)
_PLAIN_NUMBER = re.compile(r"-?[0-9]*")
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Result:
    """A value that was found. ``kind`` is ``Null False Number String True JSON``; ``raw`` is its text, empty when nothing was found."""

    kind: str = "Null"
    raw: str = ""
    text: str = ""
    number: float = 0.0

    @property
    def exists(self) -> bool:
        """Whether there is a value, be it null."""
        return self.kind != "Null" or bool(self.raw)

    @property
    def string(self) -> str:
        """The value as text: strings bare, null and nothing empty, lists and objects as they were written."""
        match self.kind:
            case "String":
                return self.text
            case "JSON":
                return self.raw
            case "True" | "False":
                return self.kind.lower()
            case "Number":
                return self.raw if self.raw and _PLAIN_NUMBER.fullmatch(self.raw) else format_plain(self.number)
        return ""

    @property
    def is_list(self) -> bool:
        """Whether it is a JSON list."""
        return self.kind == "JSON" and self.raw.startswith("[")

    @property
    def is_object(self) -> bool:
        """Whether it is a JSON object."""
        return self.kind == "JSON" and self.raw.startswith("{")


NOTHING = Result()


def string_end(text: str, begin: int) -> int:
    """The position behind the string whose quote stands at ``begin``, or -1 when it has no end."""
    match = _STRING.match(text, begin)
    return match.end() if match else -1


def string_result(raw: str) -> Result:
    """The value of a string with its quotes."""
    inner = raw[1:-1]
    return Result("String", raw, unescape(inner) if "\\" in inner else inner)


def bracketed_end(text: str, begin: int) -> int:
    """The position behind the bracket that closes the one at ``begin``; the end of the text when none does."""
    depth, position = 1, begin + 1
    while (match := _BRACKETS.search(text, position)) is not None:
        character, position = match.group(), match.end()
        if character == '"':
            position = string_end(text, match.start())
            if position < 0:
                return len(text)
        else:
            depth += 1 if character in "{[(" else -1
            if not depth:
                return position
    return len(text)


def squash(text: str) -> str:
    """The bracketed value or string at the begin of the text."""
    if text.startswith('"'):
        end = string_end(text, 0)
        return text[:end] if end >= 0 else text
    return text[: bracketed_end(text, 0)]


def number_result(raw: str) -> Result:
    """A number; what cannot be read counts as 0."""
    return Result("Number", raw, number=parse_float(raw) or 0.0)


def scalar_at(text: str, position: int) -> tuple[int, Result]:
    """The number or literal at the position, and the position behind it."""
    character = text[position]
    if character in "tf" or (character == "n" and text[position + 1 : position + 2] in ("u", "")):
        match = _LITERAL.match(text, position)
        assert match is not None
        return match.end(), Result({"t": "True", "f": "False", "n": "Null"}[character], match.group())
    match = _NUMBER.match(text, position)
    assert match is not None
    return match.end(), number_result(match.group())


def value_begin(text: str, position: int) -> int:
    """Where the next thing that looks like a value begins, or -1."""
    match = _VALUE_BEGIN.search(text, position)
    return match.start() if match else -1


def next_value(text: str, position: int) -> tuple[int, Result] | None:
    """The next value and the position behind it, or None."""
    begin = value_begin(text, position)
    if begin < 0:
        return None
    if text[begin] in "{[":
        end = bracketed_end(text, begin)
        return end, Result("JSON", text[begin:end])
    if text[begin] == '"':
        end = string_end(text, begin)
        return None if end < 0 else (end, string_result(text[begin:end]))
    return scalar_at(text, begin)


def parse(text: str) -> Result:
    """The whole text as one value; a list or object reaches to the end of the text."""
    match = _NOT_SPACE.search(text)
    if match is None or not _VALUE_BEGIN.match(match.group()):
        return NOTHING
    begin = match.start()
    if text[begin] in "{[":
        return Result("JSON", text[begin:])
    if text[begin] == '"':
        end = string_end(text, begin)
        raw = text[begin:end] if end >= 0 else text[begin:]
        return string_result(raw) if end >= 0 else Result("String", raw, unescape(raw[1:]))
    return scalar_at(text, begin)[1]


def members(value: Result) -> Iterator[tuple[str, Result]]:
    """The members of an object with their raw keys, or the items of a list with empty ones; a scalar is its own only item."""
    if value.kind != "JSON":
        if value.exists:
            yield "", value
        return
    text, position = value.raw, 1
    keyed = text.startswith("{")
    while position < len(text):
        key = ""
        if keyed:
            match = _KEY_BEGIN.search(text, position)
            end = string_end(text, match.start()) if match else -1
            if match is None or end < 0:
                return
            key, position = text[match.start() : end], end
        separators = _SEPARATORS.match(text, position)
        assert separators is not None
        found = next_value(text, separators.end())
        if found is None:
            return
        yield key, found[1]
        position = found[0] + 1


def unescape(inner: str) -> str:
    """The text of a string without its quotes; it ends where an escape or a control character makes no sense."""
    built: list[str] = []
    position = 0
    while (match := _ESCAPE.search(inner, position)) is not None:
        built.append(inner[position : match.start()])
        code, short, _wrong, _control = match.groups()
        position = match.end()
        if short:
            built.append(_SHORT.get(short, short))
        elif code:
            unit, position = _unicode_escape(inner, code, position)
            built.append(unit)
        else:
            return "".join(built)
    return "".join(built) + inner[position:]


def _unicode_escape(inner: str, code: str, position: int) -> tuple[str, int]:
    unit = _hex(code)
    if not 0xD800 <= unit < 0xE000:
        return chr(unit), position
    if inner.startswith("\\u", position) and len(inner) >= position + 6:
        low = _hex(inner[position + 2 : position + 6])
        position += 6
        if unit < 0xDC00 <= low < 0xE000:
            return chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)), position
    return "\ufffd", position


def _hex(digits: str) -> int:
    return int(digits, 16) if re.fullmatch("[0-9a-fA-F]{4}", digits) else 0


def quote(text: str) -> str:
    """A text as JSON string, with ``<``, ``>`` and ``&`` escaped as Go does."""
    quoted = json.dumps(text, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        quoted = quoted.replace(character, f"\\u{ord(character):04x}")
    return quoted


def is_valid(text: str) -> bool:
    """Whether the text is JSON throughout."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> None:
    raise ValueError(name)
