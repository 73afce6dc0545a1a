"""Plain JSON data, as workflow documents and node inputs hold it: its type, and readers that promise a type.

The readers take a missing or wrongly typed member for an absent one: documents were checked when they were loaded.
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"
_HALVES = re.compile("[\ud800-\udfff]")


def text_of(holder: JsonObject, key: str) -> str:
    """The string member ``key``, or an empty string."""
    value = holder.get(key)
    return value if isinstance(value, str) else ""


def object_of(holder: JsonObject, key: str) -> JsonObject:
    """The object member ``key``, or an empty object (a new one)."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def objects_of(holder: JsonObject, key: str) -> list[JsonObject]:
    """The objects in the list member ``key``, or an empty list (a new one)."""
    value = holder.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def strings_of(holder: JsonObject, key: str) -> list[str]:
    """The strings in the list member ``key``, or an empty list (a new one)."""
    value = holder.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def named(holder: JsonObject, key: str, name: str) -> JsonObject | None:
    """The object called ``name`` in the list member ``key``."""
    value = holder.get(key)
    if isinstance(value, list):
        for item in value:
            if isinstance(item, dict) and item.get("name") == name:
                return item
    return None


def compact(value: Json) -> str:
    """``value`` as JSON text without blanks, as Go prints a map: keys sorted, and ``<``, ``>`` and ``&`` escaped."""
    return json_text(value, sort_keys=True)


def json_text(value: Json, *, sort_keys: bool = False) -> str:
    """``value`` as JSON text without blanks, as Go prints it: ``<``, ``>`` and ``&`` are escaped."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=sort_keys)
    if "<" in text or ">" in text or "&" in text or "\u2028" in text or "\u2029" in text:
        for char, escape in _GO_ESCAPES:
            text = text.replace(char, escape)
    return text


_GO_ESCAPES = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))


def whole_text(text: str) -> str:
    """``text`` with U+FFFD for each half of a surrogate pair, which stands for no character and fits in no file; Go reads them so too."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


__all__ = ["Json", "JsonObject", "compact", "json_text", "named", "object_of", "objects_of", "strings_of", "text_of", "whole_text"]
