"""The executor against ``FakeKube``: pods that are processes of this machine, and pods that follow a script."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.nodes import Phase
from flowcore.ports import Invocation, Outcome, Progressed, Ready, Started
from tests.backends.contract import ExecutorContract, Play, invocation, run_context

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.testing import FakeKube, Fault, Life, ends, local_processes, never_scheduled, runs_for_ever
from flowcore_backends.kubernetes.testing.lives import FakePod, running

needs_busybox = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox on this machine")


class Scene(Play):
    def __init__(self, kube: FakeKube, executor: KubernetesExecutor, context: Any) -> None:
        super().__init__(executor, context)
        self.kube = kube

    def started(self, asked: Invocation) -> bool:
        return any(report.node == asked.node for report in self.reported(Started))

    def begin(self, asked: Invocation) -> asyncio.Task[Outcome]:
        return asyncio.create_task(self.run(asked))

    def reported(self, kind: type) -> list[Any]:
        return [report for report in self.reports if isinstance(report, kind)]

    def names(self, resource: str) -> list[Any]:
        return [object_of(one, "metadata")["name"] for one in self.kube.objects(resource)]


@asynccontextmanager
async def scene(
    folder: Path, *, life: Life | None = None, spec: JsonObject | None = None, seconds: float = 30, **options: Any
) -> AsyncIterator[Scene]:
    """A cluster and an executor; ``seconds`` bound the whole test."""
    async with FakeKube(default=life or local_processes(folder / "pods")) as kube:
        executor = KubernetesExecutor(api_server=kube.url, **options)
        context = run_context(folder, spec=spec or {})
        async with asyncio.timeout(seconds):
            try:
                yield Scene(kube, executor, context)
            finally:
                await executor.close(context)


def held(go: asyncio.Event, code: int = 0) -> Life:
    """A pod's life that runs until ``go`` is set, and then ends."""

    async def life(pod: FakePod) -> None:
        pod.show("Running", {text_of(one, "name"): running() for one in objects_of(pod.spec, "containers")})
        await go.wait()
        await ends(code)(pod)

    return life


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.005)


@needs_busybox
class TestContract(ExecutorContract):
    """The contract of all executors, with pods that are processes here."""

    @pytest.fixture
    def loop(self) -> str:
        return "asyncio"

    @pytest.fixture
    def play(self, tmp_path: Path) -> Any:
        def start(play_scene: Any) -> None:
            async def within() -> None:
                async with scene(tmp_path) as it:
                    await play_scene(it)

            asyncio.run(within())

        return start

    def executor(self) -> Any:
        return KubernetesExecutor()


