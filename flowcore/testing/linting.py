"""Files checked as tests: each by itself, with the documents of all others at hand. Called by the pytest plugin."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from flowcore.catalogs import MemoryCatalog
from flowcore.errors import InvalidWorkflow, Problem
from flowcore.lint import lint_document
from flowcore.manifests import Document, load_documents


def problems_of(path: Path, together: tuple[Path, ...]) -> list[Problem]:
    """Everything that is wrong or doubtful in a file; references are looked up in the files ``together``."""
    try:
        documents = _documents(path)
    except InvalidWorkflow as error:
        return list(error.problems)
    catalog = _catalog(together)
    return [problem for document in documents for problem in lint_document(document, catalog=catalog)]


@lru_cache(maxsize=4096)
def _documents(path: Path) -> tuple[Document, ...]:
    return tuple(load_documents(path))


@lru_cache(maxsize=4)
def _catalog(files: tuple[Path, ...]) -> MemoryCatalog:
    """The documents of all files that others may refer to; files that cannot be read have a test of their own."""
    catalog = MemoryCatalog()
    for file in files:
        try:
            for document in _documents(file):
                if document.kind not in ("", "Workflow"):
                    catalog.add(document.json)
        except InvalidWorkflow:
            continue
    return catalog


__all__ = ["problems_of"]
