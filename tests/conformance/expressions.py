"""The expression section: tags, expressions, conditions and references, each put to the function that does it in flowcore."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Any

from tests.conformance.answers import Answer, Args, Function, part, play_row
from tests.conformance.corpus import Case
from tests.conformance.driving import World, open_run
from tests.conformance.submission import PlainCatalog


def play(case: Case) -> None:
    """Play one row."""
    play_row(case, _FUNCTIONS)


def _scope(values: Mapping[str, Any] | None, skipped: Any = ()) -> Any:
    absent = part("language.scope", "ABSENT")
    return part("language.scope", "Scope")({key: absent if key in skipped else value for key, value in (values or {}).items()})


# --- tags -------------------------------------------------------------------------------------------------------------------------


def _substitute(args: Args) -> Answer:
    tags = part("language.tags", "substitute_text")
    strict = part("language.tags", "LENIENT" if args["allowUnresolved"] else "ALL")
    return {"result": tags(args["template"], _scope(args["env"]), strict=strict)}


def _substitute_strict(args: Args) -> Answer:
    strict = part("language.tags", "Strictness")(prefixes=tuple(args["strictPrefixes"]))
    return {"result": part("language.tags", "substitute_text")(args["template"], _scope(args["env"]), strict=strict)}


def _substitute_config_map_ref(args: Args) -> Answer:
    asked: list[str] = []

    def read(name: str, _key: str) -> str:
        asked.append(name)
        return "value"

    declared = {"parameters": [{"name": "p", "valueFrom": {"configMapKeyRef": {"name": args["template"], "key": "k"}}}]}
    part("plan.arguments", "bind_inputs")(declared, {}, _scope(args["env"]), read)
    return {"result": asked[0]}


def _resolve_single_tag(args: Args) -> Answer:
    value = part("plan.artifacts", "resolve_variable")(args["template"], _scope(args["env"]))
    return {"value": value, "tag": part("plan.artifacts", "unwrap")(args["template"])}


def _classify_tag(args: Args) -> Answer:
    (tag,) = part("language.tags", "tags_in")("{{" + args["tag"] + "}}")
    kind = "expression" if isinstance(tag, part("language.tags", "ExpressionTag")) else "simple"
    return {"tag": tag.source, "kind": kind}


# --- expressions ------------------------------------------------------------------------------------------------------------------


def _eval_bool(args: Args) -> Answer:
    return {"result": part("language.expressions", "evaluate_bool")(args["expression"], args["env"])}


def _when(args: Args) -> Answer:
    return {"result": part("language.when", "evaluate_when")(args["when"])}


def _late_bound(args: Args) -> Answer:
    """A tag over a name that gets its value later stays as it is."""
    text = "{{=" + args["expression"] + "}}"
    left = part("language.tags", "substitute_text")(text, _scope(args["env"])) == text
    return {"result": args["expression"] if left else None}


def _required_identifiers(args: Args) -> Answer:
    references = part("language.expressions", "compile_expression")(args["expression"]).references
    names = {reference.path[0] for reference in references}
    names.update(".".join(reference.path) for reference in references if not reference.guarded)
    return {"result": sorted(names)}


def _missing_variables(args: Args) -> Answer:
    references = part("language.expressions", "compile_expression")(args["expression"]).references
    return {"result": [".".join(reference.path) for reference in references if reference.path[0] not in args["env"]]}


def _variable_in_env(args: Args) -> Answer:
    scope = _scope(args["env"])
    if args["name"] in scope:
        return {"result": True}
    value: Any = scope.environment()
    for step in args["name"].split("."):
        if not isinstance(value, Mapping) or step not in value:
            return {"result": False}
        value = value[step]
    return {"result": True}


# --- references -------------------------------------------------------------------------------------------------------------------


def _resolve_artifact(args: Args) -> Answer:
    return {"result": part("plan.artifacts", "resolve_artifact")(args["arg"], _scope(args["scope"], args["skipped"]))}


def _resolve_value_from(args: Args) -> Answer:
    template = {"outputs": {"parameters": [{"name": "p", "valueFrom": args["arg"]}]}}
    outputs = part("engine.outputs", "of_template")(template, _scope(args["scope"], args["skipped"]))
    return {"result": outputs["parameters"][0].get("value")}


def _is_absent_optional(args: Args) -> Answer:
    name = part("language.tags", "pure_reference")(args["arg"])
    scope = _scope(args["scope"], args["skipped"])
    return {"result": name is not None and scope.lookup(name) is part("language.scope", "ABSENT")}


def _bind_arguments(args: Args) -> Answer:
    scope = _scope({**args["globalParams"], **args["localParams"]})
    inputs = part("plan.arguments", "bind_inputs")(args["template"]["inputs"], args["inputs"], scope, lambda _name, _key: "")
    return {"result": {**args["template"], "inputs": inputs}}


# --- depends ----------------------------------------------------------------------------------------------------------------------


def _dependencies(task: Mapping[str, Any]) -> Any:
    if task.get("depends"):
        return part("language.depends", "parse_depends")(task["depends"])
    return part("language.depends", "from_dependencies")(task.get("dependencies") or ())


def _task_dependencies(args: Args) -> Answer:
    continue_on = part("models.templates", "ContinueOn")
    allowed = {task["name"]: continue_on.model_validate(task["continueOn"]) for task in args["tasks"] if task.get("continueOn")}
    depends = _dependencies(args["task"])
    return {"dependencies": list(depends.tasks), "logic": depends.expand(allowed).text}


def _validate_depends(args: Args) -> Answer:
    _dependencies(args["task"])
    return {}


def _depends_expression(args: Args) -> Answer:
    return {"result": _dependencies(args["task"]).text}


def _task_ancestry(args: Args) -> Answer:
    graph = {task["name"]: tuple(_dependencies(task).tasks) for task in args["tasks"]}
    ancestry = part("plan.graph", "Ancestry")(graph, TopologicalSorter(graph).static_order())
    found = [name for name in graph if ancestry.precedes(name, args["taskName"])]
    return {"result": sorted(found, key=lambda name: args["finishedAt"][name])}


def _depends(args: Args) -> Answer:
    """Put the tasks into a DAG that already has the given nodes, and see what becomes of the task in question."""
    rows_from_status = part("status", "rows_from_status")
    tasks = [{**task, "template": "work"} for task in args["tasks"]]
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "wf", "namespace": "argo"},
        "spec": {
            "entrypoint": "main",
            "templates": [
                {"name": "main", "dag": {"failFast": False, "tasks": tasks}},
                {"name": "work", "container": {"image": "i", "command": ["c"]}},
            ],
        },
        "status": {"phase": "Running", "startedAt": "2026-01-05T08:00:00Z", "nodes": _nodes(args["nodes"])},
    }
    run, rows = rows_from_status(workflow)
    drive = open_run(workflow, World(PlainCatalog()), rows=rows, run=run)
    opened = part("engine.messages", "Opened")
    drive.handle([opened()])
    node = next((node for node in drive.engine.nodes.values() if node.name == f"wf.{args['task']}"), None)
    return {"proceed": node is not None, "execute": node is not None and node.phase != "Omitted"}


def _nodes(given: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The node table; children that are named but not there yet are Pending."""
    named = {child: {"phase": "Pending"} for node in given.values() for child in node.get("children") or ()}
    given = {**named, **given}
    node_id = part("nodes", "node_id")
    ids = {name: node_id("wf", f"wf.{name}") for name in given}
    loops = {child: name for name, node in given.items() for child in node.get("children") or ()}
    nodes: dict[str, Any] = {
        "wf": {
            "id": "wf",
            "name": "wf",
            "displayName": "wf",
            "type": "DAG",
            "phase": "Running",
            "templateName": "main",
            "templateScope": "local/wf",
        }
    }
    nodes["wf"]["children"] = [ids[name] for name in given if name not in loops]
    for name, node in given.items():
        nodes[ids[name]] = {
            **{key: value for key, value in node.items() if key != "children"},
            "id": ids[name],
            "name": f"wf.{name}",
            "displayName": name,
            "type": node.get("type", "Pod"),
            "templateName": "work",
            "templateScope": "local/wf",
            "boundaryID": "wf",
            "startedAt": "2026-01-05T08:00:00Z",
            "children": [ids[child] for child in node.get("children") or () if child in ids],
        }
    return nodes


_FUNCTIONS: dict[str, Function] = {
    "bind_arguments": _bind_arguments,
    "classify_tag": _classify_tag,
    "depends": _depends,
    "depends_expression": _depends_expression,
    "eval_bool": _eval_bool,
    "is_absent_optional_reference": _is_absent_optional,
    "late_bound_variable_missing": _late_bound,
    "missing_variables": _missing_variables,
    "required_identifiers": _required_identifiers,
    "resolve_artifact": _resolve_artifact,
    "resolve_single_tag": _resolve_single_tag,
    "resolve_value_from": _resolve_value_from,
    "substitute": _substitute,
    "substitute_configmap_key_ref": _substitute_config_map_ref,
    "substitute_strict": _substitute_strict,
    "task_ancestry": _task_ancestry,
    "task_dependencies": _task_dependencies,
    "validate_depends": _validate_depends,
    "variable_in_env": _variable_in_env,
    "when": _when,
}
