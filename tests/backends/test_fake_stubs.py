"""Stub files: the facts of the fake executor in YAML, and what is said of files that are wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowcore.errors import InvalidWorkflow
from flowcore.nodes import NodeId, NodeType, Phase
from flowcore.ports import Invocation, Outcome
from flowcore_backends.fake import FakeExecutor
from tests.backends.foreseeing import foreseen, outcome

STUBS = """\
seed: 7
strict: false
facts:
- when: "*"
  takes: 10s
- when: flip-coin
  returns: [heads, {side: tails}]
- when: {template: train, inputs: {epochs: 10}}
  takes: 2h
  outputs: {parameters: {accuracy: 0.93}}
- when: {template: deploy, attempt: 1}
  fails: {exitCode: 2, message: no space}
- when: broken
  fails: 3
- when: lost
  errors: node lost
- when: stuck
  hangs: true
- when: chance
  flaky: 1
- when: server
  daemon: {readyAfter: 5s, podIP: 10.0.0.9}
- when: approve
  resumes: {after: 1h, parameters: {approved: true}}
- when: order
  outcomes:
  - fails: {exitCode: 5, times: 2}
    takes: 1s
  - succeeds: true
"""


def invocation(template: str, number: int = 0, **more: Any) -> Invocation:
    name = f"wf.{template}-{number}"
    fields: dict[str, Any] = {
        "node": NodeId(name),
        "node_name": name,
        "display_name": name,
        "node_type": NodeType.POD,
        "pod_name": name,
        "workflow": "wf",
        "namespace": "default",
        "uid": "u",
        "template_name": template,
        "body": {"container": {}, "outputs": {"parameters": [{"name": "accuracy", "valueFrom": {"path": "/a"}}]}},
        "capture_result": True,
    }
    return Invocation(**(fields | more))


def test_a_stub_file_says_what_lines_of_python_say() -> None:
    fake = FakeExecutor.from_stubs(STUBS)
    assert fake.strict is False
    assert [outcome(fake, invocation("flip-coin", number)).result for number in range(2)] == ["heads", '{"side":"tails"}']
    training = foreseen(fake, invocation("train", inputs={"parameters": [{"name": "epochs", "value": "10"}]}))
    assert training.after == timedelta(hours=2)
    assert training.outcome is not None
    assert dict(training.outcome.parameters) == {"accuracy": "0.93"}
    assert foreseen(fake, invocation("train")).after == timedelta(seconds=10)
    assert outcome(fake, invocation("deploy", attempt=1)).message == "main: Error (exit code 2): no space"
    assert outcome(fake, invocation("deploy")).phase is Phase.SUCCEEDED
    assert outcome(fake, invocation("broken")).exit_code == 3
    assert outcome(fake, invocation("lost")) == Outcome(phase=Phase.ERROR, message="node lost")
    assert foreseen(fake, invocation("stuck")).outcome is None
    assert outcome(fake, invocation("chance")).phase is Phase.FAILED
    assert foreseen(fake, invocation("server", daemon=True)).pod_ip == "10.0.0.9"
    resumed = fake.foresee_resume(invocation("approve", node_type=NodeType.SUSPEND))
    assert resumed is not None
    assert (resumed.after, dict(resumed.parameters)) == (timedelta(hours=1), {"approved": "true"})
    ordered = [foreseen(fake, invocation("order", number)) for number in range(3)]
    assert [one.after.total_seconds() for one in ordered] == [1, 1, 10]
    assert [one.outcome.exit_code for one in ordered if one.outcome] == [5, 5, 0]


def test_stubs_may_be_a_file_and_the_caller_has_the_last_word(tmp_path: Path) -> None:
    file = tmp_path / "stubs.yaml"
    file.write_text(STUBS)
    assert FakeExecutor.from_stubs(file, strict=True).strict is True


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "holds one mapping"),
        ("a: 1\n---\nb: 2", "holds one mapping"),
        ("{facts: [", "stubs.yaml"),
        ("seed: 1", "facts: must be a list of facts"),
        ("seed: x\nfacts: []", "stubs.yaml:1:1: seed: must be a whole number"),
        ("strict: 1\nfacts: []", "strict: must be true or false"),
        ("fact: []\nfacts: []", "unknown word 'fact' (known are facts, seed, strict)"),
        ("facts:\n- flip", "facts[0]: must be a mapping"),
        ("facts:\n- {when: a}\n- when: a\n  retruns: x", "stubs.yaml:4:3: facts[1].retruns: unknown word 'retruns'"),
        ("facts:\n- when: 3", "must be a name or a mapping"),
        ("facts:\n- when: {tmplate: a}", "unknown word 'tmplate'"),
        ("facts:\n- when: {attempt: first}", "takes a number"),
        ("facts:\n- when: {inputs: [a]}", "mapping of input parameters"),
        ("facts:\n- when: a\n  fails: {exitCode: two}", "fails: exit code cannot be 'two'"),
        ("facts:\n- when: a\n  fails: 999", "from 1 to 255"),
        ("facts:\n- when: a\n  fails: {code: 2}", "unknown word 'code'"),
        ("facts:\n- when: a\n  takes: a while", "a while"),
        ("facts:\n- when: a\n  takes: [1]", "takes: length cannot be [1]"),
        ("facts:\n- when: a\n  takes:", "takes needs length"),
        ("facts:\n- when: a\n  errors: true", "errors needs message"),
        ("facts:\n- when: a\n  flaky: 7", "from 0 to 1"),
        ("facts:\n- when: a\n  outputs: {parameters: [x]}", "parameters cannot be ['x']"),
        ("facts:\n- when: a\n  fails: 1\n  succeeds: true", "has succeeds and fails (write them under outcomes, in order)"),
        ("facts:\n- when: a\n  outcomes: [{takes: 1s}]", "must have one of succeeds, returns"),
        ("facts:\n- when: a\n  daemon: {readyAfter: true}", "ready after cannot be True"),
    ],
)
def test_what_is_wrong_in_a_stub_file_is_told_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(InvalidWorkflow) as error:
        FakeExecutor.from_stubs(text, file="stubs.yaml")
    assert problem in str(error.value)
    assert "stubs.yaml" in str(error.value)


def test_a_stub_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidWorkflow, match=r"absent\.yaml: cannot be read: No such file"):
        FakeExecutor.from_stubs(tmp_path / "absent.yaml")
