"""Status JSON: rows to Argo's format and back, what is derived on the way, and documents that are wrong."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest

from flowcore.errors import InvalidWorkflow
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, Shutdown, WorkflowPhase, node_id
from flowcore.status import children_of, rows_from_status, workflow_with_status

START = datetime(2024, 3, 1, 8, 30, tzinfo=UTC)
WF = "demo"


def row(name: str, type_: NodeType, seq: int, **more: Any) -> Node:
    fields: dict[str, Any] = {"display_name": name, "phase": Phase.SUCCEEDED, "started_at": START + timedelta(seconds=seq)}
    return Node(id=node_id(WF, name), name=name, type=type_, seq=seq, **(fields | more))


def ids(*names: str) -> tuple[NodeId, ...]:
    return tuple(node_id(WF, name) for name in names)


def the_rows() -> list[Node]:
    """A root with steps: one step with two attempts and a hook, one daemon, one loop item skipped; and the run's exit handler."""
    root, group, wrapper = ids("demo", "demo[0]", "demo[0].a")
    return [
        row("demo", NodeType.STEPS, 0, outbound=ids("demo[0].a(1)", "demo[0].d"), finished_at=START + timedelta(minutes=2)),
        row("demo[0]", NodeType.STEP_GROUP, 1, boundary=root, owner=root, parents=(root,)),
        row("demo[0].a", NodeType.RETRY, 2, boundary=root, owner=group, parents=(group,), template_name="work"),
        row(
            "demo[0].a(0)",
            NodeType.POD,
            3,
            boundary=root,
            owner=wrapper,
            parents=(wrapper,),
            retried=True,
            phase=Phase.FAILED,
            message="main: Error (exit code 2)",
            template_name="work",
            template_ref={"name": "lib", "template": "work"},
            template_scope="namespaced/lib",
            inputs={"parameters": [{"name": "x", "value": ""}]},
            outputs={"exitCode": "2"},
            host_node_name="here",
        ),
        row("demo[0].a(1)", NodeType.POD, 6, boundary=root, owner=wrapper, parents=(wrapper,), retried=True, progress="100/100"),
        row("demo[0].a.hooks.told", NodeType.POD, 7, boundary=root, owner=wrapper, parents=(wrapper,), hooked=True),
        row(
            "demo[0].d",
            NodeType.POD,
            4,
            boundary=root,
            owner=group,
            parents=(group,),
            phase=Phase.RUNNING,
            daemoned=True,
            pod_ip="127.0.0.1",
            memoization={"hit": False, "key": "k", "cacheName": "c"},
        ),
        row(
            "demo[0].l(0:x)",
            NodeType.SKIPPED,
            5,
            boundary=root,
            owner=group,
            parents=(group,),
            phase=Phase.SKIPPED,
            message="when 'a == b' evaluated false",
        ),
        row("demo.onExit", NodeType.POD, 8, hooked=True, phase=Phase.PENDING, waiting="default/Mutex/m"),
    ]


def the_run(**more: Any) -> RunRow:
    fields: dict[str, Any] = {
        "name": WF,
        "namespace": "argo",
        "uid": "u-1",
        "phase": WorkflowPhase.RUNNING,
        "created_at": START,
        "started_at": START,
        "outputs": {"parameters": [{"name": "g", "value": "1"}]},
        "labels": {"team": "a"},
        "annotations": {"note": "b"},
        "conditions": ({"type": "SpecWarning", "status": "True", "message": "look"},),
        "synchronization": {"mutex": {"holding": []}},
    }
    return RunRow(**(fields | more))


def by_seq(rows: list[Node]) -> list[Node]:
    return [replace(node, seq=seq) for seq, node in enumerate(sorted(rows, key=lambda node: node.seq))]


# --- there ------------------------------------------------------------------------------------------------------------------------


def test_a_node_is_written_with_argos_field_names() -> None:
    document = workflow_with_status({}, the_run(), the_rows())
    nodes = cast("Any", document)["status"]["nodes"]
    attempt = nodes[node_id(WF, "demo[0].a(0)")]
    assert attempt == {
        "id": node_id(WF, "demo[0].a(0)"),
        "name": "demo[0].a(0)",
        "displayName": "demo[0].a(0)",
        "type": "Pod",
        "templateName": "work",
        "templateRef": {"name": "lib", "template": "work"},
        "templateScope": "namespaced/lib",
        "phase": "Failed",
        "boundaryID": "demo",
        "message": "main: Error (exit code 2)",
        "startedAt": "2024-03-01T08:30:03Z",
        "finishedAt": None,
        "progress": "0/1",
        "nodeFlag": {"retried": True},
        "inputs": {"parameters": [{"name": "x", "value": ""}]},
        "outputs": {"exitCode": "2"},
        "hostNodeName": "here",
    }
    daemon = nodes[node_id(WF, "demo[0].d")]
    assert (daemon["daemoned"], daemon["podIP"], daemon["memoizationStatus"]["key"]) == (True, "127.0.0.1", "k")
    assert nodes[node_id(WF, "demo.onExit")]["synchronizationStatus"] == {"waiting": "default/Mutex/m"}


