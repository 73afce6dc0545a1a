"""Files on the local backend: the private view, parameters, artifacts, volumes."""

from __future__ import annotations

import base64
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from tests.backends.contract import invocation
from tests.backends.local_scene import needs_views, scene, sh, shell


def parameters(**paths: str) -> JsonObject:
    return {"parameters": [{"name": name, "valueFrom": {"path": path}} for name, path in paths.items()]}


def artifacts(**paths: Any) -> JsonObject:
    return {"artifacts": [{"name": name, **(more if isinstance(more, dict) else {"path": more})} for name, more in paths.items()]}


@pytest.mark.parametrize(
    "path", ["/tmp/message", "/message", "/mnt/vol/deep/message", "/var/lib/flowcore-test/x", "/root/flowcore-test", "/etc/flowcore-test"]
)
async def test_an_output_parameter_is_private_wherever_it_lies(tmp_path: Path, path: str) -> None:
    async with scene(tmp_path) as play:
        await needs_views(play)
        ended = await sh(
            play,
            f"ls -d {path} 2>/dev/null; echo hello > {path}; echo; mv {path} {path}.x; mv {path}.x {path}",
            outputs=parameters(message=path),
        )
        assert (ended.message, ended.result, dict(ended.parameters)) == ("", "", {"message": "hello"})
        assert not os.path.lexists(path)


@pytest.mark.parametrize(("written", "value"), [("a\n", "a"), ("a\n\n", "a\n"), ("", ""), ("a\r\n", "a\r"), (" ü ", " ü ")])
async def test_a_parameter_file_loses_one_line_end(tmp_path: Path, written: str, value: str) -> None:
    async with scene(tmp_path) as play:
        ended = await sh(
            play, 'printf "%s" "$TEXT" > /tmp/p', container={"env": [{"name": "TEXT", "value": written}]}, outputs=parameters(p="/tmp/p")
        )
        assert dict(ended.parameters) == {"p": value}


