"""jq: mathematical functions on floats. Part of ``natives``."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from flowcore.jsontypes import Json
from flowcore.language.jq.bessel import first_kind, second_kind
from flowcore.language.jq.failures import not_applicable
from flowcore.language.jq.numbers import to_float, to_int


def _float(name: str, value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise not_applicable(name, value)
    return to_float(value)


def _on_one(name: str, compute: Callable[[float], float]) -> Callable[[Json], Json]:
    return lambda value: _computed(compute, _float(name, value))


def _on_several(name: str, compute: Callable[..., float]) -> Callable[..., Json]:
    return lambda _value, *arguments: _computed(compute, *(_float(name, argument) for argument in arguments))


def _computed(compute: Callable[..., float], *arguments: float) -> Json:
    """The result; NaN where there is none, infinite where it is too large."""
    if any(map(math.isnan, arguments)) and compute not in (_largest, _smallest):
        return math.nan
    try:
        return float(compute(*arguments))
    except ValueError:
        return math.nan
    except OverflowError:
        return math.inf


def _rounded(compute: Callable[[float], int]) -> Callable[[float], float]:
    """Rounding that keeps infinities and the sign of zero."""
    return lambda number: math.copysign(float(compute(number)), number) if math.isfinite(number) else number


def _round(number: float) -> int:
    return int(math.copysign(math.floor(abs(number) + 0.5), number)) if abs(number) < 2**52 else int(number)


def _log(compute: Callable[[float], float], edge: float = 0.0) -> Callable[[float], float]:
    return lambda number: -math.inf if number == edge else compute(number)


def _gamma(number: float) -> float:
    if number == 0:
        return math.copysign(math.inf, number)
    return math.gamma(number)


def _log_gamma(number: float) -> float:
    return math.inf if number <= 0 and number == math.floor(number) else math.lgamma(number)


def _log_b(number: float) -> float:
    if not number:
        return -math.inf
    return math.inf if math.isinf(number) else math.frexp(number)[1] - 1


def _atanh(number: float) -> float:
    return math.copysign(math.inf, number) if abs(number) == 1 else math.atanh(number)


def _power(base: float, exponent: float) -> float:
    if base == 0 and exponent < 0:
        odd = exponent == int(exponent) and int(exponent) % 2 == 1 if math.isfinite(exponent) else False
        return math.copysign(math.inf, base) if odd else math.inf
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and int(exponent) % 2 else math.inf


def _frexp(value: Json) -> Json:
    number = _float("frexp", value)
    fraction, exponent = math.frexp(number)
    return [fraction, exponent if math.isfinite(number) else 0]


def _modf(value: Json) -> Json:
    number = _float("modf", value)
    fraction, whole = math.modf(number)
    return [math.copysign(0.0, number) if math.isinf(number) else fraction, whole]


def _remainder(left: float, right: float) -> float:
    return math.remainder(left, right)


def _drem(left: float, right: float) -> float:
    rest = math.remainder(left, right)
    return math.copysign(rest, left) if rest == 0 else rest


def _largest(left: float, right: float) -> float:
    return right if math.isnan(left) else left if math.isnan(right) else max(left, right)


def _smallest(left: float, right: float) -> float:
    return right if math.isnan(left) else left if math.isnan(right) else min(left, right)


def _scaled(number: float, exponent: float) -> float:
    return math.ldexp(number, max(-5000, min(5000, to_int(exponent))))


def _is(check: Callable[[float], bool]) -> Callable[[Json], Json]:
    def function(value: Json) -> Json:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and check(to_float(value))

    return function


def _is_nan(value: Json) -> Json:
    return False if value is None else math.isnan(_float("isnan", value))


def _is_normal(number: float) -> bool:
    return math.isfinite(number) and abs(number) >= sys.float_info.min


def _cube_root(number: float) -> float:
    root = math.copysign(abs(number) ** (1 / 3), number)
    return root - (root**3 - number) / (3 * root * root) if root and math.isfinite(root) else root


_ONE: dict[str, Callable[[float], float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "asin": math.asin, "acos": math.acos, "atan": math.atan,
    "sinh": math.sinh, "cosh": math.cosh, "tanh": math.tanh, "asinh": math.asinh, "acosh": math.acosh, "atanh": _atanh,
    "floor": _rounded(math.floor), "ceil": _rounded(math.ceil), "trunc": _rounded(math.trunc), "round": _rounded(_round),
    "nearbyint": _rounded(round), "rint": _rounded(round), "fabs": abs, "sqrt": math.sqrt, "cbrt": _cube_root,
    "significand": lambda number: math.frexp(number)[0] * 2,
    "exp": math.exp, "exp2": lambda number: _power(2.0, number), "exp10": lambda number: _power(10.0, number), "expm1": math.expm1,
    "log": _log(math.log), "log2": _log(math.log2), "log10": _log(math.log10), "log1p": _log(math.log1p, -1.0), "logb": _log_b,
    "gamma": _gamma, "tgamma": _gamma, "lgamma": _log_gamma, "erf": math.erf, "erfc": math.erfc,
    "j0": lambda number: first_kind(0, number), "j1": lambda number: first_kind(1, number),
    "y0": lambda number: second_kind(0, number), "y1": lambda number: second_kind(1, number),
}  # fmt: skip
_SEVERAL: dict[tuple[str, int], Callable[..., float]] = {
    ("atan2", 2): math.atan2,
    ("copysign", 2): math.copysign,
    ("drem", 2): _drem,
    ("remainder", 2): _remainder,
    ("fmod", 2): math.fmod,
    ("fdim", 2): lambda left, right: max(left - right, 0.0),
    ("fmax", 2): _largest,
    ("fmin", 2): _smallest,
    ("hypot", 2): math.hypot,
    ("pow", 2): _power,
    ("nextafter", 2): math.nextafter,
    ("nexttoward", 2): math.nextafter,
    ("ldexp", 2): _scaled,
    ("scalb", 2): _scaled,
    ("scalbln", 2): _scaled,
    ("jn", 2): lambda order, number: first_kind(to_int(order), number),
    ("yn", 2): lambda order, number: second_kind(to_int(order), number),
    ("fma", 3): lambda left, right, more: left * right + more,
}

MATHS: dict[tuple[str, int], Callable[..., Json]] = {
    **{(name, 0): _on_one(name, function) for name, function in _ONE.items()},
    **{key: _on_several(key[0], function) for key, function in _SEVERAL.items()},
    ("frexp", 0): _frexp,
    ("modf", 0): _modf,
    ("infinite", 0): lambda _value: math.inf,
    ("nan", 0): lambda _value: math.nan,
    ("isnan", 0): _is_nan,
    ("isfinite", 0): _is(lambda number: not math.isinf(number)),
    ("isinfinite", 0): _is(math.isinf),
    ("isnormal", 0): _is(_is_normal),
}
"""The functions by name and number of arguments."""
