"""One container on the local backend: commands, environment, what it prints, how it ends."""

from __future__ import annotations

import base64
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from flowcore.errors import ExecutorError
from flowcore.nodes import Phase
from flowcore.ports import Logged
from flowcore.testing.contract import UID
from flowcore_backends.output import LONGEST_LINE, LONGEST_RESULT
from tests.backends.contract import invocation, until
from tests.backends.local_scene import needs_views, scene, sh, shell_invocation

CONFIG: dict[str, Any] = {
    "kind": "ConfigMap",
    "metadata": {"name": "settings", "namespace": "default"},
    "data": {"COLOR": "blue", "no-name!": "x"},
}
SECRET: dict[str, Any] = {
    "kind": "Secret",
    "metadata": {"name": "login", "namespace": "default"},
    "data": {"TOKEN": base64.b64encode(b"s3cret").decode()},
}


@pytest.mark.parametrize("code", [0, 1, 2, 64, 255])
async def test_exit_codes(tmp_path: Path, code: int) -> None:
    async with scene(tmp_path) as play:
        ended = await sh(play, f"exit {code}")
        assert ended.exit_code == code
        assert ended.phase is (Phase.SUCCEEDED if code == 0 else Phase.FAILED)
        assert ended.message == (f"main: Error (exit code {code})" if code else "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
async def test_a_killed_command_has_the_exit_code_of_shells(tmp_path: Path, number: signal.Signals) -> None:
    async with scene(tmp_path) as play:
        ended = await sh(play, f"kill -{int(number)} $$$$")
        assert (ended.exit_code, ended.message) == (128 + number, f"main: Error (exit code {128 + number})")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["no-such-program"], 'exec: "no-such-program": executable file not found in $PATH'),
        (["/no/such/program"], 'exec: "/no/such/program": stat /no/such/program: no such file or directory'),
        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
        (["/etc"], 'exec: "/etc": permission denied'),
    ],
)
async def test_a_command_that_cannot_start_reads_as_in_kubernetes(tmp_path: Path, command: list[str], reason: str) -> None:
    async with scene(tmp_path) as play:
        ended = await play.run(invocation("start", {"container": {"command": command}}))
        assert (ended.phase, ended.exit_code) == (Phase.FAILED, 128)
        assert ended.message == f"main: StartError (exit code 128): unable to start container process: {reason}"


async def test_without_a_command_it_says_what_to_do(tmp_path: Path) -> None:
    template: Any = {"container": {"image": "hello:1", "args": ["there"]}}
    async with scene(tmp_path) as play:
        with pytest.raises(ExecutorError, match=r"has no command.*commands=\{'hello:1': \[\.\.\.\]\}"):
            await play.run(invocation("none", template))
    async with scene(tmp_path, commands={"hello:1": ["echo", "hello"]}) as play:
        assert (await play.run(invocation("given", template, capture_result=True))).result == "hello there"


async def test_a_script_is_the_last_argument_and_kept_to_the_letter(tmp_path: Path) -> None:
    source = 'printf \'%s\' "$0 $(cat "$0")"  # ümläut \\ \'\n'
    async with scene(tmp_path) as play:
        ended = await play.run(invocation("script", {"script": {"command": ["sh"], "source": source}}, capture_result=True))
        assert ended.result == f"/argo/staging/script {source.rstrip()}"


@pytest.mark.parametrize(
    ("printed", "result"),
    [("a", "a"), ("a\\n", "a"), ("a\\n\\n", "a\n"), ("\\n", ""), ("", ""), (" a b \\r\\n", " a b \r"), ("\\377x", "\ufffdx")],
)
async def test_the_result_is_stdout_without_one_line_end(tmp_path: Path, printed: str, result: str) -> None:
    async with scene(tmp_path) as play:
        assert (await sh(play, f"printf '{printed}'; echo beside >&2")).result == result
        assert play.printed("stderr") == "beside"


