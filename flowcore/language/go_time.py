"""Times as Go writes them: reading and printing by reference layouts, and Go's default text of a time.

Called by ``govaluate`` (quoted dates), the sprig date functions and everything else that takes a Go layout.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

from flowcore.errors import ExpressionError
from flowcore.language.go_layouts import MONTHS, WEEKDAYS, Chunk, is_fraction, is_offset, layout_chunks
from flowcore.language.quantities import quoted

RFC3339 = "2006-01-02T15:04:05Z07:00"
ANSIC = "Mon Jan _2 15:04:05 2006"
UNIX_DATE = "Mon Jan _2 15:04:05 MST 2006"
RUBY_DATE = "Mon Jan 02 15:04:05 -0700 2006"
KITCHEN = "3:04PM"
DEFAULT_TEXT = "2006-01-02 15:04:05.999999999 -0700 MST"

_UNNAMED_ZONE = re.compile(r"UTC[+-]\d\d:\d\d(:\d\d)?$")
_ABBREVIATION = re.compile(r"UTC|GMT[+-]\d{1,2}|ChST|MeST|GMT|[+-]\d\d(?:\d\d)?|WITA|[A-Z]{3}ST|[A-Z]{4}T|[A-Z]{3}T|[A-Z]{3}(?![A-Z])")
_LIMIT = 10_000


class LayoutMismatch(ExpressionError):
    """A text is not a time in the given layout; the message is Go's."""


