"""What goes wrong around pods: credentials that end, an API that is away, transfers that break, a process that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of
from flowcore.nodes import Phase, WorkflowPhase
from flowcore.ports import Progressed
from tests.backends.contract import invocation, run_context
from tests.backends.jumping_loop import run_jumping
from tests.backends.kubernetes.test_executor import Scene, held, scene, until

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.testing import FakeKube, Fault, ends, local_processes
from flowcore_backends.kubernetes.testing.lives import FakePod

needs_busybox = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox on this machine")
ROOT = Path(__file__).parents[3]
LONGEST_PAUSE = 10  # seconds between two attempts
COMPLETED = "workflows.argoproj.io/completed"


def write_kubeconfig(file: Path, url: str, token: str) -> Path:
    """What kubectl would write after logging in."""
    file.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": url}}],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return file


class TestCredentials:
    async def test_those_that_have_ended_are_read_anew(self, tmp_path: Path) -> None:
        """By requests and by the watch."""
        go = asyncio.Event()
        async with FakeKube(default=held(go)) as kube, asyncio.timeout(30):
            kube.token = "first"
            file = write_kubeconfig(tmp_path / "config", kube.url, "first")
            context = run_context(tmp_path)
            it = Scene(kube, KubernetesExecutor(kubeconfig=file), context)
            task = it.begin(invocation("lasts"))
            await until(lambda: kube.open_watches)
            kube.token = "second"
            write_kubeconfig(file, kube.url, "second")
            kube.drop_connections()
            go.set()
            assert (await task).phase is Phase.SUCCEEDED
            assert (await it.run(invocation("succeeds"))).phase is Phase.SUCCEEDED
            await it.executor.close(context)

    async def test_those_that_are_still_refused_end_the_node(self, tmp_path: Path) -> None:
        async with FakeKube() as kube, asyncio.timeout(10):
            kube.token = "another"
            executor = KubernetesExecutor(kubeconfig=write_kubeconfig(tmp_path / "config", kube.url, "mine"))
            it = Scene(kube, executor, run_context(tmp_path))
            with pytest.raises(ExecutorError, match="Unauthorized"):
                await it.run(invocation("succeeds"))
            await executor.close(it.context)


class TestAway:
    """By a clock that jumps over waiting: all pauses and limits have their true lengths."""

    def test_an_api_that_is_away_for_30_seconds_costs_nothing_but_time(self, tmp_path: Path) -> None:
        """Pods that run, pods that are waited for, pods that are to be made, and objects that are looked at."""
        manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}}
        job: JsonObject = {"resource": {"action": "create", "manifest": json.dumps(manifest), "successCondition": "status.succeeded == 1"}}

        async def test() -> None:
            clock = asyncio.get_running_loop().time
            async with scene(tmp_path, life=ends(after=10), seconds=600) as it:
                running = [it.begin(invocation("lasts", pod_name=f"a{n}")) for n in range(5)]
                running.append(it.begin(invocation("act", job)))
                await until(lambda: len(it.names("pods")) == 5 and it.names("jobs") and it.kube.open_watches)
                it.kube.go_away()
                began, answered = clock(), len(it.kube.requests)
                waiting = [it.begin(invocation("lasts", pod_name=f"b{n}")) for n in range(5)]
                await asyncio.sleep(30)
                assert len(it.kube.requests) == answered
                assert not any(task.done() for task in (*running, *waiting))
                it.kube.away = False
                it.kube.store.patch("jobs", "default", "job", {"status": {"succeeded": 1}}, "merge")
                assert {each.phase for each in await asyncio.gather(*running)} == {Phase.SUCCEEDED}
                assert 30 <= clock() - began < 30 + LONGEST_PAUSE + 10
                assert {each.phase for each in await asyncio.gather(*waiting)} == {Phase.SUCCEEDED}
                assert 30 + 10 <= clock() - began < 30 + LONGEST_PAUSE + 20
                assert len(it.names("pods")) == 10
                assert {each.message for each in it.outcomes.values()} == {""}

        run_jumping(test)

    @pytest.mark.parametrize("seconds", [0, 100])
    def test_one_that_stays_away_ends_the_node_when_patience_does(self, tmp_path: Path, seconds: int) -> None:
        async def test() -> None:
            async with scene(tmp_path, patience=timedelta(seconds=seconds), owner=False, seconds=600) as it:
                it.kube.go_away()
                began = asyncio.get_running_loop().time()
                with pytest.raises(ExecutorError, match="the Kubernetes API did not answer POST"):
                    await it.run(invocation("succeeds"))
                assert seconds <= asyncio.get_running_loop().time() - began < seconds + LONGEST_PAUSE + 1
                it.kube.away = False

        run_jumping(test)

    @pytest.mark.parametrize("what", ["POST .*pods", "watch=true", "GET .*pods.*limit="], ids=["a creation", "a watch", "a list"])
    def test_an_answer_that_never_comes_is_asked_for_again(self, tmp_path: Path, what: str) -> None:
        """As behind a connection whose other end has vanished without a word."""

        async def test() -> None:
            async with scene(tmp_path, life=ends(after=5), seconds=3600) as it:
                it.kube.faults.append(silence := Fault(what, pause=100_000))
                assert (await it.run(invocation("lasts"))).phase is Phase.SUCCEEDED
                assert (silence.times, len(it.names("pods"))) == (0, 1)

        run_jumping(test)


@needs_busybox
class TestTransfers:
    INPUTS: JsonObject = {"artifacts": [{"name": "x", "path": "/in/x", "raw": {"data": "hello"}}]}

    def body(self, file: Path) -> JsonObject:
        """A pod whose input and output both travel by exec."""
        outputs: JsonObject = {"artifacts": [{"name": "a", "path": str(file), "archive": {"none": {}}}]}
        script: JsonObject = {"image": "i", "command": ["sh"], "source": f"head -c 40000 /dev/urandom > {file}; cat /in/x"}
        return {"script": script, "inputs": self.INPUTS, "outputs": outputs}

    @pytest.mark.parametrize("where", ["flowcore-inputs", "container=flowcore&"], ids=["inputs", "outputs"])
    async def test_one_that_breaks_is_begun_again(self, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("flowcore_backends.kubernetes.pod_run._SECONDS_FOR_NOTE", 0.1)
        async with scene(tmp_path, inline_inputs=0) as it:
            it.kube.faults += [Fault(f"exec.*{where}", drop=True), Fault(f"exec.*{where}", status=503)]
            ended = await it.run(invocation("work", self.body(tmp_path / "f"), capture_result=True))
            assert (ended.phase, ended.message, ended.result, set(ended.artifacts)) == (Phase.SUCCEEDED, "", "hello", {"a"})

    async def test_inputs_that_cannot_be_brought_leave_no_pod_behind(self, tmp_path: Path) -> None:
        async with scene(tmp_path, inline_inputs=0) as it:
            it.kube.forbidden.add("get pods/exec")
            with pytest.raises(ExecutorError, match="allow get and create on pods/exec"):
                await it.run(invocation("work", self.body(tmp_path / "f")))
            assert all("deletionTimestamp" in object_of(pod, "metadata") for pod in it.kube.objects("pods"))


async def test_what_a_pod_waits_for_on_its_way_is_told_when_it_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowcore_backends.kubernetes.pod_run._MOMENT", 0.01)

    async def life(pod: FakePod) -> None:
        pod.show("Pending")
        await pod.deleted.wait()

    async with scene(tmp_path, life=life) as it:
        asked = invocation("lasts")
        task = it.begin(asked)
        await until(lambda: it.reported(Progressed))
        assert [report.message for report in it.reported(Progressed)] == ["ContainerCreating"]
        await it.executor.stop(asked, timedelta(seconds=1))
        assert (await task).phase is Phase.FAILED


class TestEndedPods:
    async def test_those_that_stay_are_labelled(self, tmp_path: Path) -> None:
        async with scene(tmp_path, life=ends()) as it:
            await it.run(invocation("succeeds"))
            await it.executor.close(it.context)
            assert object_of(object_of(it.kube.objects("pods")[0], "metadata"), "labels")[COMPLETED] == "true"

    @pytest.mark.parametrize(
        ("selector", "goes"),
        [
            ({"matchLabels": {"team": "a"}}, True),
            ({"matchLabels": {"team": "b"}}, False),
            ({"matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}]}, True),
            ({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["a"]}]}, False),
            ({"matchExpressions": [{"key": "team", "operator": "Exists"}, {"key": "other", "operator": "DoesNotExist"}]}, True),
        ],
    )
    async def test_pod_gc_may_be_about_some_pods_only(self, tmp_path: Path, selector: JsonObject, goes: bool) -> None:
        spec: JsonObject = {
            "podGC": {"strategy": "OnPodCompletion", "deleteDelayDuration": "0s", "labelSelector": selector},
            "podMetadata": {"labels": {"team": "a"}},
        }
        async with scene(tmp_path, life=ends(), spec=spec) as it:
            await it.run(invocation("succeeds"))
            await it.executor.close(it.context)
            left = [one for one in it.kube.objects("pods") if "deletionTimestamp" not in object_of(one, "metadata")]
            assert (left == []) is goes

    async def test_without_the_right_they_are_not_and_that_is_told_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        async with scene(tmp_path, life=ends()) as it:
            it.kube.forbidden.add("patch pods")
            for number in range(3):
                assert (await it.run(invocation("succeeds", pod_name=f"p{number}"))).phase is Phase.SUCCEEDED
            await it.executor.close(it.context)
            assert caplog.text.count("ended pods are not labelled") == 1

    @pytest.mark.parametrize(("phase", "left"), [(WorkflowPhase.SUCCEEDED, 0), (WorkflowPhase.FAILED, 2)])
    async def test_it_is_the_phase_of_the_run_that_on_workflow_success_asks_for(
        self, tmp_path: Path, phase: WorkflowPhase, left: int
    ) -> None:
        """A run may succeed although a pod failed, and fail although all succeeded; pods of earlier processes go too."""
        from dataclasses import replace

        async with scene(tmp_path, life=ends(), spec={"podGC": {"strategy": "OnWorkflowSuccess"}}) as it:
            it.kube.script("fails", ends(1))
            await it.run(invocation("fails"))
            second = KubernetesExecutor(api_server=it.kube.url)
            await second.run(invocation("succeeds"), it.context, it.reports.append)
            await second.close(replace(it.context, phase=phase))
            assert len(it.names("pods")) == left


@needs_busybox
async def test_a_killed_process_leaves_its_pods_to_the_next_one(tmp_path: Path) -> None:
    """Killed in the middle of a run: every pod's work is done once."""
    done = tmp_path / "done"
    done.touch()
    step: JsonObject = {"name": "work", "template": "work", "withSequence": {"count": 8}}
    work: JsonObject = {"name": "work", "container": {"image": "i", "command": ["sh", "-c", f"sleep 0.2; echo x >> {done}"]}}
    main: JsonObject = {"name": "main", "parallelism": 3, "steps": [[step]]}
    workflow: JsonObject = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "kill"}}
    file = tmp_path / "kill.yaml"
    file.write_text(json.dumps({**workflow, "spec": {"entrypoint": "main", "templates": [main, work]}}))
    environment = {**os.environ, "FLOWCORE_STATE": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}

    async with FakeKube(default=local_processes(tmp_path / "pods")) as kube, asyncio.timeout(60):

        async def drive(until_done: int | None) -> int:
            words = [
                sys.executable,
                "-m",
                "tests.backends.kubernetes.drive",
                kube.url,
                f"sqlite:///{tmp_path / 'runs.db'}",
                str(file),
                "kill",
            ]
            process = await asyncio.create_subprocess_exec(*words, env=environment, cwd=ROOT)
            if until_done is not None:
                await until(lambda: len(done.read_text().split()) >= until_done)
                process.send_signal(signal.SIGKILL)
            return await process.wait()

        assert [await drive(2), await drive(None)] == [-signal.SIGKILL, 0]
        assert done.read_text().split() == ["x"] * 8
        assert len(kube.objects("pods")) == 8
