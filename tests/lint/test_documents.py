"""The schema, pictures of workflows, and tests written from runs."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

import flowcore
from flowcore.cli.app import app
from flowcore.graphs import dot, graph_of, mermaid, svg
from flowcore.graphs.layout import placed
from flowcore.manifests import load_documents
from flowcore.schema import json_schema
from flowcore.testing import Flow
from flowcore.testing.testgen import written_test
from flowcore_backends.fake import FakeExecutor

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*(ROOT / "docs" / "examples").glob("*.yaml"), *(ROOT / "tests" / "seeds").glob("*.yaml")])


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


# --- the schema -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_schema_accepts_every_example(validator: Any, file: Path) -> None:
    for document in load_documents(file):
        if document.model is not None:
            assert [error.message for error in validator.iter_errors(document.json)] == []


GOOD: dict[str, Any] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Workflow",
    "metadata": {"name": "w"},
    "spec": {
        "entrypoint": "m",
        "arguments": {"parameters": [{"name": "p", "value": 5}]},
        "templates": [
            {"name": "m", "steps": [[{"name": "s", "template": "l", "when": "true", "withItems": [1, "a"]}]]},
            {"name": "d", "dag": {"tasks": [{"name": "t", "template": "l", "dependencies": ["a"]}]}},
            {
                "name": "l",
                "container": {"image": "a", "command": ["x"], "env": [{"name": "a", "value": "b"}]},
                "retryStrategy": {"limit": "3"},
                "inputs": {"parameters": [{"name": "q"}], "artifacts": [{"name": "f", "path": "/f"}]},
            },
        ],
    },
}
STEP, TASK, LEAF = ("spec", "templates", 0, "steps", 0, 0), ("spec", "templates", 1, "dag", "tasks", 0), ("spec", "templates", 2)
WRONG: list[tuple[tuple[str | int, ...], Any]] = [
    (("kind",), "Wrokflow"),
    (("apiVersion",), "v1"),
    (("spec",), []),
    (("metadata",), "w"),
    (("metadata", "name"), 5),
    (("metadata", "labels"), ["a"]),
    (("spec", "entrypont"), "m"),
    (("spec", "entrypoint"), 5),
    (("spec", "templates"), {}),
    (("spec", "templates", 0), "m"),
    (("spec", "arguments"), []),
    (("spec", "arguments", "parameters"), {}),
    (("spec", "arguments", "parameters", 0, "value"), ["a"]),
    (("spec", "arguments", "parameters", 0, "vlaue"), "a"),
    (("spec", "parallelism"), "two"),
    (("spec", "activeDeadlineSeconds"), 1.5),
    (("spec", "suspend"), "yes"),
    (("spec", "onExit"), {}),
    (("spec", "hooks"), []),
    (("spec", "volumes"), {}),
    (("spec", "podGC"), "OnPodSuccess"),
    (("spec", "ttlStrategy"), 5),
    (("spec", "nodeSelector"), []),
    ((*LEAF, "contaner"), {}),
    ((*LEAF, "container"), []),
    ((*LEAF, "container", "image"), 5),
    ((*LEAF, "container", "command"), "x"),
    ((*LEAF, "container", "imagePullPolcy"), "Always"),
    ((*LEAF, "container", "env"), {}),
    ((*LEAF, "script"), "print()"),
    ((*LEAF, "suspend"), 5),
    ((*LEAF, "daemon"), "yes"),
    ((*LEAF, "retryStrategy"), 3),
    ((*LEAF, "retryStrategy", "limit"), 1.5),
    ((*LEAF, "retryStrategy", "backof"), {}),
    ((*LEAF, "inputs"), []),
    ((*LEAF, "inputs", "artifacts", 0, "path"), 5),
    ((*LEAF, "inputs", "artifacts", 0, "pth"), "/x"),
    ((*LEAF, "outputs"), []),
    ((*LEAF, "timeout"), 5),
    ((*LEAF, "synchronization"), {"mutex": {"name": "x"}}),
    (STEP, "s"),
    ((*STEP, "template"), 5),
    ((*STEP, "when"), True),
    ((*STEP, "withItem"), []),
    ((*STEP, "withItems"), "a"),
    ((*STEP, "arguments"), {"parameter": []}),
    ((*STEP, "continueOn"), {"fail": True}),
    ((*STEP[:-1],), {"name": "s"}),
    ((*TASK, "dependencies"), "a"),
    ((*TASK, "depend"), "a"),
    ((*TASK, "name"), 1),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None)
def test_the_schema_names_the_place_of_what_is_wrong(validator: Any, path: tuple[str | int, ...], value: Any) -> None:
    assert list(validator.iter_errors(GOOD)) == []
    document = copy.deepcopy(GOOD)
    holder: Any = document
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    places = [tuple(error.absolute_path) for error in validator.iter_errors(document)]
    assert places
    assert any(place in (path, path[:-1]) or place[: len(path)] == path for place in places)


def test_the_schema_describes_what_it_holds() -> None:
    definitions = json_schema("Workflow")["definitions"]
    assert isinstance(definitions, dict)
    for name, definition in definitions.items():
        if isinstance(definition, dict) and "properties" in definition and not name.startswith("_"):
            assert definition.get("description"), name
    assert json.loads(run("schema", "--kind", "CronWorkflow"))["properties"]["kind"] == {"enum": ["CronWorkflow"]}


# --- pictures -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_example_can_be_drawn(file: Path) -> None:
    models = [document.model for document in load_documents(file)]
    spec = next(
        model.spec
        for model in models
        if isinstance(model, (flowcore.Workflow, flowcore.WorkflowTemplate, flowcore.ClusterWorkflowTemplate))
    )
    if spec.workflow_template_ref is not None:
        pytest.skip("its templates stand elsewhere")
    graph = graph_of(spec)
    drawing = ET.fromstring(svg(graph, file.stem))
    assert drawing.tag.endswith("svg") and len(list(drawing.iter())) > 5
    assert mermaid(graph).startswith("flowchart TD\n") and dot(graph).count("{") == dot(graph).count("}")


def test_what_a_picture_shows() -> None:
    text = run("graph", str(ROOT / "tests" / "seeds" / "003-06-dag-diamond.yaml"))
    assert text.splitlines()[:2] == ["flowchart TD", '  subgraph n1["diamond"]']
    assert [line.strip() for line in text.splitlines() if "-->" in line] == ["n2 --> n3", "n2 --> n4", "n3 --> n5", "n4 --> n5"]
    again = run("graph", str(ROOT / "docs" / "examples" / "recursion.yaml"), "-o", "dot")
    assert "again" in again
    assert "<script" not in svg(graph_of(flowcore.Workflow.model_validate({"spec": HOSTILE}).spec), "<script>")


SKIPPING = """
kind: Workflow
metadata: {name: skipping}
spec:
  entrypoint: main
  templates:
    - name: main
      dag:
        tasks:
          - {name: first, template: work}
          - {name: left, template: work, depends: first}
          - {name: right, template: work, depends: first}
          - {name: under-left, template: work, depends: left}
          - {name: last, template: work, depends: "first && (under-left || right.Failed)"}
    - {name: work, container: {image: alpine}}
