"""Cron schedules as robfig/cron v3 reads them, with time zones. Called by CronWorkflows and by validation.

Five fields (minute, hour, day of month, month, day of week), or a descriptor such as ``@daily`` or ``@every 1h30m``; ``CRON_TZ=zone`` may stand
before either. Times that a change of clocks leaves out do not happen, those that it repeats happen twice where the hour is not fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.go_numbers import parse_int
from flowcore.language.quantities import parse_nanoseconds
from flowcore.language.zones import load_zone

MAX_TEXT = 1_000
_YEARS_AHEAD = 5
_LAST_YEAR = 9990
_MONTHS = {
    name: number for number, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}


@dataclass(frozen=True, slots=True)
class Field:
    """The values at which one field fires; ``star`` when it was written as any value."""

    values: frozenset[int]
    star: bool = False


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: int
    high: int
    names: dict[str, int] | None = None


_SECONDS, _MINUTES, _HOURS = _Bounds(0, 59), _Bounds(0, 59), _Bounds(0, 23)
_MONTH_DAYS, _MONTH_NUMBERS, _WEEK_DAYS = _Bounds(1, 31), _Bounds(1, 12, _MONTHS), _Bounds(0, 6, _DAYS)
_FIELDS = (_SECONDS, _MINUTES, _HOURS, _MONTH_DAYS, _MONTH_NUMBERS, _WEEK_DAYS)

_DESCRIPTORS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A schedule that fires after a fixed time, whatever the clock says."""

    seconds: int

    def next_after(self, moment: datetime) -> datetime | None:
        """The next time after ``moment``, on the full second; None behind the last year that there is."""
        try:
            return moment.replace(microsecond=0) + timedelta(seconds=self.seconds)
        except OverflowError:
            return None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule by the clock. Without ``zone`` that of the asking moment counts."""

    second: Field
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    zone: tzinfo | None = None

    def next_after(self, moment: datetime) -> datetime | None:
        """The next time after ``moment`` (aware), in its zone; None when there is none within five years."""
        zone = self.zone or moment.tzinfo or UTC
        begin = int(moment.replace(microsecond=0).timestamp()) + 1
        found = _Search(self, _Clock(zone), begin).run()
        return None if found is None else datetime.fromtimestamp(found, UTC).astimezone(moment.tzinfo)

    def day_matches(self, shown: datetime) -> bool:
        """Days of the month and of the week must both fit if either is any, else one of them is enough."""
        by_date = shown.day in self.day.values
        by_weekday = shown.isoweekday() % 7 in self.weekday.values
        return (by_date and by_weekday) if self.day.star or self.weekday.star else (by_date or by_weekday)


# -- reading ----------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def parse_schedule(text: str, timezone: str = "", *, seconds: bool = False) -> Schedule | Interval:
    """Read a schedule; raises ExpressionError(stage="compile") with the Go library's message.

    ``timezone`` is a name of the IANA database. With ``seconds`` a field for seconds stands first and the day of week may be left out.
    """
    if len(text) > MAX_TEXT:
        raise LimitExceeded(f"a schedule of more than {MAX_TEXT} characters", source=text[:200], stage="compile")
    try:
        zone = _load_zone(timezone) if timezone else None
        return _parse(text, zone, seconds=seconds)
    except _Unreadable as fault:
        raise ExpressionError(str(fault), source=text, stage="compile") from None


class _Unreadable(Exception):
    """What is wrong with a schedule."""


def _load_zone(name: str) -> tzinfo:
    if name in ("", "UTC", "Local"):
        return UTC
    zone = load_zone(name)
    if zone is None:
        raise _Unreadable(f"provided bad location {name}: unknown time zone {name}")
    return zone


def _parse(text: str, zone: tzinfo | None, *, seconds: bool) -> Schedule | Interval:
    if not text:
        raise _Unreadable("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        prefix, space, text = text.partition(" ")
        if not space:
            raise _Unreadable("a time zone without a schedule behind it")
        zone, text = _load_zone(prefix.partition("=")[2]), text.strip()
    if text.startswith("@"):
        return _parse_descriptor(text, zone)
    fields = text.split()
    least, most = (5, 6) if seconds else (5, 5)
    if not least <= len(fields) <= most:
        expected = f"{least} to {most}" if seconds else f"exactly {least}"
        raise _Unreadable(f"expected {expected} fields, found {len(fields)}: [{' '.join(fields)}]")
    return _schedule([*fields, "*"][:6] if seconds else ["0", *fields], zone)


def _schedule(fields: list[str], zone: tzinfo | None) -> Schedule:
    second, minute, hour, day, month, weekday = (_parse_field(field, bounds) for field, bounds in zip(fields, _FIELDS, strict=True))
    return Schedule(second, minute, hour, day, month, weekday, zone)


def _parse_descriptor(text: str, zone: tzinfo | None) -> Schedule | Interval:
    if text in _DESCRIPTORS:
        return _schedule(_DESCRIPTORS[text].split(), zone)
    if not text.startswith("@every "):
        raise _Unreadable(f"unrecognized descriptor: {text}")
    try:
        nanoseconds = parse_nanoseconds(text.removeprefix("@every "))
    except ExpressionError as error:
        raise _Unreadable(f"failed to parse duration {text}: {error.message}") from None
    return Interval(max(nanoseconds // 1_000_000_000, 1))


def _parse_field(text: str, bounds: _Bounds) -> Field:
    parts = [_parse_range(part, bounds) for part in text.split(",") if part]
    return Field(frozenset().union(*(part.values for part in parts)), star=any(part.star for part in parts))


def _parse_range(text: str, bounds: _Bounds) -> Field:
    span, *steps = text.split("/")
    low_text, *high_texts = span.split("-")
    star = low_text in ("*", "?")
    if star:
        low, high = bounds.low, bounds.high
    else:
        low = _number(low_text, bounds)
        if len(high_texts) > 1:
            raise _Unreadable(f"too many hyphens: {text}")
        high = _number(high_texts[0], bounds) if high_texts else low
    if len(steps) > 1:
        raise _Unreadable(f"too many slashes: {text}")
    step = _number(steps[0], None) if steps else 1
    if steps and not high_texts:
        high = bounds.high
    _check_range(low, high, step, bounds, text)
    return Field(frozenset(range(low, high + 1, step)), star=star and step == 1)


def _check_range(low: int, high: int, step: int, bounds: _Bounds, text: str) -> None:
    if low < bounds.low:
        raise _Unreadable(f"beginning of range ({low}) below minimum ({bounds.low}): {text}")
    if high > bounds.high:
        raise _Unreadable(f"end of range ({high}) above maximum ({bounds.high}): {text}")
    if low > high:
        raise _Unreadable(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if not step:
        raise _Unreadable(f"step of range should be a positive number: {text}")


def _number(text: str, bounds: _Bounds | None) -> int:
    if bounds is not None and bounds.names and text.lower() in bounds.names:
        return bounds.names[text.lower()]
    number = parse_int(text)
    if number is None:
        reason = "value out of range" if text.lstrip("+-").isdecimal() and text.isascii() else "invalid syntax"
        raise _Unreadable(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": {reason}')
    if number < 0:
        raise _Unreadable(f"negative number ({number}) not allowed: {text}")
    return number


# -- searching --------------------------------------------------------------------------------------------------------------------


class _Clock:
    """What the clocks of a zone show at an instant (seconds since 1970), and back."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def shown(self, instant: int) -> datetime:
        """The reading of the clock."""
        return datetime.fromtimestamp(instant, UTC).astimezone(self._zone)

    def instant(self, reading: datetime) -> int:
        """The instant of a reading, which may be one that does not exist: then, as in Go, by the offset in force about that time."""
        local = int(reading.replace(tzinfo=UTC).timestamp())
        offset = self._offset(local)
        return local - self._offset(local - offset) if offset else local

    def _offset(self, instant: int) -> int:
        return int((self.shown(instant).utcoffset() or timedelta()).total_seconds())


