"""Documents: every problem with its line, path and remedy; several kinds; round trips over whatever documents are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowcore.errors import InvalidWorkflow, UsageError
from flowcore.manifests import dump_workflow, load_documents, load_workflow
from flowcore.models import CronWorkflow, Workflow

GOOD = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  generateName: hello-
spec:
  entrypoint: main
  templates:
  - name: main
    container: {image: alpine, command: [echo, hi]}
"""

CORPUS = Path(os.environ.get("FLOWCORE_CONFORMANCE", Path(__file__).parents[3] / "shared" / "conformance"))


def problems(text, **options):
    with pytest.raises(InvalidWorkflow) as caught:
        load_documents(text, **options)
    return caught.value.problems


def test_a_workflow_from_text_path_and_mapping(tmp_path):
    path = tmp_path / "w.yaml"
    path.write_text(GOOD)
    from_text = load_workflow(GOOD)
    assert from_text.spec.entrypoint == "main"
    assert load_workflow(path) == from_text
    assert load_workflow(str(path)) == from_text
    assert load_workflow(from_text.to_json()) == from_text
    assert load_workflow(dump_workflow(from_text)) == from_text


def test_every_problem_is_told_with_line_path_and_remedy():
    text = """\
kind: Workflow
spec:
  entrypont: main
  parallelism: "5"
  activeDeadlineSeconds: 1.5
  suspend: "true"
  retry_strategy: {}
  synchronization: {mutexs: [{name: m}]}
  templates:
  - name: no
    container: {image: 3.10, comand: [x], env: [{name: A, value: 1}]}
  - name: s
    steps:
    - name: a
      template: b
    - - name: c
        tmpl: d
  - name: e
    inputs: {parameters: [{name: p, value: [1]}]}
    dag: []
    plugin: {a: 1, b: 2}
"""
    found = {(p.line, p.path): (p.message, p.remedy or "") for p in problems(text, file="w.yaml")}
    expected = {
        (3, "spec.entrypont"): ("unknown field", "did you mean entrypoint?"),
        (4, "spec.parallelism"): ("expected a whole number", "remove the quotes"),
        (5, "spec.activeDeadlineSeconds"): ("expected a whole number, got the number 1.5", ""),
        (6, "spec.suspend"): ("expected true or false", "remove the quotes"),
        (7, "spec.retry_strategy"): ("unknown field", "did you mean retryStrategy?"),
        (8, "spec.synchronization.mutexs"): ("unknown field", "did you mean mutexes?"),
        (10, "spec.templates[0].name"): ("expected a text, got false", "bools in YAML"),
        (11, "spec.templates[0].container.image"): ("expected a text, got the number 3.1", '"3.1"'),
        (11, "spec.templates[0].container.comand"): ("unknown field", "did you mean command?"),
        (11, "spec.templates[0].container.env[0]"): ("value should be a text", ""),
        (14, "spec.templates[1].steps[0]"): ("a step group is a list", "two dashes"),
        (17, "spec.templates[1].steps[1][0].tmpl"): ("unknown field", ""),
        (19, "spec.templates[2].inputs.parameters[0].value"): ("expected a text, a number or a bool, got a list", "'[1]'"),
        (20, "spec.templates[2].dag"): ("expected a mapping, got a list", ""),
        (21, "spec.templates[2].plugin"): ("exactly one key, got 2", ""),
    }
    assert found.keys() == expected.keys()
    for key, (message, remedy) in expected.items():
        assert message in found[key][0]
        assert remedy in found[key][1]


def test_a_problem_reads_well():
    assert str(problems("kind: Workflow\nspec:\n  entrypont: x\n", file="a.yaml")[0]) == (
        'a.yaml:3:3: spec.entrypont: unknown field "entrypont" (did you mean entrypoint?)'
    )


def test_problems_of_all_documents_are_told_together():
    assert [p.line for p in problems("kind: Workflow\nspec: 1\n---\nkind: CronWorkflow\nspek: {}\n---\na: b\n")] == [2, 5, 7]


