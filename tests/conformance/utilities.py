"""The util section: small functions of Argo, each put to what does the same in flowcore; and user operations as scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.conformance.answers import Answer, Args, Function, part, play_row
from tests.conformance.containers import part_of_backends
from tests.conformance.corpus import Case
from tests.conformance.retrying import decide
from tests.conformance.scripts import play_script
from tests.conformance.values import read_time


def play(case: Case) -> None:
    """Play one row or one script."""
    if "script" in case.data:
        play_script(case)
    else:
        play_row(case, _FUNCTIONS)


# --- names ------------------------------------------------------------------------------------------------------------------------


def _node_id(args: Args) -> Answer:
    return {"result": part("nodes", "node_id")(args["workflow"], args["node"])}


def _pod_name(args: Args) -> Answer:
    """Ids follow from names, so a row with a made-up id can only be asked for the rest."""
    name = part("nodes", "pod_name")(args["workflowName"], args["nodeName"], args["templateName"], version=args["version"])
    return {"result": args["nodeID"] if name == part("nodes", "node_id")(args["workflowName"], args["nodeName"]) else name}


def _pod_name_prefix(args: Args) -> Answer:
    workflow, _, template = args["prefix"].partition("-")
    name = part("nodes", "pod_name")(workflow, "node", template)
    return {"result": name.rpartition("-")[0]}


def _task_name(args: Args) -> Answer:
    return {"result": part("nodes", "step_name_of")(args["nodeName"])}


def _item_name(args: Args) -> Answer:
    return {"result": part("plan.expansion", "item_name")(args["name"], args["index"], args["item"])}


def _node_type(args: Args) -> Answer:
    make_entry, missing = part("plan.templates", "make_entry"), part("plan.templates", "TemplateNotFound")
    try:
        return {"result": str(make_entry({"name": "t", **args["template"]}, None).node_type)}
    except missing:
        return {"result": ""}


def _template_name(args: Args) -> Answer:
    """What the rows read from a status say."""
    row = _row({"id": "n", "name": "wf", "displayName": "wf", "type": "Pod", "phase": "Running", **args["node"]})
    return {"result": row.template_name or (row.template_ref or {}).get("template")}


def _row(node: Mapping[str, Any]) -> Any:
    status = {"metadata": {"name": "wf"}, "status": {"phase": "Running", "nodes": {node["id"]: node}}}
    return part("status", "rows_from_status")(status)[1][0]


# --- pods -------------------------------------------------------------------------------------------------------------------------


def _pod_view(pod: Mapping[str, Any]) -> Any:
    return part_of_backends("kubernetes.status", "PodView")(pod, ("main",))


def _assess_pod(args: Args) -> Answer:
    """Of a node that is finished, no report of its pod changes anything."""
    phase = part("nodes", "Phase")(args["node"].get("phase") or "Pending")
    if phase.fulfilled:
        return {"node": args["node"]}
    verdict = _pod_view(args["pod"]).verdict(daemon=args["daemon"])
    return {"node": {"phase": str(verdict.phase), "message": verdict.message}}


def _pod_failure(args: Args) -> Answer:
    verdict = _pod_view(args["pod"]).failure()
    return {"phase": str(verdict.phase), "message": verdict.message}


# --- loops and aggregates ---------------------------------------------------------------------------------------------------------


def _try_json(args: Args) -> Answer:
    """Values that are all objects or lists become parsed JSON in the aggregate; others stay texts."""
    combined = json.loads(_aggregate_text(args["value"]))
    return {"ok": combined != list(args["value"])}


def _aggregate_json_list(args: Args) -> Answer:
    return {"result": _aggregate_text(args["value"])}


def _aggregate_text(values: list[str]) -> str:
    """What ``steps.X.outputs.parameters.P`` of a loop is when its items gave these values."""
    node, phase, kind = part("nodes", "Node"), part("nodes", "Phase"), part("nodes", "NodeType")
    children = [
        node(
            id=f"wf-{index}",
            name=f"wf[0].X({index}:i)",
            display_name="X",
            type=kind.POD,
            phase=phase.SUCCEEDED,
            outputs={"parameters": [{"name": "P", "value": value}]},
        )
        for index, value in enumerate(values)
    ]
    variables = part("plan.scopes", "aggregate_variables")("steps", "X", children)
    return str(variables["steps.X.outputs.parameters.P"])


def _expanded(call: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The steps or tasks that a loop comes to."""
    items = part("plan.expansion", "items_of")(call)
    body = {key: value for key, value in call.items() if key not in ("withItems", "withParam", "withSequence")}
    return [{**_for_item(body, item), "name": part("plan.expansion", "item_name")(name, index, item)} for index, item in enumerate(items)]


