"""What happens when somebody looks away, kills us, or removes what is ours: on a real engine."""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

import flowcore
from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase, RunRow, WorkflowPhase
from flowcore.ports import Started
from flowcore_backends.docker import DockerExecutor, cleanup, engine_answers
from tests.backends.contract import Play, until
from tests.backends.docker.scene import DockerPlay, docker, inspect, scene

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A name of this machine that no other test has: cleaning up leaves alone what others made on the same engine."""
    name = f"machine-{tmp_path.parent.name}-{tmp_path.name}"
    monkeypatch.setattr(platform, "node", lambda: name)
    return name


async def look_away(play: Play, asked: flowcore.ports.Invocation) -> None:
    """Start something and cancel as soon as it runs."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(play.run, asked)
        await until(lambda: Started(asked.node) in play.reports)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    "sidecars", [[], [{"name": "side", "image": "alpine", "command": ["sleep", "60"]}]], ids=["alone", "with a sidecar"]
)
async def test_what_still_runs_is_taken_over(engine: str, tmp_path: Path, sidecars: list[JsonObject]) -> None:
    async with (
        scene(engine, tmp_path, sidecar_grace=timedelta(0)) as first,
        scene(engine, tmp_path, uid=first.uid, sidecar_grace=timedelta(0)) as second,
    ):
        asked = first.shell(
            "echo begun; until test -e /tmp/go; do sleep 0.05; done; echo done; echo out > /tmp/out",
            sidecars=sidecars,
            outputs={"parameters": [{"name": "out", "valueFrom": {"path": "/tmp/out"}}]},
        )
        await look_away(first, asked)
        (name,) = (
            await first.docker("ps", "-q", "--filter", "label=flowcore.container=main", "--filter", f"label=flowcore.run={first.uid}")
        ).split()
        await first.docker("exec", name, "touch", "/tmp/go")
        ended = await second.run(asked)
        assert (ended.phase, ended.result, dict(ended.parameters)) == (Phase.SUCCEEDED, "begun\ndone", {"out": "out"})


