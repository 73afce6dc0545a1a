"""Invocations of several containers on the local backend: init containers, sidecars, sets, daemons; and what becomes of their processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from flowcore.ports import Ready
from flowcore_backends.local import LocalExecutor
from flowcore_backends.local.process import shared_launcher
from tests.backends.contract import Play, invocation, run_context, until
from tests.backends.local_scene import scene, sh, shell, shell_invocation

SHARED: dict[str, Any] = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
VOLUME: dict[str, Any] = {"volumes": [{"name": "v", "emptyDir": {}}]}


def container(name: str, command: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "alpine", "command": ["sh", "-c", command], **more}


async def test_init_containers_run_first_in_order_and_may_share_mounts(tmp_path: Path) -> None:
    inits = [
        container("one", "echo 1 >> /v/f; cat /tmp/in >> /v/f", mirrorVolumeMounts=True),
        container("two", "echo 2 >> /v/f", **SHARED),
        container("three", "ls /v && exit 1; exit 0"),
    ]
    async with scene(tmp_path) as play:
        inputs = {"artifacts": [{"name": "in", "path": "/tmp/in", "raw": {"data": "in\n"}}]}
        ended = await sh(play, "cat /v/f", container=SHARED, initContainers=inits, inputs=inputs, **VOLUME)
        assert (ended.message, ended.result) == ("", "1\nin\n2")


async def test_a_failed_init_container_fails_the_node_and_nothing_else_runs(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        ended = await sh(play, "echo never", initContainers=[container("setup", "exit 7"), container("later", "echo never")])
        assert (ended.phase, ended.message, ended.exit_code) == (Phase.FAILED, "setup: Error (exit code 7)", None)
        assert play.printed() == play.printed(container="later") == ""


async def test_sidecars_run_beside_main_and_end_after_it(tmp_path: Path) -> None:
    sidecar = container("side", "trap 'echo asked; exit 0' TERM; echo up > /v/up; while :; do sleep 0.02; done", **SHARED)
    async with scene(tmp_path) as play:
        ended = await sh(play, "while ! test -e /v/up; do sleep 0.02; done; cat /v/up", container=SHARED, sidecars=[sidecar], **VOLUME)
        assert (ended.phase, ended.result, play.printed(container="side")) == (Phase.SUCCEEDED, "up", "asked")


@pytest.mark.parametrize(
    ("command", "phase", "message"),
    [
        ("exit 0", Phase.SUCCEEDED, ""),
        ("sleep 300", Phase.SUCCEEDED, ""),  # 143: ended by us
        ("trap '' TERM; touch /v/up; while :; do sleep 0.02; done", Phase.SUCCEEDED, ""),  # 137: killed by us
        ("trap 'exit 3' TERM; touch /v/up; while :; do sleep 0.02; done", Phase.FAILED, "side: Error (exit code 3)"),
        ("echo $$ > /v/pid; mv /v/pid /v/up; exit 5", Phase.FAILED, "side: Error (exit code 5)"),
    ],
)
async def test_how_a_sidecar_ends_matters_unless_we_ended_it(tmp_path: Path, command: str, phase: Phase, message: str) -> None:
    wait = "while ! test -e /v/up; do sleep 0.02; done" if "/v/up" in command else "true"
    if "pid" in command:  # it has ended before main does
        wait += '; while kill -0 "$(cat /v/up)" 2>/dev/null; do sleep 0.02; done'
    async with scene(tmp_path, sidecar_grace=timedelta(seconds=0.2)) as play:
        ended = await sh(play, wait, container=SHARED, sidecars=[container("side", command, **SHARED)], **VOLUME)
        assert (ended.phase, ended.message, ended.exit_code) == (phase, message, 0)


async def test_mains_failure_comes_before_a_sidecars(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        ended = await sh(play, "sleep 0.1; exit 2", sidecars=[container("side", "exit 5")])
        assert (ended.message, ended.exit_code) == ("main: Error (exit code 2)", 2)


# --- sets ---------------------------------------------------------------------------------------------------------------------------


def container_set(*containers: dict[str, Any], **more: Any) -> JsonObject:
    return {"containerSet": {"containers": list(containers), **more}}


async def test_a_set_runs_in_the_order_of_its_dependencies(tmp_path: Path) -> None:
    body = container_set(
        container("a", "echo a >> /v/f"),
        container("b", "cat /v/f; echo b >> /v/f", dependencies=["a"]),
        container("main", "cat /v/f; echo out > /v/out", dependencies=["b"]),
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    outputs: JsonObject = {"parameters": [{"name": "o", "valueFrom": {"path": "/v/out"}}]}
    async with scene(tmp_path) as play:
        ended = await play.run(invocation("set", {**body, **VOLUME, "outputs": outputs}, capture_result=True))
        assert (ended.phase, ended.result, dict(ended.parameters), ended.exit_code) == (Phase.SUCCEEDED, "a\nb", {"o": "out"}, 0)
        assert {name: member.phase for name, member in ended.members.items()} == dict.fromkeys(("a", "b", "main"), Phase.SUCCEEDED)
        assert all(member.started_at and member.finished_at for member in ended.members.values())


async def test_in_a_set_what_depends_on_a_failure_does_not_run(tmp_path: Path) -> None:
    body = container_set(container("x", "exit 2"), container("main", "echo never", dependencies=["x"]), container("z", "sleep 0.05"))
    async with scene(tmp_path) as play:
        ended = await play.run(invocation("set", body))
        assert (ended.phase, ended.message, ended.exit_code) == (Phase.FAILED, "x: Error (exit code 2)", 64)
        assert {name: (member.phase, member.message) for name, member in ended.members.items()} == {
            "x": (Phase.FAILED, "x: Error (exit code 2): "),
            "main": (Phase.ERROR, "main: Error (exit code 64): "),
            "z": (Phase.SUCCEEDED, ""),
        }


async def test_a_set_can_run_its_containers_again(tmp_path: Path) -> None:
    body = container_set(
        container("flaky", "echo x >> /tmp/f; test $(wc -l < /tmp/f) = 3"), retryStrategy={"retries": 2, "duration": "10ms"}
    )
    async with scene(tmp_path) as play:
        assert (await play.run(invocation("set", body))).phase is Phase.SUCCEEDED


# --- daemons ------------------------------------------------------------------------------------------------------------------------

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == '/healthy' else 500); self.end_headers()
    def log_message(self, *args): pass
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
"""


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def server(port: int) -> str:
    return SERVER.replace("0), Handler", f"{port}), Handler") + "server.serve_forever()\n"


