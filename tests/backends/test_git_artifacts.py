"""Artifacts from git servers: a real ``git daemon``, and git over HTTP with a password."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore.artifacts.git import checkout
from flowcore.artifacts.secrets import SecretReader
from flowcore.catalogs import MemoryCatalog
from flowcore.errors import ArtifactError
from flowcore.jsontypes import JsonObject
from flowcore_backends.local import LocalExecutor
from tests.backends.git_server import commit, daemon, git, over_http

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs the program git")

KEYS: JsonObject = {"kind": "Secret", "metadata": {"name": "login"}, "stringData": {"user": "ann", "password": "pw", "wrong": "no"}}
SECRETS = SecretReader(MemoryCatalog([KEYS]), "default")


@dataclass
class Served:
    """Repositories behind a daemon: ``main`` has three commits, a tag, a branch, a ref of its own kind and a submodule."""

    url: str
    folder: Path
    first: str


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("git")
    with daemon(folder) as url:
        for name in ("part", "main", "empty"):
            git(folder, "init", "--quiet", name)
        commit(folder / "part", "p", "old part")
        old = git(folder / "part", "rev-parse", "HEAD")
        commit(folder / "part", "p", "new part")
        first = commit(folder / "main", "f", "one")
        git(folder / "main", "tag", "v1")
        git(folder / "main", "checkout", "--quiet", "-b", "side/way")
        commit(folder / "main", "f", "side")
        git(folder / "main", "update-ref", "refs/pull/7/head", "HEAD")
        git(folder / "main", "checkout", "--quiet", "main")
        commit(folder / "main", "f", "two")
        git(folder / "main", "submodule", "--quiet", "add", str(folder / "part"), "sub")
        git(folder / "main" / "sub", "checkout", "--quiet", old)
        git(folder / "main", "config", "--file", ".gitmodules", "submodule.sub.url", "../part")
        git(folder / "main", "add", ".gitmodules", "sub")
        commit(folder / "main", "f", "three")
        yield Served(url, folder, first)


async def cloned(place: Any, target: Path) -> dict[str, str]:
    """The files of a checkout, and what is in them."""
    await checkout(place, target, SECRETS)
    files = (path for path in target.rglob("*") if path.is_file() and ".git" not in path.relative_to(target).parts)
    return {path.relative_to(target).as_posix(): path.read_text() for path in files if not path.name.startswith(".git")}


@pytest.mark.parametrize(
    ("more", "files"),
    [
        ({}, {"f": "three", "sub/p": "old part"}),
        ({"disableSubmodules": True}, {"f": "three"}),
        ({"depth": 1}, {"f": "three", "sub/p": "old part"}),
        ({"revision": "v1"}, {"f": "one"}),
        ({"revision": "FIRST"}, {"f": "one"}),
        ({"revision": "FIRST", "depth": 1}, {"f": "one"}),
        ({"revision": "side/way"}, {"f": "side"}),
        ({"revision": "HEAD~1", "disableSubmodules": True}, {"f": "two"}),
        ({"branch": "side/way", "singleBranch": True}, {"f": "side"}),
        ({"branch": "side/way", "singleBranch": True, "depth": 1}, {"f": "side"}),
        ({"branch": "side/way", "disableSubmodules": True}, {"f": "three"}),  # counts with singleBranch alone
        ({"fetch": ["refs/pull/*:refs/remotes/origin/pull/*"], "revision": "origin/pull/7/head"}, {"f": "side"}),
        ({"fetch": ["refs/pull/7/head:refs/seven"], "revision": "refs/seven", "depth": 1}, {"f": "side"}),
        ({"revision": "refs/pull/7/head"}, {"f": "side"}),
    ],
)
async def test_a_daemon_gives_what_is_asked_for(repositories: Served, tmp_path: Path, more: Any, files: dict[str, str]) -> None:
    place = {"repo": f"{repositories.url}/main", **more}
    if place.get("revision") == "FIRST":
        place["revision"] = repositories.first
    assert await cloned(place, tmp_path / "t") == files


async def test_depth_bounds_what_is_fetched(repositories: Served, tmp_path: Path) -> None:
    await checkout({"repo": f"{repositories.url}/main", "depth": 1, "disableSubmodules": True}, tmp_path / "t", SECRETS)
    assert git(tmp_path / "t", "rev-list", "--count", "HEAD") == "1"
    assert "side/way" in git(tmp_path / "t", "branch", "--remotes")
    await checkout({"repo": f"{repositories.url}/main", "branch": "main", "singleBranch": True}, tmp_path / "s", SECRETS)
    assert (git(tmp_path / "s", "rev-list", "--count", "HEAD"), "side" in git(tmp_path / "s", "branch", "--remotes")) == ("3", False)


@pytest.mark.parametrize("revision", ["", "main"])
async def test_an_empty_repository_is_an_empty_folder(repositories: Served, tmp_path: Path, revision: str) -> None:
    assert await cloned({"repo": f"{repositories.url}/empty", "revision": revision}, tmp_path / "t") == {}
    assert (tmp_path / "t" / ".git").is_dir()


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("main", {"revision": "no-such"}, r"git fetch failed: .*couldn't find remote ref no-such"),
        ("main", {"revision": "0" * 40}, "git fetch failed: "),
        ("main", {"singleBranch": True, "branch": "none"}, r"git clone failed: .*Remote branch none not found"),
        ("main", {"singleBranch": True}, r"git\.branch is missing: singleBranch asks for it"),
        ("main", {"fetch": ["refs/none/*:refs/none"]}, "git fetch failed: "),
        ("main", {"fetch": ["refs/none"]}, r"git fetch failed: .*couldn't find remote ref refs/none"),
        ("gone", {}, r"git clone failed: .*(no such repository|repository not found)"),
        ("../main", {}, "git clone failed: "),
    ],
)
async def test_what_is_not_there_is_told_in_gits_words(repositories: Served, tmp_path: Path, name: str, more: Any, message: str) -> None:
    with pytest.raises(ArtifactError, match=f"(?s){message}"):
        await checkout({"repo": f"{repositories.url}/{name}", **more}, tmp_path / "t", SECRETS)


@pytest.mark.parametrize("scheme", ["git", "http", "ssh"])
async def test_a_server_that_is_away_is_an_error(tmp_path: Path, scheme: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        with pytest.raises(ArtifactError, match="git clone failed: "):
            await checkout({"repo": f"{scheme}://127.0.0.1:{taken.getsockname()[1]}/main"}, tmp_path / "t", SECRETS)


def login(password: str = "password") -> JsonObject:
    return {"usernameSecret": {"name": "login", "key": "user"}, "passwordSecret": {"name": "login", "key": password}}


async def test_a_password_is_sent_over_http_and_for_submodules_too(repositories: Served, tmp_path: Path) -> None:
    with over_http(repositories.folder) as url:
        place: JsonObject = {"repo": f"{url}/main", **login()}
        assert await cloned(place, tmp_path / "t") == {"f": "three", "sub/p": "old part"}
        assert await cloned({**place, "depth": 1, "revision": "v1"}, tmp_path / "shallow") == {"f": "one"}
        config = (tmp_path / "t" / ".git" / "config").read_text()
        assert "pw" not in config
        assert "Authorization" not in config
        for wrong in ({}, login("wrong")):
            with pytest.raises(ArtifactError, match=r"(?s)git clone failed: .*(could not read Username|Authentication failed)"):
                await checkout({"repo": f"{url}/main", **wrong}, tmp_path / "no", SECRETS)


async def test_a_workflow_builds_what_a_server_has(repositories: Served) -> None:
    workflow = f"""
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {{name: builds}}
spec:
  entrypoint: main
  templates:
  - name: main
    inputs: {{artifacts: [{{name: source, path: /src, git: {{repo: '{repositories.url}/main', revision: v1, depth: 1}}}}]}}
    script: {{image: alpine, command: [sh], source: "cp /src/f /tmp/out"}}
    outputs: {{parameters: [{{name: built, valueFrom: {{path: /tmp/out}}}}]}}
"""
    result = await flowcore.run(workflow, executor=LocalExecutor())
    assert (result.phase, result.message) == ("Succeeded", "")
    (parameter,) = (result.node("builds").outputs or {})["parameters"]
    assert parameter["value"] == "one"