async def test_what_has_ended_meanwhile_is_not_run_again(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as first, scene(engine, tmp_path, uid=first.uid) as second:
        asked = first.shell("sleep 0.5; date +%N; exit 3")
        await look_away(first, asked)
        (name,) = (await first.docker("ps", "-aq", "--filter", f"label=flowcore.run={first.uid}")).split()
        await first.docker("wait", name)
        ended, again = await second.run(asked), await second.run(asked)
        assert (ended.message, ended.result) == ("main: Error (exit code 3)", again.result)


async def test_a_container_that_somebody_removes(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        asked = play.shell("sleep 300")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(remove_when_begun, play, asked)
            with pytest.raises(ExecutorError, match=r"^pod deleted$"):
                await play.run(asked)


async def remove_when_begun(play: DockerPlay, asked: flowcore.ports.Invocation) -> None:
    await until(lambda: Started(asked.node) in play.reports)
    (name,) = await containers(play.engine, play.uid)
    await play.docker("rm", "-f", name)


async def test_an_engine_that_does_not_answer(tmp_path: Path) -> None:
    nobody = f"unix://{tmp_path}/nobody.sock"
    assert not await engine_answers(nobody)
    async with scene(nobody, tmp_path, patience=timedelta(seconds=0.2)) as play:
        with pytest.raises(ExecutorError, match=r"nobody.sock \(found by the options\): the Docker engine does not answer"):
            await play.sh("true")


async def test_an_engine_that_answers(engine: str) -> None:
    assert await engine_answers(engine)


async def test_labels_and_pod_gc(engine: str, tmp_path: Path, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowcore_backends.docker.executor._REMOVED_AFTER", timedelta(0))
    async with scene(engine, tmp_path, spec={"podGC": {"strategy": "OnPodSuccess"}}) as play:
        good, bad = play.shell("true", metadata={"labels": {"team": "red"}}), play.shell("exit 1")
        await play.run(good)
        (name,) = await containers(play.engine, play.uid)
        labels = inspect(engine, name)["Config"]["Labels"]
        assert (labels["flowcore.run"], labels["flowcore.node"], labels["team"]) == (play.uid, good.node, "red")
        await play.run(bad)
        assert await containers(engine, play.uid) != [name]
        await play.executor.close(play.context)
        (kept,) = await containers(engine, play.uid)
        assert inspect(engine, kept)["State"]["ExitCode"] == 1
        assert [(left.containers, left.uid) for left in await cleanup(host=engine) if left.uid == play.uid] == [(1, play.uid)]


@pytest.mark.parametrize(
    ("strategy", "phase", "early", "left"),
    [
        ("", WorkflowPhase.SUCCEEDED, set(), set()),
        ("OnPodCompletion", WorkflowPhase.FAILED, {"good", "bad"}, set()),
        ("OnPodSuccess", WorkflowPhase.FAILED, {"good"}, {"bad"}),
        ("OnWorkflowCompletion", WorkflowPhase.FAILED, set(), set()),
        ("OnWorkflowSuccess", WorkflowPhase.SUCCEEDED, set(), set()),
        ("OnWorkflowSuccess", WorkflowPhase.FAILED, set(), {"good", "bad", "third"}),
    ],
    ids=["none", "pod completion", "pod success", "workflow completion", "workflow success", "workflow failure"],
)
async def test_strategies_of_pod_gc(
    engine: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
    phase: WorkflowPhase,
    early: set[str],
    left: set[str],
) -> None:
    """What goes while the run goes on, and what is left after its end."""
    monkeypatch.setattr("flowcore_backends.docker.executor._REMOVED_AFTER", timedelta(0))
    spec: JsonObject = {"podGC": {"strategy": strategy}} if strategy else {}
    async with scene(engine, tmp_path, spec=spec) as play:
        await play.run(play.shell("true", ask={"pod_name": "good"}))
        await play.run(play.shell("exit 1", ask={"pod_name": "bad"}))
        await play.run(play.shell("true", ask={"pod_name": "third"}))  # starting it removes what is due
        assert await pods(engine, play.uid) == {"good", "bad", "third"} - early
        await play.executor.close(replace(play.context, phase=phase))
        assert await pods(engine, play.uid) == left
        for name in await containers(engine, play.uid):
            await play.docker("rm", name)


async def test_pods_that_the_selector_of_pod_gc_does_not_name_stay_until_the_end(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowcore_backends.docker.executor._REMOVED_AFTER", timedelta(0))
    spec: JsonObject = {"podGC": {"strategy": "OnPodCompletion", "labelSelector": {"matchLabels": {"team": "red"}}}}
    async with scene(engine, tmp_path, spec=spec) as play:
        for name, team in (("red", "red"), ("blue", "blue"), ("last", "blue")):
            await play.run(play.shell("true", metadata={"labels": {"team": team}}, ask={"pod_name": name}))
        assert await pods(engine, play.uid) == {"blue", "last"}
        await play.executor.close(play.context)
        assert await pods(engine, play.uid) == set()


async def test_the_command_cleans_up_but_for_runs_that_can_be_continued(
    engine: str, tmp_path: Path, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine)
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path / "state"))
    dead = (
        (await anyio.run_process([sys.executable, "-c", _DIES, machine, engine, str(tmp_path)], check=False, cwd=ROOT))
        .stdout.decode()
        .strip()
    )

    async def command(*words: str) -> str:
        done = await anyio.run_process([sys.executable, "-c", _CLEANS, machine, "cleanup", *words], cwd=ROOT)
        return done.stdout.decode()

    assert f"would remove wf ({dead}): 1 container, 1 network" in await command("--dry-run")
    assert dead not in await command("--older-than", "1h")
    store = flowcore.open_store()
    await store.save(RunRow(name="wf", namespace="default", uid=dead, phase=WorkflowPhase.RUNNING), [], {"kind": "Workflow"})
    await store.close()
    assert dead not in await command()
    assert f"removed wf ({dead}): 1 container, 1 network" in await command("--unfinished")
    assert await containers(engine, dead) == []


async def pods(engine: str, uid: str) -> set[str]:
    """The pods that have containers."""
    return {str(inspect(engine, name)["Config"]["Labels"]["flowcore.pod"]) for name in await containers(engine, uid)}


async def containers(engine: str, uid: str) -> list[str]:
    return (await anyio.to_thread.run_sync(docker, engine, "ps", "-aq", "--filter", f"label=flowcore.run={uid}")).split()


async def test_cleanup_removes_what_dead_runs_left_and_nothing_else(engine: str, tmp_path: Path, machine: str) -> None:
    async with scene(engine, tmp_path) as alive:
        await alive.sh("true")
        dead = await anyio.run_process([sys.executable, "-c", _DIES, machine, engine, str(tmp_path)], check=False, cwd=ROOT)
        uid = dead.stdout.decode().strip()
        other = await alive.docker("create", "alpine", "true")
        assert len(await containers(engine, uid)) == 1
        assert uid not in [left.uid for left in await cleanup(host=engine, older_than=timedelta(hours=1))]
        assert uid not in [left.uid for left in await cleanup(host=engine, keep=[uid])]
        assert uid in [left.uid for left in await cleanup(host=engine, dry_run=True)]
        removed = {left.uid: left for left in await cleanup(host=engine)}
        assert (removed[uid].containers, removed[uid].networks, alive.uid in removed) == (1, 1, False)
        assert await containers(engine, uid) == []
        assert len(await containers(engine, alive.uid)) == 1
        await alive.docker("rm", other)


_ON_MACHINE = "import platform, sys; name = sys.argv.pop(1); platform.node = lambda: name"
_CLEANS = f"{_ON_MACHINE}; from flowcore.cli import main; main()"
_DIES = (
    _ON_MACHINE
    + """
import os, sys, anyio
from pathlib import Path
from tests.backends.docker.scene import scene
async def main():
    async with scene(sys.argv[1], Path(sys.argv[2])) as play:
        await play.sh("true")
        print(play.uid, flush=True)
        os._exit(9)
anyio.run(main)
"""
)


async def test_nothing_is_left_of_many_containers(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path, parallelism=10) as play:
        open_files = len(os.listdir("/proc/self/fd"))
        async with anyio.create_task_group() as tasks:
            for number in range(40):
                tasks.start_soon(play.run, play.shell(f"echo {number}; exit {number % 2}"))
        assert sorted(int(ended.result or "-1") for ended in play.outcomes.values()) == list(range(40))
        assert {ended.exit_code for ended in play.outcomes.values()} == {0, 1}
        await play.executor.close(play.context)
        assert [each for each in await play.objects() if not await is_miscounted(play, each)] == []
        assert len(os.listdir("/proc/self/fd")) == open_files


async def is_miscounted(play: DockerPlay, identity: str) -> bool:
    """Whether the engine refuses to remove a network for containers on it, and names none: busy engines of old miscount until they are restarted."""
    try:
        (shown,) = json.loads(await play.docker("network", "inspect", identity))
        await play.docker("network", "rm", identity)
    except subprocess.CalledProcessError as error:
        return "has active endpoints" in error.stderr and shown["Containers"] == {}
    return False


# A run of twenty nodes; each notes that it was there. It is recorded, and taken up by whoever comes next.
_RUN = """
import sys
import anyio
import flowcore
from flowcore_backends.docker import DockerExecutor

async def main(workflow, engine, folder):
    store = flowcore.open_store(f"sqlite:///{folder}.db")
    executor = DockerExecutor(host=engine, host_paths=[folder], parallelism=6)
    if await store.load("killed", "default") is None:
        result = await flowcore.run(workflow, executor=executor, store=store)
    else:
        result = await flowcore.resume("killed", store=store, executor=executor)
    await store.close()
    print(result.phase, len(result.nodes))

anyio.run(main, *sys.argv[1:])
"""
_WORKFLOW = """
metadata: {name: killed}
kind: Workflow
spec:
  entrypoint: main
  volumes: [{name: book, hostPath: {path: FOLDER}}]
  templates:
    - name: main
      steps:
        - - {name: first, template: work, arguments: {parameters: [{name: number, value: "{{item}}"}]}, withSequence: {count: "9"}}
        - - {name: last, template: work, arguments: {parameters: [{name: number, value: "1{{item}}"}]}, withSequence: {count: "9"}}
    - name: work
      inputs: {parameters: [{name: number}]}
      script:
        image: alpine:latest
        command: [sh]
        source: "echo {{inputs.parameters.number}} >> /book/begun; sleep 0.2; echo {{inputs.parameters.number}} >> /book/ended"
        volumeMounts: [{name: book, mountPath: /book}]
"""


def test_killed_at_random_moments_no_work_is_done_twice_and_nothing_is_left(engine: str, tmp_path: Path) -> None:
    folder = tmp_path / "book"
    folder.mkdir()
    workflow = tmp_path / "killed.yaml"
    workflow.write_text(_WORKFLOW.replace("FOLDER", str(folder)))
    words = [sys.executable, "-c", _RUN, str(workflow), engine, str(folder)]
    killed = 0
    environment = {**os.environ, "FLOWCORE_STATE": str(tmp_path / "state")}
    while True:
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            printed, _ = process.communicate(timeout=random.uniform(1.5, 3.5) if killed < 2 else 60)
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            killed += 1
    assert (printed.split()[0], process.returncode) == (WorkflowPhase.SUCCEEDED, 0), printed
    expected = sorted(str(number) for number in (*range(9), *range(10, 19)))
    assert sorted((folder / "ended").read_text().split()) == sorted((folder / "begun").read_text().split()) == expected
    assert killed > 0
    assert docker(engine, "ps", "-aq", "--filter", "label=flowcore.workflow=killed") == ""


def test_it_runs_on_asyncio_alone(engine: str, tmp_path: Path) -> None:
    async def scene_on_trio() -> None:
        async with scene(engine, tmp_path) as play:
            with pytest.raises(ExecutorError, match="runs on asyncio, not on trio"):
                await play.sh("true")

    anyio.run(scene_on_trio, backend="trio")


def test_usable_here(engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine)
    assert DockerExecutor.usable_here()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert not DockerExecutor.usable_here()


async def test_an_engine_that_is_down_is_not_waited_for_by_one_after_the_other(tmp_path: Path) -> None:
    async with scene(f"unix://{tmp_path}/nobody.sock", tmp_path, patience=timedelta(seconds=0.3)) as play:
        began = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(refused, play)
        assert anyio.current_time() - began < 3


async def refused(play: DockerPlay) -> None:
    with pytest.raises(ExecutorError, match="does not answer"):
        await play.sh("true")
