"""The validation section: a document with its templates around it is valid, or is refused with Argo's text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flowcore.errors import InvalidWorkflow, Problem
from tests.conformance.answers import part
from tests.conformance.corpus import Case
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
        models = _models(case.text(data["file"]))
        catalog = PlainCatalog([document for path in data.get("templates") or () for document in documents_of(case.text(path))])
    except InvalidWorkflow as error:
        return error.problems
    wanted = [model for model in models if model.kind == data["kind"]] or models
    options = data.get("options") or {}
    validate = part("plan.validate", "validate")
    problems: list[Problem] = []
    for model in wanted:
        problems += validate(model, catalog=catalog, lint=bool(options.get("lint")), workflow_defaults=data.get("workflow_defaults"))
    return problems


def _models(text: str) -> list[Any]:
    return [document.model for document in part("manifests", "load_documents")(text)]


def _as_wanted(wanted: Any, errors: list[str]) -> bool:
    """``true``: anything; a text: the whole message of one of them; ``{contains}``: all of it within one message."""
    if isinstance(wanted, dict):
        parts = wanted["contains"]
        parts = [parts] if isinstance(parts, str) else parts
        return any(all(piece in error for piece in parts) for error in errors)
    return wanted is True or wanted in errors
