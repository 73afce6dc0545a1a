"""Inputs: what a template declares, filled in with what its caller passes, and the template's body with it.

Called by the engine once for each node that is about to start, and once more for each retry attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, json_text, named, object_of, objects_of, text_of
from flowcore.language.scope import Scope
from flowcore.language.sources import withheld
from flowcore.language.tags import ALL, Compiled, compile_tree, substitute
from flowcore.plan.artifacts import KEY_FIELDS, LOCATIONS
from flowcore.plan.templates import Entry

T = TypeVar("T")
# What an argument holds that names an output of a skipped node: ``bind_inputs`` takes it for "not supplied". The text cannot be typed by users.
ABSENT_ARGUMENT = "\x00flowcore-absent-optional\x00"

ConfigMapReader = Callable[[str, str], "str | ExpressionError"]


class ArgumentError(ExpressionError):
    """An input without a value; the text is Argo's."""


@dataclass(slots=True)
class Processed:
    """A template with its inputs bound: ``body`` is the whole template as JSON, ``inputs`` the part of it that the node keeps."""

    entry: Entry
    body: JsonObject
    inputs: JsonObject | None
    scope: Scope


def process(entry: Entry, arguments: JsonObject, scope: Scope, read_config_map: ConfigMapReader) -> Processed:
    """Bind ``arguments`` to the inputs of ``entry`` and substitute its body. ``scope`` holds the globals and the node's own names.

    Raises ExpressionError (ArgumentError for an input without value).
    """
    declared = entry.json.get("inputs")
    inputs = bind_inputs(declared, arguments, scope, read_config_map) if isinstance(declared, dict) and declared else None
    return substitute_template(entry, inputs, scope)


def bind_inputs(declared: JsonObject, arguments: JsonObject, scope: Scope, read_config_map: ConfigMapReader) -> JsonObject:
    """The inputs ``declared`` with the values that ``arguments`` or their defaults give them."""
    bound: JsonObject = dict(declared)
    if "parameters" in declared:
        bound["parameters"] = [
            _bind_parameter(item, named(arguments, "parameters", text_of(item, "name")), scope, read_config_map)
            for item in objects_of(declared, "parameters")
        ]
    if "artifacts" in declared:
        bound["artifacts"] = [
            _bind_artifact(item, named(arguments, "artifacts", text_of(item, "name"))) for item in objects_of(declared, "artifacts")
        ]
    return bound


def _bind_parameter(declared: JsonObject, argument: JsonObject | None, scope: Scope, read_config_map: ConfigMapReader) -> Json:
    bound = dict(declared)
    name = text_of(declared, "name")
    if bound.get("value") is None and bound.get("default") is not None:
        bound["value"] = bound["default"]
    if argument is not None and argument.get("value") == ABSENT_ARGUMENT:
        if bound.get("value") is None and not bound.get("valueFrom"):
            raise ArgumentError(
                f"inputs.parameters.{name}: argument references an absent optional (skipped/omitted node output with no default)"
            )
    elif argument is not None:
        if argument.get("value") is not None:
            bound["value"] = argument["value"]
            bound.pop("valueFrom", None)
        elif argument.get("valueFrom"):
            bound["valueFrom"] = argument["valueFrom"]
            bound.pop("value", None)
    reference = object_of(object_of(bound, "valueFrom"), "configMapKeyRef")
    if reference:
        _read_reference(bound, reference, scope, read_config_map)
    return bound


def _read_reference(bound: JsonObject, reference: JsonObject, scope: Scope, read_config_map: ConfigMapReader) -> None:
    try:
        name, key = (substitute(text_of(reference, part), scope, strict=ALL) for part in ("name", "key"))
    except ExpressionError as error:
        raise ArgumentError(f"failed to substitute configMapKeyRef: {error}") from None
    value = read_config_map(name, key)
    if isinstance(value, ExpressionError):
        default = object_of(bound, "valueFrom").get("default")
        if default is None:
            raise ArgumentError(f"unable to retrieve inputs.parameters.{text_of(bound, 'name')} from ConfigMap: {value}")
        value = str(default)
    bound["value"] = value
    bound.pop("valueFrom", None)


def _bind_artifact(declared: JsonObject, argument: JsonObject | None) -> Json:
    name = text_of(declared, "name")
    if not declared.get("optional") and not has_location_or_key(declared):
        if argument is None:
            raise ArgumentError(f"inputs.artifacts.{name} was not supplied")
        if not has_location_or_key(argument) and not (argument.get("from") and argument.get("fromExpression")):
            raise ArgumentError(f"inputs.artifacts.{name} missing location information")
    if argument is None:
        return declared
    bound = dict(argument)
    for kept in ("path", "mode", "recurseMode"):
        bound.pop(kept, None)
        if kept in declared:
            bound[kept] = declared[kept]
    return bound


