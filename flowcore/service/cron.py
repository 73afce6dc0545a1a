"""What CronWorkflows decide, as functions of their document and the time. ``Schedules`` of the service carries it out.

Documents are plain JSON, with Argo's ``status`` (active, lastScheduledTime, succeeded, failed, phase, conditions) kept in them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import cast

from flowcore.errors import ExpressionError, InvalidWorkflow, UsageError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.language.cron import Interval, Schedule, parse_schedule
from flowcore.language.expressions import compile_expression
from flowcore.language.govaluate import evaluate
from flowcore.language.scope import Scope
from flowcore.language.tags import Strictness, substitute_text
from flowcore.nodes import WorkflowPhase
from flowcore.status.writing import time_text

CRON_LABEL = "workflows.argoproj.io/cron-workflow"
LAST_USED = "cronworkflows.argoproj.io/last-used-schedule"
COMPLETED_LABEL = "cronworkflows.argoproj.io/completed"
STOPPED = "Stopped"
_MOST_MISSED = 1_000_000


def schedules_of(cron: JsonObject) -> list[Schedule | Interval]:
    """The schedules. Raises InvalidWorkflow for one that cannot be read."""
    spec = object_of(cron, "spec")
    texts = strings_of(spec, "schedules") or [text for text in [text_of(spec, "schedule")] if text]
    try:
        return [parse_schedule(text, text_of(spec, "timezone")) for text in texts]
    except ExpressionError as error:
        raise InvalidWorkflow(f"CronWorkflow {name_of(cron)}: {error}") from None


def next_time(cron: JsonObject, after: datetime) -> datetime | None:
    """When the next run is due; None for one that is suspended, stopped, or never due."""
    if object_of(cron, "spec").get("suspend") is True or is_stopped(cron):
        return None
    times = [schedule.next_after(after) for schedule in schedules_of(cron)]
    return min((time for time in times if time is not None), default=None)


def missed_time(cron: JsonObject, now: datetime) -> datetime | None:
    """The one missed run that is made up for: the latest, if ``startingDeadlineSeconds`` has not passed since then."""
    last = last_scheduled(cron)
    seconds = object_of(cron, "spec").get("startingDeadlineSeconds")
    if last is None or not isinstance(seconds, int) or _schedule_changed(cron):
        return None
    earliest = max(last, now - timedelta(seconds=seconds))
    for schedule in schedules_of(cron):
        missed, following = None, schedule.next_after(earliest)
        for _ in range(_MOST_MISSED):
            if following is None or following >= now:
                break
            missed, following = following, schedule.next_after(following)
        if missed is not None:
            return missed
    return None


def evaluate_when(cron: JsonObject) -> bool:
    """Whether ``spec.when`` lets a run begin. Raises ExpressionError."""
    when = text_of(object_of(cron, "spec"), "when")
    if not when:
        return True
    scope = Scope({f"cronworkflow.{key}": cast("JsonObject", value) for key, value in _variables(cron).items()})
    text = substitute_text(when, scope, strict=Strictness.ALL)
    result = evaluate(text if isinstance(text, str) else str(text), {})
    if not isinstance(result, bool):
        raise ExpressionError(f"Expected boolean evaluation for '{text}'. Got {result}", source=when)
    return result


def stops_now(cron: JsonObject) -> bool:
    """Whether ``stopStrategy`` says that no more runs are made. Raises ExpressionError."""
    expression = text_of(object_of(object_of(cron, "spec"), "stopStrategy"), "expression")
    if not expression:
        return False
    result = compile_expression(expression).evaluate({"cronworkflow": _variables(cron), **_counters(cron)})
    if not isinstance(result, bool):
        raise ExpressionError(f"the stop strategy must be true or false, not {result}", source=expression)
    return result


def _counters(cron: JsonObject) -> dict[str, Json]:
    status = object_of(cron, "status")
    return {"failed": status.get("failed") or 0, "succeeded": status.get("succeeded") or 0}


def _variables(cron: JsonObject) -> dict[str, Json]:
    metadata = object_of(cron, "metadata")
    labels, annotations = object_of(metadata, "labels"), object_of(metadata, "annotations")
    return {
        "name": text_of(metadata, "name"),
        "namespace": text_of(metadata, "namespace"),
        "labels": labels,
        "annotations": labels,  # as in Argo
        "labels.json": json.dumps(labels, separators=(",", ":")),
        "annotations.json": json.dumps(annotations, separators=(",", ":")),
        "lastScheduledTime": cast("Json", last_scheduled(cron)),
        **_counters(cron),
    }


def backfill_times(cron: JsonObject, start: datetime, end: datetime, most: int = 1000) -> list[datetime]:
    """The times from ``start`` up to ``end`` at which runs would have been due. Raises UsageError for more than ``most``."""
    if end < start:
        raise UsageError("a backfill begins before it ends")
    found: set[datetime] = set()
    for schedule in schedules_of(cron):
        moment = schedule.next_after(start - timedelta(seconds=1))
        while moment is not None and moment <= end:
            found.add(moment)
            if len(found) > most:
                raise UsageError(f"a backfill makes at most {most} runs; take a shorter time")
            moment = schedule.next_after(moment)
    return sorted(found)


# --- status -----------------------------------------------------------------------------------------------------------------------


def name_of(cron: JsonObject) -> str:
    """The name of the CronWorkflow."""
    return text_of(object_of(cron, "metadata"), "name")


def active_of(cron: JsonObject) -> list[str]:
    """The names of its runs that have not ended."""
    return [text_of(reference, "name") for reference in objects_of(object_of(cron, "status"), "active")]


def last_scheduled(cron: JsonObject) -> datetime | None:
    """When the last run was due."""
    text = text_of(object_of(cron, "status"), "lastScheduledTime")
    return datetime.fromisoformat(text) if text else None


def is_stopped(cron: JsonObject) -> bool:
    """Whether its stop strategy has stopped it."""
    return object_of(cron, "status").get("phase") == STOPPED


def with_status(cron: JsonObject, changes: Mapping[str, Json]) -> JsonObject:
    """The document with other values in its status."""
    return {**cron, "status": {**object_of(cron, "status"), **changes}}


def begun(cron: JsonObject, child: str, uid: str, scheduled: datetime) -> JsonObject:
    """The document after a run began."""
    reference: JsonObject = {"kind": "Workflow", "apiVersion": "argoproj.io/v1alpha1", "name": child, "uid": uid}
    active: list[Json] = [*objects_of(object_of(cron, "status"), "active"), reference]
    metadata = object_of(cron, "metadata")
    annotations: JsonObject = {**object_of(metadata, "annotations"), LAST_USED: _schedule_text(cron)}
    changed = {**cron, "metadata": {**metadata, "annotations": annotations}}
    return with_status(changed, {"active": active, "phase": "Active", "lastScheduledTime": time_text(scheduled)})


def ended(cron: JsonObject, child: str, phase: WorkflowPhase) -> JsonObject:
    """The document after a run ended: counted, and stopped if its strategy says so."""
    active: list[Json] = [each for each in objects_of(object_of(cron, "status"), "active") if text_of(each, "name") != child]
    counters = _counters(cron)
    counter = "succeeded" if phase is WorkflowPhase.SUCCEEDED else "failed"
    count = counters[counter]
    changed = with_status(cron, {"active": active, counter: (count if isinstance(count, int) else 0) + 1})
    try:
        return stopped(changed) if stops_now(changed) else changed
    except ExpressionError as error:
        return refused(changed, "SpecError", f"failed to check the stopping condition: {error}")


def stopped(cron: JsonObject) -> JsonObject:
    """The document of one that makes no more runs."""
    metadata = object_of(cron, "metadata")
    labels: JsonObject = {**object_of(metadata, "labels"), COMPLETED_LABEL: "true"}
    return with_status({**cron, "metadata": {**metadata, "labels": labels}}, {"phase": STOPPED})


def refused(cron: JsonObject, kind: str, message: str) -> JsonObject:
    """The document with a condition that says why a run was not made; errors of submission count as failed runs."""
    others: list[Json] = [each for each in objects_of(object_of(cron, "status"), "conditions") if each.get("type") != kind]
    changed = with_status(cron, {"conditions": [*others, {"type": kind, "status": "True", "message": message}]})
    if kind != "SubmissionError":
        return changed
    failed = _counters(cron)["failed"]
    return with_status(changed, {"failed": (failed if isinstance(failed, int) else 0) + 1})


def _schedule_text(cron: JsonObject) -> str:
    spec = object_of(cron, "spec")
    zone = text_of(spec, "timezone")
    return ",".join(f"CRON_TZ={zone} {text}" if zone else text for text in strings_of(spec, "schedules"))


def _schedule_changed(cron: JsonObject) -> bool:
    used = text_of(object_of(object_of(cron, "metadata"), "annotations"), LAST_USED)
    return bool(used) and used != _schedule_text(cron)


def history_limits(cron: JsonObject) -> tuple[int, int]:
    """How many succeeded and how many failed runs are kept."""
    spec = object_of(cron, "spec")
    succeeded, failed = spec.get("successfulJobsHistoryLimit"), spec.get("failedJobsHistoryLimit")
    return (
        succeeded if isinstance(succeeded, int) and succeeded >= 0 else 3,
        failed if isinstance(failed, int) and failed >= 0 else 1,
    )
