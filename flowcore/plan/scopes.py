"""What names stand for at each place: globals of the run, and what steps and tasks left behind.

Called by the engine, which keeps one scope for the globals and one for each running Steps or DAG node.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, compact, json_text, object_of, objects_of, text_of
from flowcore.language.quantities import rfc3339, time_letters
from flowcore.language.scope import ABSENT, Scope, Value
from flowcore.nodes import Node, NodeId, Phase, RunRow
from flowcore.plan.semantics import NEWEST, Semantics
from flowcore.plan.templates import Entry

ANNOTATION_SCHEDULED_TIME = "workflows.argoproj.io/scheduled-time"


def global_variables(spec: JsonObject, run: RunRow, parameters: Mapping[str, str]) -> dict[str, Value]:
    """The ``workflow.*`` variables that hold from a run's start to its end, but for its status, duration, failures and outputs."""
    variables: dict[str, Value] = {
        "workflow.name": run.name,
        "workflow.namespace": run.namespace,
        "workflow.uid": run.uid,
        "workflow.mainEntrypoint": text_of(spec, "entrypoint"),
        "workflow.serviceAccountName": text_of(spec, "serviceAccountName"),
    }
    if run.created_at is not None:
        variables["workflow.creationTimestamp"] = rfc3339(run.created_at)
        variables.update({f"workflow.creationTimestamp.{name}": value for name, value in time_letters(run.created_at).items()})
        variables["workflow.creationTimestamp.s"] = str(int(run.created_at.timestamp()))
        variables["workflow.creationTimestamp.RFC3339"] = rfc3339(run.created_at)
    if spec.get("priority") is not None:
        variables["workflow.priority"] = str(spec["priority"])
    whole = json_text(object_of(spec, "arguments").get("parameters"))
    variables["workflow.parameters"] = variables["workflow.parameters.json"] = whole
    variables.update({f"workflow.parameters.{name}": value for name, value in parameters.items()})
    _add_metadata(variables, spec, run)
    return variables


def _add_metadata(variables: dict[str, Value], spec: JsonObject, run: RunRow) -> None:
    metadata = object_of(spec, "workflowMetadata")
    later = object_of(metadata, "labelsFrom")
    for kind, given in (("annotations", run.annotations or {}), ("labels", run.labels or {})):
        whole: dict[str, Json] = dict(given)
        variables[f"workflow.{kind}"] = variables[f"workflow.{kind}.json"] = compact(whole) if given else "null"
        own = {**given, **{name: str(value) for name, value in object_of(metadata, kind).items()}}
        for name, value in own.items():
            if kind == "annotations" or name not in later:
                variables[f"workflow.{kind}.{name}"] = value
    scheduled = (run.annotations or {}).get(ANNOTATION_SCHEDULED_TIME)
    if scheduled is not None:
        variables["workflow.scheduledTime"] = scheduled


def global_parameters(outputs: JsonObject | None) -> dict[str, Value]:
    """The ``workflow.outputs.parameters.*`` variables of a run's global outputs."""
    return {
        f"workflow.outputs.parameters.{text_of(parameter, 'name')}": parameter["value"]
        for parameter in (objects_of(outputs, "parameters") if outputs else ())
        if parameter.get("value") is not None
    }


def global_artifacts(outputs: JsonObject | None) -> dict[str, Value]:
    """The ``workflow.outputs.artifacts.*`` variables of a run's global outputs."""
    artifacts = objects_of(outputs, "artifacts") if outputs else []
    return {f"workflow.outputs.artifacts.{text_of(artifact, 'name')}": artifact for artifact in artifacts}


def input_variables(inputs: JsonObject | None) -> dict[str, Value]:
    """The inputs of the template around steps or tasks, as these see them: values, and artifacts as objects."""
    variables: dict[str, Value] = {}
    for parameter in objects_of(inputs, "parameters") if inputs else ():
        value = parameter.get("value")
        variables[f"inputs.parameters.{text_of(parameter, 'name')}"] = "" if value is None else value
    for artifact in objects_of(inputs, "artifacts") if inputs else ():
        variables[f"inputs.artifacts.{text_of(artifact, 'name')}"] = artifact
    return variables


