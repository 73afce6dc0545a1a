"""Sprig: maps. Unlike in Go, ``set``, ``unset`` and the merges give a new map and leave the given one alone: an expression changes nothing
outside of itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr.values import TextList, kind_of, type_name
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import MAX_DEPTH, Items, Map, bounded_items, is_empty, text_of


@sprig("dict")
def new_dict(*pairs: object) -> Map:
    made: Map = {}
    for index in range(0, len(pairs), 2):
        made[text_of(pairs[index])] = pairs[index + 1] if index + 1 < len(pairs) else ""
    return made


@sprig("get")
def get(members: Map, key: str) -> object:
    return members.get(key, "")


@sprig("set")
def set_member(members: Map, key: str, value: object) -> Map:
    return {**members, key: value}


@sprig("unset")
def unset(members: Map, key: str) -> Map:
    return {name: value for name, value in members.items() if name != key}


@sprig("hasKey")
def has_key(members: Map, key: str) -> bool:
    return key in members


@sprig("pluck")
def pluck(key: str, *maps: Map) -> Items:
    return [members[key] for members in maps if key in members]


@sprig("keys")
def keys(*maps: Map) -> object:
    return TextList(key for members in maps for key in members)


@sprig("values")
def values(members: Map) -> Items:
    return list(members.values())


@sprig("pick")
def pick(members: Map, *names: str) -> Map:
    return {name: members[name] for name in names if name in members}


@sprig("omit")
def omit(members: Map, *names: str) -> Map:
    return {name: value for name, value in members.items() if name not in names}


@sprig("dig")
def dig(*path: object) -> object:
    """``dig(name, ..., fallback, map)``: the member at the end of the names, or the fallback where one is missing."""
    if len(path) < 3:
        raise ExpressionError("dig needs at least three arguments")
    *names, fallback, value = path
    members = _asserted_map(value)
    for name in names:
        if not isinstance(name, str):
            raise ExpressionError(_conversion(name, "string"))
    for index, name in enumerate(names):
        if str(name) not in members:
            return fallback
        value = members[str(name)]
        if index < len(names) - 1:
            members = _asserted_map(value)
    return value


def _asserted_map(value: object) -> Map:
    if type_name(value) != "map[string]interface {}":
        raise ExpressionError(_conversion(value, "map[string]interface {}"))
    return cast("Map", value)


def _conversion(value: object, wanted: str) -> str:
    found = "interface {} is nil" if value is None else f"interface {{}} is {type_name(value)}"
    return f"interface conversion: {found}, not {wanted}"


# -- merging and copying ----------------------------------------------------------------------------------------------------------


@sprig("merge", "mustMerge")
def merge(target: Map, *sources: Map) -> Map:
    """Members of the sources where the target has none, or an empty one; maps within maps are merged."""
    for source in sources:
        target = _merged(target, source, overwrite=False, depth=0)
    return target


@sprig("mergeOverwrite", "mustMergeOverwrite")
def merge_overwrite(target: Map, *sources: Map) -> Map:
    """The same, but the sources win, the last one most."""
    for source in sources:
        target = _merged(target, source, overwrite=True, depth=0)
    return target


def _merged(target: Map, source: Map, *, overwrite: bool, depth: int) -> Map:
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"maps nested more than {MAX_DEPTH} deep")
    merged = dict(target)
    for name, value in source.items():
        present = merged.get(name)
        if value is None:
            if overwrite:
                merged[name] = None
        elif not is_empty(present) and isinstance(present, dict) and isinstance(value, dict):
            merged[name] = _merged(cast("Map", present), cast("Map", value), overwrite=overwrite, depth=depth + 1)
        elif overwrite or is_empty(present):
            merged[name] = value
    bounded_items(len(merged))
    return merged


@sprig("deepCopy", "mustDeepCopy")
def deep_copy(value: object) -> object:
    return _copied(value, 0)


def _copied(value: object, depth: int) -> object:
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"values nested more than {MAX_DEPTH} deep")
    if isinstance(value, Mapping):
        copy = type(value)()
        cast("Map", copy).update({name: _copied(member, depth + 1) for name, member in value.items()})
        return copy
    if kind_of(value) == "list":
        items = cast("Items", value)
        return type(items)(_copied(item, depth + 1) for item in items)
    return value
