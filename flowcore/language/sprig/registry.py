"""How sprig functions are declared, and what Go's reflection says of a wrong call.

A function's annotations are its Go parameter types: a missing value becomes the type's zero, any other type is refused, nothing is converted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final

from flowcore.errors import ExpressionError
from flowcore.language.expr.limits import Panic
from flowcore.language.expr.values import type_name

FUNCTIONS: Final[dict[str, SprigFunction]] = {}
"""All functions by name; filled while the modules of this package load."""

_GO_TYPES: Final[dict[str, str]] = {
    "object": "interface {}",
    "str": "string",
    "int": "int",
    "bool": "bool",
    "float": "float64",
    "Map": "map[string]interface {}",
    "Items": "[]interface {}",
    "Moment": "time.Time",
    "Uint32": "uint32",
    "HashAlgorithm": "sprig.HashAlgorithm",
    "Certificate": "sprig.certificate",
}
_ZEROS: Final[dict[str, Callable[[], object]]] = {
    "string": str,
    "int": int,
    "bool": bool,
    "float64": float,
    "map[string]interface {}": dict,
    "[]interface {}": list,
    "uint32": int,
    "sprig.HashAlgorithm": str,
}


class SprigFunction:
    """A function with the Go types of its parameters."""

    __slots__ = ("_body", "_last", "_parameters", "go_type", "name")

    def __init__(self, name: str, body: Callable[..., object]) -> None:
        self.name, self._body = name, body
        types = inspect.get_annotations(body)
        self._parameters: list[str] = []
        self._last: str | None = None
        for parameter in inspect.signature(body).parameters.values():
            go_type = _GO_TYPES[types[parameter.name]]
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                self._last = go_type
            else:
                self._parameters.append(go_type)
        shown = [*self._parameters, *([f"...{self._last}"] if self._last else [])]
        self.go_type = f"func({', '.join(shown)}) {_GO_TYPES.get(types.get('return', ''), 'interface {}')}"

    def __call__(self, *arguments: object) -> object:
        """Call it; raises ExpressionError with Go's message for wrong arguments and for what the function refuses."""
        self._check_count(len(arguments))
        fixed = len(self._parameters)
        given = [_argument(value, go_type) for value, go_type in zip(arguments, self._parameters, strict=False)]
        given += [_rest_argument(value, self._last or "") for value in arguments[fixed:]]
        try:
            return self._body(*given)
        except Panic as panic:
            raise ExpressionError(str(panic)) from None

    def _check_count(self, count: int) -> None:
        expected = len(self._parameters)
        if self._last is not None and count < expected:
            raise ExpressionError(f"invalid number of arguments: expected at least {expected}, got {count}")
        if self._last is None and count != expected:
            raise ExpressionError(f"invalid number of arguments: expected {expected}, got {count}")


def _argument(value: object, go_type: str) -> object:
    if go_type == "interface {}":
        return value
    if value is None and go_type in _ZEROS:
        return _ZEROS[go_type]()
    if type_name(value) != go_type:
        raise ExpressionError(f"reflect: Call using {type_name(value)} as type {go_type}")
    return value


def _rest_argument(value: object, go_type: str) -> object:
    if go_type != "interface {}" and value is not None and type_name(value) != go_type:
        raise ExpressionError(f"reflect: cannot use {type_name(value)} as type {go_type} in Call")
    return _argument(value, go_type)


def sprig(*names: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Declare a function under one or more names."""

    def declare(body: Callable[..., object]) -> Callable[..., object]:
        for name in names:
            FUNCTIONS[name] = SprigFunction(name, body)
        return body

    return declare
