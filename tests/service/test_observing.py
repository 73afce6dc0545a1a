"""Metrics, logs and spans of runs, by a virtual clock."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import anyio
import pytest

import flowcore
from flowcore.audience import Change, Observed, Tell
from flowcore.clocks import SharedVirtualClock, VirtualClock
from flowcore.errors import StoreError
from flowcore.observing import JsonLines, Metrics, RunLog
from flowcore.observing.serving import serve_metrics
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.stores.sqlite import SqliteStore
from tests.durable.scenes import FailingStore

WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  arguments: {parameters: [{name: team, value: red}]}
  metrics:
    prometheus:
      - {name: took, help: H, labels: [{key: status, value: "{{workflow.status}}"}], gauge: {value: "{{workflow.duration}}"}}
      - {name: takes, help: H, gauge: {realtime: true, value: "{{workflow.duration}}"}}
  templates:
    - name: main
      dag:
        tasks:
          - {name: a, template: work, arguments: {parameters: [{name: size, value: "3"}]}}
          - {name: b, template: flaky, depends: a}
          - {name: c, template: wrong, depends: b}
    - name: work
      inputs: {parameters: [{name: size}]}
      metrics:
        prometheus:
          - {name: sizes, help: H, labels: [{key: team, value: "{{workflow.parameters.team}}"}], counter: {value: "{{inputs.parameters.size}}"}}
          - {name: seconds, help: H, histogram: {value: "{{duration}}", buckets: [5, 10]}}
          - {name: never, help: H, when: "{{status}} == Failed", counter: {value: "1"}}
          - {name: level, help: H, gauge: {value: "2", operation: Add}}
      container: {image: any, command: [work]}
    - name: flaky
      retryStrategy: {limit: 3}
      metrics:
        prometheus:
          - {name: tries, help: H, labels: [{key: status, value: "{{status}}"}, {key: code, value: "{{exitCode}}"}], counter: {value: "1"}}
      container: {image: any, command: [flaky]}
    - name: wrong
      metrics: {prometheus: [{name: bad, help: H, counter: {value: "{{outputs.parameters.none}}"}}]}
      container: {image: any, command: [work]}
"""


def executor() -> FakeExecutor:
    fake = FakeExecutor()
    fake.when(template="work").takes("7s")
    fake.when(template="flaky", attempt=0).fails(exit_code=3)
    fake.when(template="flaky", attempt=1).fails(exit_code=4)
    return fake


