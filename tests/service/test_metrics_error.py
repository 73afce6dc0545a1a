"""What cannot be worked out of declared metrics is told in the status of the run, as Argo tells it: the condition MetricsError."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore.cli.summary import described
from flowcore.clocks import RealClock
from flowcore.jsontypes import JsonObject
from flowcore.observing.conditions import joined
from flowcore.operations import export_run
from flowcore.ports import StoredRun
from flowcore.service import Runs
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.stores.sqlite import SqliteStore
from tests.service.test_service import service


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))


def metric(**given: Any) -> JsonObject:
    return {"name": "m", "help": "of a test", "gauge": {"value": "1"}, **given}


def workflow(*metrics: JsonObject, of_template: tuple[JsonObject, ...] = ()) -> JsonObject:
    leaf = {"name": "leaf", "container": {"image": "i", "command": ["c"]}, "metrics": {"prometheus": list(of_template)}}
    main = {"name": "main", "steps": [[{"name": "each", "template": "leaf", "withItems": [1, 2, 3]}]]}
    spec = {"entrypoint": "main", "templates": [main, leaf], "metrics": {"prometheus": list(metrics)}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "wf"}, "spec": spec}


async def conditions(stored: StoredRun) -> list[Any]:
    status: Any = export_run(stored)["status"]
    return [condition for condition in status["conditions"] if condition["type"] == "MetricsError"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"help": ""}, "metric 'm' must contain a help string under 'help: ' field"),
        ({"gauge": {"value": "{{nothing}}"}}, "unable to substitute parameters for metric 'm': failed to resolve {{nothing}}"),
        (
            {"labels": [{"key": "k", "value": "{{nothing}}"}]},
            "unable to substitute parameters for metric 'm': failed to resolve {{nothing}}",
        ),
        ({"when": "1 ="}, "unable to compute 'when' clause for metric 'm': "),
        ({"gauge": {"value": "many"}}, "could not construct metric 'm': its value is no number: 'many'"),
        ({"gauge": {"value": "5", "realtime": True}}, "real time metrics can only be used with metric variables"),
        ({"gauge": {"value": "{{status}}", "realtime": True}}, "'status' is not available as a real time metric"),
    ],
)
async def test_the_status_tells(given: JsonObject, message: str) -> None:
    """Of a run that is driven without a service too; it succeeds all the same."""
    store = SqliteStore(":memory:")
    result = await flowcore.run(workflow(metric(**given)), executor=FakeExecutor(), store=store)
    assert result.phase == "Succeeded"
    stored = await Runs(store, None, RealClock()).get("wf")
    (condition,) = await conditions(stored)
    assert (condition["status"], condition["message"][: len(message)]) == ("True", message)
    shown = described(stored.manifest, stored.run, stored.nodes, now=datetime.now(UTC))
    assert "✖ MetricsError" in shown
    assert message in shown


async def test_a_service_tells_once_what_many_nodes_say(caplog: pytest.LogCaptureFixture) -> None:
    """Metrics of templates and of the workflow in one condition, in the order in which they went wrong."""
    bad, worse = metric(gauge={"value": "{{outputs.result}}"}), metric(name="worse", help="")
    one = service(FakeExecutor())
    async with one.start():
        await one.submit(workflow(worse, of_template=(bad,)))
        row = await one.wait("wf")
    told = "unable to substitute parameters for metric 'm': failed to resolve {{outputs.result}}"
    assert row.conditions == (
        {
            "type": "MetricsError",
            "status": "True",
            "message": f"{told}, metric 'worse' must contain a help string under 'help: ' field",
        },
    )
    assert caplog.text.count(told) == 1
    assert "flowcore_metric_errors_total 4" in one.metrics.text()


async def test_a_run_without_metrics_has_no_condition() -> None:
    store = SqliteStore(":memory:")
    await flowcore.run(workflow(metric()), executor=FakeExecutor(), store=store)
    assert await conditions(await Runs(store, None, RealClock()).get("wf")) == []


def test_a_message_has_an_end() -> None:
    """However many things go wrong: the row is written again and again."""
    found: list[JsonObject] = [{"type": "MetricsError", "status": "True", "message": f"number {number} is wrong"} for number in range(1000)]
    (condition,) = joined([], found)
    assert len(str(condition["message"])) == 4096
    assert joined([{"type": "Other", "status": "True"}], found[:1]) == ({"type": "Other", "status": "True"}, found[0])
