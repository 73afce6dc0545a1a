"""How long a run and its nodes will probably take: as long as in the latest run of the same template that succeeded, as Argo has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from flowcore.jsontypes import JsonObject, object_of
from flowcore.nodes import Node, NodeId, RunRow, WorkflowPhase
from flowcore.ports import StoredRun

_LABELS = ("workflow-template", "cluster-workflow-template", "cron-workflow")
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Estimates:
    """The estimated duration of a run, if there is an earlier one, and of those of its nodes that the earlier run had too."""

    run: timedelta | None = None
    nodes: Mapping[NodeId, timedelta] = field(default_factory=dict)


def earlier_run(run: RunRow, others: Iterable[RunRow]) -> RunRow | None:
    """The latest of ``others`` that was made of the same WorkflowTemplate, ClusterWorkflowTemplate or CronWorkflow, succeeded, and began before ``run``."""
    for label in _LABELS:
        key = f"workflows.argoproj.io/{label}"
        name = (run.labels or {}).get(key)
        if name is not None:
            kin = [each for each in others if (each.labels or {}).get(key) == name and _is_earlier(each, run)]
            return max(kin, key=lambda each: each.finished_at or _NEVER, default=None)
    return None


def _is_earlier(other: RunRow, run: RunRow) -> bool:
    if other.namespace != run.namespace or other.uid == run.uid or other.phase is not WorkflowPhase.SUCCEEDED:
        return False
    return other.finished_at is not None and (run.started_at is None or other.finished_at <= run.started_at)


def estimated(run: RunRow, nodes: Sequence[Node], earlier: StoredRun | None) -> Estimates:
    """The estimates for ``run`` by an earlier run."""
    if earlier is None:
        return Estimates()
    old = earlier.run
    lengths = {node.name.replace(old.name, run.name, 1): _length(node.started_at, node.finished_at) for node in earlier.nodes}
    found = {node.id: length for node in nodes if (length := lengths.get(node.name)) is not None}
    return Estimates(_length(old.started_at, old.finished_at), found)


def with_estimates(workflow: JsonObject, estimates: Estimates) -> JsonObject:
    """A Workflow object with the estimates in its status, in whole seconds, at least one."""
    if estimates.run is None:
        return workflow
    status = object_of(workflow, "status")
    nodes = object_of(status, "nodes")
    told: JsonObject = {}
    for id_, node in nodes.items():
        length = estimates.nodes.get(NodeId(id_))
        told[id_] = {**node, "estimatedDuration": _seconds(length)} if isinstance(node, dict) and length is not None else node
    return {**workflow, "status": {**status, "estimatedDuration": _seconds(estimates.run), **({"nodes": told} if nodes else {})}}


def _length(start: datetime | None, end: datetime | None) -> timedelta | None:
    return end - start if start is not None and end is not None else None


def _seconds(length: timedelta) -> int:
    return max(int(length.total_seconds()), 1)


__all__ = ["Estimates", "earlier_run", "estimated", "with_estimates"]
