"""The commands on recorded runs, as users call them; every bad use is one line that says what to do, and exit 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_commands import HELLO, flowcore


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FLOWCORE_STORE", str(tmp_path / "runs.db"))


@pytest.fixture
def hello(tmp_path: Path) -> str:
    path = tmp_path / "hello.yaml"
    path.write_text(HELLO)
    return str(path)


def submitted_and_run(hello: str) -> None:
    """One run that has succeeded."""
    assert flowcore("submit", hello).exit_code == 0
    done = flowcore("run", "--continue", "hello", "--backend", "fake")
    assert done.exit_code == 0, done.output


def test_submit_continue_and_look(hello: str) -> None:
    told = flowcore("submit", hello, "-p", "who=moon")
    assert told.stdout == "hello submitted to namespace default: flowcore serve runs it\n"
    assert "Pending" in flowcore("list").stdout
    assert flowcore("run", "--continue", "@latest", "--backend", "fake").exit_code == 0
    assert flowcore("list", "-o", "name").stdout == "hello\n"
    assert flowcore("list", "--running", "-o", "name").stdout == ""
    assert "PROGRESS" in flowcore("list", "-o", "wide").stdout
    document = json.loads(flowcore("get", "hel", "-o", "json").stdout)
    assert document["status"]["phase"] == "Succeeded"
    assert document["spec"]["arguments"]["parameters"][0]["value"] == "moon"
    (listed,) = json.loads(flowcore("list", "-o", "json").stdout)["items"]
    assert listed["metadata"]["name"] == "hello"
    assert flowcore("wait", "hello").stdout.startswith("hello Succeeded")
    assert flowcore("watch", "hello").exit_code == 0
    assert flowcore("logs", "hello").exit_code == 0


def test_fork_resubmit_retry_and_delete(hello: str) -> None:
    submitted_and_run(hello)
    assert flowcore("fork", "hello", "--from-node", "again", "--name", "forked").exit_code == 0
    assert flowcore("run", "--continue", "forked", "--backend", "fake").exit_code == 0
    assert flowcore("resubmit", "hello").stdout.startswith("hello-")
    assert flowcore("retry", "hello", "--restart-successful", "--node-field-selector", "displayName=greet", "-p", "who=moon").exit_code == 0
    assert flowcore("run", "--continue", "hello", "--backend", "fake").exit_code == 0
    assert flowcore("delete", "--completed").exit_code == 0
    assert len(flowcore("list", "-o", "name").stdout.splitlines()) == 1


def test_archive(hello: str) -> None:
    """What is archived is out of the list, can be looked at, gives its name free, and comes back when it is retried."""
    submitted_and_run(hello)
    assert flowcore("archive", "hello").stdout == "hello archived: flowcore get --archived hello\n"
    assert flowcore("list", "-o", "name").stdout == ""
    assert flowcore("list", "--archived", "-o", "name").stdout == "hello\n"
    assert flowcore("get", "hello").stderr == "flowcore: there is no run 'hello': it is in the archive: add --archived\n"
    assert "greet" in flowcore("get", "--archived", "hello").stdout
    assert flowcore("logs", "--archived", "@latest").exit_code == 0
    submitted_and_run(hello)
    assert flowcore("retry", "--archived", "hello", "--restart-successful", "--node-field-selector", "displayName=greet").exit_code == 2
    assert flowcore("archive", "--completed").exit_code == 0
    told = flowcore("get", "--archived", "hello").stderr
    assert told.startswith("flowcore: 'hello' means 2 runs: default/hello (")
    first, second = (item["metadata"]["uid"] for item in json.loads(flowcore("list", "--archived", "-o", "json").stdout)["items"])
    retried = flowcore("retry", "--archived", first, "--restart-successful", "--node-field-selector", "displayName=greet")
    assert retried.exit_code == 0, retried.stderr
    assert flowcore("run", "--continue", "hello", "--backend", "fake").exit_code == 0
    assert flowcore("resubmit", "--archived", second).stdout.startswith("hello-")
    assert flowcore("delete", "--archived", "--completed", "--older-than", "7d").stdout == ""
    assert flowcore("delete", "--archived", "--completed").stdout == "hello deleted\n"
    assert "uid" in flowcore("get", "hello", "-o", "yaml").stdout


def test_export_and_import(hello: str, tmp_path: Path) -> None:
    submitted_and_run(hello)
    (tmp_path / "saved.json").write_text(flowcore("get", "hello", "-o", "json").stdout)
    assert flowcore("delete", "hello").exit_code == 0
    assert flowcore("import", str(tmp_path / "saved.json")).stdout == "hello imported (Succeeded)\n"
    assert "greet" in flowcore("get", "hello").stdout


def test_orders_wait_for_whoever_drives_the_run(hello: str) -> None:
    flowcore("submit", hello)
    assert "when somebody drives it" in flowcore("suspend", "hello").stdout
    assert flowcore("stop", "hello").exit_code == 0
    assert flowcore("terminate", "hello").exit_code == 0


def test_templates_and_schedules(tmp_path: Path) -> None:
    template = HELLO.replace("kind: Workflow", "kind: WorkflowTemplate")
    spec = HELLO.partition("spec:\n")[2].replace("\n", "\n  ")
    cron = "apiVersion: argoproj.io/v1alpha1\nkind: CronWorkflow\nmetadata: {name: nightly}\nspec:\n  schedules: ['0 3 * * *']\n"
    (tmp_path / "template.yaml").write_text(template)
    (tmp_path / "cron.yaml").write_text(cron + "  workflowSpec:\n  " + spec)
    assert flowcore("template", "create", str(tmp_path / "template.yaml")).stdout == "WorkflowTemplate/hello created\n"
    assert "hello" in flowcore("template", "list").stdout
    assert "kind: WorkflowTemplate" in flowcore("template", "get", "hello").stdout
    assert flowcore("submit", "--from", "workflowtemplate/hello", "--name", "made").exit_code == 0
    assert flowcore("run", "--continue", "made", "--backend", "fake").exit_code == 0
    assert flowcore("cron", "create", str(tmp_path / "cron.yaml")).exit_code == 0
    assert "0 3 * * *" in flowcore("cron", "list").stdout
    assert flowcore("cron", "suspend", "nightly").stdout == "nightly suspended\n"
    assert flowcore("cron", "resume", "nightly").exit_code == 0
    told = flowcore("cron", "backfill", "nightly", "--start", "2024-01-01T00:00:00Z", "--end", "2024-01-03T12:00:00Z")
    assert told.stdout == "3 runs submitted: flowcore serve runs them\n"
    assert flowcore("template", "delete", "hello").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["get", "nothing"], "there is no run 'nothing'"),
        (["run"], "name files to run"),
        (["run", "--continue", "@latest"], "there is no run yet"),
        (["submit"], "name files to submit"),
        (["submit", "--from", "hello"], "--from workflowtemplate/NAME"),
        (["delete"], "name runs to delete"),
        (["stop"], "Missing argument 'NAME' (flowcore stop -h tells more)"),
        (["list", "-o", "xml"], "'xml' is not one of 'table', 'wide', 'name', 'json', 'yaml' (flowcore list -h tells more)"),
        (["list", "--bogus"], "No such option: --bogus (flowcore list -h tells more)"),
        (["node", "sit"], "No such command 'sit'"),
        (["wait", "nothing"], "there is no run 'nothing'"),
        (["archive"], "name runs to archive"),
        (["archive", "x", "--completed"], "not both"),
        (["archive", "x", "--older-than", "1d"], "give it with --completed"),
        (["archive", "--completed", "--older-than", "long"], "write a length of time such as"),
        (["get", "--archived", "x"], "there is no run 'x' in the archive: flowcore list --archived shows"),
        (["serve", "--archive-ttl", "1d"], "give --archive too"),
        (["fork", "nothing"], "there is no run 'nothing'"),
        (["node", "set", "x"], "nothing to set"),
        (["node", "set", "x", "--phase", "Done"], "a node's phase is one of"),
        (["retry", "x", "-p", "bad"], "write -p name=value"),
        (["list", "--store", "redis://x"], "there is no store for redis://"),
        (["cron", "suspend", "x"], "the store has no CronWorkflow 'x'"),
        (["cron", "backfill", "x", "--start", "soon"], "write a time such as"),
        (["template", "get", "x"], "the store has no WorkflowTemplate"),
    ],
)
def test_bad_use_is_one_line(arguments: list[str], words: str) -> None:
    told = flowcore(*arguments)
    assert told.exit_code == 2
    assert words in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


def test_lists_are_lists_however_short(hello: str, tmp_path: Path) -> None:
    """Also of templates and schedules; that there is nothing is told beside the table."""
    told = flowcore("list")
    assert (told.stdout.split()[0], told.stderr) == ("NAME", "there is no run\n")
    assert json.loads(flowcore("list", "-o", "json").stdout)["items"] == []
    (tmp_path / "template.yaml").write_text(HELLO.replace("kind: Workflow", "kind: WorkflowTemplate"))
    flowcore("template", "create", str(tmp_path / "template.yaml"))
    assert flowcore("template", "list", "-o", "name").stdout == "hello\n"
    (listed,) = json.loads(flowcore("template", "list", "-o", "json").stdout)["items"]
    assert listed["kind"] == "WorkflowTemplate"
    assert flowcore("cron", "list", "-o", "yaml").stdout == "apiVersion: v1\nkind: List\nitems: []\n"


def test_what_waits_is_told_to_who_names_something_else(tmp_path: Path) -> None:
    (tmp_path / "approve.yaml").write_text(APPROVE)
    assert flowcore("submit", str(tmp_path / "approve.yaml")).exit_code == 0
    saved = json.loads(flowcore("get", "approve", "-o", "json").stdout)
    saved["status"] |= {"phase": "Running", "nodes": WAITING}
    (tmp_path / "saved.json").write_text(json.dumps(saved))
    flowcore("delete", "approve")
    assert flowcore("import", str(tmp_path / "saved.json")).exit_code == 0
    assert flowcore("resume", "approve", "--node-field-selector", "displayName=no").stderr.endswith(": waiting are approve\n")
    assert "flowcore node set approve -p NAME=VALUE sets it" in flowcore("resume", "approve").stderr


APPROVE = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: approve}
spec:
  entrypoint: main
  templates: [{name: main, suspend: {}, outputs: {parameters: [{name: word, valueFrom: {supplied: {}}}]}}]
"""
WAITING = {
    "approve": {
        "id": "approve",
        "name": "approve",
        "displayName": "approve",
        "type": "Suspend",
        "templateName": "main",
        "phase": "Running",
        "outputs": {"parameters": [{"name": "word", "valueFrom": {"supplied": {}}}]},
    }
}


def test_orders_to_a_run_that_has_ended(hello: str) -> None:
    submitted_and_run(hello)
    for command in ("stop", "terminate", "suspend", "resume"):
        told = flowcore(command, "hello")
        assert (told.exit_code, told.stderr) == (2, "flowcore: run hello has ended (Succeeded); it takes no more orders\n")
    assert "to retry it" in flowcore("retry", "hello").stderr
    assert "already exists" in flowcore("submit", hello).stderr
    assert "flowcore retry hello" in flowcore("run", "--continue", "hello").stderr
