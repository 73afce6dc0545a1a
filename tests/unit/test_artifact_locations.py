"""Places that artifacts come from and go to: the run's store, text, URLs, git, and stores that a driver reaches."""

from __future__ import annotations

import base64
import http.server
import shutil
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from flowcore.artifacts import FolderArtifacts, drivers, git, locations
from flowcore.artifacts.secrets import SecretReader
from flowcore.catalogs import MemoryCatalog
from flowcore.errors import ArtifactError, MissingArtifact, MissingBackend
from flowcore.jsontypes import JsonObject
from flowcore.ports import RunContext
from tests.serving import serving

SECRET: JsonObject = {
    "kind": "Secret",
    "metadata": {"name": "login"},
    "data": {name: base64.b64encode(value).decode() for name, value in {"user": b"ann", "password": b"pw"}.items()},
}
LOGIN: Any = {"usernameSecret": {"name": "login", "key": "user"}, "passwordSecret": {"name": "login", "key": "password"}}


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    return RunContext(
        name="wf", namespace="default", uid="u", catalog=MemoryCatalog([SECRET]), artifacts=FolderArtifacts(tmp_path / "store")
    )


@pytest.mark.parametrize(
    ("artifact", "key"),
    [
        ({"s3": {"key": "a/b"}}, "a/b"),
        ({"s3": {"key": "a", "bucket": "x"}}, "a"),
        ({"s3": {"key": "a", "bucket": "x", "endpoint": "e"}}, None),
        ({"gcs": {"key": "g"}}, "g"),
        ({"gcs": {"key": "g", "bucket": "x"}}, None),
        ({"azure": {"blob": "b"}}, "b"),
        ({"hdfs": {"path": "/h/i"}}, "h/i"),
        ({"s3": {"key": "//a/b"}}, "a/b"),
        ({"oss": {"key": ""}}, None),
        ({"raw": {"data": "x"}}, None),
        ({}, None),
        ({"s3": {"key": "late"}, "gcs": {"key": "early"}}, "early"),
    ],
)
def test_a_key_alone_belongs_to_the_runs_own_store(artifact: Any, key: str | None) -> None:
    assert locations.own_key(artifact) == key


async def test_raw_text_is_written_as_it_is(context: RunContext, tmp_path: Path) -> None:
    await locations.load({"raw": {"data": "a\n\u00fc"}}, tmp_path / "t", context)
    assert (tmp_path / "t").read_bytes() == b"a\n\xc3\xbc"


async def test_saved_under_its_own_key_or_the_default(context: RunContext, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    assert await locations.save({"name": "a"}, tmp_path / "f", context, "default/key") == {"s3": {"key": "default/key"}}
    assert await locations.save({"gcs": {"key": "own"}}, tmp_path / "f", context, "no") == {"gcs": {"key": "own"}}
    assert await context.artifacts.keys("") == ["default/key", "own"]
    assert await locations.list_keys({"s3": {"key": "default"}}, context) == ["default/key"]
    with pytest.raises(ArtifactError, match="cannot be stored as raw"):
        await locations.save({"name": "a", "raw": {"data": "x"}}, tmp_path / "f", context, "no")


async def test_a_store_named_in_full_needs_a_driver(context: RunContext, tmp_path: Path) -> None:
    drivers.find_driver.cache_clear()
    with pytest.raises(MissingBackend, match="no artifact driver for tape is installed: install a package with an entry point 'tape'"):
        await locations.load({"plugin": {"key": "/k", "name": "tape", "configuration": "x"}}, tmp_path / "t", context)


async def test_drivers_are_found_by_entry_point(context: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Driver:
        async def load(self, location: JsonObject, target: Path, secrets: SecretReader) -> None:
            target.write_text(f"{location['bucket']}/{location['key']} as {secrets.value(location['accessKeySecret'])}")

        async def keys(self, location: JsonObject, secrets: SecretReader) -> list[str]:
            return ["b", "a"]

    entry = metadata.EntryPoint("s3", "somewhere:Driver", drivers.GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda **wanted: [entry] if wanted == {"group": drivers.GROUP, "name": "s3"} else [])
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda self: Driver)
    drivers.find_driver.cache_clear()
    place: JsonObject = {"endpoint": "e", "bucket": "b", "key": "k", "accessKeySecret": LOGIN["usernameSecret"]}
    await locations.load({"s3": place}, tmp_path / "t", context)
    assert (tmp_path / "t").read_text() == "b/k as ann"
    assert await locations.list_keys({"s3": place}, context) == ["a", "b"]
    drivers.find_driver.cache_clear()


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ({"name": "no", "key": "k"}, 'secret "no" not found'),
        ({"name": "login", "key": "k"}, "couldn't find key k in Secret default/login"),
        ("login", "a secret reference must be"),
    ],
)
def test_secrets_that_are_not_there(context: RunContext, reference: Any, text: str) -> None:
    with pytest.raises(ArtifactError, match=text):
        SecretReader(context.catalog, "default").value(reference)


# --- URLs ---------------------------------------------------------------------------------------------------------------------------


