"""What sprig functions share: Go's types, kinds and zero values, conversions between them, and the bounds on results."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping
from typing import Final, TypeAlias, cast

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr.texts import go_text
from flowcore.language.expr.times import wrap64
from flowcore.language.expr.values import Uint8, exact, kind_of, plain, type_name
from flowcore.language.go_numbers import parse_float, parse_int

MAX_TEXT: Final = 4 * 1024 * 1024
MAX_ITEMS: Final = 200_000
MAX_DEPTH: Final = 100

NIL_POINTER: Final = "runtime error: invalid memory address or nil pointer dereference"

Map: TypeAlias = "dict[str, object]"
Items: TypeAlias = "list[object]"


class Int64(int):
    """A Go int64, which is another type than int."""

    go_type = "int64"


class TextMap(dict[str, object]):
    """A Go map[string]string."""

    go_type = "map[string]string"


class ListOfLists(list[object]):
    """A Go [][]interface {}."""

    go_type = "[][]interface {}"


class Certificate(dict[str, object]):
    """A certificate and its key, both PEM texts, as ``Cert`` and ``Key``."""

    go_type = "sprig.certificate"


def kind_name(value: object) -> str:
    """The kind of a value as Go's reflection calls it."""
    name = type_name(value)
    if name in _KINDS:
        return _KINDS[name]
    for begin, kind in (("[]", "slice"), ("[", "array"), ("map[", "map"), ("*", "ptr"), ("func(", "func")):
        if name.startswith(begin):
            return kind
    return "struct" if "." in name else name


_KINDS: Final = {
    "<nil>": "invalid",
    "time.Duration": "int64",
    "time.Month": "int",
    "time.Weekday": "int",
    "sprig.HashAlgorithm": "string",
}


def is_empty(value: object) -> bool:
    """Whether a value is its type's zero, or has no elements; structs never are."""
    if value is None:
        return True
    if kind_of(value) in ("bool", "int", "float", "string", "bytes", "list", "map"):
        return not value
    return kind_name(value) == "int64" and str(exact(value)) == "0s"


def text_of(value: object) -> str:
    """A value as text: texts and bytes as they are, all else as Go prints it."""
    if isinstance(value, str):
        return value
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else go_text(value)


def as_items(value: object, complaint: str) -> Items:
    """The items of a list; raises ExpressionError with the complaint and the kind of anything else."""
    if value is None:
        raise ExpressionError(NIL_POINTER)
    if isinstance(value, bytes):
        return [Uint8(byte) for byte in value]
    if kind_of(value) != "list":
        raise ExpressionError(f"{complaint} {kind_name(value)}")
    return cast("Items", value)


def to_int(value: object) -> int:
    """A whole number out of nearly anything, 0 where that fails; texts may be written in Go's bases."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return wrap64(int(value)) if math.isfinite(value) and abs(value) < 2**63 else -(1 << 63)
    if isinstance(value, str):
        return parse_int(re.sub(r"\.0+\Z", "", value), prefixes=True) or 0
    return 0


def to_float(value: object) -> float:
    """A float out of nearly anything, 0 where that fails."""
    if isinstance(value, (bool, int)):
        return float(value)
    if isinstance(value, float):
        return value
    number = parse_float(value) if isinstance(value, str) else None
    if number is None or (math.isinf(number) and any(map(str.isdigit, str(value)))):
        return 0.0
    return number


def int64(number: int) -> Int64:
    """A result as int64, wrapped around where it overflows."""
    return Int64(wrap64(number))


def identity(value: object, depth: int = 0) -> Hashable:
    """Something that is equal for values that are deeply equal in Go: of the very same type, with the same contents."""
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"values nested more than {MAX_DEPTH} deep")
    value = exact(value)
    if isinstance(value, list):
        return type_name(value), tuple(identity(item, depth + 1) for item in value)
    if isinstance(value, Mapping):
        return type_name(value), frozenset((key, identity(member, depth + 1)) for key, member in value.items())
    if isinstance(value, float) and math.isnan(value):
        return object()
    return type_name(value), value if isinstance(value, Hashable) else id(value)


def as_plain(value: object) -> object:
    """A value without the expression language's own types: times as datetime, lists and maps as Python's."""
    steps = 0

    def spend(count: int) -> None:
        nonlocal steps
        steps += count
        bounded_items(steps)

    return plain(value, spend)


def bounded_text(size: int) -> None:
    """Refuse to build a text of that many characters when it is too large."""
    if size > MAX_TEXT:
        raise LimitExceeded(f"a text of more than {MAX_TEXT} characters")


def bounded_items(count: int) -> None:
    """Refuse to build a list of that many items when it is too large."""
    if count > MAX_ITEMS:
        raise LimitExceeded(f"a list of more than {MAX_ITEMS} items")


def to_bytes(text: str) -> bytes:
    """The UTF-8 bytes of a text; what was no UTF-8 comes back as it was."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """The text of bytes, which need not be UTF-8."""
    return data.decode("utf-8", "surrogateescape")
