"""What jq's operators do with values: order, arithmetic, indexing. Called by the machine and the built-in functions."""

from __future__ import annotations

import math
from collections.abc import Callable

from flowcore.errors import LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.jq.encoding import MAX_DEPTH, MAX_TEXT, encode, preview, type_name
from flowcore.language.jq.failures import JqFailure, expected_array, expected_object, shown
from flowcore.language.jq.meter import occupy, spend
from flowcore.language.jq.numbers import MIN_INT, bounded, is_number, to_float, to_int

MAX_ITEMS = 2_000_000
_MAX_REPEATED = (1 << 31) - 1


def is_true(value: Json) -> bool:
    """Everything counts as true but null and false."""
    return value is not None and value is not False


# -- order ------------------------------------------------------------------------------------------------------------------------


def compare(left: Json, right: Json, depth: int = 0) -> int:
    """-1, 0 or 1: null, false, true, numbers, texts, lists, objects; NaN is below every number, itself too."""
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"jq values nested more than {MAX_DEPTH} deep")
    kind, other = _rank(left), _rank(right)
    if kind != other:
        return -1 if kind < other else 1
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        if isinstance(left, float) or isinstance(right, float):
            left, right = to_float(left), to_float(right)
        return -1 if left < right or left != left else int(left != right)
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if isinstance(left, list) and isinstance(right, list):
        return _compare_lists(left, right, depth)
    if isinstance(left, dict) and isinstance(right, dict):
        spend(len(left) + len(right))
        keys = sorted(left)
        return _compare_lists([*keys], [*sorted(right)], depth) or _compare_lists(
            [left[key] for key in keys], [right.get(key) for key in keys], depth
        )
    return 0


def _compare_lists(left: list[Json], right: list[Json], depth: int) -> int:
    for at, (one, other) in enumerate(zip(left, right, strict=False)):
        if result := compare(one, other, depth + 1):
            spend(at)
            return result
    spend(len(left) + 1)
    return (len(left) > len(right)) - (len(left) < len(right))


def _rank(value: Json) -> int:
    match value:
        case None:
            return 0
        case bool():
            return 2 if value else 1
        case int() | float():
            return 3
        case str():
            return 4
        case list():
            return 5
    return 6


# -- arithmetic -------------------------------------------------------------------------------------------------------------------


def add(left: Json, right: Json) -> Json:
    """Numbers are added, texts, lists and objects joined; null adds nothing."""
    if left is None:
        return right
    if right is None:
        return left
    if is_number(left) and is_number(right):
        return _number(left, right, lambda one, other: one + other)
    if isinstance(left, str) and isinstance(right, str):
        return bounded_text(left + right)
    if isinstance(left, list) and isinstance(right, list):
        return bounded_list(left + right) if left and right else left or right
    if isinstance(left, dict) and isinstance(right, dict):
        return {**left, **right} if left and right else left or right
    raise _mismatch("add", left, right)


def subtract(left: Json, right: Json) -> Json:
    """Numbers are subtracted; from a list all items that the other has are left out."""
    if is_number(left) and is_number(right):
        return _number(left, right, lambda one, other: one - other)
    if isinstance(left, list) and isinstance(right, list):
        scalars: set[tuple[str, Json]] = {(type_name(item), item) for item in right if isinstance(item, (str, bool, int)) or item is None}
        others: list[Json] = [item for item in right if isinstance(item, (float, list, dict)) or _is_long(item)]
        spend(len(left) * len(others) + len(right))
        return [item for item in left if not _is_among(item, scalars, others)]
    raise _mismatch("subtract", left, right)


def _is_long(item: Json) -> bool:
    """Whether a whole number is none as a float any more."""
    return isinstance(item, int) and item.bit_length() > 53


def _is_among(item: Json, scalars: set[tuple[str, Json]], others: list[Json]) -> bool:
    if isinstance(item, (str, bool, int)) or item is None:
        if (type_name(item), item) in scalars:
            return True
    elif isinstance(item, float) and item == item and ("number", item) in scalars:
        return True
    return any(compare(item, other) == 0 for other in others)


