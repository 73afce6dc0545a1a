"""Hera's objects run as they are: every kind of document, scripts in this process on the fake backend and as processes on the local one.

Hera reads annotations as they are, so this file has none that are texts.
"""

from pathlib import Path
from typing import Annotated, Any

import pytest

import flowcore
from flowcore.testing import Flow
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.local import LocalExecutor

pytest.importorskip("hera")

from hera.workflows import (
    DAG,
    Artifact,
    ClusterWorkflowTemplate,
    Container,
    CronWorkflow,
    NoneArchiveStrategy,
    Parameter,
    Steps,
    Workflow,
    WorkflowTemplate,
    script,
)


@script()
def numbers(count: int):
    import json

    print(json.dumps(list(range(count))))


@script()
def square(number: int):
    print(number * number)


@script(outputs=[Artifact(name="text", path="/tmp/flowcore-hera-text", archive=NoneArchiveStrategy())])
def write():
    with open("/tmp/flowcore-hera-text", "w") as file:
        file.write("written")


@script(inputs=[Artifact(name="text", path="/tmp/flowcore-hera-input")])
def read():
    with open("/tmp/flowcore-hera-input") as file:
        print(file.read())


@script(outputs=[Artifact(name="part", path="/mnt/flowcore-hera/out/part.txt", archive=NoneArchiveStrategy())])
def makes_its_folder():
    import os

    os.makedirs("/mnt/flowcore-hera/out")
    with open("/mnt/flowcore-hera/out/part.txt", "w") as file:
        file.write("written")


@script(outputs=[Artifact(name="part", path="/mnt/flowcore-hera/out/part.txt", archive=NoneArchiveStrategy())])
def finds_its_folder():
    with open("/mnt/flowcore-hera/out/part.txt", "w") as file:
        file.write("written")


@script(constructor="runner")
def typed(values: list[int], factor: Annotated[float, Parameter(name="by")] = 1.0) -> Annotated[float, Parameter(name="total")]:
    return sum(values) * factor


@script()
def breaks():
    raise ValueError("no")


def fan_out(kind: Any = Workflow, **settings: Any) -> Any:
    with kind(name="fan-out", entrypoint="main", **settings) as made, DAG(name="main"):
        first = numbers(arguments={"count": 4})
        first >> square(with_param=first.result, arguments={"number": "{{item}}"})
    return made


@pytest.mark.parametrize("executor", [FakeExecutor, LocalExecutor])
def test_scripts_run_typed_as_hera_types_them(executor: type) -> None:
    result = flowcore.run_sync(fan_out(), executor=executor())
    assert result.raise_for_phase().node("numbers").outputs["result"] == "[0, 1, 2, 3]"
    assert result.node("square(3:3)").phase == "Succeeded"


@pytest.mark.parametrize("executor", [FakeExecutor, LocalExecutor])
def test_artifacts_pass_between_scripts(executor: type) -> None:
    with Workflow(name="files", entrypoint="main") as made, Steps(name="main"):
        first = write()
        second = read(arguments={"text": first.get_artifact("text")}, name="reads")
        Container(name="end", image="alpine", command=["echo"], inputs=[Parameter(name="x")])(name="ends", arguments={"x": second.result})
    result = flowcore.run_sync(made, executor=executor())
    assert result.raise_for_phase().node("reads").outputs["result"] == "written"


@pytest.mark.parametrize("executor", [FakeExecutor, LocalExecutor])
@pytest.mark.parametrize("work", [makes_its_folder, finds_its_folder])
def test_a_folder_of_an_output_is_there_unless_the_script_makes_it(executor: type, work: Any) -> None:
    """A script that makes it finds none, as in a fresh container; one that relies on its image finds one."""
    with Workflow(name="folders", entrypoint=work.__name__.replace("_", "-")) as made:
        work()
    flowcore.run_sync(made, executor=executor()).raise_for_phase()
    assert not Path("/mnt/flowcore-hera").exists()


@pytest.mark.parametrize(
    ("kind", "settings"),
    [(WorkflowTemplate, {}), (ClusterWorkflowTemplate, {}), (CronWorkflow, {"schedules": ["* * * * *"]})],
    ids=["WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow"],
)
def test_other_kinds_run_as_if_they_were_submitted(kind: type, settings: dict[str, Any]) -> None:
    result = flowcore.run_sync(fan_out(kind, **settings), executor=FakeExecutor(), seed=1)
    assert result.phase == "Succeeded" and result.name.startswith("fan-out-")


def test_a_script_that_raises_fails_and_facts_win() -> None:
    with Workflow(name="broken", entrypoint="breaks") as made:
        breaks()
    assert flowcore.run_sync(made, executor=FakeExecutor()).message == "main: Error (exit code 1): ValueError: no"
    flow = Flow().load(made)
    flow.when("breaks").succeeds()
    flow.run().succeeded()


def test_the_flow_fixture_s_flow_takes_them() -> None:
    result = Flow().load(fan_out()).run().succeeded()
    assert result.node("square(2:2)").inputs == {"number": "2"}
    assert "json.loads" in result.node("square(2:2)").source
