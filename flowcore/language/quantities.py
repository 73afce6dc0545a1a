"""Durations, sizes and times as Argo and Kubernetes write them.

Durations are Go's (``1h30m``, ``300ms``), bare whole numbers meaning seconds where Argo allows it. Quantities are Kubernetes's
(``500m``, ``1.5Gi``). Times are printed as RFC 3339 and in the strftime letters of ``workflow.creationTimestamp``. Used by the plan
(checks), the engine (back-off, deadlines, messages) and backends (resources).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Final

from flowcore.errors import ExpressionError

_NANOSECONDS: Final = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MOST_NANOSECONDS: Final = 2**63
_DURATION_PART: Final = re.compile(r"(?P<whole>[0-9]*)(?:(?P<dot>\.)(?P<fraction>[0-9]*))?(?P<unit>[^0-9.]*)")
_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]+")
_LONGEST_TEXT: Final = 128


def parse_nanoseconds(text: str) -> int:
    """The length of a Go duration in nanoseconds, as Go's ``time.ParseDuration`` reads it, with its error texts.

    Raises ExpressionError: ``time: invalid duration "x"``, ``missing unit`` and ``unknown unit`` in the same form.
    """
    rest, negative = text[1:] if text[:1] in {"+", "-"} else text, text[:1] == "-"
    if rest == "0":
        return 0
    if not rest or len(text) > _LONGEST_TEXT:
        raise _invalid(text)
    total, position = 0, 0
    while position < len(rest):
        match = _DURATION_PART.match(rest, position)
        if match is None or not (match["whole"] or match["fraction"]):
            raise _invalid(text)
        total += _part_nanoseconds(match, text)
        position = match.end()
    if total > _MOST_NANOSECONDS or (total == _MOST_NANOSECONDS and not negative):
        raise _invalid(text)
    return -total if negative else total


def _part_nanoseconds(match: re.Match[str], text: str) -> int:
    unit = match["unit"]
    if not unit:
        raise ExpressionError(f"time: missing unit in duration {quoted(text)}", source=text)
    size = _NANOSECONDS.get(unit)
    if size is None:
        raise ExpressionError(f"time: unknown unit {quoted(unit)} in duration {quoted(text)}", source=text)
    fraction = match["fraction"] or ""
    return int(match["whole"] or "0") * size + (int(fraction) * size // 10 ** len(fraction) if fraction else 0)


def _invalid(text: str) -> ExpressionError:
    return ExpressionError(f"time: invalid duration {quoted(text[:_LONGEST_TEXT])}", source=text)


def quoted(text: str) -> str:
    """``text`` in double quotes as Go's ``%q`` and ``time`` print it, near enough for messages."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_go_duration(text: str) -> timedelta:
    """A Go duration as a timedelta (to the microsecond); errors as ``parse_nanoseconds``."""
    return _timedelta(parse_nanoseconds(text))


