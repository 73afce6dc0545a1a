"""The documents of upstream's end-to-end tests: each loads, and what its folder says of it holds when it is run."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowcore.errors import InvalidWorkflow
from tests.conformance.answers import part
from tests.conformance.corpus import INDEXES, Case
from tests.conformance.driving import World
from tests.conformance.examples import neighbours
from tests.conformance.inspecting import node_line
from tests.conformance.live import Cluster
from tests.conformance.submission import documents_of, submitted
from tests.conformance.verdicts import OutOfScope, differ

TO_BE_REFUSED = "rejected"
TO_FAIL = "to end Failed or Error"
TO_SUCCEED = "meant to succeed"


def play(case: Case) -> None:
    """Load the documents; run those whose folder says how they end, unless a case says it better."""
    meaning = case.data.get("folder_means") or ""
    try:
        documents = documents_of(case.text(case.data["file"]))
    except InvalidWorkflow as error:
        if TO_BE_REFUSED in meaning or "/malformed/" in case.data["file"] or case.data["kinds"] == [None]:
            return
        differ("documents that load", str(error), case.data["file"])
    if [document.get("kind") for document in documents] != case.data["kinds"]:
        differ(case.data["kinds"], [document.get("kind") for document in documents], "kinds")
    for document in documents:
        _check(case, document, meaning)


def _check(case: Case, document: dict[str, Any], meaning: str) -> None:
    if TO_BE_REFUSED in meaning and TO_FAIL not in meaning:
        _check_lint(case)
    elif document["kind"] == "Workflow" and case.data["file"] not in _played_by_cases(case.folder):
        if TO_FAIL in meaning:
            _check_end(case, document, ("Failed", "Error"))
        elif TO_SUCCEED in meaning:
            _check_end(case, document, ("Succeeded",))


def _check_lint(case: Case) -> None:
    problems = [
        problem
        for document in part("manifests", "load_documents")(case.text(case.data["file"]))
        for problem in [*document.problems, *part("plan.validate", "validate")(document.model, lint=True)]
    ]
    if not problems:
        differ("something that lint finds", "nothing", case.data["file"])


@lru_cache(maxsize=4)
def _played_by_cases(folder: Path) -> frozenset[str]:
    """The documents of which an e2e case of the same corpus says how they end."""
    index = folder / INDEXES["e2e"]
    rows = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else []
    return frozenset(file for row in rows for file in (row.get("workflow"), *(row.get("workflows") or {}).values()) if file)


def _check_end(case: Case, document: dict[str, Any], phases: tuple[str, ...]) -> None:
    cluster = Cluster(World(neighbours(case)))
    run = cluster.submit(submitted(document))
    cluster.go_on_until(lambda: run.completed)
    if run.phase in phases:
        return
    nodes = run.nodes()
    lines = [node_line(node) for node in nodes]
    if any(node["type"] == "Suspend" and node["phase"] != "Succeeded" for node in nodes):
        raise OutOfScope("it waits for somebody who resumes it; only a case could say who")
    if run.homeless:
        raise OutOfScope("a pod waits for a machine that no cluster has, in Argo as here")
    if run.beyond:
        raise OutOfScope(
            "what becomes of it is decided by a Kubernetes API or a repository on the internet, which the simulated world has not"
        )
    differ(phases, f"{run.phase} ({run.message}) with {lines}", case.data["file"])
