"""The methods of Go's times, durations and zones that expressions may call; no other value has any. Used by ``check`` and ``access``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import NamedTuple

from flowcore.language.expr.limits import Panic
from flowcore.language.expr.natures import (
    BOOL,
    DURATION,
    FLOAT,
    INT,
    INT64,
    MONTH,
    STRING,
    TIME,
    WEEKDAY,
    ZONE,
    Nature,
    Signature,
    function,
)
from flowcore.language.expr.signatures import function_type
from flowcore.language.expr.times import Duration, Moment, Month, Weekday, Zone, wrap64
from flowcore.language.expr.values import exact, type_name

_SECOND = 1_000_000_000
_ZERO_TIME = -62_135_596_800 * _SECOND


class Method(NamedTuple):
    """``call`` takes the receiver and the arguments, all in their exact forms."""

    nature: Nature
    call: Callable[..., object]


class BoundMethod:
    """A method with its receiver, ready to be called."""

    __slots__ = ("go_type", "method", "receiver")

    def __init__(self, receiver: object, method: Method) -> None:
        self.receiver, self.method = exact(receiver), method
        self.go_type = method.nature.type

    def __call__(self, *arguments: object) -> object:
        signature = self.method.nature.signature
        wanted = signature.parameters if signature is not None else ()
        if len(wanted) != len(arguments):
            raise Panic(f"invalid number of arguments: expected {len(wanted)}, got {len(arguments)}")
        given = [exact(argument) for argument in arguments]
        for parameter, argument in zip(wanted, given, strict=True):
            if type_name(argument) != parameter.type:
                raise Panic(f"reflect: Call using {type_name(argument)} as type {parameter.type}")
        return self.method.call(self.receiver, *given)


def _method(result: Nature, call: Callable[..., object], *parameters: Nature) -> Method:
    signature = Signature(parameters, result)
    return Method(function(function_type(signature), signature), call)


def _field(name: str) -> Callable[[Moment], object]:
    return lambda moment: getattr(moment.civil()[0], name)


def _rounded(nanoseconds: int, unit: int) -> int:
    if unit <= 0:
        return nanoseconds
    rest = abs(nanoseconds) % unit
    whole = abs(nanoseconds) - rest + (unit if rest * 2 >= unit else 0)
    return wrap64(whole if nanoseconds >= 0 else -whole)


def _truncated(nanoseconds: int, unit: int) -> int:
    if unit <= 0:
        return nanoseconds
    rest = abs(nanoseconds) % unit
    return nanoseconds - rest if nanoseconds >= 0 else nanoseconds + rest


def _truncated_time(moment: Moment, unit: Duration) -> Moment:
    if unit.nanoseconds <= 0:
        return moment
    return moment.shifted(-((moment.nanoseconds - _ZERO_TIME) % unit.nanoseconds))


def _rounded_time(moment: Moment, unit: Duration) -> Moment:
    if unit.nanoseconds <= 0:
        return moment
    rest = (moment.nanoseconds - _ZERO_TIME) % unit.nanoseconds
    return moment.shifted(-rest if rest * 2 < unit.nanoseconds else unit.nanoseconds - rest)


def _add_date(moment: Moment, years: int, months: int, days: int) -> Moment:
    shown, year = moment.civil()
    months += shown.month - 1
    year += years + months // 12
    if not 1 <= year <= 9999:
        raise Panic(f"the year {year} is outside 1 to 9999")
    first = Moment.of(shown.replace(year=year, month=months % 12 + 1, day=1, tzinfo=UTC))
    local = first.nanoseconds + (shown.day - 1 + days) * 86_400 * _SECOND + moment.nanoseconds % 1000
    wall = Moment(local, Zone("UTC", UTC)).civil()[0]
    return Moment(Moment.of(wall.replace(tzinfo=moment.zone.rules)).nanoseconds + moment.nanoseconds % 1000, moment.zone)


def _compare(first: Moment, second: Moment) -> int:
    return (first.nanoseconds > second.nanoseconds) - (first.nanoseconds < second.nanoseconds)


_TIME: Mapping[str, Method] = {
    "Year": _method(INT, lambda moment: moment.civil()[1]),
    "Month": _method(MONTH, lambda moment: Month(moment.civil()[0].month)),
    "Day": _method(INT, _field("day")),
    "Hour": _method(INT, _field("hour")),
    "Minute": _method(INT, _field("minute")),
    "Second": _method(INT, _field("second")),
    "Nanosecond": _method(INT, lambda moment: moment.nanoseconds % _SECOND),
    "YearDay": _method(INT, lambda moment: moment.civil()[0].timetuple().tm_yday),
    "Weekday": _method(WEEKDAY, lambda moment: Weekday(moment.civil()[0].isoweekday() % 7)),
    "Unix": _method(INT64, lambda moment: moment.nanoseconds // _SECOND),
    "UnixMilli": _method(INT64, lambda moment: moment.nanoseconds // 1_000_000),
    "UnixMicro": _method(INT64, lambda moment: moment.nanoseconds // 1000),
    "UnixNano": _method(INT64, lambda moment: wrap64(moment.nanoseconds)),
    "Format": _method(STRING, lambda moment, layout: moment.format(layout), STRING),
    "String": _method(STRING, str),
    "Add": _method(TIME, lambda moment, length: moment.shifted(length.nanoseconds), DURATION),
    "Sub": _method(DURATION, lambda moment, other: Duration(moment.nanoseconds - other.nanoseconds), TIME),
    "AddDate": _method(TIME, _add_date, INT, INT, INT),
    "After": _method(BOOL, lambda moment, other: _compare(moment, other) > 0, TIME),
    "Before": _method(BOOL, lambda moment, other: _compare(moment, other) < 0, TIME),
    "Equal": _method(BOOL, lambda moment, other: _compare(moment, other) == 0, TIME),
    "Compare": _method(INT, _compare, TIME),
    "IsZero": _method(BOOL, lambda moment: moment.nanoseconds == _ZERO_TIME),
    "UTC": _method(TIME, lambda moment: Moment(moment.nanoseconds, Zone("UTC", UTC))),
    "Local": _method(TIME, lambda moment: Moment(moment.nanoseconds, Zone("Local", UTC))),
    "In": _method(TIME, lambda moment, zone: Moment(moment.nanoseconds, zone), ZONE),
    "Location": _method(ZONE, lambda moment: moment.zone),
    "Truncate": _method(TIME, _truncated_time, DURATION),
    "Round": _method(TIME, _rounded_time, DURATION),
}
_DURATION: Mapping[str, Method] = {
    "Hours": _method(FLOAT, lambda length: length.nanoseconds / (3600 * _SECOND)),
    "Minutes": _method(FLOAT, lambda length: length.nanoseconds / (60 * _SECOND)),
    "Seconds": _method(FLOAT, lambda length: length.nanoseconds / _SECOND),
    "Milliseconds": _method(INT64, lambda length: int(length.nanoseconds / 1_000_000)),
    "Microseconds": _method(INT64, lambda length: _truncated(length.nanoseconds, 1000) // 1000),
    "Nanoseconds": _method(INT64, lambda length: length.nanoseconds),
    "Abs": _method(DURATION, lambda length: Duration(abs(length.nanoseconds))),
    "Round": _method(DURATION, lambda length, unit: Duration(_rounded(length.nanoseconds, unit.nanoseconds)), DURATION),
    "Truncate": _method(DURATION, lambda length, unit: Duration(_truncated(length.nanoseconds, unit.nanoseconds)), DURATION),
    "String": _method(STRING, str),
}
_NAMED: Mapping[str, Method] = {"String": _method(STRING, str)}

_BY_KIND: Mapping[str, Mapping[str, Method]] = {"time": _TIME, "duration": _DURATION, "zone": _NAMED, "month": _NAMED, "weekday": _NAMED}
_BY_TYPE: Mapping[str, Mapping[str, Method]] = {
    TIME.type: _TIME,
    DURATION.type: _DURATION,
    ZONE.type: _NAMED,
    MONTH.type: _NAMED,
    WEEKDAY.type: _NAMED,
}


def find_method(kind: str, name: object) -> Method | None:
    """The method of a value of that kind."""
    return _BY_KIND[kind].get(name) if kind in _BY_KIND and isinstance(name, str) else None


def method_nature(type_name: str, name: str) -> Nature | None:
    """The nature of a method of that Go type."""
    found = _BY_TYPE.get(type_name, {}).get(name)
    return found.nature if found is not None else None
