"""What a plain YAML scalar means: the resolver of YAML 1.1 that Kubernetes' tools use, reduced to JSON's types.

``yes``, ``on`` and ``n`` are bools, ``0755`` is octal, ``1_000`` a number, dates stay texts. Used by the reader to read and by the writer to know
what needs quotes.
"""

from __future__ import annotations

import math
import re

from flowcore.jsontypes import Json

_WORDS: dict[str, Json] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS.update(dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True))
_WORDS.update(dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False))
_NUMBER_START = frozenset("+-.0123456789")
_NON_FINITE = frozenset({".nan", ".NaN", ".NAN"} | {sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")})
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)|(?P<dec>0|[1-9][0-9]*))")
_BASES = {"hex": 16, "bin": 2, "oct": 8, "dec": 10}
_LONGEST = 400  # characters of a number; longer digits are text, as they are for Argo
_SMALLEST, _LARGEST = -(2**63), 2**64


class NotFinite(ValueError):
    """A scalar that is infinite or no number: JSON has no such thing."""


def plain(text: str) -> Json:
    """The value of the plain scalar ``text``. Raises NotFinite for ``.inf`` and ``.nan``."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:
        return text
    if text in _NON_FINITE:
        raise NotFinite(text)
    if len(text) > _LONGEST:
        return text
    value = number(text.replace("_", ""))
    return text if value is None else value


def number(text: str) -> int | float | None:
    """The number that ``text`` writes, whole ones as int, or None. What no float can hold is no number."""
    match = _INTEGER.fullmatch(text)
    if match and match.lastgroup:
        value = int(match["sign"] + match[match.lastgroup], _BASES[match.lastgroup])
        if _SMALLEST <= value < _LARGEST:
            return value
    if not _FLOAT.fullmatch(text):
        return None
    value_or_infinite = float(text)
    if math.isinf(value_or_infinite):
        return None
    return shortest(value_or_infinite)


def shortest(value: float) -> int | float:
    """A float as JSON writes it: whole ones below 1e21 have no point."""
    return int(value) if value.is_integer() and abs(value) < 1e21 else value
