"""What the result of a node that did not run stands for: nothing, since no template declares one."""

from __future__ import annotations

from tests.engine.scene import Scene

SKIPPED = """
templates:
- name: main
  dag:
    tasks:
    - {{name: a, template: made, when: 'false'}}
    - {{name: b, template: taking, depends: a.Skipped, arguments: {{parameters: [{{name: x, value: '{value}'}}]}}}}
- name: made
  container: {{image: alpine}}
  outputs: {{parameters: [{{name: p, valueFrom: {{path: /p}}}}]}}
- name: taking
  inputs: {{parameters: [{{name: x, default: own}}]}}
  container: {{image: alpine}}
"""


def test_who_names_it_is_in_error() -> None:
    """Argo waits for ever."""
    scene = Scene(SKIPPED.format(value="{{tasks.a.outputs.result}}"))
    assert (scene.node(".b").phase, scene.phase) == ("Error", "Error")
    assert scene.node(".b").message == "failed to resolve {{tasks.a.outputs.result}}"


def test_an_expression_finds_nothing_there_if_the_template_declares_outputs_at_all() -> None:
    scene = Scene(SKIPPED.format(value='{{=tasks.a.outputs.result ?? "other"}}'))
    assert scene.value(".b", "x") == "other"


def test_an_output_that_is_declared_is_absent_and_the_inputs_own_default_holds() -> None:
    scene = Scene(SKIPPED.format(value="{{tasks.a.outputs.parameters.p}}"))
    assert scene.value(".b", "x") == "own"


def test_the_outputs_of_a_template_cannot_be_made_of_it() -> None:
    scene = Scene(
        """
        templates:
        - name: main
          outputs: {parameters: [{name: p, valueFrom: {parameter: '{{tasks.a.outputs.result}}'}}]}
          dag: {tasks: [{name: a, template: leaf, when: 'false'}]}
        """
    )
    assert scene.node("wf").message == 'Unable to resolve: "tasks.a.outputs.result"'
