"""JSON as jq writes it: NaN as null, infinities as the largest float, sorted keys; and the short form for messages."""

from __future__ import annotations

import json
import math
import sys
from contextlib import suppress

from flowcore.errors import LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.go_json import json_float
from flowcore.language.jq.meter import spend

MAX_TEXT = 4 * 1024 * 1024
MAX_DEPTH = 300
_PREVIEW = 30
_ESCAPES = {0x7F: "\\u007f"}


def type_name(value: Json) -> str:
    """The type as jq calls it."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def encode(value: Json) -> str:
    """The JSON text of a value; raises LimitExceeded for too large a one."""
    parts: list[str] = []
    try:
        _write(value, parts, MAX_TEXT, 0)
    except _Full:
        raise LimitExceeded(f"a jq program makes a text of more than {MAX_TEXT} characters") from None
    return "".join(parts)


def preview(value: Json) -> str:
    """The JSON text of a value, cut off behind 30 bytes."""
    parts: list[str] = []
    with suppress(_Full):
        _write(value, parts, _PREVIEW + 2, 0)
    data = "".join(parts).encode("utf-8", "replace")[: _PREVIEW + 2]
    if len(data) <= _PREVIEW:
        return data.decode("utf-8", "replace")
    trailing = {"string": ' ..."', "array": " ...]", "object": " ...}"}.get(type_name(value), " ...")
    return data[: _PREVIEW - len(trailing)].decode("utf-8", "ignore") + trailing


class _Full(Exception):
    """There is no room for more text."""


def _write(value: Json, parts: list[str], room: int, depth: int) -> int:
    """Append the pieces of the text of a value; gives the room that is left, raises _Full when there is none."""
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"a jq value nested more than {MAX_DEPTH} deep")
    if isinstance(value, list):
        for index, item in enumerate(value):
            parts.append("," if index else "[")
            room = _write(item, parts, room - 1, depth + 1)
        spend(len(value))
        parts.append("]" if value else "[]")
        room -= 2
    elif isinstance(value, dict):
        spend(len(value) >> 4)
        for index, key in enumerate(sorted(value)):
            name = encode_text(key[: max(0, room) + 1])
            parts.append(f"{',' if index else '{'}{name}:")
            room = _write(value[key], parts, room - len(name) - 2, depth + 1)
        parts.append("}" if value else "{}")
        room -= 2
    else:
        parts.append(encode_text(value[: max(0, room) + 1]) if isinstance(value, str) else encode_scalar(value))
        room -= len(parts[-1])
        spend(len(parts[-1]) >> 7)
    if room < 0:
        raise _Full
    return room


def encode_scalar(value: Json) -> str:
    """The JSON text of what is no list or object."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return encode_text(value)
        case int():
            return _digits(value)
        case float():
            return "null" if math.isnan(value) else json_float(min(max(value, -sys.float_info.max), sys.float_info.max))
    raise TypeError(type(value).__name__)


def _digits(number: int) -> str:
    """Decimal digits, also of numbers that Python refuses to print."""
    if number.bit_length() < 10_000:
        return str(number)
    sign, number = ("-", -number) if number < 0 else ("", number)
    parts: list[str] = []
    while number:
        number, rest = divmod(number, 10**1000)
        parts.append(f"{rest:01000d}")
    return sign + "".join(reversed(parts)).lstrip("0")


def encode_text(text: str) -> str:
    """A text with quotes and escapes."""
    return json.dumps(text, ensure_ascii=False).translate(_ESCAPES)