def _for_item(body: Mapping[str, Any], item: Any) -> dict[str, Any]:
    scope = part("language.scope", "Scope")(part("plan.expansion", "item_variables")(item))
    return dict(part("language.tags", "substitute")(dict(body), scope))


def _expand_step(args: Args) -> Answer:
    return {"steps": _expanded(args["step"], args["step"]["name"])}


def _with_sequence(args: Args) -> Answer:
    return {"items": list(part("plan.expansion", "items_of")({"withSequence": args["sequence"]}))}


def _process_item(args: Args) -> Answer:
    (name, task) = (part("plan.expansion", "item_name")(args["name"], args["index"], args["item"]), _for_item(args["task"], args["item"]))
    return {"name": name, "task": task}


# --- merging and submission -------------------------------------------------------------------------------------------------------


def _merge_into(args: Args) -> Answer:
    """The target wins over the patch."""
    merged = part("plan.merge", "merge_workflow_spec")(args["target"].get("spec") or {}, args["patch"].get("spec") or {})
    return {"target": {**args["target"], "spec": merged}}


def _join_spec(args: Args) -> Answer:
    return {"result": {"spec": part("plan.merge", "merge_workflow_spec")(args["workflow"], args["template"], args["defaults"])}}


def _validate_overrides(args: Args) -> Answer:
    part("plan.restrictions", "check_overrides")(args["spec"] or {})
    return {}


def _sanitize(args: Args) -> Answer:
    return {"result": None if args["spec"] is None else part("plan.restrictions", "permitted_overrides")(args["spec"])}


def _from_cron(args: Args) -> Answer:
    """The row's expectation has a scheduled time, which its arguments lack: the one of upstream's test is taken."""
    return {"result": part("service.submission", "workflow_from_cron")(args["cronWorkflow"], read_time("2021-02-19T10:29:05-08:00"))}


def _from_template(args: Args) -> Answer:
    kind = "ClusterWorkflowTemplate" if args["clusterScope"] else "WorkflowTemplate"
    return {"result": part("service.submission", "workflow_from_template")({"kind": kind, "metadata": {"name": args["name"]}, "spec": {}})}


def _submit_options(args: Args) -> Answer:
    return {"workflow": part("service.submission", "apply_options")(args["workflow"], args["options"] or {})}


def _node_selector(args: Args) -> Answer:
    terms = part("engine.control", "read_selector")(args["selector"])
    return {"result": part("engine.control", "_matches")(_row({"type": "Suspend", **args["node"]}), terms)}


def _cron_when(args: Args) -> Answer:
    return {"result": part("service.cron", "evaluate_when")(args["cronWorkflow"])}


_FUNCTIONS: dict[str, Function] = {
    "aggregate_json_list": _aggregate_json_list,
    "apply_submit_options": _submit_options,
    "assess_pod": _assess_pod,
    "cron_when": _cron_when,
    "expand_step": _expand_step,
    "item_node_name": _item_name,
    "join_workflow_spec": _join_spec,
    "merge_into": _merge_into,
    "node_field_selector": _node_selector,
    "node_id": _node_id,
    "node_type_of_template": _node_type,
    "pod_name": _pod_name,
    "pod_name_prefix": _pod_name_prefix,
    "pod_failure_reason": _pod_failure,
    "process_item": _process_item,
    "retry_decision": decide,
    "sanitize_user_spec": _sanitize,
    "task_name_of_node_name": _task_name,
    "template_name_of_node": _template_name,
    "try_json": _try_json,
    "validate_user_overrides": _validate_overrides,
    "with_sequence": _with_sequence,
    "workflow_from_cron": _from_cron,
    "workflow_from_template": _from_template,
}
