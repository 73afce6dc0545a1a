"""Changes of the document that operations have in common: other parameters, other names, no trace of an end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.nodes import RunRow
from flowcore.status.writing import COMPLETED_LABEL, PHASE_LABEL

ARCHIVING_LABEL = "workflows.argoproj.io/workflow-archiving-status"
END_LABELS = frozenset({COMPLETED_LABEL, PHASE_LABEL, ARCHIVING_LABEL})


def with_parameters(manifest: JsonObject, parameters: Mapping[str, str]) -> JsonObject:
    """``manifest`` with these arguments of the workflow before all others, as Argo puts them."""
    if not parameters:
        return manifest
    spec = object_of(manifest, "spec")
    arguments = object_of(spec, "arguments")
    given: list[Json] = [{"name": name, "value": value} for name, value in parameters.items()]
    others = [parameter for parameter in objects_of(arguments, "parameters") if text_of(parameter, "name") not in parameters]
    return {**manifest, "spec": {**spec, "arguments": {**arguments, "parameters": [*given, *others]}}}


def without_end(manifest: JsonObject) -> JsonObject:
    """``manifest`` without what ended the run: ``shutdown``, the deadline of 0 seconds that older Argos set, and labels that tell of the end."""
    spec = {key: value for key, value in object_of(manifest, "spec").items() if key != "shutdown"}
    if spec.get("activeDeadlineSeconds") == 0:
        del spec["activeDeadlineSeconds"]
    metadata = object_of(manifest, "metadata")
    labels = {key: value for key, value in object_of(metadata, "labels").items() if key not in END_LABELS}
    if metadata.get("labels"):
        metadata = {**metadata, "labels": labels}
    return {**manifest, "metadata": metadata, "spec": spec}


def archived_row(run: RunRow) -> RunRow:
    """The row of a run that goes into the archive, with the label by which Argo tells that."""
    return replace(run, labels={**(run.labels or {}), ARCHIVING_LABEL: "Persisted"})


def unarchived_row(run: RunRow) -> RunRow:
    """The row of a run that comes back from the archive."""
    labels = {key: value for key, value in (run.labels or {}).items() if key != ARCHIVING_LABEL}
    return replace(run, labels=labels or None)


def renamed(manifest: JsonObject, name: str) -> JsonObject:
    """``manifest`` under another name, without what belonged to the old object alone."""
    own = ("name", "uid", "creationTimestamp", "resourceVersion", "generation", "managedFields", "selfLink")
    metadata = {key: value for key, value in object_of(manifest, "metadata").items() if key not in own}
    rest = {key: value for key, value in manifest.items() if key != "status"}
    return {**rest, "metadata": cast("JsonObject", {**metadata, "name": name})}


__all__ = ["END_LABELS", "archived_row", "renamed", "unarchived_row", "with_parameters", "without_end"]
