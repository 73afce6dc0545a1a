"""Retry: the rows of an ended run, changed so that it goes on from where it failed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flowcore.errors import UsageError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, Shutdown, WorkflowPhase, pod_name, pod_name_version
from flowcore.operations.documents import END_LABELS, with_parameters, without_end
from flowcore.operations.graph import EXECUTED, GROUPS, Graph
from flowcore.operations.selecting import selected


@dataclass(frozen=True, slots=True)
class Retried:
    """A run that is ready to be driven on: what is to be recorded in its place, and the names of pods that must go."""

    run: RunRow
    nodes: tuple[Node, ...]
    manifest: JsonObject
    pods: tuple[str, ...]


def retry(
    run: RunRow,
    nodes: Sequence[Node],
    manifest: JsonObject,
    *,
    now: datetime,
    restart_successful: bool = False,
    selector: str = "",
    parameters: Mapping[str, str] | None = None,
) -> Retried:
    """The run as Argo's retry leaves it: failed work is forgotten with all that followed it, and what encloses it runs again.

    With ``restart_successful`` the nodes that ``selector`` matches are forgotten too. Succeeded nodes stay as they are even if ``parameters`` change.
    Raises UsageError for a run that cannot be retried, and for a selector that cannot be read.
    """
    if run.phase is WorkflowPhase.SUCCEEDED:
        if not (restart_successful and selector):
            raise UsageError(
                f"run {run.name} succeeded: to retry it, set restartSuccessful (--restart-successful) and a node field selector"
            )
    elif run.phase not in (WorkflowPhase.FAILED, WorkflowPhase.ERROR):
        raise UsageError(
            f"cannot retry a workflow in phase {run.phase or 'Pending'}: run {run.name} has not ended: stop it, or wait for its end"
        )
    graph = Graph(run.name, nodes)
    chosen = selected(nodes, selector) if restart_successful and selector else []
    if restart_successful and selector and not chosen:
        raise UsageError(f"no node of run {run.name} matches {selector!r}")
    rows, gone = restarted(graph, [row.id for row in chosen], now=now, reexpand=bool(parameters))
    pods = tuple(_pod(run, row) for row in nodes if row.id in gone and row.type is NodeType.POD)
    return Retried(reopened(run, now), rows, with_parameters(without_end(manifest), parameters or {}), pods)


def restarted(graph: Graph, chosen: Iterable[NodeId], *, now: datetime, reexpand: bool = False) -> tuple[tuple[Node, ...], set[NodeId]]:
    """The rows that are left, reset where they must be, when ``chosen`` nodes and failed ones run again; and what is gone.

    ``reexpand`` has groups that run again make all their children anew, for parameters that changed.
    """
    again = set(chosen)
    reached = graph.before_success(again)
    again |= {
        row.id for row in graph.rows.values() if row.phase.failed_or_error and row.type in EXECUTED and graph.wrapper(row).id not in reached
    }
    resets: set[NodeId] = set()
    gone: set[NodeId] = set()
    for node in graph.in_order():
        if node in again and node not in gone:
            _Path(graph, node, resets, gone).walk()
    if reexpand:
        for node in resets - gone:
            if graph.rows[node].type in (NodeType.TASK_GROUP, NodeType.STEP_GROUP):
                gone |= graph.below(node)
    on_exit = f"{graph.run}.onExit"
    gone |= {row.id for row in graph.rows.values() if row.name.startswith(on_exit)}
    kept = [_reset(row, now) if row.id in resets else row for row in graph.rows.values() if row.id not in gone]
    return tuple(_cut_loose(row, gone) for row in kept), gone


class _Path:
    """The way from one node that runs again up to the root: what goes with it, and what is reset."""

    def __init__(self, graph: Graph, start: NodeId, resets: set[NodeId], gone: set[NodeId]) -> None:
        self._graph, self._start = graph, start
        self._resets, self._gone = resets, gone

    def walk(self) -> None:
        """Note all of it in ``resets`` and ``gone``."""
        graph = self._graph
        self._gone |= {self._start, *graph.below(self._start)}
        here: NodeId | None = self._start
        if graph.up(self._start) is None:
            return
        while here is not None:
            row = graph.rows[here]
            if row.type in GROUPS:
                self._resets.add(here)
                here = self._boundaries(here)
            elif row.type is NodeType.CONTAINER:
                here = self._pod(here)
            else:
                if row.type is NodeType.RETRY and row.phase.failed_or_error:
                    self._resets.add(here)
                here = graph.up(here)

    def _boundaries(self, node: NodeId) -> NodeId | None:
        """Reset what encloses ``node``, one boundary after the other; where to go on."""
        graph = self._graph
        here = node
        while True:
            parent = graph.up(here)
            if parent is not None and graph.rows[parent].type is NodeType.RETRY:
                self._resets.add(parent)
                here = parent
                parent = graph.up(here)
            if parent is not None and graph.rows[parent].type in (NodeType.STEP_GROUP, NodeType.TASK_GROUP):
                self._resets.add(parent)
            boundary = graph.rows[here].boundary
            if boundary is None or boundary not in graph.rows:
                return parent
            self._resets.add(boundary)
            here = boundary

    def _pod(self, container: NodeId) -> NodeId:
        """A container of a set runs again with its whole pod."""
        graph = self._graph
        here: NodeId | None = container
        while here is not None and graph.rows[here].type is not NodeType.POD:
            here = graph.up(here)
        if here is None:
            raise UsageError(f"the pod of {graph.rows[container].name} is not among the nodes of the run")
        self._gone |= {here, *graph.below(here)}
        return here


def _reset(row: Node, now: datetime) -> Node:
    """The row of a node that runs again; what somebody supplied to a suspend node must be supplied again."""
    phase = Phase.SKIPPED if row.phase is Phase.SKIPPED else Phase.RUNNING
    outputs = _unsupplied(row.outputs) if row.type is NodeType.SUSPEND else row.outputs
    return replace(row, phase=phase, message="", started_at=now, finished_at=None, wake_at=None, waiting=None, outputs=outputs)


def _unsupplied(outputs: JsonObject | None) -> JsonObject | None:
    if outputs is None:
        return None
    names = [text_of(parameter, "name") for parameter in objects_of(outputs, "parameters")]
    parameters: list[Json] = [{"name": name, "valueFrom": {"supplied": {}}} for name in names]
    return {**outputs, "parameters": parameters}


def _cut_loose(row: Node, gone: set[NodeId]) -> Node:
    """The row without edges to nodes that are gone."""
    parents = tuple(parent for parent in row.parents if parent not in gone)
    outbound = tuple(node for node in row.outbound if node not in gone)
    return row if (parents, outbound) == (row.parents, row.outbound) else replace(row, parents=parents, outbound=outbound)


def reopened(run: RunRow, now: datetime) -> RunRow:
    """The run's row when it begins to run once more: deadlines count from now."""
    labels = {key: value for key, value in (run.labels or {}).items() if key not in END_LABELS}
    conditions = tuple(condition for condition in run.conditions if condition.get("type") != "Completed")
    return replace(
        run,
        phase=WorkflowPhase.UNKNOWN,
        message="",
        started_at=now,
        finished_at=None,
        shutdown=Shutdown.NONE,
        labels=labels or None,
        conditions=conditions,
        synchronization=None,
    )


def _pod(run: RunRow, row: Node) -> str:
    template = text_of(object_of({"ref": row.template_ref}, "ref"), "template") or row.template_name
    return pod_name(run.name, row.name, template, version=pod_name_version(run))


__all__ = ["Retried", "reopened", "restarted", "retry"]
