"""Numbers as Go's ``strconv`` reads them. Called by the dialects whose texts are compared with what Go makes of them."""

from __future__ import annotations

import math
import re

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(r"[+-]?0[xX](?=[0-9a-fA-F.])[0-9a-fA-F_]*\.?[0-9a-fA-F_]*[pP][+-]?[0-9]+")
_NAMED = {"inf": math.inf, "infinity": math.inf, "nan": math.nan}
_WHOLE = re.compile(r"([+-]?)([0-9]+)")
_PREFIXED = re.compile(r"([+-]?)(0[xX]_?[0-9a-fA-F_]+|0[bB]_?[01_]+|0[oO]_?[0-7_]+|0[0-7_]*|[1-9][0-9_]*)")
_LONGEST = 1_000


def parse_float(text: str) -> float | None:
    """``strconv.ParseFloat``: None when the text is no number; one that is too large gives an infinity."""
    if len(text) > _LONGEST:
        return None
    if _DECIMAL.fullmatch(text):
        return float(text)
    name = text.lower()
    sign = -1.0 if name.startswith("-") else 1.0
    if name.lstrip("+-") in _NAMED and len(name) - len(name.lstrip("+-")) <= (0 if "nan" in name else 1):
        return sign * _NAMED[name.lstrip("+-")]
    if _HEXADECIMAL.fullmatch(text) and "__" not in text:
        try:
            return float.fromhex(text.replace("_", ""))
        except (ValueError, OverflowError):
            return sign * math.inf
    return None


def parse_int(text: str, *, prefixes: bool = False) -> int | None:
    """``strconv.ParseInt`` of 64 bits: None when the text is no whole number or does not fit.

    With ``prefixes`` (base 0 in Go) ``0x``, ``0b``, ``0o`` and a leading 0 choose the base and ``_`` may group digits.
    """
    match = (_PREFIXED if prefixes else _WHOLE).fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    number = _prefixed(match.group(2)) if prefixes else int(match.group(2))
    if number is None:
        return None
    number = -number if match.group(1) == "-" else number
    return number if -(1 << 63) <= number < 1 << 63 else None


def _prefixed(digits: str) -> int | None:
    if "__" in digits or digits.endswith("_"):
        return None
    base = {"x": 16, "b": 2, "o": 8}.get(digits[1:2].lower(), 8 if digits[0] == "0" else 10)
    digits = digits.replace("_", "")
    digits = digits[2:] if digits[1:2].isalpha() else digits
    return int(digits, base) if digits else None