def node_variables(prefix: str, name: str, node: Node) -> dict[str, Value]:
    """What ``steps.NAME.*`` or ``tasks.NAME.*`` say of ``node`` (for a Retry node pass its last attempt)."""
    stem = f"{prefix}.{name}"
    variables: dict[str, Value] = {f"{stem}.id": node.id, f"{stem}.status": str(node.phase)}
    if node.started_at is not None:
        variables[f"{stem}.startedAt"] = rfc3339(node.started_at)
    if node.finished_at is not None:
        variables[f"{stem}.finishedAt"] = rfc3339(node.finished_at)
    if node.pod_ip:
        variables[f"{stem}.ip"] = node.pod_ip
    if node.host_node_name:
        variables[f"{stem}.hostNodeName"] = node.host_node_name
    variables.update(output_variables(stem, node.outputs))
    return variables


def output_variables(stem: str, outputs: JsonObject | None) -> dict[str, Value]:
    """The ``STEM.outputs.*`` and ``STEM.exitCode`` variables of a node's outputs."""
    if not outputs:
        return {}
    variables: dict[str, Value] = {}
    if outputs.get("result") is not None:
        variables[f"{stem}.outputs.result"] = outputs["result"]
    if outputs.get("exitCode") is not None:
        variables[f"{stem}.exitCode"] = outputs["exitCode"]
    for parameter in objects_of(outputs, "parameters"):
        if parameter.get("value") is not None:
            variables[f"{stem}.outputs.parameters.{text_of(parameter, 'name')}"] = parameter["value"]
    for artifact in objects_of(outputs, "artifacts"):
        variables[f"{stem}.outputs.artifacts.{text_of(artifact, 'name')}"] = artifact
    return variables


def skipped_variables(prefix: str, name: str, node: Node, entry: Entry | None, semantics: Semantics = NEWEST) -> dict[str, Value]:
    """What the outputs of a skipped or omitted node stand for: the producer's default, or an absent optional; nothing by older rules."""
    if entry is None or not semantics.absent_outputs or node.outputs or node.phase not in (Phase.SKIPPED, Phase.OMITTED):
        return {}
    stem = f"{prefix}.{name}.outputs"
    declared = object_of(entry.json, "outputs")
    variables: dict[str, Value] = {}
    for parameter in objects_of(declared, "parameters"):
        default = object_of(parameter, "valueFrom").get("default")
        variables[f"{stem}.parameters.{text_of(parameter, 'name')}"] = ABSENT if default is None else default
    if prefix == "steps":
        for artifact in objects_of(declared, "artifacts"):
            variables[f"{stem}.artifacts.{text_of(artifact, 'name')}"] = {}
    if declared.get("result") is not None:
        variables[f"{stem}.result"] = ABSENT
    return variables


def loop_index(name: str) -> int:
    """The index of a loop item in its node name: ``wf[0].print(3:d)`` gives 3."""
    found = name.rpartition("(")[2].partition(":")[0]
    return int(found) if found.isdigit() else 0


def aggregate_variables(prefix: str, name: str, children: Iterable[Node]) -> dict[str, Value]:
    """What a loop's outputs are together: JSON lists over its succeeded items. Raises ExpressionError for a result that is no JSON."""
    kept = sorted((child for child in children if not child.hooked and not child.retried), key=lambda child: loop_index(child.name))
    results: list[str] = []
    maps: list[Json] = []
    values: dict[str, list[str]] = {}
    for child in kept:
        if not child.outputs or child.phase is not Phase.SUCCEEDED:
            continue
        parameters = {text_of(item, "name"): _text(item.get("value")) for item in objects_of(child.outputs, "parameters")}
        if parameters:
            maps.append({key: value for key, value in parameters.items()})  # noqa: C416 - a plain dict has the narrower type
            for key, value in parameters.items():
                values.setdefault(key, []).append(value)
        if child.outputs.get("result") is not None:
            results.append(_json_item(str(child.outputs["result"])))
    stem = f"{prefix}.{name}.outputs"
    variables: dict[str, Value] = {f"{stem}.result": f"[{','.join(results)}]", f"{stem}.parameters": compact(maps)}
    for key, listed in values.items():
        variables[f"{stem}.parameters.{key}"] = _value_list(listed)
    return variables


def _text(value: Json) -> str:
    return "" if value is None else str(value)


