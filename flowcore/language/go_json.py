"""JSON as Go's ``encoding/json`` writes it: sorted keys, Go's floats, ``<``, ``>`` and ``&`` escaped.

Called by the JSONPath dialects, jq and the sprig functions, whose results come from Go. Size and depth are bounded.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.go_format import format_float, go_text, shortest_digits
from flowcore.language.go_time import format_time

MAX_SIZE = 8 * 1024 * 1024
MAX_DEPTH = 200
_TIME = "2006-01-02T15:04:05.999999999Z07:00"
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}
_SEPARATORS = {0x2028: "\\u2028", 0x2029: "\\u2029"}


def dump_json(value: object, *, indent: str = "", escape_html: bool = True) -> str:
    """The JSON text of a value; raises ExpressionError for what JSON cannot hold and LimitExceeded for too large a text."""
    return _Writer(indent, escape_html=escape_html).write(value)


def json_string(text: str, *, escape_html: bool = True) -> str:
    """A text with quotes and escapes."""
    quoted = json.dumps(text, ensure_ascii=False).translate(_SEPARATORS)
    return quoted.translate(_ESCAPES) if escape_html else quoted


def json_float(number: float) -> str:
    """A float as JSON: exponents only below -6 and from 21 on."""
    if math.isnan(number) or math.isinf(number):
        raise ExpressionError(f"json: unsupported value: {go_text(number)}")
    text = format_float(number, smallest_plain=-6)
    exponent = shortest_digits(number)[2]
    return text.replace("e-0", "e-") if -10 < exponent < -6 else text


class _Writer:
    def __init__(self, indent: str, *, escape_html: bool) -> None:
        self._indent, self._escape_html = indent, escape_html
        self._parts: list[str] = []
        self._size = 0

    def write(self, value: object) -> str:
        self._value(value, 0)
        return "".join(self._parts)

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._size += len(text)
        if self._size > MAX_SIZE:
            raise LimitExceeded(f"a JSON text of more than {MAX_SIZE} characters")

    def _value(self, value: object, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"a value nested more than {MAX_DEPTH} deep")
        match value:
            case str():
                self._put(json_string(value, escape_html=self._escape_html))
            case Mapping():
                keys = sorted(map(str, value))
                members = {str(key): item for key, item in value.items()}
                colon = ": " if self._indent else ":"
                self._items("{}", [(json_string(key, escape_html=self._escape_html) + colon, members[key]) for key in keys], depth)
            case bytes():
                self._put(f'"{base64.b64encode(value).decode()}"')
            case Sequence():
                self._items("[]", [("", item) for item in value], depth)
            case _:
                self._put(_scalar(value))

    def _items(self, brackets: str, items: list[tuple[str, object]], depth: int) -> None:
        self._put(brackets[0])
        for index, (label, item) in enumerate(items):
            self._put(("," if index else "") + self._line(depth + 1) + label)
            self._value(item, depth + 1)
        self._put((self._line(depth) if items else "") + brackets[1])

    def _line(self, depth: int) -> str:
        return "\n" + self._indent * depth if self._indent else ""


def _scalar(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return json_float(value)
        case datetime():
            return f'"{format_time(value, _TIME)}"'
        case timedelta():
            return str(value // timedelta(microseconds=1) * 1000)
    raise ExpressionError(f"json: unsupported type: {type(value).__name__}")
