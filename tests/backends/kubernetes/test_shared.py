"""What runs share through the cluster: its documents, memoized outputs in ConfigMaps, and the Workflow object that shows a run to others."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import flowcore
from flowcore.catalogs import MemoryCatalog
from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of
from flowcore.nodes import NodeId, Phase, RunRow, WorkflowPhase
from flowcore.results import RunResult

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes import KubernetesExecutor, KubernetesOptions
from flowcore_backends.kubernetes.catalog import ClusterCatalog
from flowcore_backends.kubernetes.testing import FakeKube, Fault, ends
from tests.backends.contract import until
from tests.backends.kubernetes.served import served

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
ALWAYS = timedelta(days=1)


@contextmanager
def cluster() -> Iterator[FakeKube]:
    kube = FakeKube(default=ends())
    with served(kube):
        yield kube


def named(kind: str, name: str, **more: Any) -> JsonObject:
    version = "argoproj.io/v1alpha1" if "Workflow" in kind else "v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


def catalog_of(kube: FakeKube, given: MemoryCatalog | None = None, **times: Any) -> ClusterCatalog:
    return ClusterCatalog(KubernetesOptions(api_server=kube.url), given, **times)


class TestCatalog:
    @pytest.mark.parametrize("kind", ["WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow", "ConfigMap", "Secret"])
    def test_objects_are_found_by_kind_and_name(self, kind: str) -> None:
        with cluster() as kube, catalog_of(kube) as catalog:
            kube.add(named(kind, "x", data={"a": "b"}), "here")
            found = catalog.get(kind, "x", "here")
            assert found is not None
            assert (found["kind"], found["data"]) == (kind, {"a": "b"})
            assert (catalog.get(kind, "x", "elsewhere") is None) == (kind != "ClusterWorkflowTemplate")
            assert catalog.get(kind, "y", "here") is None
            assert catalog.get("Unheard", "x", "here") is None

    def test_what_is_given_comes_first_and_asks_nobody(self) -> None:
        with cluster() as kube, catalog_of(kube, MemoryCatalog([named("ConfigMap", "x", data={"from": "file"})])) as catalog:
            kube.add(named("ConfigMap", "x", data={"from": "cluster"}))
            assert object_of(catalog.get("ConfigMap", "x") or {}, "data") == {"from": "file"}
            assert kube.requests == []

    def test_what_is_fresh_is_not_asked_again_and_what_is_stale_is(self) -> None:
        with cluster() as kube:
            kube.add(named("ConfigMap", "x", data={"n": "1"}))
            with catalog_of(kube, fresh=ALWAYS, stale=ALWAYS) as catalog:
                assert all(catalog.get("ConfigMap", "x") for _ in range(3))
                assert len(kube.requests) == 1
            with catalog_of(kube, fresh=timedelta(0), stale=timedelta(0)) as catalog:
                assert catalog.get("ConfigMap", "x") is not None
                kube.store.patch("configmaps", "default", "x", {"data": {"n": "2"}}, "merge")
                assert object_of(catalog.get("ConfigMap", "x") or {}, "data") == {"n": "2"}

    def test_what_is_between_is_answered_and_read_again_meanwhile(self) -> None:
        with cluster() as kube, catalog_of(kube, fresh=timedelta(0), stale=ALWAYS) as catalog:
            kube.add(named("ConfigMap", "x", data={"n": "1"}))
            catalog.get("ConfigMap", "x")
            kube.store.patch("configmaps", "default", "x", {"data": {"n": "2"}}, "merge")
            answers: set[object] = set()
            while {"2"} - answers:
                answers.add(object_of(catalog.get("ConfigMap", "x") or {}, "data")["n"])
            assert "1" in answers

    def test_a_missing_right_is_told_and_the_object_taken_for_absent(self, caplog: pytest.LogCaptureFixture) -> None:
        with cluster() as kube, catalog_of(kube) as catalog:
            kube.forbidden.add("get secrets")
            assert catalog.get("Secret", "x", "here") is None
            assert 'cannot get resource "secrets"' in caplog.text
            assert 'namespace "here"' in caplog.text

    def test_an_api_that_does_not_answer_is_an_error_that_names_the_request(self) -> None:
        with cluster() as kube, catalog_of(kube, patience=timedelta(0)) as catalog:
            kube.faults.append(Fault("GET", status=503, times=99))
            with pytest.raises(ExecutorError, match="configmaps/x"):
                catalog.get("ConfigMap", "x")

    def test_all_of_a_kind_page_by_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flowcore_backends.kubernetes.catalog._PAGE", 2)
        with cluster() as kube, catalog_of(kube) as catalog:
            for name in "abcde":
                kube.add(named("CronWorkflow", name))
            assert [object_of(one, "metadata")["name"] for one in catalog.all("CronWorkflow")] == [*"abcde"]


def test_a_run_takes_templates_parameters_and_limits_from_the_cluster() -> None:
    semaphore = {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "one"}}]}
    workflow: JsonObject = named(
        "Workflow",
        "wf",
        spec={
            "entrypoint": "main",
            "templates": [
                {
                    "name": "main",
                    "steps": [[{"name": "a", "templateRef": {"name": "shared", "template": "work"}}]],
                }
            ],
        },
    )
    work = {
        "name": "work",
        "synchronization": semaphore,
        "inputs": {"parameters": [{"name": "p", "valueFrom": {"configMapKeyRef": {"name": "limits", "key": "word"}}}]},
        "container": {"image": "i", "command": ["echo", "{{inputs.parameters.p}}"]},
    }
    with cluster() as kube:
        kube.add(named("WorkflowTemplate", "shared", spec={"templates": [work]}))
        labels: JsonObject = {"workflows.argoproj.io/configmap-type": "Parameter"}
        kube.add({**named("ConfigMap", "limits"), "metadata": {"name": "limits", "labels": labels}, "data": {"one": "1", "word": "hello"}})
        executor = KubernetesExecutor(api_server=kube.url)
        with executor.catalog() as catalog:
            result = flowcore.run_sync(workflow, executor=executor, catalog=catalog)
        assert (result.phase, result.message) == (WorkflowPhase.SUCCEEDED, "")
        containers = kube.objects("pods")[0]["spec"]["containers"]
        assert containers[0]["command"][-1] == "hello"


def test_a_limit_that_is_raised_lets_those_in_who_wait() -> None:
    """Nobody gives anything back: the changed ConfigMap alone wakes the second."""
    semaphore = {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "one"}}]}
    work = {"name": "work", "synchronization": semaphore, "container": {"image": "i", "command": ["true"]}}
    main = {"name": "main", "steps": [[{"name": "a", "template": "work"}, {"name": "b", "template": "work"}]]}
    workflow = named("Workflow", "wf", spec={"entrypoint": "main", "templates": [main, work]})
    with cluster() as kube:
        kube.pods.scripts.append(("", both_are_there(kube)))
        kube.add(named("ConfigMap", "limits", data={"one": "1"}))
        with catalog_of(kube, fresh=timedelta(milliseconds=50)) as catalog:
            result = flowcore.run_sync(workflow, executor=KubernetesExecutor(api_server=kube.url), catalog=catalog)
        assert result.phase is WorkflowPhase.SUCCEEDED


def both_are_there(kube: FakeKube) -> Any:
    """A pod's life that raises the limit, and ends only when there are two pods."""

    async def life(pod: Any) -> None:
        kube.store.patch("configmaps", "default", "limits", {"data": {"one": "2"}}, "merge")
        await until(lambda: len(kube.objects("pods")) >= 2)
        await ends()(pod)

    return life


