"""Printing and reading times by strftime formats, always in English. Called by ``times``."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from flowcore.errors import ExpressionError
from flowcore.language.go_layouts import MONTHS, WEEKDAYS
from flowcore.language.jq.meter import spend
from flowcore.language.quantities import quoted

_COMPOUND = {
    "D": "%m/%d/%y", "F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "r": "%I:%M:%S %p", "c": "%a %b %e %H:%M:%S %Y",
    "x": "%m/%d/%y", "X": "%H:%M:%S", "h": "%b", "v": "%e-%b-%Y", "+": "%a %b %e %H:%M:%S %Z %Y",
}  # fmt: skip
_DIRECTIVE = re.compile(r"%([-_0^#]*)([0-9]*)([:]{0,2}.)", re.DOTALL)


def _half_day(moment: datetime) -> int:
    return moment.hour % 12 or 12


def _week(moment: datetime, first: int) -> int:
    """The week of the year by its first weekday (0 is Sunday)."""
    weekday = (moment.isoweekday() - first) % 7
    return (moment.timetuple().tm_yday + 6 - weekday) // 7


# letter: (number, width, padding)
_NUMBERS: dict[str, tuple[Callable[[datetime], int], int, str]] = {
    "Y": (lambda moment: moment.year, 4, "0"),
    "C": (lambda moment: moment.year // 100, 2, "0"),
    "y": (lambda moment: moment.year % 100, 2, "0"),
    "m": (lambda moment: moment.month, 2, "0"),
    "d": (lambda moment: moment.day, 2, "0"),
    "e": (lambda moment: moment.day, 2, " "),
    "H": (lambda moment: moment.hour, 2, "0"),
    "k": (lambda moment: moment.hour, 2, " "),
    "I": (_half_day, 2, "0"),
    "l": (_half_day, 2, " "),
    "M": (lambda moment: moment.minute, 2, "0"),
    "S": (lambda moment: moment.second, 2, "0"),
    "j": (lambda moment: moment.timetuple().tm_yday, 3, "0"),
    "u": (lambda moment: moment.isoweekday(), 1, "0"),
    "w": (lambda moment: moment.isoweekday() % 7, 1, "0"),
    "U": (lambda moment: _week(moment, 0), 2, "0"),
    "W": (lambda moment: _week(moment, 1), 2, "0"),
    "G": (lambda moment: moment.isocalendar().year, 4, "0"),
    "g": (lambda moment: moment.isocalendar().year % 100, 2, "0"),
    "V": (lambda moment: moment.isocalendar().week, 2, "0"),
    "s": (lambda moment: int(moment.timestamp()), 1, "0"),
    "f": (lambda moment: moment.microsecond, 6, "0"),
    "L": (lambda moment: moment.microsecond // 1000, 3, "0"),
}
_WORDS: dict[str, Callable[[datetime], str]] = {
    "A": lambda moment: WEEKDAYS[moment.weekday()],
    "a": lambda moment: WEEKDAYS[moment.weekday()][:3],
    "B": lambda moment: MONTHS[moment.month - 1],
    "b": lambda moment: MONTHS[moment.month - 1][:3],
    "p": lambda moment: "AM" if moment.hour < 12 else "PM",
    "P": lambda moment: "am" if moment.hour < 12 else "pm",
    "Z": lambda _moment: "UTC",
    "z": lambda _moment: "+0000",
    ":z": lambda _moment: "+00:00",
    "::z": lambda _moment: "+00:00:00",
    "n": lambda _moment: "\n",
    "t": lambda _moment: "\t",
    "%": lambda _moment: "%",
}


def format_moment(moment: datetime, layout: str, depth: int = 0) -> str:
    """The text of a time; directives that mean nothing stay as they are."""
    spend(4 * len(layout))

    def shown(match: re.Match[str]) -> str:
        flags, width, letter = match.groups()
        if letter in _COMPOUND and not depth:
            return format_moment(moment, _COMPOUND[letter], 1)
        text = _directive(moment, letter, flags, int(width[:3]) if width else 0)
        return match.group() if text is None else text

    return _DIRECTIVE.sub(shown, layout[:10_000])


def _directive(moment: datetime, letter: str, flags: str, width: int) -> str | None:
    if letter in _NUMBERS:
        number, usual, padding = _NUMBERS[letter]
        padding = " " if "_" in flags else "0" if "0" in flags else padding
        text = str(number(moment))
        return text if "-" in flags else text.rjust(width or usual, padding)
    if letter not in _WORDS:
        return None
    text = _WORDS[letter](moment).rjust(width)
    return text.upper() if "^" in flags else text.swapcase() if "#" in flags else text


# -- reading ----------------------------------------------------------------------------------------------------------------------

_READ: dict[str, tuple[str, str]] = {
    "Y": ("year", r"[0-9]{1,4}"), "m": ("month", r"[0-9]{1,2}"), "d": ("day", r"[0-9]{1,2}"), "e": ("day", r"[ ]?[0-9]{1,2}"),
    "H": ("hour", r"[0-9]{1,2}"), "k": ("hour", r"[ ]?[0-9]{1,2}"), "I": ("half", r"[0-9]{1,2}"), "l": ("half", r"[ ]?[0-9]{1,2}"),
    "M": ("minute", r"[0-9]{1,2}"), "S": ("second", r"[0-9]{1,2}"), "y": ("short_year", r"[0-9]{1,2}"), "j": ("yday", r"[0-9]{1,3}"),
    "s": ("epoch", r"-?[0-9]{1,12}"), "f": ("fraction", r"[0-9]{1,9}"), "p": ("noon", r"[AaPp][Mm]"), "P": ("noon", r"[AaPp][Mm]"),
    "B": ("name", "|".join([*MONTHS, *(month[:3] for month in MONTHS)])), "z": ("offset", r"Z|[+-][0-9]{2}:?[0-9]{2}(?::?[0-9]{2})?"),
    "Z": ("zone", r"[A-Z]{1,5}"), "A": ("weekday", "|".join([*WEEKDAYS, *(day[:3] for day in WEEKDAYS)])), "u": ("weekday", r"[1-7]"),
    "w": ("weekday", r"[0-6]"), "n": ("space", r"\s+"), "t": ("space", r"\s+"), "%": ("sign", "%"),
}  # fmt: skip
_READ["b"] = _READ["h"] = _READ["B"]
_READ["a"] = _READ["A"]


def parse_moment(text: str, layout: str) -> datetime:
    """The time that a text means by a format; raises ExpressionError when it does not fit."""
    if len(text) > 1000 or len(layout) > 1000:
        raise ExpressionError("a time of more than 1000 characters")
    found = _read_fields(text, layout)
    try:
        return _assembled(found)
    except (ValueError, OverflowError):
        raise ExpressionError(f"failed to parse {quoted(text)} with {quoted(layout)}: out of range") from None


def _read_fields(text: str, layout: str) -> dict[str, str]:
    for letter, meaning in _COMPOUND.items():
        layout = layout.replace(f"%{letter}", meaning) if letter not in _READ else layout
    found: dict[str, str] = {}
    position = at = 0
    while at < len(layout):
        directive = _DIRECTIVE.match(layout, at)
        if directive is not None and directive.group(3).lstrip(":") in _READ:
            name, pattern = _READ[directive.group(3).lstrip(":")]
            wanted = f"cannot parse {quoted(directive.group())}"
            match = re.compile(pattern, re.IGNORECASE if name in ("name", "weekday") else 0).match(text, position)
            at = directive.end()
        else:
            name, match = "literal", re.compile(re.escape(layout[at])).match(text, position)
            wanted = f"expected {quoted(layout[at])}"
            at += 1
        if match is None:
            raise ExpressionError(f"failed to parse {quoted(text)} with {quoted(layout)}: {wanted}")
        found[name] = match.group().strip()
        position = match.end()
    if position < len(text):
        raise ExpressionError(f"failed to parse {quoted(text)} with {quoted(layout)}: unparsed string {quoted(text[position:])}")
    return found


def _assembled(found: dict[str, str]) -> datetime:
    if "epoch" in found:
        return datetime.fromtimestamp(int(found["epoch"]), UTC)
    year = int(found.get("year", 1900))
    if "short_year" in found:
        year = int(found["short_year"]) + (1900 if int(found["short_year"]) >= 69 else 2000)
    month = int(found.get("month", 1))
    if "name" in found:
        month = next(number for number, name in enumerate(MONTHS, 1) if name[:3].lower() == found["name"][:3].lower())
    moment = datetime(year, month, int(found.get("day", 1)), _hour(found), int(found.get("minute", 0)), tzinfo=UTC)
    seconds = int(found.get("second", 0))
    if seconds > 60:
        raise ValueError(seconds)
    moment += timedelta(seconds=seconds, microseconds=int(found.get("fraction", "0")[:6].ljust(6, "0")))
    if "yday" in found:
        moment = moment.replace(month=1, day=1) + timedelta(days=int(found["yday"]) - 1)
    return moment.replace(tzinfo=_offset(found.get("offset", "Z"))).astimezone(UTC)


def _hour(found: dict[str, str]) -> int:
    if "half" not in found:
        return int(found.get("hour", 0))
    afternoon = found.get("noon", "am").lower() == "pm"
    return int(found["half"]) % 12 + (12 if afternoon else 0)


def _offset(text: str) -> timezone:
    if text == "Z":
        return UTC
    digits = text[1:].replace(":", "").ljust(6, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:6]))
    return timezone(-offset if text[0] == "-" else offset)
