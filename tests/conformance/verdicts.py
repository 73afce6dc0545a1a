"""What comes of playing a case, and how a difference between what was expected and what came is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

Status = Literal["passed", "failed", "out_of_scope"]


@dataclass(frozen=True)
class Verdict:
    """How a case ended. ``level`` tells failures apart by what differed first; ``detail`` is for people; ``apart`` marks a kind counted apart."""

    status: Status
    detail: str = ""
    level: str = ""
    apart: str = ""


class Mismatch(Exception):
    """What came is not what was expected."""

    def __init__(self, expected: object, got: object, where: str = "", level: str = "") -> None:
        self.expected, self.got, self.where, self.level = expected, got, where, level
        super().__init__(where)

    def __str__(self) -> str:
        head = f"{self.where}\n" if self.where else ""
        return f"{head}expected: {shown(self.expected)}\n     got: {shown(self.got)}"


class OutOfScope(Exception):
    """A player found that what the case needs has no meaning here; the text is the reason."""


class PartMissing(Exception):
    """A module of the product that the case needs is not there."""


class HangError(BaseException):
    """The case took longer than it may. Not an Exception, so that nothing on the way swallows it."""


def differ(expected: object, got: object, where: str = "", level: str = "") -> NoReturn:
    """Raise the mismatch."""
    raise Mismatch(expected, got, where, level)


def shown(value: object) -> str:
    """A value in one line, as JSON where it is JSON."""
    if isinstance(value, str):
        return value if "\n" in value else repr(value)
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    except (TypeError, ValueError):
        return repr(value)


def first_lines(text: str, lines: int = 4, width: int = 300) -> str:
    """The beginning of ``text``, so that a scoreboard of many failures can be read."""
    kept = text.splitlines()[:lines]
    return "\n".join(line if len(line) <= width else line[:width] + " …" for line in kept)


def check_error(wanted: Any, error: BaseException | None, where: str = "") -> None:
    """Hold an error against ``error`` of a row: false or None (must not fail), true (any), a text, or ``{contains}``."""
    if wanted is None or wanted is False:
        if error is not None:
            differ("no error", f"{type(error).__name__}: {error}", where)
        return
    if error is None:
        differ({"error": wanted}, "no error", where)
    text = str(error)
    if isinstance(wanted, dict):
        parts = wanted.get("contains", [])
        parts = [parts] if isinstance(parts, str) else parts
        if not all(part in text for part in parts):
            differ({"error": wanted}, {"error": text}, where)
    elif isinstance(wanted, str) and wanted not in text:
        differ({"error": wanted}, {"error": text}, where)
