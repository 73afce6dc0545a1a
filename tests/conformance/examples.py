"""The examples section: every document loads and is valid; a Workflow that upstream runs ends as it does there."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import part
from tests.conformance.corpus import Case
from tests.conformance.driving import World
from tests.conformance.fixtures import cluster_documents
from tests.conformance.inspecting import node_line
from tests.conformance.live import Cluster
from tests.conformance.matchers import check, look_up
from tests.conformance.submission import PlainCatalog, documents_of, submitted
from tests.conformance.verdicts import OutOfScope, differ

LINTED = ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow")


def play(case: Case) -> None:
    """Load, lint, and run what upstream runs, in a world in which everything succeeds."""
    catalog = neighbours(case)
    documents = part("manifests", "load_documents")(case.text(case.data["file"]))
    if [document.kind for document in documents] != [document["kind"] for document in case.data["documents"]]:
        differ([document["kind"] for document in case.data["documents"]], [document.kind for document in documents], "kinds")
    for document, wanted in zip(documents, case.data["documents"], strict=True):
        if document.kind in LINTED:
            _lint(document, catalog)
        if wanted.get("expected"):
            check_run(dict(document.json), catalog, wanted["expected"]["workflow"])


def neighbours(case: Case) -> PlainCatalog:
    """The templates and ConfigMaps of all the documents beside it: upstream creates them before it runs the examples."""
    catalog = PlainCatalog(cluster_documents())
    root = case.folder / case.data["file"].split("/")[0]
    for path in sorted(root.rglob("*.yaml")):
        try:
            documents = documents_of(path.read_text(encoding="utf-8"))
        except part("errors", "InvalidWorkflow"):
            continue
        for document in documents:
            if document["kind"] != "Workflow" and (document.get("metadata") or {}).get("name"):
                catalog.add(document)
    return catalog


def _lint(document: Any, catalog: PlainCatalog) -> None:
    problems = part("plan.validate", "validate")(document.model, catalog=catalog, lint=True)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors and all("not found (give the file it is in" in error for error in errors):
        raise OutOfScope("it refers to a template that is not in this corpus folder")
    if errors:
        differ("valid", errors, f"{document.kind} {document.json.get('metadata')}")


def check_run(document: dict[str, Any], catalog: PlainCatalog, expected: dict[str, Any]) -> None:
    """Run a document, its containers for real but in simulated time, and check the workflow."""
    cluster = Cluster(World(catalog))
    run = cluster.submit(submitted(document))
    cluster.go_on_until(lambda: run.completed)
    manifest = run.document()
    for path, matcher in expected.items():
        check(look_up(manifest, path), matcher, f"{path} of {run.name}: {run.message}; {[node_line(node) for node in run.nodes()]}")
