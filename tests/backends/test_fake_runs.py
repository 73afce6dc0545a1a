"""Whole workflows on the fake backend: scripts, time and chance, on asyncio and on trio."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

import flowcore
from flowcore.artifacts import MemoryArtifacts
from flowcore.status import rows_from_status
from flowcore_backends.fake import FakeExecutor

RETRIED = """\
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
    - name: main
      retryStrategy: {limit: "5", backoff: {duration: 1h, factor: "2"}}
      container: {image: alpine, command: ["true"]}
"""

PIPELINE = """\
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
    - name: main
      dag:
        tasks:
          - {name: draw, template: draw}
          - name: square
            template: square
            dependencies: [draw]
            withParam: "{{tasks.draw.outputs.result}}"
            arguments: {parameters: [{name: number, value: "{{item}}"}]}
          - name: sum
            template: sum
            dependencies: [square]
            arguments: {parameters: [{name: numbers, value: "{{tasks.square.outputs.parameters}}"}]}
    - name: draw
      script: {image: python, command: [python], source: ""}
    - name: square
      inputs: {parameters: [{name: number}]}
      container: {image: alpine, command: ["true"]}
      outputs: {parameters: [{name: squared, valueFrom: {path: /tmp/x}}]}
    - name: sum
      inputs: {parameters: [{name: numbers}]}
      container: {image: alpine, command: ["true"]}
      outputs: {parameters: [{name: total, globalName: total, valueFrom: {path: /tmp/x}}]}
"""

LETTERS = """\
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
    - name: main
      dag:
        tasks:
          - {name: write, template: write}
          - name: read
            template: read
            dependencies: [write]
            arguments: {artifacts: [{name: letter, from: "{{tasks.write.outputs.artifacts.letter}}"}]}
    - name: write
      container: {image: alpine, command: ["true"]}
      outputs: {artifacts: [{name: letter, path: /tmp/letter}]}
    - name: read
      inputs: {artifacts: [{name: letter, path: /tmp/letter}]}
      container: {image: alpine, command: ["true"]}
      outputs: {parameters: [{name: words, valueFrom: {path: /tmp/words}}]}
"""

DAEMON = """\
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
    - name: main
      steps:
        - - {name: server, template: server}
        - - name: client
            template: client
            arguments: {parameters: [{name: address, value: "{{steps.server.ip}}"}]}
    - name: server
      daemon: true
      container: {image: nginx}
    - name: client
      inputs: {parameters: [{name: address}]}
      container: {image: alpine, command: ["true"]}
"""

APPROVAL = """\
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
    - name: main
      suspend: {}
      outputs: {parameters: [{name: answer, valueFrom: {supplied: {}}}]}
"""

TIMEOUT = """\
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  activeDeadlineSeconds: 3600
  templates:
    - {name: main, container: {image: alpine, command: [sleep, "1000000"]}}
