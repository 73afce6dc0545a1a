"""Sprig: lists. Functions give new lists; the ones they are given stay as they were."""

from __future__ import annotations

import math

from flowcore.errors import ExpressionError
from flowcore.language.expr.values import TextList, kind_of
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import (
    Items,
    ListOfLists,
    as_items,
    bounded_items,
    bounded_text,
    identity,
    is_empty,
    kind_name,
    text_of,
    to_int,
)


@sprig("list", "tuple")
def new_list(*items: object) -> Items:
    return list(items)


@sprig("append", "push", "mustAppend", "mustPush")
def push(items: object, item: object) -> Items:
    return [*as_items(items, "Cannot push on type"), item]


@sprig("prepend", "mustPrepend")
def prepend(items: object, item: object) -> Items:
    return [item, *as_items(items, "Cannot prepend on type")]


@sprig("first", "mustFirst")
def first(items: object) -> object:
    found = as_items(items, "Cannot find first on type")
    return found[0] if found else None


@sprig("last", "mustLast")
def last(items: object) -> object:
    found = as_items(items, "Cannot find last on type")
    return found[-1] if found else None


@sprig("rest", "mustRest")
def rest(items: object) -> Items:
    return list(as_items(items, "Cannot find rest on type")[1:])


@sprig("initial", "mustInitial")
def initial(items: object) -> Items:
    return list(as_items(items, "Cannot find initial on type")[:-1])


@sprig("reverse", "mustReverse")
def reverse(items: object) -> Items:
    return list(reversed(as_items(items, "Cannot find reverse on type")))


@sprig("compact", "mustCompact")
def compact(items: object) -> Items:
    return [item for item in as_items(items, "Cannot compact on type") if not is_empty(item)]


@sprig("uniq", "mustUniq")
def uniq(items: object) -> Items:
    seen = _Seen([])
    return [item for item in as_items(items, "Cannot find uniq on type") if seen.add(item)]


@sprig("without", "mustWithout")
def without(items: object, *omitted: object) -> Items:
    unwanted = _Seen(list(omitted))
    return [item for item in as_items(items, "Cannot find without on type") if item not in unwanted]


@sprig("has", "mustHas")
def has(item: object, items: object) -> bool:
    return items is not None and item in _Seen(as_items(items, "Cannot find has on type"))


class _Seen:
    """Values by deep equality."""

    def __init__(self, items: Items) -> None:
        self._keys = {identity(item) for item in items}

    def add(self, item: object) -> bool:
        """Take a value in; whether it is new."""
        before = len(self._keys)
        self._keys.add(identity(item))
        return len(self._keys) > before

    def __contains__(self, item: object) -> bool:
        return identity(item) in self._keys


@sprig("slice", "mustSlice")
def slice_items(items: object, *bounds: object) -> object:
    found = as_items(items, "list should be type of slice or array but")
    if not found:
        return None
    begin = to_int(bounds[0]) if bounds else 0
    end = to_int(bounds[1]) if len(bounds) > 1 else len(found)
    if not 0 <= begin <= end <= len(found):
        raise ExpressionError("reflect.Value.Slice: slice index out of bounds")
    return type(found)(found[begin:end])


@sprig("chunk", "mustChunk")
def chunk(size: int, items: object) -> object:
    found = as_items(items, "Cannot chunk type")
    if not size or (size < 0 and (len(found) - 1) // size + 1 < 0):
        raise ExpressionError("runtime error: makeslice: len out of range")
    count = math.floor((len(found) - 1) / size) + 1
    return ListOfLists(list(found[index * size : (index + 1) * size]) for index in range(count))


@sprig("concat")
def concat(*lists: object) -> Items:
    joined: Items = []
    for items in lists:
        joined.extend(_concatenated(items))
        bounded_items(len(joined))
    return joined


def _concatenated(items: object) -> Items:
    if items is not None and kind_of(items) not in ("list", "bytes"):
        raise ExpressionError(f"Cannot concat type {kind_name(items)} as list")
    return as_items(items, "")


# -- lists of texts ---------------------------------------------------------------------------------------------------------------


def texts_of(value: object) -> TextList:
    """The items as texts without missing ones; a single value counts as a list of one."""
    if value is None:
        return TextList()
    if kind_of(value) == "list" or isinstance(value, bytes):
        return TextList(text_of(item) for item in as_items(value, "") if item is not None)
    return TextList([text_of(value)])


@sprig("toStrings")
def to_strings(value: object) -> object:
    return texts_of(value)


@sprig("join")
def join(separator: str, value: object) -> str:
    texts = [str(text) for text in texts_of(value)]
    bounded_text(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


@sprig("sortAlpha")
def sort_alpha(value: object) -> object:
    return TextList(sorted(map(str, texts_of(value)))) if value is not None else TextList(["<nil>"])
