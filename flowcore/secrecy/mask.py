"""``Mask``: the values of a run that must not be shown, and the marks that stand for them wherever something is shown or recorded.

A mark names what it stands for (``***sensitive:token***``, ``***secret:database/password***``), so that whoever drives a recorded run on can
put the value back. Pure: no file, no clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol, TypeVar, cast

from flowcore.jsontypes import Json, JsonObject, object_of, text_of
from flowcore.language.tags import has_tags
from flowcore.nodes import Node, RunRow, changed

T = TypeVar("T")
SENSITIVE_PARAMETERS = "flowcore.dev/sensitive-parameters"
MARK = re.compile(r"\*\*\*(sensitive|secret):([^*\s]+)\*\*\*")
# Shorter texts stand in too many places by chance; such a parameter is still masked where it stands under its own name.
_SHORTEST = 4
_ROW = ("name", "display_name", "message", "inputs", "outputs", "memoization")


def sensitive_names(*holders: JsonObject | dict[str, str] | None) -> frozenset[str]:
    """The names that the annotation of the first holder (annotations, by name) that has it lists, with commas between them."""
    for holder in holders:
        listed = (holder or {}).get(SENSITIVE_PARAMETERS)
        if isinstance(listed, str):
            return frozenset(name.strip() for name in listed.split(",") if name.strip())
    return frozenset()


def names_of(manifest: JsonObject, annotations: dict[str, str] | None = None) -> frozenset[str]:
    """The sensitive parameters of a workflow: its annotation says which, or that of its ``workflowMetadata``."""
    extra = object_of(object_of(object_of(manifest, "spec"), "workflowMetadata"), "annotations")
    return sensitive_names(annotations, object_of(object_of(manifest, "metadata"), "annotations"), extra)


class Mask:
    """What one run must not show. ``names`` are its sensitive parameters; values are learnt as they become known. False if there is nothing."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = frozenset(names)
        self._marks: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._fresh: list[tuple[str, str]] = []

    def __bool__(self) -> bool:
        return bool(self.names or self._values)

    def __repr__(self) -> str:
        return f"<Mask of {len(self._values)} values>"

    # --- learning -------------------------------------------------------------------------------------------------------------------

    def learn(self, value: str, kind: str, name: str) -> None:
        """Have ``value`` masked from now on, as the ``kind`` (sensitive or secret) called ``name``, also where it is JSON or a line of its own."""
        if not value or value in self._marks or MARK.fullmatch(value) or has_tags(value):
            return
        number = 1
        while f"***{_label(kind, name, number)}***" in self._values:
            number += 1
        label = _label(kind, name, number)
        for suffix, text in _variants(value):
            if text not in self._marks:
                self._remember(f"***{label}{suffix}***", text)

    def remember(self, marks: Iterable[tuple[str, str]]) -> None:
        """Take over marks and the values that they stand for."""
        for mark, value in marks:
            self._marks.setdefault(value, mark)
            self._values[mark] = value
        self._pattern = None

    def _remember(self, mark: str, value: str) -> None:
        self.remember([(mark, value)])
        if mark.startswith("***sensitive:"):
            self._fresh.append((mark, value))

    def learn_named(self, value: Json) -> None:
        """Learn the values of sensitive parameters anywhere in a document or a row."""
        if not self.names:
            return
        for holder in _objects(value):
            if holder.get("name") in self.names:
                for given in (holder.get("value"), holder.get("default"), object_of(holder, "valueFrom").get("default")):
                    if given is not None:
                        self.learn(_text(given), "sensitive", text_of(holder, "name"))

    def learn_rows(self, run: RunRow, nodes: Iterable[Node]) -> None:
        """Learn the sensitive parameters in rows that changed; called before anybody sees them."""
        if self.names:
            self.learn_named(run.outputs)
            for node in nodes:
                self.learn_named(node.inputs)
                self.learn_named(node.outputs)

    def fresh(self) -> list[tuple[str, str]]:
        """The marks of parameters that were learnt since this was asked last, with their values."""
        fresh, self._fresh = self._fresh, []
        return fresh

    # --- masking --------------------------------------------------------------------------------------------------------------------

    def text(self, text: str) -> str:
        """``text`` with marks in place of values."""
        if not self._values or not text:
            return text
        if self._pattern is None:
            known = sorted((re.escape(value) for value in self._marks if len(value) >= _SHORTEST), key=len, reverse=True)
            self._pattern = re.compile("|".join([MARK.pattern, *known]))
        return self._pattern.sub(lambda found: self._marks.get(found[0], found[0]), text)

    def json(self, value: T) -> T:
        """The same for a whole document; what has nothing to hide is given back as it is."""
        return cast("T", self._masked(cast("Json", value))) if self else value

    def _masked(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self._masked(item) for item in value]
        if not isinstance(value, dict):
            return value
        made = {self.text(key): self._masked(item) for key, item in value.items()}
        if value.get("name") in self.names:
            made |= {key: self._whole(value[key]) for key in ("value", "default") if value.get(key) is not None}
        return made

    def _whole(self, value: Json) -> Json:
        """The value of a sensitive parameter, however short it is."""
        text = _text(value)
        return self._marks.get(text) or self.text(text)

    def row(self, node: Node) -> Node:
        """A node's row, masked."""
        return changed(node, **{field: self.json(getattr(node, field)) for field in _ROW if getattr(node, field)}) if self else node

    def run(self, run: RunRow) -> RunRow:
        """A run's own row, masked."""
        return _with_run(run, self.json) if self else run

    # --- putting values back --------------------------------------------------------------------------------------------------------

    def opened(self, value: T) -> T:
        """``value`` (text, JSON, or a tuple of such) with values in place of their marks. Marks of unknown values stay."""
        return cast("T", self._opened(cast("Json", value)))

    def _opened(self, value: Json) -> Json:
        if isinstance(value, str):
            return MARK.sub(self._value_of, value) if "***s" in value else value
        if isinstance(value, list | tuple):
            return [self._opened(item) for item in value]
        if isinstance(value, dict):
            return {cast("str", self._opened(key)): self._opened(item) for key, item in value.items()}
        return value

    def _value_of(self, found: re.Match[str]) -> str:
        return self._values.get(found[0], self._values.get(f"***{found[1]}:{_first(found[2])}***", found[0]))

    def opened_row(self, node: Node) -> Node:
        """A recorded node's row as it was before it was masked."""
        return changed(node, **{field: self.opened(getattr(node, field)) for field in _ROW if getattr(node, field)})

    def opened_run(self, run: RunRow) -> RunRow:
        """A recorded run's own row as it was before it was masked."""
        return _with_run(run, self.opened)


