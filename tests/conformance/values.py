"""The values of the language tables: read from JSON, and compared with what the language gave."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_FLOATS = {"NaN": math.nan, "+Inf": math.inf, "-Inf": -math.inf}


def decode(value: Any) -> Any:
    """A JSON value with ``{"$time": ...}`` and its like made into what they stand for."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, inner),) = value.items()
        if key in _SPECIAL:
            return _SPECIAL[key](inner)
    return {key: decode(item) for key, item in value.items()}


class FarTime(str):
    """An instant in a year that a datetime cannot hold."""


def read_time(text: str) -> datetime:
    """An RFC 3339 instant; what Go knows beyond microseconds is cut off."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _time(text: str) -> datetime | FarTime:
    try:
        return read_time(text)
    except ValueError:
        return FarTime(text)


def plain(value: Any) -> Any:
    """A value of flowcore's expressions as a caller of Python would get it."""
    return value.to_datetime() if hasattr(value, "to_datetime") else value


def read_duration(text: str) -> timedelta:
    """A Go duration such as ``1h0m0.5s``."""
    sign = -1 if text.startswith("-") else 1
    parts = re.findall(r"([\d.]+)(h|ms|us|µs|ns|m|s)", text)
    return sign * timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in parts))


_SPECIAL = {
    "$time": _time,
    "$duration": read_duration,
    "$bytes": base64.b64decode,
    "$float": _FLOATS.__getitem__,
    "$map": lambda pairs: {decode(key): decode(item) for key, item in pairs},
}


def same(expected: Any, got: Any, *, strict: bool = False) -> bool:
    """Whether two values are one; ``strict`` tells 3 and 3.0 apart. An empty list may be null."""
    got = plain(got)
    if isinstance(expected, FarTime):
        return hasattr(got, "isoformat") and got.isoformat() == expected
    if isinstance(expected, Mapping) and expected.keys() == {"$text", "$type"}:
        return str(got) == expected["$text"]
    if isinstance(expected, Mapping):
        return isinstance(got, Mapping) and _same_maps(expected, got, strict)
    if isinstance(expected, list):
        if not expected and got is None:
            return True
        return (
            isinstance(got, (list, tuple))
            and len(got) == len(expected)
            and all(same(a, b, strict=strict) for a, b in zip(expected, got, strict=True))
        )
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or got is None:
        return expected is got
    if isinstance(expected, (int, float)) and isinstance(got, (int, float)):
        return _same_numbers(expected, got, strict)
    if isinstance(expected, datetime) and isinstance(got, datetime):
        return (expected.tzinfo is None) == (got.tzinfo is None) and expected == got
    return type(expected) is type(got) and bool(expected == got)


def _same_numbers(expected: float, got: float, strict: bool) -> bool:
    if strict and isinstance(expected, float) != isinstance(got, float):
        return False
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(got, float) and math.isnan(got)
    return expected == got or math.isclose(expected, got, rel_tol=1e-12)


def _same_maps(expected: Mapping[Any, Any], got: Mapping[Any, Any], strict: bool) -> bool:
    if len(expected) != len(got):
        return False
    return all(
        any(same(key, other, strict=strict) and same(item, value, strict=strict) for other, value in got.items())
        for key, item in expected.items()
    )


def as_words(text: str) -> list[str]:
    """The words of a text whose order means nothing."""
    return sorted(text.split())


def same_in_any_order(expected: Any, got: Any) -> bool:
    """Whether two values are one when the order of lists means nothing, at any depth."""
    if isinstance(expected, list) and isinstance(got, (list, tuple)):
        rest = list(got)
        for item in expected:
            match = next((index for index, other in enumerate(rest) if same_in_any_order(item, other)), None)
            if match is None:
                return False
            rest.pop(match)
        return not rest
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return expected.keys() == got.keys() and all(same_in_any_order(expected[key], got[key]) for key in expected)
    return same(expected, got)
