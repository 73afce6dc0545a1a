"""The functions that Argo adds to the expression dialect: ``asInt``, ``asFloat``, ``toJson``, ``jsonpath`` and the ``sprig`` namespace.

Handed to ``Expression.evaluate(functions=ARGO_FUNCTIONS)`` wherever Argo offers them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import cast

from flowcore.jsontypes import Json
from flowcore.language.expr.builtins_numbers import as_float, as_int
from flowcore.language.expr.json_reader import read_json
from flowcore.language.expr.limits import Panic
from flowcore.language.expr.natures import INTERFACE, STRING, Nature, Signature, function
from flowcore.language.expr.signatures import function_type
from flowcore.language.expr.texts import go_json
from flowcore.language.expr.values import type_name

__all__ = ["ARGO_FUNCTIONS", "GoFunction"]


class GoFunction:
    """A function whose argument kinds are known before a run, so that a wrong call never compiles."""

    __slots__ = ("call", "go_type", "nature")

    def __init__(self, call: Callable[..., object], result: Nature, *parameters: Nature) -> None:
        signature = Signature(parameters, result)
        self.call = call
        self.nature = function(function_type(signature), signature)
        self.go_type = self.nature.type

    def __call__(self, *arguments: object) -> object:
        signature = self.nature.signature
        parameters = signature.parameters if signature is not None else ()
        if len(arguments) != len(parameters):
            raise Panic(f"invalid number of arguments: expected {len(parameters)}, got {len(arguments)}")
        for parameter, argument in zip(parameters, arguments, strict=True):
            if parameter is STRING and not isinstance(argument, str):
                raise Panic(f"reflect: Call using {type_name(argument)} as type string")
        return self.call(*arguments)


def _jsonpath(text: object, path: object) -> object:
    from flowcore.language.jsonpath import query

    return query(cast("Json", read_json(None, str(text))), str(path))


class _Sprig(Mapping[str, object]):
    """The sprig functions by name; they are loaded when the first one is called."""

    def _table(self) -> Mapping[str, object]:
        from flowcore.language.sprig import SPRIG

        return SPRIG

    def __getitem__(self, name: str) -> object:
        return self._table()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table())

    def __len__(self) -> int:
        return len(self._table())


ARGO_FUNCTIONS: Mapping[str, Callable[..., object] | Mapping[str, object]] = MappingProxyType(
    {
        "asInt": GoFunction(as_int, INTERFACE, INTERFACE),
        "asFloat": GoFunction(as_float, INTERFACE, INTERFACE),
        "toJson": GoFunction(go_json, STRING, INTERFACE),
        "jsonpath": GoFunction(_jsonpath, INTERFACE, STRING, STRING),
        "sprig": _Sprig(),
    }
)
"""What goes into ``functions`` of ``Expression.evaluate``."""
