"""The builtins that are about text, and the operators ``matches``, ``contains``, ``startsWith`` and ``endsWith``. Part of ``builtins``."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import cast

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr.json_reader import read_json
from flowcore.language.expr.limits import Budget, Panic
from flowcore.language.expr.operators import conversion, to_int
from flowcore.language.expr.texts import go_json, go_text
from flowcore.language.expr.values import TextList, kind_of, type_name
from flowcore.language.go_regexp import compile_regexp

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def text(value: object) -> str:
    """An argument that must be a string."""
    if not isinstance(value, str):
        raise conversion(value, "string")
    return value


def utf8(value: str) -> bytes:
    """The bytes that Go holds for a string."""
    return value.encode("utf-8", "surrogateescape")


# -- trimming, cases -----------------------------------------------------------------------------------------------------------------


def _trim(_: Budget, value: object, cutset: object = SPACES) -> object:
    return text(value).strip(text(cutset) or None) if cutset else text(value)


def _trim_prefix(_: Budget, value: object, prefix: object = " ") -> object:
    return text(value).removeprefix(text(prefix))


def _trim_suffix(_: Budget, value: object, suffix: object = " ") -> object:
    return text(value).removesuffix(text(suffix))


def _upper(budget: Budget, value: object) -> object:
    given = text(value)
    budget.write(len(given))
    return given.upper() if given.isascii() else "".join(map(_upper_char, given))


def _upper_char(char: str) -> str:
    return upper if len(upper := char.upper()) == 1 else char


def _lower(budget: Budget, value: object) -> object:
    given = text(value)
    budget.write(len(given))
    return given.lower() if given.isascii() else "".join(char.lower()[0] for char in given)


# -- splitting, joining ------------------------------------------------------------------------------------------------------------------


def _pieces(value: str, separator: str, most: int, keep: str) -> list[str]:
    """Go's ``SplitN`` (``keep`` empty) and ``SplitAfterN`` (``keep`` is the separator)."""
    if most == 0:
        return []
    if not separator:
        if most < 0 or most >= len(value):
            return list(value)
        return [*value[: most - 1], value[most - 1 :]]
    parts = value.split(separator, most - 1 if most > 0 else -1)
    return [part + keep for part in parts[:-1]] + parts[-1:] if keep else parts


def _split(budget: Budget, value: object, separator: object, most: object = -1, *, after: bool = False) -> object:
    given, by, count = text(value), text(separator), to_int(most)
    budget.grow((given.count(by) if by else len(given)) + 1)
    budget.write(len(given))
    return TextList(_pieces(given, by, count, by if after else ""))


def _split_after(budget: Budget, value: object, separator: object, most: object = -1) -> object:
    return _split(budget, value, separator, most, after=True)


def _replace(budget: Budget, value: object, old: object, new: object, most: object = -1) -> object:
    given, before, after, count = text(value), text(old), text(new), to_int(most)
    found = given.count(before)
    hits = found if count < 0 else min(found, count)
    budget.write(len(given) + max(hits * (len(after) - len(before)), 0))
    return given.replace(before, after, max(count, -1))


def _repeat(budget: Budget, value: object, times: object) -> object:
    given, count = text(value), to_int(times)
    if count < 0:
        raise Panic(f"invalid argument for repeat (expected positive integer, got {count})")
    if count > 1_000_000:
        raise Panic("memory budget exceeded")
    budget.grow(len(utf8(given)) * count)
    return given * count


def _join(budget: Budget, items: object, glue: object = "") -> object:
    by = text(glue)
    if kind_of(items) != "list" or type_name(items) not in ("[]string", "[]interface {}"):
        raise Panic(f"invalid argument for join (type {type_name(items)})")
    parts = [text(item) for item in cast("list[object]", items)]
    budget.write(sum(map(len, parts)) + len(by) * len(parts))
    return by.join(parts)


# -- searching -----------------------------------------------------------------------------------------------------------------------


