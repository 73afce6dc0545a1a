"""Large artifacts from the pod straight into a store of S3's language: what goes there, and what takes the long way."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowcore.artifacts import locations
from flowcore.artifacts.repository import RepositoryArtifacts
from flowcore.catalogs import MemoryCatalog
from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from tests.backends.contract import invocation, run_context
from tests.backends.kubernetes.test_executor import Scene
from tests.backends.kubernetes.tls_front import tls_front, write_certificates
from tests.serving import s3_server

pytest.importorskip("kubernetes_asyncio")
pytest.importorskip("obstore")
pytest.importorskip("moto.server")

from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.testing import FakeKube, local_processes

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox on this machine")

KEYS: JsonObject = {"kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"id": "me", "secret": "pssst"}}
LOGIN: JsonObject = {"accessKeySecret": {"name": "keys", "key": "id"}, "secretKeySecret": {"name": "keys", "key": "secret"}}
LARGE = "head -c 1200000 /dev/urandom"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server("bucket") as address:
        yield address


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is this large never comes in the pod's status; nobody waits for that here."""
    monkeypatch.setattr("flowcore_backends.kubernetes.pod_run._SECONDS_FOR_NOTE", 0.1)


def tools(folder: Path, *, curl: bool) -> str:
    """A PATH with busybox for everything, and with curl or without."""
    folder.mkdir()
    names = ["busybox", "sh", "cat", "head", "ls", "mkdir", "tar", "wc"]
    for name in names:
        (folder / name).symlink_to(str(shutil.which("busybox")))
    if curl:
        (folder / "curl").symlink_to(str(shutil.which("curl")))
    return str(folder)