"""


def run(document: str, fake: FakeExecutor, backend: str = "asyncio", **more: Any) -> flowcore.RunResult:
    async def whole() -> flowcore.RunResult:
        return await flowcore.run(document, executor=fake, **more)

    return anyio.run(whole, backend=backend)


def phases(result: flowcore.RunResult) -> dict[str, str]:
    return {node.name: str(node.phase) for node in result.nodes.values()}


both = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@both
def test_retries_wait_in_virtual_time(backend: str) -> None:
    fake = FakeExecutor()
    fake.when("main").fails(exit_code=2, times=3).takes("10m").succeeds().takes("1h")
    result = run(RETRIED, fake, backend)
    assert phases(result) == {"wf": "Succeeded", "wf(0)": "Failed", "wf(1)": "Failed", "wf(2)": "Failed", "wf(3)": "Succeeded"}
    assert result.node("wf(2)").message == "main: Error (exit code 2)"
    assert result.duration == 3 * timedelta(minutes=10) + timedelta(hours=1 + 2 + 4) + timedelta(hours=1)


@both
def test_functions_stand_for_templates(backend: str) -> None:
    async def total(numbers: str) -> int:
        import json

        await anyio.lowlevel.checkpoint()
        return sum(int(one["squared"]) for one in json.loads(numbers))

    fake = FakeExecutor()
    fake.when("draw").returns([1, 2, 3])
    fake.when("square").runs(lambda number: int(number) ** 2)
    fake.when("sum").runs(total)
    result = run(PIPELINE, fake, backend)
    assert result.phase == "Succeeded", result.message
    assert result.outputs.parameters == {"total": "14"}


@both
def test_artifacts_reach_functions(backend: str) -> None:
    fake = FakeExecutor()
    fake.when("write").takes("3h").outputs(artifacts={"letter": "dear reader"})
    fake.when("read").runs(lambda letter: len(letter.read_text().split()))
    store = MemoryArtifacts()
    result = run(LETTERS, fake, backend, artifacts=store)
    assert result.phase == "Succeeded", result.message
    assert result.node("read").outputs == {
        "exitCode": "0",
        "parameters": [{"name": "words", "value": "2", "valueFrom": {"path": "/tmp/words"}}],
    }
    assert len(store.files) == 1


@pytest.mark.parametrize(
    "place", ["s3: {endpoint: 'nowhere.invalid:1', bucket: b, key: k}", "hdfs: {addresses: [nowhere.invalid], hdfsUser: u, path: /k}"]
)
def test_no_store_is_reached_that_a_document_names(place: str) -> None:
    letters = LETTERS.replace("outputs: {artifacts: [{name: letter,", f"outputs: {{artifacts: [{{name: letter, {place},")
    assert letters != LETTERS
    fake = FakeExecutor()
    fake.when("write").outputs(artifacts={"letter": "dear reader"})
    fake.when("read").runs(lambda letter: letter.read_text())
    store = MemoryArtifacts()
    result = run(letters, fake, artifacts=store)
    assert (result.phase, result.message, list(store.files)) == ("Succeeded", "", ["k"])


def test_a_daemon_serves_until_its_scope_ends() -> None:
    fake = FakeExecutor()
    fake.when("server").daemon(ready_after="30s", pod_ip="10.0.0.7")
    fake.when("client", address="10.0.0.7").takes("1h")
    fake.when("client").fails()
    fake.when("client", address="10.0.0.7").takes("1h").succeeds()
    result = run(DAEMON, fake)
    assert phases(result) == {
        "wf": "Succeeded",
        "wf[0]": "Succeeded",
        "wf[0].server": "Succeeded",
        "wf[1]": "Succeeded",
        "wf[1].client": "Succeeded",
    }
    assert result.duration == timedelta(hours=1, seconds=30)


def test_somebody_answers_after_ten_days() -> None:
    fake = FakeExecutor()
    fake.when("main").resumes(after="10d", parameters={"answer": "yes"})
    result = run(APPROVAL, fake)
    assert result.phase == "Succeeded"
    assert result.duration == timedelta(days=10)
    assert [item["value"] for item in result.node("wf").outputs["parameters"]] == ["yes"]


def test_somebody_refuses() -> None:
    fake = FakeExecutor()
    fake.when("main").resumes(after="1h", failed=True, message="no")
    result = run(APPROVAL, fake)
    assert (result.phase, result.node("wf").message) == ("Failed", "no")


def test_nobody_answers_is_told_and_does_not_hang() -> None:
    with pytest.raises(flowcore.UsageError, match=r"resumes"):
        run(APPROVAL, FakeExecutor())


def test_what_hangs_is_ended_by_the_deadline() -> None:
    fake = FakeExecutor()
    fake.when("main").hangs()
    result = run(TIMEOUT, fake)
    assert result.phase == "Failed"
    assert result.duration == timedelta(hours=1)


def test_the_same_seed_gives_the_same_run() -> None:
    def played(seed: int, name: str) -> list[str]:
        fake = FakeExecutor(seed=seed)
        fake.when("*").flaky(0.5)
        return [str(node.phase) for node in run(RETRIED.replace("name: wf", f"name: {name}"), fake).nodes.values()]

    assert played(3, "wf") == played(3, "wf") == played(3, "other")
    assert len({tuple(played(seed, "wf")) for seed in range(12)}) > 1


def test_the_rows_of_a_run_come_back_from_its_status() -> None:
    """Parents, owners and flags that Argo's JSON only implies are concluded as the engine had them."""
    import dataclasses
    import json

    fake = FakeExecutor()
    fake.when("draw").returns([1, 2])
    fake.when("square").fails(times=1).succeeds().outputs(parameters={"squared": 4})
    fake.when("sum").outputs(parameters={"total": 5})
    document = PIPELINE.replace("    - name: square\n      inputs", "    - name: square\n      retryStrategy: {limit: 2}\n      inputs")
    document = document.replace("  entrypoint: main", "  entrypoint: main\n  onExit: sum-up").replace(
        "    - name: draw\n      script", "    - {name: sum-up, container: {image: a, command: [b]}}\n    - name: draw\n      script"
    )
    result = run(document, fake)
    assert result.phase == "Succeeded", result.message
    row, rows = rows_from_status(json.loads(json.dumps(result.to_json())))
    assert row == result.row
    assert len(rows) == len(result.nodes) == 10
    for node in rows:
        original = result.nodes[node.id]
        assert set(node.parents) == set(original.parents)
        assert node == dataclasses.replace(original, seq=node.seq, parents=node.parents)


def test_strictness_reaches_the_node() -> None:
    result = run(PIPELINE, FakeExecutor())
    assert result.phase != "Succeeded"
    assert "fake.when('draw').returns(...)" in result.node("draw").message
