"""Large artifacts from the pod straight into a store of S3's language: what goes there, and what takes the long way."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from flowcore.artifacts import locations
from flowcore.artifacts.repository import RepositoryArtifacts
from flowcore.catalogs import MemoryCatalog
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from tests.backends.contract import invocation, run_context
from tests.backends.kubernetes.test_executor import Scene

pytest.importorskip("kubernetes_asyncio")
pytest.importorskip("obstore")
moto = pytest.importorskip("moto.server")

from flowcore_backends.kubernetes import KubernetesExecutor  # noqa: E402 - after the extras are known to be there
from flowcore_backends.kubernetes.testing import FakeKube, local_processes  # noqa: E402 - the same

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox on this machine")

KEYS: JsonObject = {"kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"id": "me", "secret": "pssst"}}
LOGIN: JsonObject = {"accessKeySecret": {"name": "keys", "key": "id"}, "secretKeySecret": {"name": "keys", "key": "secret"}}
LARGE = "head -c 1200000 /dev/urandom"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    httpx.put(f"http://{host}:{port}/bucket").raise_for_status()
    yield f"{host}:{port}"
    running.stop()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is this large never comes in the pod's status; nobody waits for that here."""
    monkeypatch.setattr("flowcore_backends.kubernetes.pod_run._SECONDS_FOR_NOTE", 0.1)


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
    """How many uploads there were from the pod."""
    return sum("put-" in request for request in it.kube.requests)


def body(script: str, *artifacts: JsonObject, **more: Any) -> JsonObject:
    return {"container": {"image": "i", "command": ["sh", "-c", script]}, "outputs": {"artifacts": [*artifacts], **more}}


async def loaded(it: Scene, artifact: JsonObject, target: Path) -> Path:
    """What is stored, unpacked as an input of the next node would be."""
    from flowcore.artifacts import staging

    declared = staging.Declared("x", "", optional=False, settings=artifact)
    assert await staging.place_input(declared, target, it.context)
    return target


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
