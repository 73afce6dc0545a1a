"""What lint finds beyond errors, what it mends, the formats it speaks, and documents rewritten."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

import flowcore.cli.documents as commands
from flowcore.cli.app import app
from flowcore.errors import UsageError
from flowcore.lint import RULES, lint_document
from flowcore.lint.converting import Delimiters, converted
from flowcore.manifests import load_documents
from flowcore.plan import validate

HEAD = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: w}\n"


def told(spec: str, kind: str = "Workflow") -> list[tuple[str, int | None]]:
    """Rule and line of every problem of a document."""
    (document,) = load_documents(HEAD.replace("Workflow", kind) + spec)
    return [(problem.rule, problem.line) for problem in lint_document(document)]


def leaf(name: str, body: str = "container: {image: a, command: [x]}") -> str:
    return f"  - name: {name}\n    {body}\n"


STEP = "spec:\n  entrypoint: m\n  arguments: {{parameters: [{{name: x, value: '{value}'}}]}}\n  templates:\n  - name: m\n    steps:\n    - - name: a\n        template: b\n        when: {when}\n"


@pytest.mark.parametrize(
    ("when", "value", "rules"),
    [
        ('"1 == 1"', "{{workflow.name}}", ["unread-parameter", "constant-when"]),
        ('"{{workflow.parameters.x}} == yes"', "yes", []),
        ('"{{workflow.parameters.x}} == yes"', "oh no", ["unquoted-when"]),
        ("\"'{{workflow.parameters.x}}' == 'yes'\"", "oh no", []),
        ('"{{workflow.parameters.x}} == oh no"', "yes", ["unquoted-when"]),
        ('"{{workflow.parameters.x}} > 5"', "7", []),
        ("\"{{=workflow.parameters.x == 'a'}}\"", "oh no", []),
    ],
)
def test_conditions(when: str, value: str, rules: list[str]) -> None:
    assert [rule for rule, _ in told(STEP.format(when=when, value=value) + leaf("b"))] == rules


DEFAULTS = "spec:\n  entrypoint: m\n  arguments: {{parameters: [{{name: x, value: oops now}}]}}\n  templates:\n  - name: m\n    steps: [[{{name: a, template: b, {call}}}]]\n"


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        ('when: "{{workflow.parameters.x}} == true"', "unquoted-when"),
        ('when: "{{workflow.parameters.x}} > 5"', "unquoted-when"),
        ('withParam: "{{workflow.parameters.x}}"', "loop"),
        ('withSequence: {count: "{{workflow.parameters.x}}"}', "limit"),
    ],
)
@pytest.mark.parametrize(("kind", "severity"), [("Workflow", "error"), ("WorkflowTemplate", "warning")])
def test_a_default_that_breaks_something_is_no_error_where_others_give_the_values(kind: str, severity: str, call: str, rule: str) -> None:
    (document,) = load_documents(HEAD.replace("Workflow", kind) + DEFAULTS.format(call=call) + leaf("b"))
    assert [(problem.rule, problem.severity) for problem in lint_document(document)] == [(rule, severity)]


def test_what_has_no_value_to_wait_for_is_an_error_in_shared_templates_too() -> None:
    (document,) = load_documents(HEAD.replace("Workflow", "WorkflowTemplate") + DEFAULTS.format(call="withParam: '{}'") + leaf("b"))
    assert ("loop", "error") in [(problem.rule, problem.severity) for problem in lint_document(document)]


def test_templates_that_nothing_uses() -> None:
    spec = "spec:\n  entrypoint: m\n  onExit: e\n  templates:\n" + leaf("m") + leaf("e") + leaf("idle")
    assert told(spec) == [("unused-template", 12)]
    assert told(spec, "WorkflowTemplate") == []
    computed = "steps: [[{name: s, template: '{{workflow.parameters.t}}'}]]"
    given = "spec:\n  arguments: {parameters: [{name: t, value: idle}]}\n"
    dynamic = spec.replace("spec:\n", given).replace(leaf("m"), leaf("m", computed))
    assert "unused-template" not in [rule for rule, _ in told(dynamic)]


@pytest.mark.parametrize(
    ("args", "read"),
    [
        ("[a]", False),
        ("['{{inputs.parameters.p}}']", True),
        ("['<<inputs.parameters.p>>']", True),
        ("['{{inputs.parameters.pq}}']", False),
        ("""["{{=inputs.parameters['p']}}"]""", True),
        ("['{{inputs.parameters}}']", True),
        ("""["{{=toJson(inputs.parameters)}}"]""", True),
    ],
)
def test_parameters_that_nothing_reads(args: str, read: bool) -> None:
    body = f"inputs: {{parameters: [{{name: p, default: d}}, {{name: pq, default: d}}]}}\n    container: {{image: a, command: [x], args: {args}}}"
    found = told("spec:\n  entrypoint: m\n  templates:\n" + leaf("m", body))
    messages = [rule for rule, _ in found if rule == "unread-parameter"]
    whole = "inputs.parameters}}" in args or "toJson" in args
    assert len(messages) == (0 if whole else 1 if read or "pq" in args else 2)


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        ("container: {image: a, command: [sh, -c], args: ['echo {{workflow.labels.x}}']}", ["spliced-shell"]),
        ("container: {image: a, command: [bash, -ec, 'echo {{=workflow.labels.x}}']}", ["spliced-shell"]),
        ("container: {image: a, command: [sh, -c], args: ['echo {{workflow.name}}']}", []),
        ("container: {image: a, command: [sh, -c, 'echo $1', '{{workflow.labels.x}}']}", []),
        ("container: {image: a, command: [echo], args: ['{{workflow.labels.x}}']}", []),
        ("script: {image: a, command: [python3], source: 'print(\"{{workflow.labels.x}}\")'}", ["spliced-python"]),
        ("script: {image: a, command: [sh], source: 'cat <<EOF >> file'}", []),
        ("script: {image: a, command: [node], source: '{{workflow.labels.x}}'}", []),
    ],
)
def test_values_that_become_source(body: str, rules: list[str]) -> None:
    spec = HEAD.replace("{name: w}", "{name: w, labels: {x: z}}") + "spec:\n  entrypoint: m\n  templates:\n" + leaf("m", body)
    (document,) = load_documents(spec)
    assert [problem.rule for problem in lint_document(document)] == rules


def test_every_rule_that_is_used_is_described() -> None:
    import re

    package = Path(validate.__file__).parents[1]
    used = {rule for file in package.rglob("*.py") for rule in re.findall(r'rule="([a-z-]+)"', file.read_text())}
    assert used <= set(RULES)


# --- the command ----------------------------------------------------------------------------------------------------------------------

DOUBTFUL = HEAD + STEP.format(when='"{{workflow.parameters.x}} == yes"', value="oh no") + leaf("b") + leaf("idle")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False, terminal_width=200)


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    file = tmp_path / "doubtful.yaml"
    file.write_text(DOUBTFUL)
    return file


DOUBTS = HEAD + "spec:\n  entrypoint: b\n  templates:\n" + leaf("b") + leaf("idle")


def test_warnings_do_no_harm_unless_strict_and_rules_can_be_ignored(doubtful: Path) -> None:
    doubtful.write_text(DOUBTS)
    assert run("lint", str(doubtful)).exit_code == 0
    assert run("lint", str(doubtful), "--strict").exit_code == 2
    result = run("lint", str(doubtful), "--strict", "--ignore", "unused-template")
    assert (result.exit_code, result.stdout) == (0, "1 document: nothing wrong\n")
    assert run("lint", str(doubtful), "--ignore", "nonsense").exit_code == 2


def test_formats(doubtful: Path) -> None:
    broken = doubtful.with_name("broken.yaml")
    broken.write_text("kind: [")
    files = (str(doubtful), str(broken))
    plain = json.loads(run("lint", *files, "--format", "json").stdout)
    assert {each["rule"] for each in plain} == {"unquoted-when", "unused-template", "yaml"}
    sarif = json.loads(run("lint", *files, "--format", "sarif").stdout)["runs"][0]
    assert [rule["id"] for rule in sarif["tool"]["driver"]["rules"]] == ["unquoted-when", "unused-template", "yaml"]
    assert {each["level"] for each in sarif["results"]} == {"warning", "error"}
    github = run("lint", *files, "--format", "github").stdout.splitlines()
    assert any(line.startswith(f"::warning file={doubtful},line=") for line in github) and any(
        line.startswith("::error file=") for line in github
    )
    junit = ET.fromstring(run("lint", *files, "--format", "junit").stdout.encode())
    assert [suite.attrib["failures"] for suite in junit] == ["2"] and len(junit[0]) == 2


def test_fixing_changes_what_is_safe_and_keeps_the_rest(doubtful: Path) -> None:
    text = DOUBTFUL.replace(
        "  - name: b\n", "  - name: b\n    synchronization:\n      mutex:  # one at a time\n        name: key\n        database: true\n"
    )
    doubtful.write_text(text)
    assert "2 mended" in run("lint", str(doubtful), "--fix").stdout
    fixed = doubtful.read_text()
    assert "when: \"'{{workflow.parameters.x}}' == yes\"" in fixed
    assert "      mutexes:  # one at a time\n        - name: key\n          database: true\n" in fixed
    assert run("lint", str(doubtful), "--fix").stdout == "1 document: 0 errors, 1 warnings\n"


# --- conversion -----------------------------------------------------------------------------------------------------------------------

ANGLED = HEAD + (
    "spec:\n  entrypoint: m\n  templates:\n  - name: m  # <<not a tag\n    container:\n      image: a\n      command: [echo, <<workflow.name>>]\n"
    "      args:\n      - <<workflow.name>> and more  # why\n      - |\n        cat <<EOF <<workflow.uid>>\n        EOF\n"
    "      env:\n      - {name: x, value: <<workflow.name>>}\n"
)


def test_delimiters_there_and_back() -> None:
    braces = converted(ANGLED, to=Delimiters.BRACES)
    assert 'command: [echo, "{{workflow.name}}"]' in braces
    assert '- "{{workflow.name}} and more"  # why' in braces
    assert "cat <<EOF {{workflow.uid}}" in braces and "# <<not a tag" in braces
    assert 'value: "{{workflow.name}}"}' in braces
    assert converted(converted(braces, to=Delimiters.ANGLES), to=Delimiters.BRACES) == braces


def test_expressions_that_compare_keep_their_braces() -> None:
    text = HEAD + 'spec: {entrypoint: \'{{=1 < 2 ? "a" : "b"}} {{workflow.name}}\'}\n'
    assert converted(text, to=Delimiters.ANGLES) == text.replace("{{workflow.name}}", "<<workflow.name>>")


def test_a_layout_that_cannot_be_converted_is_refused() -> None:
    with pytest.raises(UsageError, match="as it is laid out"):
        converted(HEAD + "spec:\n  entrypoint: <<workflow.name>> goes\n    on\n", to=Delimiters.BRACES)


def test_old_names_of_fields() -> None:
    text = "kind: CronWorkflow\nspec:\n  schedule: '* * * * *'\n  workflowSpec: {}\n"
    assert converted(text) == text.replace("schedule: '* * * * *'", "schedules: ['* * * * *']")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n      mutex:\n        name: m  # why\n", "\n      mutexes:\n        - name: m  # why\n"),
        ("\n      mutex: {name: m}\n", "\n      mutexes: [{name: m}]\n"),
        (" {mutex: {name: 'a}, b'}}\n", " {mutexes: [{name: 'a}, b'}]}\n"),
        (
            " {semaphore: {configMapKeyRef: {name: c, key: k}}, mutex: {name: m}}\n",
            " {semaphores: [{configMapKeyRef: {name: c, key: k}}], mutexes: [{name: m}]}\n",
        ),
    ],
)
def test_old_locks_become_lists_however_they_are_laid_out(old: str, new: str) -> None:
    before = HEAD + "spec:\n  entrypoint: m\n  templates:\n  - name: m\n    synchronization:"
    after = "    suspend: {}\n"
    assert converted(f"{before}{old}{after}") == f"{before}{new}{after}"


def test_converting_files(tmp_path: Path) -> None:
    file = tmp_path / "angled.yaml"
    file.write_text(ANGLED)
    assert run("convert", str(file), "--to", "braces").stdout == converted(ANGLED, to=Delimiters.BRACES)
    assert run("convert", str(file), "--to", "braces", "--write").stdout == "1 files: 1 changed\n"
    assert file.read_text() == converted(ANGLED, to=Delimiters.BRACES)


def test_shells_are_completed() -> None:
    assert "_FLOWCORE_COMPLETE" in run("completion", "bash").stdout
    assert commands.Shell("zsh")
