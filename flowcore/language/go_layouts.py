"""The chunks of a Go time layout such as ``2006-01-02T15:04:05Z07:00``; ``go_time`` reads and prints times by them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Chunk(NamedTuple):
    """One element of a layout: ``kind`` is the reference text (``2006``, ``Jan``, ``.000``), or ``literal``."""

    kind: str
    text: str


# Longer elements stand before their prefixes. An abbreviated name directly followed by a lower-case letter is plain text.
_ELEMENT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|2|__2|_2(?!006)|3|4|5|PM|pm"
    r"|[-Z]070000|[-Z]07:00:00|[-Z]0700|[-Z]07:00|[-Z]07|[.,](?:0+|9+)(?!\d)"
)


@lru_cache(maxsize=512)
def layout_chunks(layout: str) -> tuple[Chunk, ...]:
    """Split a layout into its elements and the plain text between them."""
    chunks: list[Chunk] = []
    position = 0
    for match in _ELEMENT.finditer(layout):
        if match.start() > position:
            chunks.append(Chunk("literal", layout[position : match.start()]))
        chunks.append(Chunk(match.group(), match.group()))
        position = match.end()
    if position < len(layout):
        chunks.append(Chunk("literal", layout[position:]))
    return tuple(chunks)


def is_fraction(kind: str) -> bool:
    """Whether the element is a fraction of a second (``.000`` prints zeros, ``.999`` drops them)."""
    return len(kind) > 1 and kind[0] in ".," and kind[1] in "09"


def is_offset(kind: str) -> bool:
    """Whether the element is a numeric zone offset, with or without ``Z`` for UTC."""
    return len(kind) > 2 and kind[0] in "-Z" and kind[1:3] == "07"
