"""Bessel functions, which Python's library has not. Called by ``maths``.

Power series with as many decimal digits as cancel out and some more; far from 0 Hankel's expansion and the recurrence between orders.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

from flowcore.language.jq.meter import spend

_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
_EULER = Decimal("0.577215664901532860606512090082402431042159335939923598805767")
_NEAR = 30.0
_LARGEST_ORDER = 1000


def first_kind(order: int, number: float) -> float:
    """J of a whole order."""
    sign = -1.0 if (order < 0) != (number < 0) and order % 2 else 1.0
    order, number = abs(order), abs(number)
    if order > _LARGEST_ORDER or not math.isfinite(number):
        return math.nan if number != number else 0.0
    if not number:
        return 0.0 if order else 1.0
    if number < _NEAR or (order >= number and number < 10 * _NEAR):
        return sign * _near(order, number, second=False)
    return sign * _recurred(order, number, _far(0, number)[0], _far(1, number)[0])


def second_kind(order: int, number: float) -> float:
    """Y of a whole order; minus infinity at 0, NaN below."""
    sign = -1.0 if order < 0 and order % 2 else 1.0
    order = abs(order)
    if number < 0 or number != number:
        return math.nan
    if not number or order > _LARGEST_ORDER:
        return sign * -math.inf
    if number == math.inf:
        return 0.0
    if number < _NEAR:
        return sign * _recurred(order, number, _near(0, number, second=True), _near(1, number, second=True))
    return sign * _recurred(order, number, _far(0, number)[1], _far(1, number)[1])


def _recurred(order: int, number: float, before: float, value: float) -> float:
    """From the orders 0 and 1 up to another."""
    spend(order)
    if not order:
        return before
    for step in range(1, order):
        before, value = value, 2 * step / number * value - before
    return value


def _near(order: int, number: float, *, second: bool) -> float:
    """The power series of J, or of Y for the orders 0 and 1."""
    with localcontext() as context:
        context.prec = 40 + int(number / 2)
        half = Decimal(number) / 2
        term = half**order / math.factorial(order)
        total = weighted = Decimal(0)
        harmonic = Decimal(order)
        for step in range(1, int(3 * number) + 60):
            total += term
            weighted += (harmonic - 2 * _EULER) * term
            harmonic += Decimal(1) / step + Decimal(1) / (order + step)
            term *= -half * half / (step * (order + step))
        spend(int(3 * number) + 60 + order)
        if not second:
            return float(total)
        pole = 1 / half if order else Decimal(0)
        return float((2 * half.ln() * total - pole - weighted) / _PI)


def _far(order: int, number: float) -> tuple[float, float]:
    """J and Y of the orders 0 and 1 by Hankel's expansion."""
    even = odd = 0.0
    term = 1.0
    for step in range(1, 40):
        if step % 2:
            even += term if step % 4 == 1 else -term
        else:
            odd += term if step % 4 == 2 else -term
        term *= (4 * order * order - (2 * step - 1) ** 2) / (step * 8 * number)
    scale = 1 / math.sqrt(math.pi * number)
    total, difference = math.sin(number) + math.cos(number), math.sin(number) - math.cos(number)
    cosine, sine = (difference, -total) if order else (total, difference)
    return scale * (even * cosine - odd * sine), scale * (even * sine + odd * cosine)