def _timedelta(nanoseconds: int) -> timedelta:
    return timedelta(microseconds=nanoseconds // 1000 if nanoseconds >= 0 else -(-nanoseconds // 1000))


def parse_duration(text: str) -> timedelta:
    """A duration of a workflow document: a bare whole number of seconds (``30``) or a Go duration (``1m30s``).

    Raises ExpressionError ``unable to parse X as a duration: ...`` (Argo's ParseStringToDuration).
    """
    if _WHOLE_NUMBER.fullmatch(text) and len(text) <= _LONGEST_TEXT:
        seconds = int(text)
        if abs(seconds) * 10**9 < _MOST_NANOSECONDS:
            return timedelta(seconds=seconds)
    try:
        return parse_go_duration(text)
    except ExpressionError as error:
        raise ExpressionError(f"unable to parse {text[:_LONGEST_TEXT]} as a duration: {error.message}", source=text) from error


def _microseconds(duration: timedelta) -> int:
    return (duration.days * 86400 + duration.seconds) * 10**6 + duration.microseconds


_DAY: Final = 86400
_UNITS: Final = (  # below this many seconds, print in this unit
    (3600, 60, "minute"),
    (_DAY, 3600, "hour"),
    (7 * _DAY, _DAY, "day"),
    (30 * _DAY, 7 * _DAY, "week"),
    (12 * 30 * _DAY, 30 * _DAY, "month"),
    (37 * 12 * 30 * _DAY, 12 * 30 * _DAY, "year"),
)


def humanize(duration: timedelta) -> str:
    """A duration in words with at most two units, as in ``Backoff for 2 minutes 10 seconds``.

    The second unit is always plural and shown even when it is 0 (Argo's humanize.Duration).
    """
    seconds = _microseconds(duration) / 10**6
    first = _one_unit(int(abs(seconds)))
    if seconds < 60:
        return first
    if seconds < 3600:
        return f"{first} {int(seconds % 60)} seconds"
    if seconds < _DAY:
        return f"{first} {int(seconds / 60 % 60)} minutes"
    return f"{first} {int(seconds / 3600 % 24)} hours"


def _one_unit(seconds: int) -> str:
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if 18 * 30 * _DAY <= seconds < 24 * 30 * _DAY:
        return "2 years"
    for bound, size, unit in _UNITS:
        if seconds < bound:
            count = seconds // size
            return f"1 {unit}" if count == 1 else f"{count} {unit}s"
    return "a long while"


_QUANTITY: Final = re.compile(r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?P<suffix>[eE][+-]?[0-9]{1,3}|[KMGTPE]i|[numkMGTPE]?)")
_SUFFIXES: Final = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def parse_quantity(text: str) -> Decimal:
    """A Kubernetes quantity as an exact number: ``500m`` is 0.5, ``1Ki`` is 1024, ``1e3`` is 1000.

    Raises ExpressionError for anything else.
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise ExpressionError(
            f"{text[:_LONGEST_TEXT]!r} is not a quantity: write a number and a suffix such as m, k, M, Ki, Mi, Gi", source=text
        )
    number, suffix = Decimal(match["number"]), match["suffix"]
    if suffix[:1] in {"e", "E"} and len(suffix) > 1 and suffix != "Ei":
        return number * Decimal(f"1{suffix}")
    return number * _SUFFIXES[suffix]


def whole_quantity(text: str) -> int:
    """A Kubernetes quantity rounded up to a whole number, as Kubernetes does for bytes and counts."""
    return int(parse_quantity(text).to_integral_value(ROUND_CEILING))


def rfc3339(time: datetime) -> str:
    """A time as Kubernetes prints it, to the second: ``2024-01-02T03:04:05Z``. Times without a zone are taken as UTC."""
    return _to_the_second(time) + _offset(time)


def _to_the_second(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="seconds")


def _zoned(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _offset(time: datetime) -> str:
    offset = _zoned(time).utcoffset() or timedelta()
    if not offset:
        return "Z"
    minutes = int(offset.total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


_MONTHS: Final = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def time_letters(time: datetime) -> dict[str, str]:
    """The variables below ``workflow.creationTimestamp``: strftime letters, ``s`` (Unix seconds) and ``RFC3339``. English, whatever the locale."""
    moment = _zoned(time)
    month, weekday = _MONTHS[moment.month - 1], _WEEKDAYS[moment.weekday()]
    offset = _offset(moment)
    numeric_offset = "+0000" if offset == "Z" else offset.replace(":", "")
    return {
        "B": month,
        "b": month[:3],
        "m": f"{moment.month:02d}",
        "A": weekday,
        "a": weekday[:3],
        "d": f"{moment.day:02d}",
        "H": f"{moment.hour:02d}",
        "I": f"{moment.hour % 12 or 12:02d}",
        "M": f"{moment.minute:02d}",
        "S": f"{moment.second:02d}",
        "Y": f"{moment.year:04d}",
        "y": f"{moment.year % 100:02d}",
        "p": "AM" if moment.hour < 12 else "PM",
        "Z": "UTC" if offset == "Z" else moment.tzname() or numeric_offset,
        "z": numeric_offset,
        "L": f".{moment.microsecond // 1000:03d}",
        "s": str(int(moment.timestamp())),
        "RFC3339": rfc3339(moment),
    }