async def test_missing_outputs_are_left_out_for_the_engine_to_judge(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        outputs = {**parameters(none="/tmp/none"), **artifacts(gone="/tmp/gone")}
        ended = await sh(play, "true", outputs=outputs)
        assert (ended.phase, dict(ended.parameters), dict(ended.artifacts)) == (Phase.SUCCEEDED, {}, {})


async def test_outputs_of_a_failed_command_are_still_collected(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        ended = await sh(play, "echo 1 > /tmp/p; exit 4", outputs=parameters(p="/tmp/p"))
        assert (ended.exit_code, dict(ended.parameters)) == (4, {"p": "1"})


async def test_an_output_that_is_too_large_or_no_file_is_an_error(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        large = await sh(play, "head -c 2000000 /dev/zero > /tmp/p", outputs=parameters(p="/tmp/p"))
        assert (large.phase, "larger than 1048576 bytes" in large.message) == (Phase.ERROR, True)
        pipe = await sh(play, "mkfifo /tmp/p", outputs=artifacts(p="/tmp/p"))
        assert (pipe.phase, "not a regular file" in pipe.message) == (Phase.ERROR, True)


async def test_the_machines_files_are_there_and_its_tmp_is_not(tmp_path: Path) -> None:
    marker = Path("/tmp") / f"flowcore-test-{os.getpid()}"
    async with scene(tmp_path) as play:
        await needs_views(play)
        marker.touch()
        try:
            assert (
                await sh(play, f"ls -A /tmp; ls {marker}; pwd; cat /etc/hostname >/dev/null && echo yes; touch /made /tmp/made")
            ).result == "/\nyes"
        finally:
            marker.unlink()
        assert (await sh(play, "ls -d /made /tmp/made")).result == ""
    assert not Path("/made").exists()


async def test_artifacts_go_from_one_node_to_the_next(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        made = await sh(
            play,
            "mkdir -p /out/d/sub; echo 1 > /out/d/a; echo 2 > /out/d/sub/b; ln -s sub/b /out/d/l; chmod +x /out/d/a; echo f > /out/f",
            outputs=artifacts(d="/out/d", f="/out/f"),
        )
        assert made.artifacts["d"]["s3"] == {"key": f"wf/{next(iter(play.outcomes)).replace('wf-', 'wf-shell-')}/d.tgz"}
        inputs = artifacts(d={"path": "/in/here", **made.artifacts["d"]}, f={"path": "/tmp/g", "mode": 0o440, **made.artifacts["f"]})
        taken = await sh(
            play, "cd /in/here && cat a sub/b l && test -x a && stat -c %a /tmp/g && cat /tmp/g && echo more >> a && cat a", inputs=inputs
        )
        assert taken.result == "1\n2\n2\n440\nf\n1\nmore"


async def test_archives_are_named_and_packed_as_asked(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        outputs = artifacts(
            t={"path": "/o/x.txt", "archive": {"tar": {"compressionLevel": 0}}, "s3": {"key": "t"}},
            z={"path": "/o", "archive": {"zip": {}}, "s3": {"key": "{workflow}/z"}},
            n={"path": "/o/x.txt", "archive": {"none": {}}},
            m={"path": "/o", "archive": {"none": {}}, "s3": {"key": "m"}},
        )
        made = await sh(play, "mkdir /o; echo x > /o/x.txt; echo y > /o/y", outputs=outputs, ask={"pod_name": "pod"})
        assert made.artifacts["n"] == {"s3": {"key": "wf/pod/x.txt"}, "archive": {"none": {}}}
        assert await play.context.artifacts.keys("") == ["m/x.txt", "m/y", "t", "wf/pod/x.txt", "{workflow}/z"]
        with tarfile.open(tmp_path / "artifacts" / "t") as tar:
            assert tar.getnames() == ["x.txt"]
        inputs = artifacts(**{name: {"path": f"/i/{name}", **made.artifacts[name]} for name in "tznm"})
        taken = await sh(play, "cat /i/t /i/n /i/z/x.txt /i/m/y", inputs=inputs)
        assert taken.result == "x\nx\nx\ny"


async def test_raw_and_optional_artifacts(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        inputs = artifacts(
            raw={"path": "/tmp/raw", "raw": {"data": "rock\n"}, "mode": 0o755},
            absent={"path": "/tmp/absent", "optional": True},
            lost={"path": "/tmp/lost", "optional": True, "s3": {"key": "lost"}},
        )
        assert (await sh(play, "cat /tmp/raw; test -x /tmp/raw && ls /tmp", inputs=inputs)).result == "rock\nraw"
        with pytest.raises(ExecutorError, match="required artifact 'a' not supplied"):
            await sh(play, "true", inputs=artifacts(a="/tmp/a"))
        with pytest.raises(ExecutorError, match="artifact a failed to load: no artifact is stored under the key 'lost'"):
            await sh(play, "true", inputs=artifacts(a={"path": "/tmp/a", "s3": {"key": "lost"}}))


async def test_bound_artifacts_come_with_the_invocation(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        body = shell("cat /tmp/a", inputs=artifacts(a="/tmp/a"))
        bound = {"artifacts": [{"name": "a", "raw": {"data": "bound"}}]}
        assert (await play.run(invocation("bound", body, inputs=bound, capture_result=True))).result == "bound"


# --- volumes ----------------------------------------------------------------------------------------------------------------------


async def test_an_artifact_whose_path_lies_in_a_volume_goes_into_the_volume(tmp_path: Path) -> None:
    template = {"container": {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}, "volumes": [{"name": "v", "emptyDir": {}}]}
    async with scene(tmp_path) as play:
        inputs = artifacts(a={"path": "/data/sub/a", "raw": {"data": "1"}}, b={"path": "/data/b", "raw": {"data": "2"}})
        ended = await sh(
            play, "cat /data/sub/a /data/b; mv /data/b /data/c; echo; ls /data", inputs=inputs, outputs=artifacts(c="/data/c"), **template
        )
        assert (ended.result, list(ended.artifacts)) == ("12\nc\nsub", ["c"])


async def test_claims_live_as_long_as_the_run(tmp_path: Path) -> None:
    spec: JsonObject = {"volumeClaimTemplates": [{"metadata": {"name": "work"}, "spec": {}}]}
    mounted = {"container": {"volumeMounts": [{"name": "work", "mountPath": "/mnt/vol"}]}}
    async with scene(tmp_path, spec=spec) as play:
        await sh(play, "echo kept > /mnt/vol/f", **mounted)
        assert (await sh(play, "cat /mnt/vol/f", **mounted)).result == "kept"
        by_name = {"name": "w", "persistentVolumeClaim": {"claimName": "wf-work"}}
        mounts = {
            "container": {"volumeMounts": [{"name": "w", "mountPath": "/x", "subPath": "deep/er"}, {"name": "w", "mountPath": "/x/all"}]},
            "volumes": [by_name],
        }
        assert (await sh(play, "touch /x/new; cat /x/all/f; ls /x/all/deep/er", **mounts)).result == "kept\nall\nnew"
    assert not (tmp_path / "run" / "local").exists()


async def test_other_claims_are_mapped_to_folders_or_refused_with_advice(tmp_path: Path) -> None:
    template = {
        "container": {"volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}]},
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "db"}}],
    }
    async with scene(tmp_path) as play:
        with pytest.raises(ExecutorError, match=r'persistentvolumeclaim "db" not found.*claims=\{\'db\': FOLDER\}'):
            await sh(play, "true", **template)
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "f").write_text("mapped")
    async with scene(tmp_path, claims={"db": tmp_path / "db"}) as play:
        ended = await sh(play, "cat /v/f; echo x > /v/g", **template)
        assert (ended.result, ended.phase) == ("mapped", Phase.FAILED)
        assert "Read-only file system" in play.printed("stderr")


async def test_config_maps_secrets_and_fields_as_files(tmp_path: Path) -> None:
    config: JsonObject = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}
    secret: JsonObject = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"k": base64.b64encode(b"\x00\xff").decode()}}
    volumes = [
        {"name": "c", "configMap": {"name": "c", "items": [{"key": "b", "path": "deep/b.txt", "mode": 0o400}]}},
        {"name": "s", "secret": {"secretName": "s", "defaultMode": 0o440}},
        {
            "name": "p",
            "projected": {
                "sources": [
                    {"configMap": {"name": "c"}},
                    {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                ]
            },
        },
        {"name": "o", "secret": {"secretName": "none", "optional": True}},
    ]
    mounts = [{"name": volume["name"], "mountPath": f"/conf/{volume['name']}"} for volume in volumes]
    async with scene(tmp_path, config, secret) as play:
        command = "cd /conf; cat c/deep/b.txt; stat -c %a c/deep/b.txt s/k; od -An -tx1 s/k; cat p/a p/b p/name; ls o; ls c"
        ended = await sh(play, command, container={"volumeMounts": mounts}, volumes=volumes, ask={"pod_name": "me"})
        assert ended.result == "2400\n440\n 00 ff\n12medeep"
        with pytest.raises(ExecutorError, match=r'MountVolume\.SetUp failed for volume "x" : configmap "no" not found'):
            await sh(
                play,
                "true",
                container={"volumeMounts": [{"name": "x", "mountPath": "/x"}]},
                volumes=[{"name": "x", "configMap": {"name": "no"}}],
            )


async def test_host_paths_need_permission(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    template = {
        "container": {"volumeMounts": [{"name": "h", "mountPath": "/h"}]},
        "volumes": [{"name": "h", "hostPath": {"path": str(tmp_path / "shared")}}],
    }
    async with scene(tmp_path) as play:
        with pytest.raises(ExecutorError, match=r"which is not allowed; give LocalExecutor\(host_paths"):
            await sh(play, "true", **template)
    async with scene(tmp_path, host_paths=[tmp_path]) as play:
        assert (await sh(play, "echo x > /h/f", **template)).phase is Phase.SUCCEEDED
    assert (tmp_path / "shared" / "f").read_text() == "x\n"


@pytest.mark.parametrize("path", ["../../etc", "/etc", "link/x"])
async def test_a_sub_path_cannot_leave_its_volume(tmp_path: Path, path: str) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "link").symlink_to("/etc")
    template = {
        "container": {"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": path}]},
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "v"}}],
    }
    async with scene(tmp_path, claims={"v": tmp_path / "v"}) as play:
        with pytest.raises(ExecutorError, match="leads out of the volume"):
            await sh(play, "true", **template)


