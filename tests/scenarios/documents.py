"""Reads the documents that the scenarios run: the Workflow of a file, and what else stands beside it as the catalog of the run."""

from __future__ import annotations

from pathlib import Path

from ruamel.yaml import YAML

from flowcore.catalogs import MemoryCatalog
from flowcore.jsontypes import JsonObject
from flowcore.manifests import load_documents

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ROOT / "tests" / "seeds"
EXAMPLES = ROOT / "docs" / "examples"


def split(path: Path, *extra: JsonObject) -> tuple[JsonObject, MemoryCatalog]:
    """The first Workflow of the file, and a catalog of its other documents and of ``extra``."""
    documents = [document.json for document in load_documents(path)]
    (workflow,) = (each for each in documents if each["kind"] == "Workflow")
    return workflow, MemoryCatalog([*(each for each in documents if each is not workflow), *extra])


def yaml(text: str) -> JsonObject:
    """A manifest that a test writes down itself."""
    loaded = YAML(typ="safe").load(text)
    assert isinstance(loaded, dict)
    return loaded
