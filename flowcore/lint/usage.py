"""Templates that nothing uses and parameters that nothing reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from flowcore.errors import Problem
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.language.tags import has_tags


def unused_templates(spec: JsonObject, path: str) -> Iterator[Problem]:
    """Templates that cannot be reached from the entrypoint, exit handlers and hooks. Names that are computed may mean any template."""
    templates = objects_of(spec, "templates")
    if not text_of(spec, "entrypoint") or spec.get("workflowTemplateRef"):
        return
    named = {text_of(template, "name"): template for template in templates}
    waiting, seen = [text_of(spec, "entrypoint"), text_of(spec, "onExit"), *_calls(spec.get("hooks"))], set[str]()
    waiting += _calls(spec.get("templateDefaults"))
    while waiting:
        name = waiting.pop()
        if has_tags(name):
            return
        if name in named and name not in seen:
            seen.add(name)
            waiting += _calls(named[name])
    for index, template in enumerate(templates):
        name = text_of(template, "name")
        if name and name not in seen:
            yield Problem(
                f"template '{name}' is never used",
                f"{path}.templates[{index}]",
                remedy="remove it, or call it",
                severity="warning",
                rule="unused-template",
            )


def _calls(value: Json) -> list[str]:
    """The names of all templates that are called anywhere in ``value``."""
    found: list[str] = []
    waiting: list[Json] = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            found += [name for key in ("template", "onExit") if isinstance(name := part.get(key), str)]
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return found


def unread_parameters(spec: JsonObject, path: str, *, shared: bool) -> Iterator[Problem]:
    """Inputs that their template does not read, and arguments of the workflow that nothing reads; ``shared``: others may read those."""
    templates = objects_of(spec, "templates")
    for index, template in enumerate(templates):
        if template.get("plugin") is not None:  # a plugin is given all inputs
            continue
        parameters = objects_of(object_of(template, "inputs"), "parameters")
        text = json.dumps({**template, "inputs": _without_names(template)}) if parameters else ""
        for number, parameter in enumerate(parameters):
            name = text_of(parameter, "name")
            if not _is_read(name, "inputs", text):
                place = f"{path}.templates[{index}].inputs.parameters[{number}]"
                yield _unread(f"input parameter '{name}' of template '{text_of(template, 'name')}' is never read", place)
    if shared or spec.get("workflowTemplateRef"):
        return
    entry = next((template for template in templates if text_of(template, "name") == text_of(spec, "entrypoint")), {})
    passed = {text_of(parameter, "name") for parameter in objects_of(object_of(entry, "inputs"), "parameters")}
    arguments = objects_of(object_of(spec, "arguments"), "parameters")
    text = json.dumps(spec) if arguments else ""
    for number, parameter in enumerate(arguments):
        name = text_of(parameter, "name")
        if name not in passed and not _is_read(name, "workflow", text) and not _refers_elsewhere(spec):
            yield _unread(f"parameter '{name}' of the workflow is never read", f"{path}.arguments.parameters[{number}]")


def _without_names(template: JsonObject) -> Json:
    """The inputs without the declarations themselves, but with the tags in their values and artifacts."""
    inputs = object_of(template, "inputs")
    values: list[Json] = [{key: value for key, value in one.items() if key != "name"} for one in objects_of(inputs, "parameters")]
    return {**inputs, "parameters": values}


def _refers_elsewhere(spec: JsonObject) -> bool:
    """Whether templates of other documents are called, which may read the workflow's parameters too."""
    return '"templateRef"' in json.dumps(spec)


def _is_read(name: str, whose: str, text: str) -> bool:
    escaped = re.escape(json.dumps(name)[1:-1])
    place = rf"{whose}\.parameters(\.{escaped}(?![\w-])|\[\s*(\\\"|'){escaped}(\\\"|')\s*\]|(\.json)?\s*(\}}\}}|>>|[),|\]]))"
    return re.search(place, text) is not None


def _unread(message: str, path: str) -> Problem:
    return Problem(message, path, remedy="remove it, or use it", severity="warning", rule="unread-parameter")


__all__ = ["unread_parameters", "unused_templates"]
