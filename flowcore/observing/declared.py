"""Metrics that workflows and templates declare (``metrics.prometheus``), worked out from rows as Argo does.

A metric of a template is emitted when a node of it ends, also for each attempt that is retried; one of the workflow when the run ends. A gauge
with ``realtime`` follows a duration from the beginning. What cannot be worked out is told in the log and changes nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from flowcore.audience import Observed
from flowcore.errors import FlowError, UsageError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.language.scope import Scope, Value
from flowcore.language.tags import Strictness, pure_reference, substitute
from flowcore.language.when import evaluate_when
from flowcore.nodes import Node, RunRow
from flowcore.observing.exposition import Family, Kind, Registry
from flowcore.plan.scopes import global_parameters, global_variables
from flowcore.plan.templates import Entry, Holder

PREFIX = "argo_workflows_"
_KINDS: tuple[Kind, ...] = ("gauge", "counter", "histogram")
_SIGNS = {"Add": 1.0, "Sub": -1.0}


@dataclass(frozen=True, slots=True)
class Moment:
    """What metrics are worked out of: their variables, and how durations go on that are followed."""

    scope: Scope
    durations: Mapping[str, Callable[[], float]]


def metrics_of(holder: JsonObject) -> list[JsonObject]:
    """The metrics that a spec or a template declares."""
    return objects_of(object_of(holder, "metrics"), "prometheus")


def entry_of(run: Observed, node: Node) -> Entry | None:
    """The template of a node, if it can be found again (inline templates cannot)."""
    templates = run.plan.templates
    holder = Holder(template=node.template_name, ref=node.template_ref)
    if not holder.template and not holder.ref:
        return None
    try:
        return templates.resolve(templates.base_of(node.template_scope), holder)[1]
    except FlowError:
        return None


def emit(registry: Registry, metric: JsonObject, moment: Moment, *, realtime: bool) -> None:
    """Emit one metric; ``realtime`` at the beginning, when only those that follow a duration are. Raises FlowError for what cannot be worked out."""
    follows = object_of(metric, "gauge").get("realtime") is True
    if realtime and not follows:
        return
    name = text_of(metric, "name")
    if not text_of(metric, "help"):
        raise UsageError(f"metric '{name}' must contain a help string under 'help: ' field")
    kind = next((kind for kind in _KINDS if metric.get(kind) is not None), None)
    plain: JsonObject = {key: value for key, value in metric.items() if key not in _KINDS}
    declared = object_of(metric, kind or "")
    with _told(f"unable to substitute parameters for metric '{name}'"):
        filled = substitute(plain, moment.scope, strict=Strictness.ALL)
        value = "" if follows else substitute(text_of(declared, "value"), moment.scope, strict=Strictness.ALL)
    with _told(f"unable to compute 'when' clause for metric '{name}'"):
        if not evaluate_when(text_of(filled, "when")):
            return
    followed = _followed(text_of(declared, "value"), moment) if follows else None
    with _told(f"could not construct metric '{name}'"):
        if kind is None:
            raise UsageError("it is neither a gauge nor a counter nor a histogram")
        bounds = [float(bound) for bound in _listed(declared.get("buckets")) if isinstance(bound, int | float | str)]
        family = registry.family(PREFIX + text_of(filled, "name"), text_of(filled, "help"), kind, bounds)
        _record(family, filled, declared, followed or value)


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say of an error what could not be done, as Argo says it."""
    try:
        yield
    except FlowError as error:
        raise UsageError(f"{what}: {error}") from error


def _record(family: Family, filled: JsonObject, declared: JsonObject, value: Callable[[], float] | str) -> None:
    labels = {text_of(label, "key"): text_of(label, "value") for label in objects_of(filled, "labels")}
    if not isinstance(value, str):
        family.labelled(labels).function = value
        return
    number = _number(value)
    if family.kind == "histogram":
        family.observe(labels, number)
        return
    series = family.labelled(labels)
    sign = 1.0 if family.kind == "counter" else _SIGNS.get(text_of(declared, "operation"))
    series.value = number if sign is None else series.value + sign * number


def _followed(text: str, moment: Moment) -> Callable[[], float]:
    reference = (pure_reference(text) or "").strip()
    if not reference:
        raise UsageError("real time metrics can only be used with metric variables")
    function = moment.durations.get(reference)
    if function is None:
        raise UsageError(f"'{reference}' is not available as a real time metric; {' and '.join(moment.durations)} are")
    return function


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"its value is no number: {text[:60]!r}") from None
    if math.isnan(value):
        raise UsageError("its value is no number")
    return value


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


# --- variables --------------------------------------------------------------------------------------------------------------------


def run_moment(run: Observed, row: RunRow, now: Callable[[], datetime], root: Node | None) -> Moment:
    """What metrics of the workflow are worked out of; ``root`` is its first node once it has ended."""
    variables = _common(run, row, now)
    if root is not None:
        variables |= _of_node(root, 0, now)
    durations = {"workflow.duration": _elapsed(row.started_at, row.finished_at, now)}
    return Moment(Scope(variables), durations)


def node_moment(run: Observed, row: RunRow, node: Node, children: int, now: Callable[[], datetime]) -> Moment:
    """What metrics of a node's template are worked out of."""
    variables = _common(run, row, now) | _of_node(node, children, now)
    durations = {
        "workflow.duration": _elapsed(row.started_at, row.finished_at, now),
        "duration": _elapsed(node.started_at, node.finished_at, now),
    }
    return Moment(Scope(variables), durations)


def _common(run: Observed, row: RunRow, now: Callable[[], datetime]) -> dict[str, Value]:
    variables = dict(global_variables(run.plan.spec, row, run.plan.parameters)) | global_parameters(row.outputs)
    variables["workflow.status"] = str(row.phase)
    variables["workflow.duration"] = f"{_elapsed(row.started_at, row.finished_at, now)():f}"
    variables |= {"duration": "0", "status": "Pending", "resourcesDuration.cpu": "0", "resourcesDuration.memory": "0"}
    return variables


def _of_node(node: Node, children: int, now: Callable[[], datetime]) -> dict[str, Value]:
    variables: dict[str, Value] = {"duration": f"{_elapsed(node.started_at, node.finished_at, now)():f}", "status": str(node.phase)}
    if children:
        variables["retries"] = str(children - 1)
    for parameter in objects_of(node.inputs or {}, "parameters"):
        variables[f"inputs.parameters.{text_of(parameter, 'name')}"] = _text(parameter.get("value"))
    outputs = node.outputs or {}
    for parameter in objects_of(outputs, "parameters"):
        variables[f"outputs.parameters.{text_of(parameter, 'name')}"] = _text(parameter.get("value"))
    if outputs.get("result") is not None:
        variables["outputs.result"] = _text(outputs["result"])
    if outputs.get("exitCode") is not None:
        variables["exitCode"] = _text(outputs["exitCode"])
    return variables


def _text(value: Json) -> str:
    return "" if value is None else str(value)


def _elapsed(start: datetime | None, end: datetime | None, now: Callable[[], datetime]) -> Callable[[], float]:
    def seconds() -> float:
        return 0.0 if start is None else max((end or now()) - start, timedelta(0)).total_seconds()

    return seconds


__all__ = ["Moment", "emit", "entry_of", "metrics_of", "node_moment", "run_moment"]