"""


def test_edges_go_round_boxes() -> None:
    """An edge over several layers has a place of its own in each; a condition stands in the box that it is about."""
    graph = graph_of(flowcore.load_workflow(SKIPPING).spec)
    (main,) = placed(graph)[0]
    boxes = {part.box.title: part for part in main.inner if part.lines}
    assert boxes["last"].lines == ["last", "work", "if first && (under-left || right.Failed)"]
    bends = [part for part in main.inner if not part.lines]
    assert len(bends) == 3  # first to last passes two layers, right to last one
    for bend in bends:
        beside = [box for box in boxes.values() if box.y < bend.y + bend.height and bend.y < box.y + box.height]
        assert beside
        assert all(bend.center < box.x or bend.center > box.x + box.width for box in beside)


HOSTILE = {"entrypoint": "<script>\x00", "templates": [{"name": "<script>\x00", "container": {"image": "a"}}]}


# --- tests from runs ------------------------------------------------------------------------------------------------------------------

RETRIED = """
kind: Workflow
metadata: {generateName: retried-}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {name: numbers, template: numbers}
    - - {name: each, template: work, withParam: "{{steps.numbers.outputs.result}}", arguments: {parameters: [{name: nr, value: "{{item}}"}]}}
    - - {name: approve, template: approve, when: "1 == 2"}
  - {name: numbers, script: {image: a, command: [sh], source: x}}
  - {name: approve, suspend: {}}
  - name: work
    inputs: {parameters: [{name: nr}]}
    outputs: {parameters: [{name: out, valueFrom: {path: /x}}]}
    retryStrategy: {limit: 2}
    container: {image: a, command: ["{{inputs.parameters.nr}}"]}
"""


def test_a_written_test_passes_and_says_what_was(tmp_path: Path) -> None:
    fake = FakeExecutor()
    fake.when("numbers").returns([1, 2]).takes("90s")
    fake.when("work").outputs(parameters={"out": "x"})
    fake.when("work", nr=2).fails(exit_code=3, times=1).succeeds()
    result = flowcore.run_sync(RETRIED, executor=fake)
    file = tmp_path / "run.json"
    file.write_text(json.dumps(result.to_json()))
    source = run("testgen", str(file))
    assert "flow.when('numbers').returns('[1,2]').takes(90)" in source
    names: dict[str, Any] = {}
    exec(compile(source, "written", "exec"), names)
    names["test_retried"](Flow())
    assert "flow.load('w.yaml')" in written_test(result.to_json(), "w.yaml")


def test_no_test_is_written_of_what_did_not_run() -> None:
    with pytest.raises(flowcore.UsageError, match="no status"):
        written_test({"kind": "Workflow"})