NOTHING = Mask()


def marks_in(value: Json) -> Iterator[tuple[str, str]]:
    """The kind and the name of every mark in a document."""
    if isinstance(value, str):
        if "***s" in value:
            yield from ((found[1], found[2]) for found in MARK.finditer(value))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from marks_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from marks_in(key)
            yield from marks_in(item)


def _label(kind: str, name: str, number: int) -> str:
    return f"{kind}:{name}" if number == 1 else f"{kind}:{name}#{number}"


def _first(name: str) -> str:
    """The mark of the first value of a Secret: what was changed meanwhile is read anew."""
    stem, bar, variant = name.partition("|")
    return stem.partition("#")[0] + bar + variant


def _variants(value: str) -> Iterator[tuple[str, str]]:
    """The value itself, as a text within JSON, and its lines: output comes in lines, and a Secret's last one often ends."""
    yield "", value
    escaped = json.dumps(value)[1:-1]
    if escaped != value:
        yield "|json", escaped
    lines = value.splitlines()
    if len(lines) > 1 or lines[0] != value:
        yield from ((f"|{number}", line) for number, line in enumerate(lines, 1) if len(line) >= _SHORTEST)


def _objects(value: Json) -> Iterator[JsonObject]:
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)
    elif isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class _Change(Protocol):
    def __call__(self, value: T, /) -> T: ...


def _with_run(run: RunRow, change: _Change) -> RunRow:
    """A run's row with its texts changed."""
    return replace(
        run,
        message=change(run.message),
        outputs=change(run.outputs),
        labels=change(run.labels),
        annotations=change(run.annotations),
        conditions=tuple(change(condition) for condition in run.conditions),
    )


__all__ = ["MARK", "NOTHING", "SENSITIVE_PARAMETERS", "Mask", "marks_in", "names_of", "sensitive_names"]