async def test_of_a_long_result_the_end_is_kept(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        ended = await sh(play, "head -c 1000000 /dev/zero | tr '\\0' x; echo end")
        assert ended.result is not None
        assert len(ended.result) == LONGEST_RESULT - 1  # the line end counted before it was taken off
        assert ended.result.endswith("xend")


async def test_output_comes_by_lines_and_long_lines_in_pieces(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        await sh(play, "echo one; echo; printf two; sleep 0.05; echo ' more'; head -c 200000 /dev/zero | tr '\\0' y")
        texts = [report.text for report in play.reports if isinstance(report, Logged)]
        lines = "\n".join(texts).split("\n")
        assert lines[:3] == ["one", "", "two more"]
        assert "".join(lines[3:]) == "y" * 200000
        assert max(map(len, lines)) <= LONGEST_LINE


async def test_the_environment_is_the_templates_and_not_this_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI_TOKEN", "must not be seen")
    monkeypatch.setenv("LANG", "C.UTF-8")
    given = {
        "envFrom": [
            {"configMapRef": {"name": "settings"}, "prefix": "MY_"},
            {"secretRef": {"name": "login"}},
            {"secretRef": {"name": "no", "optional": True}},
        ],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)2 $$(A) $(NOWHERE)"},
            {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOR"}}},
            {"name": "D", "valueFrom": {"secretKeyRef": {"name": "login", "key": "TOKEN"}}},
            {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "G", "valueFrom": {"secretKeyRef": {"name": "login", "key": "no", "optional": True}}},
            {"name": "H", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ],
        "resources": {"limits": {"cpu": "2"}},
    }
    async with scene(tmp_path, CONFIG, SECRET, environment={"EVERYWHERE": "yes"}) as play:
        asked = "echo $A,$B,$C,$D,$E,$F,${G-unset},$H,$MY_COLOR,$TOKEN,$LANG,$EVERYWHERE,$CI_TOKEN,$ARGO_CONTAINER_NAME"
        ended = await sh(play, asked, container=given, metadata={"labels": {"app": "shop"}}, ask={"pod_name": "wf-pod"})
        assert ended.result == "1,12 $(A) $(NOWHERE),blue,s3cret,wf-pod,shop,unset,2,blue,s3cret,C.UTF-8,yes,,main"


@pytest.mark.parametrize("isolation", ["auto", "off"])
async def test_programs_stand_for_what_the_machine_lacks(tmp_path: Path, isolation: str) -> None:
    (tmp_path / "say").write_text("#!/bin/sh\necho said $*\n")
    (tmp_path / "say").chmod(0o755)
    programs = {"cowsay": "/bin/echo", "sh": "/no/such/sh", "say": tmp_path / "say"}
    async with scene(tmp_path, programs=programs, isolation=isolation, visible=[tmp_path]) as play:
        assert (await sh(play, "cowsay moo; say it")).result == "moo\nsaid it"


async def test_variables_are_expanded_in_commands_and_arguments(tmp_path: Path) -> None:
    template: Any = {"container": {"command": ["$(PROGRAM)"], "args": ["$(WORD)", "$$(WORD)", "$WORD"]}}
    template["container"]["env"] = [{"name": "PROGRAM", "value": "echo"}, {"name": "WORD", "value": "hi"}]
    async with scene(tmp_path) as play:
        assert (await play.run(invocation("expand", template, capture_result=True))).result == "hi $(WORD) $WORD"


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"envFrom": [{"configMapRef": {"name": "no"}}]}, 'configmap "no" not found'),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "no", "key": "k"}}}]}, 'secret "no" not found'),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "login", "key": "k"}}}]},
            "couldn't find key k in Secret default/login",
        ),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.secret"}}}]}, "field label not supported: spec.secret"),
    ],
)
async def test_what_the_environment_lacks_is_said_in_kubernetes_words(tmp_path: Path, env: Any, text: str) -> None:
    async with scene(tmp_path, CONFIG, SECRET) as play:
        with pytest.raises(ExecutorError) as caught:
            await sh(play, "true", container=env)
        assert str(caught.value) == f"Pod failed before main container starts due to CreateContainerConfigError: {text}"


async def test_a_command_that_takes_too_much_memory_is_killed_for_it(tmp_path: Path) -> None:
    grow = "x=a; while :; do x=$x$x; done"
    async with scene(tmp_path) as play:
        ended = await sh(play, grow, container={"resources": {"limits": {"memory": "48Mi"}}})
        assert (ended.phase, ended.exit_code, ended.message) == (Phase.FAILED, 137, "main: OOMKilled (exit code 137)")


@pytest.mark.parametrize(
    ("policy", "command", "note"),
    [
        ({"terminationMessagePath": "/tmp/why"}, "echo -n broken > /tmp/why; exit 3", ": broken"),
        ({"terminationMessagePolicy": "FallbackToLogsOnError"}, "echo last words; exit 3", ": last words"),
        ({}, "echo last words; exit 3", ""),
        ({}, "echo -n told > /dev/termination-log; exit 3", ": told"),
    ],
)
async def test_termination_messages(tmp_path: Path, policy: Any, command: str, note: str) -> None:
    async with scene(tmp_path) as play:
        await needs_views(play)
        assert (await sh(play, command, container=policy)).message == f"main: Error (exit code 3){note}"


