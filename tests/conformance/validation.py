"""The validation section: a document with its templates around it is valid, or is refused with Argo's text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flowcore.errors import InvalidWorkflow, Problem
from tests.conformance.answers import part
from tests.conformance.corpus import INDEXES, Case
from tests.conformance.submission import PlainCatalog, documents_of
from tests.conformance.verdicts import differ


def play(case: Case) -> None:
    """Validate the document of a case."""
    data = case.data
    errors = [str(problem.message) for problem in problems_of(case) if problem.severity == "error"]
    if data["valid"]:
        if errors:
            differ("valid", errors, data["file"])
        return
    if not errors:
        differ({"error": data["error"]}, "valid", data["file"])
    if not _as_wanted(data["error"], errors):
        differ({"error": data["error"]}, errors, data["file"])


def problems_of(case: Case) -> Sequence[Problem]:
    """Load and validate as the case says; what loading complains of counts too."""
    data = case.data
    try:
        models = _models(case.text(data["file"]), data["kind"])
        catalog = PlainCatalog([document for path, kind in _around(case) for document in documents_of(case.text(path), kind=kind)])
    except InvalidWorkflow as error:
        return error.problems
    wanted = [model for model in models if model.kind == data["kind"]] or models
    options = data.get("options") or {}
    validate = part("plan.validate", "validate")
    problems: list[Problem] = []
    for model in wanted:
        problems += validate(model, catalog=catalog, lint=bool(options.get("lint")), workflow_defaults=data.get("workflow_defaults"))
    return problems


def _models(text: str, kind: str) -> list[Any]:
    """The typed documents, read as leniently as upstream's tests read them."""
    documents = part("manifests", "load_documents")(text, allow_unknown=True, kind=kind)
    return [document.model for document in documents if document.model is not None]


def _around(case: Case) -> list[tuple[str, str]]:
    """The files of documents that exist, with their kinds; a case derived from another has that one's surroundings."""
    files = [(path, "WorkflowTemplate") for path in case.data.get("templates") or ()]
    origin = case.data.get("derived_from", "")
    index = case.folder / INDEXES[origin.split("/")[0]] if origin.split("/")[0] in INDEXES else None
    for row in json.loads(index.read_text(encoding="utf-8")) if index else ():
        if row["id"] == origin:
            files += [(setup["file"], setup["kind"]) for setup in row.get("setup") or ()]
    return files


def _as_wanted(wanted: Any, errors: list[str]) -> bool:
    """``true``: anything; a text: the whole message of one of them; ``{contains}``: all of it within one message."""
    if isinstance(wanted, dict):
        parts = wanted["contains"]
        parts = [parts] if isinstance(parts, str) else parts
        return any(all(piece in error for piece in parts) for error in errors)
    return wanted is True or wanted in errors
