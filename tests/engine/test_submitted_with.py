"""What a document brings along and a run has from its first moment: orders to end, labels, progress, placement."""

from __future__ import annotations

from typing import Any

import pytest

from flowcore.engine.messages import Acquire
from flowcore.errors import InvalidWorkflow
from tests.engine.scene import Scene

ONE = """
    templates:
    - name: main
      container: {image: alpine, command: ['true']}
"""
LABELLED = (
    """
    arguments: {parameters: [{name: lock, value: %s}]}
    synchronization: {mutexes: [{name: '{{workflow.labels.lock}}'}]}
    workflowMetadata:
      labelsFrom: {lock: {expression: workflow.parameters.lock}}
"""
    + ONE
)


@pytest.mark.parametrize("strategy", ["Stop", "Terminate"])
def test_a_workflow_that_is_submitted_to_be_ended_starts_nothing(strategy: str) -> None:
    scene = Scene(f"    shutdown: {strategy}\n{ONE}")
    assert (scene.phase, scene.working) == ("Failed", {})
    assert scene.node("wf").message == f"workflow shutdown with strategy: {strategy}"


def test_an_unknown_way_to_end_is_refused() -> None:
    with pytest.raises(InvalidWorkflow, match=r"shutdown must be Stop or Terminate, not 'Now'"):
        Scene(f"    shutdown: Now\n{ONE}")


def test_labels_that_a_run_gets_are_put_into_its_spec() -> None:
    scene = Scene(LABELLED % "db")
    assert scene.commands == [Acquire(None, ({"mutex": {"name": "db"}},))]
    assert (scene.run.labels or {})["lock"] == "db"


@pytest.mark.parametrize("value", ["some/special", "-x", "x" * 64])
def test_a_label_that_no_cluster_takes_is_an_error(value: str) -> None:
    scene = Scene(LABELLED % value)
    assert scene.phase == "Error"
    assert scene.run.message.startswith(f'invalid label value "{value}" for label "lock"')


@pytest.mark.parametrize(("told", "progress"), [("0/100", "0/100"), ("3/2", None), ("0/0", None), ("much", None)])
def test_a_template_can_say_how_much_there_is_to_do(told: str, progress: str | None) -> None:
    scene = Scene(f"""
        templates:
        - name: main
          metadata: {{annotations: {{workflows.argoproj.io/progress: '{told}'}}}}
          container: {{image: alpine, command: ['true']}}
    """)
    assert scene.node("wf").progress == progress


def test_steps_run_where_the_template_around_them_says() -> None:
    scene = Scene("""
        nodeSelector: {disk: any}
        templates:
        - name: main
          nodeSelector: {disk: ssd}
          tolerations: [{key: a}]
          steps: [[{name: a, template: leaf}, {name: b, template: own}, {name: c, template: deeper}]]
        - name: own
          nodeSelector: {disk: tape}
          container: {image: alpine, command: ['true']}
        - name: deeper
          dag: {tasks: [{name: d, template: leaf}]}
    """)
    placed: dict[str, Any] = {name: scene.invocation(name).body for name in ("[0].a", "[0].b", "[0].c.d")}
    assert {name: body.get("nodeSelector") for name, body in placed.items()} == {
        "[0].a": {"disk": "ssd"},
        "[0].b": {"disk": "tape"},
        "[0].c.d": None,
    }
    assert [name for name, body in placed.items() if "tolerations" in body] == ["[0].a", "[0].b"]


def test_the_phase_is_among_the_labels_that_conditions_see() -> None:
    scene = Scene("""
        templates:
        - name: main
          steps:
          - - {name: a, template: leaf}
          - - {name: b, template: leaf, when: '"{{workflow.labels.workflows.argoproj.io/phase}}" == "Running"'}
    """)
    scene.succeed("[0].a")
    assert scene.under_way() == ["[1].b"]
