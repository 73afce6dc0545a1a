"""Bessel functions, which Python's library has not. Called by ``maths``."""

from __future__ import annotations

import math

_POINTS = 600
_LARGEST = 400.0
_LARGEST_ORDER = 200
_EULER = 0.5772156649015329


def first_kind(order: int, number: float) -> float:
    """J of a whole order: the mean of cos(order t - number sin t) over half a turn, which converges very fast."""
    if abs(order) > _LARGEST_ORDER or abs(number) > _LARGEST:
        return _far(order, number, math.cos)
    total = 0.0
    for point in range(_POINTS):
        angle = math.pi * (point + 0.5) / _POINTS
        total += math.cos(order * angle - number * math.sin(angle))
    return total / _POINTS


def second_kind(order: int, number: float) -> float:
    """Y of a whole order; minus infinity at 0, NaN below."""
    if number < 0:
        return math.nan
    if not number:
        return -math.inf
    if abs(order) > _LARGEST_ORDER or number > _LARGEST:
        return _far(order, number, math.sin)
    if order < 0:
        return second_kind(-order, number) * (-1.0 if order % 2 else 1.0)
    before, value = _zeroth(number), _first(number)
    if not order:
        return before
    for step in range(1, order):
        before, value = value, 2 * step / number * value - before
    return value


def _terms(number: float) -> int:
    return int(number / 2) + 25


def _zeroth(number: float) -> float:
    """Neumann's series."""
    total = sum((-1.0) ** k * first_kind(2 * k, number) / k for k in range(1, _terms(number)))
    return 2 / math.pi * ((math.log(number / 2) + _EULER) * first_kind(0, number) - 2 * total)


def _first(number: float) -> float:
    """Neumann's series, one order up: the derivative of the zeroth with the other sign."""
    slope = first_kind(0, number) / number - (math.log(number / 2) + _EULER) * first_kind(1, number)
    slope -= sum((-1.0) ** k * (first_kind(2 * k - 1, number) - first_kind(2 * k + 1, number)) / k for k in range(1, _terms(number)))
    return -2 / math.pi * slope


def _far(order: int, number: float, wave: object) -> float:
    """The leading term for large numbers."""
    assert callable(wave)
    if not math.isfinite(number):
        return 0.0
    return math.sqrt(2 / (math.pi * abs(number))) * float(wave(number - order * math.pi / 2 - math.pi / 4)) if number else 0.0
