"""Times, durations and zones with Go's range and exactness: nanoseconds, and the year 0. Used by ``values``, ``operators``, ``dates``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from flowcore.language.expr.limits import Panic
from flowcore.language.go_layouts import layout_chunks
from flowcore.language.go_time import DEFAULT_TEXT, ParsedTime, format_time
from flowcore.language.zones import load_zone

_SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ERA: Final = 146_097 * 86_400
_MONTHS: Final = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
_WEEKDAYS: Final = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


def wrap64(number: int) -> int:
    """A number as a Go int64 holds it after an overflow."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


class Month(int):
    """``time.Month``, from 1."""

    def __str__(self) -> str:
        return _MONTHS[self - 1]


class Weekday(int):
    """``time.Weekday``, Sunday is 0."""

    def __str__(self) -> str:
        return _WEEKDAYS[self]


class Zone:
    """``*time.Location``: a zone with the name it was asked for by."""

    __slots__ = ("name", "rules")

    def __init__(self, name: str, rules: tzinfo) -> None:
        self.name, self.rules = name, rules

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def load(name: str) -> Zone:
        """A zone of the IANA database; raises Panic with Go's text for others."""
        if name in ("", "UTC"):
            return Zone("UTC", UTC)
        if name == "Local":
            return Zone("Local", UTC)
        if ".." in name or name[0] in "/\\" or "\\" in name:
            raise Panic("time: invalid location name")
        rules = load_zone(name)
        if rules is None:
            raise Panic(f"unknown time zone {name}")
        return Zone(name, rules)


class Duration:
    """A length of time in whole nanoseconds."""

    __slots__ = ("nanoseconds",)

    def __init__(self, nanoseconds: int) -> None:
        self.nanoseconds = nanoseconds

    @staticmethod
    def of(value: timedelta) -> Duration:
        """The same length as a timedelta."""
        return Duration(((value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds) * 1000)

    def to_timedelta(self) -> timedelta:
        """As a timedelta; what is finer than microseconds is cut off."""
        whole = abs(self.nanoseconds) // 1000
        return timedelta(microseconds=whole if self.nanoseconds >= 0 else -whole)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Duration) and self.nanoseconds == other.nanoseconds

    def __hash__(self) -> int:
        return hash(self.nanoseconds)

    def __str__(self) -> str:
        return duration_text(self.nanoseconds)


def duration_text(nanoseconds: int) -> str:
    """A duration as Go prints it: ``1h30m0s``, ``1.5ms``, ``0s``."""
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < _SECOND:
        for unit, size in (("ns", 1), ("µs", 1000), ("ms", 1_000_000)):
            if rest < size * 1000:
                return f"{sign}{_decimal(rest, size)}{unit}" if rest else "0s"
    seconds = _decimal(rest % (60 * _SECOND), _SECOND)
    minutes, hours = rest // (60 * _SECOND) % 60, rest // (3600 * _SECOND)
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}s"
    return f"{sign}{minutes}m{seconds}s" if minutes else f"{sign}{seconds}s"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


class Moment:
    """An instant in nanoseconds since 1970, and the zone it is shown in."""

    __slots__ = ("nanoseconds", "zone")

    def __init__(self, nanoseconds: int, zone: Zone) -> None:
        self.nanoseconds, self.zone = nanoseconds, zone

    @staticmethod
    def of(value: datetime) -> Moment:
        """The same instant as a datetime; one without zone counts as UTC."""
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        since = value - _EPOCH
        name = "UTC" if value.tzinfo is UTC else str(getattr(value.tzinfo, "key", "") or "")
        return Moment(Duration.of(since).nanoseconds, Zone(name, value.tzinfo or UTC))

    @staticmethod
    def parsed(found: ParsedTime, zone: Zone) -> Moment:
        """The instant that was read from a text; ``zone`` counts where the text names none."""
        if found.zone is None and 1 <= found.year <= 9999:
            local = found.to_datetime(zone.rules)
            return Moment(Moment.of(local).nanoseconds + found.nanosecond % 1000, zone)
        own = zone if found.zone is None else Zone("UTC" if found.zone is UTC else "", found.zone)
        return Moment(found.unix_seconds() * _SECOND + found.nanosecond, own)

    def to_datetime(self) -> object:
        """As a datetime (microseconds), or the moment itself where Python's years do not reach."""
        try:
            utc = _EPOCH + timedelta(microseconds=self.nanoseconds // 1000)
            return utc.astimezone(self.zone.rules)
        except (OverflowError, ValueError):
            return self

    def isoformat(self) -> str:
        """RFC 3339, for moments that leave as they are because no datetime can hold them."""
        return self.format("2006-01-02T15:04:05.999999999Z07:00")

    def civil(self) -> tuple[datetime, int]:
        """A datetime that shows the same calendar fields except the year, and the true year."""
        seconds, eras = self.nanoseconds // _SECOND, 0
        while seconds < -62_000_000_000:
            seconds, eras = seconds + _ERA, eras - 1
        while seconds > 253_000_000_000:
            seconds, eras = seconds - _ERA, eras + 1
        shown = (_EPOCH + timedelta(seconds=seconds, microseconds=self.nanoseconds % _SECOND // 1000)).astimezone(self.zone.rules)
        return shown, shown.year + 400 * eras

    def format(self, layout: str) -> str:
        """The text by a Go layout."""
        shown, year = self.civil()
        if shown.year == year:
            return format_time(shown, layout)
        years = {"2006": f"{year:04d}" if year >= 0 else f"-{-year:04d}", "06": f"{abs(year) % 100:02d}"}
        return "".join(
            years.get(chunk.kind) or (chunk.text if chunk.kind == "literal" else format_time(shown, chunk.text))
            for chunk in layout_chunks(layout)
        )

    def shifted(self, nanoseconds: int) -> Moment:
        """A moment later by that much."""
        return Moment(self.nanoseconds + nanoseconds, self.zone)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moment) and self.nanoseconds == other.nanoseconds

    def __hash__(self) -> int:
        return hash(self.nanoseconds)

    def __str__(self) -> str:
        return self.format(DEFAULT_TEXT)
