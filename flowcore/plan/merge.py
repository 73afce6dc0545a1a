"""Laying specs over one another: workflow over workflow template over workflow defaults, and a template over ``templateDefaults``.

All of it on plain JSON trees, none of which is changed. Argo's rules: a strategic merge, plus special care for
arguments, hooks, ``labelsFrom`` and ``suspend``. Called when a plan is compiled.
"""

from __future__ import annotations

from typing import Final

from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.plan.artifacts import LOCATIONS
from flowcore.plan.merge_keys import TEMPLATE, WORKFLOW, WORKFLOW_SPEC, Shape
from flowcore.plan.strategic import overlay, strategic_patch

TEMPLATE_KINDS: Final = ("container", "containerSet", "steps", "script", "resource", "dag", "suspend", "data", "http", "plugin")

__all__ = [
    "TEMPLATE_KINDS",
    "apply_workflow_defaults",
    "merge_template_defaults",
    "merge_workflow_spec",
    "strategic_patch",
]


def merge_workflow_spec(workflow: JsonObject, template: JsonObject | None, defaults: JsonObject | None = None) -> JsonObject:
    """The spec that runs when ``workflow`` refers to the spec ``template``: the workflow wins over the template, the template over ``defaults``.

    Of an argument's parameters the highest with a value, default or valueFrom wins as a whole; artifacts in the same kind of storage are
    completed field by field; hooks and ``labelsFrom`` are only added; ``suspend`` is the workflow's own.
    """
    merged = workflow
    for below in (template, defaults):
        if below:
            merged = _over(below, merged, WORKFLOW_SPEC)
    result = dict(merged)
    result.pop("suspend", None)
    if workflow.get("suspend") is not None:
        result["suspend"] = workflow["suspend"]
    if isinstance(merged.get("arguments"), dict):
        result["arguments"] = _arguments(
            object_of(merged, "arguments"), [object_of(spec, "arguments") for spec in (workflow, template or {})]
        )
    return result


def apply_workflow_defaults(workflow: JsonObject, defaults: JsonObject) -> JsonObject:
    """A whole workflow (metadata and spec) with the operator's ``workflowDefaults`` merged beneath it."""
    below = {key: value for key, value in defaults.items() if key in {"metadata", "spec"}}
    merged = overlay(below, {key: value for key, value in workflow.items() if key != "spec"}, WORKFLOW)
    if below.get("spec") or workflow.get("spec"):
        merged["spec"] = _over(object_of(below, "spec"), object_of(workflow, "spec"), WORKFLOW_SPEC)
    return merged


def merge_template_defaults(defaults: JsonObject, template: JsonObject) -> JsonObject:
    """``template`` over ``templateDefaults``, of which what belongs to other kinds of template is left out."""
    own = next((kind for kind in TEMPLATE_KINDS if template.get(kind) is not None), None)
    applicable: JsonObject = {
        key: value for key, value in defaults.items() if value is not None and (key == own or key not in TEMPLATE_KINDS)
    }
    return overlay(applicable, template, TEMPLATE)


def _over(below: JsonObject, above: JsonObject, shape: Shape) -> JsonObject:
    """One step of the merge of specs: ``above`` wins, hooks and labelsFrom of ``below`` are only added."""
    said = {key: value for key, value in above.items() if value != ""}
    merged = overlay(_without_additions(below), said, shape)
    _add(merged, "hooks", object_of(below, "hooks"))
    labels = object_of(object_of(below, "workflowMetadata"), "labelsFrom")
    if labels:
        metadata = dict(object_of(merged, "workflowMetadata"))
        _add(metadata, "labelsFrom", labels)
        merged["workflowMetadata"] = metadata
    return merged


def _without_additions(spec: JsonObject) -> JsonObject:
    rest: JsonObject = {key: value for key, value in spec.items() if key != "hooks" and value is not None}
    metadata = rest.get("workflowMetadata")
    if isinstance(metadata, dict):
        rest["workflowMetadata"] = {key: value for key, value in metadata.items() if key != "labelsFrom"}
    return rest


def _add(holder: JsonObject, key: str, additions: JsonObject) -> None:
    if additions:
        holder[key] = {**additions, **object_of(holder, key)}


def _arguments(merged: JsonObject, by_priority: list[JsonObject]) -> JsonObject:
    """Merged arguments in which the first of ``by_priority`` that gives a parameter a value, or names an artifact, decides."""
    result = dict(merged)
    parameters = [{text_of(item, "name"): item for item in objects_of(own, "parameters") if _has_value(item)} for own in by_priority]
    artifacts = [{text_of(item, "name"): item for item in objects_of(own, "artifacts")} for own in by_priority]
    if merged.get("parameters"):
        result["parameters"] = [_first(item, parameters) if _has_value(item) else item for item in objects_of(merged, "parameters")]
    if merged.get("artifacts"):
        result["artifacts"] = [_artifact(item, _first(item, artifacts)) for item in objects_of(merged, "artifacts")]
    return result


def _first(item: JsonObject, candidates: list[dict[str, JsonObject]]) -> JsonObject:
    name = text_of(item, "name")
    return next((named[name] for named in candidates if name in named), item)


def _has_value(parameter: JsonObject) -> bool:
    return any(parameter.get(key) is not None for key in ("value", "default", "valueFrom"))


def _artifact(merged: JsonObject, deciding: JsonObject) -> JsonObject:
    """The deciding artifact, its storage location completed from below when all levels use the same kind of storage."""
    kinds = [kind for kind in LOCATIONS if merged.get(kind) is not None]
    if len(kinds) != 1 or deciding.get(kinds[0]) is None:
        return deciding
    location: Json = merged[kinds[0]]
    return {**deciding, kinds[0]: location}
