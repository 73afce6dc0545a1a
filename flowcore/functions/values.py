"""Values of Python and the texts that workflows pass: annotations decide how a text is read, pydantic reads it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import PurePath
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from flowcore.errors import UsageError
from flowcore.jsontypes import json_text


@lru_cache(maxsize=1024)
def annotations_of(function: Callable[..., object]) -> Mapping[str, Any]:
    """The annotations of a function, resolved, without what ``Annotated`` adds; those that cannot be resolved are left out."""
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        hints = {name: hint for name, hint in getattr(function, "__annotations__", {}).items() if not isinstance(hint, str)}
    return hints


def is_path(kind: object) -> bool:
    """Whether the annotation means a file: ``Path``, or ``Path | None``."""
    if get_origin(kind) is Annotated:
        return is_path(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return any(is_path(each) for each in get_args(kind)) and all(is_path(each) or each is type(None) for each in get_args(kind))
    return inspect.isclass(kind) and issubclass(kind, PurePath)


def fields_of(kind: object) -> dict[str, Any]:
    """The fields of a dataclass, named tuple, typed dictionary or model; none of any other type."""
    if not inspect.isclass(kind):
        return {}
    if issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    if dataclasses.is_dataclass(kind) or is_typeddict(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields")):
        return get_type_hints(kind)
    return {}


def value_from(text: str, kind: object) -> object:
    """What ``text`` is for an argument that is annotated with ``kind``: the text itself, or the JSON in it. Raises UsageError."""
    if kind in (str, Any, inspect.Parameter.empty):
        return text
    adapter = _adapter(kind)
    try:
        return adapter.validate_python(text)
    except ValidationError as first:
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            told = first if _is_no_json(text) else error
            raise UsageError(f"{_first(told)}, got {text[:60]!r}") from None


def _is_no_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def _first(error: ValidationError) -> str:
    detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place}: {detail['msg']}" if place else detail["msg"]


@lru_cache(maxsize=1024)
def _hashable_adapter(kind: Any) -> TypeAdapter[object]:
    return TypeAdapter(kind)


def _adapter(kind: Any) -> TypeAdapter[object]:
    try:
        return _hashable_adapter(kind)
    except TypeError:  # annotations with lists in them have no hash
        return TypeAdapter(kind)


def text_from(value: object) -> str:
    """The text of a value: a text as it is, all else as JSON, as workflows pass it."""
    if isinstance(value, str) and type(value) is str:
        return value
    plain = to_jsonable_python(value, fallback=str)
    return plain if isinstance(plain, str) else json_text(plain)


def fields_in(value: object) -> dict[str, object]:
    """The fields of a value of one of those types that ``fields_of`` knows."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


__all__ = ["annotations_of", "fields_in", "fields_of", "is_path", "text_from", "value_from"]
