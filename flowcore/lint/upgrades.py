"""What a document does differently under the rules of two versions of Argo, as far as its text tells. Used by ``flowcore compat``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flowcore.errors import ExpressionError, Problem
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.language.expressions import compile_expression
from flowcore.language.tags import pure_reference, tags_in
from flowcore.lint.places import spec_of
from flowcore.manifests import Document
from flowcore.plan.semantics import Semantics

_OUTPUT = re.compile(r"(?:steps|tasks)\.([\w-]+)\.outputs\.(?:parameters\.([\w-]+)|result)")
_MAY_BE_NIL = re.compile(r"\[|\?\.|\b(find|findLast|get|first|last|min|max)\(|\bnil\b")
_SINGULAR = ("mutex", "semaphore")


def upgrade_changes(document: Document, before: Semantics, after: Semantics) -> list[Problem]:
    """What changes for ``document``, each with its place, as warnings; what is refused under ``after`` as errors."""
    path, spec = spec_of(document)
    found: list[Problem] = []
    if before.singular_fields and not after.singular_fields:
        found += _singular_fields(document, path, spec)
    if _rule(before) != _rule(after):
        for index, template in enumerate(objects_of(spec, "templates")):
            found += _Calls(spec, template, f"{path}.templates[{index}]", before, after).changes()
    if before.nil_outputs_fail != after.nil_outputs_fail:
        found += _nil_outputs(spec, path, before, after)
    return [document.placed(problem) for problem in found]


def _rule(semantics: Semantics) -> tuple[bool, bool]:
    return semantics.waits_for_references, semantics.absent_outputs


def _singular_fields(document: Document, path: str, spec: JsonObject) -> Iterator[Problem]:
    holders = [(path, spec), *((f"{path}.templates[{index}]", body) for index, body in enumerate(objects_of(spec, "templates")))]
    for place, body in holders:
        lock = object_of(body, "synchronization")
        yield from (_removed(f"{place}.synchronization.{name}", name) for name in _SINGULAR if name in lock)
    if "podPriority" in spec:
        yield _removed(f"{path}.podPriority", "podPriority", "name a PriorityClass in podPriorityClassName")
    if document.kind == "CronWorkflow" and "schedule" in object_of(document.json, "spec"):
        yield _removed("spec.schedule", "schedule")


def _removed(path: str, name: str, remedy: str = "flowcore convert writes the list that is read now") -> Problem:
    return Problem(f"{name} is not read any more since 4.0", path, remedy=remedy, severity="error", rule="removed-field")


def _nil_outputs(spec: JsonObject, path: str, before: Semantics, after: Semantics) -> Iterator[Problem]:
    for index, template in enumerate(objects_of(spec, "templates")):
        for number, parameter in enumerate(objects_of(object_of(template, "outputs"), "parameters")):
            source = object_of(parameter, "valueFrom")
            expression = text_of(source, "expression")
            if "default" not in source and _MAY_BE_NIL.search(expression):
                yield Problem(
                    f"if the expression gives nil, {before.version} {_nil(before)} and {after.version} {_nil(after)}",
                    f"{path}.templates[{index}].outputs.parameters[{number}].valueFrom.expression",
                    remedy="give it a default, or end it with ?? and a value",
                    severity="warning",
                    rule="nil-output",
                )


def _nil(semantics: Semantics) -> str:
    return "ends the node in Error" if semantics.nil_outputs_fail else "writes <nil>"


@dataclass(frozen=True, slots=True)
class _Calls:
    """The steps or tasks of one template, and who of them reads what another may not leave behind."""

    spec: JsonObject
    template: JsonObject
    path: str
    before: Semantics
    after: Semantics

    def changes(self) -> Iterator[Problem]:
        calls = dict(self._calls())
        conditional = {text_of(call, "name"): call for call in calls.values() if _may_be_skipped(call)}
        if not conditional:
            return
        for place, call in calls.items():
            body: JsonObject = {key: value for key, value in call.items() if key not in ("hooks", "name", "depends")}
            for path, text in _texts(body, f"{self.path}.{place}"):
                yield from self._readings(path, text, call, conditional)

    def _calls(self) -> Iterator[tuple[str, JsonObject]]:
        groups = self.template.get("steps")
        for number, group in enumerate(groups if isinstance(groups, list) else ()):
            steps = group if isinstance(group, list) else [group]
            yield from ((f"steps[{number}][{index}]", step) for index, step in enumerate(steps) if isinstance(step, dict))
        for index, task in enumerate(objects_of(object_of(self.template, "dag"), "tasks")):
            yield f"dag.tasks[{index}]", task

    def _readings(self, path: str, text: str, reader: JsonObject, conditional: Mapping[str, JsonObject]) -> Iterator[Problem]:
        for tag in tags_in(text):
            for name in tag.names():
                match = _OUTPUT.fullmatch(name)
                if match is None or match[1] not in conditional or match[1] == text_of(reader, "name"):
                    continue
                producer = conditional[match[1]]
                pure = pure_reference(text) is not None and self._input_has_default(reader, path)
                told = [self._becomes(rules, producer, match[2], tag.whole, pure=pure) for rules in (self.before, self.after)]
                if told[0] != told[1]:
                    remedy = None if "Error" not in told[1] else "give the output or the input a default, or write {{= ... ?? '...'}}"
                    yield Problem(
                        f"{tag.whole}: if {match[1]} is skipped, {self.before.version} {told[0]} and {self.after.version} {told[1]}",
                        path,
                        remedy=remedy,
                        severity="warning",
                        rule="skipped-output",
                    )

    def _becomes(self, rules: Semantics, producer: JsonObject, parameter: str | None, tag: str, *, pure: bool) -> str:
        """What is made of ``tag`` when its producer was skipped."""
        if not rules.waits_for_references:
            return "leaves the tag as it stands"
        if not rules.absent_outputs:
            return "waits for ever (here: Error)"
        default = self._default(producer, parameter)
        if default is not None:
            return f"takes the default {default!r}"
        if pure:
            return "takes the default of the input"
        return "takes what stands after ??" if _is_guarded(tag) else "ends the node in Error"

    def _default(self, producer: JsonObject, parameter: str | None) -> Json:
        template = self._template(text_of(producer, "template"))
        for declared in objects_of(object_of(template, "outputs"), "parameters"):
            if text_of(declared, "name") == parameter:
                return object_of(declared, "valueFrom").get("default")
        return None

    def _input_has_default(self, reader: JsonObject, path: str) -> bool:
        """Whether ``path`` is the value of an argument whose input has a default."""
        match = re.search(r"\.arguments\.parameters\[(\d+)\]\.value$", path)
        if match is None:
            return False
        name = text_of(objects_of(object_of(reader, "arguments"), "parameters")[int(match[1])], "name")
        inputs = objects_of(object_of(self._template(text_of(reader, "template")), "inputs"), "parameters")
        return any(text_of(declared, "name") == name and "default" in declared for declared in inputs)

    def _template(self, name: str) -> JsonObject:
        return next((body for body in objects_of(self.spec, "templates") if text_of(body, "name") == name), {})


def _may_be_skipped(call: JsonObject) -> bool:
    return bool(call.get("when")) or "." in text_of(call, "depends")


def _is_guarded(tag: str) -> bool:
    source = tag[2:-2].strip()
    if not source.startswith("="):
        return False
    try:
        return any(reference.guarded and reference.path[0] in ("steps", "tasks") for reference in compile_expression(source[1:]).references)
    except ExpressionError:
        return False


def _texts(value: Json, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{path}.{key}")


__all__ = ["upgrade_changes"]
