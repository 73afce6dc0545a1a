"""``lint_document``: all problems of one document in the order of its lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from flowcore.errors import Problem
from flowcore.language.tags import has_tags
from flowcore.lint.conditions import doubtful_conditions
from flowcore.lint.places import spec_of
from flowcore.lint.splicing import spliced_values
from flowcore.lint.usage import unread_parameters, unused_templates
from flowcore.manifest_problems import holder_at
from flowcore.manifests import Document
from flowcore.plan.documents import Documents
from flowcore.plan.validate import validate
from flowcore.yaml.bounds import split_path

_SHARED = ("WorkflowTemplate", "ClusterWorkflowTemplate")


def lint_document(document: Document, *, catalog: Documents | None = None) -> list[Problem]:
    """Everything that is wrong or doubtful, with file and line. ``catalog`` holds what the document refers to."""
    found = list(document.problems)
    if document.model is not None:
        refused = _softened(validate(document.model, catalog=catalog, lint=True), document, catalog)
        found += [document.placed(problem) for problem in _merged(refused, list(_doubts(document)))]
    return sorted(found, key=lambda problem: (problem.file or "", problem.line or 0, problem.column or 0, problem.severity))


def _softened(refused: list[Problem], document: Document, catalog: Documents | None) -> list[Problem]:
    """Shared templates are judged by their defaults, in whose place users put other values: what only those break is no error.

    What Argo's own validator refuses stays one.
    """
    if document.kind not in _SHARED or document.model is None or all(problem.severity != "error" for problem in refused):
        return refused
    argos = validate(document.model, catalog=catalog, lint=True, like_argo=True)
    lasting = {(problem.path, problem.message) for problem in argos if problem.severity == "error"}
    return [
        replace(problem, severity="warning")
        if problem.severity == "error"
        and problem.file is None
        and (problem.path, problem.message) not in lasting
        and has_tags(holder_at(document.json, split_path(problem.path)))
        else problem
        for problem in refused
    ]


def _merged(refused: list[Problem], doubts: list[Problem]) -> list[Problem]:
    """Both; a condition that is refused because of missing quotes is told once, in the words that say so."""
    broken = {problem.path: problem.severity for problem in refused if problem.rule == "when"}
    unquoted = {problem.path for problem in doubts if problem.rule == "unquoted-when"} & broken.keys()
    hardened = [
        replace(problem, severity=broken[problem.path]) if problem.path in unquoted and problem.rule == "unquoted-when" else problem
        for problem in doubts
    ]
    return [problem for problem in refused if problem.rule != "when" or problem.path not in unquoted] + hardened


def _doubts(document: Document) -> Iterator[Problem]:
    path, spec = spec_of(document)
    if document.kind == "WorkflowEventBinding" or not spec:
        return
    shared = document.kind in _SHARED
    if not shared:
        yield from unused_templates(spec, path)
    yield from unread_parameters(spec, path, shared=shared)
    yield from doubtful_conditions(spec, path)
    yield from spliced_values(spec, path)


__all__ = ["lint_document"]
