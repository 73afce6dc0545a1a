"""The type of plain JSON data, as workflow documents and node inputs hold it."""

from __future__ import annotations

from typing import TypeAlias

Json: TypeAlias = "None | bool | int | float | str | list[Json] | dict[str, Json]"
JsonObject: TypeAlias = "dict[str, Json]"

__all__ = ["Json", "JsonObject"]
