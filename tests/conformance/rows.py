"""A run of ours written in the oracle's words: names for ids, keys for locations, only what Argo's status would hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from flowcore.engine.messages import Command, Invocation, Start
from flowcore.nodes import Node, NodeType, RunRow

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d(?: UTC)?)?")
_URL_FIELDS = ("http", "artifactory")
_KEY_FIELDS = {"azure": "blob", "hdfs": "path"}
_STORES = ("s3", "gcs", "oss", "azure", "hdfs", "http", "artifactory", "plugin")
IMAGE_ENTRYPOINT = "<image-entrypoint>"


def without_times(value: Any) -> Any:
    """The same value with every point in time written ``<TIME>``."""
    if isinstance(value, str):
        return _TIME.sub("<TIME>", value)
    if isinstance(value, list):
        return [without_times(item) for item in value]
    if isinstance(value, Mapping):
        return {key: without_times(item) for key, item in value.items()}
    return value


def nodes_of(rows: Mapping[Any, Node]) -> dict[str, dict[str, Any]]:
    """The rows by node name."""
    names = {id_: row.name for id_, row in rows.items()}
    children: dict[str, list[str]] = {}
    for row in sorted(rows.values(), key=lambda row: row.seq):
        for parent in row.parents:
            children.setdefault(parent, []).append(row.name)
    return {row.name: _node(row, names, children.get(row.id, [])) for row in rows.values()}


def _node(row: Node, names: Mapping[Any, str], children: list[str]) -> dict[str, Any]:
    flags = {name: True for name, on in (("hooked", row.hooked), ("retried", row.retried)) if on}
    return {
        "name": row.name,
        "displayName": row.display_name,
        "type": str(row.type),
        "phase": str(row.phase),
        "message": row.message,
        "templateName": row.template_name,
        "templateRef": row.template_ref,
        "templateScope": row.template_scope,
        "boundary": names.get(row.boundary, row.boundary),
        "children": children,
        "outboundNodes": [names.get(id_, f"?{id_}") for id_ in row.outbound],
        "inputs": values_of(row.inputs),
        "outputs": values_of(row.outputs),
        "nodeFlag": flags,
        "daemoned": row.daemoned,
        "memoizationStatus": row.memoization,
    }


def values_of(io: Mapping[str, Any] | None) -> dict[str, Any]:
    """Inputs or outputs as the oracle writes them: parameters by value, artifacts by key."""
    io = io or {}
    shown: dict[str, Any] = {key: io[key] for key in ("result", "exitCode") if io.get(key) is not None}
    if io.get("parameters"):
        shown["parameters"] = [_picked(parameter, ("name", "value", "globalName")) for parameter in io["parameters"]]
    if io.get("artifacts"):
        shown["artifacts"] = [_artifact(artifact) for artifact in io["artifacts"]]
    return shown


def _picked(value: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: value[key] for key in keys if value.get(key) is not None}


def _artifact(artifact: Mapping[str, Any]) -> dict[str, Any]:
    shown = {key: value for key, value in _picked(artifact, ("name", "path", "globalName")).items() if value != ""}
    raw = artifact.get("raw")
    if isinstance(raw, Mapping) and "data" in raw:
        shown["raw"] = raw["data"]
    for store in _STORES:
        place = artifact.get(store)
        if isinstance(place, Mapping):
            key = urlsplit(str(place.get("url", ""))).path if store in _URL_FIELDS else place.get(_KEY_FIELDS.get(store, "key"))
            if key:
                shown["key"] = key
    return shown


def workflow_of(run: RunRow) -> dict[str, Any]:
    """The run's own row."""
    return {"name": run.name, "phase": str(run.phase), "message": run.message, "outputs": values_of(run.outputs)}


# --- work -------------------------------------------------------------------------------------------------------------------------


def pods_of(log: Iterable[tuple[int, Command]]) -> dict[str, dict[str, Any]]:
    """What was started in pods, by node name."""
    starts = [command.invocation for _, command in log if isinstance(command, Start)]
    agent = (NodeType.HTTP, NodeType.PLUGIN)
    return {invocation.node_name: _pod(invocation) for invocation in starts if invocation.node_type not in agent}


def tasks_of(log: Iterable[tuple[int, Command]]) -> dict[str, dict[str, Any]]:
    """What was given to the agent (HTTP requests and plugins), by node name."""
    starts = [command.invocation for _, command in log if isinstance(command, Start)]
    return {
        invocation.node_name: {key: invocation.body[key] for key in ("http", "plugin") if key in invocation.body}
        for invocation in starts
        if invocation.node_type in (NodeType.HTTP, NodeType.PLUGIN)
    }


def _pod(invocation: Invocation) -> dict[str, Any]:
    body: Any = invocation.body
    pod: dict[str, Any] = {"node": invocation.node_name, "pod": invocation.pod_name}
    if body.get("resource") or body.get("data"):
        return {**pod, **_picked(body, ("resource", "data"))}
    pod["containers"] = [_container(container) for container in _containers(body)]
    for field in ("sidecars", "initContainers"):
        if body.get(field):
            pod[field] = [_container(container) for container in body[field]]
    if body.get("script"):
        pod["source"] = body["script"].get("source", "")
    return pod


def _containers(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if body.get("containerSet"):
        return list(body["containerSet"]["containers"])
    if body.get("script"):
        script = body["script"]
        path = ["/argo/staging/script"] if script.get("source") else []
        return [{**script, "name": "main", "args": [*(script.get("args") or ()), *path]}]
    return [{**(body.get("container") or {}), "name": "main"}]


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": container.get("name"), "image": container.get("image"), "command": container.get("command")}
    if not shown["command"]:
        shown["command"] = [IMAGE_ENTRYPOINT]
    if container.get("args"):
        shown["args"] = container["args"]
    if container.get("env"):
        shown["env"] = [_variable(variable) for variable in container["env"]]
    return shown


def _variable(variable: Mapping[str, Any]) -> str:
    import json

    source = variable.get("valueFrom")
    if source:
        return f"{variable['name']}<-{json.dumps(source, separators=(',', ':'))}"
    return f"{variable['name']}={variable.get('value', '')}"
