"""``resource`` templates against ``FakeKube``: every action, any kind, conditions, outputs, flags."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of
from flowcore.nodes import NodeId, Phase
from flowcore.ports import Invocation, Outcome
from tests.backends.contract import invocation
from tests.backends.kubernetes.test_executor import Scene, scene, until

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes.kubectl_flags import read_flags
from flowcore_backends.kubernetes.resources import fulfilled
from flowcore_backends.kubernetes.testing import Fault, ends

JOB: JsonObject = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"parallelism": 1}}
WIDGET: JsonObject = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "w", "labels": {"a": "1"}},
    "spec": {"size": 1, "keep": 2},
}


def resource(action: str, manifest: Any = None, outputs: dict[str, Any] | None = None, **more: Any) -> Invocation:
    given: JsonObject = {"action": action, **({"manifest": json.dumps(manifest)} if manifest is not None else {}), **more}
    parameters: list[Any] = [{"name": name, "valueFrom": source} for name, source in (outputs or {}).items()]
    return invocation("act", {"resource": given, "outputs": {"parameters": parameters}})


def here(folder: Path, **options: Any) -> Any:
    return scene(folder, life=ends(), poll=timedelta(milliseconds=10), patience=timedelta(seconds=1), **options)


def keep(it: Scene, kind: str, manifest: JsonObject) -> None:
    it.kube.store.create(kind, "default", manifest)


def spec_of(it: Scene, kind: str) -> JsonObject:
    return object_of(it.kube.objects(kind)[0], "spec")


async def test_create_waits_for_conditions_and_reads_outputs(tmp_path: Path) -> None:
    outputs = {"name": {"jsonPath": "{.metadata.name}"}, "all": {"jqFilter": ".spec"}, "no": {"jsonPath": "{.no}", "default": "d"}}
    async with here(tmp_path) as it:
        asked = resource("create", JOB, outputs, successCondition="status.succeeded > 0", failureCondition="status.failed > 3")
        task = it.begin(asked)
        await until(lambda: it.names("jobs"))
        job = it.kube.store.get("jobs", "default", "job")
        it.kube.store.replace("jobs", "default", "job", {**job, "status": {"succeeded": 1}})
        ended = await task
        assert (ended.phase, ended.message) == (Phase.SUCCEEDED, "")
        assert ended.parameters == {"name": "job", "all": '{"parallelism":1}'}


async def test_a_failure_condition_fails_and_is_named(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        manifest = {**JOB, "status": {"failed": 4, "succeeded": 1}}
        ended = await it.run(resource("create", manifest, successCondition="status.succeeded > 0", failureCondition="status.failed > 3"))
        assert (ended.phase, ended.message) == (Phase.FAILED, "failure condition 'status.failed>3' evaluated true")


async def test_an_object_that_goes_while_it_is_waited_for_fails(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        task = it.begin(resource("create", JOB, successCondition="status.succeeded == 1"))
        await until(lambda: it.names("jobs"))
        it.kube.store.delete("jobs", "default", "job")
        assert "The resource has been deleted while its status was still being checked" in (await task).message


async def test_a_stopped_wait_leaves_the_object(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        asked = resource("create", JOB, successCondition="status.succeeded == 1")
        task = it.begin(asked)
        await until(lambda: it.names("jobs"))
        await it.executor.stop(asked, timedelta(0))
        assert (await task).phase is Phase.FAILED
        assert it.names("jobs") == ["job"]


@pytest.mark.parametrize(
    ("action", "manifest", "more", "expected"),
    [
        ("apply", {**WIDGET, "spec": {"size": 5}}, {}, {"size": 5, "keep": 2}),
        ("replace", {**WIDGET, "spec": {"size": 5}}, {}, {"size": 5}),
        ("patch", {**WIDGET, "spec": {"size": 5, "keep": None}}, {"mergeStrategy": "merge"}, {"size": 5}),
        ("patch", {"spec": {"size": 6}}, {"mergeStrategy": "merge", "flags": ["widget", "w"]}, {"size": 6, "keep": 2}),
        ("patch", {"spec": {"size": 6}}, {"flags": ["widgets.example.com/w"]}, {"size": 6, "keep": 2}),
        (
            "patch",
            [{"op": "replace", "path": "/spec/size", "value": 7}],
            {"mergeStrategy": "json", "flags": ["widget/w"]},
            {"size": 7, "keep": 2},
        ),
        ("get", WIDGET, {}, {"size": 1, "keep": 2}),
        ("get", None, {"flags": ["widget/w"]}, {"size": 1, "keep": 2}),
        ("get", None, {"flags": ["widgets.v1.example.com", "w"]}, {"size": 1, "keep": 2}),
    ],
)
async def test_actions_on_an_object_of_any_kind(tmp_path: Path, action: str, manifest: Any, more: Any, expected: JsonObject) -> None:
    async with here(tmp_path) as it:
        keep(it, "widgets", WIDGET)
        ended = await it.run(resource(action, manifest, {"size": {"jsonPath": "{.spec.size}"}}, **more))
        assert (ended.phase, ended.message) == (Phase.SUCCEEDED, "")
        assert spec_of(it, "widgets") == expected
        assert ended.parameters["size"] == str(expected["size"])


async def test_delete_takes_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        keep(it, "widgets", WIDGET)
        for _ in range(2):
            ended = await it.run(resource("delete", None, {"x": {"jsonPath": "{.x}", "default": "d"}}, flags=["widget/w"]))
            assert (ended.phase, ended.parameters) == (Phase.SUCCEEDED, {"x": "d"})
        assert it.names("widgets") == []


async def test_the_run_owns_what_it_is_told_to_own(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        await it.run(resource("create", WIDGET, setOwnerReference=True))
        owners: Any = object_of(it.kube.objects("widgets")[0], "metadata")["ownerReferences"]
        assert [owner["kind"] for owner in owners] == ["ConfigMap"]


async def test_names_can_be_generated_and_namespaces_given(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        manifest = {**WIDGET, "metadata": {"generateName": "w-", "namespace": "other"}}
        ended = await it.run(resource("create", manifest, {"name": {"jsonPath": "{.metadata.name}"}}, successCondition="spec.size = 1"))
        assert ended.parameters["name"].startswith("w-")
        assert object_of(it.kube.objects("widgets")[0], "metadata")["namespace"] == "other"


@pytest.mark.parametrize("metadata", [{"name": "w"}, {"generateName": "w-"}])
async def test_what_was_made_though_nobody_heard_of_it_is_taken_as_made(tmp_path: Path, metadata: Any) -> None:
    """The answer was lost, or the process was killed and the node is run again; what somebody else has made is not taken."""
    asked = resource("create", {**WIDGET, "metadata": metadata}, {"name": {"jsonPath": "{.metadata.name}"}})
    async with here(tmp_path) as it:
        it.kube.faults.append(Fault("POST .*widgets", drop=True, after=True))
        first, second = await it.run(asked), await it.run(asked)
        assert (first.phase, first.message, second.parameters) == (Phase.SUCCEEDED, "", first.parameters)
        assert it.names("widgets") == [first.parameters["name"]]
        third = await it.run(replace(asked, node=NodeId("another")))
        if "name" in metadata:
            assert (third.phase, third.message) == (Phase.FAILED, 'resource template act: widgets "w" already exists')
        else:
            assert len(it.names("widgets")) == 2


async def test_an_object_that_somebody_changes_meanwhile_is_replaced_all_the_same(tmp_path: Path) -> None:
    conflict = {"kind": "Status", "reason": "Conflict", "message": "the object has been modified"}
    async with here(tmp_path) as it:
        keep(it, "widgets", WIDGET)
        it.kube.faults.append(Fault("PUT .*widgets", status=409, body=conflict, times=2))
        ended = await it.run(resource("replace", {**WIDGET, "spec": {"size": 5}}))
        assert (ended.phase, ended.message, spec_of(it, "widgets")) == (Phase.SUCCEEDED, "", {"size": 5})
        it.kube.faults.append(Fault("PUT .*widgets", status=409, body=conflict, times=9))
        assert (await it.run(resource("replace", WIDGET))).message == "resource template act: the object has been modified"


async def test_all_that_fulfil_a_selector_are_deleted(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        for name, size in (("a", "s"), ("b", "s"), ("c", "l")):
            keep(it, "widgets", {**WIDGET, "metadata": {"name": name, "labels": {"size": size}}})
        assert (await it.run(resource("delete", None, flags=["widgets", "-l", "size=s"]))).phase is Phase.SUCCEEDED
        assert it.names("widgets") == ["c"]
        assert "--selector is for delete" in (await it.run(resource("get", None, flags=["widgets", "-l", "size=s"]))).message


async def test_a_manifest_can_be_an_artifact(tmp_path: Path) -> None:
    artifact = {"name": "m", "path": "/m", "raw": {"data": json.dumps(WIDGET)}}
    body: Any = {"resource": {"action": "create", "manifestFrom": {"artifact": {"name": "m"}}}, "inputs": {"artifacts": [artifact]}}
    async with here(tmp_path) as it:
        assert (await it.run(invocation("act", body))).phase is Phase.SUCCEEDED
        assert it.names("widgets") == ["w"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (resource("create"), "Must provide at least one of flags or manifest."),
        (resource("explode", WIDGET), "the action 'explode' is not known"),
        (resource("create", {"apiVersion": "example.com/v1", "kind": "Widget"}), "Kind and name are both required"),
        (resource("create", {**WIDGET, "kind": "Gadget"}), 'no matches for kind "Gadget" in version "example.com/v1"'),
        (resource("create", {**WIDGET, "apiVersion": "no/v1"}), 'no matches for kind "Widget" in version "no/v1"'),
        (resource("get", None, flags=["gadget/x"]), 'the server doesn\'t have a resource type "gadget"'),
        (resource("get", WIDGET), 'resource template act: widgets "w" not found'),
        (resource("create", WIDGET, flags=["--explode"]), "the flag --explode is not known here"),
        (resource("create", WIDGET, successCondition="a b c"), "success condition 'a b c' failed to parse"),
        (resource("patch", WIDGET, mergeStrategy="odd"), "the mergeStrategy 'odd' is not known"),
        (resource("create", {**WIDGET, "metadata": {"name": "No_Name"}}), 'resource template act: Widget "No_Name" is invalid'),
        (resource("create", WIDGET, {"x": {"jsonPath": "{.no}"}}), "output parameter 'x': no is not found"),
        (invocation("act", {"resource": {"action": "create", "manifest": "a: b: c"}}), "the manifest cannot be read"),
        (invocation("act", {"resource": {"action": "create", "manifest": "a: 1\n---\nb: 2"}}), "the manifest holds 2 objects"),
        (invocation("act", {"resource": {"action": "create", "manifestFrom": {"artifact": {"name": "m"}}}}), "is no input of the template"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
async def test_what_cannot_be_done_is_said(tmp_path: Path, asked: Invocation, message: str) -> None:
    async with here(tmp_path) as it:
        ended: Outcome = await it.run(asked)
        assert ended.phase is Phase.FAILED
        assert message in ended.message


async def test_no_permission_is_named(tmp_path: Path) -> None:
    async with here(tmp_path) as it:
        it.kube.forbidden.add("create widgets")
        assert (
            'cannot create resource "widgets" in API group "example.com" in the namespace "default"'
            in (await it.run(resource("create", WIDGET))).message
        )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-n", "x"], ("", "", {"namespace": "x"})),
        (["--namespace=x", "job", "j"], ("job", "j", {"namespace": "x"})),
        (["job/j", "--cascade=orphan", "--grace-period", "5"], ("job", "j", {"cascade": "orphan", "grace": "5"})),
        (["--dry-run"], ("", "", {"dry_run": "server"})),
    ],
)
def test_flags(words: list[str], expected: Any) -> None:
    flags = read_flags(words)
    assert (flags.type, flags.name, flags.given) == expected


def test_flags_that_delete() -> None:
    assert read_flags(["--cascade=orphan", "--grace-period=5"]).deletion == [("propagationPolicy", "Orphan"), ("gracePeriodSeconds", "5")]
    assert read_flags(["--dry-run=server", "--validate=strict"]).query == [("dryRun", "All"), ("fieldValidation", "Strict")]


@pytest.mark.parametrize("words", [["-n"], ["job"], ["a/b", "c/d"], ["--cascade=x"]])
def test_flags_that_are_none(words: list[str]) -> None:
    with pytest.raises(ExecutorError):
        assert read_flags(words).deletion


def test_all_of_success_must_hold() -> None:
    from flowcore.language.selectors import parse_selector

    success = parse_selector("status.a = 1,status.b in (x, y)").requirements
    assert fulfilled({"status": {"a": 1, "b": "y"}}, success, ())
    assert not fulfilled({"status": {"a": 1, "b": "z"}}, success, ())
    assert not fulfilled({}, success, ())
