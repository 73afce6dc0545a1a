"""The Workflow that is submitted: one that was given, with the options of its submission, or one made from a template or a CronWorkflow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from flowcore.errors import ExpressionError, UsageError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.operations.documents import with_parameters
from flowcore.plan.artifacts import with_key
from flowcore.plan.plan import LABEL_CLUSTER_TEMPLATE, LABEL_TEMPLATE
from flowcore.plan.scopes import ANNOTATION_SCHEDULED_TIME
from flowcore.service.cron import CRON_LABEL, name_of

_API = "argoproj.io/v1alpha1"


def workflow_from_template(template: JsonObject) -> JsonObject:
    """The Workflow that submitting a WorkflowTemplate or ClusterWorkflowTemplate makes: a reference to it."""
    name, cluster = text_of(object_of(template, "metadata"), "name"), template.get("kind") == "ClusterWorkflowTemplate"
    extra = object_of(object_of(template, "spec"), "workflowMetadata")
    labels: JsonObject = {LABEL_CLUSTER_TEMPLATE if cluster else LABEL_TEMPLATE: name, **object_of(extra, "labels")}
    metadata: JsonObject = {"generateName": f"{name}-", "labels": labels}
    if extra.get("annotations"):
        metadata["annotations"] = dict(object_of(extra, "annotations"))
    reference: JsonObject = {"name": name, "clusterScope": True} if cluster else {"name": name}
    return {"apiVersion": _API, "kind": "Workflow", "metadata": metadata, "spec": {"workflowTemplateRef": reference}}


def workflow_from_cron(cron: JsonObject, scheduled: datetime | None = None) -> JsonObject:
    """The Workflow that a CronWorkflow submits; ``scheduled`` is when it was due, for one that is submitted by the clock."""
    metadata, spec = object_of(cron, "metadata"), object_of(cron, "spec")
    extra, name = object_of(spec, "workflowMetadata"), text_of(metadata, "name")
    owner: JsonObject = {
        "apiVersion": _API,
        "kind": "CronWorkflow",
        "name": name,
        "uid": text_of(metadata, "uid"),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    annotations: JsonObject = dict(object_of(extra, "annotations"))
    if scheduled is not None:
        annotations[ANNOTATION_SCHEDULED_TIME] = scheduled.isoformat(timespec="seconds").replace("+00:00", "Z")
    made: JsonObject = {
        "generateName": f"{name}-",
        "labels": {**object_of(extra, "labels"), CRON_LABEL: name},
        "annotations": annotations,
        "ownerReferences": [owner],
    }
    if strings_of(extra, "finalizers"):
        made["finalizers"] = cast("Json", strings_of(extra, "finalizers"))
    if text_of(metadata, "namespace"):
        made["namespace"] = text_of(metadata, "namespace")
    return {"apiVersion": _API, "kind": "Workflow", "metadata": made, "spec": object_of(spec, "workflowSpec")}


def child_of(cron: JsonObject, scheduled: datetime) -> JsonObject:
    """The Workflow of the run that was due at ``scheduled``. Equal times give equal names, so none is made twice."""
    made = workflow_from_cron(cron, scheduled)
    metadata = {key: value for key, value in object_of(made, "metadata").items() if key != "generateName"}
    return {**made, "metadata": {"name": f"{name_of(cron)}-{int(scheduled.timestamp())}", **metadata}}


def apply_options(workflow: JsonObject, options: Mapping[str, Json]) -> JsonObject:
    """``workflow`` with Argo's options of a submission: name, generateName, entryPoint, serviceAccount, labels, annotations, parameters, artifacts
    (``NAME=KEY``: where an argument lies), priority. Raises UsageError.
    """
    metadata, spec = dict(object_of(workflow, "metadata")), dict(object_of(workflow, "spec"))
    for option, holder, field in _FIELDS:
        if options.get(option):
            (metadata if holder == "metadata" else spec)[field] = options[option]
    for option in ("labels", "annotations"):
        text = options.get(option)
        if isinstance(text, str) and text:
            added: JsonObject = dict(assignment(item) for item in text.split(","))
            metadata[option] = {**object_of(metadata, option), **added}
    listed = options.get("parameters")
    parameters = dict(assignment(str(item)) for item in listed) if isinstance(listed, list) else {}
    moved = options.get("artifacts")
    if isinstance(moved, list) and moved:
        spec["arguments"] = _moved(spec, dict(_override(str(item)) for item in moved))
    return with_parameters({**workflow, "metadata": metadata, "spec": spec}, parameters)


def _override(text: str) -> tuple[str, str]:
    name, _, key = text.partition("=")
    if not name or not key:
        raise UsageError(f"expected artifact of the form: NAME=KEY. Received: {text}")
    return name, key


def _moved(spec: JsonObject, keys: Mapping[str, str]) -> JsonObject:
    """The arguments of ``spec`` with other keys for the artifacts that ``keys`` names."""
    arguments = object_of(spec, "arguments")
    artifacts = objects_of(arguments, "artifacts")
    unknown = sorted(set(keys) - {text_of(artifact, "name") for artifact in artifacts})
    if unknown and "workflowTemplateRef" not in spec:
        raise UsageError(f"artifact override(s) matched no artifact: {', '.join(unknown)}")
    placed: list[Json] = []
    for artifact in artifacts:
        key = keys.get(text_of(artifact, "name"))
        try:
            placed.append(artifact if key is None else with_key(artifact, key))
        except ExpressionError as error:
            raise UsageError(f"failed to set key for artifact {text_of(artifact, 'name')}: {error}") from None
    return {**arguments, "artifacts": placed} if placed else arguments


_FIELDS = (
    ("name", "metadata", "name"),
    ("generateName", "metadata", "generateName"),
    ("entryPoint", "spec", "entrypoint"),
    ("serviceAccount", "spec", "serviceAccountName"),
    ("priority", "spec", "priority"),
    ("podPriorityClassName", "spec", "podPriorityClassName"),
)


def assignment(text: str) -> tuple[str, str]:
    """The two sides of ``NAME=VALUE``. Raises UsageError."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f"expected parameter of the form: NAME=VALUE. Received: {text}")
    return name, value


__all__ = ["apply_options", "assignment", "child_of", "workflow_from_cron", "workflow_from_template"]
