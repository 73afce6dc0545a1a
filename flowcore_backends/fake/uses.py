"""What the outputs of leaves are used for: found in the text of a workflow, so that values that stand in for them fit their places.

``uses_of`` is called once for a run by the fake executor when it is to make values up. An output that a ``withParam`` loops over has to be a
JSON list, one that is compared with ``<`` a number. What is wanted of an output is followed back through arguments, inputs and the outputs
of Steps and DAGs to the leaf that makes it; where the way is lost, nothing is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.ports import Catalog

_MOST_TEMPLATES, _MOST_WISHES = 10_000, 100_000


class Shape(Enum):
    """The forms that a value may have to have."""

    NUMBER = "number"
    LIST = "list"
    MAPPING = "mapping"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a value has to be; ``keys`` are those that a mapping, or each element of a list, has to have."""

    shape: Shape
    keys: tuple[str, ...] = ()


OutputKey: TypeAlias = tuple[str, str, str]  # template, step or task, output parameter ("" is the result)
_Scope: TypeAlias = tuple[str, str]  # kind and name of the document that templates are looked up in; empty for the workflow
_Place: TypeAlias = tuple[_Scope, str]  # a template
RESULT = ""

_QUOTED = r"""\[\s*['"]([\w.-]+)['"]\s*\]"""
_REFERENCE = re.compile(
    rf"(?:steps|tasks)\s*(?:\.([\w-]+)|{_QUOTED})\.outputs\.(?:(result)\b|parameters(?:\.([\w-]+)|{_QUOTED}))"
    rf"|\binputs\.parameters(?:\.([\w-]+)|{_QUOTED})"
)
_TAG = re.compile(r"\{\{=?([^{}]*)\}\}|<<=?([^<>]*)>>")
_ITEM = re.compile(r"\{\{=?\s*item\s*\}\}|<<=?\s*item\s*>>")
_ITEM_KEY = re.compile(r"\bitem\.([\w-]+)")
_BEFORE = re.compile(r"(?:<=?|>=?|[*/%+])\s*$")
_AFTER = re.compile(r"\s*(?:<=?(?!<)|>=?(?!>)|[*/%+])")
_READ_AS = re.compile(r"\b(asInt|asFloat|int|float|fromJson|fromJSON|jsonpath)\s*\(([^(),]+)[,)]")
_PATH_KEY = re.compile(r"""\bjsonpath\s*\([^(),]+,\s*['"]\$\.?([\w-]+)""")


def uses_of(spec: JsonObject, catalog: Catalog) -> Mapping[OutputKey, Wish]:
    """What is wanted of the outputs of the leaves of a workflow; ``catalog`` has the templates that it refers to."""
    return _Survey(spec, catalog).run()


class _Survey:
    """All templates that can be reached, who calls them with what, and the wishes that are still to be followed."""

    def __init__(self, spec: JsonObject, catalog: Catalog) -> None:
        self._catalog = catalog
        self._documents = {("", ""): _by_name(spec)}
        self._templates: dict[_Place, JsonObject] = {}
        self._calls: dict[_Place, dict[str, JsonObject]] = {}
        self._callers: dict[_Place, list[tuple[_Place, JsonObject]]] = {}
        self._waiting: list[tuple[_Place, str, Wish]] = []
        self._found: dict[OutputKey, Wish] = {}

    def run(self) -> Mapping[OutputKey, Wish]:
        self._walk([(("", ""), name) for name in self._documents["", ""]])
        for place, template in self._templates.items():
            self._waiting += [(place, reference, wish) for reference, wish in _wishes(template)]
            for call in self._calls[place].values():
                self._waiting += [(place, reference, wish) for reference, wish in _wishes_of_call(call)]
        seen = set(self._waiting)
        while self._waiting:
            found = [each for each in self._followed(*self._waiting.pop()) if each not in seen]
            if len(seen) < _MOST_WISHES:
                seen.update(found)
                self._waiting += found
        return self._found

    def _walk(self, places: list[_Place]) -> None:
        while places and len(self._templates) < _MOST_TEMPLATES:
            place = places.pop()
            template = self._template(place)
            if place in self._templates or template is None:
                continue
            self._templates[place] = template
            self._calls[place] = {text_of(call, "name"): call for call in calls_of(template)}
            for call in self._calls[place].values():
                target = _target(place, call)
                self._callers.setdefault(target, []).append((place, call))
                places.append(target)

    def _template(self, place: _Place) -> JsonObject | None:
        scope, name = place
        if scope not in self._documents:
            self._documents[scope] = _by_name(object_of(self._catalog.get(*scope) or {}, "spec"))
        if "/" in name:  # an inline template: the caller's name and the step's
            caller, _, step = name.rpartition("/")
            calls = self._calls.get((scope, caller), {})
            return object_of(calls[step], "inline") if step in calls else None
        return self._documents[scope].get(name)

    def _followed(self, place: _Place, reference: str, wish: Wish) -> Iterator[tuple[_Place, str, Wish]]:
        """Where a wish that ``reference`` has in a template goes next; at a leaf it is kept."""
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return
        step, name = match[1] or match[2], match[4] or match[5] or RESULT
        if step is None:
            yield from self._passed_in(place, match[6] or match[7], wish)
            return
        call = self._calls[place].get(step)
        target = _target(place, call) if call else None
        template = self._templates.get(target) if target else None
        inner = _of_element(wish) if call and _loops(call) else wish
        if call is None or target is None or template is None or inner is None:
            return
        if next(calls_of(template), None) is None:
            self._keep(("" if "inline" in call else target[1], step, name), inner)
            return
        for output in objects_of(object_of(template, "outputs"), "parameters"):
            if text_of(output, "name") == name:
                source = object_of(output, "valueFrom")
                yield from ((target, way, inner) for way in _references(text_of(source, "parameter") or text_of(source, "expression")))

    def _keep(self, key: OutputKey, wish: Wish) -> None:
        """One output may be used in several places; the first says its form, and all of them which keys it has."""
        known = self._found.get(key, wish)
        keys = known.keys if known.shape is not wish.shape else tuple(sorted({*known.keys, *wish.keys}))
        self._found[key] = Wish(known.shape, keys)

    def _passed_in(self, place: _Place, name: str, wish: Wish) -> Iterator[tuple[_Place, str, Wish]]:
        for caller, call in self._callers.get(place, ()):
            for argument in objects_of(object_of(call, "arguments"), "parameters"):
                if text_of(argument, "name") != name:
                    continue
                value = text_of(argument, "value")
                yield from ((caller, way, wish) for way in _references(value))
                if wish.shape is Shape.MAPPING and _ITEM.fullmatch(value.strip()):
                    yield from ((caller, way, Wish(Shape.LIST, wish.keys)) for way in _references(text_of(call, "withParam")))


