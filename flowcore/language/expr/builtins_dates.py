"""The builtins that are about times, durations and zones. Part of ``builtins``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC

from flowcore.errors import ExpressionError
from flowcore.language import sources
from flowcore.language.expr.builtins_texts import text
from flowcore.language.expr.limits import Budget, Panic
from flowcore.language.expr.times import Duration, Moment, Zone
from flowcore.language.go_time import RFC3339, parse_time, try_parse_time
from flowcore.language.quantities import parse_nanoseconds

_LAYOUTS = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    RFC3339,
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)
_UTC = Zone("UTC", UTC)


def _now(_: Budget, zone: object = None) -> object:
    moment = Moment.of(sources.now())
    if zone is None:
        return moment
    if not isinstance(zone, Zone):
        raise Panic("invalid number of arguments (expected 0, got 1)")
    return Moment(moment.nanoseconds, zone)


def _duration(_: Budget, value: object) -> object:
    try:
        return Duration(parse_nanoseconds(text(value)))
    except ExpressionError as error:
        raise Panic(error.message) from None


def _date(_: Budget, *arguments: object) -> object:
    zone = arguments[0] if isinstance(arguments[0], Zone) else None
    rest = [text(argument) for argument in arguments if not isinstance(argument, Zone)]
    if not rest:
        raise Panic("runtime error: index out of range [0] with length 0")
    if len(rest) == 1:
        return _guessed(rest[0], zone or _UTC)
    if len(rest) == 3:
        zone = Zone.load(rest[2])
    try:
        return Moment.parsed(parse_time(rest[0], rest[1]), zone or _UTC)
    except ExpressionError as error:
        raise Panic(error.message) from None


def _guessed(value: str, zone: Zone) -> Moment:
    for layout in _LAYOUTS:
        found = try_parse_time(value, layout) if len(value) < 100 else None
        if found is not None:
            return Moment.parsed(found, zone)
    raise Panic(f"invalid date {value[:200]}")


def _timezone(_: Budget, name: object) -> object:
    return Zone.load(text(name))


DATES: Mapping[str, Callable[..., object]] = {"now": _now, "duration": _duration, "date": _date, "timezone": _timezone}
