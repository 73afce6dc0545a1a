"""Runs that Argo recorded: what its status leaves out, and states in which only Argo would have stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flowcore.engine.engine import Engine
from flowcore.engine.messages import Opened, Start, Wake, Woken
from flowcore.nodes import node_id
from flowcore.operations import import_run
from flowcore.plan.plan import PlanOptions, compile_plan
from flowcore.status import workflow_with_status
from tests.engine.scene import START, Scene

WAITING = """
    templates:
    - name: main
      steps: [[{name: a, template: pause}], [{name: b, template: leaf}]]
    - name: pause
      suspend: {duration: '10'}
"""
STAMP = "2024-01-01T00:00:00Z"


def document_of(scene: Scene) -> Any:
    """The run as Argo's API would show it."""
    return workflow_with_status(dict(scene.plan.manifest), scene.run, scene.rows.values())


def engine_over(document: Any) -> Engine:
    stored = import_run(document)
    return Engine(compile_plan(stored.manifest, name=stored.run.name), stored.nodes, stored.run)


def phases(engine: Engine) -> dict[str, str]:
    return {row.name: str(row.phase) for row in engine.nodes.values()}


def test_a_suspend_node_goes_on_when_its_duration_is_over() -> None:
    engine = engine_over(document_of(Scene(WAITING)))
    reaction = engine.handle([Opened()], START)
    (wake,) = [command for command in reaction.commands if isinstance(command, Wake)]
    assert (wake.node, wake.at) == (node_id("wf", "wf[0].a"), START + timedelta(seconds=10))
    engine.handle([Woken(wake.node)], wake.at)
    assert phases(engine)["wf[1].b"] == "Pending"


def test_attempts_without_flags_are_attempts() -> None:
    scene = Scene("""
        templates:
        - name: main
          retryStrategy: {limit: 1}
          container: {image: alpine, command: ['true']}
    """)
    scene.fail("(0)")
    document = document_of(scene)
    for node in document["status"]["nodes"].values():
        node.pop("nodeFlag", None)
    engine = engine_over(document)
    engine.handle([Opened()], START)
    assert phases(engine) == {"wf": "Running", "wf(0)": "Failed", "wf(1)": "Pending"}


def test_composites_without_a_phase_run() -> None:
    document = document_of(Scene(WAITING))
    for node in document["status"]["nodes"].values():
        if node["type"] in ("Steps", "StepGroup"):
            del node["phase"]
    assert {row.name: str(row.phase) for row in import_run(document).nodes} == {"wf": "Running", "wf[0]": "Running", "wf[0].a": "Running"}


def test_a_group_that_was_begun_without_any_step_is_gone_through_again() -> None:
    scene = Scene("""
        templates:
        - name: main
          steps: [[{name: a, template: leaf}], [{name: b, template: leaf}]]
    """)
    document = document_of(scene)
    nodes = document["status"]["nodes"]
    first = next(node for node in nodes.values() if node["type"] == "StepGroup")
    nodes.pop(first.pop("children")[0])
    nodes["wf-1"] = {**first, "id": "wf-1", "name": "wf[1]", "displayName": "[1]", "phase": "Succeeded"}
    engine = engine_over(document)
    engine.handle([Opened()], START)
    assert phases(engine)["wf[0].a"] == "Pending"


def test_a_stored_spec_without_entrypoint_gets_the_workflows_own() -> None:
    leaf = {"name": "main", "container": {"image": "alpine"}}
    document: Any = {
        "metadata": {"name": "wf"},
        "spec": {"entrypoint": "main", "workflowTemplateRef": {"name": "t"}},
        "status": {"phase": "Running", "startedAt": STAMP, "storedWorkflowTemplateSpec": {"entrypoint": "", "templates": [leaf]}},
    }
    spec: Any = import_run(document).manifest["spec"]
    assert (spec["entrypoint"], [template["name"] for template in spec["templates"]]) == ("main", ["main"])


def test_pods_keep_the_names_that_their_run_was_begun_with() -> None:
    scene = Scene("templates:\n- name: main\n  steps: [[{name: a, template: leaf}]]\n", options=PlanOptions(pod_name_version="v1"))
    node = node_id("wf", "wf[0].a")
    assert scene.invocation("[0].a").pod_name == node
    assert scene.run.annotations == {"workflows.argoproj.io/pod-name-format": "v1"}
    reaction = engine_over(document_of(scene)).handle([Opened()], START)
    assert [command.invocation.pod_name for command in reaction.commands if isinstance(command, Start)] == [node]