def _index_of(_: Budget, value: object, part: object) -> object:
    return _position(text(value), text(part), str.find, bytes.find)


def _last_index_of(_: Budget, value: object, part: object) -> object:
    return _position(text(value), text(part), str.rfind, bytes.rfind)


def _position(value: str, part: str, in_text: Callable[[str, str], int], in_bytes: Callable[[bytes, bytes], int]) -> int:
    """Positions count bytes."""
    return in_text(value, part) if value.isascii() else in_bytes(utf8(value), utf8(part))


def _has_prefix(_: Budget, value: object, part: object) -> object:
    return text(value).startswith(text(part))


def _has_suffix(_: Budget, value: object, part: object) -> object:
    return text(value).endswith(text(part))


def _text_test(test: Callable[[str, str], bool]) -> Callable[..., object]:
    """An operator between two strings that is false where one side is nil."""

    def apply(_: Budget, left: object, right: object) -> object:
        return False if left is None or right is None else test(text(left), text(right))

    return apply


def _matches(budget: Budget, left: object, pattern: object) -> object:
    if left is None or pattern is None:
        return False
    source = text(pattern)
    if isinstance(left, bytes):
        left = left.decode("utf-8", "surrogateescape")
    elif not isinstance(left, str):
        raise conversion(left, "[]uint8")
    budget.spend(len(left) + len(source))
    try:
        found = compile_regexp(source).matches(left)
    except LimitExceeded:
        raise
    except ExpressionError as error:
        raise Panic(error.message) from None
    budget.tick()
    return found


# -- encodings -----------------------------------------------------------------------------------------------------------------------


def _to_json(budget: Budget, value: object) -> object:
    return go_json(value, "  ", budget)


def _from_json(budget: Budget, value: object) -> object:
    given = text(value)
    budget.spend(len(given) >> 4)
    return read_json(budget, given)


def _to_base64(budget: Budget, value: object) -> object:
    given = utf8(text(value))
    budget.write(len(given) * 4 // 3 + 4)
    return base64.b64encode(given).decode()


def _from_base64(_: Budget, value: object) -> object:
    given = re.sub(r"[\r\n]", "", text(value))
    match = re.match(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", given)
    end = match.end() if match else 0
    if end != len(given):
        raise Panic(f"illegal base64 data at input byte {_illegal_byte(text(value), given, end)}")
    try:
        return base64.b64decode(given).decode("utf-8", "surrogateescape")
    except binascii.Error:
        raise Panic(f"illegal base64 data at input byte {len(given)}") from None


def _illegal_byte(original: str, given: str, end: int) -> int:
    """Where Go's decoder stops, counted in the text as given."""
    stop = end
    while stop < len(given) and (given[stop].isascii() and (given[stop].isalnum() or given[stop] in "+/")):
        stop += 1
    if stop < len(given) and given[stop] == "=" and (stop - end) in (2, 3):
        padding = 4 - (stop - end)
        stop += 1 if padding == 2 and given[stop + 1 : stop + 2] == "=" else 0
        stop += 1 if stop + 1 <= len(given) else 0
    if stop == len(given) and stop - end < 4:
        return len(original) - (stop - end) if "=" not in given[end:] else len(original)
    return stop


TEXTS: Mapping[str, Callable[..., object]] = {
    "string": lambda budget, value: go_text(value, budget),
    "trim": _trim,
    "trimPrefix": _trim_prefix,
    "trimSuffix": _trim_suffix,
    "upper": _upper,
    "lower": _lower,
    "split": _split,
    "splitAfter": _split_after,
    "replace": _replace,
    "repeat": _repeat,
    "join": _join,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "hasPrefix": _has_prefix,
    "hasSuffix": _has_suffix,
    "contains": _text_test(lambda left, right: right in left),
    "startsWith": _text_test(str.startswith),
    "endsWith": _text_test(str.endswith),
    "matches": _matches,
    "toJSON": _to_json,
    "fromJSON": _from_json,
    "toBase64": _to_base64,
    "fromBase64": _from_base64,
}