def multiply(left: Json, right: Json) -> Json:
    """Numbers are multiplied, objects merged deeply, texts repeated."""
    if is_number(left) and is_number(right):
        return _number(left, right, lambda one, other: one * other)
    if isinstance(left, dict) and isinstance(right, dict):
        return _merged(left, right, 0)
    for text, count in ((left, right), (right, left)):
        if isinstance(text, str) and isinstance(count, (int, float)) and not isinstance(count, bool):
            return _repeated(text, to_float(count))
    raise _mismatch("multiply", left, right)


def _merged(left: dict[str, Json], right: dict[str, Json], depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"jq values nested more than {MAX_DEPTH} deep")
    spend(len(left) + len(right))
    merged = dict(left)
    occupy(merged)
    for key, value in right.items():
        present = merged.get(key)
        merged[key] = _merged(present, value, depth + 1) if isinstance(present, dict) and isinstance(value, dict) else value
    return merged


def _repeated(text: str, count: float) -> Json:
    if count < 0 or math.isnan(count):
        return None
    times = int(min(count, _MAX_REPEATED))
    if len(text.encode("utf-8", "replace")) * times >= _MAX_REPEATED:
        raise JqFailure(f"repeat string result too large: {preview(text)} * {preview(count)}")
    if len(text) * times > MAX_TEXT:
        raise LimitExceeded(f"a jq program makes a text of more than {MAX_TEXT} characters")
    return text * times


def divide(left: Json, right: Json) -> Json:
    """Numbers are divided, texts split."""
    if isinstance(left, str) and isinstance(right, str):
        return split(left, right) if left else []
    if not is_number(left) or not is_number(right):
        raise _mismatch("divide", left, right)
    assert isinstance(left, (int, float)) and isinstance(right, (int, float))
    if right == 0:
        raise JqFailure(f"cannot divide {shown(left)} by: {shown(right)}")
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return to_float(left) / to_float(right)


def modulo(left: Json, right: Json) -> Json:
    """The rest of the division of whole parts, with the sign of the left side."""
    if not is_number(left) or not is_number(right):
        raise _mismatch("modulo", left, right)
    assert isinstance(left, (int, float)) and isinstance(right, (int, float))
    if isinstance(left, float) or isinstance(right, float):
        if left != left or right != right:
            return math.nan
        dividend, divisor = to_int(to_float(left)), to_int(to_float(right))
    else:
        dividend, divisor = left, right
    if not divisor:
        raise JqFailure(f"cannot modulo {shown(left)} by: {shown(right)}")
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def negate(value: Json) -> Json:
    """The number with the other sign."""
    if not is_number(value):
        raise JqFailure(f"cannot negate: {shown(value)}")
    assert isinstance(value, (int, float))
    return -value


def _number(left: Json, right: Json, compute: Callable[[float, float], float]) -> Json:
    """A number out of two; whole numbers stay exact, with a float among them all become floats."""
    assert isinstance(left, (int, float)) and isinstance(right, (int, float))
    if isinstance(left, int) and isinstance(right, int):
        return bounded(int(compute(left, right)))
    try:
        return compute(to_float(left), to_float(right))
    except OverflowError:
        return math.inf


def _mismatch(name: str, left: Json, right: Json) -> JqFailure:
    return JqFailure(f"cannot {name}: {shown(left)} and {shown(right)}")


OPERATORS: dict[str, Callable[[Json, Json], Json]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "==": lambda left, right: compare(left, right) == 0,
    "!=": lambda left, right: compare(left, right) != 0,
    "<": lambda left, right: compare(left, right) < 0,
    "<=": lambda left, right: compare(left, right) <= 0,
    ">": lambda left, right: compare(left, right) > 0,
    ">=": lambda left, right: compare(left, right) >= 0,
    "//": lambda left, right: left if is_true(left) else right,
}


# -- bounds -----------------------------------------------------------------------------------------------------------------------


def bounded_text(text: str) -> str:
    """A text of tolerable length; raises LimitExceeded otherwise."""
    if len(text) > MAX_TEXT:
        raise LimitExceeded(f"a jq program makes a text of more than {MAX_TEXT} characters")
    return text


