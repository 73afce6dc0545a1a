"""Resubmit: a new run of an old one's workflow; memoized, it takes over what had succeeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, WorkflowPhase, node_id
from flowcore.operations.documents import END_LABELS, renamed, with_parameters, without_end
from flowcore.operations.graph import Graph

PREVIOUS_LABEL = "workflows.argoproj.io/resubmitted-from-workflow"
_PREFIX = "workflows.argoproj.io/"
_DROPPED = END_LABELS | {f"{_PREFIX}creator", f"{_PREFIX}creator-email", f"{_PREFIX}creator-preferred-username"}


def name_prefix(run: RunRow, manifest: JsonObject) -> str:
    """What the name of a resubmitted run begins with; random letters follow."""
    return text_of(object_of(manifest, "metadata"), "generateName") or f"{run.name}-"


def resubmit(run: RunRow, manifest: JsonObject, name: str, *, parameters: Mapping[str, str] | None = None) -> JsonObject:
    """The document of a new run called ``name``, as Argo's resubmit makes it: the same workflow, its orders to end taken back."""
    document = with_parameters(without_end(renamed(manifest, name)), parameters or {})
    metadata = object_of(document, "metadata")
    labels = {**object_of(metadata, "labels"), **(run.labels or {})}
    kept: JsonObject = {key: value for key, value in labels.items() if key not in _DROPPED}
    annotations: JsonObject = {**object_of(metadata, "annotations"), **(run.annotations or {})}
    metadata = {**metadata, "generateName": name_prefix(run, manifest), "labels": {**kept, PREVIOUS_LABEL: run.name}}
    if annotations:
        metadata["annotations"] = annotations
    return {**document, "metadata": metadata}


def memoized(run: RunRow, nodes: Sequence[Node], name: str, *, now: datetime) -> tuple[Node, ...]:
    """The rows that a memoized resubmission begins with: succeeded work is skipped with its outputs, all else is pending.

    Raises UsageError for a run that did not fail.
    """
    if run.phase not in (WorkflowPhase.FAILED, WorkflowPhase.ERROR):
        raise UsageError(f"run {run.name} is {run.phase or 'Pending'}: a workflow must be Failed or Error to be resubmitted memoized")
    graph = Graph(run.name, nodes)
    reached = graph.before_success()
    carried = [row for row in graph.rows.values() if _is_carried(row, run.name, reached)]
    ids = {row.id: _new_id(row.name, run.name, name) for row in carried}
    return tuple(_carried(row, run.name, name, ids, now) for row in carried)


def _is_carried(row: Node, old: str, reached: set[NodeId]) -> bool:
    if row.name.startswith(f"{old}.onExit"):
        return False
    return row.type is not NodeType.SKIPPED or row.id in reached


def _carried(row: Node, old: str, name: str, ids: Mapping[NodeId, NodeId], now: datetime) -> Node:
    moved = moved_to(row, old, name, ids)
    failed = row.phase.failed_or_error
    if row.type is NodeType.POD and not failed:
        return replace(
            moved,
            type=NodeType.SKIPPED,
            phase=Phase.SKIPPED,
            message=f"original pod: {row.id}",
            started_at=now,
            finished_at=now,
            daemoned=False,
        )
    begun = None if failed and row.type is NodeType.POD else now
    return replace(moved, phase=Phase.PENDING, message="", started_at=begun, finished_at=None, wake_at=None, waiting=None)


def moved_to(row: Node, old: str, name: str, ids: Mapping[NodeId, NodeId]) -> Node:
    """The row under the name of another run; edges to nodes without a new id are dropped."""
    return replace(
        row,
        id=_new_id(row.name, old, name),
        name=new_name(row.name, old, name),
        display_name=name if row.name == old else row.display_name,
        boundary=ids.get(row.boundary) if row.boundary is not None else None,
        owner=ids.get(row.owner) if row.owner is not None else None,
        parents=tuple(ids[parent] for parent in row.parents if parent in ids),
        outbound=tuple(ids[node] for node in row.outbound if node in ids),
    )


def new_name(text: str, old: str, name: str) -> str:
    """A node's name in the run ``name`` that was called ``text`` in the run ``old``."""
    return name + text[len(old) :] if text.startswith(old) else text


def _new_id(text: str, old: str, name: str) -> NodeId:
    return node_id(name, new_name(text, old, name))


__all__ = ["PREVIOUS_LABEL", "memoized", "moved_to", "name_prefix", "new_name", "resubmit"]