async def test_progress_comes_from_its_file(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        assert (await sh(play, 'echo 1/3 > "$ARGO_PROGRESS_FILE"; echo 2/3 >> "$ARGO_PROGRESS_FILE"')).progress == "2/3"
        assert (await sh(play, 'echo all done > "$ARGO_PROGRESS_FILE"')).progress is None


async def test_a_pause_lasts_until_its_file_is_made(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:

        def paused() -> list[str]:
            return [each.text.rpartition(" ")[2] for each in play.reports if isinstance(each, Logged) and each.text.startswith("paused")]

        async def go_on() -> None:
            for number in (1, 2):
                await until(lambda number=number: len(paused()) == number)
                Path(paused()[-1]).touch()

        pauses = [{"name": f"ARGO_DEBUG_PAUSE_{moment}", "value": "true"} for moment in ("BEFORE", "AFTER")]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(go_on)
            assert (await sh(play, "echo done", container={"env": pauses})).result == "done"
        assert [Path(path).name for path in paused()] == ["before", "after"]
        texts = [each.text for each in play.reports if isinstance(each, Logged)]
        assert ["paused" in text for text in texts] == [True, False, True]


async def test_a_pause_ends_when_the_node_is_stopped(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        work = shell_invocation("sleep 100", container={"env": [{"name": "ARGO_DEBUG_PAUSE_BEFORE", "value": "true"}]})
        async with anyio.create_task_group() as tasks:

            async def stop() -> None:
                await until(lambda: any(isinstance(each, Logged) for each in play.reports))
                await play.executor.stop(work, timedelta(seconds=30))

            tasks.start_soon(stop)
            assert (await play.run(work)).phase is Phase.FAILED


async def test_devices_are_there_when_a_command_speaks_of_last_words(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        await needs_views(play)
        command = (
            "test -c /dev/null && echo x > /dev/null && head -c 1 /dev/urandom | wc -c && ls /dev/termination-log && echo out > /dev/stdout"
        )
        assert (await sh(play, command)).result == "1\n/dev/termination-log\nout"
    assert not Path("/dev/termination-log").exists()


async def test_logs_are_kept_where_the_run_says_so(tmp_path: Path) -> None:
    where: Any = {"archiveLocation": {"archiveLogs": True, "s3": {"key": "wf/pod"}}}
    async with scene(tmp_path) as play:
        ended = await sh(play, "echo out; echo err >&2; exit 1", **where)
        assert dict(ended.artifacts) == {"main-logs": {"s3": {"key": "wf/pod/main.log"}}}
        kept = (tmp_path / "artifacts" / "wf" / "pod" / "main.log").read_text()
        assert sorted(kept.splitlines()) == ["err", "out"]


@pytest.mark.parametrize("name", ["../../../escape", "/abs", "..", "a/b", "x" * 300, "ü", ""])
async def test_no_name_of_a_document_leads_out_of_the_scratch_folder(tmp_path: Path, name: str) -> None:
    volume = {"volumeMounts": [{"name": name, "mountPath": "/v"}]}
    sidecar = {"name": name, "command": ["sh", "-c", "echo side"], **volume}
    before = sorted(path.name for path in tmp_path.iterdir())
    async with scene(tmp_path, spec={"volumeClaimTemplates": [{"metadata": {"name": name}}]}) as play:
        ended = await sh(play, "touch /v/f", container=volume, sidecars=[sidecar], ask={"pod_name": name, "uid": UID})
        assert ended.message == ""
    assert sorted(path.name for path in tmp_path.iterdir()) in (before, [*before, "run"])
    assert [path.name for path in (tmp_path / "run").iterdir()] == []


@pytest.mark.parametrize(
    "container",
    [
        {"env": [{"name": "A=B", "value": "x"}]},
        {"env": [{"name": "A", "value": "x\0y"}]},
        {"args": ["a\0b"]},
        {"args": ["x" * 4_000_000]},
        {"workingDir": "/a\0b"},
        {"volumeMounts": [{"name": "v", "mountPath": "/a\0b"}]},
        {"volumeMounts": [{"name": "v", "mountPath": ""}]},
        {"volumeMounts": [{"name": "v", "mountPath": "/" + "x" * 300}]},
        {"volumeMounts": [{"name": "none", "mountPath": "/x"}]},
        {"workingDir": "/etc/passwd/x"},
    ],
)
async def test_what_no_machine_can_do_ends_in_an_outcome_or_an_error_of_ours(tmp_path: Path, container: Any) -> None:
    async with scene(tmp_path) as play:
        try:
            ended = await sh(play, "true", container=container, volumes=[{"name": "v", "emptyDir": {}}])
        except ExecutorError as error:
            assert str(error)
        else:
            assert ended.exit_code == 128
            assert ended.message.startswith("main: StartError (exit code 128)")
        assert (await sh(play, "echo on")).result == "on"


async def test_an_image_is_not_used_and_that_is_said_once_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with scene(tmp_path) as play:
        await sh(play, "true")
        await sh(play, "true")
    assert len([record for record in caplog.records if "no container images" in record.getMessage()]) == 1
