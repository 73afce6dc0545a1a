"""One workflow under the rules of several versions of Argo."""

from __future__ import annotations

from textwrap import indent

import pytest

import flowcore
from flowcore.errors import InvalidWorkflow
from flowcore.jsontypes import object_of, strings_of
from flowcore.plan.plan import PlanOptions
from flowcore.plan.semantics import PRESETS, Semantics
from flowcore.results import RunResult
from flowcore_backends.fake import FakeExecutor

SKIPPED = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf, annotations: {flowcore.dev/semantics: "VERSION"}}
spec:
  entrypoint: main
  templates:
  - name: main
FLOW
  - name: make
    container: {image: i, command: [c]}
    outputs: {parameters: [{name: x, valueFrom: {path: /x}}]}
  - name: use
    inputs: {parameters: [{name: text, default: nothing}]}
    container: {image: i, command: ["{{inputs.parameters.text}}"]}
"""
DAG = """
dag:
  tasks:
  - {name: a, template: make, when: "no == yes"}
  - {name: b, template: use, dependencies: [a], arguments: {parameters: [{name: text, value: "VALUE"}]}}
"""
STEPS = """
steps:
- - {name: a, template: make, when: "no == yes"}
- - {name: b, template: use, arguments: {parameters: [{name: text, value: "VALUE"}]}}
"""
LITERAL, WAITS, ABSENT = "3.7.10", "4.0.6", "4.1"


def played(flow: str, version: str, value: str) -> tuple[RunResult, list[list[str]]]:
    executor = FakeExecutor(strict=False, record=True)
    text = SKIPPED.replace("FLOW", indent(flow.strip(), "    ")).replace("VERSION", version).replace("VALUE", value)
    result = flowcore.run_sync(text, executor=executor)
    return result, [strings_of(object_of(call.body, "container"), "command") for call in executor.calls("b")]


@pytest.mark.parametrize(("flow", "prefix"), [(DAG, "tasks"), (STEPS, "steps")], ids=["dag", "steps"])
@pytest.mark.parametrize(
    ("version", "form", "command"),
    [
        (LITERAL, "{{REF}}", "{{REF}}"),
        (LITERAL, "<{{REF}}>", "<{{REF}}>"),
        (WAITS, "{{REF}}", None),
        (ABSENT, "{{REF}}", "nothing"),
        (ABSENT, "<{{REF}}>", None),
        (ABSENT, "{{=REF ?? 'other'}}", "other"),
    ],
)
def test_outputs_of_skipped_nodes(flow: str, prefix: str, version: str, form: str, command: str | None) -> None:
    reference = f"{prefix}.a.outputs.parameters.x"
    result, commands = played(flow, version, form.replace("REF", reference))
    if command is None:
        assert (result.phase, commands) == ("Error" if flow is DAG else "Failed", [])
        assert any(reference in node.message for node in result.nodes.values())
    else:
        assert (result.phase, commands) == ("Succeeded", [[command.replace("REF", reference)]])


NIL = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
  - name: main
    steps: [[{name: a, template: leaf}]]
    outputs: {parameters: [{name: got, valueFrom: {expression: "{'there': 1}['gone']"}}]}
  - {name: leaf, container: {image: i, command: [c]}}
"""


def test_expressions_that_give_nil() -> None:
    def run(version: str) -> RunResult:
        return flowcore.run_sync(NIL, executor=FakeExecutor(), options=PlanOptions(semantics=Semantics.of(version)))

    assert run("3.7.15").node("wf").outputs == {"parameters": [{"name": "got", "value": "<nil>"}]}
    assert run("3.7.16").phase == "Error"


def test_the_newest_release_of_a_line_is_meant_by_its_name() -> None:
    assert [Semantics.of(version).absent_outputs for version in PRESETS] == [False, True, True, True]
    assert [Semantics.of(version).singular_fields for version in PRESETS] == [True, True, False, False]
    assert Semantics.of("v3.7.15") == Semantics("3.7.15", singular_fields=True, absent_outputs=False, nil_outputs_fail=False)


@pytest.mark.parametrize("version", ["new", "2.12", "5.0", "4"])
def test_a_version_that_is_not_known(version: str) -> None:
    with pytest.raises(InvalidWorkflow, match=r"metadata\.annotations\['flowcore\.dev/semantics'\]: .*3\.6, 3\.7, 4\.0, 4\.1"):
        played(DAG, version, "x")
