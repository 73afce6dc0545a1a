"""Fork: a new run that begins in the middle of an old one, with all that the old one had done before. Argo has no such thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject, object_of
from flowcore.nodes import Node, NodeType, RunRow, WorkflowPhase, node_id
from flowcore.operations.documents import renamed, with_parameters, without_end
from flowcore.operations.graph import Graph
from flowcore.operations.resubmit import moved_to, new_name
from flowcore.operations.retry import Retried, reopened, restarted
from flowcore.operations.selecting import selected

FORKED_LABEL = "workflows.argoproj.io/forked-from-workflow"


def fork(
    run: RunRow,
    nodes: Sequence[Node],
    manifest: JsonObject,
    name: str,
    *,
    now: datetime,
    uid: str,
    selector: str = "",
    parameters: Mapping[str, str] | None = None,
    changed: JsonObject | None = None,
) -> Retried:
    """A new run called ``name``: the nodes that ``selector`` matches, what failed, and all that followed them run again; the rest is as it was.

    ``changed`` is another document of the workflow in place of the old one, ``parameters`` are other arguments; what is kept keeps its old inputs.
    Raises UsageError if nothing would run, or if the run has not ended.
    """
    if not run.phase.completed:
        raise UsageError(f"run {run.name} has not ended: stop it, or wait for its end, before you fork it")
    chosen = selected(nodes, selector) if selector else []
    if selector and not chosen:
        raise UsageError(f"no node of run {run.name} matches {selector!r}")
    if not chosen and run.phase is WorkflowPhase.SUCCEEDED:
        raise UsageError(f"run {run.name} succeeded: say from which node the fork begins")
    kept, _ = restarted(Graph(run.name, nodes), [row.id for row in chosen], now=now)
    ids = {row.id: node_id(name, new_name(row.name, run.name, name)) for row in kept}
    rows = tuple(_settled(moved_to(row, run.name, name, ids)) for row in kept)
    document = with_parameters(without_end(renamed(changed or manifest, name)), parameters or {})
    metadata = object_of(document, "metadata")
    labels: JsonObject = {**object_of(metadata, "labels"), FORKED_LABEL: run.name}
    document = {**document, "metadata": {**metadata, "labels": labels}}
    again = reopened(run, now)
    row = replace(again, name=name, uid=uid, created_at=now, labels={**(again.labels or {}), FORKED_LABEL: run.name})
    return Retried(row, rows, document, ())


def _settled(row: Node) -> Node:
    """Daemons of the old run have ended with it; what they gave stays."""
    return replace(row, daemoned=False) if row.type is NodeType.POD else row


__all__ = ["FORKED_LABEL", "fork"]
