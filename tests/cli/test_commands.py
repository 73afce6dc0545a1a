"""The commands as users call them: what they print where, and how they exit. In this process, on the fake backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from flowcore import yaml
from flowcore.cli.app import app

HELLO = """\
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  name: hello
  labels: {team: a}
spec:
  entrypoint: main
  arguments:
    parameters:
      - {name: who, value: world}
  templates:
    - name: main
      steps:
        - - name: greet
            template: say
            arguments: {parameters: [{name: text, value: "hello {{workflow.parameters.who}}"}]}
        - - name: again
            template: say
            when: "{{workflow.parameters.who}} == moon"
            arguments: {parameters: [{name: text, value: "{{steps.greet.outputs.result}}"}]}
    - name: other
      container: {image: alpine, command: ["true"]}
    - name: say
      inputs: {parameters: [{name: text}]}
      container:
        image: alpine
        command: [echo]
        args: ["{{inputs.parameters.text}}"]
"""


def flowcore(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given, catch_exceptions=False, terminal_width=200)


def fake(*arguments: str, given: str | None = None) -> Result:
    return flowcore("run", *arguments, "--backend", "fake", given=given)


@pytest.fixture
def hello(tmp_path: Path) -> str:
    file = tmp_path / "hello.yaml"
    file.write_text(HELLO)
    return str(file)


# --- run --------------------------------------------------------------------------------------------------------------------------


def test_a_run_prints_what_happens_and_then_the_tree(hello: str) -> None:
    result = fake(hello)
    assert result.exit_code == 0
    happened, summary = result.stdout.split("\n\n", 1)
    assert happened.splitlines() == [
        "● hello",
        "● hello[0].greet",
        "✔ hello[0].greet",
        "○ hello[1].again  when 'world == moon' evaluated false",
        "✔ hello",
    ]
    lines = [line.split() for line in summary.splitlines()]
    assert ["Name:", "hello"] in lines
    assert ["Status:", "Succeeded"] in lines
    assert ["Progress:", "1/1"] in lines
    assert ["who:", "world"] in lines
    assert summary.splitlines()[-4:] == [
        "STEP          TEMPLATE  PODNAME               DURATION  MESSAGE",
        " ✔ hello      main",
        " ├───✔ greet  say       hello-say-3161046876  0s",
        " └───○ again  say                                       when 'world == moon' evaluated false",
    ]
    assert result.stderr == ""


def test_a_failed_run_exits_with_1(hello: str, tmp_path: Path) -> None:
    stubs = tmp_path / "stubs.yaml"
    stubs.write_text("facts:\n- {when: say, fails: {exitCode: 3, message: no voice}}\n")
    result = fake(hello, "--stubs", str(stubs))
    assert result.exit_code == 1
    assert "✖ hello[0].greet  main: Error (exit code 3): no voice" in result.stdout
    assert "Status:              Failed" in result.stdout


def test_parameters_come_from_options_over_files_over_the_document(hello: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("who: file\n")
    for arguments, who in (
        ((), "world"),
        (("--parameter-file", str(values)), "file"),
        (("--parameter-file", str(values), "-p", "who=option"), "option"),
    ):
        result = fake(hello, *arguments)
        assert result.exit_code == 0
        assert ["who:", who] in [line.split() for line in result.stdout.splitlines()]
    result = fake(hello, "--parameter-file", str(values), "-p", "who=moon", "-o", "json")
    nodes = json.loads(result.stdout)["status"]["nodes"].values()
    inputs = [node["inputs"]["parameters"][0]["value"] for node in nodes if node["name"] == "hello[0].greet"]
    assert inputs == ["hello moon"]


def test_json_output_is_the_workflow_with_its_status_and_nothing_else(hello: str) -> None:
    result = fake(hello, "--output", "json")
    document = json.loads(result.stdout)
    assert (document["kind"], document["metadata"]["name"], document["status"]["phase"]) == ("Workflow", "hello", "Succeeded")
    assert document["metadata"]["labels"]["team"] == "a"
    assert {node["displayName"]: node["phase"] for node in document["status"]["nodes"].values()} == {
        "hello": "Succeeded",
        "[0]": "Succeeded",
        "greet": "Succeeded",
        "[1]": "Succeeded",
        "again": "Skipped",
    }
    assert "✔ hello" in result.stderr


def test_yaml_and_names_for_programs(hello: str) -> None:
    (parsed,) = yaml.read(fake(hello, "-o", "yaml").stdout)
    assert parsed.json["metadata"]["name"] == "hello"
    assert fake(hello, "-o", "name").stdout == "hello\n"


def test_several_workflows_run_one_after_the_other(hello: str, tmp_path: Path) -> None:
    second = tmp_path / "second.yaml"
    second.write_text(HELLO.replace("name: hello", "name: second"))
    assert fake(hello, str(second), "-o", "name").stdout == "hello\nsecond\n"
    listed = json.loads(fake(hello, str(second), "-o", "json").stdout)
    assert (listed["kind"], len(listed["items"])) == ("List", 2)
    both = fake(hello, str(second), "--name", "x")
    assert (both.exit_code, both.stderr) == (2, "flowcore: --name is for one workflow; there are 2\n")


def test_a_document_may_come_from_standard_input() -> None:
    result = fake("-", "-o", "name", given=HELLO)
    assert (result.exit_code, result.stdout) == (0, "hello\n")


def test_entrypoint_name_and_namespace(hello: str) -> None:
    document = json.loads(fake(hello, "--entrypoint", "other", "--name", "mine", "-n", "there", "-o", "json").stdout)
    assert (document["metadata"]["name"], document["metadata"]["namespace"]) == ("mine", "there")
    assert [node["templateName"] for node in document["status"]["nodes"].values()] == ["other"]


def test_a_seed_makes_everything_repeat(tmp_path: Path) -> None:
    file = tmp_path / "generated.yaml"
    file.write_text(HELLO.replace("name: hello", "generateName: hello-"))
    first, second, other = (fake(str(file), "--seed", seed, "-o", "json").stdout for seed in ("7", "7", "8"))
    assert first == second
    assert json.loads(first)["metadata"]["name"] != json.loads(other)["metadata"]["name"]


def test_shared_templates_and_config_maps_are_found_where_options_say(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "lib.yaml").write_text(
        "kind: WorkflowTemplate\nmetadata: {name: lib}\nspec:\n  templates:\n"
        "  - {name: job, inputs: {parameters: [{name: x}]}, container: {image: a, command: [b]}}\n"
    )
    (tmp_path / "settings.yaml").write_text(
        "kind: ConfigMap\nmetadata: {name: settings, labels: {workflows.argoproj.io/configmap-type: Parameter}}\ndata: {x: from the map}\n"
    )
    (tmp_path / "wf.yaml").write_text(
        "kind: Workflow\nmetadata: {name: wf}\nspec:\n  entrypoint: main\n  templates:\n  - name: main\n    steps:\n"
        "    - - name: a\n        templateRef: {name: lib, template: job}\n        arguments:\n          parameters:\n"
        "          - {name: x, valueFrom: {configMapKeyRef: {name: settings, key: x}}}\n"
    )
    arguments = [str(tmp_path / "wf.yaml"), "--template", str(tmp_path / "shared"), "--resource", str(tmp_path / "settings.yaml")]
    document = json.loads(fake(*arguments, "-o", "json").stdout)
    (node,) = (node for node in document["status"]["nodes"].values() if node["displayName"] == "a")
    assert node["inputs"]["parameters"] == [{"name": "x", "value": "from the map"}]
    assert fake(arguments[0]).exit_code == 2


def test_templates_beside_the_workflow_are_found_too(tmp_path: Path) -> None:
    (tmp_path / "wf.yaml").write_text(
        "kind: Workflow\nmetadata: {name: wf}\nspec: {workflowTemplateRef: {name: lib}}\n---\n"
        "kind: WorkflowTemplate\nmetadata: {name: lib}\nspec: {entrypoint: job, templates: [{name: job, container: {image: a, command: [b]}}]}\n"
    )
    assert fake(str(tmp_path / "wf.yaml")).exit_code == 0


def test_files_may_be_given_as_artifacts(tmp_path: Path) -> None:
    (tmp_path / "wf.yaml").write_text(
        "kind: Workflow\nmetadata: {name: wf}\nspec:\n  entrypoint: main\n  arguments: {artifacts: [{name: in, s3: {key: x}}, {name: b, raw: {data: text}}]}\n"
        "  templates:\n  - name: main\n    inputs: {artifacts: [{name: in, path: /tmp/in}, {name: b, path: /tmp/b}]}\n"
        "    container: {image: a, command: [b]}\n"
    )
    (tmp_path / "letter.txt").write_text("dear reader")
    result = fake(str(tmp_path / "wf.yaml"), "--artifact", f"in={tmp_path / 'letter.txt'}", "-o", "json")
    artifacts = json.loads(result.stdout)["status"]["nodes"]["wf"]["inputs"]["artifacts"]
    assert {one["name"]: one.get("s3") or one.get("raw") for one in artifacts} == {"in": {"key": "given/in"}, "b": {"data": "text"}}


def test_what_nobody_scripted_is_a_placeholder_or_with_strict_an_error(tmp_path: Path) -> None:
    file = tmp_path / "wf.yaml"
    file.write_text(HELLO.replace("== moon", "== world"))
    document = json.loads(fake(str(file), "-o", "json").stdout)
    assert "fake_result_of_say" in json.dumps(document["status"])
    strict = fake(str(file), "--strict", "--no-logs")
    assert strict.exit_code == 1
    assert "fake.when('say').returns(...)" in strict.stdout


def test_a_suspended_run_goes_on_by_itself_on_the_fake_backend(tmp_path: Path) -> None:
    (tmp_path / "wf.yaml").write_text(
        "kind: Workflow\nmetadata: {name: wf}\nspec:\n  entrypoint: main\n  templates: [{name: main, suspend: {}}]\n"
    )
    assert fake(str(tmp_path / "wf.yaml")).exit_code == 0


def test_days_pass_in_no_time(tmp_path: Path) -> None:
    (tmp_path / "wf.yaml").write_text(
        "kind: Workflow\nmetadata: {name: wf}\nspec:\n  entrypoint: main\n  templates: [{name: main, suspend: {duration: 240h}}]\n"
    )
    result = fake(str(tmp_path / "wf.yaml"))
    assert "Duration:            1 week 0 hours" in result.stdout
    assert "Created:" in result.stdout


# --- bad input --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no Workflow to run: found nothing"),
        ("{", "hello.yaml:"),
        ("- a\n- b", "a document is a mapping"),
        ("kind: ConfigMap\nmetadata: {name: a}", "there is no Workflow to run: found ConfigMap"),
        (HELLO.replace("entrypoint: main", "entrypoint: missing"), "missing"),
        (HELLO.replace("template: say", "template: sey"), "sey"),
        (HELLO.replace("entrypoint:", "entrypont:"), "entrypont"),
        (HELLO.replace("{{workflow.parameters.who}} == moon", "{{workflow.parameters.nobody}} == moon"), "nobody"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n" + "".join(f"c{n}: &c{n} [{'*b, ' * 50}]\n" for n in range(5)), "hello.yaml"),
    ],
)
def test_bad_documents_are_told_and_exit_with_2(text: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text(text)
    result = fake(str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nowhere.yaml"], "nowhere.yaml: cannot be read: No such file or directory"),
        (["HELLO", "-p", "who"], "-p who: write -p name=value"),
        (["HELLO", "--artifact", "a=/nowhere"], "--artifact a=/nowhere: there is no such file or folder"),
        (["HELLO", "--artifact", "a"], "write --artifact name=value"),
        (["HELLO", "--parameter-file", "/nowhere"], "/nowhere: cannot be read"),
        (["HELLO", "--template", "/nowhere"], "/nowhere: cannot be read"),
        (["HELLO", "--stubs", "/nowhere"], "/nowhere: cannot be read"),
        (["HELLO", "--stubs", "HELLO"], "unknown word"),
        (["HELLO", "--backend", "mainframe"], "there is no backend 'mainframe'; installed are: "),
        (["HELLO", "--entrypoint", "nowhere"], "nowhere"),
    ],
)
def test_bad_arguments_are_told_and_exit_with_2(arguments: list[str], problem: str, hello: str) -> None:
    given = [hello if argument == "HELLO" else argument for argument in arguments]
    result = fake(*given) if "--backend" not in given else flowcore("run", *given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_a_parameter_file_must_be_a_mapping(hello: str) -> None:
    result = fake(hello, "--parameter-file", "-", given="[1]")
    assert (result.exit_code, result.stderr) == (2, "flowcore: --parameter-file standard input: must hold one mapping of names to values\n")


def test_stubs_are_for_backends_that_can_be_scripted(hello: str) -> None:
    result = flowcore("run", hello, "--backend", "local", "--stubs", hello)
    assert (result.exit_code, result.stderr) == (2, "flowcore: --stubs: the backend 'local' cannot be scripted; --backend fake can\n")


def test_duplicate_keys_are_a_warning_and_with_strict_an_error(tmp_path: Path) -> None:
    file = tmp_path / "wf.yaml"
    file.write_text(HELLO.replace("  entrypoint: main\n", "  entrypoint: other\n  entrypoint: main\n"))
    result = fake(str(file))
    assert result.exit_code == 0
    assert result.stderr.startswith(f"warning: {file}:8")
    assert fake(str(file), "--strict").exit_code == 2


# --- lint, get, version -----------------------------------------------------------------------------------------------------------


def test_lint_checks_every_document(hello: str, tmp_path: Path) -> None:
    result = flowcore("lint", hello)
    assert (result.exit_code, result.stdout) == (0, "1 document: 0 errors, 1 warnings\n")
    assert "'other' is never used" in result.stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text(HELLO.replace("template: say", "template: sey"))
    result = flowcore("lint", hello, str(bad))
    assert result.exit_code == 2
    assert "sey" in result.stderr
    assert str(bad) in result.stderr
    assert result.stdout.startswith("2 documents: ")
    assert flowcore("lint", str(tmp_path)).exit_code == 2


def test_get_shows_a_saved_run_as_run_did(hello: str, tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(fake(hello, "-o", "json").stdout)
    shown = flowcore("get", str(saved))
    assert shown.exit_code == 0
    tree = fake(hello).stdout.rpartition("STEP ")[2]
    assert shown.stdout.rpartition("STEP ")[2] == tree
    assert json.loads(flowcore("get", str(saved), "-o", "json").stdout) == json.loads(saved.read_text())
    assert flowcore("get", "-", "-o", "name", given=saved.read_text()).stdout == "hello\n"


@pytest.mark.parametrize(
    "text", ["", "[]", "kind: ConfigMap", '{"kind": "Workflow"}', '{"metadata": {"name": "a"}, "status": {"nodes": 3}}', "{" * 5000]
)
def test_get_of_something_else_is_told(text: str, tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    file.write_text(text)
    result = flowcore("get", str(file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr


def test_version_and_help() -> None:
    assert flowcore("version").stdout.startswith("flowcore ")
    assert "run" in flowcore("--help").stdout
    assert flowcore("run").exit_code == 2
    assert flowcore("nonsense").exit_code == 2


def test_options_in_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that the documentation promises."""
    text = flowcore("run", "--help").stdout
    for option in ("--parameter", "--parameter-file", "--entrypoint", "--backend", "--template", "--resource", "--artifact", "--output"):
        assert option in text
    for option in ("--no-logs", "--strict", "--seed", "--name", "--stubs"):
        assert option in text