def test_the_repository_that_a_workflow_names_is_told() -> None:
    written: Any = workflow_with_status({"spec": {"artifactRepositoryRef": {"key": "k"}}}, the_run(), [])
    assert written["status"]["artifactRepositoryRef"] == {"configMap": "artifact-repositories", "key": "k", "namespace": "argo"}
    assert "artifactRepositoryRef" not in cast("Any", workflow_with_status({}, the_run(), []))["status"]


def test_children_follow_from_parents_in_the_order_of_creation() -> None:
    nodes = cast("Any", workflow_with_status({}, the_run(), reversed(the_rows())))["status"]["nodes"]
    assert nodes["demo"]["children"] == [node_id(WF, "demo[0]")]
    assert nodes[node_id(WF, "demo[0]")]["children"] == list(ids("demo[0].a", "demo[0].d", "demo[0].l(0:x)"))
    assert nodes[node_id(WF, "demo[0].a")]["children"] == list(ids("demo[0].a(0)", "demo[0].a(1)", "demo[0].a.hooks.told"))
    assert "children" not in nodes[node_id(WF, "demo[0].d")]


def test_progress_counts_what_works_and_adds_up_along_children() -> None:
    status = cast("Any", workflow_with_status({}, the_run(), the_rows()))["status"]
    progress = {node["name"]: node.get("progress") for node in status["nodes"].values()}
    assert progress == {
        "demo": "101/103",
        "demo[0]": "101/103",
        "demo[0].a": "101/102",
        "demo[0].a(0)": "0/1",
        "demo[0].a(1)": "100/100",
        "demo[0].a.hooks.told": "1/1",
        "demo[0].d": "0/1",
        "demo[0].l(0:x)": None,
        "demo.onExit": "0/1",
    }
    assert status["progress"] == "101/104"


def test_a_node_that_succeeded_is_complete_whatever_it_reported_last() -> None:
    for phase, shown in ((Phase.RUNNING, "40/100"), (Phase.FAILED, "40/100"), (Phase.SUCCEEDED, "100/100")):
        rows = [row("demo", NodeType.POD, 0, phase=phase, progress="40/100")]
        assert cast("Any", workflow_with_status({}, the_run(), rows))["status"]["nodes"]["demo"]["progress"] == shown


@pytest.mark.parametrize("text", ["", "x", "1/", "/1", "2/1", "0/0", "-1/2", "1/2/3", "9" * 50 + "/" + "9" * 50])
def test_progress_that_is_none_does_not_count(text: str) -> None:
    rows = [row("demo", NodeType.POD, 0, phase=Phase.RUNNING, progress=text)]
    assert cast("Any", workflow_with_status({}, the_run(), rows))["status"]["progress"] == "0/0"


def test_the_object_is_the_manifest_with_names_labels_orders_and_status() -> None:
    manifest: JsonObject = {
        "metadata": {"generateName": "demo-", "labels": {"own": "1", "team": "z"}, "finalizers": ["x"]},
        "spec": {"entrypoint": "main", "suspend": True},
    }
    run = the_run(phase=WorkflowPhase.FAILED, shutdown=Shutdown.STOP, message="no", finished_at=START + timedelta(hours=1))
    document = cast("Any", workflow_with_status(manifest, run, the_rows()))
    assert (document["apiVersion"], document["kind"]) == ("argoproj.io/v1alpha1", "Workflow")
    assert document["metadata"] == {
        "generateName": "demo-",
        "name": "demo",
        "namespace": "argo",
        "uid": "u-1",
        "creationTimestamp": "2024-03-01T08:30:00Z",
        "labels": {
            "own": "1",
            "team": "a",
            "workflows.argoproj.io/completed": "true",
            "workflows.argoproj.io/phase": "Failed",
        },
        "annotations": {"note": "b"},
        "finalizers": ["x"],
    }
    assert document["spec"] == {"entrypoint": "main", "shutdown": "Stop"}
    assert document["status"]["message"] == "no"
    assert document["status"]["finishedAt"] == "2024-03-01T09:30:00Z"
    assert [(condition["type"], condition["status"]) for condition in document["status"]["conditions"]] == [
        ("PodRunning", "True"),
        ("SpecWarning", "True"),
        ("Completed", "True"),
    ]
    assert manifest["spec"] == {"entrypoint": "main", "suspend": True}


