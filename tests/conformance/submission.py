"""Documents made into what a run starts from: the Workflow as ``argo submit`` (or ``submit --from``) would create it, and its catalog."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import flowcore.manifests as manifests

SUFFIX = "x7k2p"
NAMESPACE = "argo"
UID = "00000000-0000-0000-0000-000000000001"
LABEL = "workflows.argoproj.io/"
TEMPLATE_KINDS = {"WorkflowTemplate": "workflow-template", "ClusterWorkflowTemplate": "cluster-workflow-template"}
CLUSTER_KINDS = ("ClusterWorkflowTemplate",)

Document = dict[str, Any]


def documents_of(text: str, *, kind: str | None = None) -> list[Document]:
    """The documents of a YAML text as plain JSON, read as leniently as Argo's controller reads; ``kind`` is for documents that name none.

    Raises InvalidWorkflow.
    """
    documents = manifests.load_documents(text, allow_unknown=True, kind=kind)
    found = [dict(document.json) if document.model is None else document.model.to_json() for document in documents]
    return [{"kind": kind, **document} if kind else document for document in found]


class PlainCatalog:
    """A catalog over a list of documents that a script may change; a document without namespace is found from every namespace."""

    def __init__(self, documents: Iterable[Document] = ()) -> None:
        self.documents: list[Document] = []
        for document in documents:
            self.add(document)

    def add(self, document: Document) -> None:
        """Put or replace a document."""
        metadata = document["metadata"]
        self.remove(document["kind"], metadata.get("name", ""), metadata.get("namespace"))
        self.documents.append(document)

    def remove(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Take a document away; a missing one is fine."""
        found = self.get(kind, name, namespace)
        self.documents = [document for document in self.documents if document is not found]

    def get(self, kind: str, name: str, namespace: str | None = None) -> Document | None:
        """The document, or None."""
        for document in self.documents:
            if document["kind"] == kind and document["metadata"].get("name", "") == name:
                own = None if kind in CLUSTER_KINDS else document["metadata"].get("namespace")
                if not own or not namespace or own == namespace:
                    return document
        return None


def submitted(document: Mapping[str, Any], *, scheduled: str = "2026-01-01T00:00:00Z") -> Document:
    """The Workflow that submitting ``document`` creates: itself with a name, or one made from a template or a CronWorkflow."""
    document = copy.deepcopy(dict(document))
    kind = document.get("kind", "Workflow")
    if kind == "CronWorkflow":
        document = _from_cron(document, scheduled)
    elif kind in TEMPLATE_KINDS:
        document = _from_template(document)
    metadata = document.setdefault("metadata", {})
    if not metadata.get("name"):
        metadata["name"] = metadata.get("generateName", "") + SUFFIX
    metadata.setdefault("namespace", NAMESPACE)
    metadata.setdefault("uid", UID)
    return document


def _from_template(template: Document) -> Document:
    metadata, kind = template["metadata"], template["kind"]
    reference: Document = {"name": metadata["name"]}
    if kind == "ClusterWorkflowTemplate":
        reference["clusterScope"] = True
    extra = template["spec"].get("workflowMetadata") or {}
    made: Document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": metadata["name"], "labels": {LABEL + TEMPLATE_KINDS[kind]: metadata["name"], **(extra.get("labels") or {})}},
        "spec": {"workflowTemplateRef": reference},
    }
    if extra.get("annotations"):
        made["metadata"]["annotations"] = dict(extra["annotations"])
    return made


def _from_cron(cron: Document, scheduled: str) -> Document:
    metadata, spec = cron["metadata"], cron["spec"]
    extra = spec.get("workflowMetadata") or {}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {
            "name": metadata["name"],
            "labels": {**(extra.get("labels") or {}), LABEL + "cron-workflow": metadata["name"]},
            "annotations": {**(extra.get("annotations") or {}), LABEL + "scheduled-time": scheduled},
        },
        "spec": spec["workflowSpec"],
    }