async def test_an_artifact_is_not_written_through_a_link_that_a_volume_holds(tmp_path: Path) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "link").symlink_to(tmp_path)
    template = {
        "container": {"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "v"}}],
    }
    async with scene(tmp_path, claims={"v": tmp_path / "v"}) as play:
        with pytest.raises(ExecutorError, match="through a symbolic link"):
            await sh(play, "true", inputs=artifacts(a={"path": "/v/link/a", "raw": {"data": "x"}}), **template)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("path", ["/proc/x", "/sys/x", "/dev/x", "/tmp/../../x", "/"])
async def test_paths_that_cannot_be_a_nodes_own_are_refused(tmp_path: Path, path: str) -> None:
    async with scene(tmp_path) as play:
        await needs_views(play)
        with pytest.raises(ExecutorError, match=r"declare another path|leads upwards|declare a folder"):
            await sh(play, "true", inputs=artifacts(a={"path": path, "raw": {"data": "x"}}))


async def test_a_working_directory_is_made_where_the_machine_has_none(tmp_path: Path) -> None:
    async with scene(tmp_path) as play:
        ended = await sh(
            play,
            "pwd; echo x > out; cat in",
            container={"workingDir": "/workspace/src"},
            outputs=parameters(o="out"),
            inputs=artifacts(i={"path": "in", "raw": {"data": "here"}}),
        )
        assert (ended.result, dict(ended.parameters)) == ("/workspace/src\nhere", {"o": "x"})


@pytest.mark.parametrize("isolation", ["auto", "off"])
async def test_commands_can_begin_in_a_folder_of_the_users(tmp_path: Path, isolation: str) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "in").write_text("mine")
    async with scene(tmp_path, working_dir=tmp_path / "project", isolation=isolation) as play:
        assert (await sh(play, "cat in; echo made > out")).result == "mine"
    assert (tmp_path / "project" / "out").read_text() == "made\n"


