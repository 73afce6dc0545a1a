"""``lint_document``: all problems of one document in the order of its lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flowcore.errors import Problem
from flowcore.lint.conditions import doubtful_conditions
from flowcore.lint.places import spec_of
from flowcore.lint.splicing import spliced_values
from flowcore.lint.usage import unread_parameters, unused_templates
from flowcore.manifests import Document
from flowcore.plan.validate import validate
from flowcore.plan.validate_documents import Documents


def lint_document(document: Document, *, catalog: Documents | None = None) -> list[Problem]:
    """Everything that is wrong or doubtful, with file and line. ``catalog`` holds what the document refers to."""
    found = list(document.problems)
    if document.model is not None:
        refused = validate(document.model, catalog=catalog, lint=True)
        found += [document.placed(problem) for problem in _merged(refused, list(_doubts(document)))]
    return sorted(found, key=lambda problem: (problem.file or "", problem.line or 0, problem.column or 0, problem.severity))


def _merged(refused: list[Problem], doubts: list[Problem]) -> list[Problem]:
    """Both; a condition that is refused because of missing quotes is told once, in the words that say so."""
    broken = {problem.path for problem in refused if problem.rule == "when" and problem.severity == "error"}
    unquoted = {problem.path for problem in doubts if problem.rule == "unquoted-when"} & broken
    hardened = [
        replace(problem, severity="error") if problem.path in unquoted and problem.rule == "unquoted-when" else problem
        for problem in doubts
    ]
    return [problem for problem in refused if problem.rule != "when" or problem.path not in unquoted] + hardened


def _doubts(document: Document) -> Iterator[Problem]:
    path, spec = spec_of(document)
    if document.kind == "WorkflowEventBinding" or not spec:
        return
    shared = document.kind in ("WorkflowTemplate", "ClusterWorkflowTemplate")
    if not shared:
        yield from unused_templates(spec, path)
    yield from unread_parameters(spec, path, shared=shared)
    yield from doubtful_conditions(spec, path)
    yield from spliced_values(spec, path)


__all__ = ["lint_document"]
