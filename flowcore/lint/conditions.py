"""Conditions (``when``) that cannot change, and those that break because a value in them has no quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from flowcore.errors import ExpressionError, Problem
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.language.tags import has_tags
from flowcore.language.when import evaluate_when

_TAG = re.compile(r"\{\{\s*([^={}][^{}]*?)\s*\}\}|<<\s*([^=<>][^<>]*?)\s*>>")
_STAND_INS = ("word", "1", "true")  # a condition that compares numbers, or needs a truth value, cannot be read with a word in it


def doubtful_conditions(spec: JsonObject, path: str) -> Iterator[Problem]:
    """What is doubtful in the conditions of steps and tasks."""
    known = {f"workflow.parameters.{name}": values for name, values in _values(object_of(spec, "arguments")).items()}
    for index, template in enumerate(objects_of(spec, "templates")):
        inputs = {f"inputs.parameters.{name}": values for name, values in _values(object_of(template, "inputs")).items()}
        for place, call in calls_of(template):
            text = text_of(call, "when")
            if text:
                yield from _doubts(text, known | inputs, f"{path}.templates[{index}].{place}.when")


def calls_of(template: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """The steps and tasks of a template, with their paths below it."""
    groups = template.get("steps")
    for number, group in enumerate(groups if isinstance(groups, list) else []):
        for place, step in enumerate(group if isinstance(group, list) else []):
            if isinstance(step, dict):
                yield f"steps[{number}][{place}]", step
    for number, task in enumerate(objects_of(object_of(template, "dag"), "tasks")):
        yield f"dag.tasks[{number}]", task


def _values(holder: JsonObject) -> dict[str, list[str]]:
    """The values that parameters are known to have: those that are set, defaults, and all of an enum."""
    found: dict[str, list[str]] = {}
    for parameter in objects_of(holder, "parameters"):
        enum = parameter.get("enum")
        given = [parameter.get("value"), parameter.get("default"), *(enum if isinstance(enum, list) else [])]
        found[text_of(parameter, "name")] = [str(value) for value in given if isinstance(value, (str, int)) and not has_tags(str(value))]
    return found


def _doubts(text: str, known: dict[str, list[str]], path: str) -> Iterator[Problem]:
    if not has_tags(text):
        try:
            truth = "true" if evaluate_when(text) else "false"
        except ExpressionError:
            return  # told as an error already
        remedy = "remove it" if truth == "true" else "remove the step, or compare with a tag such as {{workflow.parameters.x}}"
        yield Problem(f"the condition is always {truth}: {text}", path, remedy=remedy, severity="warning", rule="constant-when")
        return
    if "{{=" in text or "<<=" in text:
        return
    broken = broken_value(text, known)
    if broken is not None:
        tag, value = broken
        yield Problem(
            f"the condition breaks when {tag} is {value!r}: it has no quotes there",
            path,
            remedy=f"write '{tag}' with single quotes around it",
            severity="warning",
            rule="unquoted-when",
        )
    elif not any(_can_be_read(_TAG.sub(word, text)) for word in _STAND_INS):
        yield Problem(
            f"the condition cannot be read: {text}",
            path,
            remedy="put texts of several words into single quotes",
            severity="warning",
            rule="unquoted-when",
        )


def broken_value(text: str, known: dict[str, list[str]]) -> tuple[str, str] | None:
    """A tag without quotes, and a value that it is known to take with which the condition cannot be evaluated."""
    word = next((word for word in _STAND_INS if _can_be_read(_TAG.sub(word, text))), None)
    if word is None:
        return None
    for match in _TAG.finditer(text):
        before = text[: match.start()]
        if before.count("'") % 2 or before.count('"') % 2:
            continue
        for value in known.get(match[1] or match[2], ()):
            if not _can_be_read(_TAG.sub(word, before) + value + _TAG.sub(word, text[match.end() :])):
                return match[0], value
    return None


def _can_be_read(text: str) -> bool:
    try:
        evaluate_when(text)
    except ExpressionError:
        return False
    return True


__all__ = ["broken_value", "calls_of", "doubtful_conditions"]
