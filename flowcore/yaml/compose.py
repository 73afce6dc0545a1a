"""YAML text to JSON data with the place of every value. Called by the reader, and to find the lines of a JSON text.

The parser's events are put together here rather than by the YAML library, so that bounds, duplicate keys, aliases, places and Kubernetes'
reading of scalars live in one spot.
"""

from __future__ import annotations

import base64
import binascii
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError

from flowcore.errors import InvalidWorkflow, Problem
from flowcore.jsontypes import Json, JsonObject
from flowcore.yaml import scalars
from flowcore.yaml.bounds import Limits, Path, Place, dotted, invalid, is_text, not_text, too_deep, too_long, too_many


@dataclass(slots=True)
class _Anchored:
    value: Json
    values: int
    size: int


_OPEN = _Anchored(None, 0, 0)  # an anchor whose value is still being read


class Documents:
    """The documents of a text, one after the other: data, warnings, places. Raises InvalidWorkflow at the first fault."""

    def __init__(self, text: str, limits: Limits) -> None:
        self.text, self.limits = text, limits
        self.events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(text))
        self.values = self.size = self.aliased = 0
        self.anchors: dict[str, _Anchored] = {}
        self.places: dict[Path, Place] = {}
        self.problems: list[Problem] = []

    def __iter__(self) -> Iterator[tuple[Json, list[Problem], dict[Path, Place]]]:
        while not isinstance(event := self._next(), StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                self.anchors, self.places, self.problems = {}, {}, []
                yield self._value(self._next(), ()), self.problems, self.places

    def _next(self) -> Event:
        try:
            return next(self.events)
        except (YAMLError, ValueError, IndexError, AttributeError) as error:
            raise _syntax(error, self.text) from None

    def _value(self, event: Event, path: Path, place: Place | None = None) -> Json:
        """The value that begins with ``event``; ``place`` is where its key stands."""
        here = _place(event)
        self.places[path] = place or here
        self._count(here, path)
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        anchor, values, size = cast("NodeEvent", event).anchor, self.values, self.size
        if anchor:
            self.anchors[anchor] = _OPEN
        if isinstance(event, ScalarEvent):
            value: Json = self._scalar(event, path)
        elif len(path) >= self.limits.depth:
            raise too_deep(self.limits, here, path)
        elif isinstance(event, SequenceStartEvent):
            value = self._sequence(path)
        else:
            value = self._mapping(event, path)
        if anchor:
            self.anchors[anchor] = _Anchored(value, self.values - values + 1, self.size - size)
        return value

    def _count(self, place: Place, path: Path, values: int = 1) -> None:
        self.values += values
        if self.values > self.limits.values:
            raise too_many(self.limits.values, place, path)

    def _alias(self, event: AliasEvent, path: Path) -> Json:
        here = _place(event)
        anchored = self.anchors.get(event.anchor)
        if anchored is None:
            raise invalid(f"the alias *{event.anchor} has no anchor &{event.anchor} before it", here, path=path)
        if anchored is _OPEN:
            raise invalid(f"the alias *{event.anchor} stands inside of what it names", here, path=path)
        self._count(here, path, anchored.values)
        self.aliased += anchored.size
        if self.aliased > self.limits.aliased_size:
            raise invalid(
                f"aliases make the document larger than {self.limits.aliased_size:,} characters", here, path=path, rule="too-large"
            )
        return copy.deepcopy(anchored.value)

    def _sequence(self, path: Path) -> list[Json]:
        items: list[Json] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, start: Event, path: Path) -> JsonObject:
        mapping: JsonObject = {}
        merged: JsonObject = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            if isinstance(event, ScalarEvent) and event.value == "<<" and event.implicit[0]:
                merged = {**self._merged(self._next(), (*path, "<<")), **merged}
                continue
            key, place = self._key(event, start, path), _place(event)
            if key in mapping:
                self._duplicate(key, place, path)
            mapping[key] = self._value(self._next(), (*path, key), place)
        return {**merged, **mapping} if merged else mapping

    def _merged(self, event: Event, path: Path) -> JsonObject:
        """What a merge key brings in; of several mappings, the first has the last word."""
        value = self._value(event, path)
        sources = value if isinstance(value, list) else [value]
        out: JsonObject = {}
        for source in reversed(sources):
            if not isinstance(source, dict):
                raise invalid("a merge key << takes a mapping or a list of mappings", _place(event), path=path)
            out.update(source)
        return out

    def _duplicate(self, key: str, place: Place, path: Path) -> None:
        line, column = place
        message = f'the key "{key}" is given twice; the last one counts'
        first = self.places.get((*path, key))
        remedy = f"the first one is on line {first[0]}" if first else None
        self.problems.append(Problem(message, dotted((*path, key)), None, line, column, remedy, "warning", "duplicate-key"))

    def _key(self, event: Event, start: Event, path: Path) -> str:
        self._count(_place(event), path)
        if not isinstance(event, (AliasEvent, ScalarEvent)):
            raise invalid("a mapping or a list cannot be a key", _place(start), path=path, remedy=_QUOTE_TAG)
        if isinstance(event, AliasEvent):
            value = self._alias(event, path)
        else:
            value = self._scalar(event, path)
            if event.anchor:
                self.anchors[event.anchor] = _Anchored(value, 1, len(event.value))
        if value is None or isinstance(value, (dict, list)):
            raise invalid("null, a mapping or a list cannot be a key", _place(event), path=path)
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else str(value)

    def _scalar(self, event: ScalarEvent, path: Path) -> Json:
        text: str = event.value
        self.size += len(text)
        if len(text) > self.limits.scalar_size:
            raise too_long(len(text), self.limits, _place(event), path)
        if not is_text(text):
            text = _joined(text)
            if not is_text(text):
                raise not_text(path, _place(event))
        tag = event.tag
        try:
            if tag is None or tag == "!":
                return scalars.plain(text) if event.implicit[0] and tag is None else text
            return _tagged(str(tag), text)
        except scalars.NotFinite:
            raise invalid(f"{text} is no number that JSON can hold", _place(event), path=path, remedy="put it in quotes") from None
        except ValueError as error:
            raise invalid(str(error), _place(event), path=path) from None


