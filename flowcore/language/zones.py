"""Time zones by name. Used by schedules, expressions and validation, which get the names from documents."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# What names of the IANA database look like. Others are not looked up at all: a name becomes a path, and parts of it names of modules.
_NAME = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,3}")


def load_zone(name: str) -> ZoneInfo | None:
    """The time zone called ``name``, or None if there is none."""
    if not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


__all__ = ["load_zone"]
