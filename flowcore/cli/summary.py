"""What ``argo get`` prints above the tree: names, status, times, progress, parameters and outputs of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.language.quantities import humanize
from flowcore.nodes import Node, RunRow, Shutdown, WorkflowPhase
from flowcore.status import children_of, progress_of
from flowcore.tree import one_line, render_tree

_WIDTH = 20
_LONGEST_VALUE = 1000  # characters of a parameter
_LOCATIONS = ("s3", "gcs", "oss", "azure", "hdfs", "artifactory", "http", "raw", "git", "plugin")
_UNSET_ACCOUNT = "unset (will run with the default ServiceAccount)"

Field = tuple[str, str]


def described(manifest: JsonObject, run: RunRow, nodes: Iterable[Node], *, now: datetime, estimate: timedelta | None = None) -> str:
    """All that ``flowcore get`` prints, without colours; ends with a line end. ``estimate`` is how long the run probably takes."""
    rows = sorted(nodes, key=lambda node: node.seq)
    lines = [line(label, value) for label, value in fields(manifest, run, rows, now=now, estimate=estimate)]
    tree = render_tree(run, rows, now=now)
    return "\n".join([*lines, *(["", tree] if tree else [])]) + "\n"


def line(label: str, value: str) -> str:
    """One line of the summary."""
    return f"{label:<{_WIDTH}} {one_line(value)}".rstrip()


def fields(manifest: JsonObject, run: RunRow, rows: Sequence[Node], *, now: datetime, estimate: timedelta | None = None) -> Iterator[Field]:
    """The labels and values of the summary, in Argo's order. ``rows`` are in order of ``seq``."""
    spec = object_of(manifest, "spec")
    yield "Name:", run.name
    yield "Namespace:", run.namespace
    yield "ServiceAccount:", text_of(spec, "serviceAccountName") or ("unset" if spec.get("workflowTemplateRef") else _UNSET_ACCOUNT)
    yield "Status:", status_of(run)
    if run.message:
        yield "Message:", run.message
    yield from _conditions(run)
    yield from _times(run, now)
    if estimate is not None:
        yield "EstimatedDuration:", humanize(estimate)
    yield "Progress:", progress_of(rows, children_of(rows)).run
    yield from _parameters("Parameters:", objects_of(object_of(spec, "arguments"), "parameters"))
    yield from _parameters("Output Parameters:", objects_of(run.outputs or {}, "parameters"))
    yield from _artifacts(objects_of(run.outputs or {}, "artifacts"))


def status_of(run: RunRow) -> str:
    """The phase in words: ``Running (Suspended)``, ``Failed (Terminated)``, or the phase itself."""
    if run.phase is WorkflowPhase.RUNNING and run.suspended:
        return "Running (Suspended)"
    if run.phase is WorkflowPhase.FAILED and run.shutdown is not Shutdown.NONE:
        return "Failed (Terminated)"
    if run.phase is WorkflowPhase.UNKNOWN:
        return "Pending"
    return str(run.phase)


def ago(length: timedelta) -> str:
    """How long ago something was: ``now``, ``12 seconds ago``, ``3 weeks ago``."""
    if length < timedelta(seconds=1):
        return "now"
    words = humanize(length).split(" ")
    return " ".join([*words[:2], "ago"])


def _conditions(run: RunRow) -> Iterator[Field]:
    told: list[JsonObject] = [*run.conditions]
    if run.phase.completed and all(condition.get("type") != "Completed" for condition in told):
        told.append({"type": "Completed", "status": "True"})
    if told:
        yield "Conditions:", ""
    for condition in told:
        kind = text_of(condition, "type")
        icon = "✖" if kind.endswith("Error") else "⚠" if kind.endswith("Warning") else ""
        yield f"{icon} {kind}", text_of(condition, "message") or text_of(condition, "status")


def _times(run: RunRow, now: datetime) -> Iterator[Field]:
    for label, moment in (("Created:", run.created_at), ("Started:", run.started_at), ("Finished:", run.finished_at)):
        if moment is not None:
            yield label, f"{moment:%a %b %d %H:%M:%S %z} ({ago(now - moment)})"
    if run.started_at is not None:
        yield "Duration:", humanize((run.finished_at or now) - run.started_at)


def _parameters(label: str, parameters: Sequence[JsonObject]) -> Iterator[Field]:
    if parameters:
        yield label, ""
    for parameter in parameters:
        if parameter.get("value") is not None:
            yield f"  {text_of(parameter, 'name')}:", _shortened(str(parameter["value"]))


def _shortened(value: str) -> str:
    """A value that nobody reads whole on a terminal is cut."""
    return value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}... ({len(value):,} characters: -o json has all)"


def _artifacts(artifacts: Sequence[JsonObject]) -> Iterator[Field]:
    if artifacts:
        yield "Output Artifacts:", ""
    for artifact in artifacts:
        kind = next((kind for kind in _LOCATIONS if artifact.get(kind)), "")
        place = object_of(artifact, kind)
        told = ", ".join(f"{key}={value}" for key, value in place.items() if isinstance(value, str) and key != "data")
        yield f"  {text_of(artifact, 'name')}:", f"{kind} {told}".strip()


__all__ = ["ago", "described", "fields", "line", "status_of"]