def test_without_its_extra_the_command_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    import sys

    from flowcore.cli import main

    monkeypatch.delitem(sys.modules, "flowcore.cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as error:
        main()
    assert error.value.code == 2
    assert "pip install 'flowcore[cli]'" in capsys.readouterr().err


# --- templates by themselves --------------------------------------------------------------------------------------------------------

ALONE = """\
kind: {kind}
metadata: {{name: nightly, namespace: team}}
spec:
  {spec}
---
kind: WorkflowTemplate
metadata: {{name: library, namespace: team}}
spec: {{templates: [{{name: say, container: {{image: a, args: [hello]}}}}]}}
"""
CALL = "{entrypoint: main, templates: [{name: main, steps: [[{name: a, templateRef: {name: library, template: say}}]]}]}"


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("WorkflowTemplate", CALL[1:-1].replace(", templates:", "\n  templates:", 1)),
        ("CronWorkflow", f'schedules: ["@daily"]\n  workflowSpec: {CALL}'),
    ],
)
def test_a_template_by_itself_runs_as_if_it_were_submitted(kind: str, spec: str, tmp_path: Path) -> None:
    file = tmp_path / "nightly.yaml"
    file.write_text(ALONE.format(kind=kind, spec=spec))
    result = fake(str(file), "--output", "json")
    document = json.loads(result.stdout)
    assert (result.exit_code, document["metadata"]["namespace"], document["status"]["phase"]) == (0, "team", "Succeeded")
    assert document["metadata"]["name"].startswith("nightly-")


