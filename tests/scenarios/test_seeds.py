"""Every workflow of the seed documents runs on the fake backend with the tree that its document describes.

The whole trees stand in ``golden``; what the documents say in words is asserted here. Those trees are made anew with
``FLOWCORE_GOLDEN=write pytest tests/scenarios/test_seeds.py``; read the difference before it is kept.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore.catalogs import MemoryCatalog
from flowcore.clocks import VirtualClock
from flowcore.jsontypes import JsonObject
from flowcore.manifests import load_documents
from flowcore_backends.fake import FakeExecutor
from tests.scenarios.documents import SEEDS, split, yaml
from tests.scenarios.trees import phases, table
from tests.scenarios.worlds import SEEDS as WORLDS

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in SEEDS.glob("*.yaml"))
TEMPLATES = {"002-04-step-notify-webhook", "002-05-step-notify-email"}  # nothing to run by themselves

SECRET = yaml(
    """
    apiVersion: v1
    kind: Secret
    metadata: {name: my-secret}
    stringData: {mypassword: S00perS3cretPa55word}
    """
)


async def play(name: str, fake: FakeExecutor | None = None, *, run_name: str = "wf", **options: Any) -> Any:
    """The result of a seed on the fake backend, in the world that is written down for it."""
    workflow, catalog = split(SEEDS / f"{name}.yaml", SECRET)
    fake = fake or FakeExecutor(record=True)
    WORLDS[name](fake)
    return await flowcore.run(
        flowcore.load_workflow(workflow), executor=fake, catalog=catalog, clock=VirtualClock(), name=run_name, **options
    )


def said(fake: FakeExecutor, what: str) -> dict[str, str]:
    """What the containers of a template were told, by display name."""
    return {call.display_name: " ".join(call.body["container"]["args"]) for call in fake.calls(what)}


def children(result: Any, name: str) -> list[str]:
    """The names of the nodes that hang below a node."""
    (parent,) = (node.id for node in result.nodes.values() if node.name == name)
    return sorted(node.name for node in result.nodes.values() if parent in node.parents)


@pytest.mark.parametrize("name", NAMES)
def test_loads_without_a_complaint(name: str) -> None:
    documents = load_documents(SEEDS / f"{name}.yaml")
    assert [problem for document in documents for problem in document.problems] == []
    for document in documents:
        assert document.model is None or document.model.to_json() == document.json


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TEMPLATES])
async def test_leaves_the_tree_that_is_written_down(name: str) -> None:
    result = await play(name)
    found = f"{result.phase}" + (f": {result.message}" if result.message else "") + "\n\n" + table("wf", result.nodes)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("FLOWCORE_GOLDEN") == "write":
        file.write_text(found)
    assert found == file.read_text()


@pytest.mark.parametrize("name", ["000-00-exit-handlers", "002-00-exit-handlers", "003-17-exit-handlers"])
async def test_the_exit_handler_mourns_a_failure(name: str) -> None:
    """The run stays Failed; the mail is sent, the celebration is Skipped."""
    result = await play(name)
    assert (result.phase, result.message) == ("Failed", "main: Error (exit code 1)")
    assert phases(result.nodes) == {
        "wf": "Failed",
        "wf.onExit": "Succeeded",
        "wf.onExit[0].notify": "Succeeded",
        "wf.onExit[0].celebrate": "Skipped",
        "wf.onExit[0].cry": "Succeeded",
    }
    assert result.node("celebrate").message == "when 'Failed == Succeeded' evaluated false"


@pytest.mark.parametrize("name", ["000-00-exit-handlers", "002-00-exit-handlers", "003-17-exit-handlers"])
async def test_the_exit_handler_celebrates_a_success(name: str) -> None:
    fake = FakeExecutor(record=True)
    fake.when("intentional-fail").succeeds()
    workflow, _ = split(SEEDS / f"{name}.yaml")
    result = await flowcore.run(flowcore.load_workflow(workflow), executor=fake, clock=VirtualClock(), name="wf")
    assert result.phase == "Succeeded"
    assert result.node("celebrate").phase == "Succeeded"
    assert result.node("cry").phase == "Skipped"


async def test_the_mail_names_what_failed() -> None:
    """``workflow.failures`` is a JSON list, quoted once more, of what the document shows in its log."""
    fake = FakeExecutor(record=True)
    fake.when("intentional-fail").fails(1).takes("30s")
    workflow, _ = split(SEEDS / "002-00-exit-handlers.yaml")
    await flowcore.run(flowcore.load_workflow(workflow), executor=fake, clock=VirtualClock(), name="exit-handlers-44ltf")
    start, _, listed = said(fake, "send-email")["notify"].partition(". Failed steps ")
    assert start == "echo send e-mail: exit-handlers-44ltf Failed 30.000000"
    (failure,) = json.loads(json.loads(listed))
    finished = failure.pop("finishedAt")
    assert finished.endswith("Z")
    assert failure == {
        "displayName": "exit-handlers-44ltf",
        "message": "main: Error (exit code 1)",
        "templateName": "intentional-fail",
        "phase": "Failed",
        "podName": "exit-handlers-44ltf",
    }


async def test_pods_are_named_as_in_the_document() -> None:
    """The document lists the pods of its run: the root has the run's name, the others the template's and a hash."""
    fake = FakeExecutor(record=True)
    await play("002-00-exit-handlers", fake, run_name="exit-handlers-44ltf")
    expected = ["exit-handlers-44ltf", "exit-handlers-44ltf-cry-1621717811", "exit-handlers-44ltf-send-email-2605424148"]
    assert sorted(call.pod_name for call in fake.calls()) == expected


async def test_both_hooks_of_a_workflow_fire_once() -> None:
    result = await play("002-01-lifecycle-hook")
    assert phases(result.nodes) == {
        "wf": "Succeeded",
        "wf[0].step1": "Succeeded",
        "wf.hooks.running": "Succeeded",
        "wf.onExit": "Succeeded",
    }
    assert result.node("wf.hooks.running").type == "HTTP"


async def test_each_hook_of_a_step_fires_once() -> None:
    result = await play("002-02-lifecycle-hook-tmpl-level")
    hooks = sorted(name for name in phases(result.nodes) if ".hooks." in name)
    steps = ["wf[0].step-1", "wf[1].step2"]
    assert hooks == [f"{step}.hooks.{hook}" for step in steps for hook in ("running", "success")]
    assert all(result.node(hook).hooked for hook in hooks)


async def test_a_hook_called_exit_is_the_exit_handler() -> None:
    result = await play("002-03-lifecycle-hook-exit")
    assert phases(result.nodes) == {"wf": "Succeeded", "wf[0].step1": "Succeeded", "wf.onExit": "Succeeded"}


async def test_a_step_has_an_exit_handler_of_its_own() -> None:
    result = await play("001-00-exit-handler-example")
    assert "wf[0].exit-handler.onExit" in phases(result.nodes)
    assert "wf[0].task-1.onExit" not in phases(result.nodes)


async def test_the_waits_between_attempts_grow() -> None:
    """Waits of 1, 2, 4, ... seconds, until the next one would end after the minute that all attempts have."""
    fake = FakeExecutor(record=True)
    fake.when("retry-backoff").fails(1)
    workflow, _ = split(SEEDS / "000-01-retry-backoff.yaml")
    result = await flowcore.run(flowcore.load_workflow(workflow), executor=fake, clock=VirtualClock(), name="wf")
    attempts = sorted((node for node in result.nodes.values() if node.retried), key=lambda node: node.started_at)
    assert [node.name for node in attempts] == [f"wf({number})" for number in range(6)]
    waits = [(after.started_at - before.finished_at) for before, after in pairwise(attempts)]
    assert waits == [timedelta(seconds=2**number) for number in range(5)]
    assert (result.phase, result.message) == ("Failed", "Backoff would exceed max duration limit")


async def test_the_third_attempt_works() -> None:
    result = await play("000-01-retry-backoff")
    assert phases(result.nodes) == {"wf": "Succeeded", "wf(0)": "Failed", "wf(1)": "Failed", "wf(2)": "Succeeded"}
    assert result.node("wf").type == "Retry"


async def test_the_recursive_coin_flip_nests() -> None:
    """Each tails is a level of the tree, as the document prints it; heads ends it."""
    result = await play("003-16-coinflip-recursive")
    level_two, level_three = "wf[1].tails", "wf[1].tails[1].tails"
    assert phases(result.nodes) == {
        "wf": "Succeeded",
        "wf[0].flip-coin": "Succeeded",
        "wf[1].heads": "Skipped",
        level_two: "Succeeded",
        f"{level_two}[0].flip-coin": "Succeeded",
        f"{level_two}[1].heads": "Skipped",
        level_three: "Succeeded",
        f"{level_three}[0].flip-coin": "Succeeded",
        f"{level_three}[1].heads": "Succeeded",
        f"{level_three}[1].tails": "Skipped",
    }


async def test_the_daemon_stops_when_its_scope_ends() -> None:
    """It counts as done while it runs, its address reaches those that follow, and it ends Succeeded with the template around it."""
    fake = FakeExecutor(record=True)
    workflow, catalog = split(SEEDS / "003-21-daemon-step.yaml")
    WORLDS["003-21-daemon-step"](fake)
    seen: list[tuple[str, bool]] = []
    async with flowcore.open_run(flowcore.load_workflow(workflow), executor=fake, catalog=catalog, clock=VirtualClock(), name="wf") as run:
        async for change in run.events():
            if isinstance(change, flowcore.NodeChanged) and change.node.name == "wf[0].influx":
                seen.append((str(change.node.phase), change.node.daemoned))
        result = await run.result()
    assert ("Running", True) in seen
    assert seen[-1] == ("Succeeded", False)
    assert result.phase == "Succeeded"
    assert (
        said(fake, "influxdb-client")["init-database"]
        == "curl -XPOST 'http://10.0.0.1:8086/query' --data-urlencode \"q=CREATE DATABASE mydb\""
    )
    influx, consumer = result.node("influx"), result.node("consumer")
    assert influx.finished_at >= consumer.finished_at


async def test_the_timeout_ends_a_sleep() -> None:
    result = await play("003-18-timeouts")
    assert (result.phase, result.message) == ("Failed", "Pod was active on the node longer than the specified deadline")
    node = result.node("wf")
    assert node.finished_at - node.started_at == timedelta(seconds=10)


async def test_the_diamond_is_drawn_as_a_graph() -> None:
    result = await play("003-06-dag-diamond")
    assert children(result, "wf") == ["wf.A"]
    assert children(result, "wf.A") == ["wf.B", "wf.C"]
    assert children(result, "wf.B") == children(result, "wf.C") == ["wf.D"]


async def test_parameters_of_the_command_line_win() -> None:
    fake = FakeExecutor(record=True)
    await play("003-03-hello-world-parameters", fake, parameters={"message": "goodbye world"})
    assert said(fake, "whalesay") == {"wf": "goodbye world"}


async def test_another_entrypoint_sees_the_same_global_parameters() -> None:
    fake = FakeExecutor(record=True)
    result = await play("003-04-global-parameters", fake, entrypoint="B", parameters={"log-level": "DEBUG"})
    assert result.node("wf").template_name == "B"
    assert [call.body["container"]["env"][0]["value"] for call in fake.calls()] == ["DEBUG"]


async def test_loops_make_a_node_for_each_item() -> None:
    loops = await play("003-11-loops")
    assert children(loops, "wf[0]") == ["wf[0].print-message(0:hello world)", "wf[0].print-message(1:goodbye world)"]
    maps = await play("003-12-loops-maps")
    assert children(maps, "wf[0]")[0] == "wf[0].test-linux(0:image:debian,tag:9.1)"
    parameters = await play("003-13-loops-param-arg")
    assert children(parameters, "wf[0]") == children(maps, "wf[0]")
    results = await play("003-14-loops-param-result")
    assert len(children(results, "wf[1]")) == 11
    assert "wf[1].sleep(10:30)" in children(results, "wf[1]")


async def test_a_result_and_an_output_parameter_reach_the_next_step() -> None:
    for seed, expected in (("003-09-scripts-bash", "57"), ("003-10-output-parameter", "hello world")):
        result = await play(seed)
        consumer = result.node("wf[1].print" if seed.startswith("003-09") else "wf[1].consume-parameter")
        assert consumer.inputs == {"parameters": [{"name": "message", "value": expected}]}


async def test_the_artifact_of_one_step_is_the_input_of_the_next() -> None:
    result = await play("003-07-artifact-passing")
    (made,) = result.node("generate-artifact").outputs["artifacts"]
    (taken,) = result.node("consume-artifact").inputs["artifacts"]
    assert made["path"] == "/tmp/hello_world.txt"
    assert taken["path"] == "/tmp/message"
    assert taken["s3"]["key"] == made["s3"]["key"]


# --- the notification templates, which other workflows refer to -----------------------------------------------------------------------

CALLER = """
    apiVersion: argoproj.io/v1alpha1
    kind: Workflow
    metadata: {{generateName: notify-}}
    spec:
      entrypoint: main
      onExit: tell
      templates:
      - name: main
        container: {{image: alpine, command: ["true"]}}
      - name: tell
        steps:
        - - name: tell
            templateRef: {{name: {name}, template: {template}, clusterScope: true}}
            arguments:
              parameters: {parameters}
    """


async def tell(seed: str, name: str, template: str, parameters: str) -> JsonObject:
    """The body of the referenced template, as it was to run."""
    (document,) = load_documents(SEEDS / f"{seed}.yaml")
    workflow = yaml(CALLER.format(name=name, template=template, parameters=parameters))
    fake = FakeExecutor(record=True)
    result = await flowcore.run(
        flowcore.load_workflow(workflow), executor=fake, catalog=MemoryCatalog([document.json]), clock=VirtualClock(), name="wf"
    )
    assert result.phase == "Succeeded"
    assert result.node("wf.onExit[0].tell").template_ref == {"name": name, "template": template, "clusterScope": True}
    (call,) = fake.calls(template)
    return call.body


async def test_the_webhook_template_posts_the_status() -> None:
    body = await tell(
        "002-04-step-notify-webhook", "step-notify-webhook", "webhook", "[{name: WEBHOOK_ENDPOINT, value: http://example.org/hook}]"
    )
    container = body["container"]
    assert container["image"] == "curlimages/curl:8.4.0"
    (command,) = container["args"]
    assert command.endswith("http://example.org/hook")
    sent = json.loads(command[command.index("'") + 1 : command.rindex("'")])
    assert sent["message"] == "wf Succeeded"
    assert sent["workflow"]["status"] == "Succeeded"


async def test_the_mail_template_reads_its_credentials_from_a_secret() -> None:
    parameters = "[{name: CREDENTIALS_SECRET, value: mail}, {name: TO, value: reader@example.org}]"
    body = await tell("002-05-step-notify-email", "step-notify-email", "email", parameters)
    script = body["script"]
    assert script["image"] == "docker.io/library/python:3.8-alpine"
    assert {"name": "TO", "value": "reader@example.org"} in script["env"]
    secrets = {entry["valueFrom"]["secretKeyRef"]["name"] for entry in script["env"] if "valueFrom" in entry}
    assert secrets == {"mail"}
    assert "subject = 'wf Succeeded'" in script["source"]
