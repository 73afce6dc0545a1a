"""Expectations of scripts: what is looked at, and where flowcore has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.conformance.answers import part
from tests.conformance.matchers import MISSING, check, look_up, matches
from tests.conformance.simulation import Simulated, selects
from tests.conformance.verdicts import PartMissing, differ, shown

if TYPE_CHECKING:
    from tests.conformance.scripts import Script


def inspect(script: Script, expect: Mapping[str, Any]) -> None:
    """Check every part of an expectation."""
    for part_name, wanted in expect.items():
        _PARTS[part_name](script, wanted)


def _workflow(script: Script, wanted: Mapping[str, Any]) -> None:
    _on_documents(script, wanted, _workflow_value)


def _effective(script: Script, wanted: Mapping[str, Any]) -> None:
    _on_documents(script, wanted, _effective_value)


def _on_documents(script: Script, wanted: Mapping[str, Any], value_of: Any) -> None:
    for path, matcher in wanted.items():
        if path.startswith("of:"):
            for inner, inner_matcher in matcher.items():
                _check_at(script, script.of({"of": path[3:]}), inner, inner_matcher, value_of)
        else:
            _check_at(script, script.of({}), path, matcher, value_of)


def _check_at(script: Script, workflow: Simulated, path: str, matcher: Any, value_of: Any) -> None:
    document = workflow.document()
    note = (document.get("status") or {}).get("message")
    where = f"{value_of.__name__.strip('_').removesuffix('_value')} {path}" + (f" (message: {note})" if note else "")
    check(value_of(workflow, document, path), script.resolve(matcher, workflow), where)


def _workflow_value(workflow: Simulated, document: dict[str, Any], path: str) -> Any:
    if path == "nodes.count":
        return len(workflow.nodes())
    if path == "isSuspended()":
        return workflow.is_suspended()
    if path == "document":
        return document
    return look_up(document, path)


def _effective_value(workflow: Simulated, document: dict[str, Any], path: str) -> Any:
    spec = effective_spec(workflow)
    with_defaults = part("plan.merge", "merge_template_defaults")
    defaults = spec.get("templateDefaults") or {}
    if path.startswith("templates_with_defaults"):
        return look_up({"templates_with_defaults": [with_defaults(defaults, template) for template in spec.get("templates") or ()]}, path)
    return look_up({**document, "spec": spec}, path)


def effective_spec(workflow: Simulated) -> dict[str, Any]:
    """The merged spec, with the global variables filled in everywhere but in the templates once the run was opened."""
    return dict(workflow.drive.engine.plan.spec) if workflow.drive is not None else workflow.merged_spec()


def global_values(workflow: Simulated) -> dict[str, Any]:
    """The global variables of a run, as its last pass had them."""
    if workflow.drive is None:
        return {}
    state, now = workflow.drive.engine._state, workflow.world.now
    begun = state.run.started_at or now
    return {"workflow.duration": f"{(now - begun).total_seconds():f}", **state.globals.flat(), **state.current.flat()}


def _globals(script: Script, wanted: Mapping[str, Any]) -> None:
    values = global_values(script.of({}))
    for name, matcher in wanted.items():
        check(values.get(name, MISSING), script.resolve(matcher, script.of({})), f"global {name}")


# --- nodes and pods ---------------------------------------------------------------------------------------------------------------


def _nodes(script: Script, wanted: list[Mapping[str, Any]]) -> None:
    for one in wanted:
        workflow = script.of(one)
        resolved = script.resolve({key: value for key, value in one.items() if key != "of"}, workflow)
        check_items(workflow.nodes(), resolved, "nodes", node_line)


def check_items(items: list[dict[str, Any]], wanted: Mapping[str, Any], what: str, line: Any) -> None:
    """Hold ``{select, fields, quantifier, exists, count}`` against some nodes or pods; ``line`` shows one of them."""
    select = wanted.get("select") or {}
    if isinstance(select, Mapping) and "index" in select:
        chosen = items[select["index"] : select["index"] + 1]
    elif isinstance(select, Mapping) and "podName" in select:
        chosen = [item for item in items if matches(look_up(item, "metadata.name"), select["podName"])] or items
    else:
        chosen = [item for item in items if selects(item, select)]
    where = f"{what} {shown(select)} of {[line(item) for item in items]}"
    if "exists" in wanted and bool(chosen) is not wanted["exists"]:
        differ("there is one" if wanted["exists"] else "there is none", [line(item) for item in chosen], where)
    if "count" in wanted:
        check(len(chosen), wanted["count"], f"count of {where}")
    if "fields" in wanted:
        _fields(chosen, wanted, where)


def _fields(chosen: list[dict[str, Any]], wanted: Mapping[str, Any], where: str) -> None:
    fields = wanted["fields"]
    if wanted.get("quantifier") != "each" and not chosen:
        differ(fields, "no such item", where)
    if wanted.get("quantifier") != "each" and any(_agrees(item, fields) for item in chosen):
        return
    for item in chosen:
        for path, matcher in fields.items():
            check(look_up(item, path), matcher, f"{path} of {where}")


def _agrees(item: dict[str, Any], fields: Mapping[str, Any]) -> bool:
    return all(matches(look_up(item, path), matcher) for path, matcher in fields.items())


def node_line(node: Mapping[str, Any]) -> str:
    """A node in one line."""
    return f"{node.get('name')} {node.get('type')} {node.get('phase')}" + (f" ({node['message']})" if node.get("message") else "")


def _pod_line(pod: Mapping[str, Any]) -> str:
    return str(look_up(pod, "metadata.name"))


def _pods(script: Script, wanted: Mapping[str, Any]) -> None:
    pods = [pod for workflow in script.workflows.values() for pod in workflow.pod_documents()]
    names = [_pod_line(pod) for pod in pods]
    if "count" in wanted:
        check(len(pods), wanted["count"], f"number of pods {names}")
    if "min_count" in wanted and len(pods) < wanted["min_count"]:
        differ({"at least": wanted["min_count"]}, len(pods), f"number of pods {names}")
    for one in wanted.get("items") or ():
        check_items(pods, script.resolve(one, script.of({})), "pods", _pod_line)
    for path, matcher in (wanted.get("all") or {}).items():
        check([look_up(pod, path) for pod in pods], matcher, f"{path} of all pods")


def _config_maps(script: Script, wanted: Mapping[str, Any]) -> None:
    for name, paths in wanted.items():
        document = script.world.catalog.get("ConfigMap", name)
        shown_as = {
            "document": document,
            "data": (document or {}).get("data"),
            "labels": ((document or {}).get("metadata") or {}).get("labels"),
        }
        for path, matcher in paths.items():
            check(look_up(shown_as, path), matcher, f"ConfigMap {name} {path}")


def _result(script: Script, wanted: Mapping[str, Any]) -> None:
    for path, matcher in wanted.items():
        if path.split(".")[0] not in script.result:
            raise PartMissing(f"nothing gives the result {path}")
        check(look_up(script.result, path), script.resolve(matcher, script.of({})), f"result {path}")


def _no_crash(script: Script, wanted: bool) -> None:
    """Having come here is enough."""


_PARTS = {
    "workflow": _workflow,
    "effective_workflow": _effective,
    "globals": _globals,
    "nodes": _nodes,
    "pods": _pods,
    "configmaps": _config_maps,
    "result": _result,
    "no_crash": _no_crash,
}
