"""Values that the fake backend makes up have the form that their use needs, so that a workflow can be tried out before anything is scripted."""

from __future__ import annotations

import json
from typing import Any

import pytest

import flowcore
from flowcore.catalogs import MemoryCatalog
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.fake.uses import Shape, Wish, uses_of
from tests.scenarios.documents import yaml

LEAVES = """
  - name: leaf
    container: {image: a}
    outputs: {parameters: [{name: out, valueFrom: {path: /x}}]}
  - {name: say, script: {image: a, source: x}}
  - {name: take, inputs: {parameters: [{name: it}]}, container: {image: a, args: ["{{inputs.parameters.it}}"]}}
"""
HEAD = "kind: Workflow\napiVersion: argoproj.io/v1alpha1\nmetadata: {name: wf}\nspec:\n  entrypoint: main\n  templates:" + LEAVES


async def run(templates: str, *, strict: bool = False, catalog: MemoryCatalog | None = None, **facts: Any) -> dict[str, Any]:
    """The nodes of a run with made-up values, by name."""
    fake = FakeExecutor(strict=strict)
    for template, result in facts.items():
        fake.when(template).returns(result)
    result = await flowcore.run(HEAD + templates, executor=fake, catalog=catalog)
    return {node.name.removeprefix("wf"): node for node in result.nodes.values()}


LOOP = """
  - name: main
    steps:
    - - {name: find, template: say}
    - - {name: each, template: take, withParam: "{{steps.find.outputs.result}}", arguments: {parameters: [{name: it, value: "{{item}}"}]}}
"""


async def test_what_is_looped_over_is_a_list():
    nodes = await run(LOOP)
    assert [name for name in nodes if "each(" in name] == ["[1].each(0:fake_result_of_say_1)", "[1].each(1:fake_result_of_say_2)"]


async def test_its_elements_have_the_keys_that_are_read():
    nodes = await run(LOOP.replace("{{item}}", "{{item.name}} {{item.size}}"))
    assert "[1].each(0:name:fake_name_1,size:fake_size_1)" in nodes


async def test_all_who_loop_over_it_find_their_keys():
    both = """
    - - {name: more, template: take, withParam: "{{steps.find.outputs.result}}", arguments: {parameters: [{name: it, value: "{{item.size}}"}]}}
"""
    nodes = await run(LOOP.rstrip().replace("{{item}}", "{{item.name}}") + both)
    assert "[1].each(0:name:fake_name_1,size:fake_size_1)" in nodes
    assert "[2].more(1:name:fake_name_2,size:fake_size_2)" in nodes


async def test_what_is_counted_and_compared_is_a_number():
    nodes = await run("""
  - name: main
    dag:
      tasks:
      - {name: count, template: leaf}
      - name: loop
        template: take
        dependencies: [count]
        withSequence: {count: "{{tasks.count.outputs.parameters.out}}"}
        arguments: {parameters: [{name: it, value: "{{item}}"}]}
      - {name: big, template: leaf, dependencies: [count], when: "{{tasks.count.outputs.parameters.out}} > 5"}
      - {name: small, template: leaf, dependencies: [count], when: "{{= asInt(tasks.count.outputs.parameters.out) < 5 }}"}
""")
    assert nodes[".loop(0:0)"].phase == nodes[".small"].phase == "Succeeded"
    assert nodes[".big"].phase == "Skipped"


async def test_a_loop_that_waits_for_a_number_ends():
    nodes = await run("""
  - name: main
    steps:
    - - {name: step, template: say}
    - - {name: again, template: main, when: "{{steps.step.outputs.result}} < 3"}
""")
    assert [node.phase for name, node in nodes.items() if name.endswith("again")] == ["Succeeded", "Succeeded", "Skipped"]


async def test_uses_are_found_through_inputs_outputs_and_other_documents():
    shared = yaml("""
    kind: WorkflowTemplate
    apiVersion: argoproj.io/v1alpha1
    metadata: {name: shared}
    spec:
      templates:
      - name: spread
        inputs: {parameters: [{name: files}]}
        steps:
        - - name: one
            template: one
            withParam: "{{inputs.parameters.files}}"
            arguments: {parameters: [{name: it, value: "{{item}}"}]}
      - name: one
        inputs: {parameters: [{name: it}]}
        script: {image: a, source: "{{=jsonpath(inputs.parameters.it, '$.path')}}"}
    """)
    nodes = await run(
        """
  - name: main
    dag:
      tasks:
      - {name: find, template: find}
      - name: spread
        templateRef: {name: shared, template: spread}
        dependencies: [find]
        arguments: {parameters: [{name: files, value: "{{tasks.find.outputs.parameters.files}}"}]}
  - name: find
    steps: [[{name: a, template: leaf}]]
    outputs: {parameters: [{name: files, valueFrom: {parameter: "{{steps.a.outputs.parameters.out}}"}}]}
""",
        catalog=MemoryCatalog([shared]),
    )
    files = json.loads(nodes[".spread"].inputs["parameters"][0]["value"])
    assert files == [{"path": "fake_path_1"}, {"path": "fake_path_2"}]
    assert nodes[".spread[0].one(1:path:fake_path_2)"].phase == "Succeeded"


async def test_what_is_scripted_is_left_alone_and_strict_executors_make_nothing_up():
    nodes = await run(LOOP, say='["x"]')
    assert [name for name in nodes if "each(" in name] == ["[1].each(0:x)"]
    nodes = await run(LOOP, strict=True)
    assert "nothing says what it is" in nodes["[0].find"].message


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"templates": [{"name": "a", "steps": [[{"name": "a", "template": "a", "withParam": "{{steps.a.outputs.result}}"}], 5, [None]]}]},
        {"templates": [{"name": "a", "dag": {"tasks": [{"name": "b", "inline": {"dag": {"tasks": [{}]}}}, {"templateRef": {}}]}}]},
        {
            "templates": [
                {
                    "name": "a",
                    "steps": [[{"name": "s", "template": "gone", "when": "{{inputs.parameters.x}} > {{steps.s.outputs.result}}"}]],
                }
            ]
        },
        {"templates": [{"name": "a", "suspend": {"duration": "{{inputs.parameters.x}}"}, "outputs": "x"}, 5, {"name": ["a"]}]},
    ],
)
def test_odd_documents_want_nothing(spec: Any) -> None:
    assert uses_of(spec, MemoryCatalog()) == {}


def test_callers_in_a_circle_are_followed_once() -> None:
    call = {"name": "s", "template": "a", "arguments": {"parameters": [{"name": "x", "value": "{{inputs.parameters.x}}"}]}}
    made = {"name": "m", "template": "leaf"}
    first = {"name": "t", "template": "a", "arguments": {"parameters": [{"name": "x", "value": "{{steps.m.outputs.result}}"}]}}
    loop = {"name": "l", "template": "leaf", "withParam": "{{inputs.parameters.x}}"}
    spec: Any = {
        "templates": [
            {"name": "main", "steps": [[made], [first]]},
            {"name": "a", "inputs": {"parameters": [{"name": "x"}]}, "steps": [[call], [loop]]},
            {"name": "leaf", "container": {"image": "a"}},
        ]
    }
    assert uses_of(spec, MemoryCatalog()) == {("leaf", "m", ""): Wish(Shape.LIST)}
