"""Artifacts in HDFS, against a WebHDFS server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore.artifacts import http_files
from flowcore.artifacts.drivers import find_driver
from flowcore.artifacts.hdfs import HdfsDriver
from flowcore.artifacts.repository import RepositoryArtifacts
from flowcore.artifacts.secrets import SecretReader
from flowcore.artifacts.webhdfs import base_url
from flowcore.catalogs import MemoryCatalog
from flowcore.errors import ArtifactError, MissingArtifact
from flowcore.jsontypes import JsonObject
from flowcore.manifests import load_documents
from flowcore_backends.local import LocalExecutor
from tests.backends.passing_on import PASSES_ON
from tests.backends.webhdfs_server import DataNode, NameNode, StandbyNode, webhdfs
from tests.serving import serving

CATALOG = MemoryCatalog([])
SECRETS = SecretReader(CATALOG, "default")
DRIVER = HdfsDriver()


@dataclass
class FileSystem:
    """A served file system: its address, the folder behind it, and the requests that came."""

    address: str
    folder: Path
    seen: list[str] = field(default_factory=list)

    def at(self, path: str, **more: Any) -> JsonObject:
        return {"addresses": [f"http://{self.address}"], "path": path, "hdfsUser": "ann", **more}


@pytest.fixture
def hdfs(tmp_path: Path) -> Iterator[FileSystem]:
    (folder := tmp_path / "hdfs").mkdir()
    seen: list[str] = []
    with webhdfs(folder, seen) as address:
        yield FileSystem(address, folder, seen)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_a_file_comes_back_and_its_bytes_go_by_the_data_node(hdfs: FileSystem, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"0123456789abcdef" * 100_000)
    await DRIVER.save(hdfs.at("/data/of ann/größe"), tmp_path / "big", SECRETS)
    assert [path.name for path in (hdfs.folder / "data/of ann").iterdir()] == ["größe"]
    await DRIVER.load(hdfs.at("/data/of ann/größe"), tmp_path / "back", SECRETS)
    assert (tmp_path / "back").read_bytes() == (tmp_path / "big").read_bytes()
    assert [line.split()[:3] for line in hdfs.seen if line.startswith("DataNode")] == [
        ["DataNode", "PUT", "CREATE"],
        ["DataNode", "GET", "OPEN"],
    ]


async def test_folders_go_file_by_file_without_links(hdfs: FileSystem, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep" / "empty").mkdir(parents=True)
    (tree / "deep" / "leaf").write_text("leaf")
    (tree / "top").write_text("ü")
    (tree / "away").symlink_to("/etc/passwd")
    (tree / "around").symlink_to(tree)
    await DRIVER.save(hdfs.at("/one/tree"), tree, SECRETS)
    await DRIVER.save(hdfs.at("/one/twig"), tree / "top", SECRETS)
    assert await DRIVER.keys(hdfs.at("/one/"), SECRETS) == ["/one/tree/deep/leaf", "/one/tree/top", "/one/twig"]
    assert await DRIVER.keys(hdfs.at("one/tw"), SECRETS) == ["one/twig"]
    assert await DRIVER.keys(hdfs.at("/nothing/here"), SECRETS) == []
    await DRIVER.load(hdfs.at("/one/tree"), tmp_path / "back", SECRETS)
    assert sorted(path.relative_to(tmp_path / "back").as_posix() for path in (tmp_path / "back").rglob("*")) == [
        "deep",
        "deep/empty",
        "deep/leaf",
        "top",
    ]
    await DRIVER.delete(hdfs.at("/one/tree"), SECRETS)
    await DRIVER.delete(hdfs.at("/one/tree"), SECRETS)
    assert await DRIVER.keys(hdfs.at("/"), SECRETS) == ["/one/twig"]


async def test_what_is_there_is_replaced_only_by_force(hdfs: FileSystem, tmp_path: Path) -> None:
    (hdfs.folder / "f").write_text("old")
    (hdfs.folder / "d").mkdir()
    (tmp_path / "new").write_text("new")
    with pytest.raises(ArtifactError, match="/f in HDFS is there already; force: true replaces it"):
        await DRIVER.save(hdfs.at("/f"), tmp_path / "new", SECRETS)
    assert (hdfs.folder / "f").read_text() == "old"
    await DRIVER.save(hdfs.at("/f", force=True), tmp_path / "new", SECRETS)
    assert (hdfs.folder / "f").read_text() == "new"
    with pytest.raises(ArtifactError, match="/d in HDFS is a folder"):
        await DRIVER.save(hdfs.at("/d", force=True), tmp_path / "new", SECRETS)
    assert sorted(path.name for path in hdfs.folder.rglob("*")) == ["d", "f"]


async def test_errors_say_what_is_wrong(hdfs: FileSystem, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MissingArtifact, match="no artifact is stored under the path '/gone' in HDFS"):
        await DRIVER.load(hdfs.at("/gone"), tmp_path / "t", SECRETS)
    with pytest.raises(ArtifactError, match=r"/locked/a: no permission in HDFS: Permission denied: user=ann, path=/locked/a$"):
        await DRIVER.load(hdfs.at("/locked/a"), tmp_path / "t", SECRETS)
    with pytest.raises(ArtifactError, match=r"/locked: no permission in HDFS: .*user=ann"):
        await DRIVER.save(hdfs.at("/locked/a"), tmp_path / "file", SECRETS)
    await DRIVER.save(hdfs.at("/locked/a", hdfsUser="hdfs"), tmp_path / "file", SECRETS)
    with pytest.raises(ArtifactError, match=r"/locked/a/b: HDFS answered with status 403: ParentNotDirectoryException: .*not a directory"):
        await DRIVER.save(hdfs.at("/locked/a/b/c", hdfsUser="hdfs"), tmp_path / "file", SECRETS)
    with pytest.raises(ArtifactError, match=r"no name node of HDFS answers: GET http://.* failed: .*refused.*dfs\.namenode\.http-address"):
        await DRIVER.load(hdfs.at("/f", addresses=[f"http://127.0.0.1:{free_port()}"]), tmp_path / "t", SECRETS)


async def test_the_active_name_node_answers(hdfs: FileSystem, tmp_path: Path) -> None:
    (hdfs.folder / "f").write_text("found")
    with serving(StandbyNode) as standby:
        both = [f"http://127.0.0.1:{free_port()}", f"http://{standby}", f"http://{hdfs.address}"]
        await DRIVER.load(hdfs.at("/f", addresses=both), tmp_path / "t", SECRETS)
        assert (tmp_path / "t").read_text() == "found"
        with pytest.raises(ArtifactError, match=r"no name node of HDFS answers: .* is not the active name node \(StandbyException\)"):
            await DRIVER.load(hdfs.at("/f", addresses=both[:2]), tmp_path / "t", SECRETS)


async def test_a_data_node_that_is_away_leaves_nothing(hdfs: FileSystem, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    settings: dict[str, Any] = {"folder": hdfs.folder, "seen": hdfs.seen, "data": f"http://127.0.0.1:{free_port()}"}
    with serving(NameNode, **settings) as name, pytest.raises(ArtifactError, match=r"PUT http://127.0.0.1:\d+/webhdfs/v1/\..*failed"):
        await DRIVER.save(hdfs.at("/f", addresses=[f"http://{name}"]), tmp_path / "file", SECRETS)
    assert list(hdfs.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"krbKeytabSecret": {"name": "k", "key": "k"}},
            r"hdfs\.krbKeytabSecret: Kerberos is not spoken here; give the address of a gateway",
        ),
        ({"krbCCacheSecret": {"name": "k", "key": "k"}}, r"hdfs\.krbCCacheSecret: Kerberos is not spoken here"),
        ({"dataTransferProtection": "privacy"}, "which plain http does not give: name addresses that begin with https://"),
        ({"addresses": []}, r"hdfs\.addresses is missing"),
        ({"addresses": ["ftp://x"]}, r"hdfs\.addresses: 'ftp://x' is neither host:port nor an http"),
        ({"path": ""}, r"hdfs\.path is missing"),
        ({"path": "/a/../../b"}, "could leave its store"),
    ],
)
async def test_what_cannot_be_is_refused_before_anybody_is_asked(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    place: JsonObject = {"addresses": ["namenode.invalid"], "path": "/f", "hdfsUser": "ann", **more}
    with pytest.raises(ArtifactError, match=message):
        await DRIVER.load(place, tmp_path / "t", SECRETS)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("nn", "http://nn:9870"),
        ("nn:8020", "http://nn:9870"),
        ("nn:50070", "http://nn:50070"),
        ("hdfs://nn:9000", "http://nn:9870"),
        ("webhdfs://nn:14000", "http://nn:14000"),
        ("http://nn:9000", "http://nn:9000"),
        ("[::1]:9870", "http://[::1]:9870"),
        ("https://knox:8443/gateway/default/webhdfs/v1", "https://knox:8443/gateway/default"),
    ],
)
def test_addresses_are_those_of_argo_or_urls(address: str, url: str) -> None:
    assert base_url(address) == url


@pytest.mark.parametrize("address", ["", "nn:port", "file:///etc", "http://u:p@nn", "a b", "http://"])
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ArtifactError, match=r"hdfs\.addresses"):
        base_url(address)


class OddNode(NameNode):
    """A server that is no WebHDFS, or a wicked one; the path says how."""

    def play(self) -> None:
        if "escape" in self.path and "LISTSTATUS" in self.path:
            self.answer(200, {"FileStatuses": {"FileStatus": [{"pathSuffix": "../../out", "type": "FILE"}]}})
        elif "escape" in self.path:
            self.answer(200, {"FileStatus": {"type": "DIRECTORY"}})
        elif "page" in self.path:
            self.answer(200, "<html>")
        elif "login" in self.path:
            self.answer(401)
        elif "elsewhere" in self.path:
            self.answer(307 if "OPEN" in self.path else 200, {"FileStatus": {"type": "FILE"}}, Location="file:///etc/passwd")
        elif "around" in self.path:
            here = f"http://{self.headers['Host']}{self.path}"
            self.answer(307 if "OPEN" in self.path else 200, {"FileStatus": {"type": "FILE"}}, Location=here)
        else:
            self.answer(200, {"FileStatus": {"type": "FILE"}})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/escape", "could leave its store"),
        ("/page", "cannot be read: is it WebHDFS"),
        ("/login", "give the address of a gateway that takes hdfsUser"),
        ("/elsewhere", "sends to 'file:///etc/passwd', which is not http"),
        ("/around", "status 307"),
    ],
)
async def test_servers_that_mislead(tmp_path: Path, path: str, message: str) -> None:
    with serving(OddNode) as odd, pytest.raises(ArtifactError, match=message):
        await DRIVER.load({"addresses": [f"http://{odd}"], "path": path}, tmp_path / "t", SECRETS)
    assert not (tmp_path.parent / "out").exists()


class BreakingNode(DataNode):
    """A data node that goes away in the middle."""

    def GET_OPEN(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"x" * 10)
        self.close_connection = True


async def test_a_file_that_breaks_off_is_an_error(hdfs: FileSystem, tmp_path: Path) -> None:
    (hdfs.folder / "f").write_text("x")
    served: dict[str, Any] = {"folder": hdfs.folder, "seen": []}
    with serving(BreakingNode, **served) as data, serving(NameNode, **served, data=f"http://{data}") as name:
        place = hdfs.at("/f", addresses=[f"http://{name}"])
        with pytest.raises(ArtifactError, match="reading /f in HDFS broke off after 10 of 1000 bytes"):
            await DRIVER.load(place, tmp_path / "t", SECRETS)


async def test_sizes_are_bounded(hdfs: FileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (hdfs.folder / "f").write_text("x" * 11)
    monkeypatch.setattr(http_files, "LARGEST", 10)
    with pytest.raises(ArtifactError, match="reading /f in HDFS gives more than 10 bytes"):
        await DRIVER.load(hdfs.at("/f"), tmp_path / "t", SECRETS)


async def test_a_repository_is_a_store(hdfs: FileSystem, tmp_path: Path) -> None:
    place: JsonObject = {"addresses": [f"http://{hdfs.address}"], "hdfsUser": "ann", "pathFormat": "/x"}
    store = RepositoryArtifacts({"hdfs": place}, CATALOG, prefix="runs")
    (tmp_path / "file").write_text("content")
    await store.save("a/b", tmp_path / "file")
    await store.load("a/b", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "content"
    assert await store.keys("a/") == ["a/b"]
    assert await store.signed_put("a/b", 60) is None
    await store.delete("a")
    assert await store.keys("") == []
    assert isinstance(find_driver("hdfs"), HdfsDriver)


REPOSITORY = """
kind: ConfigMap
metadata: {{name: artifact-repositories}}
data:
  lake: |
    hdfs: {{addresses: ['http://{address}'], hdfsUser: ann, force: true, pathFormat: '/lake/{{{{workflow.name}}}}/{{{{pod.name}}}}'}}