# --- without a view -----------------------------------------------------------------------------------------------------------------


async def test_without_a_view_paths_of_its_own_are_refused_with_advice(tmp_path: Path) -> None:
    async with scene(tmp_path, isolation="off") as play:
        with pytest.raises(ExecutorError, match=r"declares paths that all nodes would share: /tmp/p; .*allow_shared_paths=True"):
            await sh(play, "true", outputs=parameters(p="/tmp/p"))


async def test_without_a_view_relative_paths_work(tmp_path: Path) -> None:
    async with scene(tmp_path, isolation="off") as play:
        ended = await sh(
            play, "cat in; echo 1 > out", outputs=parameters(o="out"), inputs=artifacts(i={"path": "in", "raw": {"data": "here"}})
        )
        assert (ended.result, dict(ended.parameters)) == ("here", {"o": "1"})


async def test_shared_paths_can_be_accepted(tmp_path: Path) -> None:
    place = tmp_path / "place"
    async with scene(tmp_path, isolation="off", allow_shared_paths=True) as play:
        inputs = artifacts(i={"path": f"{place}/in", "raw": {"data": "here"}})
        ended = await sh(play, f"cat {place}/in; echo 1 > {place}/out", outputs=parameters(o=f"{place}/out"), inputs=inputs)
        assert (ended.result, dict(ended.parameters)) == ("here", {"o": "1"})
        assert not (place / "in").exists()
        (place / "in").write_text("somebody's")
        with pytest.raises(ExecutorError, match="is already there"):
            await sh(play, "true", inputs=inputs)
