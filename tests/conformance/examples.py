"""The examples section: every document loads and is valid; a Workflow that upstream runs ends as it does there."""

from __future__ import annotations

from typing import Any

from tests.conformance.answers import part
from tests.conformance.corpus import Case
from tests.conformance.driving import World, open_run
from tests.conformance.matchers import check, look_up
from tests.conformance.outcomes import Rules
from tests.conformance.pods import Life
from tests.conformance.submission import PlainCatalog, documents_of, submitted
from tests.conformance.verdicts import differ

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
    catalog = PlainCatalog()
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
    if errors:
        differ("valid", errors, f"{document.kind} {document.json.get('metadata')}")


def check_run(document: dict[str, Any], catalog: PlainCatalog, expected: dict[str, Any]) -> None:
    """Run a document in a world in which all work succeeds, and check the workflow."""
    drive = open_run(submitted(document), World(catalog))
    Life(drive, Rules(())).play()
    nodes = drive.engine.nodes.values()
    manifest = part("status", "workflow_with_status")(dict(drive.plan.manifest), drive.engine.run, nodes)
    for path, matcher in expected.items():
        check(look_up(manifest, path), matcher, f"{path} of {drive.engine.run.name}: {drive.engine.run.message}")