@needs_busybox
class TestOutputs:
    async def test_parameters_artifacts_and_result_of_small_size_need_no_exec(self, tmp_path: Path) -> None:
        file, folder = tmp_path / "out.txt", tmp_path / "folder"
        script = f"echo value > {file}; mkdir {folder}; echo x > {folder}/x; echo said"
        outputs: JsonObject = {
            "parameters": [{"name": "p", "valueFrom": {"path": str(file)}}],
            "artifacts": [{"name": "a", "path": str(folder)}, {"name": "none", "path": "/no/such"}],
        }
        body: JsonObject = {"container": {"image": "i", "command": ["sh", "-c", script]}, "outputs": outputs}
        async with scene(tmp_path, exec=False) as it:
            ended = await it.run(invocation("work", body, capture_result=True))
            assert (ended.phase, ended.message, ended.result, ended.parameters) == (Phase.SUCCEEDED, "", "said", {"p": "value"})
            assert set(ended.artifacts) == {"a"}
            assert await it.context.artifacts.keys("wf/") == [ended.artifacts["a"]["s3"]["key"]]
            assert ended.host_node_name == "node1"
            assert not any("exec" in request for request in it.kube.requests)

    async def test_large_ones_come_by_exec_and_the_pod_is_let_go(self, tmp_path: Path) -> None:
        file = tmp_path / "large"
        body: JsonObject = {
            "container": {"image": "i", "command": ["sh", "-c", f"head -c 3000000 /dev/urandom > {file}"]},
            "outputs": {"artifacts": [{"name": "a", "path": str(file), "archive": {"none": {}}}]},
        }
        async with scene(tmp_path) as it:
            ended = await it.run(invocation("work", body))
            assert (ended.phase, ended.message) == (Phase.SUCCEEDED, "")
            target = tmp_path / "loaded"
            await it.context.artifacts.load(ended.artifacts["a"]["s3"]["key"], target)
            assert target.read_bytes() == file.read_bytes()
            await until(lambda: object_of(it.kube.objects("pods")[0], "status")["phase"] == "Succeeded")

    async def test_where_exec_is_refused_the_message_says_what_is_needed(self, tmp_path: Path) -> None:
        body: JsonObject = {
            "container": {"image": "i", "command": ["sh", "-c", f"head -c 20000 /dev/urandom > {tmp_path}/f"]},
            "outputs": {"artifacts": [{"name": "a", "path": f"{tmp_path}/f"}]},
        }
        async with scene(tmp_path) as it:
            it.kube.forbidden.add("get pods/exec")
            ended = await it.run(invocation("work", body))
            assert ended.phase is Phase.ERROR
            assert "allow get and create on pods/exec" in ended.message

    @pytest.mark.parametrize("inline", [64 << 10, 0], ids=["in the manifest", "by exec"])
    async def test_inputs_and_scripts_are_in_place(self, tmp_path: Path, inline: int) -> None:
        body: JsonObject = {
            "script": {"image": "i", "command": ["sh"], "source": "cat $WHERE", "env": [{"name": "WHERE", "value": "/srv/greeting"}]},
            "inputs": {"artifacts": [{"name": "x", "path": "/srv/greeting", "raw": {"data": "hello"}}]},
        }
        async with scene(tmp_path, inline_inputs=inline) as it:
            ended = await it.run(invocation("work", body, capture_result=True))
            assert (ended.phase, ended.message, ended.result) == (Phase.SUCCEEDED, "", "hello")
            assert any("exec" in request for request in it.kube.requests) == (inline == 0)

    async def test_older_clusters_that_cannot_close_stdin_get_large_inputs_too(self, tmp_path: Path) -> None:
        """Kubernetes 1.29 speaks only version 4 of the protocol."""
        artifact: JsonObject = {"name": "x", "path": "/in/x", "raw": {"data": "hello" * 1000}}
        body: JsonObject = {"script": {"image": "i", "command": ["sh"], "source": "wc -c < /in/x"}, "inputs": {"artifacts": [artifact]}}
        async with scene(tmp_path, inline_inputs=0) as it:
            it.kube.exec_protocols = ("v4.channel.k8s.io",)
            ended = await it.run(invocation("work", body, capture_result=True))
            assert (ended.phase, ended.message, ended.result) == (Phase.SUCCEEDED, "", "5000")

    async def test_what_is_printed_is_reported(self, tmp_path: Path) -> None:
        async with scene(tmp_path) as it:
            await it.run(invocation("prints"))
            assert it.printed() == "one\ntwo"

    async def test_sidecars_end_after_main_and_their_failures_count(self, tmp_path: Path) -> None:
        sidecars: list[Any] = [
            {"name": "good", "image": "i", "command": ["sleep", "60"]},
            {"name": "bad", "image": "i", "command": ["sh", "-c", "exit 3"]},
        ]
        async with scene(tmp_path) as it:
            main: JsonObject = {"container": {"image": "i", "command": ["sleep", "0.3"]}}
            good = await it.run(invocation("work", {**main, "sidecars": sidecars[:1]}))
            bad = await it.run(invocation("work", {**main, "sidecars": sidecars}))
            assert (good.phase, good.message) == (Phase.SUCCEEDED, "")
            assert (bad.phase, bad.message) == (Phase.FAILED, "bad: Error (exit code 3)")

    async def test_containers_of_a_set(self, tmp_path: Path) -> None:
        containers: list[Any] = [
            {"name": "a", "image": "i", "command": ["true"]},
            {"name": "b", "image": "i", "command": ["false"], "dependencies": ["a"]},
            {"name": "main", "image": "i", "command": ["echo", "done"]},
        ]
        async with scene(tmp_path) as it:
            ended = await it.run(invocation("work", {"containerSet": {"containers": containers}}, capture_result=True))
            assert (ended.phase, ended.message, ended.result) == (Phase.FAILED, "b: Error (exit code 1)", "done")
            assert {name: member.phase.value for name, member in ended.members.items()} == {
                "a": "Succeeded",
                "b": "Failed",
                "main": "Succeeded",
            }