def test_json_is_read_and_its_lines_are_known():
    text = '{"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",\n "spec": {"entrypoint": 5}}'
    (problem,) = problems(text)
    assert (problem.line, problem.path) == (2, "spec.entrypoint")


def test_duplicate_keys_warn_and_fail_when_strict():
    text = GOOD + "    daemon: true\n    daemon: false\n"
    (document,) = load_documents(text)
    assert [(p.severity, p.line) for p in document.problems] == [("warning", 11)]
    assert document.model.spec.templates[0].daemon is False
    assert problems(text, strict=True)[0].rule == "duplicate-key"


def test_lenient_reading_takes_what_argos_controller_takes():
    text = """\
spec:
  entrypoint: 5
  unknown: 1
  podgc: {strategy: OnPodSuccess}
  arguments: {parameters: [{name: p, value: {a: 1}}]}
"""
    (document,) = load_documents(text, allow_unknown=True, kind="Workflow")
    spec = document.model.spec
    assert (spec.entrypoint, spec.pod_gc.strategy, spec.arguments.parameters[0].value) == ("5", "OnPodSuccess", None)
    assert load_workflow(text, allow_unknown=True).spec.entrypoint == "5"


@pytest.mark.parametrize("step", ["{name: n, template: t}", "{name: a, template: t, foo: 1}"])
def test_even_lenient_reading_is_strict_in_steps(step):
    text = f"kind: Workflow\nspec:\n  templates:\n  - name: a\n    steps:\n    - - {step}\n"
    assert problems(text, allow_unknown=True)[0].line == 6


def test_other_kinds():
    text = GOOD + "---\nkind: ConfigMap\ndata: {a: b}\n---\nkind: CronWorkflow\nspec: {schedules: ['* * * * *'], workflowSpec: {}}\n"
    workflow, config, cron = load_documents(text)
    assert isinstance(workflow.model, Workflow)
    assert (config.kind, config.model, config.json["data"]) == ("ConfigMap", None, {"a": "b"})
    assert isinstance(cron.model, CronWorkflow)
    assert load_workflow(text) == workflow.model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: ConfigMap\n", "expected one Workflow, found ConfigMap"),
        ("---\n", "found nothing"),
        (GOOD + "---\n" + GOOD, "found Workflow, Workflow"),
        ("- a\n", "a document is a mapping"),
        ("spec: {}\n", "kind is missing"),
        ("/no/such/file.yaml", "cannot be read: No such file"),
    ],
)
def test_what_is_no_single_workflow(text, message):
    with pytest.raises(InvalidWorkflow, match=message):
        load_workflow(text)


def test_bytes_and_files_that_are_no_text(tmp_path):
    assert load_documents(("\ufeff" + GOOD).encode())[0].kind == "Workflow"
    assert "not text in UTF-8" in problems(b"\xff\x00\x01")[0].message
    assert "cannot be read" in problems(tmp_path)[0].message


def test_mappings_are_held_to_the_same_bounds():
    deep: dict = {}
    for _ in range(200):
        deep = {"a": deep}
    with pytest.raises(InvalidWorkflow, match="nested"):
        load_workflow({"kind": "Workflow", "x": deep})
    with pytest.raises(UsageError):
        load_workflow({"kind": "Workflow", "spec": object()})


def test_an_unknown_version_is_a_warning():
    (document,) = load_documents("apiVersion: argoproj.io/v9\nkind: Workflow\n")
    assert "v9" in document.problems[0].message


def documents_at_hand():
    return sorted((CORPUS / "examples").rglob("*.yaml")) if CORPUS.is_dir() else []


@pytest.mark.slow
@pytest.mark.skipif(not documents_at_hand(), reason="no conformance documents at hand")
def test_documents_at_hand_load_and_come_back_equal():
    for path in documents_at_hand():
        for document in load_documents(path):
            if document.model is not None:
                (again,) = load_documents(dump_workflow(document.model))
                assert again.model == document.model, path
