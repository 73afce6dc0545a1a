"""What the operators do with Go's values. Called by ``evaluator`` and the builtins.

Integers are int64 and wrap, floats are float64, and what does not fit raises Panic with the text of expr-lang's virtual machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

from flowcore.language.expr.limits import Budget, Panic
from flowcore.language.expr.times import Duration, Moment, wrap64
from flowcore.language.expr.values import AnyMap, Uint8, exact, has_any_keys, is_nil, kind_of, to_key, type_name

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_NUMBERS = frozenset({"int", "float"})
_PLAIN_NUMBERS = frozenset({int, float})


class TextSet(frozenset[str]):
    """``["a", "b"]`` on the right of ``in``: Go looks up such a list as a map of strings."""


def _mismatch(operator: str, left: object, right: object) -> Panic:
    return Panic(f"invalid operation: {type_name(left)} {operator} {type_name(right)}")


def conversion(value: object, wanted: str) -> Panic:
    """The error of a value that is not what an instruction needs."""
    found = "nil" if value is None else type_name(value)
    return Panic(f"interface conversion: interface {{}} is {found}, not {wanted}")


# -- arithmetic ----------------------------------------------------------------------------------------------------------------------


def add(left: object, right: object) -> object:
    """``+``: numbers, strings, a time and a duration, two durations."""
    if type(left) in _PLAIN_NUMBERS and type(right) in _PLAIN_NUMBERS:
        return _number(left + right)  # type: ignore[operator]  # both are numbers
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    kinds = (kind_of(left), kind_of(right))
    if kinds[0] in _NUMBERS and kinds[1] in _NUMBERS:
        return _number(cast("float", left) + cast("float", right))
    left, right = exact(left), exact(right)
    if isinstance(left, Duration) and isinstance(right, Duration):
        return Duration(wrap64(left.nanoseconds + right.nanoseconds))
    if isinstance(left, Moment) and isinstance(right, Duration):
        return left.shifted(right.nanoseconds)
    if isinstance(left, Duration) and isinstance(right, Moment):
        return right.shifted(left.nanoseconds)
    raise _mismatch("+", left, right)


def _number(value: float) -> float:
    if type(value) is int and not _LEAST <= value <= _MOST:
        return wrap64(value)
    return value


def subtract(left: object, right: object) -> object:
    """``-``: numbers, two times (a duration), a time and a duration, two durations."""
    if type(left) in _PLAIN_NUMBERS and type(right) in _PLAIN_NUMBERS:
        return _number(left - right)  # type: ignore[operator]  # both are numbers
    if kind_of(left) in _NUMBERS and kind_of(right) in _NUMBERS:
        return _number(cast("float", left) - cast("float", right))
    left, right = exact(left), exact(right)
    if isinstance(left, Duration) and isinstance(right, Duration):
        return Duration(wrap64(left.nanoseconds - right.nanoseconds))
    if isinstance(left, Moment) and isinstance(right, Moment):
        return Duration(min(max(left.nanoseconds - right.nanoseconds, _LEAST), _MOST))
    if isinstance(left, Moment) and isinstance(right, Duration):
        return left.shifted(-right.nanoseconds)
    raise _mismatch("-", left, right)


def multiply(left: object, right: object) -> object:
    """``*``: numbers, and durations with numbers (a float makes a float of nanoseconds)."""
    if type(left) in _PLAIN_NUMBERS and type(right) in _PLAIN_NUMBERS:
        return _number(_product(cast("float", left), cast("float", right)))
    factors, durations = [], 0
    for value in (exact(left), exact(right)):
        if isinstance(value, Duration):
            durations += 1
            factors.append(value.nanoseconds)
        elif kind_of(value) in _NUMBERS:
            factors.append(cast("int", value))
        else:
            raise _mismatch("*", left, right)
    product = _number(_product(factors[0], factors[1]))
    return Duration(product) if durations and isinstance(product, int) else product


def _product(left: float, right: float) -> float:
    try:
        return left * right
    except OverflowError:
        return math.inf


def _floats(operator: str, left: object, right: object) -> tuple[float, float]:
    if kind_of(left) in _NUMBERS and kind_of(right) in _NUMBERS:
        return float(cast("float", left)), float(cast("float", right))
    raise _mismatch(operator, left, right)


def divide(left: object, right: object) -> object:
    """``/``: always a float, infinite or not a number where the divisor is 0."""
    dividend, divisor = _floats("/", left, right)
    if divisor:
        return dividend / divisor
    if not dividend or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1, divisor)


def modulo(left: object, right: object) -> object:
    """``%``: integers only, the sign is the dividend's."""
    if kind_of(left) != "int" or kind_of(right) != "int":
        raise _mismatch("%", left, right)
    dividend, divisor = int(cast("int", left)), int(cast("int", right))
    if not divisor:
        raise Panic("runtime error: integer divide by zero")
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def to_float(value: object) -> float:
    """A number as float64."""
    if kind_of(value) not in _NUMBERS:
        raise Panic(f"invalid operation: float({type_name(value)})")
    return float(cast("float", value))


def power(left: object, right: object) -> object:
    """``**`` and ``^``: always a float."""
    base, exponent = to_float(left), to_float(right)
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:
        if base == 0:
            return math.copysign(math.inf, base) if exponent % 2 == 1 else math.inf
        return math.nan


def negate(value: object) -> object:
    """``-x``."""
    if type(value) is Uint8:
        return Uint8(-value % 256)
    if kind_of(value) not in _NUMBERS:
        raise Panic(f"invalid operation: - {type_name(value)}")
    return _number(-cast("float", value))


def invert(value: object) -> object:
    """``!x``."""
    if not isinstance(value, bool):
        raise conversion(value, "bool")
    return not value


