"""``json_schema``: what documents may hold, for editors and other tools: strict, with descriptions, told apart by ``kind``.

It accepts what the loader accepts without a word, and no field that Argo does not know. ``flowcore schema`` prints it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from flowcore.jsontypes import Json, JsonObject
from flowcore.models import DOCUMENT_TYPES
from flowcore.models.base import any_string, int_or_string, number
from flowcore.models.workflows import API_VERSION

_DIALECT = "http://json-schema.org/draft-07/schema#"  # what editors know
_NAMES = "#/definitions/{model}"

# What a field is for, where its name does not say it all.
_FIELDS: dict[str, str] = {
    "activeDeadlineSeconds": "After this many seconds the work is stopped and counts as failed.",
    "arguments": "The values that are passed.",
    "continueOn": "Go on although this failed.",
    "daemon": "Counts as done when it is ready, and is stopped when the template around it ends.",
    "depends": "What must have happened before, for instance: a && (b.Succeeded || b.Failed).",
    "dependencies": "The tasks that must have succeeded before.",
    "entrypoint": "The template to begin with.",
    "expression": "An expression, without {{= }} around it.",
    "failFast": "Whether the first failure ends the rest.",
    "globalName": "Makes the output one of the workflow, under this name.",
    "hooks": "Templates that run when something happens; the one called exit runs at the end.",
    "inputs": "What the template takes.",
    "memoize": "Remembers the outputs under a key, and does not run again for it.",
    "onExit": "The template that runs at the end, whatever happened.",
    "outputs": "What the template leaves.",
    "parallelism": "How many may run at the same time.",
    "retryStrategy": "Whether and how failures are tried again.",
    "schedules": "Cron schedules: minute, hour, day of month, month, day of week.",
    "steps": "Groups of steps: the groups run one after the other, the steps of a group side by side.",
    "synchronization": "Locks that are held meanwhile.",
    "templateRef": "A template of a WorkflowTemplate or ClusterWorkflowTemplate.",
    "templates": "The pieces of work that the workflow is made of.",
    "timeout": "A length of time, such as 30s or 2h, after which it fails.",
    "when": "Runs only if this is true; texts that may have blanks need single quotes: '{{tag}}' == 'a b'.",
    "withItems": "Runs once for each of these.",
    "withParam": "Runs once for each element of this JSON list.",
    "withSequence": "Runs once for each of these numbers.",
    "workflowTemplateRef": "Takes the whole spec from a WorkflowTemplate.",
}


def json_schema(kind: str | None = None) -> JsonObject:
    """The schema of documents of ``kind``, or of all kinds. Raises KeyError for a kind that there is not."""
    kinds = [kind] if kind is not None else list(DOCUMENT_TYPES)
    models = [(DOCUMENT_TYPES[name], "validation") for name in kinds]
    generated = _Schema(by_alias=True, ref_template=_NAMES).generate_definitions(
        [(cast("Any", model), cast("Any", mode), model.__pydantic_core_schema__) for model, mode in models]
    )
    places, definitions = generated
    for definition in definitions.values():
        _tighten(definition)
    for model, mode in models:
        _tell_kind(cast("Any", definitions), places[(cast("Any", model), cast("Any", mode))], model.__name__)
    whole: JsonObject = {
        "$schema": _DIALECT,
        "title": f"{kind} (Argo Workflows)" if kind else "Documents of Argo Workflows",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"kind": {"enum": list[Json](kinds)}, "apiVersion": {"const": API_VERSION}},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": model.__name__}}, "required": ["kind"]},
                "then": cast("Json", places[(cast("Any", model), cast("Any", mode))]),
            }
            for model, mode in models
        ],
        "definitions": cast("Json", dict(sorted(definitions.items()))),
    }
    return whole


class _Schema(GenerateJsonSchema):
    """Pydantic's generator, told about the scalars that Argo's documents have."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Texts that may be written as numbers and truth values."""
        if _function_in(schema) is any_string:
            return {"type": ["string", "number", "boolean"]}
        return super().function_before_schema(schema)

    def function_plain_schema(self, schema: core_schema.PlainValidatorFunctionSchema) -> JsonSchemaValue:
        """Numbers, and whole numbers that may be texts."""
        known = {int_or_string: {"type": ["integer", "string"]}, number: {"type": "number"}}
        return cast("JsonSchemaValue", known.get(cast("Any", _function_in(schema)), {}))

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Fields that may be absent; written as null they count as absent, but nobody should."""
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Defaults are how we see absence, and no part of what documents say."""
        return self.generate_inner(schema["schema"])


def _function_in(schema: Any) -> Callable[..., object] | None:
    return cast("Callable[..., object] | None", schema["function"]["function"])


def _tighten(definition: dict[str, Any]) -> None:
    """No unknown fields, descriptions in one line, no titles that only repeat names."""
    if "properties" in definition:
        definition["additionalProperties"] = False
    definition.pop("title", None)
    if "description" in definition:
        definition["description"] = " ".join(inspect.cleandoc(definition["description"]).split())
    for name, field in definition.get("properties", {}).items():
        field.pop("title", None)
        if name in _FIELDS and "description" not in field:
            described = {"description": _FIELDS[name]}
            definition["properties"][name] = {"allOf": [field], **described} if "$ref" in field else {**field, **described}


def _tell_kind(definitions: dict[str, dict[str, Any]], place: dict[str, Any], kind: str) -> None:
    """The document's own definition names its kind, and needs a spec."""
    definition = definitions[place["$ref"].rpartition("/")[2]]
    definition["properties"]["kind"] = {"const": kind}
    definition["properties"]["apiVersion"] = {"const": API_VERSION}
    definition["required"] = ["apiVersion", "kind", "metadata", "spec"]


__all__ = ["json_schema"]