def _joined(text: str) -> str:
    """Characters that were written as surrogate pairs, as JSON does."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _tagged(tag: str, text: str) -> Json:
    """The value of a scalar with an explicit tag. Raises ValueError for tags that are not YAML's own, and for what they do not fit."""
    name = tag.removeprefix("tag:yaml.org,2002:")
    if name in ("str", "timestamp"):
        return text
    if name == "binary":
        try:
            return base64.b64decode(text, validate=False).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ValueError("!!binary is not text in base64") from None
    value = scalars.plain(text)
    fits = {"int": type(value) is int, "float": type(value) in (int, float), "bool": isinstance(value, bool), "null": value is None}
    if name not in fits:
        raise ValueError(f"the tag {tag} is not known here")
    if not fits[name]:
        raise ValueError(f"{text[:40]} is no !!{name}")
    return value


def _place(event: Event) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1)


_QUOTE_TAG = 'a value that begins with {{ needs quotes: "{{...}}"; or write <<...>>, which needs none'
_UNQUOTED_TAG = re.compile(r"(?:^|[:\-,\[]\s+)\{\{")


def _syntax(error: Exception, text: str) -> InvalidWorkflow:
    """What the parser objects to, in one line, with a remedy for the usual mistakes."""
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        shown = f"U+{ord(error.character):04X}" if isinstance(error.character, str) else f"U+{error.character:04X}"
        return invalid(f"not YAML: the character {shown} is not allowed", (line, error.position - text.rfind("\n", 0, error.position)))
    if not isinstance(error, MarkedYAMLError):
        return invalid(f"not YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    mark = error.problem_mark or error.context_mark
    place = (mark.line + 1, mark.column + 1) if mark else None
    message = ", ".join(part for part in (error.context, error.problem) if part)
    return invalid(f"not YAML: {message}", place, remedy=_remedy(text, place))


def _remedy(text: str, place: Place | None) -> str | None:
    lines = text.splitlines()
    if place is None or place[0] > len(lines):
        return None
    near = lines[max(place[0] - 2, 0) : place[0]]
    if any(_UNQUOTED_TAG.search(line) for line in near):
        return _QUOTE_TAG
    if "\t" in near[-1][: place[1]]:
        return "indent with spaces, not with tabs"
    return None
