"""OpenTelemetry spans for runs and nodes, made with a tracer of the embedding program. Needs the extra ``otel``; nothing else imports this.

A run is a span, its nodes are spans below it, each below the node that encloses it; times are those of the rows. Nodes that had ended before
the run was taken up have no second span. A run that is looked away from leaves its span open, and the next driver begins another.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from flowcore.audience import Change, NodeChanged, Observed, RunChanged, Tell
from flowcore.errors import MissingBackend
from flowcore.nodes import Node, NodeId, Phase, RunRow, WorkflowPhase

try:
    from opentelemetry import trace
    from opentelemetry.context import Context
except ImportError as error:
    raise MissingBackend(f"OpenTelemetry is not installed ({error}): pip install 'flowcore[otel]'") from error


class Tracing:
    """An observer that makes spans with ``tracer``; ``parent`` is the context that spans of runs stand in, if there is one."""

    def __init__(self, tracer: trace.Tracer, parent: Context | None = None) -> None:
        self._tracer, self._parent = tracer, parent

    def watch(self, run: Observed) -> Tell:
        """Make spans of one run from now on."""
        return _Spans(self._tracer, self._parent, run.row).tell


class _Spans:
    """The open spans of one run."""

    def __init__(self, tracer: trace.Tracer, parent: Context | None, row: RunRow) -> None:
        self._tracer, self._parent = tracer, parent
        self._run: trace.Span | None = None
        self._open: dict[NodeId, trace.Span] = {}
        self._waiting: list[NodeChanged] = []  # nodes that were told of before their run
        if row.started_at is not None and not row.phase.completed:
            self._begin(row)

    def tell(self, change: Change) -> None:
        """Something happened."""
        if isinstance(change, NodeChanged):
            if self._run is None:
                self._waiting.append(change)
            else:
                self._node(change.node, change.previous)
        elif isinstance(change, RunChanged):
            self._changed(change.run)

    def _changed(self, row: RunRow) -> None:
        if self._run is None and row.started_at is not None:
            self._begin(row)
        for change in self._waiting if self._run is not None else ():
            self._node(change.node, change.previous)
        self._waiting = [] if self._run is not None else self._waiting
        if self._run is not None and row.phase.completed:
            for span in self._open.values():
                span.end(_nanoseconds(row.finished_at))
            self._open.clear()
            self._run.set_attribute("flowcore.phase", str(row.phase))
            _end(self._run, row.phase is not WorkflowPhase.SUCCEEDED, row.message, row.finished_at)

    def _begin(self, row: RunRow) -> None:
        about = {"flowcore.workflow": row.name, "flowcore.namespace": row.namespace, "flowcore.uid": row.uid}
        self._run = self._span(f"workflow {row.name}", about, row.started_at, self._parent)

    def _node(self, node: Node, previous: Node | None) -> None:
        span = self._open.get(node.id)
        if span is None:
            if previous is not None and previous.phase.fulfilled:
                return
            span = self._open[node.id] = self._begin_node(node)
        if node.phase.fulfilled:
            del self._open[node.id]
            span.set_attribute("flowcore.phase", str(node.phase))
            code = (node.outputs or {}).get("exitCode")
            if isinstance(code, str):
                span.set_attribute("flowcore.exit_code", code)
            _end(span, node.phase in (Phase.FAILED, Phase.ERROR), node.message, node.finished_at)

    def _begin_node(self, node: Node) -> trace.Span:
        around = self._open.get(node.owner or NodeId("")) or self._open.get(node.boundary or NodeId("")) or self._run
        context = trace.set_span_in_context(around, self._parent) if around is not None else self._parent
        about = {
            "flowcore.node": node.id,
            "flowcore.node_name": node.name,
            "flowcore.node_type": str(node.type),
            "flowcore.template": node.template_name,
        }
        return self._span(node.display_name or node.name, about, node.started_at, context)

    def _span(self, name: str, about: Mapping[str, str], start: datetime | None, context: Context | None) -> trace.Span:
        return self._tracer.start_span(name, context=context, attributes=dict(about), start_time=_nanoseconds(start))


def _end(span: trace.Span, failed: bool, message: str, at: datetime | None) -> None:
    if failed:
        span.set_status(trace.Status(trace.StatusCode.ERROR, message))
    elif message:
        span.set_attribute("flowcore.message", message)
    span.end(_nanoseconds(at))


def _nanoseconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1_000_000) * 1000


__all__ = ["Tracing"]