"""


@pytest.mark.parametrize(("strategy", "left"), [("Never", 1), ("OnWorkflowCompletion", 0)])
async def test_a_workflow_keeps_its_files_there_and_they_are_collected(hdfs: FileSystem, strategy: str, left: int) -> None:
    (repository,) = load_documents(REPOSITORY.format(address=hdfs.address))
    result = await flowcore.run(
        PASSES_ON.replace("strategy: Never", f"strategy: {strategy}"), executor=LocalExecutor(), catalog=MemoryCatalog([repository.json])
    )
    assert (result.phase, result.message) == ("Succeeded", "")
    outputs = result.node("take").outputs or {}
    assert [parameter["value"] for parameter in outputs["parameters"]] == ["made"]
    kept = [f"/{path.relative_to(hdfs.folder)}" for path in hdfs.folder.rglob("*") if path.is_file()]
    assert len(kept) == left
    assert all(path.startswith("/lake/passes/passes-make-") and path.endswith("/file.tgz") for path in kept)


ELSEWHERE = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {{name: elsewhere}}
spec:
  entrypoint: main
  templates:
  - name: main
    steps:
    - - {{name: make, template: make}}
    - - {{name: take, template: take, arguments: {{artifacts: [{{name: file, from: "{{{{steps.make.outputs.artifacts.file}}}}"}}]}}}}
      - {{name: look, template: look}}
  - name: make
    archiveLocation: {{archiveLogs: true, hdfs: {{addresses: ['http://{address}'], hdfsUser: ann, path: '/kept/{{{{workflow.name}}}}'}}}}
    script: {{image: alpine, command: [sh], source: "echo made > /tmp/file"}}
    outputs: {{artifacts: [{{name: file, path: /tmp/file}}, {{name: own, path: /tmp/file, archive: {{none: {{}}}}, s3: {{key: by/key}}}}]}}
  - name: take
    inputs: {{artifacts: [{{name: file, path: /tmp/in}}]}}
    script: {{image: alpine, command: [sh], source: "grep made /tmp/in"}}
  - name: look
    archiveLocation: {{hdfs: {{addresses: ['http://{address}'], hdfsUser: ann, path: '/kept/look'}}}}
    inputs: {{artifacts: [{{name: file, path: /tmp/in, s3: {{key: by/key}}}}]}}
    script: {{image: alpine, command: [sh], source: "grep made /tmp/in"}}
"""


async def test_what_gives_a_key_alone_is_where_its_template_says(hdfs: FileSystem) -> None:
    """As in Argo, a template's archiveLocation that names a store is the place of all that its artifacts leave open."""
    result = await flowcore.run(ELSEWHERE.format(address=hdfs.address), executor=LocalExecutor())
    assert (result.phase, result.message) == ("Succeeded", "")
    assert sorted(f"{path.relative_to(hdfs.folder)}" for path in hdfs.folder.rglob("*") if path.is_file()) == [
        "by/key",
        "kept/elsewhere/file.tgz",
        "kept/elsewhere/main.log",
    ]