def _by_name(spec: JsonObject) -> dict[str, JsonObject]:
    return {text_of(template, "name"): template for template in objects_of(spec, "templates")}


def calls_of(template: JsonObject) -> Iterator[JsonObject]:
    """The steps and tasks of a template."""
    groups = template.get("steps")
    for group in groups if isinstance(groups, list) else []:
        yield from (step for step in (group if isinstance(group, list) else []) if isinstance(step, dict))
    yield from objects_of(object_of(template, "dag"), "tasks")


def _target(place: _Place, call: JsonObject) -> _Place:
    reference = object_of(call, "templateRef")
    if reference:
        kind = "ClusterWorkflowTemplate" if reference.get("clusterScope") else "WorkflowTemplate"
        return (kind, text_of(reference, "name")), text_of(reference, "template")
    if "inline" in call:
        return place[0], f"{place[1]}/{text_of(call, 'name')}"
    return place[0], text_of(call, "template")


def _loops(call: JsonObject) -> bool:
    return any(key in call for key in ("withItems", "withParam", "withSequence"))


def _of_element(wish: Wish) -> Wish | None:
    """What is wanted of each of the outputs that together are the list of a loop."""
    return Wish(Shape.MAPPING, wish.keys) if wish.shape is Shape.LIST and wish.keys else None


def _references(text: str) -> Iterator[str]:
    """The reference that ``text`` is, as a tag or plain; nothing if it is more than that."""
    match = _TAG.fullmatch(text.strip())
    inner = ((match[1] or match[2] or "") if match else text).strip()
    if _REFERENCE.fullmatch(inner):
        yield inner


def _wishes_of_call(call: JsonObject) -> Iterator[tuple[str, Wish]]:
    """What a step or task wants of the outputs and inputs that it refers to."""
    keys = tuple(sorted({key for text in _texts(call) for key in _ITEM_KEY.findall(text)}))
    for reference in _references(text_of(call, "withParam")):
        yield reference, Wish(Shape.LIST, keys)
    sequence = object_of(call, "withSequence")
    for name in ("count", "start", "end"):
        yield from ((reference, Wish(Shape.NUMBER)) for reference in _references(text_of(sequence, name)))
    condition = text_of(call, "when")
    for match in _TAG.finditer(condition):
        if _BEFORE.search(condition[: match.start()]) or _AFTER.match(condition, match.end()):
            yield from ((reference, Wish(Shape.NUMBER)) for reference in _references(match[0]))
    yield from _wishes_of_expressions(call)


def _wishes(template: JsonObject) -> Iterator[tuple[str, Wish]]:
    """What the other fields of a template want."""
    numbers = [
        text_of(object_of(template, "suspend"), "duration"),
        text_of(object_of(template, "retryStrategy"), "limit"),
        text_of(template, "activeDeadlineSeconds"),
    ]
    for text in numbers:
        yield from ((reference, Wish(Shape.NUMBER)) for reference in _references(text))
    if next(calls_of(template), None) is None:
        yield from _wishes_of_expressions(template)
    else:
        yield from _wishes_of_expressions(object_of(template, "outputs"))


def _wishes_of_expressions(value: JsonObject) -> Iterator[tuple[str, Wish]]:
    for text in _texts(value):
        keys = tuple(sorted(set(_PATH_KEY.findall(text))))
        for match in _READ_AS.finditer(text):
            shape = {"jsonpath": Shape.MAPPING, "fromJson": Shape.LIST, "fromJSON": Shape.LIST}.get(match[1], Shape.NUMBER)
            yield from ((reference, Wish(shape, keys if shape is Shape.MAPPING else ())) for reference in _references(match[2]))


def _texts(value: Json) -> Iterator[str]:
    """Every text in ``value``."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


__all__ = ["RESULT", "OutputKey", "Shape", "Wish", "calls_of", "uses_of"]