def bounded_list(items: list[Json]) -> list[Json]:
    """A list of tolerable length; raises LimitExceeded otherwise."""
    if len(items) > MAX_ITEMS:
        raise LimitExceeded(f"a jq program makes a list of more than {MAX_ITEMS} items")
    return items


# -- indexing ---------------------------------------------------------------------------------------------------------------------


def index(value: Json, key: Json) -> Json:
    """``value[key]``: a member, an item, a part, or the places at which a list begins."""
    if isinstance(key, str):
        if value is None:
            return None
        if not isinstance(value, dict):
            raise expected_object(value)
        return value.get(key)
    if is_number(key):
        return _item(value, key)
    if isinstance(key, list):
        if value is not None and not isinstance(value, list):
            raise expected_array(value)
        return None if value is None else indices(value, key)
    if isinstance(key, dict):
        if value is None:
            return None
        begin, end = slice_bounds(key)
        return slice_of(value, begin, end)
    raise _bad_key(value, key)


def _bad_key(value: Json, key: Json) -> JqFailure:
    match value:
        case list():
            return JqFailure(f"expected a number for indexing an array but got: {shown(key)}")
        case str():
            return JqFailure(f"expected a number for indexing a string but got: {shown(key)}")
    return JqFailure(f"expected a string for object key but got: {shown(key)}")


def _item(value: Json, key: Json) -> Json:
    assert isinstance(key, (int, float))
    if value is None:
        return None
    if not isinstance(value, (list, str)):
        raise expected_array(value)
    position = to_int(key)
    position += len(value) if position < 0 else 0
    return value[position] if 0 <= position < len(value) else None


def slice_bounds(key: dict[str, Json]) -> tuple[Json, Json]:
    """Begin and end of a slice that is written as an object."""
    if "start" not in key or "end" not in key:
        raise JqFailure(f'expected "start" and "end" for slicing but got: {shown(key)}')
    return key["start"], key["end"]


def slice_of(value: Json, begin: Json, end: Json) -> Json:
    """``value[begin:end]`` of a list or text."""
    if value is None:
        return None
    if not isinstance(value, (list, str)):
        raise expected_array(value)
    first, last = slice_positions(value, begin, end)
    if last - first == len(value):
        return value
    part = value[first:last]
    occupy(part)
    return part


def slice_positions(value: list[Json] | str, begin: Json, end: Json) -> tuple[int, int]:
    """The positions that a slice means, from the end when negative; a fraction rounds down at the begin and up at the end."""
    first, last = 0, len(value)
    if begin is not None:
        first = _clamped(_slice_number(value, begin), 0, len(value))
    if end is not None:
        number = _slice_number(value, end)
        ceiled = math.ceil(number) if isinstance(number, float) and math.isfinite(number) else number
        last = _clamped(ceiled, first, len(value))
    return first, last


def _slice_number(value: list[Json] | str, bound: Json) -> int | float:
    if not is_number(bound):
        what = "array" if isinstance(value, list) else "string"
        article = "an" if what == "array" else "a"
        raise JqFailure(f"expected a number for indexing {article} {what} but got: {shown(bound)}")
    assert isinstance(bound, (int, float))
    return bound


def _clamped(number: int | float, least: int, most: int) -> int:
    position = to_int(number)
    if position < 0:
        position = position + most if position > MIN_INT else MIN_INT
    return max(least, min(most, position))


def indices(items: list[Json], part: list[Json]) -> Json:
    """Every position at which a list contains another one."""
    if not part:
        return []
    spend(len(items) * len(part))
    return [begin for begin in range(len(items) - len(part) + 1) if _compare_lists(items[begin : begin + len(part)], part, 0) == 0]


def split(text: str, separator: str) -> list[Json]:
    """The pieces of a text; without separator its characters."""
    pieces: list[Json] = [*text.split(separator)] if separator else [*text]
    occupy(pieces, 64)
    return bounded_list(pieces)


def to_text(value: Json) -> str:
    """Texts as they are, all else as JSON."""
    return value if isinstance(value, str) else encode(value)
