"""The entrance for text: YAML or JSON to JSON data, within bounds. Errors are ``InvalidWorkflow`` with line, column and remedy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from flowcore.errors import InvalidWorkflow, Problem
from flowcore.jsontypes import Json, JsonObject
from flowcore.yaml import scalars
from flowcore.yaml.bounds import Limits, Path, Place, invalid, is_text, not_text, split_path, too_deep, too_long, too_many
from flowcore.yaml.compose import Documents

_HELM = re.compile(r"\{\{-|\{\{\s*(?:\.[A-Z]|\$|/\*|(?:if|range|with|end|else|include|template|define|tpl|toYaml)\b)")
_JINJA = re.compile(r"\{%")


@dataclass
class Parsed:
    """One document: its data, warnings about its form, and where things stand in the text.

    A document that is an item of a list stands at ``base`` in ``whole``.
    """

    json: Json
    text: str = field(repr=False)
    problems: list[Problem] = field(default_factory=list)
    _places: dict[Path, Place] | None = None
    base: Path = ()
    whole: Parsed | None = None

    def locate(self, path: str | Path) -> Place | None:
        """Line and column (from 1) of the value at ``path``, or of the nearest thing around it."""
        steps = self.base + (split_path(path) if isinstance(path, str) else path)
        places = (self.whole or self).places
        while steps not in places and steps:
            steps = steps[:-1]
        return places.get(steps)

    def items(self, kind: str) -> Iterator[Parsed]:
        """The documents of a list, each of ``kind`` unless it says what it is."""
        listed = self.json.get("items") if isinstance(self.json, dict) else None
        for index, item in enumerate(listed if isinstance(listed, list) else []):
            data = {"kind": kind, **item} if isinstance(item, dict) and kind else item
            yield Parsed(data, self.text, self.problems if index == 0 else [], base=("items", index), whole=self)

    @cached_property
    def places(self) -> dict[Path, Place]:
        """The line and column of every value; of a mapping's value, those of its key."""
        if self._places is not None:
            return self._places
        try:  # JSON was read by a faster parser, which does not say where things are
            return next(iter(Documents(self.text, Limits())))[2]
        except (InvalidWorkflow, StopIteration):
            return {}


def read(text: str, *, file: str | None = None, limits: Limits | None = None) -> list[Parsed]:
    """All documents of a YAML or JSON text; empty ones are left out. Raises InvalidWorkflow, naming ``file`` and line."""
    limits = limits or Limits()
    try:
        if text.lstrip("\ufeff \t\r\n").startswith("{"):
            parsed = _read_json(text.lstrip("\ufeff"), limits)
            if parsed is not None:
                return [parsed]
        if len(text) > limits.yaml_size:
            raise invalid(f"the text has {len(text):,} characters; {limits.yaml_size:,} are read", rule="too-large")
        documents = [Parsed(data, text, problems, places) for data, problems, places in Documents(text, limits)]
    except InvalidWorkflow as error:
        remedy = _rendered_first(text)
        raise InvalidWorkflow([replace(problem, file=file, remedy=remedy or problem.remedy) for problem in error.problems]) from None
    return [document for document in documents if document.json is not None]


def _rendered_first(text: str) -> str | None:
    """What to do with a text that only becomes YAML."""
    if _HELM.search(text):
        return "it is a template of Helm: render it first, with helm template"
    return "it is a template of Jinja or the like: render it first" if _JINJA.search(text) else None


def _read_json(text: str, limits: Limits) -> Parsed | None:
    """The document, or None if it is no JSON (a YAML flow mapping begins alike)."""
    if len(text) > limits.json_size:
        raise invalid(f"the text has {len(text):,} characters; {limits.json_size:,} are read", rule="too-large")
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Json]]) -> JsonObject:
        mapping = dict(pairs)
        if len(mapping) < len(pairs):
            names = [key for key, _ in pairs]
            repeated.extend(sorted({key for key in names if names.count(key) > 1}))
        return mapping

    try:
        data = json.loads(text, object_pairs_hook=unique, parse_int=_json_number, parse_float=_json_number, parse_constant=_json_number)
    except RecursionError:
        raise too_deep(limits) from None
    except json.JSONDecodeError:
        return None
    check_data(data, limits)
    problems = [
        Problem(f'the key "{key}" is given twice; the last one counts', severity="warning", rule="duplicate-key") for key in repeated
    ]
    return Parsed(data, text, problems)


def _json_number(text: str) -> int | float:
    value = scalars.number(text) if len(text) < 400 else None
    if value is None:
        shown = text if len(text) <= 20 else f"{text[:20]}... ({len(text)} characters)"
        raise invalid(f"the number {shown} is too large", remedy="write it as a text", rule="number")
    return value


def check_data(data: Json, limits: Limits) -> None:
    """Hold data that is no text any more to the bounds on depth, scalars and values. Raises InvalidWorkflow."""
    level, depth, count = [data], 0, 0
    while level:
        depth, count = depth + 1, count + len(level)
        if depth > limits.depth:
            raise too_deep(limits)
        below: list[Json] = []
        for value in level:
            if isinstance(value, str) and len(value) > limits.scalar_size:
                raise too_long(len(value), limits)
            if isinstance(value, str) and not is_text(value):
                raise not_text()
            if isinstance(value, dict):
                below.extend(value.keys())
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        level = below
    if count > limits.values * 10:
        raise too_many(limits.values * 10)
