"""Rows of the form ``fn``, ``args``, ``expect``: calls what a function is in flowcore and holds the answer against the expectation."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flowcore.errors import FlowError
from tests.conformance.corpus import Case
from tests.conformance.matchers import check, look_up
from tests.conformance.verdicts import PartMissing, check_error, shown

Args = Mapping[str, Any]
Answer = dict[str, Any]
Function = Callable[[Args], Answer]


def play_row(case: Case, functions: Mapping[str, Function]) -> None:
    """Play one row: its error first, then every path of its expectation."""
    name, expect = case.data["fn"], case.data["expect"]
    if name not in functions:
        raise PartMissing(f"no player for the function {name}")
    where = f"{name}({shown(case.data['args'])})"
    try:
        answer, error = functions[name](_with_times(case.data["args"])), None
    except FlowError as refused:
        answer, error = {}, refused
    check_error(expect.get("error"), error, where)
    if error is not None:
        answer["isMissingVariableError"] = type(error).__name__ == "UnresolvedTag"
    for path, matcher in expect.items():
        if path != "error":
            check(look_up(answer, path), matcher, f"{path} of {where}")


def _with_times(value: Any) -> Any:
    """Arguments with ``{"$now": seconds}`` made into that time."""
    if isinstance(value, list):
        return [_with_times(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if value.keys() == {"$now"}:
        return (datetime.now(UTC) + timedelta(seconds=value["$now"])).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {key: _with_times(item) for key, item in value.items()}


def part(module: str, name: str) -> Any:
    """A function of the product; a missing one is told as such."""
    try:
        return getattr(importlib.import_module(f"flowcore.{module}"), name)
    except AttributeError:
        raise PartMissing(f"flowcore.{module}.{name}") from None
