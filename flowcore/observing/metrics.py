"""``Metrics``: what runs cost and how they end, for Prometheus. Its own metrics are called ``flowcore_...``, declared ones as Argo calls them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from flowcore.audience import Change, NodeChanged, Observed, RunChanged, Tell
from flowcore.clocks import RealClock
from flowcore.errors import FlowError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, NodeType, RunRow, changed
from flowcore.observing.declared import Moment, emit, entry_of, metrics_of, node_moment, run_moment
from flowcore.observing.exposition import Registry
from flowcore.ports import Clock, Logged

_WITHOUT_TEMPLATE = frozenset({NodeType.CONTAINER, NodeType.STEP_GROUP, NodeType.TASK_GROUP})
_SECONDS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
_MOST_PROBLEMS = 100  # that are told of one run
_log = logging.getLogger("flowcore.metrics")


class Metrics:
    """An observer of runs that keeps their metrics; ``text`` gives all of them in Prometheus' format, for whatever serves them.

    ``gauge`` adds a value of the embedding program that is read each time. The metrics are of this process and begin at zero with it.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or RealClock()
        self._registry = registry = Registry()
        self._problems: dict[tuple[str, str], list[str]] = {}
        self._driven = registry.family("flowcore_runs", "Runs that are driven here now.", "gauge").labelled({})
        self._runs = registry.family("flowcore_runs_ended_total", "Runs that have ended, by phase.", "counter")
        self._run_seconds = registry.family("flowcore_run_duration_seconds", "How long runs took, by phase.", "histogram", _SECONDS)
        self._working = registry.family("flowcore_nodes_working", "Nodes with work of their own that have not ended, by phase.", "gauge")
        self._nodes = registry.family("flowcore_nodes_ended_total", "Nodes that have ended, by type and phase.", "counter")
        self._node_seconds = registry.family("flowcore_node_duration_seconds", "How long nodes with work took.", "histogram", _SECONDS)
        self._lines = registry.family("flowcore_log_lines_total", "Pieces of output that nodes printed.", "counter")
        self._errors = registry.family("flowcore_metric_errors_total", "Declared metrics that could not be worked out.", "counter")

    def text(self) -> str:
        """All metrics in Prometheus' text format."""
        return self._registry.text()

    def gauge(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """Add a number that is asked for whenever metrics are read."""
        self._registry.family(name, help_text, "gauge").labelled({}).function = value

    def found(self, run: RunRow) -> Sequence[JsonObject]:
        """The condition MetricsError, if declared metrics of a run could not be worked out since this was asked last."""
        problems = self._problems.pop((run.namespace, run.name), None)
        return [{"type": "MetricsError", "status": "True", "message": problem} for problem in problems or ()]

    def watch(self, run: Observed) -> Tell:
        """Count what happens to a run from now on."""
        return _Watched(self, run).tell

    # --- called by _Watched ---------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time by the clock that durations are measured with."""
        return self._clock.now()

    def driven(self, by: int) -> None:
        """So many more runs are driven."""
        self._driven.value += by

    def run_ended(self, row: RunRow) -> None:
        """A run has ended."""
        self._runs.labelled({"phase": str(row.phase)}).value += 1
        if row.started_at is not None and row.finished_at is not None:
            self._run_seconds.observe({"phase": str(row.phase)}, (row.finished_at - row.started_at).total_seconds())

    def node_changed(self, node: Node, previous: Node | None) -> None:
        """A node with work of its own, or one that holds others, has changed."""
        if not node.type.composite:
            if previous is not None and not previous.phase.fulfilled:
                self._working.labelled({"phase": str(previous.phase)}).value -= 1
            if not node.phase.fulfilled:
                self._working.labelled({"phase": str(node.phase)}).value += 1
        if node.phase.fulfilled and (previous is None or not previous.phase.fulfilled):
            self._nodes.labelled({"type": str(node.type), "phase": str(node.phase)}).value += 1
            if not node.type.composite and node.started_at is not None and node.finished_at is not None:
                self._node_seconds.observe({"type": str(node.type)}, (node.finished_at - node.started_at).total_seconds())

    def forgotten(self, node: Node) -> None:
        """A node is not looked at any more."""
        if not node.type.composite and not node.phase.fulfilled:
            self._working.labelled({"phase": str(node.phase)}).value -= 1

    def printed(self) -> None:
        """A node printed something."""
        self._lines.labelled({}).value += 1

    def declared(self, metric: JsonObject, moment: Moment, *, realtime: bool) -> str:
        """Emit a declared metric; why it cannot be worked out, if it cannot."""
        try:
            emit(self._registry, metric, moment, realtime=realtime)
        except FlowError as error:
            self._errors.labelled({}).value += 1
            return str(error)
        return ""

    def tell_problem(self, problem: str, run: RunRow) -> None:
        """Something of a run's declared metrics cannot be worked out."""
        self._problems.setdefault((run.namespace, run.name), []).append(problem)
        _log.warning("run %s: %s", run.name, problem, extra={"workflow": run.name})


class _Watched:
    """One run as metrics see it."""

    def __init__(self, metrics: Metrics, run: Observed) -> None:
        self._metrics, self._run = metrics, run
        self._row = run.row
        self._open: dict[NodeId, Node] = {}
        self._attempts: dict[NodeId, list[Node]] = {}
        self._root: Node | None = None
        self._problems: set[str] = set()
        self._begun = False
        self._ended = run.row.phase.completed
        metrics.driven(0 if self._ended else 1)

    def tell(self, change: Change) -> None:
        """Something happened."""
        if isinstance(change, Logged):
            self._metrics.printed()
        elif isinstance(change, NodeChanged):
            self._node(change)
        else:
            self._changed(change)

    def _changed(self, change: RunChanged) -> None:
        self._row = row = change.run
        if not self._begun and row.started_at is not None:
            self._begun = True
            self._emit_own(realtime=True)
        if row.phase.completed and not self._ended:
            self._ended = True
            self._metrics.driven(-1)
            for node in self._open.values():
                self._metrics.forgotten(node)
            self._metrics.run_ended(row)
            self._emit_own(realtime=False)

    def _declared(self, metric: JsonObject, moment: Moment, *, realtime: bool) -> None:
        """Emit a metric; what is wrong with it is told once, however many nodes it is wrong for."""
        problem = self._metrics.declared(metric, moment, realtime=realtime)
        if problem and problem not in self._problems and len(self._problems) < _MOST_PROBLEMS:
            self._problems.add(problem)
            self._metrics.tell_problem(problem, self._row)

    def _emit_own(self, *, realtime: bool) -> None:
        for metric in metrics_of(self._run.plan.spec):
            moment = run_moment(self._run, self._row, self._metrics.now, self._root)
            self._declared(metric, moment, realtime=realtime)

    def _node(self, change: NodeChanged) -> None:
        node, previous = change.node, change.previous
        self._metrics.node_changed(node, previous if previous is None or node.id in self._open or previous.phase.fulfilled else None)
        if node.phase.fulfilled:
            self._open.pop(node.id, None)
        else:
            self._open[node.id] = node
        if node.name == self._row.name:
            self._root = node
        if self._run.plan.mentions('"prometheus"') and node.type not in _WITHOUT_TEMPLATE:
            self._emit_of(node, previous)

    def _emit_of(self, node: Node, previous: Node | None) -> None:
        """Emit what the node's template declares, if now is the time for it."""
        if previous is None and not node.retried:
            self._emit_template(node, realtime=True)
        ended = node.phase.fulfilled and (previous is None or not previous.phase.fulfilled)
        if node.retried:
            self._attempt(node, ended=ended)
        elif ended:
            self._emit_template(node, realtime=False)

    def _attempt(self, node: Node, *, ended: bool) -> None:
        """An attempt counts for itself once another one follows it; the last one is the Retry node's own end."""
        if node.owner is None:
            return
        known = self._attempts.setdefault(node.owner, [])
        if all(each.id != node.id for each in known):
            if known and known[-1].phase.fulfilled:
                self._emit_template(known[-1], realtime=False)
            known.append(node)
        elif ended:
            known[-1] = node

    def _emit_template(self, node: Node, *, realtime: bool) -> None:
        entry = entry_of(self._run, node)
        if entry is None:
            return
        attempts = self._attempts.get(node.id, [])
        if attempts and node.outputs is None:
            node = changed(node, outputs=attempts[-1].outputs)
        for metric in metrics_of(entry.json):
            moment = node_moment(self._run, self._row, node, len(attempts), self._metrics.now)
            self._declared(metric, moment, realtime=realtime)


__all__ = ["Metrics"]