def to_int(value: object) -> int:
    """A number as an int, floats cut off; raises Panic for anything else."""
    if type(value) is int:
        return value
    kind = kind_of(value)
    if kind == "float":
        return truncate(cast("float", value))
    if kind != "int":
        raise Panic(f"invalid operation: int({type_name(value)})")
    return int(cast("int", value))


def truncate(number: float) -> int:
    """A float as Go converts it to int; what does not fit becomes the least int64."""
    if math.isnan(number) or math.isinf(number) or not -9.3e18 < number < 9.3e18:
        return _LEAST
    whole = int(number)
    return whole if _LEAST <= whole <= _MOST else _LEAST


# -- comparison ----------------------------------------------------------------------------------------------------------------------

_SIMPLE = frozenset({int, float, str, type(None)})


def equal(budget: Budget, left: object, right: object) -> bool:
    """``==``: numbers by value, lists and maps element by element, a string never equals a number."""
    if type(left) in _SIMPLE and type(right) in _SIMPLE:
        return left == right
    return _equal(budget, left, right, loose=True)


def _equal(budget: Budget, left: object, right: object, *, loose: bool) -> bool:
    """``loose``: 1 equals 1.0, as everywhere but inside maps."""
    budget.spend(1)
    if is_nil(left) or is_nil(right):
        return is_nil(left) and is_nil(right)
    kind, other = kind_of(left), kind_of(right)
    if kind in _NUMBERS and other in _NUMBERS:
        return left == right and (loose or (kind == other and type(left) is type(right)))
    if {kind, other} == {"list", "bytes"} and loose:
        left, right = ([Uint8(item) for item in side] if isinstance(side, bytes) else side for side in (left, right))
    elif kind != other:
        return False
    if "list" in (kind, other):
        return _equal_lists(budget, cast("list[object]", left), cast("list[object]", right), loose=loose)
    if kind == "map":
        return _equal_maps(budget, cast("Mapping[object, object]", left), cast("Mapping[object, object]", right))
    left, right = exact(left), exact(right)
    return left is right if kind in ("func", "other") else bool(left == right)


def _equal_lists(budget: Budget, left: list[object], right: list[object], *, loose: bool) -> bool:
    if len(left) != len(right) or (not loose and type_name(left) != type_name(right)):
        return False
    return all(_equal(budget, first, second, loose=loose) for first, second in zip(left, right, strict=True))


def _equal_maps(budget: Budget, left: Mapping[object, object], right: Mapping[object, object]) -> bool:
    if len(left) != len(right) or type_name(left) != type_name(right):
        return False
    return all(key in right and _equal(budget, item, right[key], loose=False) for key, item in left.items())


def ordering(sign: str, test: Callable[[object, object], bool]) -> Callable[[object, object], bool]:
    """One of ``< > <= >=``: two numbers, strings, times or durations."""

    def compare(left: object, right: object) -> bool:
        if type(left) in _PLAIN_NUMBERS and type(right) in _PLAIN_NUMBERS:
            return test(left, right)
        kind, other = kind_of(left), kind_of(right)
        if kind in _NUMBERS and other in _NUMBERS:
            return test(left, right)
        if kind == other:
            if kind == "string":
                return test(*_byte_order(cast("str", left), cast("str", right)))
            if kind in ("time", "duration"):
                return test(cast("Moment", exact(left)).nanoseconds, cast("Moment", exact(right)).nanoseconds)
        raise _mismatch(sign, left, right)

    return compare


def _byte_order(left: str, right: str) -> tuple[object, object]:
    """Texts as Go compares them: by bytes, which for characters is by code point unless a byte is no UTF-8."""
    if left.isascii() and right.isascii():
        return left, right
    return left.encode("utf-8", "surrogateescape"), right.encode("utf-8", "surrogateescape")


less = ordering("<", lambda left, right: left < right)  # type: ignore[operator]  # of one family
more = ordering(">", lambda left, right: left > right)  # type: ignore[operator]  # of one family
less_or_equal = ordering("<=", lambda left, right: left <= right)  # type: ignore[operator]  # of one family
more_or_equal = ordering(">=", lambda left, right: left >= right)  # type: ignore[operator]  # of one family


def contains(budget: Budget, needle: object, haystack: object) -> bool:
    """``in``: an element of a list or a key of a map; nothing is in nil."""
    if isinstance(haystack, TextSet):
        if needle is not None and not isinstance(needle, str):
            raise Panic(f"reflect.Value.MapIndex: value of type {type_name(needle)} is not assignable to type string")
        return (needle or "") in haystack
    kind = kind_of(haystack)
    if is_nil(haystack):
        return False
    if kind == "list":
        return any(equal(budget, item, needle) for item in cast("list[object]", haystack))
    if kind == "bytes":
        return any(equal(budget, Uint8(item), needle) for item in cast("bytes", haystack))
    if kind == "map":
        return map_key(cast("Mapping[object, object]", haystack), needle) in cast("Mapping[object, object]", haystack)
    if kind == "time":
        return _field_of_time(needle)
    raise Panic(f'operator "in" not defined on {type_name(haystack)}')


def _field_of_time(needle: object) -> bool:
    if not isinstance(needle, str):
        raise Panic(f"cannot use {type_name(needle)} as field name of time.Time")
    return False


def map_key(holder: Mapping[object, object], key: object) -> object:
    """How a map of Go would look the key up; raises Panic for a key of another type."""
    if isinstance(holder, AnyMap):
        return to_key(key)
    if has_any_keys(holder):
        return key if isinstance(key, (int, float, str)) or key is None else to_key(key)
    if key is None:
        return ""
    if not isinstance(key, str):
        raise Panic(f"reflect.Value.MapIndex: value of type {type_name(key)} is not assignable to type string")
    return key
