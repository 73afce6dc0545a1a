"""Cases and where they come from: finds out which of the three corpus formats a folder holds, and loads them all."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INDEXES = {
    "examples": "examples/index.json",
    "validate": "validate/expectations.json",
    "expressions": "expressions.json",
    "util": "util.json",
    "controller": "controller/expectations.json",
    "e2e": "e2e/expectations.json",
    "e2e-files": "e2e/files.json",
}
SIBLINGS = ("conformance", "conformance-lang", "oracle")


@dataclass(frozen=True)
class Case:
    """One case: ``kind`` says who plays it, ``section`` where it counts, ``folder`` what its paths are relative to."""

    id: str
    section: str
    kind: str
    data: dict[str, Any] = field(repr=False)
    folder: Path

    def text(self, path: str) -> str:
        """A document that the case names."""
        return (self.folder / path).read_text(encoding="utf-8")


def load(folder: Path) -> list[Case]:
    """Every case under ``folder``, whatever mixture of the formats it holds; one level of sub-folders is looked at too."""
    cases = list(_load_here(folder))
    if not cases:
        for child in sorted(path for path in folder.iterdir() if path.is_dir()):
            cases.extend(_load_here(child))
    return cases


def load_with_siblings(folder: Path) -> list[Case]:
    """The cases of ``folder`` and of the two other corpora beside it."""
    cases = load(folder)
    for name in SIBLINGS:
        sibling = folder.resolve().parent / name
        if sibling.is_dir() and sibling != folder.resolve():
            cases.extend(load(sibling))
    return list({case.id: case for case in cases}.values())


def _load_here(folder: Path) -> Iterator[Case]:
    for section, index in INDEXES.items():
        if (folder / index).is_file():
            for row in _rows(folder / index):
                yield Case(row["id"], section, section, row, folder)
    for path in sorted(folder.glob("*.json")):
        if path.name not in INDEXES.values():
            yield from _load_table(path)
    for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")]):
        section = path.name.removesuffix(".gz").removesuffix(".jsonl")
        for row in _lines(path):
            yield Case(row["id"], section, "oracle", row, folder)


def _load_table(path: Path) -> Iterator[Case]:
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict) or "language" not in document:
        return
    for row in document["rows"]:
        yield Case(row["id"], document["language"], "language", row, path.parent)


def _rows(path: Path) -> list[dict[str, Any]]:
    document = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(document, dict):
        document = document.get("cases") or document.get("rows") or []
    return list(document)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)