@pytest.fixture(params=["busybox", "curl"])
def client(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the image of the pod's tool has to speak to stores with."""
    if request.param == "curl" and shutil.which("curl") is None:
        pytest.skip("needs curl on this machine")
    monkeypatch.setenv("PATH", tools(tmp_path / "tools", curl=request.param == "curl"))
    return str(request.param)


def place(server: str, key: str, **more: Any) -> JsonObject:
    return {"endpoint": server, "insecure": True, "bucket": "bucket", "key": key, **LOGIN, **more}


@asynccontextmanager
async def scene(folder: Path, **options: Any) -> AsyncIterator[Scene]:
    async with FakeKube(default=local_processes(folder / "pods")) as kube:
        executor = KubernetesExecutor(api_server=kube.url, **options)
        it = Scene(kube, executor, run_context(folder, KEYS))
        yield it
        await executor.close(it.context)


def went_straight(it: Scene) -> int:
    """How many transfers between a pod and a store there were."""
    return sum("put-" in request or "get-" in request for request in it.kube.requests)


def body(script: str, *artifacts: JsonObject, **more: Any) -> JsonObject:
    return {"container": {"image": "i", "command": ["sh", "-c", script]}, "outputs": {"artifacts": [*artifacts], **more}}


async def loaded(it: Scene, artifact: JsonObject, target: Path) -> Path:
    """What is stored, unpacked as an input of the next node would be."""
    from flowcore.artifacts import staging

    declared = staging.Declared("x", "", optional=False, settings=artifact)
    assert await staging.place_input(declared, target, it.context)
    return target


@pytest.mark.usefixtures("client")
async def test_files_and_folders_go_straight_and_small_outputs_the_usual_way(server: str, tmp_path: Path) -> None:
    file, folder, note = tmp_path / "file", tmp_path / "folder", tmp_path / "note"
    script = f"{LARGE} > {file}; mkdir {folder}; {LARGE} > {folder}/big; echo hi > {note}; echo said"
    asked = invocation(
        "work",
        body(
            script,
            {"name": "packed", "path": str(file), "s3": place(server, "packed.tgz")},
            {"name": "plain", "path": str(folder / "big"), "archive": {"none": {}}, "s3": place(server, "plain")},
            {"name": "tree", "path": str(folder), "archive": {"tar": {"compressionLevel": 1}}, "s3": place(server, "tree.tgz")},
            parameters=[{"name": "p", "valueFrom": {"path": str(note)}}],
        ),
        capture_result=True,
    )
    async with scene(tmp_path) as it:
        ended = await it.run(asked)
        assert (ended.phase, ended.message, ended.result, dict(ended.parameters)) == (Phase.SUCCEEDED, "", "said", {"p": "hi"})
        assert set(ended.artifacts) == {"packed", "plain", "tree"}
        assert went_straight(it) == 3
        assert (await loaded(it, ended.artifacts["packed"], tmp_path / "a")).read_bytes() == file.read_bytes()
        assert (await loaded(it, ended.artifacts["plain"], tmp_path / "b")).read_bytes() == (folder / "big").read_bytes()
        assert (await loaded(it, ended.artifacts["tree"], tmp_path / "c") / "big").read_bytes() == (folder / "big").read_bytes()
        assert not any("Signature" in request for request in it.kube.requests)


async def test_a_repository_of_the_run_takes_them_too(server: str, tmp_path: Path) -> None:
    from dataclasses import replace

    file = tmp_path / "file"
    async with scene(tmp_path) as it:
        repository = RepositoryArtifacts({"s3": place(server, "")}, MemoryCatalog([KEYS]))
        it.context = replace(it.context, artifacts=repository)
        ended = await it.run(invocation("work", body(f"{LARGE} > {file}", {"name": "a", "path": str(file)})))
        assert (ended.phase, ended.message, went_straight(it)) == (Phase.SUCCEEDED, "", 1)
        assert (await loaded(it, ended.artifacts["a"], tmp_path / "a")).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("why", ["a folder file by file", "zip", "switched off", "no store of that kind"])
async def test_what_cannot_go_straight_takes_the_long_way(server: str, tmp_path: Path, why: str) -> None:
    folder = tmp_path / "folder"
    artifact: JsonObject = {"name": "a", "path": str(folder), "s3": place(server, why.replace(" ", "-")), "archive": {"none": {}}}
    if why == "zip":
        artifact["archive"] = {"zip": {}}
    if why == "no store of that kind":
        del artifact["s3"]
    async with scene(tmp_path, direct_uploads=why != "switched off") as it:
        ended = await it.run(invocation("work", body(f"mkdir {folder}; {LARGE} > {folder}/big", artifact)))
        assert (ended.phase, ended.message, set(ended.artifacts)) == (Phase.SUCCEEDED, "", {"a"})
        found = await loaded(it, ended.artifacts["a"], tmp_path / "back")
        assert (found / "big").read_bytes() == (folder / "big").read_bytes()


@pytest.mark.parametrize("problem", ["refused", "unreachable"])
async def test_a_store_that_pods_cannot_write_to_is_written_to_from_here(
    server: str, tmp_path: Path, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that does not answer is not tried again by the next pod."""
    file = tmp_path / "file"
    original = locations.signed_put

    async def signed_put(*given: Any) -> Any:
        url, location = await original(*given)
        return (url.replace("/bucket/", "/nobodys/") if problem == "refused" else url.replace(server, "127.0.0.1:1")), location

    monkeypatch.setattr(locations, "signed_put", signed_put)
    async with scene(tmp_path) as it:
        for number in range(2):
            artifact: JsonObject = {"name": "a", "path": str(file), "s3": place(server, f"{problem}-{number}")}
            ended = await it.run(invocation("work", body(f"{LARGE} > {file}", artifact)))
            assert (ended.phase, ended.message, set(ended.artifacts)) == (Phase.SUCCEEDED, "", {"a"})
            assert (await loaded(it, ended.artifacts["a"], tmp_path / f"back-{number}")).read_bytes() == file.read_bytes()
        assert went_straight(it) == (2 if problem == "refused" else 1)


# --- inputs -----------------------------------------------------------------------------------------------------------------------------


class Inputs:
    """Artifacts in the store, and pods that read them."""

    def __init__(self, it: Scene, server: str, folder: Path) -> None:
        self.it, self.server, self.folder = it, server, folder

    async def keep(self, key: str, content: bytes) -> JsonObject:
        """Store an object; where it is."""
        file = self.folder / "kept"
        file.write_bytes(content)
        await locations.save({"s3": place(self.server, key)}, file, self.it.context, "")
        return {"s3": place(self.server, key)}

    async def read(self, script: str, *artifacts: JsonObject) -> Any:
        """Run a script in a pod that has these inputs as /in/0, /in/1, ..."""
        declared: list[Any] = [{"name": f"a{n}", "path": f"/in/{n}", **one} for n, one in enumerate(artifacts)]
        template: JsonObject = {"script": {"image": "i", "command": ["sh"], "source": script}, "inputs": {"artifacts": declared}}
        return await self.it.run(invocation("work", template, capture_result=True))


@asynccontextmanager
async def inputs(server: str, folder: Path, **options: Any) -> AsyncIterator[Inputs]:
    async with scene(folder, **options) as it:
        yield Inputs(it, server, folder)


def packed(**files: bytes) -> bytes:
    """A gzipped tar that holds these files, and a link for each that is named ``link``."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.replace("_", "/"))
            member.size, member.mode = len(content), 0o640
            if name == "link":
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "file", 0
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.usefixtures("client")
async def test_large_inputs_are_fetched_by_the_pod_and_unpacked_as_elsewhere(server: str, tmp_path: Path) -> None:
    """A file as it is, one that is packed, a folder, what only looks packed, and one that is unpacked though its content is."""
    big = os.urandom(70_000)
    async with inputs(server, tmp_path) as they:
        plain = await they.keep("in-plain", big)
        one = await they.keep("in-one", packed(file=big))
        more = await they.keep("in-more", packed(a=big, sub_b=b"x"))
        gzipped = await they.keep("in-gz", gzip.compress(big))
        small = await they.keep("in-small", b"small")
        script = "cat /in/0 | wc -c; wc -c < /in/1; wc -c < /in/3; wc -c < /in/4; ls /in/2; cat /in/2/sub/b /in/5; wc -c < /in/2/a; ls -ld /in/0 | head -c 10"
        as_it_is: JsonObject = {**one, "archive": {"none": {}}}
        ended = await they.read(script, {**plain, "mode": 0o750}, one, more, gzipped, as_it_is, small)
        assert (ended.phase, ended.message) == (Phase.SUCCEEDED, "")
        sizes = [len(big), len(big), len(gzip.compress(big)), len(packed(file=big))]
        assert ended.result.split() == [*map(str, sizes), "a", "sub", "xsmall" + str(len(big)), "-rwxr-xr-x"]
        assert went_straight(they.it) == 5
        assert not any("Signature" in request for request in they.it.kube.requests)
        assert "Signature" not in json.dumps(they.it.kube.objects("pods"))


@pytest.mark.parametrize("why", ["links", "zip", "switched off", "refused", "unreachable"])
async def test_inputs_that_a_pod_cannot_fetch_are_brought(server: str, tmp_path: Path, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = locations.signed_get

    async def signed_get(*given: Any) -> Any:
        url, size = await original(*given)
        return (url.replace("/bucket/", "/nobodys/") if why == "refused" else url.replace(server, "127.0.0.1:1")), size

    if why in ("refused", "unreachable"):
        monkeypatch.setattr(locations, "signed_get", signed_get)
    big = os.urandom(70_000)
    content = packed(file=big, link=b"") if why == "links" else big
    if why == "zip":
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as file:
            file.writestr("file", big)
        content = made.getvalue()
    async with inputs(server, tmp_path, direct_downloads=why != "switched off") as they:
        where = await they.keep(f"late-{why}", content)
        for _ in range(2):
            given = {**where, "archive": {"zip": {}}} if why == "zip" else where
            ended = await they.read("cat /in/0/link | wc -c" if why == "links" else "wc -c < /in/0", given)
            assert (ended.phase, ended.message, ended.result) == (Phase.SUCCEEDED, "", str(len(big)))
        tried = {"links": 2, "refused": 2, "unreachable": 1}
        assert went_straight(they.it) == tried.get(why, 0)


async def test_an_input_that_is_not_there_is_told_as_elsewhere(server: str, tmp_path: Path) -> None:
    async with inputs(server, tmp_path) as they:
        with pytest.raises(ExecutorError, match="artifact a0 failed to load: no artifact is stored under the key 'nowhere'"):
            await they.read("true", {"s3": place(server, "nowhere")})
        assert they.it.kube.objects("pods") == []


# --- https ------------------------------------------------------------------------------------------------------------------------------


def noted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is loaded and saved by this process, from now on."""
    calls: list[str] = []

    def noting(name: str) -> None:
        original = getattr(locations, name)

        async def wrapped(*given: Any) -> Any:
            calls.append(name)
            return await original(*given)

        monkeypatch.setattr(locations, name, wrapped)

    noting("load")
    noting("save")
    return calls


async def test_stores_with_https_need_curl_which_checks_their_certificates(
    server: str, tmp_path: Path, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What busybox would send to whoever answers goes through this process; so does what curl finds wrong."""
    certificate, authority = write_certificates(tmp_path)
    vouching: JsonObject = {"kind": "Secret", "metadata": {"name": "ca"}, "stringData": {"pem": authority.read_text()}}
    big = os.urandom(70_000)
    async with tls_front(server, certificate) as address, inputs(server, tmp_path) as they:
        they.it.context = run_context(tmp_path, KEYS, vouching)
        there = {**place(address, "by-https"), "insecure": False, "caSecret": {"name": "ca", "key": "pem"}}
        await they.keep("by-https", big)
        through_here = noted(monkeypatch)
        for trusted in (True, False):
            monkeypatch.setenv("CURL_CA_BUNDLE", str(authority if trusted else tmp_path / "none"))
            (tmp_path / "none").touch()
            through_here.clear()
            out: JsonObject = {"name": "out", "path": str(tmp_path / "copy"), "s3": {**there, "key": "copied"}, "archive": {"none": {}}}
            template: JsonObject = {
                "container": {"image": "i", "command": ["sh", "-c", f"cat /in/0 > {tmp_path}/copy"]},
                "inputs": {"artifacts": [{"name": "a0", "path": "/in/0", "s3": there}]},
                "outputs": {"artifacts": [out]},
            }
            ended = await they.it.run(invocation("work", template))
            assert (ended.phase, ended.message) == (Phase.SUCCEEDED, "")
            assert set(through_here) == (set() if client == "curl" and trusted else {"load", "save"})
            assert (await loaded(they.it, ended.artifacts["out"], tmp_path / f"back-{trusted}")).read_bytes() == big


# --- without exec -----------------------------------------------------------------------------------------------------------------------


def copying(server: str, key: str, folder: Path, **input_place: Any) -> JsonObject:
    """A pod that copies a large input to a large output."""
    outputs: list[Any] = [
        {"name": "plain", "path": f"{folder}/copy", "archive": {"none": {}}, "s3": place(server, f"{key}-plain")},
        {"name": "packed", "path": f"{folder}/again", "s3": place(server, f"{key}-packed")},
        {"name": "none", "path": f"{folder}/none", "s3": place(server, f"{key}-none")},
    ]
    given: JsonObject = {"name": "in", "path": "/in/0", "s3": place(server, key), **input_place}
    script: JsonObject = {"image": "i", "command": ["sh"], "source": f"cat /in/0 > {folder}/copy; cat /in/0 > {folder}/again; echo said"}
    return {"script": script, "inputs": {"artifacts": [given]}, "outputs": {"artifacts": outputs}}


@pytest.mark.usefixtures("client")
async def test_where_exec_may_not_be_used_the_pod_has_its_urls_in_a_secret(server: str, tmp_path: Path) -> None:
    """It fetches and uploads by itself; nobody execs, no URL stands in a manifest, and the Secret goes with the work."""
    big = os.urandom(90_000)
    async with inputs(server, tmp_path, exec=False) as they:
        await they.keep("alone", big)
        secrets: list[JsonObject] = []
        they.it.kube.store.on_change.append(lambda event: secrets.append(event.object) if event.resource == "secrets" else None)
        ended = await they.it.run(invocation("work", copying(server, "alone", tmp_path), capture_result=True))
        assert (ended.phase, ended.message, ended.result, set(ended.artifacts)) == (Phase.SUCCEEDED, "", "said", {"plain", "packed"})
        for name in ended.artifacts:
            assert (await loaded(they.it, ended.artifacts[name], tmp_path / f"back-{name}")).read_bytes() == big
        assert not any("exec" in request for request in they.it.kube.requests)
        assert "Signature" not in json.dumps(they.it.kube.objects("pods"))
        assert "Signature" in json.dumps(secrets[0])
        assert they.it.kube.objects("secrets") == []
        (owner,) = they.it.kube.objects("configmaps")
        assert secrets[0]["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]


@pytest.mark.parametrize("what", ["input", "output"])
async def test_what_a_pod_on_its_own_cannot_reach_is_told(server: str, tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "signed_get" if what == "input" else "signed_put"
    original = getattr(locations, name)

    async def elsewhere(*given: Any) -> Any:
        url, more = await original(*given)
        return url.replace("/bucket/", "/nobodys/"), more

    monkeypatch.setattr(locations, name, elsewhere)
    async with inputs(server, tmp_path, exec=False) as they:
        await they.keep("apart", os.urandom(90_000))
        ended = await they.it.run(invocation("work", copying(server, "apart", tmp_path)))
        assert ended.phase is Phase.ERROR
        told = {
            "input": "input artifact 0 could not be fetched",
            "output": "outputs lost: above 4 KB, and not all of them could be uploaded",
        }
        assert ended.message.startswith(told[what])
        assert "404" in ended.message


async def test_a_pod_that_is_refused_leaves_no_secret(server: str, tmp_path: Path) -> None:
    async with inputs(server, tmp_path, exec=False) as they:
        await they.keep("nothing", os.urandom(90_000))
        they.it.kube.forbidden.add("create pods")
        with pytest.raises(ExecutorError, match="cannot create resource"):
            await they.it.run(invocation("work", copying(server, "nothing", tmp_path)))
        assert any("POST" in request and "secrets" in request for request in they.it.kube.requests)
        assert they.it.kube.objects("secrets") == []


async def test_without_the_right_to_make_secrets_that_is_told(server: str, tmp_path: Path) -> None:
    async with inputs(server, tmp_path, exec=False) as they:
        await they.keep("refused", os.urandom(90_000))
        they.it.kube.forbidden.add("create secrets")
        with pytest.raises(ExecutorError, match=r'cannot create resource "secrets" .* need the right to create, update and delete secrets'):
            await they.it.run(invocation("work", copying(server, "refused", tmp_path)))
