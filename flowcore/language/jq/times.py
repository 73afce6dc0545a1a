"""jq: times, as seconds since 1970 or as lists of year, month from 0, day, hour, minute, second, weekday and day of the year. Part of ``natives``.

The local zone is UTC.
"""

from __future__ import annotations

import calendar
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json
from flowcore.language.jq.failures import JqFailure, not_applicable, not_applicable_because
from flowcore.language.jq.numbers import is_number, to_float, to_int
from flowcore.language.jq.time_formats import format_moment, parse_moment
from flowcore.language.sources import now

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _seconds(value: Json) -> float | None:
    if not is_number(value):
        return None
    assert isinstance(value, (int, float))
    return to_float(value)


def _broken_down(name: str, value: Json) -> Json:
    seconds = _seconds(value)
    if seconds is None:
        raise not_applicable(name, value)
    return _fields(seconds, name, value)


def _fields(seconds: float, name: str, value: Json) -> list[Json]:
    if not math.isfinite(seconds):
        raise not_applicable(name, value)
    whole = math.floor(seconds)
    try:
        moment = _EPOCH + timedelta(seconds=whole)
    except OverflowError:
        raise not_applicable_because(name, value, "the time is outside of the years 1 to 9999") from None
    fraction = int((seconds - whole) * 1e9) / 1e9
    second: Json = moment.second + fraction if fraction else moment.second
    return [
        moment.year,
        moment.month - 1,
        moment.day,
        moment.hour,
        moment.minute,
        second,
        moment.isoweekday() % 7,
        moment.timetuple().tm_yday - 1,
    ]


def _moment(fields: list[Json]) -> datetime:
    """The time that fields mean; they may lie outside of their ranges, and those that are missing are 0."""
    numbers: list[int] = []
    fraction = 0.0
    for position in range(8):
        value = fields[position] if position < len(fields) else 0
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise JqFailure("expected an array of 8 numbers")
        if position == 5:
            fraction = to_float(value) - math.floor(to_float(value)) if math.isfinite(value) else 0.0
        numbers.append(to_int(value))
    year, month, day, hour, minute, second = numbers[:6]
    year, month = year + month // 12, month % 12
    try:
        begin = datetime(year, month + 1, 1, tzinfo=UTC)
        return begin + timedelta(days=day - 1, hours=hour, minutes=minute, seconds=second, microseconds=int(fraction * 1e6))
    except (ValueError, OverflowError):
        raise JqFailure("the time is outside of the years 1 to 9999") from None


def _since_epoch(moment: datetime) -> float:
    seconds = calendar.timegm(moment.utctimetuple())
    return seconds + moment.microsecond / 1e6 if moment.microsecond else float(seconds)


def _mktime(value: Json) -> Json:
    if not isinstance(value, list):
        raise not_applicable("mktime", value)
    try:
        return _since_epoch(_moment(value))
    except JqFailure as failure:
        raise not_applicable_because("mktime", value, failure) from None


def _strftime(name: str) -> Callable[[Json, Json], Json]:
    def function(value: Json, layout: Json) -> Json:
        seconds = _seconds(value)
        fields = value if seconds is None else _fields(seconds, name, value)
        if not isinstance(fields, list) or not isinstance(layout, str):
            raise not_applicable(name, value, layout)
        try:
            return format_moment(_moment(fields), layout)
        except JqFailure as failure:
            raise not_applicable_because(name, value, failure, layout) from None

    return function


def _strptime(value: Json, layout: Json) -> Json:
    if not isinstance(value, str) or not isinstance(layout, str):
        raise not_applicable("strptime", value, layout)
    try:
        moment = parse_moment(value, layout)
    except ExpressionError as error:
        raise not_applicable_because("strptime", value, error.message, layout) from None
    return _fields(_since_epoch(moment), "strptime", value)


def _now(_value: Json) -> Json:
    return now().timestamp()


TIMES: dict[tuple[str, int], Callable[..., Json]] = {
    ("gmtime", 0): lambda value: _broken_down("gmtime", value),
    ("localtime", 0): lambda value: _broken_down("localtime", value),
    ("mktime", 0): _mktime,
    ("strftime", 1): _strftime("strftime"),
    ("strflocaltime", 1): _strftime("strflocaltime"),
    ("strptime", 1): _strptime,
    ("now", 0): _now,
}
"""The functions by name and number of arguments."""
