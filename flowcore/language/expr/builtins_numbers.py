"""The builtins that are about numbers, bits and types. Part of ``builtins``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from flowcore.language.expr.limits import Budget, Panic
from flowcore.language.expr.operators import less, more, to_int, truncate
from flowcore.language.expr.times import Duration, wrap64
from flowcore.language.expr.values import Uint8, exact, kind_of, type_name
from flowcore.language.go_numbers import parse_float, parse_int

_NUMBERS = frozenset({"int", "float"})
_DEEPEST = 100


def _type(_: Budget, value: object) -> object:
    kind = kind_of(value)
    if type(value) is Uint8:
        return "uint"
    named = {"list": "array", "bytes": "array", "time": "time.Time", "duration": "time.Duration", "month": "time.Month"}
    return {**named, "weekday": "time.Weekday", "zone": "unknown"}.get(kind, kind)


def _abs(_: Budget, value: object) -> object:
    _require_number("abs", value)
    return value if type(value) is Uint8 else _wrapped(abs(cast("float", value)))


def _wrapped(number: float) -> float:
    return wrap64(number) if isinstance(number, int) else number


def _require_number(name: str, value: object) -> None:
    if kind_of(value) not in _NUMBERS:
        raise Panic(f"invalid argument for {name} (type {type_name(value)})")


def _rounding(name: str, call: Callable[[float], float]) -> Callable[..., object]:
    def apply(_: Budget, value: object) -> object:
        _require_number(name, value)
        number = float(cast("float", value))
        return call(number) if math.isfinite(number) else number

    return apply


def _away_from_zero(number: float) -> float:
    whole = math.floor(abs(number))
    return math.copysign(whole + (abs(number) - whole >= 0.5), number)


def as_int(value: object) -> int:
    """``int(value)``: floats are cut off, texts must be whole decimal numbers."""
    kind = kind_of(value)
    if kind == "string":
        given = cast("str", value)
        number = parse_int(given)
        if number is None:
            raise Panic(f"invalid operation: int({given[:200]})")
        return number
    if kind == "float":
        return truncate(cast("float", value))
    if kind in ("int", "month", "weekday"):
        return int(cast("int", value))
    if kind == "duration":
        return cast("Duration", exact(value)).nanoseconds
    if kind == "nil":
        raise Panic("reflect: call of reflect.Value.Type on zero Value")
    raise Panic(f"invalid operation: int({type_name(value)})")


def as_float(value: object) -> float:
    """``float(value)``: texts may be any Go float."""
    kind = kind_of(value)
    if kind == "string":
        return _read_float(cast("str", value))
    if kind not in _NUMBERS:
        raise Panic(f"invalid operation: float({type_name(value)})")
    return float(cast("float", value))


def _read_float(given: str) -> float:
    number = parse_float(given)
    if number is None or (math.isinf(number) and "inf" not in given.lower()):
        raise Panic(f"invalid operation: float({given[:200]})")
    return number


# -- over many numbers ---------------------------------------------------------------------------------------------------------------


def _extreme(name: str, worse: Callable[[object, object], bool]) -> Callable[..., object]:
    def apply(budget: Budget, *arguments: object) -> object:
        return _best(budget, name, worse, arguments, 0)

    return apply


def _best(budget: Budget, name: str, worse: Callable[[object, object], bool], arguments: tuple[object, ...], depth: int) -> object:
    """The largest or smallest number in the arguments and the lists among them; a single other value is itself the answer."""
    if depth > _DEEPEST:
        raise Panic("recursion depth exceeded")
    best: object = None
    for argument in arguments:
        kind = kind_of(argument)
        if kind in ("list", "bytes"):
            found: Iterator[object] = _numbers_of(budget, name, worse, cast("list[object]", argument), depth)
        elif kind in _NUMBERS:
            found = iter((argument,))
        elif len(arguments) == 1:
            return argument
        else:
            raise Panic(f"invalid argument for {name} (type {type_name(argument)})")
        for value in found:
            if best is None or worse(best, value):
                best = value
    return best


def _numbers_of(budget: Budget, name: str, worse: Callable[[object, object], bool], items: list[object], depth: int) -> Iterator[object]:
    budget.spend(len(items))
    for item in items:
        if kind_of(item) in ("list", "bytes"):
            nested = _best(budget, name, worse, (item,), depth + 1)
            if nested is not None:
                yield nested
        elif kind_of(item) in _NUMBERS:
            yield item
        else:
            raise Panic(f"invalid argument for {name} (type {type_name(item)})")


def _floats(budget: Budget, name: str, values: object, depth: int = 0) -> Iterator[float]:
    """All numbers in lists of lists, as floats."""
    if depth > _DEEPEST:
        raise Panic("recursion depth exceeded")
    for value in cast("list[object]", values):
        budget.spend(1)
        if kind_of(value) in _NUMBERS:
            yield float(cast("float", value))
        elif kind_of(value) in ("list", "bytes"):
            yield from _floats(budget, name, value, depth + 1)
        else:
            raise Panic(f"invalid argument for {name} (type {type_name(value)})")


def _mean(budget: Budget, *arguments: object) -> object:
    total, count = 0.0, 0
    for number in _floats(budget, "mean", arguments):
        total, count = total + number, count + 1
    return total / count if count else 0.0


def _median(budget: Budget, *arguments: object) -> object:
    numbers = sorted(_floats(budget, "median", arguments))
    if not numbers:
        return 0.0
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


# -- bits ----------------------------------------------------------------------------------------------------------------------------


def _bits(name: str, call: Callable[[int, int], int]) -> Callable[..., object]:
    def apply(_: Budget, first: object, second: object) -> object:
        return wrap64(call(_whole(name, first), _whole(name, second)))

    return apply


def _whole(name: str, value: object) -> int:
    if kind_of(value) != "int":
        raise Panic(f"cannot use {type_name(value)} as argument (type int) to call {name}")
    return to_int(value)


def _shift(call: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def apply(value: int, count: int) -> int:
        if count < 0:
            raise Panic(f"invalid operation: negative shift count {count} (type int)")
        return call(value, min(count, 64))

    return apply


NUMBERS: Mapping[str, Callable[..., object]] = {
    "type": _type,
    "abs": _abs,
    "ceil": _rounding("ceil", lambda number: float(math.ceil(number))),
    "floor": _rounding("floor", lambda number: float(math.floor(number))),
    "round": _rounding("round", _away_from_zero),
    "int": lambda _, value: as_int(value),
    "float": lambda _, value: as_float(value),
    "max": _extreme("max", less),
    "min": _extreme("min", more),
    "mean": _mean,
    "median": _median,
    "bitand": _bits("bitand", lambda first, second: first & second),
    "bitor": _bits("bitor", lambda first, second: first | second),
    "bitxor": _bits("bitxor", lambda first, second: first ^ second),
    "bitnand": _bits("bitnand", lambda first, second: first & ~second),
    "bitshl": _bits("bitshl", _shift(lambda value, count: value << count)),
    "bitshr": _bits("bitshr", _shift(lambda value, count: value >> count)),
    "bitushr": _bits("bitushr", _shift(lambda value, count: (value % (1 << 64)) >> count)),
    "bitnot": lambda _, value: ~_whole("bitnot", value),
}
