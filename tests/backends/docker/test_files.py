"""Files on a real engine: parameters and artifacts through the archive interface, volumes of all kinds."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from tests.backends.docker.scene import DockerPlay, scene

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SETTINGS: JsonObject = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "green", "size": "9"}}
ACCOUNT: JsonObject = {"kind": "Secret", "metadata": {"name": "account"}, "stringData": {"user": "nobody"}}


def parameters(**paths: str) -> JsonObject:
    return {"parameters": [{"name": name, "valueFrom": {"path": path}} for name, path in paths.items()]}


def artifacts(**paths: Any) -> JsonObject:
    return {"artifacts": [{"name": name, **(more if isinstance(more, dict) else {"path": more})} for name, more in paths.items()]}


async def test_parameters_and_artifacts_from_one_step_to_the_next(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        outputs = {
            **parameters(one="/tmp/one", link="/tmp/link", gone="/none"),
            **artifacts(tree="/srv/tree", file="/tmp/one", gone="/none"),
        }
        made = await play.sh(
            "echo one > /tmp/one; ln -s one /tmp/link; mkdir -p /srv/tree/deep; echo leaf > /srv/tree/deep/leaf; "
            "ln -s deep/leaf /srv/tree/way; mkfifo /srv/tree/pipe; chmod 750 /srv/tree/deep",
            outputs=outputs,
        )
        assert (made.message, dict(made.parameters), sorted(made.artifacts)) == ("", {"one": "one", "link": "one"}, ["file", "tree"])
        inputs = artifacts(
            tree={"path": "/in/tree", **made.artifacts["tree"]},
            file={"path": "/in/file", "mode": 0o700, **made.artifacts["file"]},
            raw={"path": "/in/raw", "raw": {"data": "ü"}},
            none={"path": "/in/none", "optional": True, "s3": {"key": "none"}},
        )
        taken = await play.sh("cd /in; cat tree/deep/leaf tree/way file raw; stat -c %a file; ls tree none 2>&1", inputs=inputs)
        assert taken.result == "leaf\nleaf\none\nü700\nls: none: No such file or directory\ntree:\ndeep\nway"


async def test_packing(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        outputs = artifacts(
            tgz={"path": "/t", "s3": {"key": "t.tgz"}},
            zip={"path": "/t", "archive": {"zip": {}}, "s3": {"key": "t.zip"}},
            plain={"path": "/t", "archive": {"none": {}}, "s3": {"key": "plain"}},
            file={"path": "/t/a", "archive": {"none": {}}, "s3": {"key": "file"}},
        )
        ended = await play.sh("mkdir /t; echo a > /t/a; ln -s /etc/passwd /t/away", outputs=outputs)
        assert ended.message == ""
        store = tmp_path / "artifacts"
        with tarfile.open(store / "t.tgz") as tar:
            assert sorted(tar.getnames()) == ["t", "t/a", "t/away"]
        assert zipfile.ZipFile(io.BytesIO((store / "t.zip").read_bytes())).namelist() == ["t/", "t/a"]
        assert [(store / "plain" / "a").read_text(), (store / "file").read_text()] == ["a\n", "a\n"]


async def test_an_image_without_a_shell_or_anything(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        await play.sh(
            "true", sidecars=[{"name": "side", "image": "alpine", "command": ["sleep", "9"]}]
        )  # makes the image of a single program
        (image,) = (await play.docker("images", "-q", "flowcore/pause")).split()
        raw = {"path": "/deep/er/in", "raw": {"data": "content"}}
        asked = play.asked(
            {"container": {"image": image, "command": ["/pause"]}, "inputs": artifacts(a=raw), "outputs": parameters(back="/deep/er/in")}
        )
        import anyio

        from tests.backends.contract import until

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, asked)
            await until(lambda: play.started(asked))
            from datetime import timedelta

            await play.executor.stop(asked, timedelta(0))
        assert dict(play.outcomes[asked.node].parameters) == {"back": "content"}


async def test_outputs_that_are_no_good(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        large = await play.sh("head -c 2000000 /dev/zero > /tmp/p", outputs=parameters(p="/tmp/p"))
        assert (large.phase, "larger than 1048576 bytes" in large.message) == (Phase.ERROR, True)
        pipe = await play.sh("mkfifo /tmp/p", outputs=artifacts(p="/tmp/p"))
        assert (pipe.phase, "not a regular file" in pipe.message) == (Phase.ERROR, True)
        failed = await play.sh("echo 1 > /tmp/p; exit 4", outputs=parameters(p="/tmp/p"))
        assert (failed.exit_code, dict(failed.parameters)) == (4, {"p": "1"})


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "link/evil"])
async def test_archives_that_leave_their_folder(engine: str, tmp_path: Path, name: str) -> None:
    async with scene(engine, tmp_path) as play:
        packed = tmp_path / "evil.tgz"
        with tarfile.open(packed, "w:gz") as tar:
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc"
            tar.addfile(link)
            tar.addfile(tarfile.TarInfo(name))
        await play.context.artifacts.save("evil", packed)
        with pytest.raises(ExecutorError, match="artifact a failed to load"):
            await play.sh("true", inputs=artifacts(a={"path": "/in", "s3": {"key": "evil"}}))
        with pytest.raises(ExecutorError, match="artifact a failed to load"):
            await play.sh("true", inputs=artifacts(a={"path": "/in", "s3": {"key": "none"}}))


async def test_values_as_files(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path, SETTINGS, ACCOUNT) as play:
        volumes: list[JsonObject] = [
            {"name": "settings", "configMap": {"name": "settings", "items": [{"key": "colour", "path": "a/b", "mode": 0o600}]}},
            {"name": "account", "secret": {"secretName": "account", "defaultMode": 0o440}},
            {
                "name": "all",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "settings"}},
                        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
                    ]
                },
            },
        ]
        mounts = [
            {"name": "settings", "mountPath": "/s"},
            {"name": "account", "mountPath": "/a", "readOnly": True},
            {"name": "all", "mountPath": "/p"},
            {"name": "all", "mountPath": "/one/file", "subPath": "size"},
        ]
        ended = await play.sh(
            "cat /s/a/b /a/user /one/file; stat -c %a /s/a/b /a/user; ls /p; cat /p/name; touch /a/x 2>/dev/null || echo; echo refused",
            container={"volumeMounts": mounts},
            volumes=volumes,
        )
        assert (ended.message, ended.result) == ("", "greennobody9600\n440\ncolour\nname\nsize\ndefault\nrefused")


async def test_empty_volumes(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        volumes: list[JsonObject] = [
            {"name": "disk", "emptyDir": {}},
            {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ]
        mounts = [
            {"name": "disk", "mountPath": "/disk"},
            {"name": "mem", "mountPath": "/mem"},
            {"name": "disk", "mountPath": "/part", "subPath": "x/y"},
        ]
        ended = await play.sh(
            "cat /disk/given/in /mem/in; echo out > /mem/out; touch /disk/mine; echo p > /part/p; cat /disk/x/y/p; "
            "grep ' /mem ' /proc/mounts | cut -d' ' -f3; head -c 2000000 /dev/zero > /mem/big 2>/dev/null || echo full",
            container={"volumeMounts": mounts, "securityContext": {"runAsUser": 1000}},
            volumes=volumes,
            inputs=artifacts(a={"path": "/disk/given/in", "raw": {"data": "a"}}, b={"path": "/mem/in", "raw": {"data": "b"}}),
            outputs=parameters(out="/mem/out", mine="/disk/given/in"),
        )
        assert (ended.message, ended.result, dict(ended.parameters)) == ("", "abp\ntmpfs\nfull", {"out": "out", "mine": "a"})


async def test_claims_live_as_long_as_the_run(engine: str, tmp_path: Path) -> None:
    spec: JsonObject = {"volumeClaimTemplates": [{"metadata": {"name": "desk"}}]}
    async with scene(engine, tmp_path, spec=spec) as play:
        mount = {"volumeMounts": [{"name": "desk", "mountPath": "/desk"}], "securityContext": {"runAsUser": 1000}}
        await play.sh("echo notes > /desk/notes; mkdir /desk/part; echo in-part > /desk/part/x", container=mount)
        assert (await play.sh("cat /desk/notes", container=mount)).result == "notes"
        part = {"volumeMounts": [{"name": "desk", "mountPath": "/p", "subPath": "part", "readOnly": True}]}
        assert (await play.sh("cat /p/x", container=part)).result == "in-part"
        await play.executor.close(play.context)
        assert await play.objects() == []


async def test_a_part_of_a_volume_may_not_be_a_link(engine: str, tmp_path: Path) -> None:
    spec: JsonObject = {"volumeClaimTemplates": [{"metadata": {"name": "desk"}}]}
    async with scene(engine, tmp_path, spec=spec) as play:
        await play.sh("ln -s /etc /desk/way", container={"volumeMounts": [{"name": "desk", "mountPath": "/desk"}]})
        for part, words in (("way", "symbolic link"), ("way/x", "symbolic link"), ("../x", "leads out of the volume")):
            with pytest.raises(ExecutorError, match=words):
                await play.sh("ls /p", container={"volumeMounts": [{"name": "desk", "mountPath": "/p", "subPath": part}]})


async def test_claims_and_host_paths_that_somebody_allowed(engine: str, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "file").write_text("here")
    volumes: list[JsonObject] = [
        {"name": "host", "hostPath": {"path": str(tmp_path / "host")}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "mine"}},
    ]
    mounts = [{"name": "host", "mountPath": "/host"}, {"name": "claim", "mountPath": "/claim"}]
    async with scene(engine, tmp_path, host_paths=[tmp_path], claims={"mine": str(tmp_path / "host")}) as play:
        ended = await play.sh("cat /host/file /claim/file; echo back > /claim/new", container={"volumeMounts": mounts}, volumes=volumes)
        assert (ended.result, (tmp_path / "host" / "new").read_text()) == ("herehere", "back\n")
    async with scene(engine, tmp_path) as play:
        await refused(play, volumes[0], "which is not allowed; give DockerExecutor")
        await refused(play, volumes[1], 'persistentvolumeclaim "mine" not found')
        await refused(
            play, {"name": "disk", "awsElasticBlockStore": {}}, "of the type awsElasticBlockStore, which the docker backend does not have"
        )


async def refused(play: DockerPlay, volume: JsonObject, words: str) -> None:
    with pytest.raises(ExecutorError, match=words):
        await play.sh("true", container={"volumeMounts": [{"name": volume["name"], "mountPath": "/v"}]}, volumes=[volume])


async def test_read_only_root_with_inputs_and_script(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        script = {
            "image": "alpine",
            "command": ["sh"],
            "source": "cat /in/a; touch /x || echo no",
            "securityContext": {"readOnlyRootFilesystem": True},
        }
        body: JsonObject = {"script": script, "inputs": artifacts(a={"path": "/in/a", "raw": {"data": "a\n"}})}
        assert (await play.run(play.asked(body, capture_result=True))).result == "a\nno"


async def test_logs_are_archived(engine: str, tmp_path: Path) -> None:
    async with scene(engine, tmp_path) as play:
        where: JsonObject = {"archiveLogs": True, "s3": {"key": "logs/of/it"}}
        ended = await play.sh("echo out; echo err >&2", archiveLocation=where)
        assert ended.artifacts["main-logs"]["s3"] == {"key": "logs/of/it/main.log"}
        assert sorted((tmp_path / "artifacts/logs/of/it/main.log").read_text().split()) == ["err", "out"]