@pytest.mark.parametrize("kind", ["httpGet", "tcpSocket", "exec"])
async def test_a_daemon_is_ready_when_its_probe_passes(tmp_path: Path, kind: str) -> None:
    port = free_port()
    probes: dict[str, Any] = {
        "httpGet": {"httpGet": {"path": "/healthy", "port": "web"}},
        "tcpSocket": {"tcpSocket": {"port": port}},
        "exec": {"exec": {"command": ["test", "-e", "/tmp/ready"]}},
    }
    source = "open('/tmp/ready', 'w').close()\n" + server(port)
    container: dict[str, Any] = {"command": [sys.executable], "source": source, "ports": [{"name": "web", "containerPort": port}]}
    body = {"script": {**container, "readinessProbe": {**probes[kind], "timeoutSeconds": 5}}}
    async with scene(tmp_path) as play:
        daemon = invocation("daemon", body, daemon=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, daemon)
            await until(lambda: any(isinstance(report, Ready) for report in play.reports))
            await play.executor.stop(daemon, timedelta(seconds=5))
        assert play.outcomes[daemon.node].exit_code == 143


async def test_a_daemon_whose_probe_fails_is_never_ready(tmp_path: Path) -> None:
    probe = {"exec": {"command": ["sh", "-c", "echo x >> /tmp/asked; test $(wc -l < /tmp/asked) -lt 0"]}, "timeoutSeconds": 5}
    async with scene(tmp_path) as play:
        command = "while ! test -e /tmp/asked || test $(wc -l < /tmp/asked) -lt 3; do sleep 0.02; done"
        await sh(play, command, container={"readinessProbe": probe}, ask={"daemon": True})
        assert not [report for report in play.reports if isinstance(report, Ready)]


# --- nothing is left behind ----------------------------------------------------------------------------------------------------------