# --- memoized outputs -------------------------------------------------------------------------------------------------------------------

OUTPUTS: JsonObject = {"parameters": [{"name": "p", "value": "v"}]}
ENTRY = {"nodeID": "by-argo", "outputs": OUTPUTS, "creationTimestamp": "2024-05-01T11:00:00Z", "lastHitTimestamp": "2024-05-01T11:00:00Z"}
LABEL: JsonObject = {"workflows.argoproj.io/configmap-type": "Cache"}


@asynccontextmanager
async def cache_scene() -> AsyncIterator[tuple[FakeKube, Any]]:
    async with FakeKube() as kube:
        executor = KubernetesExecutor(api_server=kube.url)
        yield kube, executor.cache()
        async with executor._connected() as connected:
            pass
        await connected.close_if_idle()


def cache_map(**data: str) -> JsonObject:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "labels": LABEL}, "data": {**data}}


class TestCache:
    async def test_what_is_remembered_is_kept_as_argo_keeps_it(self) -> None:
        async with cache_scene() as (kube, cache):
            await cache.remember("c", "k", namespace="default", node=NodeId("n-1"), outputs=OUTPUTS, now=NOW)
            await cache.remember("c", "other", namespace="default", node=NodeId("n-2"), outputs=None, now=NOW)
            made = kube.objects("configmaps")[0]
            assert object_of(object_of(made, "metadata"), "labels") == LABEL
            at = "2024-05-01T12:00:00Z"
            assert json.loads(object_of(made, "data")["k"]) == {
                "nodeID": "n-1",
                "outputs": OUTPUTS,
                "creationTimestamp": at,
                "lastHitTimestamp": at,
            }
            assert json.loads(object_of(made, "data")["other"])["outputs"] is None

    @pytest.mark.parametrize(
        ("max_age", "hit"), [(None, True), (timedelta(hours=1), True), (timedelta(minutes=59), False)], ids=["any age", "young", "old"]
    )
    async def test_an_entry_of_argo_is_read_and_its_last_hit_noted(self, max_age: timedelta | None, hit: bool) -> None:
        async with cache_scene() as (kube, cache):
            kube.add(cache_map(k=json.dumps(ENTRY)))
            answer = await cache.recall("c", "k", namespace="default", max_age=max_age, now=NOW)
            assert (answer.hit, answer.outputs, answer.error) == (hit, OUTPUTS if hit else None, None)
            entry = json.loads(object_of(kube.objects("configmaps")[0], "data")["k"])
            assert entry["lastHitTimestamp"] == "2024-05-01T12:00:00Z"

    @pytest.mark.parametrize(
        ("present", "error"),
        [
            (None, None),
            (cache_map(other="{}"), None),
            (cache_map(k=""), None),
            (cache_map(k="{"), "malformed cache entry"),
            ({**cache_map(), "metadata": {"name": "c"}}, "refusing to use it"),
        ],
        ids=["no map", "no key", "empty", "broken", "no label"],
    )
    async def test_misses_and_errors(self, present: JsonObject | None, error: str | None) -> None:
        async with cache_scene() as (kube, cache):
            if present is not None:
                kube.add(present)
            answer = await cache.recall("c", "k", namespace="default", max_age=None, now=NOW)
            assert not answer.hit
            assert (error or "") in (answer.error or "")
            assert (answer.error is None) == (error is None)

    async def test_who_changes_the_map_at_the_same_time_loses_nothing(self) -> None:
        async with cache_scene() as (kube, cache):
            kube.add(cache_map())
            await asyncio.gather(
                *(cache.remember("c", f"k{n}", namespace="default", node=NodeId(f"n{n}"), outputs=None, now=NOW) for n in range(4))
            )
            assert set(object_of(kube.objects("configmaps")[0], "data")) == {"k0", "k1", "k2", "k3"}

    async def test_a_run_takes_what_an_earlier_one_left(self) -> None:
        memoize = {"key": "k", "cache": {"configMap": {"name": "c"}}}
        body: JsonObject = {"name": "main", "memoize": memoize, "container": {"image": "i", "command": ["true"]}}
        workflow = named("Workflow", "wf", spec={"entrypoint": "main", "templates": [body]})
        async with FakeKube() as kube:
            hits = []
            for name in ("first", "second"):
                executor = KubernetesExecutor(api_server=kube.url)
                result = await flowcore.run(workflow, executor=executor, cache=executor.cache(), name=name)
                hits.append((result.phase, (result.node(name).memoization or {})["hit"]))
            assert hits == [(WorkflowPhase.SUCCEEDED, False), (WorkflowPhase.SUCCEEDED, True)]
            assert len(kube.objects("pods")) == 1