async def test_declared_metrics(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    metrics = Metrics(clock)
    result = await flowcore.run(WORKFLOW, executor=executor(), clock=clock, observers=[metrics])
    assert result.phase == "Succeeded"
    lines = metrics.text().splitlines()
    declared = [line for line in lines if line.startswith("argo_workflows_")]
    assert declared == [
        "argo_workflows_level 2",
        'argo_workflows_seconds_bucket{le="5"} 0',
        'argo_workflows_seconds_bucket{le="10"} 1',
        'argo_workflows_seconds_bucket{le="+Inf"} 1',
        "argo_workflows_seconds_sum 7",
        "argo_workflows_seconds_count 1",
        'argo_workflows_sizes{team="red"} 3',
        "argo_workflows_takes 7",
        'argo_workflows_took{status="Succeeded"} 7',
        'argo_workflows_tries{code="3",status="Failed"} 1',
        'argo_workflows_tries{code="4",status="Failed"} 1',
        'argo_workflows_tries{code="0",status="Succeeded"} 1',
    ]
    assert "outputs.parameters.none" in caplog.text
    own = [line for line in lines if line.startswith("flowcore_") and "_bucket" not in line]
    assert 'flowcore_nodes_ended_total{phase="Failed",type="Pod"} 2' in own
    assert 'flowcore_runs_ended_total{phase="Succeeded"} 1' in own
    assert "flowcore_runs 0" in own
    assert 'flowcore_nodes_working{phase="Running"} 0' in own
    assert "flowcore_metric_errors_total 1" in own


class Reading:
    """Reads a metric whenever the node ``a`` changes."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics, self.seen = metrics, list[tuple[str, str]]()

    def watch(self, run: Observed) -> Tell:
        def tell(change: Change) -> None:
            if isinstance(change, flowcore.NodeChanged) and change.node.display_name == "a":
                lines = [line for line in self.metrics.text().splitlines() if line.startswith("argo_workflows_takes")]
                self.seen.append((str(change.node.phase), lines[0].split()[1]))

        return tell


async def test_a_realtime_gauge_follows_the_clock() -> None:
    clock = VirtualClock()
    metrics = Metrics(clock)
    reading = Reading(metrics)
    await flowcore.run(WORKFLOW, executor=executor(), clock=clock, observers=[metrics, reading])
    assert reading.seen[-1] == ("Succeeded", "7")
    assert ("Running", "0") in reading.seen


async def test_what_had_ended_before_a_run_was_taken_up_is_not_counted_again() -> None:
    store, clock, before, after = FailingStore(4, lost=False), VirtualClock(), Metrics(), Metrics()
    with pytest.raises(StoreError):
        await flowcore.run(WORKFLOW, executor=executor(), clock=clock, store=store, observers=[before])
    await flowcore.resume("wf", store=store, executor=executor(), clock=clock, observers=[after])

    def ended(metrics: Metrics) -> int:
        lines = [line for line in metrics.text().splitlines() if line.startswith("flowcore_nodes_ended_total")]
        return sum(int(line.split()[-1]) for line in lines)

    assert ended(before) > 0
    assert ended(before) + ended(after) == 7


class Broken:
    """An observer that fails."""

    def watch(self, run: Observed) -> Tell:
        def tell(change: Change) -> None:
            raise RuntimeError("no")

        return tell


async def test_an_observer_that_fails_does_not_harm_the_run(caplog: pytest.LogCaptureFixture) -> None:
    result = await flowcore.run(WORKFLOW, executor=executor(), observers=[Broken()])
    assert result.phase == "Succeeded"
    assert "an observer of a run failed" in caplog.text


async def test_logs_say_what_they_are_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "flowcore"):
        await flowcore.run(WORKFLOW, executor=executor(), observers=[RunLog()])
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert [line["message"] for line in lines] == [
        "run wf is driven",
        "run wf: Running",
        "node wf.b(0): Failed (main: Error (exit code 3))",
        "node wf.b(1): Failed (main: Error (exit code 4))",
        "run wf: Succeeded",
    ]
    assert {key: lines[2][key] for key in ("level", "logger", "workflow", "node_name", "template", "phase")} == {
        "level": "warning",
        "logger": "flowcore.runs",
        "workflow": "wf",
        "node_name": "wf.b(0)",
        "template": "flaky",
        "phase": "Failed",
    }


def test_json_lines_hold_exceptions() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, "msg %s", ("a",), (ValueError, error, error.__traceback__))
    line = json.loads(JsonLines().format(record))
    assert (line["message"], line["exception"].splitlines()[-1]) == ("msg a", "ValueError: no")


async def test_spans_of_runs_and_nodes() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="spans need opentelemetry-sdk")
    export: Any = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    from flowcore.observing.tracing import Tracing

    exporter, provider = export.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    document = WORKFLOW.replace("metadata: {name: wf}", "metadata: {name: wf, annotations: {flowcore.dev/sensitive-parameters: team}}")
    await flowcore.run(document, executor=executor(), observers=[Tracing(provider.get_tracer("test"))])
    spans = {span.attributes.get("flowcore.node_name") or span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {"workflow wf", "wf", "wf.a", "wf.b", "wf.b(0)", "wf.b(1)", "wf.b(2)", "wf.c"}

    def above(name: str) -> str:
        return str(next(key for key, span in spans.items() if span.context.span_id == spans[name].parent.span_id))

    assert {name: above(name) for name in ("wf", "wf.a", "wf.b", "wf.b(1)")} == {
        "wf": "workflow wf",
        "wf.a": "wf",
        "wf.b": "wf",
        "wf.b(1)": "wf.b",
    }
    assert spans["wf.a"].end_time - spans["wf.a"].start_time == 7_000_000_000
    assert (spans["wf.b(0)"].status.status_code.name, spans["wf.b(0)"].status.description) == ("ERROR", "main: Error (exit code 3)")
    assert spans["wf.b(0)"].attributes["flowcore.exit_code"] == "3"
    assert spans["workflow wf"].attributes["flowcore.phase"] == "Succeeded"


async def test_a_service_shows_its_metrics_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))
    service = flowcore.Service(SqliteStore(":memory:"), executor(), clock=SharedVirtualClock())
    async with service.start(), anyio.create_task_group() as tasks:
        row = await service.submit(WORKFLOW)
        await service.wait(row.name)
        port = await tasks.start(serve_metrics, service.metrics.text, "127.0.0.1", 0)
        answers = [
            await asked(port, path) for path in ("GET /metrics", "GET /healthz", "GET /other", "POST /metrics", "GET " + "x" * 20_000)
        ]
        tasks.cancel_scope.cancel()
    assert [answer.split()[1] for answer in answers] == ["200", "200", "404", "405", "404"]
    assert 'flowcore_runs_ended_total{phase="Succeeded"} 1' in answers[0]
    assert "flowcore_locks_held 0" in answers[0]
    assert "flowcore_runs_waiting 0" in answers[0]


async def asked(port: int, request: str) -> str:
    """What the server answers."""
    stream = await anyio.connect_tcp("127.0.0.1", port)
    async with stream:
        await stream.send(f"{request} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = b""
        try:
            while True:
                answer += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return answer.decode()
