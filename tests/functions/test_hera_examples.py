"""Hera's own examples load and lint. They are not part of this tree: FLOWCORE_HERA_EXAMPLES names a checkout of Hera."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore.catalogs import MemoryCatalog
from flowcore.functions.binding import document_of
from flowcore.jsontypes import JsonObject, object_of
from flowcore.lint import lint_document
from flowcore.manifests import read_mapping
from flowcore_backends.fake import FakeExecutor

ROOT = os.environ.get("FLOWCORE_HERA_EXAMPLES", "")
pytestmark = pytest.mark.skipif(not ROOT, reason="FLOWCORE_HERA_EXAMPLES names no checkout of Hera")
# What cannot be linted by itself: its reference is computed, or its template stands in a cluster.
ELSEWHERE = {"template-reference", "entrypoint"}

# Calls a template without an input that it needs, which Argo refuses too.
REFUSED = {"examples.workflows.misc.suspend_input_duration"}


@pytest.fixture
def hera(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Hera as it is when it is imported: some examples change its defaults for everybody."""
    module = pytest.importorskip("hera.workflows")
    monkeypatch.syspath_prepend(ROOT)
    importlib.import_module("hera.shared").global_config.reset()
    yield module
    importlib.import_module("hera.shared").global_config.reset()
    for name in [name for name in sys.modules if name == "examples" or name.startswith("examples.")]:
        del sys.modules[name]


def test_all_of_them_load_and_lint(hera: Any) -> None:
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


# How those end that need nothing but Python, in this process. Many more would, but install packages or reach for the network while they run.
VERDICTS = {
    "use_cases.map_reduce": ("Succeeded", ""),
    "artifacts.basic_artifacts": ("Succeeded", ""),
    "dags.any_success_all_fail": ("Succeeded", ""),
    "dags.conditional_dag_parameter_output": ("Succeeded", ""),
    "dags.passing_task_result": ("Succeeded", ""),
    "loops.json_payload_fanout": ("Succeeded", ""),
    "loops.fan_in": ("Succeeded", ""),
    # Asks for exit code 1 in its own output.
    "scripts.script_runner_io": ("Failed", "main: Error (exit code 1)"),
    # A script with a bare "return", which Python refuses in a container too.
    "steps.recursive_steps": ("Failed", "'return' outside function"),
    # Hera 7.1's runner opens an optional artifact that is not there, without flowcore just as well.
    "artifacts.artifact_loaders": ("Failed", "my-optional-artifact"),
}
# misc.daemon is none of them: its client wants a server that listens, which a scripted daemon does not. It succeeds on the local backend.


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # one of them leaves files open
@pytest.mark.parametrize("name", VERDICTS)
def test_those_that_need_only_python_run(name: str, hera: Any) -> None:
    phase, told = VERDICTS[name]
    module: Any = importlib.import_module(f"examples.workflows.{name}")
    workflow = next(value for value in vars(module).values() if isinstance(value, hera.Workflow))
    result = flowcore.run_sync(workflow, executor=FakeExecutor())
    assert result.phase == phase
    assert told in " ".join(node.message for node in result.nodes.values())