# --- the Workflow object ----------------------------------------------------------------------------------------------------------------


def plain(name: str = "wf") -> JsonObject:
    body: JsonObject = {"name": "main", "container": {"image": "i", "command": ["true"]}}
    metadata: JsonObject = {"name": name, "labels": {"team": "a"}}
    return {**named("Workflow", name), "metadata": metadata, "spec": {"entrypoint": "main", "templates": [body]}}


def shown_in(kube: FakeKube) -> JsonObject:
    (found,) = kube.objects("workflows")
    return found


class TestWorkflowObject:
    async def test_a_run_is_shown_and_owns_its_pods(self) -> None:
        async with FakeKube() as kube:
            executor = KubernetesExecutor(api_server=kube.url, write_back=True)
            async with flowcore.open_run(plain(), executor=executor) as run, executor.shown(run):
                result = await run.result()
            found = shown_in(kube)
            metadata, status = object_of(found, "metadata"), object_of(found, "status")
            assert (status["phase"], status["progress"]) == ("Succeeded", "1/1")
            assert object_of(status, "nodes") == object_of(object_of(result.to_json(), "status"), "nodes")
            assert object_of(metadata, "labels") == {
                "team": "a",
                "workflows.argoproj.io/controller-instanceid": "flowcore",
                "app.kubernetes.io/managed-by": "flowcore",
                "workflows.argoproj.io/completed": "true",
                "workflows.argoproj.io/phase": "Succeeded",
            }
            (owner,) = object_of(kube.objects("pods")[0], "metadata")["ownerReferences"]
            assert (owner["kind"], owner["uid"]) == ("Workflow", metadata["uid"])
            assert kube.objects("configmaps") == []

    async def test_an_object_that_somebody_submitted_is_written_into(self) -> None:
        async with FakeKube() as kube:
            given = object_of(kube.add(plain("theirs")), "metadata")
            executor = KubernetesExecutor(api_server=kube.url, write_back=True, workflow_owner=given)
            async with flowcore.open_run(plain(), executor=executor) as run, executor.shown(run):
                await run.result()
            assert object_of(shown_in(kube), "status")["phase"] == "Succeeded"

    async def test_where_workflows_are_unknown_the_run_is_told_of_and_not_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        async with FakeKube() as kube:
            kube.forbidden.add("create workflows")
            executor = KubernetesExecutor(api_server=kube.url, write_back=True)
            async with flowcore.open_run(plain(), executor=executor) as run, executor.shown(run):
                result = await run.result()
            assert result.phase is WorkflowPhase.ERROR
            assert "cannot create resource" in result.message
            assert "is not shown in the cluster" in caplog.text

    async def test_the_object_of_another_run_is_left_alone(self) -> None:
        async with FakeKube() as kube:
            kube.add(plain())
            executor = KubernetesExecutor(api_server=kube.url, write_back=True)
            result = await flowcore.run(plain(), executor=executor)
            assert "Workflow wf in namespace default is of another run" in result.message
            assert "status" not in shown_in(kube)

    async def test_only_changes_are_written_and_large_states_are_compressed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from flowcore_backends.kubernetes.workflow_object import WorkflowObject

        sent: list[Any] = []

        class Recorder:
            async def request(self, method: str, path: str, *, body: Any, content_type: str) -> JsonObject:
                sent.append(body)
                return {}

        def state(**phases: Phase) -> RunResult:
            row = RunRow(name="wf", namespace="default", uid="u", phase=WorkflowPhase.RUNNING)
            nodes = {NodeId(name): node(name, number, phase) for number, (name, phase) in enumerate(phases.items())}
            return RunResult(row, nodes, plain())

        written = WorkflowObject(Recorder(), "default", "wf")
        await written.write(state(a=Phase.RUNNING, b=Phase.RUNNING))
        assert sent[0] == {"status": None}
        assert set(sent[1]["status"]["nodes"]) == {"a", "b"}
        await written.write(state(a=Phase.RUNNING, b=Phase.SUCCEEDED))
        assert sent[2]["status"]["nodes"] == {"b": {"phase": "Succeeded", "progress": "1/1"}}
        await written.write(state(a=Phase.RUNNING))
        assert sent[3]["status"]["nodes"] == {"b": None}
        monkeypatch.setattr("flowcore_backends.kubernetes.workflow_object._LARGEST", 10)
        await written.write(state(a=Phase.FAILED))
        assert sent[4]["status"]["nodes"] is None
        assert json.loads(gzip.decompress(base64.b64decode(sent[4]["status"]["compressedNodes"])))["a"]["phase"] == "Failed"
        monkeypatch.undo()
        await written.write(state(a=Phase.FAILED, b=Phase.FAILED))
        assert set(sent[5]["status"]["nodes"]) == {"a", "b"}
        assert sent[5]["status"]["compressedNodes"] is None


