"""Sprig: dates. Layouts are Go's; the local zone is UTC. Whole numbers are seconds since 1970; anything else that is no time means now."""

from __future__ import annotations

from flowcore.errors import ExpressionError
from flowcore.language import sources
from flowcore.language.expr.limits import Panic
from flowcore.language.expr.times import Moment, Zone, duration_text, wrap64
from flowcore.language.expr.values import exact
from flowcore.language.go_numbers import parse_int
from flowcore.language.go_time import LayoutMismatch, parse_time
from flowcore.language.quantities import parse_nanoseconds
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import Int64, bounded_text

_SECOND = 1_000_000_000
_UNITS = (("y", 365 * 86_400), ("mo", 30 * 86_400), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
_ZERO_TIME = Moment(-62_135_596_800 * _SECOND, Zone.load("UTC"))
_DAY = "2006-01-02"


def _now() -> Moment:
    return Moment.of(sources.now())


def _moment(value: object) -> Moment:
    value = exact(value)
    if isinstance(value, Moment):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Moment(wrap64(int(value)) * _SECOND, Zone.load("UTC"))
    return _now()


def _in_zone(layout: str, value: object, zone: str) -> str:
    try:
        found = Zone.load(zone)
    except Panic:
        found = Zone.load("UTC")
    bounded_text(len(layout) * 10)
    return Moment(_moment(value).nanoseconds, found).format(layout)


@sprig("now")
def now() -> object:
    return _now()


@sprig("date")
def date(layout: str, value: object) -> str:
    return _in_zone(layout, value, "Local")


@sprig("dateInZone", "date_in_zone")
def date_in_zone(layout: str, value: object, zone: str) -> str:
    return _in_zone(layout, value, zone)


@sprig("htmlDate")
def html_date(value: object) -> str:
    return _in_zone(_DAY, value, "Local")


@sprig("htmlDateInZone")
def html_date_in_zone(value: object, zone: str) -> str:
    return _in_zone(_DAY, value, zone)


@sprig("mustDateModify", "must_date_modify")
def must_date_modify(duration: str, moment: Moment) -> object:
    later = exact(moment)
    assert isinstance(later, Moment)
    return later.shifted(parse_nanoseconds(duration))


@sprig("dateModify", "date_modify")
def date_modify(duration: str, moment: Moment) -> object:
    try:
        return must_date_modify(duration, moment)
    except ExpressionError:
        return moment


@sprig("mustToDate")
def must_to_date(layout: str, text: str) -> object:
    return Moment.parsed(parse_time(text, layout), Zone.load("UTC"))


@sprig("toDate")
def to_date(layout: str, text: str) -> object:
    try:
        return must_to_date(layout, text)
    except LayoutMismatch:
        return _ZERO_TIME


@sprig("unixEpoch")
def unix_epoch(moment: Moment) -> str:
    found = exact(moment)
    assert isinstance(found, Moment)
    return str(found.nanoseconds // _SECOND)


@sprig("ago")
def ago(value: object) -> str:
    """The time since then, to the second; int32 and texts mean now."""
    passed = _now().nanoseconds - _moment(value).nanoseconds
    seconds = (abs(passed) + _SECOND // 2) // _SECOND
    return duration_text((-seconds if passed < 0 else seconds) * _SECOND)


@sprig("duration")
def duration(seconds: object) -> str:
    """Seconds, as text or int64, as a duration; an int counts as 0."""
    if isinstance(seconds, str):
        return duration_text(wrap64((parse_int(seconds) or 0) * _SECOND))
    return duration_text(wrap64(int(seconds) * _SECOND) if isinstance(seconds, Int64) else 0)


@sprig("durationRound")
def duration_round(value: object) -> str:
    """A duration (text or int64 nanoseconds), or the time since a moment, in its largest unit."""
    value = exact(value)
    nanoseconds = 0
    if isinstance(value, str):
        nanoseconds = _nanoseconds(value)
    elif isinstance(value, Int64):
        nanoseconds = int(value)
    elif isinstance(value, Moment):
        nanoseconds = _now().nanoseconds - value.nanoseconds
    for unit, seconds in _UNITS:
        if abs(nanoseconds) > seconds * _SECOND:
            return f"{abs(nanoseconds) // (seconds * _SECOND)}{unit}"
    return "0s"


def _nanoseconds(text: str) -> int:
    try:
        return parse_nanoseconds(text)
    except ExpressionError:
        return 0
