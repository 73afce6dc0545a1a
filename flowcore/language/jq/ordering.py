"""jq: smallest, largest, sorted, grouped and unique items. Part of ``natives``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key

from flowcore.jsontypes import Json
from flowcore.language.jq.failures import not_applicable, not_applicable_because
from flowcore.language.jq.meter import spend
from flowcore.language.jq.values import compare


def _compared(left: Json, right: Json) -> int:
    spend(1)
    return compare(left, right)


_order = cmp_to_key(_compared)


def _paired(name: str, value: Json, keys: Json) -> list[tuple[Json, Json]]:
    """Items with what they are compared by."""
    given = [keys] if name.endswith("_by") else []
    if not isinstance(value, list) or not isinstance(keys, list):
        raise not_applicable(name, value, *given)
    if len(value) != len(keys):
        raise not_applicable_because(name, value, "length mismatch", keys)
    return list(zip(keys, value, strict=True))


def _sorted(name: str, value: Json, keys: Json) -> list[tuple[Json, Json]]:
    return sorted(_paired(name, value, keys), key=lambda pair: _order(pair[0]))


def _extreme(name: str, value: Json, keys: Json, sign: int) -> Json:
    """The first of the smallest items, or the last of the largest."""
    pairs = _paired(name, value, keys)
    if not pairs:
        return None
    best = pairs[0]
    for pair in pairs[1:]:
        result = _compared(best[0], pair[0])
        if (result > 0) if sign < 0 else (result <= 0):
            best = pair
    return best[1]


def _groups(name: str, value: Json, keys: Json) -> list[list[Json]]:
    groups: list[list[Json]] = []
    last: Json = None
    for key, item in _sorted(name, value, keys):
        if groups and compare(last, key) == 0:
            groups[-1].append(item)
        else:
            groups.append([item])
            last = key
    return groups


ORDERING: dict[tuple[str, int], Callable[..., Json]] = {
    ("min", 0): lambda value: _extreme("min", value, value, -1),
    ("max", 0): lambda value: _extreme("max", value, value, 1),
    ("_min_by", 1): lambda value, keys: _extreme("min_by", value, keys, -1),
    ("_max_by", 1): lambda value, keys: _extreme("max_by", value, keys, 1),
    ("sort", 0): lambda value: [item for _, item in _sorted("sort", value, value)],
    ("_sort_by", 1): lambda value, keys: [item for _, item in _sorted("sort_by", value, keys)],
    ("_group_by", 1): lambda value, keys: list(_groups("group_by", value, keys)),
    ("unique", 0): lambda value: [group[0] for group in _groups("unique", value, value)],
    ("_unique_by", 1): lambda value, keys: [group[0] for group in _groups("unique_by", value, keys)],
}
"""The functions by name and number of arguments."""