def node(name: str, number: int, phase: Phase) -> Any:
    from flowcore.nodes import Node, NodeType

    return Node(id=NodeId(name), name=name, display_name=name, type=NodeType.POD, seq=number, phase=phase)


def test_the_command_line_takes_templates_from_the_cluster_and_shows_the_run_there(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from flowcore.cli.app import app

    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path / "state"))
    workflow = named("Workflow", "wf", spec={"workflowTemplateRef": {"name": "shared"}})
    (tmp_path / "wf.yaml").write_text(json.dumps(workflow))
    memoize = {"key": "k", "cache": {"configMap": {"name": "c"}}}
    body: JsonObject = {"name": "main", "memoize": memoize, "container": {"image": "i", "command": ["true"]}}
    with cluster() as kube:
        kube.add(named("WorkflowTemplate", "shared", spec={"entrypoint": "main", "templates": [body]}))
        options = [f"--backend-option=api-server={kube.url}", "--backend-option=write-back=true"]
        ended = CliRunner().invoke(app, ["run", "--backend", "kubernetes", *options, str(tmp_path / "wf.yaml")])
        assert ended.exit_code == 0, ended.output
        assert object_of(shown_in(kube), "status")["phase"] == "Succeeded"
        assert list(object_of(kube.objects("configmaps")[0], "data")) == ["k"]
