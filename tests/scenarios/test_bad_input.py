"""Bad input, whole way through: a clear error before anything starts, or a node in phase Error; never a hang and never a traceback."""

from __future__ import annotations

import pytest

import flowcore
from flowcore_backends.fake import FakeExecutor

HEAD = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: bad}\nspec:\n  entrypoint: main\n  templates:\n"
WORK = """
  - name: work
    inputs: {parameters: [{name: x, default: "1"}]}
    container: {image: i, command: [echo, "{{inputs.parameters.x}}"]}
"""


def run(templates: str) -> flowcore.RunResult:
    return flowcore.run_sync(HEAD + templates + WORK, executor=FakeExecutor(strict=False), seed=1)


def steps(step: str) -> str:
    return f"  - name: main\n    steps:\n    - - {step}\n"


REFUSED = {
    "a template that does not exist": (steps("{name: a, template: wrok}"), "wrok"),
    "an argument that is missing": (
        steps("{name: a, template: needy}")
        + "  - name: needy\n    inputs: {parameters: [{name: need}]}\n    container: {image: i, command: [a]}\n",
        "inputs.parameters.need",
    ),
    "tasks that wait for each other": (
        "  - name: main\n    dag:\n      tasks:\n"
        "      - {name: a, template: work, dependencies: [b]}\n      - {name: b, template: work, dependencies: [a]}\n",
        "cycle",
    ),
    "a variable that nothing makes": (
        steps("{name: a, template: work, arguments: {parameters: [{name: x, value: '{{workflow.parameters.nope}}'}]}}"),
        "workflow.parameters.nope",
    ),
    "two kinds in one template": ("  - {name: main, suspend: {}, container: {image: i, command: [a]}}\n", "multiple template types"),
    "a field that does not exist": ("  - {name: main, contianer: {image: i}}\n", "did you mean container?"),
}

FAILED = {
    "an expression that does not parse": (
        steps("{name: a, template: work, arguments: {parameters: [{name: x, value: '{{=1 +}}'}]}}"),
        "expression",
    ),
    "a condition that is no bool": (steps('{name: a, template: work, when: "1 + 1"}'), "Expected boolean evaluation for '1 + 1'"),
    "a loop over what is no list": (steps("""{name: a, template: work, withParam: '{"k": 1}'}"""), "could not be parsed as a JSON list"),
    "a number too large for the world": (
        steps("{name: a, template: work, arguments: {parameters: [{name: x, value: '{{=9**9**9}}'}]}}"),
        "unsupported value",
    ),
    "a text too long for the world": (
        steps("""{name: a, template: work, arguments: {parameters: [{name: x, value: '{{=repeat("a", 1000000000)}}'}]}}"""),
        "",
    ),
    "a limit below zero": (
        "  - name: main\n    parallelism: -1\n    steps:\n    - - {name: a, template: work}\n",
        "parallelism leaves no room",
    ),
    "a duration that is none": ("  - name: main\n    suspend: {duration: soon}\n", "soon"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_can_never_run_is_refused_before_anything_starts(what: str) -> None:
    """Every problem names its place and what is wrong there."""
    templates, text = REFUSED[what]
    with pytest.raises(flowcore.InvalidWorkflow) as refused:
        run(templates)
    assert text in str(refused.value)
    assert all(problem.path for problem in refused.value.problems)


@pytest.mark.parametrize("what", FAILED)
def test_what_goes_wrong_at_run_time_is_said_by_a_node(what: str) -> None:
    """The run ends, Failed or Error, and the tree says why."""
    templates, text = FAILED[what]
    result = run(templates)
    assert result.phase in ("Failed", "Error")
    assert any(text in node.message for node in result.nodes.values())


def test_braces_of_the_users_own_stay_as_they_are() -> None:
    """A script may contain ``{{`` for its own reasons: an unclosed one, another tool's tags, a shell's heredoc."""
    source = "cat <<EOF\n{{ .Values.name }} ${{ github.ref }} {{\nEOF\n"
    executor = FakeExecutor(strict=False, record=True)
    document = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": "braces"},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "script": {"image": "i", "command": ["sh"], "source": source}}]},
    }
    result = flowcore.run_sync(document, executor=executor)
    assert result.phase == "Succeeded"
    assert executor.calls()[0].body["script"]["source"] == source


def test_a_scalar_of_ten_megabytes_is_refused() -> None:
    with pytest.raises(flowcore.InvalidWorkflow, match=r"10,000,[0-9]* characters; 5,000,000 are read"):
        flowcore.load_workflow(HEAD + "  - {name: main, script: {image: i, command: [sh], source: '" + "a" * 10_000_000 + "'}}\n")


def test_a_document_that_explodes_is_refused() -> None:
    """Aliases of aliases: a thousand million laughs in a few lines."""
    lines = ['a0: &a0 ["lol"]'] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(flowcore.InvalidWorkflow):
        flowcore.load_workflow("\n".join(lines))


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b", "{]", "kind: Pod\napiVersion: v1", "\x00\x01", "kind: Workflow\nspec: 5"])
def test_what_is_no_workflow_is_refused(text: str) -> None:
    with pytest.raises(flowcore.InvalidWorkflow):
        flowcore.load_workflow(text)
