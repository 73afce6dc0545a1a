"""Python functions as templates: typed on both sides, beside containers, on any executor."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

import flowcore
from flowcore.building import artifact, container, dag, given, output, script, step, steps, task, workflow
from flowcore.ports import Invocation
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.local import LocalExecutor


@dataclass
class Report:
    total: int
    words: list[str]
    file: Path


class Pair(NamedTuple):
    left: str
    right: float


@flowcore.template
async def double(number: int) -> int:
    return 2 * number


@flowcore.template(name="sum-up", retry_strategy={"limit": 1})
def add(numbers: list[int], text: Path, day: date = date(2024, 2, 29), *, note: str = "none") -> Report:
    out = text.with_name("out")
    out.write_text(f"{text.read_text()} {day:%d} {note}")
    return Report(sum(numbers), ["a", "b"], out)


@flowcore.template
def write(text: str) -> Path:
    file = Path(tempfile.mkdtemp()) / "written"
    file.write_text(text)
    return file


@flowcore.template
def read(text: Path) -> str:
    return text.read_text()


@flowcore.template
def pair() -> Pair:
    return Pair("l", 0.5)


@flowcore.template
def breaks(number: int) -> None:
    raise ValueError(f"no {number}")


@flowcore.template
def thread(invocation: Invocation) -> str:
    return f"{invocation.display_name} {threading.current_thread() is threading.main_thread()}"


def mixed() -> flowcore.Workflow:
    first, written = step(double, number=4), step(write, text="hello")
    shell = step("shell", n=output(first))
    summed = step(add, numbers=[1, 2], text=artifact(written), note=output(shell))
    last = step(read, text=artifact(summed, "file"))
    leaf = container("shell", "alpine", "sh", "-c", "echo got {{inputs.parameters.n}}", inputs=["n"])
    return workflow(
        "mixed",
        steps("main", [first, written], shell, summed, last, step("shell", name="end", n=output(last))),
        leaf,
        double,
        write,
        add,
        read,
    )


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_functions_and_processes_pass_values_and_files(backend: str) -> None:
    async def scene() -> None:
        result = await flowcore.run(mixed(), executor=LocalExecutor())
        assert result.raise_for_phase().node("read").outputs == {"result": "hello 29 got 8"}
        found = {each["name"]: each["value"] for each in result.node("sum-up(0)").outputs["parameters"]}
        assert found == {"total": "3", "words": '["a","b"]'}

    anyio.run(scene, backend=backend)


def test_the_embedded_default_runs_what_no_executor_is_given_for() -> None:
    result = flowcore.run_sync(workflow("alone", steps("main", step(double, number=2)), double))
    assert result.node("double").outputs == {"result": "4"}


def test_facts_win_over_functions() -> None:
    fake = FakeExecutor()
    fake.when("double").fails(message="scripted")
    fake.when("shell").returns("x")
    result = flowcore.run_sync(mixed(), executor=fake)
    assert result.node("double").phase == "Failed"
    assert result.node("write").phase == "Succeeded"


def test_a_template_is_still_a_function() -> None:
    assert anyio.run(double, 4) == 8
    assert read(Path(__file__)).startswith('"""Python functions')
    assert add.name == "sum-up" and add.key.endswith("test_templates.add")


def test_tuples_give_outputs_and_threads_spare_the_loop() -> None:
    used = dag("main", task(pair), task(thread), task(double, after=["pair"], number=given("n")))
    result = flowcore.run_sync(workflow("w", used, pair, thread, double, parameters={"n": 5}))
    assert [(each["name"], each["value"]) for each in result.node("pair").outputs["parameters"]] == [("left", "l"), ("right", "0.5")]
    assert result.node("thread").outputs == {"result": "thread False"}
    assert result.node("double").outputs == {"result": "10"} or result.node("double").outputs is None


@pytest.mark.parametrize(
    ("call", "phase", "message"),
    [
        (step(breaks, number=3), "Failed", "ValueError: no 3"),
        (
            step(breaks, number="x"),
            "Error",
            "breaks: input 'number': Input should be a valid integer, unable to parse string as an integer, got 'x'",
        ),
    ],
)
def test_what_goes_wrong_is_the_node_s(call: flowcore.models.Step, phase: str, message: str) -> None:
    node = flowcore.run_sync(workflow("w", steps("main", call), breaks)).node("breaks")
    assert (node.phase, node.message) == (phase, message)


def test_a_document_names_functions_that_a_run_must_be_given() -> None:
    text = flowcore.dump_workflow(workflow("w", steps("main", step(double, number=1), step("double", name="again", number=1)), double))
    nobody = flowcore.run_sync(text, executor=FakeExecutor())
    assert "nobody gave the function" in nobody.node("double").message
    without = flowcore.load_workflow(text)
    without.spec.templates.pop()
    assert flowcore.run_sync(without, templates=[double], executor=FakeExecutor()).phase == "Succeeded"


def test_signatures_that_no_template_can_have_are_refused() -> None:
    for function in (lambda x: x, print):
        with pytest.raises(flowcore.UsageError, match="template"):
            flowcore.template(function)


def test_a_function_that_is_stopped_ends() -> None:
    @flowcore.template
    async def sleeps() -> None:
        await anyio.sleep_forever()

    async def scene() -> None:
        async with flowcore.open_run(workflow("w", sleeps), executor=FakeExecutor()) as run:
            async for change in run.events():
                if isinstance(change, flowcore.NodeChanged) and change.node.phase == "Running":
                    await run.terminate()
                    break
            assert (await run.result()).message == "Stopped with strategy 'Terminate'"

    anyio.run(scene)


def test_runs_in_many_threads_and_loops_do_not_meet() -> None:
    seen: list[str] = []

    def one(number: int) -> None:
        result = flowcore.run_sync(workflow("w", steps("main", step(double, number=number)), double), executor=FakeExecutor())
        seen.append(str((result.node("double").outputs or {}).get("result")))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(seen) == 8 and len(set(seen)) == 8


def test_scripts_can_be_built_too() -> None:
    leaf = script("s", "alpine", "echo $X > /tmp/x", outputs={"x": "/tmp/x"}, env={"X": "7"})
    result = flowcore.run_sync(workflow("w", leaf), executor=LocalExecutor())
    assert result.node("w").outputs["parameters"][0]["value"] == "7"
