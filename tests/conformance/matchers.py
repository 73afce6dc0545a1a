"""The corpus's matchers and paths: what an expectation says, held against a JSON value."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.conformance.verdicts import differ


class _Missing:
    """There is no such thing in the document."""

    def __repr__(self) -> str:
        return "(missing)"


MISSING = _Missing()
_PART = re.compile(r"\.?([^.\[\]]+)|\[([^\[\]]*)\]")
_EMPTY = (None, "", [], {}, False, 0)


def look_up(document: Any, path: str) -> Any:
    """The value at ``path`` (``status.nodes['a.b'].x[0].y[name=z]``), or MISSING."""
    value = document
    for step in steps_of(path):
        value = _step(value, step)
        if value is MISSING:
            return MISSING
    return value


def steps_of(path: str) -> list[str]:
    """The steps of a path; what stands in brackets keeps them, so that it is told from a name."""
    steps, rest = [], path
    while rest:
        if rest.startswith("["):
            end = rest.index("']") + 2 if rest.startswith("['") else rest.index("]") + 1
            steps.append(rest[:end])
        else:
            end = next((index for index, char in enumerate(rest) if char in ".[" and index > 0), len(rest))
            steps.append(rest[:end])
        rest = rest[end:].removeprefix(".")
    return steps


def _step(value: Any, step: str) -> Any:
    if step.startswith("['"):
        return _member(value, step[2:-2])
    if step.startswith("["):
        inner = step[1:-1]
        if "=" in inner:
            key, _, wanted = inner.partition("=")
            return next((item for item in value or () if isinstance(item, Mapping) and str(item.get(key)) == wanted), MISSING)
        return value[int(inner)] if isinstance(value, list) and int(inner) < len(value) else MISSING
    return _member(value, step)


def _member(value: Any, key: str) -> Any:
    if isinstance(value, Mapping) or hasattr(value, "get"):
        return value.get(key, MISSING)
    return MISSING


# --- matchers ---------------------------------------------------------------------------------------------------------------------


def check(value: Any, matcher: Any, where: str = "") -> None:
    """Raise a mismatch unless ``value`` is as ``matcher`` says."""
    if not matches(value, matcher):
        differ(matcher, None if value is MISSING else value, where)


def matches(value: Any, matcher: Any) -> bool:
    """Whether ``value`` is as ``matcher`` says: a plain value is equal, a mapping of operators holds altogether."""
    if isinstance(matcher, Mapping) and matcher and all(key in _OPERATORS for key in matcher):
        return all(_OPERATORS[key](value, wanted) for key, wanted in matcher.items())
    return equal(value, matcher)


def equal(value: Any, wanted: Any) -> bool:
    """Equality in which missing, empty, false and 0 are one, and a number is its text."""
    if _says_nothing(value) and _says_nothing(wanted):
        return True
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        return all(equal(value.get(key, MISSING), wanted.get(key, MISSING)) for key in {*wanted, *value})
    if isinstance(wanted, list) and isinstance(value, list):
        return len(wanted) == len(value) and all(equal(*pair) for pair in zip(value, wanted, strict=True))
    return (type(value) is type(wanted) and value == wanted) or _as_text(value) == _as_text(wanted)


def _says_nothing(value: Any) -> bool:
    """Whether it is empty, or an object of which all is empty, as Go writes one that was never set."""
    return _is_empty(value) or (isinstance(value, Mapping) and all(_says_nothing(item) for item in value.values()))


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value
    return value is MISSING or any(value is empty or (type(value) is type(empty) and value == empty) for empty in _EMPTY)


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, (int, float)) else value


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return all(_contains(value, one) for one in wanted)
    if isinstance(value, str):
        return str(wanted) in value
    if isinstance(value, Mapping):
        return wanted in value
    return isinstance(value, list) and any(matches(item, wanted) for item in value)


def _length(value: Any) -> int:
    return 0 if value is MISSING or value is None else len(value)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _same_elements(value: Any, wanted: Any) -> bool:
    rest = list(value) if isinstance(value, (list, tuple, set, frozenset)) else []
    for one in wanted:
        match = next((index for index, other in enumerate(rest) if equal(other, one)), None)
        if match is None:
            return False
        rest.pop(match)
    return not rest


def _json_equal(value: Any, wanted: Any) -> bool:
    return equal(parsed(value), parsed(wanted))


def parsed(value: Any) -> Any:
    """A JSON or YAML text as the value it writes; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        from ruamel.yaml import YAML

        return YAML(typ="safe", pure=True).load(value)


def as_json(value: Any) -> str:
    """The JSON text in which ``json_contains`` looks."""
    return json.dumps(None if value is MISSING else value, ensure_ascii=False, separators=(",", ":"))


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": equal,
    "ne": lambda value, wanted: not equal(value, wanted),
    "in": lambda value, wanted: any(equal(value, one) for one in wanted),
    "not_in": lambda value, wanted: not any(equal(value, one) for one in wanted),
    "contains": _contains,
    "not_contains": lambda value, wanted: not any(_contains(value, one) for one in (wanted if isinstance(wanted, list) else [wanted])),
    "prefix": lambda value, wanted: isinstance(value, str) and value.startswith(wanted),
    "suffix": lambda value, wanted: isinstance(value, str) and value.endswith(wanted),
    "matches": lambda value, wanted: isinstance(value, str) and re.search(wanted, value) is not None,
    "substring_of": lambda value, wanted: isinstance(value, str) and value in wanted,
    "len": lambda value, wanted: _length(value) == wanted,
    "len_ge": lambda value, wanted: _length(value) >= wanted,
    "len_le": lambda value, wanted: _length(value) <= wanted,
    "len_gt": lambda value, wanted: _length(value) > wanted,
    "gt": lambda value, wanted: _number(value) > _number(wanted),
    "ge": lambda value, wanted: _number(value) >= _number(wanted),
    "lt": lambda value, wanted: _number(value) < _number(wanted),
    "le": lambda value, wanted: _number(value) <= _number(wanted),
    "empty": lambda value, wanted: _is_empty(value) is bool(wanted),
    "not_empty": lambda value, wanted: _is_empty(value) is not bool(wanted),
    "present": lambda value, wanted: (value is not MISSING and value is not None) is bool(wanted),
    "absent": lambda value, wanted: (value is MISSING or value is None) is bool(wanted),
    "same_elements": _same_elements,
    "json_eq": _json_equal,
    "json_contains": lambda value, wanted: str(wanted) in as_json(value),
    "json_not_contains": lambda value, wanted: str(wanted) not in as_json(value),
    "$all": lambda value, wanted: all(matches(value, one) for one in wanted),
}
