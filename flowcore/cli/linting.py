"""Carrying out ``flowcore lint``: every problem of every document, with its place."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from flowcore.cli.inputs import Given, catalog_of, documents_of
from flowcore.cli.problems import BAD_INPUT, tell_problems
from flowcore.errors import Problem
from flowcore.manifests import Document
from flowcore.models import Workflow
from flowcore.plan.validate import validate


def lint_files(files: Sequence[str], *, templates: Iterable[Path], resources: Iterable[Path], strict: bool) -> int:
    """Check the documents of ``files``, tell all that is wrong, and give the exit status. Raises InvalidWorkflow for what cannot be read."""
    documents = documents_of(files, strict=strict)
    given = Given(
        [document for document in documents if isinstance(document.model, Workflow)],
        [document for document in documents if not isinstance(document.model, Workflow)],
    )
    catalog = catalog_of(given, templates, resources)
    problems = given.warnings
    for document in documents:
        if document.model is not None:
            problems += [document.placed(problem) for problem in validate(document.model, catalog=catalog, lint=True)]
    if strict:
        problems = [replace(problem, severity="error") for problem in problems]
    tell_problems(problems)
    return _told(documents, problems)


def _told(documents: Sequence[Document], problems: Sequence[Problem]) -> int:
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    checked = f"{len(documents)} document{'s' if len(documents) != 1 else ''}"
    found = f"{errors} errors, {warnings} warnings" if problems else "nothing wrong"
    sys.stdout.write(f"{checked}: {found}\n")
    return BAD_INPUT if errors else 0


__all__ = ["lint_files"]
