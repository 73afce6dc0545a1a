"""Single containers on a real engine: commands, environment, limits, what is refused, how ends are worded."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from flowcore.ports import Progressed
from tests.backends.contract import until
from tests.backends.docker.scene import scene

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SETTINGS: JsonObject = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "green", "a.b": "dotted"}}
ACCOUNT: JsonObject = {"kind": "Secret", "metadata": {"name": "account"}, "stringData": {"user": "nobody"}}


async def test_environment_comes_from_everywhere(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path, SETTINGS, ACCOUNT) as play:
        env: list[dict[str, Any]] = [
            {"name": "PLAIN", "value": "x"},
            {"name": "TWICE", "value": "$(PLAIN)$(PLAIN)$$(PLAIN)"},
            {"name": "USER_NAME", "valueFrom": {"secretKeyRef": {"name": "account", "key": "user"}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]
        given = {"env": env, "envFrom": [{"prefix": "S_", "configMapRef": {"name": "settings"}}], "args": ["first $(PLAIN)"]}
        asked = play.shell('echo "$0|$PLAIN|$TWICE|$USER_NAME|$POD|$S_colour|$ARGO_NODE_ID|$(hostname)"', container=given)
        ended = await play.run(asked)
        name = asked.pod_name
        assert ended.result == f"first x|x|xx$(PLAIN)|nobody|{name}|green|{asked.node}|{name}"


async def test_what_an_environment_refers_to_must_be_there(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "user"}}}]
        with pytest.raises(ExecutorError, match='CreateContainerConfigError: secret "gone" not found'):
            await play.sh("true", container={"env": env})


async def test_the_image_says_what_runs_where_the_template_does_not(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        made = await play.docker("create", "alpine:latest", "true")
        changes = ["--change", 'ENTRYPOINT ["echo", "entry"]', "--change", 'CMD ["command"]', "--change", "WORKDIR /srv"]
        await play.docker("commit", *changes, made, "with-entrypoint:latest")
        await play.docker("rm", made)
        both = await play.run(play.asked({"container": {"image": "with-entrypoint"}}, capture_result=True))
        args = await play.run(play.asked({"container": {"image": "with-entrypoint", "args": ["mine"]}}, capture_result=True))
        command = await play.run(play.asked({"container": {"image": "with-entrypoint", "command": ["pwd"]}}, capture_result=True))
        assert [both.result, args.result, command.result] == ["entry command", "entry mine", "/srv"]


async def test_a_script_is_the_last_argument(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        script = {"image": "python:3.12-alpine", "command": ["python", "-u"], "source": "import sys\nprint('ü', sys.argv[0])\n"}
        ended = await play.run(play.asked({"script": script}, capture_result=True))
        assert ended.result == "ü /argo/staging/script"


async def test_too_much_memory_is_worded_as_kubernetes_does(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        source = "held = bytearray(300 << 20)\nfor at in range(0, len(held), 4096): held[at] = 1\n"
        limits = {"limits": {"memory": "40Mi", "cpu": "64"}}
        script = {"image": "python:3.12-alpine", "command": ["python"], "source": source, "resources": limits}
        ended = await play.run(play.asked({"script": script}))
        assert (ended.phase, ended.exit_code, ended.message) == (Phase.FAILED, 137, "main: OOMKilled (exit code 137)")


async def test_user_groups_capabilities_and_read_only_root(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        context = {
            "runAsUser": 1234,
            "runAsGroup": 55,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        asked = "id -u; id -g; touch /tmp/x 2>/dev/null || echo refused; grep -c 'NoNewPrivs:.1' /proc/self/status; echo 3/4 > $ARGO_PROGRESS_FILE"
        ended = await play.sh(asked, container={"securityContext": context}, securityContext={"supplementalGroups": [77]})
        assert (ended.result, ended.progress) == ("1234\n55\nrefused\n1", "3/4")


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"privileged": True}, "is privileged, which is not allowed here"),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, "adds the capabilities SYS_ADMIN"),
        ({"runAsNonRoot": True}, "runAsNonRoot and image will run as root"),
    ],
)
async def test_power_over_the_machine_is_refused(engine: str, tmp_path: Path, context: JsonObject, words: str) -> None:
    async with scene(engine, tmp_path) as play:
        with pytest.raises(ExecutorError, match=words):
            await play.sh("true", container={"securityContext": context})
        assert await play.docker("ps", "-aq", "--filter", f"label=flowcore.run={play.uid}") == ""


async def test_an_image_that_cannot_be_had(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        with pytest.raises(ExecutorError, match='main container starts due to ErrImagePull: failed to pull image "localhost:1/none:1"'):
            await play.sh("true", container={"image": "localhost:1/none:1"})
        assert Progressed(play.reports[0].node, message='Pulling image "localhost:1/none:1"') in play.reports
        with pytest.raises(ExecutorError, match="not present with pull policy of Never"):
            await play.sh("true", container={"image": "localhost:1/none:1", "imagePullPolicy": "Never"})


async def test_a_command_that_is_not_there_and_a_working_directory(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        missing = await play.run(play.asked({"container": {"image": "alpine", "command": ["no-such-command"]}}))
        assert (missing.phase, missing.exit_code) == (Phase.FAILED, 127)
        assert "no-such-command" in play.printed("stderr")
        assert (await play.sh("pwd", container={"workingDir": "/tmp/a/b"})).result == "/tmp/a/b"


async def test_termination_messages(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        file = await play.sh("echo -n why > /tmp/why; exit 3", container={"terminationMessagePath": "/tmp/why"})
        logs = await play.sh("echo because; exit 4", container={"terminationMessagePolicy": "FallbackToLogsOnError"})
        default = await play.sh("echo -n usual > /dev/termination-log; exit 5", container={"securityContext": {"runAsUser": 9}})
        assert default.message == "main: Error (exit code 5): usual"
        assert [file.message, logs.message] == ["main: Error (exit code 3): why", "main: Error (exit code 4): because"]


async def test_output_is_bounded_and_whole(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        play.reports = _Counted()
        ended = await play.sh("head -c 20000000 /dev/zero | tr '\\0' x | fold -w 99; echo; echo end")
        assert ended.result is not None
        assert (len(ended.result) < 300_000, ended.result.endswith("\nend")) == (True, True)
        assert play.reports.printed == 20_000_000


class _Counted(list):
    """Counts what was printed instead of keeping it."""

    printed = 0

    def append(self, report: Any) -> None:
        self.printed += getattr(report, "text", "").count("x")


async def test_stopped_while_it_waits_for_a_place(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path, parallelism=1) as play:
        first, second = play.shell("sleep 300"), play.shell("echo ran")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, first)
            await until(lambda: play.started(first))
            tasks.start_soon(play.run, second)
            await anyio.wait_all_tasks_blocked()
            await play.executor.stop(second, timedelta(0))
            await until(lambda: second.node in play.outcomes)
            await play.executor.stop(first, timedelta(0))
        assert play.outcomes[second.node].message == "main: Error (exit code 143)"
        assert play.outcomes[first.node].exit_code in (137, 143)


async def test_names_dns_and_a_terminal(engine: str, tmp_path: Path) -> None:
    spec: JsonObject = {
        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["far.away"]}],
        "dnsConfig": {"nameservers": ["10.9.9.9"], "searches": ["here"], "options": [{"name": "ndots", "value": "3"}]},
    }
    async with scene(engine, tmp_path, spec=spec) as play:
        ended = await play.sh(
            "grep far /etc/hosts | tr -s '\\t' ' '; grep -o 'ndots:3' /etc/resolv.conf; test -t 1 && echo tty", container={"tty": True}
        )
        assert (ended.result or "").split() == ["10.1.2.3", "far.away", "ndots:3", "tty"]


@pytest.mark.parametrize("context", [{}, {"runAsUser": 1000}], ids=["root", "somebody"])
async def test_progress_is_reported_while_it_happens(engine: str, tmp_path: Path, context: JsonObject) -> None:
    async with scene(engine, tmp_path, progress_every=timedelta(seconds=0.1)) as play:
        container = {"image": "alpine", "command": ["sh", "-c", "eval $WHAT"], "securityContext": context}
        hidden = "echo 1/4 > $ARGO_PROGRESS_FILE; sleep 300"  # cut in two, as a program in an image would not be seen either
        script = [{"name": "A", "value": hidden[:20]}, {"name": "B", "value": hidden[20:]}, {"name": "WHAT", "value": "$(A)$(B)"}]
        asked = play.asked({"container": {**container, "env": script}})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, asked)
            await until(lambda: Progressed(asked.node, progress="1/4") in play.reports)
            await play.executor.stop(asked, timedelta(0))