class TestLife:
    async def test_pending_reasons_are_reported_once_each(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=never_scheduled("0/1 nodes")) as it:
            asked = invocation("lasts")
            task = it.begin(asked)
            await until(lambda: it.reported(Progressed))
            assert [report.message for report in it.reported(Progressed)] == ["Unschedulable: 0/1 nodes"]
            await it.executor.stop(asked, timedelta(seconds=30))
            assert (await task).phase is Phase.FAILED
            assert not it.reported(Started)

    async def test_stopping_gives_the_grace_that_was_asked_for(self, tmp_path: Path) -> None:
        """And not the pod's own, which is how long its outputs are held."""
        async with scene(tmp_path, life=runs_for_ever()) as it:
            asked = invocation("lasts")
            task, graces = it.begin(asked), list[Any]()
            it.kube.store.on_change.append(
                lambda event: graces.append(object_of(event.object, "metadata").get("deletionGracePeriodSeconds"))
            )
            await until(lambda: it.started(asked))
            await it.executor.stop(asked, timedelta(seconds=7))
            await task
            assert {grace for grace in graces if grace is not None} == {7}

    async def test_a_running_pod_that_somebody_deletes_is_an_error(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=runs_for_ever()) as it:
            asked = invocation("lasts")
            task = it.begin(asked)
            await until(lambda: it.started(asked))
            it.kube.store.delete("pods", "default", asked.pod_name, grace=5)
            ended = await task
            assert (ended.phase, ended.message) == (Phase.ERROR, "pod deleted")

    async def test_a_pod_that_vanished_while_nobody_looked_is_an_error(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=runs_for_ever()) as it:
            asked = invocation("lasts")
            task = it.begin(asked)
            await until(lambda: it.started(asked))
            it.kube.drop_connections()
            it.kube.store.delete("pods", "default", asked.pod_name, grace=0)
            it.kube.restart()
            ended = await task
            assert (ended.phase, ended.message) == (Phase.ERROR, "pod deleted")

    async def test_what_the_cluster_takes_away_is_judged_by_its_end(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=runs_for_ever()) as it:
            asked = invocation("lasts")
            task = it.begin(asked)
            await until(lambda: it.started(asked))
            pod = it.kube.store.get("pods", "default", asked.pod_name)
            taken: Any = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
            it.kube.script("wf", runs_for_ever())
            status = {**object_of(pod, "status"), "conditions": [taken], "phase": "Failed"}
            dead = {
                "terminated": {
                    "exitCode": 137,
                    "reason": "Error",
                    "startedAt": "2026-01-01T00:00:00Z",
                    "finishedAt": "2999-01-01T00:00:00Z",
                }
            }
            status["containerStatuses"] = [{"name": "main", "state": dead}]
            it.kube.store.set_status("default", asked.pod_name, status)
            ended = await task
            assert (ended.phase, ended.message) == (Phase.FAILED, "main: Error (exit code 137)")

    async def test_a_second_process_adopts_the_pod(self, tmp_path: Path) -> None:
        go = asyncio.Event()
        async with scene(tmp_path, life=held(go)) as it:
            asked = invocation("lasts")
            task = it.begin(asked)
            await until(lambda: it.started(asked))
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            other = Scene(it.kube, KubernetesExecutor(api_server=it.kube.url), it.context)
            task = other.begin(asked)
            await until(lambda: other.started(asked))
            go.set()
            ended = await task
            await other.executor.close(other.context)
            assert ended.phase is Phase.SUCCEEDED
            assert len(it.names("pods")) == 1

    async def test_a_pod_of_somebody_else_is_not_adopted(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=runs_for_ever()) as it:
            asked = invocation("lasts")
            it.kube.store.create("pods", "default", {"metadata": {"name": asked.pod_name}, "spec": {"containers": []}})
            with pytest.raises(ExecutorError, match="already exists in namespace default, and is not of this run"):
                await it.run(asked)

    async def test_a_creation_that_was_carried_out_though_it_failed_is_found(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=ends()) as it:
            it.kube.faults.append(Fault("POST .*pods", drop=True, after=True))
            assert (await it.run(invocation("succeeds"))).phase is Phase.SUCCEEDED
            assert len(it.names("pods")) == 1

    async def test_a_used_up_quota_is_waited_for(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=ends()) as it:
            it.kube.quota = 0
            task = it.begin(invocation("succeeds"))
            await until(lambda: it.reported(Progressed))
            assert "exceeded quota" in it.reported(Progressed)[0].message
            it.kube.quota = 5
            assert (await task).phase is Phase.SUCCEEDED

    @pytest.mark.parametrize("verb", ["create pods", "list pods", "create persistentvolumeclaims"])
    async def test_no_permission_names_verb_resource_and_namespace(self, tmp_path: Path, verb: str) -> None:
        claim: Any = {"metadata": {"name": "work"}, "spec": {}}
        async with scene(tmp_path, life=runs_for_ever(), spec={"volumeClaimTemplates": [claim]}) as it:
            it.kube.forbidden.add(verb)
            name, resource = verb.split()
            with pytest.raises(ExecutorError, match=f'cannot {name} resource "{resource}" .* in the namespace "default"'):
                await it.run(invocation("succeeds"))

    async def test_a_namespace_that_is_not_there_and_a_manifest_that_is_refused(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=ends(), owner=False) as it:
            with pytest.raises(ExecutorError, match=r'template succeeds: Pod "Bad_Name" is invalid: metadata\.name'):
                await it.run(invocation("succeeds", pod_name="Bad_Name"))
            it.kube.namespaces = {"other"}
            with pytest.raises(ExecutorError, match='namespaces "default" not found'):
                await it.run(invocation("succeeds"))

    @pytest.mark.parametrize("break_", ["drop_connections", "restart"])
    async def test_an_api_that_goes_away_costs_only_time(self, tmp_path: Path, break_: str) -> None:
        go = asyncio.Event()
        async with scene(tmp_path, life=held(go)) as it:
            asked = invocation("lasts")
            task = it.begin(asked)
            await until(lambda: it.started(asked))
            it.kube.faults.append(Fault("GET .*watch", times=3, drop=True))
            getattr(it.kube, break_)()
            go.set()
            assert (await task).phase is Phase.SUCCEEDED

    async def test_daemons_are_ready_when_all_containers_are(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=runs_for_ever(ready=False)) as it:
            asked = invocation("serves", daemon=True)
            task = it.begin(asked)
            await until(lambda: it.started(asked))
            assert not it.reported(Ready)
            await it.executor.stop(asked, timedelta(seconds=1))
            assert (await task).exit_code == 143

    async def test_short_commands_may_never_be_seen_running(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=ends(3, skip_running=True, message="why")) as it:
            ended = await it.run(invocation("fails"))
            assert (ended.phase, ended.exit_code, ended.message) == (Phase.FAILED, 3, "main: Error (exit code 3): why")


