"""Values as Go's ``fmt`` prints them by default (``%v``): numbers, nil, lists and maps.

Called by ``govaluate``, the sprig functions and the JSONPath dialects, whose texts come from Go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from flowcore.language.go_time import time_text


def format_float(number: float, *, smallest_plain: int = -4, largest_plain: int = 21) -> str:
    """A float with the fewest digits that read back the same; other exponents than the plain ones use ``e`` notation."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    sign, digits, exponent = shortest_digits(number)
    if not smallest_plain <= exponent < largest_plain:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return sign + plain_digits(digits, exponent)


def format_plain(number: float) -> str:
    """A float with the fewest digits and never an exponent (``strconv.FormatFloat(x, 'f', -1, 64)``)."""
    return format_float(number, smallest_plain=-400, largest_plain=400)


def shortest_digits(number: float) -> tuple[str, str, int]:
    """The sign, the significant digits without trailing zeros, and the decimal exponent of the first digit."""
    sign = "-" if math.copysign(1.0, number) < 0 else ""
    mantissa, _, exponent_text = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    exponent = len(whole) - 1 + int(exponent_text or 0)
    digits = whole + fraction
    leading = len(digits) - len(digits.lstrip("0"))
    digits = digits[leading:].rstrip("0")
    return (sign, digits, exponent - leading) if digits else (sign, "0", 0)


def plain_digits(digits: str, exponent: int) -> str:
    """Significant digits written without exponent."""
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if exponent >= len(digits) - 1:
        return digits + "0" * (exponent - len(digits) + 1)
    return f"{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def go_text(value: object) -> str:
    """Go's default text of a value: ``<nil>``, ``true``, ``1e+21``, ``[a b]``, ``map[k:v]`` with keys in order."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case float():
            return format_float(value)
        case bytes():
            return "[" + " ".join(str(byte) for byte in value) + "]"
        case datetime():
            return time_text(value)
        case timedelta():
            return duration_text(value)
        case Mapping():
            return "map[" + " ".join(f"{go_text(key)}:{go_text(value[key])}" for key in sorted(value, key=_key_order)) + "]"
        case Sequence():
            return "[" + " ".join(go_text(item) for item in value) + "]"
    return str(value)


def _key_order(key: object) -> tuple[str, float, str]:
    if isinstance(key, (int, float)):
        return ("number", float(key), "")
    return ("text", 0.0, str(key))


def duration_text(duration: timedelta) -> str:
    """Go's text of a duration, as in ``1h15m30.5s``, ``1.5ms`` or ``0s``."""
    microseconds = duration // timedelta(microseconds=1)
    if not microseconds:
        return "0s"
    sign, microseconds = ("-", -microseconds) if microseconds < 0 else ("", microseconds)
    if microseconds < 1_000_000:
        unit, size = ("µs", 1) if microseconds < 1000 else ("ms", 1000)
        return f"{sign}{_decimal(microseconds, size)}{unit}"
    minutes, rest = divmod(microseconds, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, 1_000_000)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else sign + text


def _decimal(amount: int, size: int) -> str:
    whole, rest = divmod(amount, size)
    fraction = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)
