"""The parts of the command line: summaries, screens, logs, inputs and backends, without a run."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flowcore import executors
from flowcore.cli import backends
from flowcore.cli.cleaning import remove_leftovers
from flowcore.cli.inputs import assignment, documents_of, options_of, parameters_of
from flowcore.cli.logs import colour_of, prefixed
from flowcore.cli.output import Output, texts
from flowcore.cli.screens import LiveScreen, PlainScreen, counted, fitting
from flowcore.cli.summary import ago, described, status_of
from flowcore.errors import InvalidWorkflow, MissingBackend, UsageError
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, Shutdown, WorkflowPhase
from flowcore.ports import Logged
from flowcore.runner import NodeChanged, RunChanged
from flowcore.tree import TreeLine

START = datetime(2024, 3, 1, 8, tzinfo=UTC)


def pod(name: str, phase: Phase = Phase.RUNNING, **more: Any) -> Node:
    fields: dict[str, Any] = {"seq": 1, "boundary": NodeId("wf"), "template_name": "job"}
    return Node(id=NodeId(name), name=name, display_name=name.removeprefix("wf."), type=NodeType.POD, phase=phase, **(fields | more))


ROOT = Node(id=NodeId("wf"), name="wf", display_name="wf", type=NodeType.DAG, phase=Phase.RUNNING)
RUN = RunRow(name="wf", phase=WorkflowPhase.RUNNING, created_at=START, started_at=START)


# --- summaries --------------------------------------------------------------------------------------------------------------------


def test_a_summary_says_what_argo_get_says() -> None:
    run = RunRow(
        name="wf",
        namespace="there",
        phase=WorkflowPhase.FAILED,
        message="no\nluck",
        created_at=START,
        started_at=START + timedelta(seconds=1),
        finished_at=START + timedelta(seconds=91),
        outputs={
            "parameters": [{"name": "size", "value": "3"}, {"name": "unset"}],
            "artifacts": [{"name": "model", "s3": {"key": "a/b"}}],
        },
        conditions=({"type": "MetricsError", "status": "True", "message": "bad metric"}, {"type": "SpecWarning", "status": "True"}),
    )
    manifest: Any = {
        "spec": {"serviceAccountName": "robot", "arguments": {"parameters": [{"name": "who", "value": "me"}, {"name": "none"}]}}
    }
    assert described(manifest, run, [], now=START + timedelta(hours=2)) == (
        "Name:                wf\n"
        "Namespace:           there\n"
        "ServiceAccount:      robot\n"
        "Status:              Failed\n"
        "Message:             no luck\n"
        "Conditions:\n"
        "✖ MetricsError       bad metric\n"
        "⚠ SpecWarning        True\n"
        " Completed           True\n"
        "Created:             Fri Mar 01 08:00:00 +0000 (2 hours ago)\n"
        "Started:             Fri Mar 01 08:00:01 +0000 (1 hour ago)\n"
        "Finished:            Fri Mar 01 08:01:31 +0000 (1 hour ago)\n"
        "Duration:            1 minute 30 seconds\n"
        "Progress:            0/0\n"
        "Parameters:\n"
        "  who:               me\n"
        "Output Parameters:\n"
        "  size:              3\n"
        "Output Artifacts:\n"
        "  model:             s3 key=a/b\n"
    )


@pytest.mark.parametrize(
    ("run", "status"),
    [
        (RunRow(name="w"), "Pending"),
        (RunRow(name="w", phase=WorkflowPhase.RUNNING), "Running"),
        (RunRow(name="w", phase=WorkflowPhase.RUNNING, suspended=True), "Running (Suspended)"),
        (RunRow(name="w", phase=WorkflowPhase.FAILED, shutdown=Shutdown.STOP), "Failed (Terminated)"),
        (RunRow(name="w", phase=WorkflowPhase.SUCCEEDED, shutdown=Shutdown.STOP), "Succeeded"),
        (RunRow(name="w", phase=WorkflowPhase.ERROR), "Error"),
    ],
)
def test_the_status_in_words(run: RunRow, status: str) -> None:
    assert status_of(run) == status


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(milliseconds=500), "now"),
        (timedelta(seconds=-5), "now"),
        (timedelta(seconds=12), "12 seconds ago"),
        (timedelta(minutes=1, seconds=30), "1 minute ago"),
        (timedelta(days=15), "2 weeks ago"),
    ],
)
def test_how_long_ago(length: timedelta, text: str) -> None:
    assert ago(length) == text


# --- screens ----------------------------------------------------------------------------------------------------------------------


def console(**more: Any) -> Console:
    return Console(file=io.StringIO(), **({"width": 100, "height": 12, "highlight": False} | more))


def written(screen_console: Console) -> str:
    stream = screen_console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def logged(text: str, node: str = "wf.a", container: str = "main") -> Logged:
    return Logged(NodeId(node), container, "stdout", text, START)


def test_plain_lines_come_once_for_each_phase() -> None:
    out = console()
    screen = PlainScreen(out, RUN, {}, logs=True)
    with screen.shown():
        for phase in (Phase.PENDING, Phase.RUNNING, Phase.RUNNING, Phase.FAILED):
            screen.tell(NodeChanged(pod("wf.a", phase, message="two\nlines" if phase is Phase.FAILED else ""), None))
        screen.tell(NodeChanged(Node(id=NodeId("g"), name="wf[0]", display_name="[0]", type=NodeType.STEP_GROUP, phase=Phase.FAILED), None))
        screen.tell(RunChanged(RUN))
        screen.tell(logged("first\nsecond"))
        screen.tell(logged("third", container="side"))
        screen.refresh()
        screen.note("stopping")
    assert written(out).splitlines() == [
        "● wf.a",
        "✖ wf.a  two lines",
        "wf-job-2962115457: first",
        "wf-job-2962115457: second",
        "wf-job-2962115457/side: third",
        "stopping",
    ]


def test_plain_lines_without_logs_and_long_ones_stay_whole() -> None:
    out = console(width=20)
    screen = PlainScreen(out, RUN, {}, logs=False)
    screen.tell(logged("nothing"))
    screen.tell(NodeChanged(pod("wf.a", message="x" * 100), None))
    assert written(out) == f"● wf.a  {'x' * 100}\n"


def drawing(rows: list[Node], *, height: int = 12, notes: int = 0) -> str:
    out = console(force_terminal=True, height=height, color_system=None)
    screen = LiveScreen(out, RUN, {row.id: row for row in rows}, logs=True, now=lambda: START)
    with screen.shown():
        for number in range(notes):
            screen.note(f"note {number}")
        screen.tell(logged("hello"))
        screen.refresh()
    return written(out)


def test_the_live_tree_shows_the_tree_with_its_head_and_logs_above() -> None:
    text = drawing([ROOT, pod("wf.a", started_at=START)], notes=1)
    assert "wf  Running  0/1" in text
    assert " └─● a  job       wf-job-2962115457  0s" in text
    assert "wf-job-2962115457: hello" in text
    assert "note 0" in text


def test_a_live_tree_that_is_too_tall_leaves_out_what_is_over() -> None:
    rows = [ROOT, *(pod(f"wf.{n}", Phase.SUCCEEDED if n < 30 else Phase.RUNNING, seq=n + 1) for n in range(33))]
    text = drawing(rows)
    assert "and 26 more nodes: 4 Running, 30 Succeeded" in text
    assert "● 32" in text
    assert "✔ 0 " not in text


def test_a_live_tree_of_very_many_nodes_shows_what_runs() -> None:
    rows = [ROOT, *(pod(f"wf.{n}", Phase.RUNNING if n == 555 else Phase.SUCCEEDED, seq=n + 1) for n in range(600))]
    text = drawing(rows)
    assert "● wf.555" in text
    assert "wf  Running  599/601 nodes" in text
    assert "and 599 more nodes: 2 Running, 599 Succeeded" in text


def test_what_fits_is_left_alone_and_failures_are_the_last_to_go() -> None:
    lines = [TreeLine(node=pod(f"wf.{n}", Phase.FAILED if n % 2 else Phase.SUCCEEDED)) for n in range(10)]
    assert fitting(lines, 10) == (lines, 0)
    kept, left_out = fitting(lines, 6)
    assert left_out == 4
    assert [line.node.name for line in kept if line.node] == ["wf.1", "wf.3", "wf.5", "wf.7", "wf.8", "wf.9"]
    assert len(fitting(lines, 2)[0]) == 2


def test_counts_of_phases() -> None:
    assert counted({Phase.FAILED: 1, Phase.RUNNING: 2, Phase.SUCCEEDED: 0}) == "2 Running, 1 Failed"
    assert counted({}) == ""


def test_logs_of_unknown_nodes_name_the_node() -> None:
    assert list(prefixed(logged("x", node="wf.gone"), RUN, {})) == [("wf.gone", "x")]
    assert list(prefixed(logged(""), RUN, {})) == [("wf.a", "")]
    assert colour_of("a") == colour_of("a")
    assert len({colour_of(name) for name in "abcdef"}) == 6


# --- input and output -------------------------------------------------------------------------------------------------------------


def test_assignments() -> None:
    assert assignment("a=b=c", "-p") == ("a", "b=c")
    assert assignment("a=", "-p") == ("a", "")
    for text in ("a", "=b", ""):
        with pytest.raises(UsageError, match="write -p name=value"):
            assignment(text, "-p")


def test_parameter_files_hold_any_json(tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    file.write_text('{"text": "x", "number": 3, "list": [1, {"a": null}], "flag": true}')
    assert parameters_of(["number=4"], str(file)) == {"text": "x", "number": "4", "list": '[1,{"a":null}]', "flag": "true"}
    assert parameters_of([], None) == {}


def test_folders_give_all_their_documents_and_all_problems_are_told(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yml").write_text("kind: ConfigMap\nmetadata: {name: a}\n---\nkind: Secret\nmetadata: {name: b}\n")
    (tmp_path / "notes.txt").write_text("{")
    assert [document.kind for document in documents_of([str(tmp_path)])] == ["ConfigMap", "Secret"]
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "c.yaml").write_text("kind: [")
    with pytest.raises(InvalidWorkflow) as error:
        documents_of([str(tmp_path), str(tmp_path / "none.yaml")])
    assert {Path(problem.file or "").name for problem in error.value.problems} == {"b.yaml", "c.yaml", "none.yaml"}


def test_names_for_programs() -> None:
    assert list(texts([{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}], Output.NAME)) == ["a\n", "b\n"]


# --- backends ---------------------------------------------------------------------------------------------------------------------


class Settled:
    """An executor that takes one setting."""

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        EntryPoint("local", f"{__name__}:Settled", executors.GROUP),
        EntryPoint("gone", "flowcore_no_such_module:Executor", executors.GROUP),
        EntryPoint("empty", f"{__name__}:Nothing", executors.GROUP),
    ]
    monkeypatch.setattr(executors, "entry_points", lambda group: found if group == executors.GROUP else [])


class Engine(Settled):
    """An executor that needs something which may not be there."""

    answers = False

    @staticmethod
    async def cleanup(*, dry_run: bool, older_than: timedelta) -> list[str]:
        return [f"{dry_run} {older_than.total_seconds():g}"]

    @classmethod
    def usable_here(cls) -> bool:
        return cls.answers


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(("answers", "name", "kind"), [(True, "docker", Engine), (False, "local", Settled)])
def test_auto_takes_docker_where_an_engine_answers_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answers: bool, name: str, kind: type
) -> None:
    found = [*executors.entry_points(group=executors.GROUP), EntryPoint("docker", f"{__name__}:Engine", executors.GROUP)]
    monkeypatch.setattr(executors, "entry_points", lambda group: found)
    monkeypatch.setattr(Engine, "answers", answers)
    assert type(backends.executor_named("auto")) is kind
    assert capsys.readouterr().err == f"flowcore: running on the {name} backend\n"


def test_leftovers_are_the_backends_business(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [EntryPoint("docker", f"{__name__}:Engine", executors.GROUP), EntryPoint("local", f"{__name__}:Settled", executors.GROUP)]
    monkeypatch.setattr(executors, "entry_points", lambda group: found)
    assert remove_leftovers("docker", older_than="1h", dry_run=True) == ["True 3600"]
    with pytest.raises(UsageError, match="'local' leaves nothing behind"):
        remove_leftovers("local")
    with pytest.raises(UsageError, match=r"--older-than: .*soon"):
        remove_leftovers("docker", older_than="soon")


@pytest.mark.usefixtures("points")
def test_backends_are_found_by_name_and_get_the_settings_they_know() -> None:
    for name in ("auto", "local"):
        executor: Any = backends.executor_named(name, seed=3, strict=True)
        assert (type(executor), executor.seed) == (Settled, 3)
    assert backends.executor_named("local", seed=None).seed == 0
    assert backends.executor_named("local", options={"seed": 5}).seed == 5
    assert executors.installed() == ["empty", "gone", "local"]


@pytest.mark.usefixtures("points")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("gone", "cannot be loaded .*flowcore_no_such_module.*pip install 'flowcore.gone.'"),
        ("empty", "the backend 'empty' cannot be loaded"),
        ("none", "there is no backend 'none'; installed are: empty, gone, local"),
    ],
)
def test_backends_that_are_missing_are_told_with_what_helps(name: str, problem: str) -> None:
    with pytest.raises(MissingBackend, match=problem):
        backends.executor_named(name)


@pytest.mark.usefixtures("points")
def test_options_that_a_backend_does_not_take_are_told() -> None:
    with pytest.raises(UsageError, match=r"--backend-option: the backend 'local' does not take this: .*'colour'"):
        backends.executor_named("local", options={"colour": "red"})


def test_backend_options_are_yaml_and_may_be_entries_of_mappings() -> None:
    given = ["allow-shared-paths=true", "claims.data=/srv/data", "claims.more=/srv/more", "host-paths=[/a, /b]", "isolation=off", "empty="]
    assert options_of(given) == {
        "allow_shared_paths": True,
        "claims": {"data": "/srv/data", "more": "/srv/more"},
        "host_paths": ["/a", "/b"],
        "isolation": "off",
        "empty": "",
    }


def test_without_any_backend_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "entry_points", lambda group: [])
    with pytest.raises(MissingBackend, match="there is no backend 'auto'; installed are: none"):
        backends.executor_named("auto")


def test_a_value_that_nobody_reads_is_cut() -> None:
    run = RunRow(name="wf", outputs={"parameters": [{"name": "big", "value": "x" * 300_000}, {"name": "small", "value": "y" * 1000}]})
    told = described({}, run, [], now=START)
    assert "x... (300,000 characters: -o json has all)" in told
    assert "y" * 1000 in told
    assert len(told) < 3000
