"""The builtins that are about lists and maps, and the operator ``..``. Part of ``builtins``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

from flowcore.language.expr.access import fetch, get
from flowcore.language.expr.limits import Budget, Panic
from flowcore.language.expr.operators import equal, to_int
from flowcore.language.expr.ordering import ordered
from flowcore.language.expr.texts import go_text
from flowcore.language.expr.values import (
    AnyMap,
    IntList,
    NilList,
    Pair,
    PairList,
    TextList,
    Uint8,
    kind_of,
    sorted_items,
    to_key,
    type_name,
)

_REFLECT_KINDS = {
    "nil": "invalid",
    "float": "float64",
    "bytes": "slice",
    "list": "slice",
    "duration": "int64",
    "time": "struct",
    "month": "int",
    "weekday": "int",
    "zone": "struct",
}


def reflect_kind(value: object) -> str:
    """Go's ``reflect.Kind`` of a value, for messages."""
    kind = kind_of(value)
    return "uint8" if type(value) is Uint8 else _REFLECT_KINDS.get(kind, kind)


def _items(verb: str, value: object) -> list[object]:
    kind = kind_of(value)
    if kind == "bytes":
        return [Uint8(item) for item in cast("bytes", value)]
    if kind != "list":
        raise Panic(f"cannot {verb} {reflect_kind(value)}")
    return cast("list[object]", value)


def _range(budget: Budget, low: object, high: object) -> object:
    first, last = to_int(low), to_int(high)
    budget.grow(max(last - first + 1, 0))
    return IntList(range(first, last + 1))


def _len(_: Budget, value: object) -> object:
    if kind_of(value) == "string":
        return len(cast("str", value))
    if kind_of(value) not in ("list", "map", "bytes"):
        raise Panic(f"invalid argument for len (type {type_name(value)})")
    return len(cast("list[object]", value))


def _edge(index: int) -> Callable[..., object]:
    def apply(_: Budget, items: object) -> object:
        try:
            return fetch(items, index)
        except Panic:
            return None

    return apply


def _get(_: Budget, base: object, key: object) -> object:
    return get(base, key)


def _take(budget: Budget, items: object, count: object) -> object:
    given = _items("take from", items)
    if kind_of(count) not in ("int", "month", "weekday", "duration") or type(count) is Uint8:
        raise Panic(f"cannot take {reflect_kind(count)} elements")
    most = to_int(count)
    if most < 0:
        raise Panic("reflect.Value.Slice: slice index out of bounds")
    budget.grow(min(most, len(given)))
    part = given[:most]
    return type(given)(part) if isinstance(given, (IntList, TextList)) else part


def _entries(verb: str, value: object) -> Iterator[tuple[object, object]]:
    if kind_of(value) != "map":
        raise Panic(f"cannot {verb.format(reflect_kind(value))}")
    return sorted_items(cast("Mapping[object, object]", value))


def _keys(budget: Budget, value: object) -> object:
    keys = [key for key, _ in _entries("get keys from {}", value)]
    budget.grow(len(keys))
    return keys


def _values(budget: Budget, value: object) -> object:
    values = [item for _, item in _entries("get values from {}", value)]
    budget.grow(len(values))
    return values


def _to_pairs(budget: Budget, value: object) -> object:
    pairs = PairList(Pair(entry) for entry in _entries("transform {} to pairs", value))
    budget.grow(len(pairs) * 3)
    return pairs


def _from_pairs(budget: Budget, value: object) -> object:
    if kind_of(value) != "list":
        raise Panic(f"cannot transform {go_text(value)} from pairs")
    pairs = cast("list[object]", value)
    budget.grow(len(pairs))
    result = AnyMap()
    for pair in pairs:
        if kind_of(pair) != "list":
            raise Panic(f"invalid pair {go_text(pair)}")
        if len(cast("list[object]", pair)) != 2:
            raise Panic(f"invalid pair length {go_text(pair)}")
        key, item = cast("list[object]", pair)
        result[to_key(key)] = item
    return result


def _reverse(budget: Budget, value: object) -> object:
    items = _items("reverse", value)
    budget.grow(len(items))
    return list(items[::-1])


def _uniq(budget: Budget, value: object) -> object:
    kept: list[object] = []
    simple: set[tuple[bool, object]] = set()
    for item in _items("uniq", value):
        if type(item) in (int, float, str):
            mark = (isinstance(item, str), item)
            if mark in simple or item != item:
                kept.extend([item] if item != item else [])
                continue
            simple.add(mark)
        elif any(equal(budget, item, other) for other in kept):
            continue
        budget.grow(1)
        kept.append(item)
    return kept


def _concat(budget: Budget, *lists: object) -> object:
    result: list[object] = []
    for items in lists:
        given = _items("concat", items)
        budget.grow(len(given))
        result.extend(given)
    return result or NilList()


def _flatten(budget: Budget, value: object) -> object:
    result: list[object] = []
    _pour(budget, _items("flatten", value), result, 0)
    return result


def _pour(budget: Budget, items: list[object], result: list[object], depth: int) -> None:
    if depth > 100:
        raise Panic("recursion depth exceeded")
    for item in items:
        if kind_of(item) in ("list", "bytes"):
            budget.spend(1)
            _pour(budget, _items("flatten", item), result, depth + 1)
        else:
            budget.grow(1)
            result.append(item)


def _sort(budget: Budget, value: object, order: object = "asc") -> object:
    if not isinstance(order, str):
        raise Panic(f"sort order argument must be a string (got {type_name(order)})")
    if order not in ("asc", "desc"):
        raise Panic(f"invalid order {order}, expected asc or desc")
    if kind_of(value) != "list" or isinstance(value, (Pair, PairList, NilList)):
        return NilList()
    items = cast("list[object]", value)
    return ordered(budget, [(item, item) for item in items], descending=order == "desc")


LISTS: Mapping[str, Callable[..., object]] = {
    "range": _range,
    "len": _len,
    "first": _edge(0),
    "last": _edge(-1),
    "get": _get,
    "take": _take,
    "keys": _keys,
    "values": _values,
    "toPairs": _to_pairs,
    "fromPairs": _from_pairs,
    "reverse": _reverse,
    "uniq": _uniq,
    "concat": _concat,
    "flatten": _flatten,
    "sort": _sort,
}