def _json_item(text: str) -> str:
    try:
        return json_text(json.loads(text))
    except ValueError:
        raise ExpressionError(_go_json_error(text)) from None


def _go_json_error(text: str) -> str:
    stripped = text.lstrip()
    if not stripped:
        return "unexpected end of JSON input"
    try:
        json.JSONDecoder().raw_decode(stripped)
    except json.JSONDecodeError as error:
        at = error.pos
        if at >= len(stripped):
            return "unexpected end of JSON input"
        literal = re.match(r"[tfn][a-z]*", stripped)
        if at == 0 and literal and stripped[0] in "tfn":
            return _literal_error(stripped)
        return f"invalid character '{stripped[at]}' looking for beginning of value"
    _, end = json.JSONDecoder().raw_decode(stripped)
    rest = stripped[end:].lstrip()
    return f"invalid character '{rest[0] if rest else ' '}' after top-level value"


def _literal_error(text: str) -> str:
    word = {"t": "true", "f": "false", "n": "null"}[text[0]]
    for position, expected in enumerate(word):
        if position >= len(text):
            return "unexpected end of JSON input"
        if text[position] != expected:
            return f"invalid character '{text[position]}' in literal {word} (expecting '{expected}')"
    return "unexpected end of JSON input"


def _value_list(values: list[str]) -> str:
    """A JSON list of the values: parsed when each is an object or a list, else of strings."""
    parsed: list[Json] = []
    for value in values:
        try:
            item = json.loads(value)
        except ValueError:
            item = None
        if not isinstance(item, dict | list):
            return json_text(list(values))
        parsed.append(item)
    return compact(parsed)


_REFERENCE = {
    prefix: re.compile(rf"""\b{prefix}(?:\.([a-zA-Z0-9][-a-zA-Z0-9_]*)|\[(?:'|\\?")([^'"\\]+)(?:'|\\?")\])?""")
    for prefix in ("steps", "tasks")
}


def referenced_names(text: str, prefix: str) -> frozenset[str] | None:
    """The steps (or tasks) that a template's JSON text refers to; None if it may refer to any of them."""
    names = set()
    if "$env" in text:
        return None
    for match in _REFERENCE[prefix].finditer(text):
        name = match[1] or match[2]
        if name is None:
            after = text[match.end() : match.end() + 1]
            before = text[match.start() - 1 : match.start()]
            if before == '"' and after == '"':  # the key of the template's own list
                continue
            if after in "[?" or _in_expression(text, match.end()):
                return None
            continue
        names.add(name)
    return frozenset(names)


def _in_expression(text: str, end: int) -> bool:
    return re.match(r"\s*(\||\?\.|\)|,|\[)", text[end : end + 8]) is not None


def without_artifacts(scope: Scope) -> Scope:
    """``scope`` as tags see it: names that stand for artifacts are hidden, so that such a tag stays for whoever resolves artifacts."""
    if not any(isinstance(value, dict) for layer in scope.layers() for value in layer.values.values()):
        return scope
    below = without_artifacts(scope.parent) if scope.parent is not None else None
    return Scope({key: value for key, value in scope.values.items() if not isinstance(value, dict)}, below)


def scope_with(scope: Scope, variables: Mapping[str, Value]) -> None:
    """Give all of ``variables`` to ``scope``."""
    for key, value in variables.items():
        scope.set(key, value)


def failures_text(nodes: Iterable[Node], pod_name_of: Mapping[NodeId, str]) -> str:
    """``workflow.failures``: a JSON list of the failed nodes, quoted once more as Argo quotes it."""
    failures: list[Json] = [
        {
            "displayName": node.display_name,
            "message": node.message,
            "templateName": node.template_name or text_of(node.template_ref or {}, "template"),
            "phase": str(node.phase),
            "podName": pod_name_of.get(node.id, ""),
            "finishedAt": rfc3339(node.finished_at) if node.finished_at else None,
        }
        for node in nodes
        if node.phase.failed_or_error
    ]
    return json.dumps(json_text(failures or None), ensure_ascii=False)


__all__ = [
    "aggregate_variables",
    "failures_text",
    "global_artifacts",
    "global_parameters",
    "global_variables",
    "input_variables",
    "loop_index",
    "node_variables",
    "output_variables",
    "referenced_names",
    "scope_with",
    "skipped_variables",
    "without_artifacts",
]
