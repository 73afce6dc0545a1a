"""Sensitive values stand nowhere that others read: not in stores, logs, trees, messages and exports; and interrupted runs still have them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore.clocks import RealClock, VirtualClock
from flowcore.errors import ExecutorError, InvalidWorkflow, StoreError, UsageError
from flowcore.nodes import Phase
from flowcore.ports import Invocation, Logged, Outcome, Reporter, RunContext
from flowcore.service import Runs
from flowcore.testing.drawing import drawn
from flowcore_backends.stores.sqlite import SqliteStore
from tests.durable.scenes import FailingStore

SECRET: Any = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "hunter-two"}}
WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata:
  name: wf
  annotations: {flowcore.dev/sensitive-parameters: "token, made"}
spec:
  entrypoint: main
  arguments: {parameters: [{name: token, value: opensesame}, {name: plain, value: seen}]}
  templates:
    - name: main
      steps:
        - - {name: make, template: make, arguments: {parameters: [{name: token, value: "{{workflow.parameters.token}}"}]}}
        - - name: use
            template: make
            arguments: {parameters: [{name: token, value: "{{item}} {{steps.make.outputs.parameters.made}}"}]}
            withItems: ["{{workflow.parameters.token}}"]
        - - {name: end, template: fail, when: "'{{steps.make.outputs.parameters.made}}' != ''"}
    - name: make
      inputs: {parameters: [{name: token}]}
      outputs: {parameters: [{name: made, valueFrom: {path: /tmp/made}}, {name: found, valueFrom: {path: /tmp/found}}]}
      container: {image: any, args: ["{{inputs.parameters.token}}"], env: [{name: P, valueFrom: {secretKeyRef: {name: db, key: password}}}]}
    - name: fail
      container: {image: any, command: [fail], envFrom: [{secretRef: {name: db}}]}
"""
SENSITIVE = ("opensesame", "hunter-two", "fresh-one")


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))
    return tmp_path


class Talkative:
    """Prints and answers all that it was given; ``saw`` is what it was given."""

    clock = VirtualClock()

    def __init__(self) -> None:
        self.saw: list[str] = []

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        if invocation.template_name == "fail":
            raise ExecutorError("password hunter-two was refused")
        container: Any = invocation.body["container"]
        self.saw.append(container["args"][0])
        report(Logged(invocation.node, "main", "stdout", f"args {self.saw[-1]}, env hunter-two", datetime(2024, 1, 1, tzinfo=UTC)))
        return Outcome(phase=Phase.SUCCEEDED, parameters={"made": "fresh-one", "found": "hunter-two"}, message="hello hunter-two")

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Nothing runs."""

    async def close(self, context: RunContext) -> None:
        """Nothing is kept."""


def dump_of(store: SqliteStore) -> str:
    """Every text in every table."""
    connection = store.connections._database._connection
    return "\n".join(connection.iterdump())


def catalog() -> flowcore.MemoryCatalog:
    return flowcore.MemoryCatalog([SECRET])


async def test_nothing_sensitive_is_recorded_logged_drawn_or_exported(caplog: pytest.LogCaptureFixture) -> None:
    store, executor = SqliteStore(":memory:"), Talkative()
    told: list[str] = []
    async with flowcore.open_run(WORKFLOW, executor=executor, store=store, catalog=catalog()) as run:
        async for change in run.events(replay=True):
            told.append(repr(change))
    result = run.snapshot()
    assert executor.saw == ["opensesame", "opensesame fresh-one"]
    assert result.phase == "Failed"
    with pytest.raises(flowcore.WorkflowFailed) as raised:
        result.raise_for_phase()
    everything = [dump_of(store), json.dumps(result.to_json()), drawn(result), str(raised.value), caplog.text, *told]
    for value in SENSITIVE:
        assert [text for text in everything if value in text] == []
    assert "password ***secret:db/password*** was refused" in drawn(result)
    assert [line.logged.text for line in await store.logs("wf", "default")] == [
        "args ***sensitive:token***, env ***secret:db/password***",
        "args ***sensitive:token#2***, env ***secret:db/password***",
    ]
    assert "seen" in dump_of(store)
    assert "fresh-one" in repr(result.node("make").outputs)


@pytest.mark.parametrize("lost", [True, False])
async def test_a_run_that_was_interrupted_has_its_values_again(lost: bool) -> None:
    for turn in range(1, 4):
        store = FailingStore(turn, lost=lost)
        with pytest.raises(StoreError):
            await flowcore.run(WORKFLOW, executor=Talkative(), store=store, catalog=catalog())
        executor = Talkative()
        result = await flowcore.resume("wf", store=store, executor=executor, catalog=catalog())
        assert all(given in ("opensesame", "opensesame fresh-one") for given in executor.saw)
        assert result.node("use(0:opensesame)").inputs == {"parameters": [{"name": "token", "value": "opensesame fresh-one"}]}
        assert not any(value in dump_of(store) for value in SENSITIVE)
        await Runs(store, None, RealClock()).delete("wf")


async def interrupted(turn: int = 3) -> FailingStore:
    store = FailingStore(turn, lost=False)
    with pytest.raises(StoreError):
        await flowcore.run(WORKFLOW, executor=Talkative(), store=store, catalog=catalog())
    return store


async def test_values_that_are_not_here_are_asked_for(state: Path) -> None:
    store = await interrupted()
    [kept] = (state / "sensitive").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    kept.unlink()
    with pytest.raises(
        UsageError, match="sensitive parameter made is not kept here: flowcore run --continue wf -p made=VALUE gives it again"
    ):
        await flowcore.resume("wf", store=store, executor=Talkative(), catalog=catalog())
    with pytest.raises(UsageError, match="the Secret db with key password is not in the catalog"):
        await flowcore.resume("wf", store=await interrupted(), executor=Talkative())
    given = {"token": "opensesame", "made": "fresh-one"}
    result = await flowcore.resume("wf", store=store, executor=Talkative(), catalog=catalog(), sensitive=given)
    assert result.phase == "Failed"


async def test_submitted_and_resubmitted_runs_are_recorded_without_values() -> None:
    store, executor = SqliteStore(":memory:"), Talkative()
    runs = Runs(store, catalog(), RealClock(), seed=1)
    row = await runs.submit(WORKFLOW, parameters={"token": "abracadabra"})
    assert "abracadabra" not in dump_of(store)
    await flowcore.resume(row.name, store=store, executor=executor, catalog=catalog())
    again = await runs.resubmit(row.name)
    forked = await runs.fork(row.name, selector="displayName=make")
    await runs.retry(row.name, parameters={"token": "simsalabim"})
    for name in (again.name, forked.name, row.name):
        await flowcore.resume(name, store=store, executor=executor, catalog=catalog())
    assert executor.saw[0:1] + executor.saw[2:3] + executor.saw[4:5] == ["abracadabra"] * 3
    assert not any(value in dump_of(store) for value in (*SENSITIVE, "abracadabra", "simsalabim"))


async def test_a_refusal_does_not_tell_the_value() -> None:
    document = WORKFLOW.replace("{name: token, value: opensesame}", "{name: token, value: opensesame, enum: [a, b]}")
    with pytest.raises(InvalidWorkflow) as raised:
        await flowcore.run(document, executor=Talkative(), catalog=catalog())
    assert "opensesame" not in str(raised.value)
