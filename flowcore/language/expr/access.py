"""Members, indices and slices of values. Called by ``evaluator`` and by the builtins that look into lists and maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from flowcore.language.expr.limits import Panic
from flowcore.language.expr.methods import BoundMethod, find_method
from flowcore.language.expr.operators import map_key, to_int
from flowcore.language.expr.texts import go_text
from flowcore.language.expr.values import Groups, IntList, NilList, TextList, Uint8, kind_of, type_name


def fetch(base: object, key: object) -> object:
    """``base[key]``: a missing key of a map is nil, an index beyond a list an error, and nil has no members."""
    if type(base) is dict and type(key) is str:
        return base.get(key)
    kind = kind_of(base)
    if kind == "map":
        return _entry(cast("Mapping[object, object]", base), key)
    if kind == "list":
        return _at(cast("list[object]", base), key)
    if kind in ("string", "bytes"):
        return Uint8(cast("int", _at(_bytes(base), key)))
    found = find_method(kind, key)
    if found is None:
        raise Panic(f"cannot fetch {go_text(key)} from {type_name(base)}")
    return BoundMethod(base, found)


def _entry(holder: Mapping[object, object], key: object) -> object:
    """A missing group is a list that was never made."""
    found = holder.get(map_key(holder, key))
    return NilList() if found is None and isinstance(holder, Groups) else found


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else cast("str", value).encode("utf-8", "surrogateescape")


def _at(items: list[object] | bytes, key: object) -> object:
    index, length = to_int(key), len(items)
    if index < 0:
        index += length
    if not 0 <= index < length:
        raise Panic(f"index out of range: {index} (array length is {length})")
    return items[index]


def get(base: object, key: object) -> object:
    """Like ``fetch``, with nil for what is not there."""
    kind = kind_of(base)
    if kind in ("list", "string", "bytes"):
        items = cast("list[object]", base) if kind == "list" else _bytes(base)
        index = to_int(key)
        index += len(items) if index < 0 else 0
        if not 0 <= index < len(items):
            return None
        return items[index] if kind == "list" else Uint8(cast("int", items[index]))
    if kind == "map":
        return _entry(cast("Mapping[object, object]", base), key)
    found = find_method(kind, key)
    return None if found is None else BoundMethod(base, found)


def length(value: object) -> int:
    """How many elements or bytes there are, for the open end of a slice."""
    kind = kind_of(value)
    if kind in ("list", "map", "bytes"):
        return len(cast("list[object]", value))
    if kind == "string":
        return len(_bytes(value))
    raise Panic(f"invalid argument for len (type {type_name(value)})")


def cut(base: object, low: object, high: object) -> object:
    """``base[low:high]``: bounds count from the end when negative, and are moved to where there is something."""
    kind = kind_of(base)
    if kind not in ("list", "string", "bytes"):
        raise Panic(f"cannot slice {go_text(low)}")
    items = base if kind == "list" else _bytes(base)
    size = len(cast("bytes", items))
    start, end = (max(bound + size, 0) if bound < 0 else bound for bound in (to_int(low), to_int(high)))
    end = min(end, size)
    part = cast("bytes", items)[min(start, end) : end]
    if kind == "string":
        return part.decode("utf-8", "surrogateescape")
    return type(base)(part) if isinstance(base, (IntList, TextList)) else part
