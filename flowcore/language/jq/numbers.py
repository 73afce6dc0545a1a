"""Numbers in jq: whole numbers of any size, and floats. Used throughout this package."""

from __future__ import annotations

import math
import re
from typing import TypeAlias

from flowcore.errors import LimitExceeded

Number: TypeAlias = "int | float"

MAX_INT = (1 << 63) - 1
MIN_INT = -(1 << 63)
MAX_BITS = 14_000  # Python writes and reads no more than 4300 digits
_MAX_DIGITS = 4_200

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def parse_number(text: str) -> Number:
    """A number as it is written; whole ones stay exact, floats that are too large become whole or infinite."""
    if not re.search(r"[.eE]", text):
        return int(text) if len(text) <= _MAX_DIGITS else math.copysign(math.inf, -1 if text.startswith("-") else 1)
    number = float(text)
    return number if math.isfinite(number) else math.copysign(math.inf, number)


def is_number(value: object) -> bool:
    """Whether a value is a number; bools are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def to_float(number: Number) -> float:
    """The nearest float, infinite for what is too large."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def to_int(number: Number) -> int:
    """The whole part, within 64 bits; NaN is the smallest."""
    if isinstance(number, float):
        if number != number:
            return MIN_INT
        if math.isinf(number):
            return MAX_INT if number > 0 else MIN_INT
        number = int(number)
    return max(MIN_INT, min(MAX_INT, number))


def bounded(number: int) -> int:
    """A whole number of tolerable size; raises LimitExceeded otherwise."""
    if number.bit_length() > MAX_BITS:
        raise LimitExceeded("a jq program computes with numbers that are too long")
    return number
