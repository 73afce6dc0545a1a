"""Reading, setting and deleting by paths, which are lists of keys. Called by the built-in functions and the assignments."""

from __future__ import annotations

from flowcore.errors import LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.jq.encoding import MAX_DEPTH
from flowcore.language.jq.failures import (
    JqFailure,
    expected_array,
    expected_object,
    not_applicable,
    not_applicable_because,
    shown,
)
from flowcore.language.jq.meter import occupy, spend
from flowcore.language.jq.numbers import is_number, to_int
from flowcore.language.jq.values import MAX_ITEMS, index, slice_bounds, slice_positions

# Stands where something is to be deleted, so that positions do not move while there is more to delete. Known by identity alone.
_GAP: dict[str, Json] = {}


class Owner:
    """Knows the lists and objects that one assignment made itself and may therefore change in place."""

    def __init__(self) -> None:
        self._made: dict[int, list[Json] | dict[str, Json]] = {}

    def list_of(self, items: list[Json]) -> list[Json]:
        """The list itself if it is ours, else a copy that is."""
        if id(items) not in self._made:
            items = list(items)
            occupy(items)
            self._made[id(items)] = items
        return items

    def object_of(self, members: dict[str, Json]) -> dict[str, Json]:
        """The object itself if it is ours, else a copy that is."""
        if id(members) not in self._made:
            members = dict(members)
            occupy(members)
            self._made[id(members)] = members
        return members


def get_path(value: Json, path: Json) -> Json:
    """``getpath``: what is at the end of a path, null where it breaks off."""
    if not isinstance(path, list):
        raise not_applicable("getpath", value, path)
    found = value
    spend(len(path))
    for key in path:
        if found is not None and not isinstance(found, (list, dict)):
            raise not_applicable("getpath", value, path)
        try:
            found = index(found, key)
        except JqFailure as failure:
            raise not_applicable_because("getpath", value, failure, path) from None
    return found


def set_path(value: Json, path: Json, new: Json, owner: Owner | None = None) -> Json:
    """``setpath``: the value with something else at the end of a path."""
    if not isinstance(path, list):
        raise not_applicable("setpath", value, path)
    try:
        return _updated(value, path, 0, new, owner or Owner())
    except JqFailure as failure:
        raise not_applicable_because("setpath", value, failure, path, new) from None


def delete_paths(value: Json, paths: Json, owner: Owner | None = None) -> Json:
    """``delpaths``: the value without what is at the ends of the paths."""
    if not isinstance(paths, list):
        raise not_applicable("delpaths", value, paths)
    if not paths:
        return value
    owner = owner or Owner()
    found = value
    for path in paths:
        try:
            if not isinstance(path, list):
                raise expected_array(path)
            found = _updated(found, path, 0, _GAP, owner)
        except JqFailure as failure:
            raise not_applicable_because("delpaths", value, failure, paths) from None
    return _without_gaps(found, 0)


def _updated(value: Json, path: list[Json], at: int, new: Json, owner: Owner) -> Json:
    if at > MAX_DEPTH:
        raise LimitExceeded(f"a jq path of more than {MAX_DEPTH} keys")
    if at == len(path):
        return new
    key = path[at]
    if value is _GAP and (isinstance(key, (str, dict)) or is_number(key)):
        return value
    if isinstance(key, str):
        return _updated_member(value, path, at, new, owner)
    if is_number(key):
        return _updated_item(value, path, at, new, owner)
    if isinstance(key, dict):
        return _updated_slice(value, path, at, new, owner)
    if isinstance(value, list):
        raise JqFailure(f"expected a number for indexing an array but got: {shown(key)}")
    raise JqFailure(f"expected a string for object key but got: {shown(key)}")


def _updated_member(value: Json, path: list[Json], at: int, new: Json, owner: Owner) -> Json:
    key = path[at]
    assert isinstance(key, str)
    if value is not None and not isinstance(value, dict):
        raise expected_object(value)
    if new is _GAP and (value is None or key not in value):
        return value
    member = _updated(None if value is None else value.get(key), path, at + 1, new, owner)
    members = owner.object_of(value or {})
    members[key] = member
    return members


def _updated_item(value: Json, path: list[Json], at: int, new: Json, owner: Owner) -> Json:
    key = path[at]
    assert isinstance(key, (int, float))
    if value is not None and not isinstance(value, list):
        raise expected_array(value)
    items = value or []
    asked = to_int(key)
    position = asked + len(items) if asked < 0 else asked
    if new is _GAP and not 0 <= position < len(items):
        return value
    if position < 0:
        raise JqFailure(f"array index should not be negative: {asked}")
    if position >= 0x20000000:
        raise JqFailure(f"array index too large: {position}")
    if position >= MAX_ITEMS:
        raise LimitExceeded(f"a jq program makes a list of more than {MAX_ITEMS} items")
    item = _updated(items[position] if position < len(items) else None, path, at + 1, new, owner)
    items = owner.list_of(items)
    items.extend([None] * (position + 1 - len(items)))
    items[position] = item
    return items


def _updated_slice(value: Json, path: list[Json], at: int, new: Json, owner: Owner) -> Json:
    key = path[at]
    assert isinstance(key, dict)
    if value is not None and not isinstance(value, list):
        raise expected_array(value)
    begin, end = slice_bounds(key)
    items = value or []
    first, last = slice_positions(items, begin, end)
    if first == last and new is _GAP:
        return value
    part = _updated(items[first:last], path, at + 1, new, owner)
    if part is not _GAP and not isinstance(part, list):
        raise expected_array(part)
    items = owner.list_of(items)
    spend(len(items) >> 8)
    items[first:last] = [_GAP] * (last - first) if part is _GAP else part
    return items


def _without_gaps(value: Json, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"a jq value nested more than {MAX_DEPTH} deep")
    if value is _GAP:
        return None
    if isinstance(value, (list, dict)):
        spend(len(value))
        occupy(value)
    if isinstance(value, list):
        return [_without_gaps(item, depth + 1) for item in value if item is not _GAP]
    if isinstance(value, dict):
        return {key: _without_gaps(member, depth + 1) for key, member in value.items() if member is not _GAP}
    return value
