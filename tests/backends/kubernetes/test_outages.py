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
from tests.backends.kubernetes.test_executor import Scene, scene, until

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.testing import FakeKube, Fault, ends, local_processes
from flowcore_backends.kubernetes.testing.lives import FakePod

needs_busybox = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox on this machine")
ROOT = Path(__file__).parents[3]
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
        async with FakeKube(default=ends(after=0.2)) as kube, asyncio.timeout(10):
            kube.token = "first"
            file = write_kubeconfig(tmp_path / "config", kube.url, "first")
            context = run_context(tmp_path)
            it = Scene(kube, KubernetesExecutor(kubeconfig=file), context)
            task = it.begin(invocation("lasts"))
            await until(lambda: kube.open_watches)
            kube.token = "second"
            write_kubeconfig(file, kube.url, "second")
            kube.drop_connections()
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


async def test_an_api_that_is_away_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pods that run, pods that are waited for, and pods that are to be made: the same requests again until somebody answers."""
    monkeypatch.setattr("flowcore_backends.kubernetes.api._LONGEST_PAUSE", 0.02)
    monkeypatch.setattr("flowcore_backends.kubernetes.list_watch._LONGEST_PAUSE", 0.02)
    async with scene(tmp_path, life=ends(after=0.2)) as it:
        running = [it.begin(invocation("lasts", pod_name=f"a{n}")) for n in range(5)]
        await until(lambda: len(it.names("pods")) == 5 and it.kube.open_watches)
        it.kube.go_away()
        waiting = [it.begin(invocation("lasts", pod_name=f"b{n}")) for n in range(5)]
        refused = len(it.kube.requests)
        await asyncio.sleep(0.5)  # by then the five have ended, and hundreds of requests were broken
        assert len(it.kube.requests) == refused
        it.kube.away = False
        assert {each.phase for each in await asyncio.gather(*running, *waiting)} == {Phase.SUCCEEDED}
        assert len(it.names("pods")) == 10


async def test_an_api_that_stays_away_ends_the_node_when_patience_does(tmp_path: Path) -> None:
    async with scene(tmp_path, patience=timedelta(0), owner=False) as it:
        it.kube.go_away()
        with pytest.raises(ExecutorError, match="the Kubernetes API did not answer POST"):
            await it.run(invocation("succeeds"))
        it.kube.away = False


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
            words = [sys.executable, "-m", "tests.backends.kubernetes.drive", kube.url, f"sqlite:///{tmp_path / 'runs.db'}", str(file)]
            process = await asyncio.create_subprocess_exec(*words, env=environment, cwd=ROOT)
            if until_done is not None:
                await until(lambda: len(done.read_text().split()) >= until_done)
                process.send_signal(signal.SIGKILL)
            return await process.wait()

        assert [await drive(2), await drive(None)] == [-signal.SIGKILL, 0]
        assert done.read_text().split() == ["x"] * 8
        assert len(kube.objects("pods")) == 8
