"""Estimates from earlier runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, WorkflowPhase, node_id
from flowcore.operations.estimates import Estimates, earlier_run, estimated, with_estimates
from flowcore.ports import StoredRun
from flowcore.status import workflow_with_status
from flowcore.tree import render_tree

DAY = datetime(2024, 1, 1, tzinfo=UTC)
LABELS = {"workflows.argoproj.io/workflow-template": "build"}


def row(
    name: str, hour: int, minutes: int = 10, phase: WorkflowPhase = WorkflowPhase.SUCCEEDED, labels: dict[str, str] | None = None
) -> RunRow:
    start = DAY + timedelta(hours=hour)
    end = start + timedelta(minutes=minutes) if phase.completed else None
    return RunRow(name=name, uid=name, phase=phase, started_at=start, finished_at=end, labels=LABELS if labels is None else labels)


def pod(run: str, name: str, minutes: int | None, phase: Phase = Phase.SUCCEEDED, progress: str | None = None) -> Node:
    end = DAY + timedelta(minutes=minutes) if minutes is not None else None
    full = f"{run}{name}"
    return Node(
        id=node_id(run, full),
        name=full,
        display_name=full,
        type=NodeType.POD,
        phase=phase,
        started_at=DAY,
        finished_at=end,
        progress=progress,
    )


def test_the_latest_earlier_success_of_the_same_template_counts() -> None:
    run = row("now", 9, phase=WorkflowPhase.RUNNING)
    others = [
        run,
        row("old", 1),
        row("wanted", 5),
        row("failed", 6, phase=WorkflowPhase.FAILED),
        row("other", 7, labels={"workflows.argoproj.io/workflow-template": "test"}),
        row("unlabelled", 7, labels={}),
        row("later", 10),
    ]
    found = earlier_run(run, others)
    assert found is not None
    assert found.name == "wanted"
    assert earlier_run(row("now", 9, labels={}), others) is None


def test_runs_and_nodes_are_estimated_by_their_names() -> None:
    run = row("now", 9, phase=WorkflowPhase.RUNNING)
    earlier = StoredRun(row("before", 5, 12), [pod("before", "", 12), pod("before", ".a", 3), pod("before", ".gone", 1)], {})
    nodes = [pod("now", "", None, Phase.RUNNING), pod("now", ".a", None, Phase.RUNNING, "2/5"), pod("now", ".new", None, Phase.PENDING)]
    estimates = estimated(run, nodes, earlier)
    assert estimates == Estimates(timedelta(minutes=12), {NodeId("now"): timedelta(minutes=12), nodes[1].id: timedelta(minutes=3)})
    status = with_estimates(workflow_with_status({}, run, nodes), estimates)["status"]
    assert isinstance(status, dict)
    assert status["estimatedDuration"] == 720
    shown = status["nodes"]
    assert isinstance(shown, dict)
    assert [node.get("estimatedDuration") for node in shown.values() if isinstance(node, dict)] == [720, 180, None]
    assert estimated(run, nodes, None) == Estimates()


def test_a_node_that_works_shows_what_it_reports() -> None:
    run = row("now", 9, phase=WorkflowPhase.RUNNING)
    assert "2/5" in render_tree(run, [pod("now", "", None, Phase.RUNNING, "2/5")])
    assert "5/5" not in render_tree(run, [pod("now", "", 1, Phase.SUCCEEDED, "5/5")])
