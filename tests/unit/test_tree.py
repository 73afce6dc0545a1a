"""The drawn tree: connectors as ``argo get`` has them, columns, and what has no line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, node_id
from flowcore.tree import one_line, render_tree, short_duration, tree_lines

START = datetime(2024, 3, 1, 8, tzinfo=UTC)
RUN = RunRow(name="wf")


class Rows(list[Node]):
    """Rows that are written down by name; the order is that of creation."""

    def add(self, name: str, type_: NodeType = NodeType.POD, *parents: str, boundary: str | None = "wf", **more: Any) -> Rows:
        fields: dict[str, Any] = {"phase": Phase.SUCCEEDED, "template_name": "" if type_ is NodeType.STEP_GROUP else "work"}
        display = name.removeprefix("wf").lstrip(".") or name
        self.append(
            Node(
                id=node_id("wf", name),
                name=name,
                display_name=more.pop("display_name", display),
                type=type_,
                seq=len(self),
                boundary=node_id("wf", boundary) if boundary else None,
                parents=tuple(node_id("wf", parent) for parent in parents),
                **(fields | more),
            )
        )
        return self


def drawn(rows: Rows) -> list[str]:
    """The first column, without its heading."""
    return [line.step.rstrip() for line in tree_lines(RUN, rows)]


def test_a_single_pod() -> None:
    rows = Rows().add("wf", boundary=None, started_at=START, finished_at=START + timedelta(seconds=75), message="done")
    assert render_tree(RUN, rows) == ("STEP   TEMPLATE  PODNAME  DURATION  MESSAGE\n ✔ wf  work      wf       1m        done")


def test_step_groups_are_brackets() -> None:
    rows = Rows().add("wf", NodeType.STEPS, boundary=None)
    rows.add("wf[0]", NodeType.STEP_GROUP, "wf").add("wf[0].a", NodeType.POD, "wf[0]", display_name="a")
    rows.add("wf[1]", NodeType.STEP_GROUP, "wf[0].a").add("wf[1].b", NodeType.POD, "wf[1]", display_name="b")
    rows.add("wf[1].c", NodeType.POD, "wf[1]", display_name="c").add("wf[1].d", NodeType.POD, "wf[1]", display_name="d")
    rows.add("wf[2]", NodeType.STEP_GROUP, "wf[1].b").add("wf[2].e", NodeType.POD, "wf[2]", display_name="e")
    rows.add("wf[2].f", NodeType.POD, "wf[2]", display_name="f")
    assert drawn(rows) == [
        " ✔ wf",
        " ├───✔ a",
        " ├─┬─✔ b",
        " │ ├─✔ c",
        " │ └─✔ d",
        " └─┬─✔ e",
        "   └─✔ f",
    ]


def test_templates_nest_and_tasks_are_a_list_whatever_they_depend_on() -> None:
    rows = Rows().add("wf", NodeType.DAG, boundary=None)
    rows.add("wf.a", NodeType.POD, "wf").add("wf.b", NodeType.STEPS, "wf.a")
    rows.add("wf.b[0]", NodeType.STEP_GROUP, "wf.b", boundary="wf.b")
    rows.add("wf.b[0].x", NodeType.POD, "wf.b[0]", boundary="wf.b", display_name="x")
    rows.add("wf.b[0].y", NodeType.POD, "wf.b[0]", boundary="wf.b", display_name="y")
    rows.add("wf.c", NodeType.POD, "wf.b[0].x", "wf.b[0].y")
    assert drawn(rows) == [" ✔ wf", " ├─✔ a", " ├─✔ b", " │ └─┬─✔ x", " │   └─✔ y", " └─✔ c"]


def test_a_wrapper_shows_once_there_is_more_than_one_attempt() -> None:
    rows = Rows().add("wf", NodeType.DAG, boundary=None).add("wf.a", NodeType.RETRY, "wf", phase=Phase.RUNNING)
    rows.add("wf.a(0)", NodeType.POD, "wf.a", phase=Phase.FAILED)
    assert drawn(rows) == [" ✔ wf", " └─✖ a(0)"]
    rows.add("wf.a(1)", NodeType.POD, "wf.a", phase=Phase.RUNNING)
    assert drawn(rows) == [" ✔ wf", " └─● a", "   ├─✖ a(0)", "   └─● a(1)"]


def test_a_retried_template_inside_a_bracket() -> None:
    rows = Rows().add("wf", NodeType.STEPS, boundary=None).add("wf[0]", NodeType.STEP_GROUP, "wf")
    rows.add("wf[0].a", NodeType.RETRY, "wf[0]", display_name="a").add("wf[0].a(0)", NodeType.POD, "wf[0].a", display_name="a(0)")
    rows.add("wf[0].b", NodeType.POD, "wf[0]", display_name="b")
    assert drawn(rows) == [" ✔ wf", " └─┬─✔ a(0)", "   └─✔ b"]


def test_what_has_no_line() -> None:
    """Task groups, containers of a set and omitted tasks; items stand where their group would."""
    rows = Rows().add("wf", NodeType.DAG, boundary=None).add("wf.a", NodeType.TASK_GROUP, "wf")
    rows.add("wf.a(0:x)", NodeType.POD, "wf.a").add("wf.a(0:x).side", NodeType.CONTAINER, "wf.a(0:x)", boundary="wf.a(0:x)")
    rows.add("wf.a(1:y)", NodeType.POD, "wf.a").add("wf.z", NodeType.SKIPPED, "wf.a", phase=Phase.OMITTED)
    assert drawn(rows) == [" ✔ wf", " ├─✔ a(0:x)", " └─✔ a(1:y)"]


def test_hooks_and_the_exit_handler_are_trees_of_their_own() -> None:
    rows = Rows().add("wf.onExit", boundary=None).add("wf", boundary=None).add("wf.hooks.h", NodeType.POD, "wf", boundary=None)
    assert drawn(rows) == [" ✔ wf", "", " ✔ hooks.h", "", " ✔ onExit"]


@pytest.mark.parametrize(
    ("type_", "phase", "icon"),
    [
        (NodeType.POD, Phase.PENDING, "◷"),
        (NodeType.POD, Phase.RUNNING, "●"),
        (NodeType.POD, Phase.SUCCEEDED, "✔"),
        (NodeType.SKIPPED, Phase.SKIPPED, "○"),
        (NodeType.POD, Phase.FAILED, "✖"),
        (NodeType.SKIPPED, Phase.ERROR, "⚠"),
        (NodeType.SUSPEND, Phase.RUNNING, "ǁ"),
        (NodeType.SUSPEND, Phase.SUCCEEDED, "✔"),
    ],
)
def test_every_phase_has_its_icon(type_: NodeType, phase: Phase, icon: str) -> None:
    assert drawn(Rows().add("wf", type_, boundary=None, phase=phase)) == [f" {icon} wf"]


def test_a_shared_template_is_named_with_its_document_and_names_the_pod() -> None:
    rows = Rows().add("wf", NodeType.DAG, boundary=None)
    rows.add("wf.a", NodeType.POD, "wf", template_ref={"name": "lib", "template": "job"}, template_name="")
    line = list(tree_lines(RUN, rows))[1]
    assert line.template == "lib/job"
    assert line.pod.startswith("wf-job-")


def test_durations_of_what_runs_count_up() -> None:
    rows = Rows().add("wf", boundary=None, phase=Phase.RUNNING, started_at=START)
    (line,) = tree_lines(RUN, rows, now=START + timedelta(hours=3))
    assert line.duration == "3h"
    (line,) = tree_lines(RUN, rows)
    assert line.duration == "0s"
    (line,) = tree_lines(RUN, Rows().add("wf", NodeType.DAG, boundary=None, started_at=START), now=START + timedelta(hours=3))
    assert line.duration == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (0.9, "0s"),
        (1, "1s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (86_399, "23h"),
        (864_000, "10d"),
    ],
)
def test_lengths_are_cut_off_at_their_largest_unit(seconds: float, text: str) -> None:
    assert short_duration(timedelta(seconds=seconds)) == text


def test_texts_of_strangers_stay_on_their_line() -> None:
    rows = Rows().add("wf", boundary=None, message="one\ntwo\x1b[2Jthree", display_name="a\tb")
    assert render_tree(RUN, rows).splitlines()[1].endswith("one two [2Jthree")
    assert one_line("a\r\nb\x9bc") == "a  b c"


def test_no_root_no_tree() -> None:
    assert render_tree(RUN, []) == ""
    assert render_tree(RUN, Rows().add("wf.onExit", boundary=None)) == ""


def test_boundaries_in_a_circle_are_left_out() -> None:
    rows = (
        Rows().add("wf", NodeType.DAG, boundary=None).add("wf.a", NodeType.DAG, boundary="wf.b").add("wf.b", NodeType.DAG, boundary="wf.a")
    )
    assert drawn(rows) == [" ✔ wf"]


def test_deep_trees_need_no_deep_stack() -> None:
    rows = Rows().add("wf", NodeType.DAG, boundary=None)
    for number in range(3_000):
        name = f"n{number}"
        rows.append(Node(id=NodeId(name), name=name, display_name=name, type=NodeType.DAG, seq=number + 1, boundary=rows[-1].id))
    assert len(drawn(rows)) == 3_001


@pytest.mark.slow
def test_wide_trees_are_drawn_in_time() -> None:
    rows = Rows().add("wf", NodeType.DAG, boundary=None)
    rows += [
        Node(id=NodeId(f"n{number}"), name=f"wf.{number}", display_name=f"{number}", type=NodeType.POD, seq=number + 1, boundary=rows[0].id)
        for number in range(20_000)
    ]
    lines = drawn(rows)
    assert len(lines) == 20_001
    assert lines[-1] == " └─◷ 19999"