def processes_with(word: str) -> list[int]:
    """Processes of this machine that have ``word`` in their environment or command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if word.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("isolation", ["auto", "off"])
@pytest.mark.parametrize("ending", ["exits", "stops", "cancelled"])
async def test_no_process_survives_its_node(tmp_path: Path, isolation: str, ending: str) -> None:
    """Background jobs, and jobs that left the session and ignore TERM, end with the node however it ends."""
    word = f"31{os.getpid()}{time.monotonic_ns() % 10**9}"
    stray = f"sh -c 'trap \"\" TERM HUP; sleep {word}; :' & setsid sh -c 'trap \"\" TERM HUP; sleep {word}; :' & "
    command = stray + ("sleep 0.05; exit 0" if ending == "exits" else f"sleep {word}")
    async with scene(tmp_path, isolation=isolation) as play:
        asked = shell_invocation(command)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, asked)
            if ending != "exits":
                await until(lambda: len(processes_with(word)) >= 5)
            if ending == "stops":
                await play.executor.stop(asked, timedelta(seconds=5))
            if ending == "cancelled":
                tasks.cancel_scope.cancel()
        await until(lambda: not processes_with(word))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("isolation", ["auto", "off"])
async def test_no_process_survives_the_executors_process(tmp_path: Path, isolation: str) -> None:
    """Killed without a chance to tidy up, the executor's process takes all others with it."""
    word = f"32{os.getpid()}{time.monotonic_ns() % 10**9}"
    program = f"""
import anyio
from pathlib import Path
from tests.backends.local_scene import scene, sh
async def main():
    async with scene(Path({str(tmp_path)!r}), isolation={isolation!r}) as play:
        await sh(play, "setsid sh -c 'trap \\"\\" TERM HUP; sleep {word}; :' & sleep {word}")
anyio.run(main)
"""
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", program], cwd=root, stderr=subprocess.DEVNULL) as process:
        await until(lambda: len(processes_with(f"sleep\0{word}")) >= 2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    await until(lambda: not processes_with(word))


async def test_a_dead_launcher_is_an_error_of_its_nodes_and_replaced(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        await sh(play, "true")
        launcher = shared_launcher()
        launcher.close()
        assert not launcher.alive
        assert (await sh(play, "echo again")).result == "again"


async def test_stopped_before_it_began_nothing_runs(tmp_path: Path) -> None:
    """Stopped while it waits for a slot, a node ends at once."""
    async with scene(tmp_path, parallelism=1) as play:
        first, second = shell_invocation("sleep 300"), shell_invocation("echo never")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, first)
            await until(lambda: play.started(first))
            tasks.start_soon(play.run, second)
            await anyio.lowlevel.checkpoint()
            await until(lambda: _waits(play))
            await play.executor.stop(second, timedelta(0))
            await until(lambda: second.node in play.outcomes)
            await play.executor.stop(first, timedelta(0))
        assert (play.outcomes[second.node].exit_code, play.printed()) == (143, "")


def _waits(play: Play) -> bool:
    assert isinstance(play.executor, LocalExecutor)
    return play.executor._slots().statistics().tasks_waiting == 1


async def test_a_second_stop_can_shorten_the_grace(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        asked = shell_invocation("trap '' TERM; touch /tmp/x; while :; do sleep 0.02; done")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, asked)
            await until(lambda: play.started(asked))
            await play.executor.stop(asked, timedelta(seconds=600))
            await play.executor.stop(asked, timedelta(seconds=0.05))
        assert play.outcomes[asked.node].phase is Phase.FAILED


async def test_the_same_pod_twice_at_once_is_refused(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        asked = shell_invocation("sleep 300")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, asked)
            await until(lambda: play.started(asked))
            with pytest.raises(ExecutorError, match="is already running"):
                await play.run(asked)
            await play.executor.stop(asked, timedelta(0))


async def test_scratch_folders_go_with_their_nodes_even_when_locked(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        await sh(play, "mkdir -p /tmp/a/b; touch /tmp/a/b/c; chmod 0 /tmp/a/b /tmp/a")
        assert list((tmp_path / "run" / "local" / "nodes").iterdir()) == []


async def test_resource_templates_say_where_they_run(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        with pytest.raises(ExecutorError, match="need a Kubernetes API"):
            await play.run(invocation("res", {"resource": {"action": "get"}}))


def test_a_run_without_a_folder_makes_one_and_removes_it(tmp_path: Path) -> None:
    async def main() -> None:
        executor, context = LocalExecutor(folder=tmp_path), replace(run_context(tmp_path), folder=None)
        await executor.run(invocation("once", shell("true")), context, lambda _: None)
        assert len([path for path in tmp_path.iterdir() if path.name.startswith("flowcore-")]) == 1
        await executor.close(context)
        assert not [path for path in tmp_path.iterdir() if path.name.startswith("flowcore-")]

    anyio.run(main)
