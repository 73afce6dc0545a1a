"""``flowcore compat``, ``flowcore expr`` and ``run --semantics``: what they print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flowcore.cli.app import app
from flowcore.testing import Flow

OLD = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: old}
spec:
  entrypoint: main
  podPriority: 3
  synchronization: {mutex: {name: only-one}}
  templates:
  - name: main
    dag:
      tasks:
      - {name: a, template: make, when: "no == yes"}
      - name: b
        template: use
        dependencies: [a]
        arguments: {parameters: [{name: text, value: "got {{tasks.a.outputs.parameters.made}}"}]}
      - name: c
        template: use
        dependencies: [a]
        arguments: {parameters: [{name: text, value: "{{=tasks.a.outputs.parameters.made ?? 'other'}}"}]}
    outputs: {parameters: [{name: found, valueFrom: {expression: "{'a': 1}['b']"}}]}
  - name: make
    container: {image: alpine, command: [make]}
    outputs: {parameters: [{name: made, valueFrom: {path: /made}}]}
  - name: use
    inputs: {parameters: [{name: text}]}
    container: {image: alpine, command: [use, "{{inputs.parameters.text}}"]}
"""
CRON = """
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedule: "5 4 * * *"
  workflowSpec: {entrypoint: main, templates: [{name: main, suspend: {duration: "1"}}]}
"""
SCOPE = "inputs: {parameters: {amount: '3'}}\nworkflow.name: wf\n"


def flowcore(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWCORE_STORE", f"sqlite:///{tmp_path}/store.db")
    for name, text in (("old.yaml", OLD), ("cron.yaml", CRON), ("scope.yaml", SCOPE)):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_an_upgrade_changes(folder: Path) -> None:
    told = flowcore("compat", "old.yaml", "cron.yaml", "--from", "3.6", "--format", "json")
    found = json.loads(told.stdout)
    assert told.exit_code == 1
    assert [(each["rule"], each["path"]) for each in found if each["rule"] != "run-differs"] == [
        ("removed-field", "spec.synchronization.mutex"),
        ("removed-field", "spec.podPriority"),
        ("skipped-output", "spec.templates[0].dag.tasks[1].arguments.parameters[0].value"),
        ("skipped-output", "spec.templates[0].dag.tasks[2].arguments.parameters[0].value"),
        ("nil-output", "spec.templates[0].outputs.parameters[0].valueFrom.expression"),
        ("removed-field", "spec.schedule"),
    ]
    runs = [each["message"] for each in found if each["rule"] == "run-differs"]
    assert runs[0] == "old: the run is Succeeded before and Error after"
    assert any(line.startswith("old: node old.b: Succeeded becomes Error (unable to substitute") for line in runs)
    assert any("node old.c: inputs" in line and '"value":"other"' in line for line in runs)


def test_an_upgrade_that_changes_nothing(folder: Path) -> None:
    told = flowcore("compat", "old.yaml", "--from", "4.0", "--to", "4.1")
    assert (told.exit_code, told.stdout) == (0, "1 document from 4.0 to 4.1: nothing changes that can be seen\n")


def test_a_version_that_is_not_known(folder: Path) -> None:
    told = flowcore("compat", "old.yaml", "--from", "two")
    assert (told.exit_code, told.stderr) == (2, "flowcore: --from: 'two' is no version: write one such as 3.6, 3.7, 4.0, 4.1 or 3.7.10\n")


def test_a_run_keeps_the_version_that_it_was_started_with(folder: Path) -> None:
    new = OLD.replace("  podPriority: 3\n", "").replace("mutex: {name: only-one}", "mutexes: [{name: only-one}]")
    (folder / "new.yaml").write_text(new.replace("{'a': 1}['b']", "'x'"))
    old_rules = flowcore("run", "new.yaml", "--backend", "fake", "--semantics", "3.7.10", "-o", "json")
    assert old_rules.exit_code == 0, old_rules.output
    assert json.loads(old_rules.stdout)["metadata"]["annotations"]["flowcore.dev/semantics"] == "3.7.10"
    assert flowcore("run", "new.yaml", "--backend", "fake", "--semantics", "9", "--no-logs").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["asInt(inputs.parameters.amount) + 1", "--scope", "scope.yaml"], "4"),
        (["{{inputs.parameters.amount}} > 2", "--when", "--scope", "scope.yaml"], "true"),
        (["run {{workflow.name}}", "--scope", "scope.yaml"], "run wf"),
        (["[1, 2] | map(# * 2)"], "[2,4]"),
        (["date('2024-02-29')"], "2024-02-29 00:00:00 +0000 UTC"),
    ],
)
def test_expressions(folder: Path, arguments: list[str], printed: str) -> None:
    told = flowcore("expr", *arguments)
    assert (told.exit_code, told.stdout) == (0, f"{printed}\n")


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["1 +"], ["unexpected token EOF (1:3)", " | 1 +", " | ..^"]),
        (["inputs.parameters.amout + 1", "--scope", "scope.yaml"], ["did you mean inputs.parameters.amount?"]),
        (["run {{workflow.nam}}", "--scope", "scope.yaml"], ["there is no value for workflow.nam", "did you mean workflow.name?"]),
        (["inputs.parameters.amount + 1", "--scope", "scope.yaml"], ["invalid operation: string + int", 'inputs.parameters.amount = "3"']),
        (["x", "--node", "b"], ["--node names a node of a run: give --run too"]),
        (["x", "--scope", "none.yaml"], ["none.yaml: cannot be read"]),
    ],
)
def test_expressions_that_are_wrong(folder: Path, arguments: list[str], lines: list[str]) -> None:
    told = flowcore("expr", *arguments)
    assert told.exit_code == 2
    assert all(line in told.stderr for line in lines), told.stderr


def test_a_test_is_written_of_a_recorded_run(folder: Path) -> None:
    example = Path(__file__).resolve().parents[2] / "docs" / "examples" / "conditionals.yaml"
    assert flowcore("run", str(example), "--backend", "local", "--no-logs", "--name", "post").exit_code == 0
    written = flowcore("testgen", "@latest")
    assert written.exit_code == 0
    assert written.stdout.startswith('"""Plays run post again, as it was recorded."""')
    names: dict[str, Any] = {}
    exec(compile(written.stdout, "written", "exec"), names)
    names["test_conditionals"](Flow())
    missing = flowcore("testgen", "none")
    assert (missing.exit_code, missing.stderr) == (2, "flowcore: there is no run 'none': flowcore list shows which there are\n")


def test_expressions_about_a_run(folder: Path) -> None:
    example = Path(__file__).resolve().parents[2] / "docs" / "examples" / "conditionals.yaml"
    assert flowcore("run", str(example), "--backend", "local", "--no-logs", "--name", "post").exit_code == 0
    (folder / "status.json").write_text(flowcore("get", "post", "-o", "json").stdout)
    for run in ("post", "status.json"):
        held = flowcore("expr", "{{steps.scales.outputs.result}} >= 1000", "--when", "--run", run, "--node", "parcel")
        assert (held.exit_code, held.stdout) == (0, "true\n"), held.output
    assert flowcore("expr", "workflow.status", "--run", "post").stdout == '"Succeeded"\n'
    missing = flowcore("expr", "1", "--run", "post", "--node", "parcels")
    assert (missing.exit_code, missing.stderr) == (2, "flowcore: --node parcels: run post has no such node; did you mean parcel?\n")