class _Search:
    """Goes forward field by field, the largest first, until all of them match; a wrap-around begins again with the month."""

    def __init__(self, schedule: Schedule, clock: _Clock, instant: int) -> None:
        self._schedule, self._clock, self._instant = schedule, clock, instant
        self._moved = False

    def run(self) -> int | None:
        last_year = min(self._shown().year + _YEARS_AHEAD, _LAST_YEAR)
        while self._shown().year <= last_year:
            if self._to_month() and self._to_day() and self._to_hour() and self._to_minute() and self._to_second():
                return self._instant
        return None

    def _shown(self) -> datetime:
        return self._clock.shown(self._instant)

    # Each step moves on to the next value that fits and tells whether it got there without a wrap-around.

    def _to_month(self) -> bool:
        while (shown := self._shown()).month not in self._schedule.month.values:
            if not self._moved:
                shown = shown.replace(day=1, hour=0, minute=0, second=0)
            self._moved = True
            following = (shown.replace(day=1) + timedelta(days=32)).replace(day=1) + timedelta(days=shown.day - 1)
            self._instant = self._clock.instant(following)
            if self._shown().month == 1:
                return False
        return True

    def _to_day(self) -> bool:
        while not self._schedule.day_matches(shown := self._shown()):
            if not self._moved:
                self._moved = True
                self._instant = self._clock.instant(shown.replace(hour=0, minute=0, second=0))
                shown = self._shown()
            self._instant = self._clock.instant(shown + timedelta(days=1))
            self._to_midnight()
            if self._shown().day == 1:
                return False
        return True

    def _to_midnight(self) -> None:
        """Where the clocks skip midnight, the day begins an hour off."""
        hour = self._shown().hour
        if hour:
            self._instant += 3600 * (24 - hour if hour > 12 else -hour)

    def _to_hour(self) -> bool:
        while (shown := self._shown()).hour not in self._schedule.hour.values:
            if not self._moved:
                self._moved = True
                self._instant = self._clock.instant(shown.replace(minute=0, second=0))
            self._instant += 3600
            if not self._shown().hour:
                return False
        return True

    def _to_minute(self) -> bool:
        while self._shown().minute not in self._schedule.minute.values:
            if not self._moved:
                self._moved = True
                self._instant -= self._instant % 60
            self._instant += 60
            if not self._shown().minute:
                return False
        return True

    def _to_second(self) -> bool:
        while self._shown().second not in self._schedule.second.values:
            self._moved = True
            self._instant += 1
            if not self._shown().second:
                return False
        return True