def has_location_or_key(artifact: JsonObject) -> bool:
    """Whether an artifact says where it is, completely or by its key alone."""
    for kind in LOCATIONS:
        location = artifact.get(kind)
        if not isinstance(location, dict):
            continue
        if kind == "raw":
            return True
        if kind == "git":
            return bool(location.get("repo"))
        if location.get(KEY_FIELDS[kind]):
            return True
    return False


def substitute_template(entry: Entry, inputs: JsonObject | None, scope: Scope) -> Processed:
    """The body of ``entry`` in Argo's two rounds: globals and the node's names first, then these with the inputs and the paths.

    Argo fills in what a Steps or DAG template calls anew in each of its passes: what asks for time or chance there is left for each call.
    """
    bound = substitute(inputs, scope) if inputs is not None and not is_plain(inputs) else inputs
    _require_values(bound)
    inner = scope.child(_input_variables(bound, entry))
    if not entry.tagged:
        body = entry.json if bound is None else {**entry.json, "inputs": bound}
        return Processed(entry, body, bound, inner)
    # Where no value holds a tag, one round gives what Argo's two give.
    first = None if bound is None or is_plain(bound) else scope
    body = _rendered(entry.body, first, inner).copy()
    if entry.calls is not None:
        with withheld():
            body[entry.kind] = _rendered(entry.calls, first, inner)
    if first is not None:
        bound = substitute(bound, inner)
    if bound is not None:
        body["inputs"] = bound
    return Processed(entry, body, bound, inner)


def _rendered(compiled: Compiled[T], first: Scope | None, scope: Scope) -> T:
    """The tree with ``scope``, in a second round if there is a ``first`` one."""
    return compiled.render(scope) if first is None else substitute(compiled.render(first), scope)


def substitute_again(processed: Processed, scope: Scope) -> Processed:
    """A bound template with names that were not known when it was bound, as a retry attempt has them."""
    compiled = compile_tree(processed.body)
    if not compiled.has_tags:
        return processed
    with withheld() if processed.entry.calls is not None else nullcontext():
        first = compiled.render(scope)
        inputs = first.get("inputs")
        bound = inputs if isinstance(inputs, dict) else None
        inner = scope.child(_input_variables(bound, processed.entry))
        body = substitute(first, inner)
    inputs = body.get("inputs")
    return Processed(processed.entry, body, inputs if isinstance(inputs, dict) else None, inner)


def is_plain(inputs: JsonObject) -> bool:
    """Whether inputs are parameters alone, none of which holds a tag."""
    for key, value in inputs.items():
        if key != "parameters" or not isinstance(value, list):
            return False
        for parameter in value:
            if isinstance(parameter, dict):
                for text in parameter.values():
                    if not isinstance(text, str) or "{{" in text or "<<" in text:
                        return False
    return True


def _require_values(inputs: JsonObject | None) -> None:
    for parameter in objects_of(inputs, "parameters") if inputs else ():
        if parameter.get("value") is None and not parameter.get("valueFrom"):
            raise ArgumentError(f"inputs.parameters.{text_of(parameter, 'name')} had no value")


def _input_variables(inputs: JsonObject | None, entry: Entry) -> dict[str, Json]:
    """The variables that a template's body sees beside the globals: its inputs, and the paths of its artifacts and output files."""
    variables: dict[str, Json] = {}
    parameters: Json = None
    if inputs is not None:
        for parameter in objects_of(inputs, "parameters"):
            value = parameter.get("value")
            if value is not None:
                variables[f"inputs.parameters.{text_of(parameter, 'name')}"] = value
        for artifact in objects_of(inputs, "artifacts"):
            if artifact.get("path"):
                variables[f"inputs.artifacts.{text_of(artifact, 'name')}.path"] = artifact["path"]
        parameters = inputs.get("parameters")
    if "inputs.parameters" in entry.text:
        variables["inputs.parameters"] = json_text(parameters)
    outputs = entry.json.get("outputs")
    if isinstance(outputs, dict) and outputs:
        for artifact in objects_of(outputs, "artifacts"):
            if artifact.get("path"):
                variables[f"outputs.artifacts.{text_of(artifact, 'name')}.path"] = artifact["path"]
        for parameter in objects_of(outputs, "parameters"):
            path = object_of(parameter, "valueFrom").get("path")
            if path:
                variables[f"outputs.parameters.{text_of(parameter, 'name')}.path"] = path
    return variables


__all__ = [
    "ABSENT_ARGUMENT",
    "ArgumentError",
    "ConfigMapReader",
    "Processed",
    "bind_inputs",
    "has_location_or_key",
    "process",
    "substitute_again",
    "substitute_template",
]
