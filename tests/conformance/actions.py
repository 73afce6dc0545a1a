"""The events of scripts, each as what it is in flowcore."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flowcore.engine.messages import Event, NodeSetRequested, ResumeRequested, ShutdownRequested, SuspendRequested
from flowcore.errors import UsageError
from flowcore.nodes import Phase, Shutdown
from tests.conformance.answers import part
from tests.conformance.matchers import steps_of
from tests.conformance.operating import resubmit, retry
from tests.conformance.simulation import Simulated, selects

if TYPE_CHECKING:
    from tests.conformance.scripts import Script

Action = Callable[["Script", Simulated, Any], None]


def _operate(_script: Script, workflow: Simulated, _arguments: Any) -> None:
    workflow.operate()


def _reconcile_pods(_script: Script, workflow: Simulated, _arguments: Any) -> None:
    if workflow.drive is not None:
        workflow.operate()


def _prepare(script: Script, workflow: Simulated, _arguments: Any) -> None:
    workflow.prepare()


def _pods(script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    for one in script.workflows.values():
        one.change_pods(arguments)


def _delete_pods(_script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    workflow.delete_pods(arguments["select"])


def _create_pods(_script: Script, workflow: Simulated, _arguments: Any) -> None:
    workflow.create_pods_for_running_nodes()


def _cleanup(_script: Script, _workflow: Simulated, _arguments: Any) -> None:
    """Pods that are done for are removed by whoever runs them; nothing in the run depends on it."""


def _sleep(script: Script, _workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    script.world.now += timedelta(seconds=arguments["seconds"])


def _config(script: Script, _workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    script.settings.config.update(arguments)


def _env(script: Script, _workflow: Simulated, arguments: Mapping[str, str]) -> None:
    script.settings.env.update(arguments)


def _config_map(script: Script, _workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    script.create(arguments["file"])


def _delete_config_map(script: Script, _workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    script.world.catalog.remove("ConfigMap", arguments["name"])


# --- documents --------------------------------------------------------------------------------------------------------------------


def _patch(script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    """Orders are given to the running engine; any other change is a changed document."""
    orders = {path: value for path, value in arguments.items() if path in ("spec.shutdown", "spec.suspend")}
    others = {path: script.resolve(value, workflow) for path, value in arguments.items() if path not in orders}
    if others or workflow.drive is None:
        document = copy.deepcopy(workflow.document())
        for path, value in {**orders, **others}.items():
            set_at(document, path, value)
        workflow.load(document)
    elif orders:
        workflow.pending += [_order(path, value) for path, value in orders.items()]


def _order(path: str, value: Any) -> Event:
    if path == "spec.shutdown":
        return ShutdownRequested(Shutdown(value or ""))
    return SuspendRequested() if value else ResumeRequested()


def set_at(document: Any, path: str, value: Any) -> None:
    """Set what stands at ``path``; null removes it."""
    *way, last = [step[2:-2] if step.startswith("['") else step for step in steps_of(path)]
    holder = document
    for step in way:
        holder = holder[int(step[1:-1])] if step.startswith("[") else holder.setdefault(step, {})
    if value is None:
        holder.pop(last, None)
    else:
        holder[last] = value


def _set_node(script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    workflow.absorb()
    document = copy.deepcopy(workflow.document())
    for node in document["status"]["nodes"].values():
        if selects(node, arguments["select"]):
            for path, value in arguments["fields"].items():
                set_at(node, path, script.resolve(value, workflow))
    workflow.load(document)


def _mark_node(_script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    document = copy.deepcopy(workflow.document())
    for node in document["status"]["nodes"].values():
        if node["name"] == arguments["name"]:
            node.update({key: value for key, value in arguments.items() if key != "name"})
    workflow.load(document)


def _put_node(_script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    document = copy.deepcopy(workflow.document())
    document.setdefault("status", {}).setdefault("nodes", {})[arguments["id"]] = dict(arguments)
    workflow.load(document)


def _delete_node(_script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    document = copy.deepcopy(workflow.document())
    nodes = document["status"]["nodes"]
    document["status"]["nodes"] = {id_: node for id_, node in nodes.items() if not selects(node, arguments["select"])}
    workflow.load(document)


def _mark_workflow(_script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    document = copy.deepcopy(workflow.document())
    document.setdefault("status", {}).update(arguments)
    workflow.load(document)


def _task_result(_script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    """Whether the result of a pod is in: an end without result is not known of yet."""
    id_ = workflow.node_matching(arguments["select"])["id"]
    if arguments["complete"]:
        workflow.withheld.discard(id_)
    else:
        workflow.withheld.add(id_)


def _apply_defaults(script: Script, workflow: Simulated, _arguments: Any) -> None:
    defaults = script.settings.config.get("workflowDefaults") or {}
    workflow.load(part("plan.merge", "apply_workflow_defaults")(workflow.document(), defaults))


# --- orders of users --------------------------------------------------------------------------------------------------------------


def _suspend(_script: Script, workflow: Simulated, _arguments: Any) -> None:
    workflow.pending.append(SuspendRequested())


def _resume(_script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    selector = str(arguments.get("nodeFieldSelector", ""))
    part("engine.control", "check_resume")(_rows(workflow), selector)
    workflow.order(ResumeRequested(selector))


def _stop(_script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    if arguments.get("nodeFieldSelector"):
        _set_nodes(workflow, NodeSetRequested(arguments["nodeFieldSelector"], phase=Phase.FAILED, message=arguments.get("message")))
    else:
        workflow.order(ShutdownRequested(Shutdown.STOP))


def _terminate(_script: Script, workflow: Simulated, _arguments: Any) -> None:
    workflow.order(ShutdownRequested(Shutdown.TERMINATE))


def _set(script: Script, workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    if arguments.get("workflow") and arguments["workflow"] not in script.workflows:
        raise UsageError(f'workflows.argoproj.io "{arguments["workflow"]}" not found')
    phase = Phase(arguments["phase"]) if arguments.get("phase") else None
    values = arguments.get("outputParameters") or {}
    _set_nodes(
        workflow,
        NodeSetRequested(str(arguments.get("nodeFieldSelector", "")), parameters=values, phase=phase, message=arguments.get("message")),
    )


def _set_nodes(workflow: Simulated, order: NodeSetRequested) -> None:
    part("engine.control", "check_set")(_rows(workflow), order)
    workflow.order(order)


def _rows(workflow: Simulated) -> Any:
    workflow.ensure_open()
    assert workflow.drive is not None
    return list(workflow.drive.engine.nodes.values())


def _acquire_lock(script: Script, _workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    script.world.hold(arguments["holder"], arguments["synchronization"])


def _release_lock(script: Script, _workflow: Simulated, arguments: Mapping[str, Any]) -> None:
    script.world.let_go(arguments["holder"])


ACTIONS: dict[str, Action] = {
    "acquire_lock": _acquire_lock,
    "apply_workflow_defaults": _apply_defaults,
    "config": _config,
    "configmap": _config_map,
    "create_pods_for_running_nodes": _create_pods,
    "delete_configmap": _delete_config_map,
    "delete_node": _delete_node,
    "delete_pods": _delete_pods,
    "env": _env,
    "mark_node": _mark_node,
    "mark_workflow": _mark_workflow,
    "operate": _operate,
    "patch": _patch,
    "pods": _pods,
    "prepare": _prepare,
    "process_pod_cleanup": _cleanup,
    "put_node": _put_node,
    "reconcile_pods": _reconcile_pods,
    "release_lock": _release_lock,
    "resubmit": resubmit,
    "resume": _resume,
    "retry": retry,
    "set": _set,
    "set_node": _set_node,
    "sleep": _sleep,
    "stop": _stop,
    "suspend": _suspend,
    "task_result": _task_result,
    "terminate": _terminate,
}
