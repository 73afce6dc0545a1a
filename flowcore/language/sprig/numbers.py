"""Sprig: arithmetic, rounding and sequences of numbers. Operands may be texts; whole numbers wrap around at 64 bits, as in Go."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from flowcore.errors import ExpressionError
from flowcore.language.expr.values import IntList
from flowcore.language.go_numbers import parse_int
from flowcore.language.sources import chance
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import Int64, bounded_items, int64, text_of, to_float, to_int

_DIVISION_BY_ZERO = "runtime error: integer divide by zero"
_DECIMAL_PLACES = 10**16


@sprig("int")
def to_int_number(value: object) -> int:
    return to_int(value)


@sprig("int64")
def to_int64_number(value: object) -> Int64:
    return int64(to_int(value))


@sprig("float64")
def to_float_number(value: object) -> float:
    return to_float(value)


@sprig("atoi")
def atoi(text: str) -> int:
    return parse_int(text) or 0


@sprig("toDecimal")
def to_decimal(value: object) -> Int64:
    """Octal digits as a number."""
    text = text_of(value)
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or set(digits) - set("01234567") or len(digits) > 30:
        return Int64(0)
    number = int(text, 8)
    return Int64(number if -(1 << 63) <= number < 1 << 63 else 0)


@sprig("add")
def add(*terms: object) -> Int64:
    return int64(sum(map(to_int, terms)))


@sprig("add1")
def add1(number: object) -> Int64:
    return int64(to_int(number) + 1)


@sprig("sub")
def sub(left: object, right: object) -> Int64:
    return int64(to_int(left) - to_int(right))


@sprig("mul")
def mul(first: object, *factors: object) -> Int64:
    product = to_int(first)
    for factor in factors:
        product = int64(product * to_int(factor))
    return int64(product)


@sprig("div")
def div(left: object, right: object) -> Int64:
    return int64(_truncated(to_int(left), to_int(right)))


@sprig("mod")
def mod(left: object, right: object) -> Int64:
    dividend, divisor = to_int(left), to_int(right)
    return int64(dividend - divisor * _truncated(dividend, divisor))


def _truncated(dividend: int, divisor: int) -> int:
    """The quotient, cut towards zero."""
    if not divisor:
        raise ExpressionError(_DIVISION_BY_ZERO)
    quotient = abs(dividend) // abs(divisor)
    return quotient if (dividend < 0) == (divisor < 0) else -quotient


@sprig("max", "biggest")
def maximum(first: object, *others: object) -> Int64:
    return int64(max(map(to_int, (first, *others))))


@sprig("min")
def minimum(first: object, *others: object) -> Int64:
    return int64(min(map(to_int, (first, *others))))


@sprig("maxf")
def maximum_float(first: object, *others: object) -> float:
    return _chosen(max, (first, *others))


@sprig("minf")
def minimum_float(first: object, *others: object) -> float:
    return _chosen(min, (first, *others))


def _chosen(choose: Callable[[list[float]], float], values: tuple[object, ...]) -> float:
    numbers = [to_float(value) for value in values]
    return math.nan if any(map(math.isnan, numbers)) else choose(numbers)


# -- exact arithmetic with fractions ----------------------------------------------------------------------------------------------


@sprig("addf")
def addf(*terms: object) -> float:
    return _float(sum(map(_exact, terms), Fraction(0)))


@sprig("add1f")
def add1f(number: object) -> float:
    return _float(_exact(number) + 1)


@sprig("subf")
def subf(first: object, *others: object) -> float:
    return _float(_exact(first) - sum(map(_exact, others), Fraction(0)))


@sprig("mulf")
def mulf(first: object, *factors: object) -> float:
    product = _exact(first)
    for factor in factors:
        product *= _exact(factor)
    return _float(product)


@sprig("divf")
def divf(first: object, *divisors: object) -> float:
    quotient = _exact(first)
    for value in divisors:
        divisor = _exact(value)
        if not divisor:
            raise ExpressionError("decimal division by 0")
        quotient = _to_places(quotient / divisor)
    return _float(quotient)


def _exact(value: object) -> Fraction:
    """A number as the decimal fraction that it is printed as."""
    number = to_float(value)
    if not math.isfinite(number):
        raise ExpressionError(f"Cannot create a Decimal from {text_of(number)}")
    return Fraction(repr(number))


def _to_places(number: Fraction) -> Fraction:
    """Rounded to 16 decimal places, halves away from zero."""
    doubled = 2 * abs(number) * _DECIMAL_PLACES
    rounded = Fraction((doubled.numerator // doubled.denominator + 1) // 2, _DECIMAL_PLACES)
    return -rounded if number < 0 else rounded


def _float(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


# -- rounding ---------------------------------------------------------------------------------------------------------------------


@sprig("floor")
def floor(value: object) -> float:
    number = to_float(value)
    return float(math.floor(number)) if math.isfinite(number) else number


@sprig("ceil")
def ceil(value: object) -> float:
    number = to_float(value)
    return float(math.ceil(number)) if math.isfinite(number) else number


@sprig("round")
def round_number(value: object, places: int, *on: float) -> float:
    """Round to decimal places; the third argument is the fraction from which on it rounds up, one half unless given."""
    threshold = on[0] if on else 0.5
    if not -400 < places < 400:
        return math.nan
    power = 10.0**places if places <= 308 else math.inf
    digits = power * to_float(value)
    if not math.isfinite(digits) or not power:
        return math.nan
    up = math.modf(digits)[0] >= threshold
    return (math.ceil(digits) if up else math.floor(digits)) / power


# -- sequences --------------------------------------------------------------------------------------------------------------------


@sprig("until")
def until(count: int) -> object:
    return _steps(0, count, -1 if count < 0 else 1)


@sprig("untilStep")
def until_step(start: int, stop: int, step: int) -> object:
    return _steps(start, stop, step)


def _steps(start: int, stop: int, step: int) -> IntList:
    if (stop < start and step >= 0) or (stop >= start and step <= 0):
        return IntList()
    numbers = range(start, stop, step)
    bounded_items(len(numbers) if abs(stop - start) < 1 << 62 else 1 << 62)
    return IntList(numbers)


@sprig("seq")
def seq(*bounds: int) -> str:
    """Numbers from a first to a last one, as text: ``seq(last)``, ``seq(first, last)`` or ``seq(first, step, last)``."""
    if not 1 <= len(bounds) <= 3:
        return ""
    first, last = (1 if len(bounds) == 1 else bounds[0]), bounds[-1]
    direction = -1 if last < first else 1
    step = bounds[1] if len(bounds) == 3 else direction
    if direction < 0 < step:
        return ""
    return " ".join(map(str, _steps(first, last + direction, step)))


@sprig("randInt")
def rand_int(low: int, high: int) -> int:
    if high <= low:
        raise ExpressionError("invalid argument to Intn")
    return chance().randrange(low, high)
