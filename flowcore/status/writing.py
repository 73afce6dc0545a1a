"""Rows to Argo's JSON: the Workflow object with its ``status``, field by field as Argo's API writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from flowcore.jsontypes import Json, JsonObject
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, Shutdown, WorkflowPhase
from flowcore.status.progress import progress_of

COMPLETED_LABEL = "workflows.argoproj.io/completed"
PHASE_LABEL = "workflows.argoproj.io/phase"
DERIVED_CONDITIONS = ("PodRunning", "Completed")
_REPOSITORIES = "artifact-repositories"  # the ConfigMap that is meant where none is named
_EXECUTED = frozenset({NodeType.POD, NodeType.HTTP, NodeType.PLUGIN})


def workflow_with_status(manifest: JsonObject, run: RunRow, nodes: Iterable[Node]) -> JsonObject:
    """The Workflow object of a run: ``manifest`` as submitted, with name, labels, orders and ``status`` from the rows.

    ``children`` follow from the rows' ``parents`` in the order of creation; progress, the labels ``phase`` and ``completed`` and the
    conditions PodRunning and Completed are derived here. ``manifest`` is not changed; parts of it are shared with the result.
    """
    rows = sorted(nodes, key=lambda node: node.seq)
    document: JsonObject = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", **manifest}
    document["metadata"] = _metadata(_object(manifest.get("metadata")), run)
    document["spec"] = _spec(_object(manifest.get("spec")), run)
    status = document["status"] = _status(run, rows)
    if reference := _object(_object(manifest.get("spec")).get("artifactRepositoryRef")):
        status["artifactRepositoryRef"] = {"configMap": _REPOSITORIES, **reference, "namespace": run.namespace}
    return document


def children_of(nodes: Sequence[Node]) -> dict[NodeId, list[NodeId]]:
    """Argo's ``children`` of each node that has some, derived from the ``parents`` of ``nodes`` (given in order of ``seq``)."""
    children: dict[NodeId, list[NodeId]] = {}
    for node in nodes:
        for parent in node.parents:
            children.setdefault(parent, []).append(node.id)
    return children


def time_text(moment: datetime | None) -> str | None:
    """A point in time as Kubernetes writes it: UTC, whole seconds."""
    if moment is None:
        return None
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat()[:19] + "Z"


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _metadata(given: JsonObject, run: RunRow) -> JsonObject:
    metadata: JsonObject = {**given, "name": run.name, "namespace": run.namespace}
    if run.uid:
        metadata["uid"] = run.uid
    if run.created_at is not None:
        metadata["creationTimestamp"] = time_text(run.created_at)
    labels: JsonObject = {**_object(given.get("labels")), **(run.labels or {})}
    if run.phase is not WorkflowPhase.UNKNOWN:
        labels |= {COMPLETED_LABEL: "true" if run.phase.completed else "false", PHASE_LABEL: str(run.phase)}
    if labels:
        metadata["labels"] = labels
    annotations: JsonObject = {**_object(given.get("annotations")), **(run.annotations or {})}
    if annotations:
        metadata["annotations"] = annotations
    return metadata


def _spec(given: JsonObject, run: RunRow) -> JsonObject:
    spec = {key: value for key, value in given.items() if key not in ("shutdown", "suspend")}
    if run.shutdown is not Shutdown.NONE:
        spec["shutdown"] = str(run.shutdown)
    if run.suspended:
        spec["suspend"] = True
    return spec


def _status(run: RunRow, rows: Sequence[Node]) -> JsonObject:
    children = children_of(rows)
    progress = progress_of(rows, children)
    status: JsonObject = {
        "phase": str(run.phase),
        "startedAt": time_text(run.started_at),
        "finishedAt": time_text(run.finished_at),
        "progress": progress.run,
    }
    if run.message:
        status["message"] = run.message
    if rows:
        status["nodes"] = {row.id: _node(row, children.get(row.id), progress.nodes) for row in rows}
    if run.outputs:
        status["outputs"] = run.outputs
    if conditions := _conditions(run, rows):
        status["conditions"] = cast("list[Json]", conditions)
    if run.synchronization:
        status["synchronization"] = run.synchronization
    return status


def _conditions(run: RunRow, rows: Sequence[Node]) -> list[JsonObject]:
    conditions = list(run.conditions)
    told = {condition.get("type") for condition in conditions}
    executed = [row for row in rows if row.type in _EXECUTED]
    if executed and "PodRunning" not in told:
        running = any(row.type is NodeType.POD and row.phase is Phase.RUNNING for row in executed)
        conditions.insert(0, {"type": "PodRunning", "status": "True" if running else "False"})
    if run.phase.completed and "Completed" not in told:
        conditions.append({"type": "Completed", "status": "True"})
    return conditions


def _node(row: Node, children: Sequence[NodeId] | None, progress: Mapping[NodeId, str]) -> JsonObject:
    node: JsonObject = {"id": row.id, "name": row.name, "displayName": row.display_name, "type": str(row.type)}
    _set_if(
        node,
        templateName=row.template_name,
        templateRef=row.template_ref,
        templateScope=row.template_scope,
        phase=str(row.phase),
        boundaryID=row.boundary,
        message=row.message,
    )
    node["startedAt"], node["finishedAt"] = time_text(row.started_at), time_text(row.finished_at)
    _set_if(node, progress=progress.get(row.id), podIP=row.pod_ip, daemoned=row.daemoned)
    if row.hooked or row.retried:
        node["nodeFlag"] = {flag: True for flag, is_set in (("hooked", row.hooked), ("retried", row.retried)) if is_set}
    _set_if(
        node,
        inputs=row.inputs,
        children=cast("list[Json] | None", children),
        outboundNodes=cast("list[Json]", list(row.outbound)),
        hostNodeName=row.host_node_name,
        memoizationStatus=row.memoization,
    )
    if row.outputs is not None:
        node["outputs"] = row.outputs
    if row.waiting:
        node["synchronizationStatus"] = {"waiting": row.waiting}
    return node


def _set_if(node: JsonObject, **fields: Json) -> None:
    """Set what says something; absent and empty fields stay away, as in Argo's JSON."""
    for name, value in fields.items():
        if value:
            node[name] = value


__all__ = ["children_of", "time_text", "workflow_with_status"]
