"""Sprig: defaults, conditions, types, JSON and failing on purpose."""

from __future__ import annotations

from flowcore.errors import ExpressionError
from flowcore.language.expr.json_reader import read_json
from flowcore.language.expr.limits import Panic
from flowcore.language.expr.values import type_name
from flowcore.language.go_json import dump_json
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import as_plain, bounded_text, identity, is_empty, kind_name


@sprig("hello")
def hello() -> str:
    return "Hello!"


@sprig("default")
def default(fallback: object, *given: object) -> object:
    return given[0] if given and not is_empty(given[0]) else fallback


@sprig("empty")
def empty(value: object) -> bool:
    return is_empty(value)


@sprig("coalesce")
def coalesce(*values: object) -> object:
    return next((value for value in values if not is_empty(value)), None)


@sprig("all")
def all_of(*values: object) -> bool:
    return not any(map(is_empty, values))


@sprig("any")
def any_of(*values: object) -> bool:
    return not all(map(is_empty, values))


@sprig("ternary")
def ternary(if_true: object, if_false: object, condition: bool) -> object:
    return if_true if condition else if_false


@sprig("fail")
def fail(message: str) -> str:
    raise ExpressionError(message)


# -- types ------------------------------------------------------------------------------------------------------------------------


@sprig("typeOf")
def type_of(value: object) -> str:
    return type_name(value)


@sprig("typeIs")
def type_is(name: str, value: object) -> bool:
    return name == type_name(value)


@sprig("typeIsLike")
def type_is_like(name: str, value: object) -> bool:
    return type_name(value) in (name, f"*{name}")


@sprig("kindOf")
def kind_of_value(value: object) -> str:
    return kind_name(value)


@sprig("kindIs")
def kind_is(name: str, value: object) -> bool:
    return name == kind_name(value)


@sprig("deepEqual")
def deep_equal_values(left: object, right: object) -> bool:
    return identity(left) == identity(right)


# -- JSON -------------------------------------------------------------------------------------------------------------------------


@sprig("mustFromJson")
def must_from_json(text: str) -> object:
    bounded_text(len(text))
    return read_json(None, text)


@sprig("fromJson")
def from_json(text: str) -> object:
    try:
        return must_from_json(text)
    except Panic:
        return None


@sprig("mustToJson")
def must_to_json(value: object) -> str:
    return dump_json(as_plain(value))


@sprig("mustToPrettyJson")
def must_to_pretty_json(value: object) -> str:
    return dump_json(as_plain(value), indent="  ")


@sprig("toRawJson", "mustToRawJson")
def to_raw_json(value: object) -> str:
    return dump_json(as_plain(value), escape_html=False)


@sprig("toJson")
def to_json(value: object) -> str:
    return _or_nothing(value, "")


@sprig("toPrettyJson")
def to_pretty_json(value: object) -> str:
    return _or_nothing(value, "  ")


def _or_nothing(value: object, indent: str) -> str:
    """The JSON text, or nothing for a value that has none."""
    try:
        return dump_json(as_plain(value), indent=indent)
    except ExpressionError as error:
        if error.message.startswith("json: unsupported"):
            return ""
        raise
