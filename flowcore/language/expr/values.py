"""Values as Go would hold them, and their texts. Used by every room that computes.

Plain Python values stand for Go's where they can: None, bool, int (int64), float (float64), str, bytes, list (``[]interface {}``), dict
(``map[string]interface {}``). The classes here are what has no such twin; ``plain`` turns them back before a result leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from flowcore.errors import LimitExceeded
from flowcore.language.expr.limits import Panic
from flowcore.language.expr.times import Duration, Moment, Month, Weekday, Zone


class IntList(list[object]):
    """``[]int``: what a range gives."""


class TextList(list[object]):
    """``[]string``: what ``split`` gives."""


class NilList(list[object]):
    """A list that was never made: empty, and nil to ``??``, ``?.`` and ``==``."""


class Pair(list[object]):
    """``[2]interface {}``: a key and its value."""


class PairList(list[object]):
    """``[][2]interface {}``: what ``toPairs`` gives."""


class AnyMap(dict[object, object]):
    """``map[interface {}]interface {}``; keys that Python takes for equal and Go does not are kept apart by ``Key``."""


class Groups(AnyMap):
    """``map[interface {}][]interface {}``: what ``groupBy`` gives."""


class Uint8(int):
    """A byte, as indexing a string or bytes gives."""


class Key:
    """A map key that is neither a string nor an int."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and type(self.value) is type(other.value) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


def is_nil(value: object) -> bool:
    """Whether Go would call the value nil."""
    return value is None or type(value) is NilList


def to_key(value: object) -> object:
    """How an AnyMap holds a key; raises Panic for what Go cannot hash."""
    if type(value) in (str, int):
        return value
    value = exact(value)
    if kind_of(value) in ("list", "map", "bytes", "func"):
        raise Panic(f"hash of unhashable type: {type_name(value)}")
    return Key(value)


def from_key(key: object) -> object:
    """The value that ``to_key`` was given."""
    return key.value if isinstance(key, Key) else key


def exact(value: object) -> object:
    """A time or duration of the caller's in our own exact form; anything else as it is."""
    if isinstance(value, datetime):
        return Moment.of(value)
    if isinstance(value, timedelta):
        return Duration.of(value)
    return value


def has_any_keys(holder: Mapping[object, object]) -> bool:
    """Whether a plain map of the caller's has keys other than strings; the first one tells."""
    return bool(holder) and not isinstance(next(iter(holder)), str)


# -- kinds and Go's names of types ---------------------------------------------------------------------------------------------------

_KINDS: Final[dict[type, str]] = {
    type(None): "nil", bool: "bool", int: "int", Uint8: "int", float: "float", str: "string", bytes: "bytes",
    **dict.fromkeys((list, IntList, TextList, NilList, Pair, PairList, tuple), "list"),
    **dict.fromkeys((dict, AnyMap, Groups), "map"),
    **dict.fromkeys((Moment, datetime), "time"), **dict.fromkeys((Duration, timedelta), "duration"),
    Month: "month", Weekday: "weekday", Zone: "zone",
}  # fmt: skip

_TYPE_NAMES: Final[dict[type, str]] = {
    type(None): "<nil>", bool: "bool", int: "int", Uint8: "uint8", float: "float64", str: "string", bytes: "[]uint8",
    IntList: "[]int", TextList: "[]string", Pair: "[2]interface {}", PairList: "[][2]interface {}",
    AnyMap: "map[interface {}]interface {}", Groups: "map[interface {}][]interface {}",
    Month: "time.Month", Weekday: "time.Weekday", Zone: "*time.Location",
}  # fmt: skip

_TYPE_OF_KIND: Final = {
    "list": "[]interface {}", "map": "map[string]interface {}", "time": "time.Time", "duration": "time.Duration",
    "bool": "bool", "int": "int", "float": "float64", "string": "string", "bytes": "[]uint8", "func": "func(...interface {}) interface {}",
}  # fmt: skip


def kind_of(value: object) -> str:
    """The family of a value: nil bool int float string bytes list map time duration month weekday zone func other."""
    kind = _KINDS.get(type(value))
    return kind if kind is not None else _kind_of_subclass(value)


_BASES: Final[tuple[tuple[type, str], ...]] = (
    *((str, "string"), (bool, "bool"), (int, "int"), (float, "float"), (bytes, "bytes")),
    *((Mapping, "map"), (Sequence, "list"), (datetime, "time"), (timedelta, "duration")),
)


def _kind_of_subclass(value: object) -> str:
    for base, kind in _BASES:
        if isinstance(value, base):
            return kind
    return "func" if callable(value) else "other"


def type_name(value: object) -> str:
    """The type as Go's ``%T`` prints it."""
    name = _TYPE_NAMES.get(type(value))
    if name is not None:
        return name
    name = getattr(value, "go_type", None)
    return name if isinstance(name, str) else _TYPE_OF_KIND.get(kind_of(value), type(value).__name__)


# -- leaving the language ------------------------------------------------------------------------------------------------------------

_SCALARS: Final = frozenset({type(None), bool, int, float, bytes})
_DEEPEST: Final = 200


def plain(value: object, spend: Callable[[int], None]) -> object:
    """A result as plain Python: times as datetime, durations as timedelta, our lists and maps as list and dict.

    What is plain already is given back as it is, not copied. ``spend`` is told of every step. Raises LimitExceeded for too deep a value.
    """
    return value if type(value) in _SCALARS else _plain(value, spend, 0)


def _plain(value: object, spend: Callable[[int], None], depth: int) -> object:
    kind = type(value)
    if kind is str:
        return _clean_text(str(value))
    spend(1)
    if depth > _DEEPEST:
        raise LimitExceeded("the result is nested too deeply")
    if isinstance(value, AnyMap):
        return {_plain(from_key(key), spend, depth + 1): _plain(item, spend, depth + 1) for key, item in value.items()}
    if isinstance(value, Mapping):
        items = {key: _plain(item, spend, depth + 1) for key, item in value.items()}
        return value if kind is dict and all(items[key] is value[key] for key in items) else items
    if kind is NilList:
        return None
    if isinstance(value, (list, tuple)):
        copies = [_plain(item, spend, depth + 1) for item in value]
        return value if kind is list and all(map(_same, copies, value)) else copies
    return _plain_scalar(value)


def _same(first: object, second: object) -> bool:
    return first is second


def _plain_scalar(value: object) -> object:
    if isinstance(value, Moment):
        return value.to_datetime()
    if isinstance(value, Duration):
        return value.to_timedelta()
    if isinstance(value, (Month, Weekday, Uint8)):
        return int(value)
    if isinstance(value, Zone):
        return value.name
    return value


def _clean_text(text: str) -> str:
    """Bytes that are no UTF-8 leave as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text


def sorted_items(value: Mapping[object, object]) -> Iterator[tuple[object, object]]:
    """The entries of a map in Go's printing order: by key."""
    items = [(from_key(key), item) for key, item in value.items()]
    try:
        items.sort(key=lambda item: item[0])  # type: ignore[arg-type, return-value]  # keys of one kind compare
    except TypeError:
        items.sort(key=lambda item: (kind_of(item[0]), str(item[0])))
    return iter(items)
