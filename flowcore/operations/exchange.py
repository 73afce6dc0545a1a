"""Runs as Argo's Workflow objects with their status, and such objects as runs that can be inspected, continued and retried."""

from __future__ import annotations

from flowcore.errors import InvalidWorkflow, Problem
from flowcore.jsontypes import JsonObject, object_of
from flowcore.plan.merge import merge_workflow_spec
from flowcore.ports import StoredRun
from flowcore.status import rows_from_status, workflow_with_status


def export_run(stored: StoredRun) -> JsonObject:
    """The Workflow object with its status, as ``argo get -o json`` shows it."""
    return workflow_with_status(stored.manifest, stored.run, stored.nodes)


def import_run(workflow: JsonObject) -> StoredRun:
    """The run of a Workflow object with its status, from us or from a cluster. Raises InvalidWorkflow with every problem.

    A workflow made from a template carries the merged spec in its status; that is what is run on, so the template need not be there.
    """
    if workflow.get("kind", "Workflow") != "Workflow":
        raise InvalidWorkflow([Problem(f"a Workflow is wanted, not a {workflow.get('kind')}", "kind")])
    status = object_of(workflow, "status")
    if not status:
        raise InvalidWorkflow([Problem("the workflow has no status", "status", remedy="submit it, or take it from argo get -o json")])
    run, nodes = rows_from_status(workflow)
    own, stored = object_of(workflow, "spec"), object_of(status, "storedWorkflowTemplateSpec")
    spec = stored or own
    if stored and own.get("entrypoint") and not stored.get("entrypoint"):  # as Argo repairs it
        spec = merge_workflow_spec(own, stored)
    kept = {key: value for key, value in spec.items() if key not in ("shutdown", "suspend")}
    if "storedWorkflowTemplateSpec" in status:
        kept.pop("workflowTemplateRef", None)
    rest = {key: value for key, value in workflow.items() if key != "status"}
    return StoredRun(run, tuple(nodes), {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", **rest, "spec": kept})


__all__ = ["export_run", "import_run"]
