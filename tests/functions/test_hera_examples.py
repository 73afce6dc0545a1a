"""Hera's own examples load and lint. They are not part of this tree: FLOWCORE_HERA_EXAMPLES names a checkout of Hera."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from flowcore.catalogs import MemoryCatalog
from flowcore.functions.binding import document_of
from flowcore.jsontypes import JsonObject, object_of
from flowcore.lint import lint_document
from flowcore.manifests import read_mapping

ROOT = os.environ.get("FLOWCORE_HERA_EXAMPLES", "")
pytestmark = pytest.mark.skipif(not ROOT, reason="FLOWCORE_HERA_EXAMPLES names no checkout of Hera")
# What cannot be linted by itself: its reference is computed, or its template stands in a cluster.
ELSEWHERE = {"template-reference", "entrypoint"}

# Calls a template without an input that it needs, which Argo refuses too.
REFUSED = {"examples.workflows.misc.suspend_input_duration"}


def test_all_of_them_load_and_lint(monkeypatch: pytest.MonkeyPatch) -> None:
    hera = pytest.importorskip("hera.workflows")
    monkeypatch.syspath_prepend(ROOT)
    documents: list[tuple[str, JsonObject]] = []
    for file in sorted(Path(ROOT, "examples", "workflows").rglob("*.py")):
        if file.stem in ("__init__", "global_config"):  # the latter changes Hera for everybody
            continue
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        try:
            module: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            assert not str(error.name).startswith(("examples", "hera")), name  # else it needs a package that is not here
            continue
        documents += [(name, document_of(value)) for value in vars(module).values() if isinstance(value, hera.Workflow)]
    catalog = MemoryCatalog(
        {**manifest, "metadata": {**object_of(manifest, "metadata"), "namespace": ""}}
        for _, manifest in documents
        if manifest["kind"] in ("WorkflowTemplate", "ClusterWorkflowTemplate") and object_of(manifest, "metadata").get("name")
    )
    assert len(documents) > 200
    found: dict[str, list[str]] = {}
    for name, manifest in documents:
        errors = [one for one in lint_document(read_mapping(manifest), catalog=catalog) if one.severity == "error"]
        told = [str(one) for one in errors if one.rule not in ELSEWHERE]
        if told:
            found[name] = told
    assert set(found) == REFUSED


def teardown_module() -> None:
    for name in [name for name in sys.modules if name == "examples" or name.startswith("examples.")]:
        del sys.modules[name]
