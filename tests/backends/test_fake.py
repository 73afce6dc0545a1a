"""The fake executor: which facts apply, what comes of them, and how it serves runs."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from flowcore.artifacts import MemoryArtifacts
from flowcore.catalogs import MemoryCatalog
from flowcore.errors import ExecutorError, UsageError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import NodeId, NodeType, Phase
from flowcore.ports import Executor, ForeseeingExecutor, Foreseen, Invocation, Logged, Outcome, Ready, Report, RunContext, Started
from flowcore_backends.fake import FakeExecutor
from tests.backends.foreseeing import foreseen, outcome

CONTAINER: JsonObject = {"container": {"image": "alpine:3", "command": ["true"]}}


def invocation(template: str = "work", name: str = "wf.a", body: JsonObject | None = None, **more: Any) -> Invocation:
    inputs = more.pop("inputs", {})
    fields: dict[str, Any] = {
        "node": NodeId(name),
        "node_name": name,
        "display_name": name.removeprefix("wf."),
        "node_type": NodeType.POD,
        "pod_name": name,
        "workflow": "wf",
        "namespace": "default",
        "uid": "u",
        "template_name": template,
        "body": body or CONTAINER,
        "inputs": {"parameters": [{"name": key, "value": value} for key, value in inputs.items()]},
    }
    return Invocation(**(fields | more))


def outputs(*names: str, **more: Any) -> JsonObject:
    return {**CONTAINER, "outputs": {"parameters": [{"name": name, "valueFrom": {"path": f"/tmp/{name}"}} for name in names], **more}}


def the_context() -> RunContext:
    return RunContext(name="wf", namespace="default", uid="u", catalog=MemoryCatalog(), artifacts=MemoryArtifacts())


async def ran(fake: FakeExecutor, asked: Invocation, reports: list[Report] | None = None, context: RunContext | None = None) -> Outcome:
    return await fake.run(asked, context or the_context(), (reports if reports is not None else []).append)


def test_it_is_an_executor_that_foresees() -> None:
    assert isinstance(FakeExecutor(), Executor)
    assert isinstance(FakeExecutor(), ForeseeingExecutor)


def test_what_nobody_speaks_of_succeeds_at_once() -> None:
    assert foreseen(FakeExecutor(), invocation()) == Foreseen(Outcome(phase=Phase.SUCCEEDED, exit_code=0))


# --- which facts apply ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "applies"),
    [
        ({"what": "work"}, True),
        ({"what": "wo*"}, True),
        ({"what": "w?rk"}, True),
        ({"what": "wor"}, False),
        ({"what": "wf[0].flip(0:a)"}, True),
        ({"what": "wf[0].*(0:?)"}, True),
        ({"what": "flip(0:a)"}, True),
        ({"what": "flip"}, True),
        ({"what": re.compile(r"\(0:.\)$")}, True),
        ({"what": re.compile("^nothing")}, False),
        ({"template": "work"}, True),
        ({"template": "flip"}, False),
        ({"node": "flip(0:a)"}, True),
        ({"node": "work"}, False),
        ({"step": "flip"}, True),
        ({"step": "work"}, False),
        ({"image": "alpine:*"}, True),
        ({"image": "python"}, False),
        ({"attempt": 1}, True),
        ({"attempt": 0}, False),
        ({"where": lambda asked: asked.uid == "u"}, True),
        ({"where": lambda asked: False}, False),
        ({"message": "hello"}, True),
        ({"message": "h*"}, True),
        ({"message": "bye"}, False),
        ({"absent": "x"}, False),
        ({"n_items": 3}, True),
        ({"inputs": {"n-items": 3}}, True),
        ({"inputs": {"template": "in"}}, True),
        ({"on": True}, True),
        ({"on": False}, False),
        ({"message": lambda text: len(text) == 5}, True),
        ({"template": "work", "message": "bye"}, False),
        ({}, True),
    ],
)
def test_a_fact_applies_where_all_of_its_conditions_hold(conditions: dict[str, Any], applies: bool) -> None:
    fake = FakeExecutor()
    fake.when(*[conditions.pop("what")] if "what" in conditions else (), **conditions).errors("matched")
    inputs = {"message": "hello", "n-items": "3", "on": "true", "template": "in"}
    asked = invocation(name="wf[0].flip(0:a)", display_name="flip(0:a)", step_name="flip", attempt=1, inputs=inputs)
    assert (outcome(fake, asked).message == "matched") is applies


def test_the_image_of_a_script_counts_too() -> None:
    fake = FakeExecutor()
    fake.when(image="python:*").fails()
    assert outcome(fake, invocation(body={"script": {"image": "python:3.12", "source": ""}})).phase is Phase.FAILED


def test_the_latest_fact_wins_and_others_fill_in() -> None:
    fake = FakeExecutor()
    fake.when("*").takes("1m").fails()
    fake.when("work").returns("first").outputs(parameters={"a": 1})
    fake.when("work", message="x").outputs(parameters={"b": 2}).takes("5s")
    asked = invocation(body=outputs("a", "b"), capture_result=True, inputs={"message": "x"})
    found = foreseen(fake, asked)
    assert found.after == timedelta(seconds=5)
    assert found.outcome == Outcome(phase=Phase.SUCCEEDED, exit_code=0, result="first", parameters={"a": "1", "b": "2"})


# --- outcomes in order ------------------------------------------------------------------------------------------------------------


def results(fake: FakeExecutor, count: int, **more: Any) -> list[str | None]:
    asked = [invocation(name=f"wf.a({number})", capture_result=True, **more) for number in range(count)]
    return [found.result if (found := outcome(fake, one)).phase is Phase.SUCCEEDED else found.message for one in asked]


def test_results_come_in_order_and_the_last_stays() -> None:
    fake = FakeExecutor()
    fake.when("work").returns("heads", "heads", {"side": "tails"})
    assert results(fake, 5) == ["heads", "heads", '{"side":"tails"}', '{"side":"tails"}', '{"side":"tails"}']


def test_outcomes_follow_one_another() -> None:
    fake = FakeExecutor()
    fake.when("work").fails(exit_code=2, times=2).errors("node lost").returns("ok")
    failure = "main: Error (exit code 2)"
    assert results(fake, 5) == [failure, failure, "node lost", "ok", "ok"]


def test_outcomes_that_are_used_up_leave_it_to_earlier_facts() -> None:
    fake = FakeExecutor()
    fake.when("work").returns("usual")
    fake.when("work").fails(times=1)
    assert results(fake, 3) == ["main: Error (exit code 1)", "usual", "usual"]


def test_asking_again_for_a_node_counts_once_and_each_run_counts_for_itself() -> None:
    fake = FakeExecutor()
    fake.when("work").returns("a", "b", "c")
    first, second = invocation(name="wf.1", capture_result=True), invocation(name="wf.2", capture_result=True)
    assert [outcome(fake, one).result for one in (first, first, second, first)] == ["a", "a", "b", "a"]
    assert outcome(fake, invocation(name="wf.2", capture_result=True, uid="another")).result == "a"


async def test_a_closed_run_is_forgotten() -> None:
    fake = FakeExecutor()
    fake.when("work").returns("a", "b")
    assert results(fake, 1) == ["a"]
    await fake.close(the_context())
    assert results(fake, 1) == ["a"]


def test_takes_and_outputs_after_an_outcome_speak_of_that_outcome() -> None:
    fake = FakeExecutor()
    fake.when("work").takes("1h").fails(times=1).takes("1s").outputs(parameters={"a": "early"}).succeeds().outputs(parameters={"a": "late"})
    asked = [invocation(name=f"wf.{number}", body=outputs("a", "b", parameters=[{"name": "a"}])) for number in range(2)]
    found = [foreseen(fake, one) for one in asked]
    assert [one.after for one in found] == [timedelta(seconds=1), timedelta(hours=1)]
    assert [dict(one.outcome.parameters) for one in found if one.outcome] == [{"a": "early"}, {"a": "late"}]


# --- kinds of outcome -------------------------------------------------------------------------------------------------------------


def test_failures_read_as_argo_words_them() -> None:
    fake = FakeExecutor()
    fake.when("work").fails(exit_code=3, message="disk full")
    assert outcome(fake, invocation()) == Outcome(phase=Phase.FAILED, exit_code=3, message="main: Error (exit code 3): disk full")


def test_a_failed_request_has_no_container() -> None:
    fake = FakeExecutor()
    fake.when("work").fails()
    fake.when("told").fails(message="boom")
    asked = invocation(node_type=NodeType.HTTP, body={"http": {"url": "x"}})
    assert outcome(fake, asked) == Outcome(phase=Phase.FAILED, message="received non-2xx response code: 500")
    assert outcome(fake, invocation("told", node_type=NodeType.PLUGIN)) == Outcome(phase=Phase.FAILED, message="boom")


def test_errors_are_the_systems_fault() -> None:
    fake = FakeExecutor()
    fake.when("work").errors("node lost")
    assert outcome(fake, invocation()) == Outcome(phase=Phase.ERROR, message="node lost")


def test_a_daemon_is_up_after_a_while_and_runs_until_it_is_stopped() -> None:
    fake = FakeExecutor()
    fake.when("server").daemon(ready_after="5s", pod_ip="10.1.2.3")
    assert foreseen(fake, invocation("server", daemon=True)) == Foreseen(None, timedelta(0), timedelta(seconds=5), "10.1.2.3")
    assert foreseen(fake, invocation("other", daemon=True)) == Foreseen(None, pod_ip="127.0.0.1")


def test_a_daemon_may_die() -> None:
    fake = FakeExecutor()
    fake.when("server").daemon(ready_after="5s").fails(exit_code=7).takes("10m")
    found = foreseen(fake, invocation("server", daemon=True))
    assert (found.after, found.ready_after) == (timedelta(minutes=10), timedelta(seconds=5))
    assert found.outcome is not None
    assert found.outcome.exit_code == 7


def test_work_may_hang() -> None:
    fake = FakeExecutor()
    fake.when("work").hangs(times=1)
    assert foreseen(fake, invocation(name="wf.1")).outcome is None
    assert foreseen(fake, invocation(name="wf.2")).outcome is not None


def test_suspend_nodes_are_resumed_or_stopped_as_scripted() -> None:
    fake = FakeExecutor()
    fake.when("approve").resumes(after="10d", parameters={"approved": True})
    fake.when("refuse").fails(message="no").takes("1h")
    fake.when("wait").takes("1h")
    kind = {"node_type": NodeType.SUSPEND, "body": {"suspend": {}}}
    found = fake.foresee_resume(invocation("approve", **kind))
    assert found is not None
    assert (found.after, dict(found.parameters), found.failed) == (timedelta(days=10), {"approved": "true"}, False)
    found = fake.foresee_resume(invocation("refuse", **kind))
    assert found is not None
    assert (found.after, found.failed, found.message) == (timedelta(hours=1), True, "no")
    assert fake.foresee_resume(invocation("wait", **kind)) is None
    assert FakeExecutor().foresee_resume(invocation("wait", **kind)) is None


def test_without_strictness_somebody_resumes_at_once() -> None:
    supplied: Any = [{"name": "who", "valueFrom": {"supplied": {}}}, {"name": "how", "valueFrom": {"supplied": {}, "default": "so"}}]
    asked = invocation(node_type=NodeType.SUSPEND, body={"suspend": {}, "outputs": {"parameters": supplied}})
    found = FakeExecutor(strict=False).foresee_resume(asked)
    assert found is not None
    assert (found.after, dict(found.parameters)) == (timedelta(0), {"who": "fake_value_of_who"})


def test_it_offers_each_run_a_virtual_clock_of_its_own() -> None:
    fake = FakeExecutor()
    assert fake.clock.virtual
    fake.clock.advance(timedelta(days=1))
    assert fake.clock.now() == FakeExecutor().clock.now()


SET: JsonObject = {
    "containerSet": {"containers": [{"name": "a"}, {"name": "main", "dependencies": ["a"]}, {"name": "z"}]},
}


def test_the_containers_of_a_set_end_one_by_one() -> None:
    fake = FakeExecutor()
    found = outcome(fake, invocation(body=SET))
    assert {name: member.phase for name, member in found.members.items()} == dict.fromkeys(("a", "main", "z"), Phase.SUCCEEDED)
    fake.when("work").fails(2, container="a")
    found = outcome(fake, invocation(body=SET))
    assert (found.message, found.exit_code) == ("a: Error (exit code 2)", 64)
    assert {name: (member.phase, member.message) for name, member in found.members.items()} == {
        "a": (Phase.FAILED, "a: Error (exit code 2): "),
        "main": (Phase.ERROR, "main: Error (exit code 64): "),
        "z": (Phase.SUCCEEDED, ""),
    }
    fake.when("work").fails(3, "gone")
    assert outcome(fake, invocation(body=SET)).message == "main: Error (exit code 3): gone"


def test_chance_follows_the_seed_and_the_place_and_not_the_name_of_the_run() -> None:
    def drawn(seed: int, workflow: str) -> list[bool]:
        fake = FakeExecutor(seed=seed)
        fake.when("work").returns("fine").flaky(0.3)
        asked = [invocation(name=f"{workflow}.{number}", workflow=workflow, capture_result=True) for number in range(300)]
        return [outcome(fake, one).phase is Phase.FAILED for one in asked]

    assert drawn(1, "wf") == drawn(1, "other")
    assert drawn(1, "wf") != drawn(2, "wf")
    assert 60 < sum(drawn(1, "wf")) < 120


@pytest.mark.parametrize(("probability", "phase"), [(0, Phase.SUCCEEDED), (1, Phase.FAILED)])
def test_chance_that_is_none(probability: float, phase: Phase) -> None:
    fake = FakeExecutor()
    fake.when("*").flaky(probability)
    assert {outcome(fake, invocation(name=f"wf.{number}")).phase for number in range(50)} == {phase}


# --- outputs ----------------------------------------------------------------------------------------------------------------------


def test_an_output_that_nobody_scripted_is_an_error_that_says_what_to_write() -> None:
    found = outcome(FakeExecutor(), invocation(body=outputs("size")))
    assert found.phase is Phase.ERROR
    assert "output parameter 'size' of template 'work'" in found.message
    assert "fake.when('work').outputs(parameters={'size': ...})" in found.message
    found = outcome(FakeExecutor(), invocation(capture_result=True))
    assert "fake.when('work').returns(...)" in found.message


def test_without_strictness_it_is_a_visible_placeholder() -> None:
    found = outcome(FakeExecutor(strict=False), invocation(body=outputs("size"), capture_result=True))
    assert found.phase is Phase.SUCCEEDED
    assert (found.result, dict(found.parameters)) == ("fake_result_of_work", {"size": "fake_value_of_size"})


def test_defaults_and_what_is_not_the_works_own_are_left_to_the_engine() -> None:
    declared: Any = [
        {"name": "a", "valueFrom": {"path": "/a", "default": "1"}},
        {"name": "b", "valueFrom": {"supplied": {}}},
        {"name": "c", "valueFrom": {"expression": "1"}},
        {"name": "d", "value": "x"},
    ]
    found = outcome(FakeExecutor(), invocation(body={**CONTAINER, "outputs": {"parameters": declared}}))
    assert (found.phase, dict(found.parameters)) == (Phase.SUCCEEDED, {})


def test_declared_artifacts_are_there_at_their_places() -> None:
    artifact: Any = {"name": "out", "path": "/tmp/out", "archive": {"none": {}}, "s3": {"key": "wf/wf.a/out"}}
    found = outcome(FakeExecutor(), invocation(body={**CONTAINER, "outputs": {"artifacts": [artifact]}}))
    assert dict(found.artifacts) == {"out": {"s3": {"key": "wf/wf.a/out"}}}


def test_a_failure_leaves_only_what_was_said_of_it() -> None:
    fake = FakeExecutor()
    fake.when("work").outputs(parameters={"a": "1"}).fails().outputs(parameters={"b": "2", "undeclared": "3"})
    assert dict(outcome(fake, invocation(body=outputs("a", "b"))).parameters) == {"b": "2"}


# --- scripts that make no sense ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda fake: fake.when("a").returns(),
        lambda fake: fake.when("a").fails(exit_code=0),
        lambda fake: fake.when("a").fails(exit_code=256),
        lambda fake: fake.when("a").flaky(1.5),
        lambda fake: fake.when("a").fails(times=0),
        lambda fake: fake.when("a").takes("a while"),
        lambda fake: fake.when("a").takes(-1),
        lambda fake: fake.when("a").runs("no function"),
        lambda fake: fake.when(3),
        lambda fake: fake.when("a", attempt="first"),
    ],
)
def test_facts_that_make_no_sense_are_refused_where_they_are_written(write: Any) -> None:
    with pytest.raises(UsageError):
        write(FakeExecutor())


@pytest.mark.parametrize(
    ("length", "seconds"),
    [("2h", 7200), ("1m30s", 90), ("10d", 864000), ("1d12h", 129600), ("45", 45), (2.5, 2.5), (timedelta(minutes=1), 60)],
)
def test_lengths_of_time(length: Any, seconds: float) -> None:
    fake = FakeExecutor()
    fake.when("work").takes(length)
    assert foreseen(fake, invocation()).after == timedelta(seconds=seconds)


def test_a_fact_shows_the_call_that_made_it() -> None:
    assert repr(FakeExecutor().when("a", step="b", message="x")) == "<fact: when('a', step='b', message='x')>"
    assert repr(FakeExecutor()) == "FakeExecutor(0 facts)"


def test_invocations_are_recorded_when_asked_for() -> None:
    fake = FakeExecutor(record=True)
    for number in range(3):
        fake.foresee(invocation(name=f"wf.{number}", inputs={"n": str(number)}))
    assert [one.node_name for one in fake.calls("work")] == ["wf.0", "wf.1", "wf.2"]
    assert [one.node_name for one in fake.calls(n="1")] == ["wf.1"]
    assert FakeExecutor().calls() == []


# --- functions --------------------------------------------------------------------------------------------------------------------


async def test_functions_get_the_inputs_by_name_and_give_the_result() -> None:
    fake = FakeExecutor()
    fake.when("work").runs(lambda message, n_items: f"{message} {n_items}")
    asked = invocation(inputs={"message": "hi", "n-items": "3", "unused": "x"}, capture_result=True)
    assert fake.foresee(asked) is None
    assert (await ran(fake, asked)).result == "hi 3"


async def test_functions_may_be_async_or_run_in_a_thread() -> None:
    async def later(message: str) -> JsonObject:
        await anyio.lowlevel.checkpoint()
        return {"a": message, "b": [1]}

    fake = FakeExecutor()
    fake.when("work").runs(later)
    fake.when("thread").runs(lambda: "done", in_thread=True)
    found = await ran(fake, invocation(body=outputs("a", "b"), inputs={"message": "hi"}))
    assert dict(found.parameters) == {"a": "hi", "b": "[1]"}
    assert (await ran(fake, invocation("thread", capture_result=True))).result == "done"


async def test_a_single_output_parameter_takes_the_value() -> None:
    fake = FakeExecutor()
    fake.when("work").runs(lambda: {"x": 1})
    found = await ran(fake, invocation(body=outputs("a"), capture_result=True))
    assert (found.result, dict(found.parameters)) == ('{"x":1}', {"a": '{"x":1}'})


async def test_functions_may_take_the_invocation_or_everything() -> None:
    fake = FakeExecutor()
    fake.when("one").runs(lambda invocation: invocation.node_name)
    fake.when("all").runs(lambda **inputs: sorted(inputs))
    assert (await ran(fake, invocation("one", capture_result=True))).result == "wf.a"
    assert (await ran(fake, invocation("all", inputs={"b": "", "a-c": ""}, capture_result=True))).result == '["a_c","b"]'


async def test_functions_may_give_a_whole_outcome() -> None:
    fake = FakeExecutor()
    fake.when("work").runs(lambda: Outcome(phase=Phase.ERROR, message="as I say"))
    assert await ran(fake, invocation()) == Outcome(phase=Phase.ERROR, message="as I say")


async def test_what_a_function_raises_is_a_failure_and_its_story_is_logged() -> None:
    def explode() -> None:
        raise ValueError("bad luck")

    fake = FakeExecutor()
    fake.when("work").runs(explode)
    reports: list[Report] = []
    found = await ran(fake, invocation(), reports)
    assert (found.phase, found.exit_code, found.message) == (Phase.FAILED, 1, "main: Error (exit code 1): ValueError: bad luck")
    assert reports[0] == Started(NodeId("wf.a"))
    assert isinstance(reports[1], Logged)
    assert "in explode" in reports[1].text


@pytest.mark.parametrize(
    ("code", "phase", "message"),
    [
        (None, Phase.SUCCEEDED, ""),
        (0, Phase.SUCCEEDED, ""),
        (4, Phase.FAILED, "main: Error (exit code 4)"),
        ("told", Phase.FAILED, "main: Error (exit code 1): told"),
    ],
)
async def test_functions_may_exit(code: Any, phase: Phase, message: str) -> None:
    def leave() -> None:
        raise SystemExit(code)

    fake = FakeExecutor()
    fake.when("work").runs(leave)
    found = await ran(fake, invocation())
    assert (found.phase, found.message) == (phase, message)


async def test_a_function_that_wants_what_is_not_there_is_an_error_that_says_so() -> None:
    fake = FakeExecutor()
    fake.when("work").runs(lambda missing: missing)
    with pytest.raises(ExecutorError, match=r"wants 'missing', but template 'work' has no such input"):
        await ran(fake, invocation())


async def test_a_function_that_gives_nothing_leaves_outputs_to_the_other_facts() -> None:
    fake = FakeExecutor()
    fake.when("work").outputs(parameters={"a": "said"})
    fake.when("work").runs(lambda: None)
    assert dict((await ran(fake, invocation(body=outputs("a")))).parameters) == {"a": "said"}
    assert (await ran(fake, invocation(body=outputs("b")))).phase is Phase.ERROR


LETTER: Any = {"name": "the-letter", "path": "/tmp/letter.txt", "s3": {"key": "wf/letter.tgz"}}
PLAIN: Any = {"name": "copy", "path": "/tmp/copy", "archive": {"none": {}}, "s3": {"key": "wf/copy"}}


async def test_artifacts_go_from_scripts_and_functions_to_functions_through_the_store(tmp_path: Path) -> None:
    fake = FakeExecutor()
    fake.when("write").outputs(artifacts={"the-letter": "dear reader", "undeclared": "x"}).takes("2h")
    fake.when("copy").runs(lambda the_letter: {"copy": the_letter.read_text().upper()})
    context = the_context()
    written = foreseen(fake, invocation("write", body={**CONTAINER, "outputs": {"artifacts": [LETTER]}}))
    assert written.after == timedelta(hours=2)
    body: JsonObject = {**CONTAINER, "inputs": {"artifacts": [{"name": "the-letter", "path": "/in/l"}]}, "outputs": {"artifacts": [PLAIN]}}
    asked = invocation("copy", name="wf.b", body=body)
    asked.inputs = {"artifacts": [{**LETTER, "path": "/in/l"}]}
    copied = await ran(fake, asked, context=context)
    assert (copied.phase, dict(copied.artifacts)) == (Phase.SUCCEEDED, {"copy": {"s3": {"key": "wf/copy"}}})
    store = context.artifacts
    assert isinstance(store, MemoryArtifacts)
    assert sorted(store.files) == ["wf/copy", "wf/letter.tgz"]
    assert store.files["wf/copy"] == b"DEAR READER"


async def test_artifacts_that_nobody_read_are_stored_in_the_end(tmp_path: Path) -> None:
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "one.txt").write_text("the sea")
    fake = FakeExecutor()
    fake.when("work").fails().outputs(artifacts={"copy": tmp_path / "album"})
    context = the_context()
    found = outcome(fake, invocation(body={**CONTAINER, "outputs": {"artifacts": [PLAIN, LETTER]}}))
    assert list(found.artifacts) == ["copy"]
    await fake.close(context)
    assert isinstance(context.artifacts, MemoryArtifacts)
    assert context.artifacts.files == {"wf/copy/one.txt": b"the sea"}


async def test_a_function_whose_artifact_is_not_there_is_an_error() -> None:
    fake = FakeExecutor()
    fake.when("work").runs(lambda letter: letter)
    asked = invocation(body={**CONTAINER, "inputs": {"artifacts": [{"name": "letter", "path": "/in/l"}]}})
    assert await ran(fake, asked) == Outcome(phase=Phase.ERROR, message="required artifact 'letter' not supplied")


async def test_an_artifact_that_cannot_be_stored_in_the_end_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    fake = FakeExecutor()
    fake.when("work").outputs(artifacts={"copy": Path("/nowhere/at/all")})
    fake.foresee(invocation(body={**CONTAINER, "outputs": {"artifacts": [PLAIN]}}))
    await fake.close(the_context())
    assert "artifact copy failed to be saved" in caplog.text


async def test_work_that_runs_is_stopped_as_if_it_were_killed() -> None:
    fake = FakeExecutor()
    fake.when("work").runs(anyio.sleep_forever)
    found: list[Outcome] = []

    async def run(asked: Invocation) -> None:
        found.append(await ran(fake, asked))

    kinds = [invocation(), invocation("hangs", name="wf.b", body=SET), invocation("http", name="wf.c", node_type=NodeType.HTTP)]
    fake.when("hangs").hangs()
    fake.when("http").hangs()
    async with anyio.create_task_group() as tasks:
        for asked in kinds:
            tasks.start_soon(run, asked)
        await anyio.wait_all_tasks_blocked()
        for asked in kinds:
            await fake.stop(asked, timedelta(seconds=30))
            await fake.stop(asked, timedelta(seconds=30))
    texts = {one.message: one.exit_code for one in found}
    assert texts == {"main: Error (exit code 143)": 143, "a: Error (exit code 143)": 143, "": None}
    assert {one.phase for one in found} == {Phase.FAILED}


async def test_run_gives_scripted_outcomes_too() -> None:
    fake = FakeExecutor()
    fake.when("server").daemon().fails().takes(0)
    reports: list[Report] = []
    assert (await ran(fake, invocation(), reports)).phase is Phase.SUCCEEDED
    assert (await ran(fake, invocation("server", daemon=True), reports)).phase is Phase.FAILED
    assert [type(report) for report in reports] == [Started, Started, Ready]
