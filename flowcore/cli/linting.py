"""Carrying out ``flowcore lint``: every problem of every document with its place, in the format that was asked for; and what can be mended."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from flowcore.catalogs import MemoryCatalog
from flowcore.cli.backends import executor_named
from flowcore.cli.inputs import Given, catalog_of, options_of, sources_of
from flowcore.cli.problems import BAD_INPUT
from flowcore.errors import InvalidWorkflow, Problem, UsageError
from flowcore.lint import RULES, Format, fixed, formatted, lint_document
from flowcore.manifests import Document, load_documents
from flowcore.models import Workflow
from flowcore.ports import CheckingExecutor

_FIX_ROUNDS = 10


def lint_files(
    files: Sequence[str],
    *,
    templates: Iterable[Path],
    resources: Iterable[Path],
    strict: bool,
    form: Format = Format.TEXT,
    fix: bool = False,
    ignore: Collection[str] = (),
    backend: str | None = None,
    backend_options: Iterable[str] = (),
) -> int:
    """Check the documents of ``files``, tell all that is wrong, and give the exit status; ``backend`` is asked for its opinion too. Raises UsageError."""
    unknown = sorted(set(ignore) - set(RULES))
    if unknown:
        raise UsageError(f"--ignore {unknown[0]}: there is no such rule")
    sources = sources_of(files)
    mended = _mend([source for source in sources if isinstance(source, Path)], templates, resources) if fix else 0
    documents, problems = _read(sources, strict=strict)
    catalog = _catalog(documents, templates, resources)
    for document in documents:
        problems += lint_document(document, catalog=catalog)
    if backend is not None:
        problems += _of_backend(documents, catalog, backend, backend_options)
    problems = [problem for problem in problems if problem.rule not in ignore]
    if strict:
        problems = [replace(problem, severity="error") for problem in problems]
    names = [str(source) for source in sources if isinstance(source, Path)]
    text = formatted(problems, names, form, version=version("flowcore"))
    if form is Format.TEXT:
        sys.stderr.write(text)
        sys.stdout.write(_summary(documents, problems, mended))
    else:
        sys.stdout.write(text)
    return BAD_INPUT if any(problem.severity == "error" for problem in problems) else 0


def _of_backend(documents: Iterable[Document], catalog: MemoryCatalog, name: str, options: Iterable[str]) -> list[Problem]:
    """What a backend cannot do of the documents that are well formed. Raises UsageError for one that cannot say so beforehand."""
    executor = executor_named(name, options=options_of(options))
    if not isinstance(executor, CheckingExecutor):
        raise UsageError(f"--backend {name}: this backend cannot say beforehand what it cannot do")
    models = [document for document in documents if document.model is not None and "spec" in document.json]
    return [document.placed(problem) for document in models for problem in executor.check(document.json, catalog)]


def _read(sources: Iterable[Path | str], *, strict: bool) -> tuple[list[Document], list[Problem]]:
    """The documents that can be read, and the problems of those that cannot."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for source in sources:
        try:
            documents += load_documents(source, file=None if isinstance(source, Path) else "standard input", strict=strict)
        except InvalidWorkflow as error:
            problems += error.problems
    return documents, problems


def _catalog(documents: Sequence[Document], templates: Iterable[Path], resources: Iterable[Path]) -> MemoryCatalog:
    others = [document for document in documents if not isinstance(document.model, Workflow) and document.kind]
    return catalog_of(Given([], others), templates, resources)


def _mend(paths: Iterable[Path], templates: Iterable[Path], resources: Iterable[Path]) -> int:
    """Mend the files as far as that is safe; how many problems are gone."""
    count = 0
    for path in paths:
        for _ in range(_FIX_ROUNDS):
            documents, problems = _read([path], strict=False)
            catalog = _catalog(documents, templates, resources)
            for document in documents:
                problems += lint_document(document, catalog=catalog)
            before = path.read_text(encoding="utf-8") if problems else ""
            after, mended = fixed(before, problems)
            if not mended or after == before:
                break
            path.write_text(after, encoding="utf-8")
            count += len(mended)
    return count


def _summary(documents: Sequence[Document], problems: Sequence[Problem], mended: int) -> str:
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    checked = f"{len(documents)} document{'s' if len(documents) != 1 else ''}"
    found = f"{errors} errors, {warnings} warnings" if problems else "nothing wrong"
    return f"{checked}: {found}{f', {mended} mended' if mended else ''}\n"


__all__ = ["lint_files"]
