"""Where in a document the workflow's spec stands."""

from __future__ import annotations

from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.manifests import Document


def spec_of(document: Document) -> tuple[str, JsonObject]:
    """The path of the workflow's spec, and the spec."""
    spec = object_of(document.json, "spec")
    if text_of(document.json, "kind") == "CronWorkflow":
        return "spec.workflowSpec", object_of(spec, "workflowSpec")
    return "spec", spec


__all__ = ["spec_of"]