class Site(http.server.BaseHTTPRequestHandler):
    seen: list[tuple[str, str, dict[str, str], bytes]]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).seen.append((self.command, self.path, dict(self.headers), body))
        moved = self.path == "/moved"
        self.send_response(302 if moved else 404 if self.path == "/none" else 500 if self.path == "/broken" else 200)
        if moved:
            self.send_header("Location", "/target")
        self.send_header("Content-Length", "6" if self.path == "/short" else "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    Site.seen = []
    with serving(Site) as address:
        yield f"http://{address}"


async def test_get_and_put(site: str, context: RunContext, tmp_path: Path) -> None:
    place: JsonObject = {"url": f"{site}/f", "headers": [{"name": "X-A", "value": "1"}], "auth": {"basicAuth": LOGIN}}
    await locations.load({"http": place}, tmp_path / "t", context)
    assert (tmp_path / "t").read_text() == "hello"
    assert await locations.save({"http": place}, tmp_path / "t", context, "unused") == {"http": place}
    assert [(method, body) for method, _, _, body in Site.seen] == [("GET", b""), ("PUT", b"hello")]
    for _, _, headers, _ in Site.seen:
        assert (headers["X-A"], headers["Authorization"]) == ("1", "Basic " + base64.b64encode(b"ann:pw").decode())


async def test_a_redirect_is_followed_without_credentials(site: str, context: RunContext, tmp_path: Path) -> None:
    await locations.load({"http": {"url": f"{site}/moved", "auth": {"basicAuth": LOGIN}}}, tmp_path / "t", context)
    assert [("Authorization" in headers) for _, _, headers, _ in Site.seen] == [True, False]


@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        ("/none", MissingArtifact, "status 404"),
        ("/broken", ArtifactError, "status 500"),
        ("/short", ArtifactError, "broke off after 5 of 6 bytes"),
    ],
)
async def test_other_answers_are_errors(
    site: str, context: RunContext, tmp_path: Path, path: str, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        await locations.load({"http": {"url": site + path}}, tmp_path / "t", context)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "", "x", "gopher://x"])
async def test_only_http_is_spoken(context: RunContext, tmp_path: Path, url: str) -> None:
    with pytest.raises(ArtifactError, match="must begin with http"):
        await locations.load({"http": {"url": url}}, tmp_path / "t", context)


# --- git ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository with a tag, a branch and a hook that must not run, reachable because the test allows files."""
    if shutil.which("git") is None:
        pytest.skip("needs the program git")
    monkeypatch.setattr(git, "PROTOCOLS", "file")
    folder = tmp_path / "repository"

    def run(*words: str) -> None:
        options = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *options, *words], cwd=folder, check=True, capture_output=True)

    folder.mkdir()
    run("init")
    (folder / "f").write_text("one")
    run("add", "f")
    run("commit", "-m", "one")
    run("tag", "v1")
    run("checkout", "-b", "side")
    (folder / "f").write_text("side")
    run("commit", "-am", "side")
    run("checkout", "main")
    (folder / "f").write_text("two")
    run("commit", "-am", "two")
    return f"file://{folder}"


@pytest.mark.parametrize(
    ("more", "content"),
    [
        ({}, "two"),
        ({"revision": "v1"}, "one"),
        ({"revision": "side"}, "side"),
        ({"branch": "side", "singleBranch": True, "depth": 1}, "side"),
        ({"depth": 1, "revision": "v1"}, "one"),
        ({"depth": 1, "fetch": ["refs/heads/*:refs/remotes/origin/*"], "revision": "side"}, "side"),
    ],
)
async def test_git_checks_out_what_is_asked_for(repository: str, context: RunContext, tmp_path: Path, more: Any, content: str) -> None:
    await locations.load({"git": {"repo": repository, **more}}, tmp_path / "t", context)
    assert (tmp_path / "t" / "f").read_text() == content


@pytest.mark.parametrize(
    "place",
    [
        {"repo": "--upload-pack=touch /tmp/pwned"},
        {"repo": "-oProxyCommand=x"},
        {"repo": "REPO", "revision": "--output=/tmp/pwned"},
        {"repo": "REPO", "branch": "-b", "singleBranch": True},
        {"repo": "REPO", "fetch": ["--upload-pack=x"]},
        {"repo": "REPO", "revision": "a b"},
        {"repo": "REPO", "revision": "no-such-revision"},
        {"repo": "ext::sh -c touch% /tmp/pwned"},
    ],
)
async def test_nothing_of_a_document_becomes_an_option_of_git(repository: str, context: RunContext, tmp_path: Path, place: Any) -> None:
    place = {key: repository if value == "REPO" else value for key, value in place.items()}
    with pytest.raises(ArtifactError):
        await locations.load({"git": place}, tmp_path / "t", context)


@pytest.mark.parametrize("kind", ["url", "path", "ext"])
async def test_git_speaks_only_to_servers(
    repository: str, context: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(git, "PROTOCOLS", "https:http:ssh:git")
    repo = {"url": repository, "path": repository.removeprefix("file://"), "ext": "ext::id"}[kind]
    with pytest.raises(ArtifactError, match=r"git clone failed: .*not allowed"):
        await locations.load({"git": {"repo": repo}}, tmp_path / "t", context)
