"""Texts of values: Go's default formatting and Go's JSON. Called by ``expressions``, ``builtins`` and the Argo functions.

Both are bounded: a value that holds the same lists over and over ends in LimitExceeded instead of an endless text.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import cast

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr.limits import Budget, Panic
from flowcore.language.expr.times import Duration, Moment
from flowcore.language.expr.values import AnyMap, exact, kind_of, sorted_items, type_name
from flowcore.language.go_format import format_float
from flowcore.language.go_json import json_float, json_string

_DEEPEST = 200
_LEAST_EXPONENT = 6
_JSON_TIME = "2006-01-02T15:04:05.999999999Z07:00"


class _Writer:
    """Collects the parts of a text and pays for them."""

    def __init__(self, budget: Budget | None) -> None:
        self.parts: list[str] = []
        self.budget = budget if budget is not None else Budget()

    def put(self, text: str) -> None:
        """Add a part."""
        self.parts.append(text)
        self.budget.write(len(text))
        self.budget.spend(1)

    def text(self) -> str:
        """Everything put so far."""
        return "".join(self.parts)


# -- Go's %v -------------------------------------------------------------------------------------------------------------------------


def go_text(value: object, budget: Budget | None = None) -> str:
    """The value as Go's ``%v`` prints it: ``[a b]``, ``map[k:v]``, ``<nil>``."""
    if type(value) is str:
        return value
    writer = _Writer(budget)
    _write(value, writer, 0)
    return writer.text()


def _write(value: object, writer: _Writer, depth: int) -> None:
    if depth > _DEEPEST:
        raise LimitExceeded("the value is nested too deeply to be printed")
    kind = kind_of(value)
    if kind == "map":
        _write_items("map[", sorted_items(cast("Mapping[object, object]", value)), writer, depth)
    elif kind == "list":
        _write_items("[", ((None, item) for item in cast("list[object]", value)), writer, depth)
    elif kind == "bytes":
        writer.put("[" + " ".join(map(str, cast("bytes", value))) + "]")
    else:
        writer.put(_SCALAR_TEXT.get(kind, str)(value))


def _write_items(opening: str, items: object, writer: _Writer, depth: int) -> None:
    writer.put(opening)
    for index, (key, item) in enumerate(cast("list[tuple[object, object]]", items)):
        if index:
            writer.put(" ")
        if opening != "[":
            _write(key, writer, depth + 1)
            writer.put(":")
        _write(item, writer, depth + 1)
    writer.put("]")


_SCALAR_TEXT: Mapping[str, Callable[[object], str]] = {
    "nil": lambda _: "<nil>",
    "bool": lambda value: "true" if value else "false",
    "int": lambda value: str(int(cast("int", value))),
    "float": lambda value: format_float(cast("float", value), largest_plain=_LEAST_EXPONENT),
    "time": lambda value: str(exact(value)),
    "duration": lambda value: str(exact(value)),
    "func": lambda value: f"0x{id(value):x}",
}


# -- Go's JSON -----------------------------------------------------------------------------------------------------------------------


def go_json(value: object, indent: str = "", budget: Budget | None = None) -> str:
    """The value as Go's ``json.Marshal`` writes it (``indent``: ``json.MarshalIndent``): sorted keys, ``<>&`` escaped.

    Raises Panic for what has no JSON form, with Go's text.
    """
    writer = _Writer(budget)
    _json(value, writer, indent, 0)
    return writer.text()


def _json_string(text: str) -> str:
    return json_string(text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _json(value: object, writer: _Writer, indent: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise LimitExceeded("the value is nested too deeply to be written as JSON")
    kind = kind_of(value)
    if kind == "map":
        if isinstance(value, AnyMap) or not all(isinstance(key, str) for key in cast("Mapping[object, object]", value)):
            raise Panic(f"json: unsupported type: {type_name(value) if isinstance(value, AnyMap) else 'map[interface {}]interface {}'}")
        items = sorted(cast("Mapping[str, object]", value).items())
        _json_items("{}", [(_json_string(key) + (": " if indent else ":"), item) for key, item in items], writer, indent, depth)
    elif kind == "list":
        _json_items("[]", [("", item) for item in cast("list[object]", value)], writer, indent, depth)
    elif kind in _SCALAR_JSON:
        writer.put(_SCALAR_JSON[kind](value))
    else:
        raise Panic(f"json: unsupported type: {type_name(value)}")


def _json_items(brackets: str, items: list[tuple[str, object]], writer: _Writer, indent: str, depth: int) -> None:
    writer.put(brackets[0])
    for index, (prefix, item) in enumerate(items):
        writer.put(("," if index else "") + ("\n" + indent * (depth + 1) if indent else "") + prefix)
        _json(item, writer, indent, depth + 1)
    if items and indent:
        writer.put("\n" + indent * depth)
    writer.put(brackets[1])


def _json_float(value: object) -> str:
    try:
        return json_float(cast("float", value))
    except ExpressionError as error:
        raise Panic(error.message) from None


def _json_time(value: object) -> str:
    return _json_string(cast("Moment", exact(value)).format(_JSON_TIME))


_SCALAR_JSON: Mapping[str, Callable[[object], str]] = {
    "nil": lambda _: "null",
    "bool": lambda value: "true" if value else "false",
    "string": lambda value: _json_string(str(value)),
    "int": lambda value: str(int(cast("int", value))),
    "month": lambda value: str(int(cast("int", value))),
    "weekday": lambda value: str(int(cast("int", value))),
    "float": _json_float,
    "time": _json_time,
    "duration": lambda value: str(cast("Duration", exact(value)).nanoseconds),
    "bytes": lambda value: _json_string(base64.b64encode(cast("bytes", value)).decode()),
    "zone": lambda _: "{}",
}


def to_text(value: object) -> str:
    """What an expression's result becomes in a document: strings as they are, anything else its JSON.

    Raises ExpressionError when there is no JSON form.
    """
    return value if type(value) is str else go_json(value)
