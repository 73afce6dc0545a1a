"""The pod templates of a document as invocations with sample values: what backends look at to say beforehand what they cannot do.

Nothing is known yet of a run's values, so a parameter has its default, and every tag that has none becomes ``1``, which can be a name, a number, a
quantity and a part of a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flowcore.artifacts import FolderArtifacts
from flowcore.engine.messages import Invocation
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.nodes import NodeId, NodeType
from flowcore.ports import Catalog, RunContext

_TAG = re.compile(r"\{\{[^{}]*\}\}|<<[^<>]*>>")
_PARAMETER = re.compile(r"(?:\{\{|<<)\s*((?:inputs|workflow)\.parameters\.[^\s{}<>]+)\s*(?:\}\}|>>)")
_KINDS = ("container", "script", "containerSet", "resource", "data", "http", "plugin")
_SAMPLE = "1"


@dataclass(frozen=True, slots=True)
class Sample:
    """One template: its place in the document, an invocation of it, and whether tags stood in it whose values are not known."""

    path: str
    invocation: Invocation
    uncertain: bool


def samples(manifest: JsonObject) -> tuple[list[Sample], JsonObject, str]:
    """The samples of a Workflow, template or CronWorkflow; the spec that they belong to, with sample values; and the path of the spec."""
    path, spec = _spec_of(manifest)
    values = _values(object_of(spec, "arguments"), "workflow")
    found = [_sample(place, template, spec, manifest, values) for place, template in _templates(spec, path)]
    return found, _object(_filled(spec, values)), path


def sample_context(manifest: JsonObject, spec: JsonObject, catalog: Catalog) -> RunContext:
    """A context in which nothing is ever stored."""
    metadata = object_of(manifest, "metadata")
    space = text_of(metadata, "namespace") or "default"
    return RunContext(
        name=_name(metadata), namespace=space, uid="sample", catalog=catalog, artifacts=FolderArtifacts(Path("/nonexistent")), spec=spec
    )


def _spec_of(manifest: JsonObject) -> tuple[str, JsonObject]:
    spec = object_of(manifest, "spec")
    return ("spec.workflowSpec", object_of(spec, "workflowSpec")) if manifest.get("kind") == "CronWorkflow" else ("spec", spec)


def _name(metadata: JsonObject) -> str:
    return text_of(metadata, "name") or f"{text_of(metadata, 'generateName')}sample"


def _templates(spec: JsonObject, path: str) -> Iterator[tuple[str, JsonObject]]:
    """All templates that an executor would run, with those that stand inline in steps and tasks."""
    for number, template in enumerate(objects_of(spec, "templates")):
        yield from _with_inline(template, f"{path}.templates[{number}]")


def _with_inline(template: JsonObject, path: str) -> Iterator[tuple[str, JsonObject]]:
    if any(template.get(kind) is not None for kind in _KINDS):
        yield path, template
    groups = template.get("steps")
    for number, group in enumerate(groups if isinstance(groups, list) else ()):
        for place, step in enumerate(group if isinstance(group, list) else ()):
            if isinstance(step, dict) and isinstance(inline := step.get("inline"), dict):
                yield from _with_inline(inline, f"{path}.steps[{number}][{place}].inline")
    for number, task in enumerate(objects_of(object_of(template, "dag"), "tasks")):
        if isinstance(inline := task.get("inline"), dict):
            yield from _with_inline(inline, f"{path}.dag.tasks[{number}].inline")


def _sample(path: str, template: JsonObject, spec: JsonObject, manifest: JsonObject, values: Mapping[str, str]) -> Sample:
    whole = {**object_of(spec, "templateDefaults"), **template}
    known = {**values, **_values(object_of(whole, "inputs"), "inputs")}
    body = _object(_filled({key: value for key, value in whole.items() if key not in ("steps", "dag")}, known))
    metadata = object_of(manifest, "metadata")
    name = _name(metadata)
    invocation = Invocation(
        node=NodeId(f"{name}-sample"),
        node_name=f"{name}.sample",
        display_name="sample",
        node_type=NodeType.POD,
        pod_name="flowcore-sample",
        workflow=name,
        namespace=text_of(metadata, "namespace") or "default",
        uid="sample",
        template_name=text_of(whole, "name"),
        body=body,
        inputs=object_of(body, "inputs"),
        volumes=tuple(objects_of(_object(_filled(spec, values)), "volumes")),
    )
    return Sample(path, invocation, _unknown(whole, known))


def _values(declared: JsonObject, scope: str) -> dict[str, str]:
    """What is known of parameters: their values and defaults, where these hold no tags themselves."""
    found: dict[str, str] = {}
    for parameter in objects_of(declared, "parameters"):
        value = parameter.get("value", parameter.get("default"))
        if value is not None and not isinstance(value, dict | list) and not _TAG.search(str(value)):
            found[f"{scope}.parameters.{text_of(parameter, 'name')}"] = str(value)
    return found


def _filled(value: Json, values: Mapping[str, str]) -> Json:
    if isinstance(value, str):
        known = _PARAMETER.sub(lambda found: values.get(found[1], found[0]), value)
        return _TAG.sub(_SAMPLE, known)
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    return {key: _filled(each, values) for key, each in value.items()} if isinstance(value, dict) else value


def _unknown(value: Json, values: Mapping[str, str]) -> bool:
    if isinstance(value, str):
        return bool(_TAG.search(_PARAMETER.sub(lambda found: values.get(found[1], found[0]), value)))
    each = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else ()
    return any(_unknown(one, values) for one in each)


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


__all__ = ["Sample", "sample_context", "samples"]