def test_a_run_that_nobody_looked_at_yet_has_an_empty_status() -> None:
    document = cast("Any", workflow_with_status({}, RunRow(name="demo"), []))
    assert document["metadata"] == {"name": "demo", "namespace": "default"}
    assert document["status"] == {"phase": "", "startedAt": None, "finishedAt": None, "progress": "0/0"}


def test_times_are_utc_and_whole_seconds() -> None:
    moment = datetime(2024, 3, 1, 10, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    status = cast("Any", workflow_with_status({}, the_run(started_at=moment), []))["status"]
    assert status["startedAt"] == "2024-03-01T08:00:00Z"


# --- and back ---------------------------------------------------------------------------------------------------------------------


def test_rows_come_back_as_they_went() -> None:
    run, rows = the_run(shutdown=Shutdown.TERMINATE, suspended=True), by_seq(the_rows())
    document = json.loads(json.dumps(workflow_with_status({"spec": {"entrypoint": "main"}}, run, rows)))
    again, rows_again = rows_from_status(document)
    derived = {"workflows.argoproj.io/phase": "Running", "workflows.argoproj.io/completed": "false"}
    assert again == replace(run, labels={"team": "a", **derived})
    assert rows_again == rows


def test_rows_come_back_in_order_from_argos_own_order_of_ids() -> None:
    rows = by_seq(the_rows())
    document = cast("Any", workflow_with_status({}, the_run(), rows))
    for shuffled in (sorted(document["status"]["nodes"].items()), sorted(document["status"]["nodes"].items(), reverse=True)):
        document["status"]["nodes"] = dict(shuffled)
        _, again = rows_from_status(document)
        assert children_of(again) == children_of(rows)
        assert {node.id: (node.owner, node.parents) for node in again} == {node.id: (node.owner, node.parents) for node in rows}


def test_items_belong_to_their_task_group_and_tasks_to_their_dag() -> None:
    def entry(name: str, type_: str, boundary: str | None = "w", **more: Any) -> JsonObject:
        return {"id": name, "name": name, "type": type_, "phase": "Succeeded", **({"boundaryID": boundary} if boundary else {}), **more}

    entries = [
        entry("w", "DAG", None, children=["w.t"]),
        entry("w.t", "TaskGroup", children=["w.t(0:a.onExit)", "w.t(1:b)", "nobody"]),
        entry("w.t(0:a.onExit)", "Retry", children=["w.t(0:a.onExit)(0)"]),
        entry("w.t(0:a.onExit)(0)", "Pod", nodeFlag={"retried": True}),
        entry("w.t(1:b)", "Pod"),
        entry("w.t.onExit", "Pod", nodeFlag={"hooked": True}),
        entry("w.s(0:1)", "Pod"),
        entry("w.hooks.h", "Retry", None, children=["w.hooks.h(0)"]),
        entry("w.hooks.h(0)", "Pod", None, nodeFlag={"hooked": True, "retried": True}),
    ]
    _, rows = rows_from_status({"metadata": {"name": "w"}, "status": {"nodes": {cast("str", one["id"]): one for one in entries}}})
    assert {node.name: node.owner for node in rows} == {
        "w": None,
        "w.t": "w",
        "w.t(0:a.onExit)": "w.t",
        "w.t(0:a.onExit)(0)": "w.t(0:a.onExit)",
        "w.t(1:b)": "w.t",
        "w.t.onExit": "w.t",
        "w.s(0:1)": "w",
        "w.hooks.h": None,
        "w.hooks.h(0)": "w.hooks.h",
    }


def test_packed_nodes_are_unpacked() -> None:
    document = cast("Any", workflow_with_status({}, the_run(), by_seq(the_rows())))
    nodes = document["status"].pop("nodes")
    document["status"]["compressedNodes"] = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
    assert rows_from_status(document)[1] == by_seq(the_rows())


def test_a_workflow_without_status_has_no_rows() -> None:
    run, rows = rows_from_status({"metadata": {"name": "w", "namespace": "n"}})
    assert (run.name, run.namespace, run.phase, rows) == ("w", "n", WorkflowPhase.UNKNOWN, [])


def test_edges_in_a_circle_do_not_hang() -> None:
    nodes: JsonObject = {name: {"name": name, "type": "Pod", "children": list("abc")} for name in "abc"}
    assert len(rows_from_status({"metadata": {"name": "a"}, "status": {"nodes": nodes}})[1]) == 3


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({}, "metadata.name: a workflow with a status needs its name"),
        ({"metadata": {"name": "w"}, "status": []}, "status: must be an object"),
        ({"metadata": {"name": "w"}, "status": {"phase": "Done"}}, "status.phase: must be one of Pending, Running"),
        ({"metadata": {"name": "w"}, "status": {"startedAt": "yesterday"}}, "status.startedAt: must be a time"),
        ({"metadata": {"name": "w"}, "status": {"nodes": {"x": 3}}}, "status.nodes.x: must be an object"),
        ({"metadata": {"name": "w"}, "status": {"nodes": {"x": {"name": 1}}}}, "status.nodes.x.name: must be a string"),
        ({"metadata": {"name": "w"}, "status": {"nodes": {"x": {"name": "x", "type": "Box"}}}}, "status.nodes.x.type: must be one of Pod"),
        ({"metadata": {"name": "w"}, "status": {"nodes": {"x": {"name": "x", "boundaryID": []}}}}, "x.boundaryID: must be a string"),
        ({"metadata": {"name": "w"}, "status": {"nodes": {"x": {"name": "x", "outboundNodes": [1]}}}}, "must be a list of strings"),
        ({"metadata": {"name": "w"}, "status": {"conditions": 1}}, "status.conditions: must be a list"),
        ({"metadata": {"name": "w"}, "status": {"compressedNodes": "?"}}, "status.compressedNodes: cannot be unpacked"),
        ({"metadata": {"name": "w"}, "status": {"compressedNodes": "aGVsbG8="}}, "status.compressedNodes: cannot be unpacked"),
        ({"metadata": {"name": "w"}, "status": {"offloadNodeStatusVersion": "fnv:1"}}, "database"),
        ({"metadata": {"name": "w", "labels": {"a": 1}}}, "metadata.labels.a: must be a string"),
        ({"metadata": {"name": "w"}, "spec": {"shutdown": "Now"}}, "spec.shutdown: must be one of Stop, Terminate"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(document: JsonObject, problem: str) -> None:
    with pytest.raises(InvalidWorkflow, match=problem.replace(".", r"\.")):
        rows_from_status(document)


# --- Argo's own trees -------------------------------------------------------------------------------------------------------------


def oracle_trees() -> Iterator[JsonObject]:
    """Every tenth node tree of the oracle's corpora, as status JSON with the nodes in order of their ids."""
    folder = Path(os.environ.get("FLOWCORE_CONFORMANCE", Path(__file__).parents[3] / "shared")) / "oracle"
    for file in sorted(folder.glob("*.jsonl.gz")):
        for number, line in enumerate(gzip.decompress(file.read_bytes()).splitlines()):
            expected = json.loads(line)["expected"] if number % 10 == 0 else {}
            if expected.get("nodes"):
                yield as_status(expected["workflow"], expected["nodes"])


def as_status(workflow: Any, nodes: list[Any]) -> JsonObject:
    name = workflow["name"]
    entries: JsonObject = {}
    for node in nodes:
        entry = {key: value for key, value in node.items() if key != "boundary"} | {"id": node_id(name, node["name"])}
        if node.get("boundary"):
            entry["boundaryID"] = node_id(name, node["boundary"])
        for key in ("children", "outboundNodes"):
            if key in entry:
                entry[key] = [node_id(name, other) for other in entry[key] if not other.startswith("?")]
        if not entry.get("nodeFlag"):
            entry.pop("nodeFlag", None)
        entries[entry["id"]] = entry
    return {"metadata": {"name": name}, "status": {**workflow, "nodes": dict(sorted(entries.items()))}}


@pytest.mark.slow
def test_trees_that_argo_made_come_back_field_by_field() -> None:
    """Order of children, groups' progress and the run's progress included."""
    seen = 0
    for document in oracle_trees():
        seen += 1
        run, rows = rows_from_status(document)
        given = cast("Any", document)["status"]
        written = cast("Any", workflow_with_status({}, run, rows))["status"]
        assert written["progress"] == given["progress"]
        for key, entry in given["nodes"].items():
            assert {field: written["nodes"][key].get(field) for field, value in entry.items() if value} == {
                field: value for field, value in entry.items() if value
            }
    if not seen:
        pytest.skip("the conformance corpora are not here")


# --- many nodes -------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_long_chains_of_groups_cost_no_more_than_their_length() -> None:
    """Above the limit for following each group's graph, groups count what lies inside them."""
    rows = [row("demo", NodeType.STEPS, 0)]
    before = rows[0].id
    for number in range(2_000):
        group = row(f"demo[{number}]", NodeType.STEP_GROUP, len(rows), boundary=rows[0].id, owner=rows[0].id, parents=(before,))
        step = row(f"demo[{number}].s", NodeType.POD, len(rows) + 1, boundary=rows[0].id, owner=group.id, parents=(group.id,))
        rows += [group, step]
        before = step.id
    status = cast("Any", workflow_with_status({}, the_run(), rows))["status"]
    assert status["progress"] == status["nodes"]["demo"]["progress"] == "2000/2000"
    assert status["nodes"][node_id(WF, "demo[7]")]["progress"] == "1/1"