def test_which_of_several_templates_is_meant_has_to_be_said(tmp_path: Path) -> None:
    file = tmp_path / "several.yaml"
    one = "kind: WorkflowTemplate\nmetadata: {name: NAME}\nspec: {entrypoint: m, templates: [{name: m, suspend: {duration: 1s}}]}\n"
    file.write_text(one.replace("NAME", "a") + "---\n" + one.replace("NAME", "b"))
    result = fake(str(file))
    assert result.exit_code == 2
    assert "there is no Workflow to run: found WorkflowTemplate" in result.stderr and "one by one" in result.stderr


def test_a_template_without_entrypoint_begins_where_the_user_says(tmp_path: Path) -> None:
    file = tmp_path / "library.yaml"
    file.write_text(ALONE.format(kind="ConfigMap", spec="x: y"))
    assert "entrypoint is required" in fake(str(file)).stderr
    assert fake(str(file), "--entrypoint", "say").exit_code == 0


# --- what is missing ----------------------------------------------------------------------------------------------------------------

ASKING = """\
kind: Workflow
metadata: {name: asking}
spec:
  entrypoint: main
  arguments: {parameters: [{name: a, valueFrom: {configMapKeyRef: {name: fallback, key: k}, default: b}}]}
  synchronization: {semaphores: [{configMapKeyRef: {name: limits, key: all}}]}
  templates: [{name: main, container: {image: a, env: [{name: E, valueFrom: {configMapKeyRef: {name: other, key: k}}}]}}]
"""


def test_config_maps_that_nobody_gave_are_told(tmp_path: Path) -> None:
    file = tmp_path / "asking.yaml"
    file.write_text(ASKING)
    result = fake(str(file))
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        'warning: ConfigMap "limits" is asked for, and is not there (give the file it is in with --resource)'
    ]
    file.write_text(ASKING + '---\nkind: ConfigMap\nmetadata: {name: limits}\ndata: {all: "2"}\n')
    result = fake(str(file))
    assert (result.exit_code, result.stderr) == (0, "")
