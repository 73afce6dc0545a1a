"""What a text from strangers may cost, the paths of values in it, and the errors of reading: shared by the readers of YAML and JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TypeAlias

from flowcore.errors import InvalidWorkflow, Problem

Path: TypeAlias = tuple[str | int, ...]
Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one text may cost: characters of YAML and of JSON, characters of one scalar, nesting, and values (aliases counted as copies)."""

    yaml_size: int = 5_000_000
    json_size: int = 64_000_000
    scalar_size: int = 1_000_000
    depth: int = 100
    values: int = 500_000
    aliased_size: int = 5_000_000


_PATH_STEP = re.compile(r'\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|\.?([^.\[\]]+)')
_PLAIN_KEY = re.compile(r"[^.\[\]\"\s]+")


def dotted(path: Path) -> str:
    """A path as people write it: ``spec.templates[2].container``, ``metadata.labels["a.b/c"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def split_path(text: str) -> Path:
    """The steps of a path that ``dotted`` wrote."""
    steps: list[str | int] = []
    for index, quoted, name in _PATH_STEP.findall(text):
        steps.append(int(index) if index else name or json.loads(f'"{quoted}"'))
    return tuple(steps)


def invalid(message: str, place: Place | None = None, *, path: Path = (), remedy: str | None = None, rule: str = "yaml") -> InvalidWorkflow:
    line, column = place or (None, None)
    return InvalidWorkflow([Problem(message, dotted(path), None, line, column, remedy, rule=rule)])


def too_deep(limits: Limits, place: Place | None = None, path: Path = ()) -> InvalidWorkflow:
    return invalid(f"nested more than {limits.depth} levels deep", place, path=path[:8], rule="too-deep")


def too_long(size: int, limits: Limits, place: Place | None = None, path: Path = ()) -> InvalidWorkflow:
    message = f"a text of {size:,} characters; at most {limits.scalar_size:,} may stand in a document"
    return invalid(message, place, path=path, remedy="pass large data as an artifact", rule="too-large")


def too_many(limit: int, place: Place | None = None, path: Path = ()) -> InvalidWorkflow:
    return invalid(f"more than {limit:,} values, with aliases counted as copies", place, path=path, rule="too-large")


def not_text(path: Path = (), place: Place | None = None) -> InvalidWorkflow:
    """Half of a character: JSON and YAML can write such a thing, but it is no text."""
    return invalid("a text with half of a surrogate pair, which stands for no character", place, path=path, rule="text")


def is_text(value: str) -> bool:
    """Whether ``value`` consists of whole characters."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