class TestRunObjects:
    SPEC: JsonObject = {
        "volumeClaimTemplates": [{"metadata": {"name": "work"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
        "podDisruptionBudget": {"minAvailable": "100%"},
    }

    async def test_owner_claims_and_budget_are_made_once_and_collected(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=ends(), spec=self.SPEC) as it:
            await asyncio.gather(*(it.run(invocation("succeeds")) for _ in range(3)))
            assert it.names("configmaps") == ["wf-flowcore"]
            assert it.names("persistentvolumeclaims") == ["wf-work"]
            assert it.names("poddisruptionbudgets") == ["wf"]
            owner: Any = object_of(it.kube.objects("pods")[0], "metadata")["ownerReferences"]
            assert (owner[0]["kind"], owner[0]["name"]) == ("ConfigMap", "wf-flowcore")
            await it.executor.close(it.context)
            assert it.names("persistentvolumeclaims") == it.names("poddisruptionbudgets") == []
            it.kube.store.delete("configmaps", "default", "wf-flowcore")
            assert it.names("pods") == []

    @pytest.mark.parametrize(("strategy", "left"), [("OnWorkflowSuccess", ["wf-work"]), ("OnWorkflowCompletion", []), ("", ["wf-work"])])
    async def test_claims_of_a_failed_run(self, tmp_path: Path, strategy: str, left: list[str]) -> None:
        spec = self.SPEC | ({"volumeClaimGC": {"strategy": strategy}} if strategy else {})
        async with scene(tmp_path, life=ends(1), spec=spec) as it:
            await it.run(invocation("fails"))
            await it.executor.close(it.context)
            assert it.names("persistentvolumeclaims") == left

    @pytest.mark.parametrize(
        ("strategy", "before", "after"),
        [("", 2, 2), ("OnPodCompletion", 0, 0), ("OnPodSuccess", 1, 1), ("OnWorkflowCompletion", 2, 0), ("OnWorkflowSuccess", 2, 2)],
    )
    async def test_pods_go_when_the_strategy_says(self, tmp_path: Path, strategy: str, before: int, after: int) -> None:
        spec: JsonObject = {"podGC": {"strategy": strategy, "deleteDelayDuration": "0s"}} if strategy else {}
        async with scene(tmp_path, life=ends(), spec=spec) as it:
            it.kube.script("fails", ends(1))
            await it.run(invocation("succeeds"))
            await it.run(invocation("fails"))
            await until(lambda: len(it.names("pods")) == before)
            await it.executor.close(it.context)
            assert len(it.names("pods")) == after

    async def test_without_the_right_to_make_an_owner_pods_have_none(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=ends()) as it:
            it.kube.forbidden.add("create configmaps")
            assert (await it.run(invocation("succeeds"))).phase is Phase.SUCCEEDED
            assert "ownerReferences" not in object_of(it.kube.objects("pods")[0], "metadata")

    async def test_attempts_avoid_the_nodes_where_earlier_ones_failed(self, tmp_path: Path) -> None:
        body: JsonObject = {
            "container": {"image": "i", "command": ["false"]},
            "retryStrategy": {"limit": 2, "affinity": {"nodeAntiAffinity": {}}},
        }
        async with scene(tmp_path, life=ends(1)) as it:
            await it.run(invocation("fails", body, node_name="wf.x(0)"))
            await it.run(invocation("fails", body, node_name="wf.x(1)"))
            assert "node1" in str(object_of(it.kube.objects("pods")[1], "spec").get("affinity"))


async def test_many_pods_share_one_watch(tmp_path: Path) -> None:
    go = asyncio.Event()
    async with scene(tmp_path, life=held(go), logs="none", requests_per_second=5000.0, owner=False) as it:
        tasks = [it.begin(invocation("succeeds")) for _ in range(150)]
        await until(lambda: len(it.reported(Started)) == len(tasks))
        go.set()
        ended = await asyncio.gather(*tasks)
        assert {each.phase for each in ended} == {Phase.SUCCEEDED}
        assert it.kube.most_watches == 1
