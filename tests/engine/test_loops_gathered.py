"""What loops leave behind is gathered for all tasks that come after them, whether they name it or not; as in Argo."""

from __future__ import annotations

from tests.engine.scene import Scene

TEXT_RESULTS = """
templates:
- name: main
  dag:
    tasks:
    - {{name: a, template: leaf, withItems: [1, 2]}}
    - {{name: b, template: leaf, depends: a}}
    {last}
"""
UNREADABLE = "invalid character 'h' looking for beginning of value"


def ended(last: str) -> Scene:
    scene = Scene(TEXT_RESULTS.format(last=last))
    scene.succeed(".a(0:1)", result="1")
    scene.succeed(".a(1:2)", result="heads")
    return scene


def test_a_result_that_is_no_json_fails_the_dag_with_its_last_task() -> None:
    scene = ended("")
    assert (scene.node(".b").phase, scene.node(".b").message) == ("Error", UNREADABLE)
    assert (scene.node("wf").phase, scene.node("wf").message) == ("Error", UNREADABLE)


def test_a_task_before_the_last_fails_by_itself() -> None:
    scene = ended("- {name: c, template: leaf, depends: b.Errored}")
    assert scene.node(".b").message == UNREADABLE
    assert scene.node(".c").message == UNREADABLE
    assert scene.node("wf").message == UNREADABLE


def test_results_that_are_json_are_no_trouble() -> None:
    scene = Scene(TEXT_RESULTS.format(last=""))
    scene.succeed(".a(0:1)", ".a(1:2)", result='{"k": 1}')
    scene.succeed(".b")
    assert scene.phase == "Succeeded"
