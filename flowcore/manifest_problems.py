"""What is wrong with the form of a document, in words: wrong types as pydantic finds them, and unknown fields with what was probably meant.

Called by ``flowcore.manifests``, which adds file and line.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import ValidationError

from flowcore.errors import Problem
from flowcore.jsontypes import Json, JsonObject
from flowcore.models import Model, Step
from flowcore.models.base import any_string, written_names
from flowcore.yaml import dotted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]

_EXPECTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "any_string_type": "a text, a number or a bool",
    "int_or_string_type": "a whole number or a text",
    "number_type": "a number",
}
_RANGE = {"greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le", "greater_than": "gt"}


def mended(data: JsonObject, error: ValidationError, *, lenient: bool) -> tuple[JsonObject, list[Problem]]:
    """A copy of ``data`` without the values that have the wrong type, so that the rest can be looked at, and a problem for each of them.

    ``lenient`` takes what Argo takes: bools and numbers for texts (save in steps), while lists and mappings as parameter values vanish.
    """
    patched, problems = copy.deepcopy(data), []
    for detail in error.errors(include_url=False):
        kind, value = detail["type"], detail["input"]
        soft = _filler(kind)
        if lenient and kind == "string_type" and isinstance(value, (bool, int, float)) and "steps" not in detail["loc"]:
            soft = str(any_string(value))
        elif not lenient or kind != "any_string_type":
            problems.append(_wrong_type(detail))
        _put(patched, detail["loc"], soft)
    return patched, problems


def _filler(kind: str) -> Json:
    """Something of the right type: null is absent in a mapping, but has no place in a list."""
    fillers: dict[str, Json] = {"string_type": "", "list_type": [], "model_type": {}, "dict_type": {}, "env_type": {}, "number_type": 0}
    return fillers.get(kind)


def _put(data: Json, path: Path, value: Json) -> None:
    holder, last = holder_at(data, path[:-1]), path[-1]
    if isinstance(holder, dict):
        holder[str(last)] = value
    elif isinstance(holder, list) and isinstance(last, int):
        holder[last] = "" if value is None else value


def holder_at(data: Json, path: Path) -> Json:
    """What stands at ``path``, as far as it leads."""
    for step in path:
        if isinstance(data, dict):
            data = data.get(str(step))
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
    return data


def _wrong_type(detail: ErrorDetails) -> Problem:
    kind, value, path = detail["type"], detail["input"], tuple(detail["loc"])
    if kind in _EXPECTED:
        if _is_step_group(path) and isinstance(value, dict):
            return Problem(
                "a step group is a list of steps, got a single mapping",
                dotted(path),
                remedy='begin the step with two dashes: "- - name: ..."',
                rule="step-group",
            )
        expected = _EXPECTED[kind]
        return Problem(f"expected {expected}, got {described(value)}", dotted(path), remedy=_remedy(expected, value), rule="type")
    if kind in _RANGE:
        bound = detail.get("ctx", {}).get(_RANGE[kind])
        return Problem(f"{described(value)} is out of range (limit {bound})", dotted(path), rule="range")
    return Problem(detail["msg"].removeprefix("Input should be ").removeprefix("Value error, "), dotted(path), rule="type")


def _is_step_group(path: Path) -> bool:
    return len(path) >= 2 and path[-2] == "steps" and isinstance(path[-1], int)


def described(value: object) -> str:
    """What a value is, for a message: ``the number 5``, ``a list``, ``the text "x"``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:40] + "..."
        return f"the text {json.dumps(shown, ensure_ascii=False)}"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return "nothing" if value is None else type(value).__name__


def _remedy(expected: str, value: object) -> str | None:
    if expected == "a text" and isinstance(value, bool):
        return "words such as yes, no, on, off, y and n are bools in YAML: put it in quotes if a text is meant"
    if expected == "a text" and isinstance(value, (int, float)):
        return f'put it in quotes: "{value}"'
    if expected.startswith("a text, a number") and isinstance(value, (list, dict)):
        return "pass lists and mappings as JSON text in quotes: '" + _example(value) + "'"
    if expected in ("a whole number", "true or false") and isinstance(value, str):
        return "remove the quotes" if value.lstrip("-").isdigit() or value in ("true", "false") else None
    if expected == "a list" and value is not None:
        return 'a list has a dash before each element: "- ..."'
    if expected == "a text" and isinstance(value, dict):
        return 'a value that begins with {{ needs quotes: "{{...}}"' if _looks_like_tag(value) else None
    return None


def _example(value: list[Json] | dict[str, Json]) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _looks_like_tag(value: dict[str, Json]) -> bool:
    return len(value) == 1 and all(item is None for item in value.values())


def unknown_fields(model: Model, *, only_steps: bool = False) -> Iterator[Problem]:
    """One problem for each field that no Argo structure has; with ``only_steps`` those alone that Argo itself never lets pass."""
    for path, part in parts_with_unknown_fields(model):
        if only_steps and type(part) is not Step:
            continue
        for key in part.model_extra or ():
            remedy = _meant(key, _written(part))
            yield Problem(f'unknown field "{key}"', dotted((*path, key)), remedy=remedy, rule="unknown-field")


def respelt(data: JsonObject, model: Model) -> JsonObject | None:
    """A copy of ``data`` with field names in their proper case, or None if all are: Argo's controller does not look at case."""
    patched: JsonObject | None = None
    for path, part in parts_with_unknown_fields(model):
        proper = {name.lower(): name for name in _written(part)} if part.model_extra else {}
        for key in part.model_extra or ():
            if key.lower() in proper and type(part) is not Step:
                patched = copy.deepcopy(data) if patched is None else patched
                _rename(patched, path, key, proper[key.lower()])
    return patched


def _rename(data: Json, path: Path, old: str, new: str) -> None:
    holder = holder_at(data, path)
    if isinstance(holder, dict) and old in holder:
        holder.setdefault(new, holder.pop(old))


def parts_with_unknown_fields(model: Model) -> Iterator[tuple[Path, Model]]:
    """The models at and below ``model`` that have unknown fields, with their paths."""
    return _parts(model, ())


def _parts(value: object, path: Path) -> Iterator[tuple[Path, Model]]:
    if isinstance(value, Model):
        if value.model_extra:
            yield path, value
        written = written_names(type(value))
        for name, item in value.__dict__.items():
            if isinstance(item, (Model, list, dict)):
                yield from _parts(item, (*path, written[name]))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, (Model, list)):
                yield from _parts(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, Model):
                yield from _parts(item, (*path, key))


def _written(model: Model) -> list[str]:
    return list(written_names(type(model)).values())


def _meant(key: str, names: list[str]) -> str | None:
    """What was probably meant by ``key``."""
    plain = {name.lower(): name for name in names}
    folded = key.lower().replace("_", "").replace("-", "")
    close = difflib.get_close_matches(folded, plain, n=1, cutoff=0.7)
    return f"did you mean {plain[close[0]]}?" if close else None
