"""Pods of several containers on a real engine: init containers, sidecars, containerSets, daemons, probes."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from flowcore.ports import Ready
from tests.backends.contract import until
from tests.backends.docker.scene import DockerPlay, scene

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def user(name: str, command: str, **more: Any) -> JsonObject:
    return {"name": name, "image": "alpine", "command": ["sh", "-c", command], **more}


async def test_init_containers_run_in_order_and_share_volumes_and_artifacts(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        raw: JsonObject = {"artifacts": [{"name": "a", "path": "/in/a", "raw": {"data": "art"}}]}
        inits = [
            user("first", "cat /in/a > /v/log; echo -n 1 >> /v/log", mirrorVolumeMounts=True),
            user("second", "echo -n 2 >> /v/log", mirrorVolumeMounts=True),
        ]
        mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
        ended = await play.sh(
            "cat /v/log /in/a", initContainers=inits, inputs=raw, volumes=[{"name": "v", "emptyDir": {}}], container=mounts
        )
        assert (ended.message, ended.result) == ("", "art12art")
        failed = await play.sh("true", initContainers=[user("first", "exit 3"), user("second", "echo never")])
        assert (failed.phase, failed.message) == (Phase.FAILED, "first: Error (exit code 3)")
        assert play.printed(container="second") == ""


async def test_native_sidecars_start_in_their_turn_and_end_after_main(engine: str, tmp_path: Path) -> None:
    """One before an init container that needs it, started again when it ends; its failure says nothing; it ends after the plain sidecar."""
    async with scene(engine, tmp_path) as play:
        mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
        probe = {"startupProbe": {"exec": {"command": ["test", "-e", "/v/up"]}}}
        serve = "echo -n s >> /v/log; test -e /v/up || { sleep 0.2; touch /v/up; exit 3; }; trap 'echo -n e >> /v/log; exit 1' TERM; while :; do sleep 0.05; done"
        inits = [
            user("before", "test ! -e /v/up; echo -n 1 >> /v/log", **mounts),
            user("native", serve, restartPolicy="Always", **mounts, **probe),
            user("after", "test -e /v/up && echo -n 2 >> /v/log", **mounts),
        ]
        plain = user("plain", "trap 'echo -n p >> /v/log; exit 0' TERM; while :; do sleep 0.05; done", **mounts)
        main = "until test $(cat /v/log | tr -d 12 | wc -c) -ge 2; do sleep 0.05; done; echo -n m >> /v/log; cat /v/log"
        outputs = {"parameters": [{"name": "log", "valueFrom": {"path": "/v/log"}}]}
        ended = await play.sh(
            main, initContainers=inits, sidecars=[plain], volumes=[{"name": "v", "emptyDir": {}}], container=mounts, outputs=outputs
        )
        assert (ended.phase, ended.message) == (Phase.SUCCEEDED, "")
        assert sorted(ended.result or "") == sorted("1ss2m")
        assert (ended.result or "")[:2] == "1s"


async def test_a_pod_spec_patch_changes_containers_and_volumes(engine: str, tmp_path: Path) -> None:
    """The template's over the workflow's; a container that a patch adds is a sidecar."""
    first = {"containers": [{"name": "main", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "1"}]}]}
    added = {
        "name": "more",
        "image": "alpine",
        "command": ["sh", "-c", "echo added > /v/x; sleep 60"],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    second = {
        "containers": [
            {"name": "main", "env": [{"name": "Y", "value": "{{pod.name}}"}], "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
            added,
        ],
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    async with scene(engine, tmp_path, spec={"podSpecPatch": json.dumps(first)}, sidecar_grace=timedelta(0)) as play:
        ended = await play.sh("until cat /v/x; do sleep 0.05; done; echo $X $Y", podSpecPatch=json.dumps(second), ask={"pod_name": "p-1"})
        assert (ended.phase, ended.message, ended.result) == (Phase.SUCCEEDED, "", "added\n1 p-1")


async def test_a_sidecar_is_reached_at_localhost_and_ends_with_main(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path, sidecar_grace=timedelta(seconds=0.2)) as play:
        server = user("web", "trap '' TERM; mkdir /w; echo hello > /w/index.html; httpd -f -p 8080 -h /w & while :; do sleep 1; done")
        ended = await play.sh("until wget -qO- http://127.0.0.1:8080/; do sleep 0.05; done", sidecars=[server])
        assert (ended.phase, ended.result) == (Phase.SUCCEEDED, "hello")
        assert await play.docker("ps", "-q", "--filter", f"label=flowcore.run={play.uid}") == ""
        failed = await play.sh("sleep 0.3", sidecars=[user("bad", "exit 5")])
        assert (failed.phase, failed.message) == (Phase.FAILED, "bad: Error (exit code 5)")


async def test_a_container_set_follows_its_graph(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        containers = [
            user("a", "echo -n a >> /w/log"),
            user("b", "echo -n b >> /w/log", dependencies=["a"]),
            user("bad", "exit 3", dependencies=["a"]),
            user("never", "echo -n x >> /w/log", dependencies=["bad"]),
            user("main", "cat /w/log; cp /w/log /tmp/out", dependencies=["b"]),
        ]
        body: JsonObject = {
            "containerSet": {"containers": containers, "volumeMounts": [{"name": "w", "mountPath": "/w"}]},
            "volumes": [{"name": "w", "emptyDir": {}}],
            "outputs": {"parameters": [{"name": "out", "valueFrom": {"path": "/tmp/out"}}]},
        }
        ended = await play.run(play.asked(body, capture_result=True))
        assert (ended.phase, ended.message, ended.result, dict(ended.parameters)) == (
            Phase.FAILED,
            "bad: Error (exit code 3)",
            "ab",
            {"out": "ab"},
        )
        phases = {name: (member.phase, member.exit_code) for name, member in ended.members.items()}
        assert phases == {
            "a": (Phase.SUCCEEDED, 0),
            "b": (Phase.SUCCEEDED, 0),
            "bad": (Phase.FAILED, 3),
            "never": (Phase.ERROR, 64),
            "main": (Phase.SUCCEEDED, 0),
        }


async def test_a_container_of_a_set_is_run_again(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        main = user("main", "echo run; test -e /tmp/second || { touch /tmp/second; exit 1; }")
        body: JsonObject = {"containerSet": {"retryStrategy": {"retries": "2", "duration": "10ms"}, "containers": [main]}}
        ended = await play.run(play.asked(body, capture_result=True))
        assert (ended.phase, ended.result, play.printed()) == (Phase.SUCCEEDED, "run", "run\nrun")


@pytest.mark.parametrize(
    ("probe", "probes"),
    [
        ({"httpGet": {"path": "/", "port": "web"}}, "auto"),
        ({"tcpSocket": {"port": 8080}}, "outside"),
        ({"exec": {"command": ["test", "-e", "/w/index.html"]}, "successThreshold": 2}, "auto"),
        ({"httpGet": {"path": "/", "port": "web"}}, "inside"),
        ({"tcpSocket": {"port": 8080}}, "inside"),
    ],
    ids=["http", "tcp", "exec", "http inside", "tcp inside"],
)
async def test_a_daemon_is_ready_when_its_probe_passes_and_is_reached_by_others(
    engine: str, tmp_path: Path, probe: JsonObject, probes: str
) -> None:
    async with scene(engine, tmp_path, probes=probes) as play:
        serve = "sleep 0.3; mkdir /w; echo hello > /w/index.html; exec httpd -f -p 8080 -h /w"
        container = {"readinessProbe": probe, "ports": [{"name": "web", "containerPort": 8080}]}
        daemon = play.shell(serve, container=container, ask={"daemon": True})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, daemon)
            address = await ready(play)
            asked = await play.sh(f"until wget -qO- http://{address}:8080/; do sleep 0.05; done")
            assert asked.result == "hello"
            await play.executor.stop(daemon, timedelta(seconds=5))


async def ready(play: DockerPlay) -> str:
    def reports() -> list[Ready]:
        return [report for report in play.reports if isinstance(report, Ready)]

    await until(lambda: bool(reports()))
    return reports()[0].pod_ip or ""


async def test_liveness_and_hooks(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        probe = {
            "exec": {"command": ["test", "-e", "/alive"]},
            "periodSeconds": 0.1,
            "failureThreshold": 2,
            "terminationGracePeriodSeconds": 5,
        }
        dead = await play.sh("sleep 300", container={"livenessProbe": probe})
        assert (dead.phase, dead.exit_code) == (Phase.FAILED, 143)
        hooks = {"postStart": {"exec": {"command": ["touch", "/begun"]}}, "preStop": {"exec": {"command": ["touch", "/asked"]}}}
        asked = play.shell(
            "trap 'ls /begun /asked; exit 0' TERM; until test -e /begun; do sleep 0.05; done; echo up; while :; do sleep 0.05; done",
            container={"lifecycle": hooks},
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, asked)
            await until(lambda: "up" in play.printed())
            await play.executor.stop(asked, timedelta(seconds=10))
        assert play.outcomes[asked.node].result == "up\n/asked\n/begun"