@dataclass(slots=True)
class ParsedTime:
    """The fields read from a text. Unlike a datetime it can hold the year 0, which Go gives to texts without a date."""

    year: int = 0
    month: int = -1
    day: int = -1
    year_day: int = -1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanosecond: int = 0
    afternoon: bool | None = None
    zone: tzinfo | None = None
    zone_name: str = ""
    problem: str = field(default="", repr=False)

    def unix_seconds(self) -> int:
        """Whole seconds since 1970-01-01T00:00:00Z; a time without zone counts as UTC."""
        days = _days_before(self.year, self.month, self.day) - 719_162
        seconds = days * 86_400 + self.hour * 3600 + self.minute * 60 + self.second
        return seconds - int(self._offset().total_seconds())

    def to_datetime(self, default_zone: tzinfo = UTC) -> datetime:
        """The same as an aware datetime (microseconds); raises ExpressionError for years that Python cannot hold."""
        if not 1 <= self.year <= 9999:
            raise ExpressionError(f"the year {self.year} is outside 1 to 9999")
        zone = self.zone or default_zone
        return datetime(self.year, self.month, self.day, self.hour, self.minute, self.second, self.nanosecond // 1000, tzinfo=zone)

    def text(self, layout: str) -> str:
        """The time printed by a layout."""
        if 1 <= self.year <= 9999:
            return format_time(self.to_datetime(), layout)
        twin = ParsedTime(4, self.month, self.day, -1, self.hour, self.minute, self.second, self.nanosecond, zone=self.zone)
        return format_time(twin.to_datetime(), layout.replace("2006", "0000"))

    def _offset(self) -> timedelta:
        if self.zone is None or not 1 <= self.year <= 9999:
            return timedelta()
        return self.to_datetime().utcoffset() or timedelta()


def parse_time(text: str, layout: str) -> ParsedTime:
    """Read ``text`` by a Go layout; raises LayoutMismatch with Go's wording when it does not fit."""
    if len(text) > _LIMIT or len(layout) > _LIMIT:
        raise LayoutMismatch(f"a time of more than {_LIMIT} characters", source=text[:100])
    found = ParsedTime()
    chunks = layout_chunks(layout)
    rest = text
    for index, chunk in enumerate(chunks):
        following = chunks[index + 1].kind if index + 1 < len(chunks) else ""
        taken = _take(rest, chunk, following, found)
        if found.problem:
            raise _mismatch(text, layout, message=f": {found.problem} out of range")
        if taken is None:
            raise _mismatch(text, layout, rest=rest, element=chunk.text)
        rest = taken
    if rest:
        raise _mismatch(text, layout, message=f": extra text: {quoted(rest)}")
    return _settle(found, text, layout)


def try_parse_time(text: str, layout: str) -> ParsedTime | None:
    """Like ``parse_time``, None instead of an error."""
    try:
        return parse_time(text, layout)
    except LayoutMismatch:
        return None


def format_time(moment: datetime, layout: str) -> str:
    """Print a time by a Go layout; a time without zone counts as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return "".join(chunk.text if chunk.kind == "literal" else _element_text(moment, chunk.kind) for chunk in layout_chunks(layout))


def time_text(moment: datetime) -> str:
    """Go's default text of a time, as in ``2024-01-02 03:04:05 +0000 UTC``."""
    return format_time(moment, DEFAULT_TEXT)


def zone_abbreviation(moment: datetime) -> str:
    """The name of the zone in force, or its offset as in ``+0200`` where it has none."""
    name = moment.tzname() or ""
    return _offset_text(moment, "-0700") if not name or _UNNAMED_ZONE.match(name) else name


def fixed_zone(seconds: int, name: str = "") -> tzinfo:
    """A zone with a constant offset in seconds east of UTC; offset 0 without a name is UTC."""
    if not seconds and not name:
        return UTC
    return timezone(timedelta(seconds=seconds), name) if name else timezone(timedelta(seconds=seconds))


# -- printing ---------------------------------------------------------------------------------------------------------------------


def _element_text(moment: datetime, kind: str) -> str:
    if is_fraction(kind):
        return _fraction_text(moment, kind)
    if is_offset(kind):
        return _offset_text(moment, kind)
    if kind == "MST":
        return zone_abbreviation(moment)
    return _field_text(moment, kind)


def _field_text(moment: datetime, kind: str) -> str:
    half_day = moment.hour % 12 or 12
    year_day = moment.timetuple().tm_yday
    fields: dict[str, str] = {
        "2006": f"{moment.year:04d}",
        "06": f"{moment.year % 100:02d}",
        "January": MONTHS[moment.month - 1],
        "Jan": MONTHS[moment.month - 1][:3],
        "01": f"{moment.month:02d}",
        "1": str(moment.month),
        "Monday": WEEKDAYS[moment.weekday()],
        "Mon": WEEKDAYS[moment.weekday()][:3],
        "02": f"{moment.day:02d}",
        "_2": f"{moment.day:2d}",
        "2": str(moment.day),
        "002": f"{year_day:03d}",
        "__2": f"{year_day:3d}",
        "15": f"{moment.hour:02d}",
        "03": f"{half_day:02d}",
        "3": str(half_day),
        "04": f"{moment.minute:02d}",
        "4": str(moment.minute),
        "05": f"{moment.second:02d}",
        "5": str(moment.second),
        "PM": "PM" if moment.hour >= 12 else "AM",
        "pm": "pm" if moment.hour >= 12 else "am",
    }
    return fields[kind]


def _fraction_text(moment: datetime, kind: str) -> str:
    digits = f"{moment.microsecond:06d}000"[: len(kind) - 1].ljust(len(kind) - 1, "0")
    if kind[1] == "0":
        return kind[0] + digits
    digits = digits.rstrip("0")
    return kind[0] + digits if digits else ""


def _offset_text(moment: datetime, kind: str) -> str:
    seconds = int((moment.utcoffset() or timedelta()).total_seconds())
    if kind[0] == "Z" and not seconds:
        return "Z"
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    parts = [f"{seconds // 3600:02d}", f"{seconds // 60 % 60:02d}", f"{seconds % 60:02d}"]
    shown = parts[: {3: 1, 5: 2, 6: 2, 7: 3, 9: 3}[len(kind)]]
    return sign + (":" if ":" in kind else "").join(shown)


# -- reading ----------------------------------------------------------------------------------------------------------------------


def _take(rest: str, chunk: Chunk, following: str, found: ParsedTime) -> str | None:
    """What is left of ``rest`` after one element, or None when it does not fit."""
    kind = chunk.kind
    if kind == "literal":
        return _take_literal(rest, chunk.text)
    if is_fraction(kind):
        return _take_fraction(rest, kind, found)
    if is_offset(kind):
        return _take_offset(rest, kind, found)
    if kind in ("January", "Jan", "Monday", "Mon", "PM", "pm", "MST"):
        return _take_word(rest, kind, found)
    rest_after = _take_number(rest, kind, found)
    if kind in ("5", "05") and rest_after is not None and not is_fraction(following):
        return _take_unasked_fraction(rest_after, found)
    return rest_after


def _take_literal(rest: str, text: str) -> str | None:
    while text:
        if text[0] == " ":
            if rest and rest[0] != " ":
                return None
            text, rest = text.lstrip(" "), rest.lstrip(" ")
            continue
        if not rest or rest[0] != text[0]:
            return None
        text, rest = text[1:], rest[1:]
    return rest


# kind: (field, fewest digits, most digits, lowest, highest); one digit is enough where the layout's element is not padded
_NUMBERS: dict[str, tuple[str, int, int, int, int]] = {
    "2006": ("year", 4, 4, 0, 9999),
    "06": ("year", 2, 2, 0, 99),
    "1": ("month", 1, 2, 1, 12),
    "01": ("month", 2, 2, 1, 12),
    "2": ("day", 1, 2, 0, 99),
    "_2": ("day", 1, 2, 0, 99),
    "02": ("day", 2, 2, 0, 99),
    "__2": ("year_day", 1, 3, 0, 999),
    "002": ("year_day", 3, 3, 0, 999),
    "15": ("hour", 1, 2, 0, 23),
    "3": ("hour", 1, 2, 0, 12),
    "03": ("hour", 2, 2, 0, 12),
    "4": ("minute", 1, 2, 0, 59),
    "04": ("minute", 2, 2, 0, 59),
    "5": ("second", 1, 2, 0, 59),
    "05": ("second", 2, 2, 0, 59),
}


def _take_number(rest: str, kind: str, found: ParsedTime) -> str | None:
    name, fewest, most, lowest, highest = _NUMBERS[kind]
    if kind[0] == "_":
        rest = rest.removeprefix(" ")
        rest = rest.removeprefix(" ") if kind == "__2" else rest
    match = re.match(rf"[0-9]{{{fewest},{most}}}", rest)
    if match is None:
        return None
    number = int(match.group())
    if not lowest <= number <= highest:
        found.problem = name
    if kind == "06":
        number += 1900 if number >= 69 else 2000
    setattr(found, name, number)
    return rest[match.end() :]


def _take_word(rest: str, kind: str, found: ParsedTime) -> str | None:
    if kind == "MST":
        return _take_abbreviation(rest, found)
    if kind in ("PM", "pm"):
        words = ("PM", "AM") if kind == "PM" else ("pm", "am")
        if rest[:2] not in words:
            return None
        found.afternoon = rest[:2] == words[0]
        return rest[2:]
    names = MONTHS if kind in ("January", "Jan") else WEEKDAYS
    for index, name in enumerate(names):
        word = name if len(kind) > 3 else name[:3]
        if rest[: len(word)].lower() == word.lower():
            if names is MONTHS:
                found.month = index + 1
            return rest[len(word) :]
    return None


def _take_abbreviation(rest: str, found: ParsedTime) -> str | None:
    match = _ABBREVIATION.match(rest)
    if match is None:
        return None
    if match.group() == "UTC":
        found.zone = UTC
    else:
        found.zone_name = match.group()
    return rest[match.end() :]


def _take_fraction(rest: str, kind: str, found: ParsedTime) -> str | None:
    if kind[1] == "9":
        return _take_unasked_fraction(rest, found)
    match = re.match(rf"[.,][0-9]{{{len(kind) - 1}}}", rest)
    if match is None:
        return None
    found.nanosecond = int(match.group()[1:10].ljust(9, "0"))
    return rest[match.end() :]


def _take_unasked_fraction(rest: str, found: ParsedTime) -> str:
    match = re.match(r"[.,]([0-9]+)", rest)
    if match is None:
        return rest
    found.nanosecond = int(match.group(1)[:9].ljust(9, "0"))
    return rest[match.end() :]


_OFFSETS = {
    3: re.compile(r"([+-])(\d\d)()()", re.ASCII),
    5: re.compile(r"([+-])(\d\d)(\d\d)()", re.ASCII),
    6: re.compile(r"([+-])(\d\d):(\d\d)()", re.ASCII),
    7: re.compile(r"([+-])(\d\d)(\d\d)(\d\d)", re.ASCII),
    9: re.compile(r"([+-])(\d\d):(\d\d):(\d\d)", re.ASCII),
}


def _take_offset(rest: str, kind: str, found: ParsedTime) -> str | None:
    if kind[0] == "Z" and len(kind) <= 6 and rest[:1] == "Z":
        found.zone = UTC
        return rest[1:]
    match = _OFFSETS[len(kind)].match(rest)
    if match is None:
        return None
    sign, hours, minutes, seconds = match.groups()
    total = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    if int(hours) > 23 or int(minutes or 0) > 59 or int(seconds or 0) > 59:
        found.problem = "time zone offset"
        return rest
    found.zone = fixed_zone(-total if sign == "-" else total)
    return rest[match.end() :]


def _settle(found: ParsedTime, text: str, layout: str) -> ParsedTime:
    """Fill in what the text did not say, and check the day against its month."""
    if found.afternoon is not None:
        found.hour = found.hour % 12 + (12 if found.afternoon else 0) if found.hour <= 12 else found.hour
    if found.year_day >= 0:
        _settle_year_day(found, text, layout)
    found.month = 1 if found.month < 0 else found.month
    found.day = 1 if found.day < 0 else found.day
    if not 1 <= found.day <= _days_in(found.year, found.month):
        raise _mismatch(text, layout, message=": day out of range")
    if found.zone is None and found.zone_name:
        found.zone = _named_zone(found.zone_name)
    return found


def _settle_year_day(found: ParsedTime, text: str, layout: str) -> None:
    if not 1 <= found.year_day <= (366 if _leap(found.year) else 365):
        raise _mismatch(text, layout, message=": day-of-year out of range")
    month, day = 1, found.year_day
    while day > _days_in(found.year, month):
        day -= _days_in(found.year, month)
        month += 1
    if found.month not in (-1, month):
        raise _mismatch(text, layout, message=": day-of-year does not match month")
    if found.day not in (-1, day):
        raise _mismatch(text, layout, message=": day-of-year does not match day")
    found.month, found.day = month, day


def _named_zone(name: str) -> tzinfo:
    """An abbreviation says an offset only in the form GMT+3; any other keeps its name with offset 0, as in Go."""
    match = re.fullmatch(r"GMT([+-]\d{1,2})", name)
    return fixed_zone(int(match.group(1)) * 3600 if match else 0, name)


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_in(year: int, month: int) -> int:
    return 29 if month == 2 and _leap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _days_before(year: int, month: int, day: int) -> int:
    """Days from 0001-01-01 to the day; the year 0 is a leap year before it."""
    if year >= 1:
        return date(year, month, day).toordinal() - 1
    return date(4, month, day).toordinal() - date(4, 1, 1).toordinal() - 366


def _mismatch(text: str, layout: str, *, rest: str = "", element: str = "", message: str = "") -> LayoutMismatch:
    if message:
        return LayoutMismatch(f"parsing time {quoted(text)}{message}", source=text)
    return LayoutMismatch(f"parsing time {quoted(text)} as {quoted(layout)}: cannot parse {quoted(rest)} as {quoted(element)}", source=text)
