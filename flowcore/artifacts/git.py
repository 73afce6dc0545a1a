"""Artifacts that are checkouts of a git repository, by git's own command line, closed against what a repository or a document could make it do.

No prompt, no configuration of this machine, no hooks, no transport but https, http, ssh and git; nothing of a document can be taken for an
option. Credentials go through the environment or a file, never through the command line. Called by ``locations.py``.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess
from urllib.parse import urlsplit

import anyio

from flowcore.artifacts.secrets import SecretReader
from flowcore.errors import ArtifactError
from flowcore.jsontypes import Json, JsonObject

PROTOCOLS = "https:http:ssh:git"
SECONDS = 600.0
_OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "credential.helper=", "-c", "core.fsmonitor=false", "-c", "gc.auto=0")
_WORD = re.compile(r"[^\s\x00-\x1f\x7f-]\S*")
_LONGEST_WORD = 4096
_NO_REFS = 2  # the exit code of ls-remote
_KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "https_proxy",
    "http_proxy",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


async def checkout(place: JsonObject, target: Path, secrets: SecretReader) -> None:
    """Clone ``place["repo"]`` so that the new folder ``target`` becomes its work tree. Raises ArtifactError with git's own words."""
    if shutil.which("git") is None:
        raise ArtifactError("a git artifact needs the program git, which is not installed on this machine")
    with _environment(place, secrets) as environment, _within_time(place):
        await _clone(place, target, environment)
        for specification in _words(place, "fetch"):
            await _git(environment, "fetch", *_depth(place), "origin", specification, folder=target)
        if place.get("revision"):
            await _switch(_word(place, "revision"), place, target, environment)
        if not place.get("disableSubmodules"):
            await _git(environment, "submodule", "update", "--init", "--recursive", *_depth(place), folder=target)


async def _clone(place: JsonObject, target: Path, environment: Mapping[str, str]) -> None:
    """As in Argo, ``branch`` counts with ``singleBranch`` alone."""
    options = [*_depth(place)]
    if place.get("singleBranch"):
        if not place.get("branch"):
            raise ArtifactError("git.branch is missing: singleBranch asks for it")
        options += ["--branch", _word(place, "branch"), "--single-branch"]
    elif options:
        options.append("--no-single-branch")
    await _git(environment, "clone", "--quiet", "--template=", *options, "--", _word(place, "repo"), str(target))


async def _switch(revision: str, place: JsonObject, target: Path, environment: Mapping[str, str]) -> None:
    """Check ``revision`` out: what the clone has of it, a branch of the origin, or else what the origin gives under that name."""
    for name in (revision, f"origin/{revision}"):
        if (await _run(environment, "checkout", "--quiet", "--force", name, "--", folder=target)).returncode == 0:
            return
    if (await _run(environment, "ls-remote", "--exit-code", "origin", folder=target)).returncode == _NO_REFS:
        return  # an empty repository has no revisions, and that is no fault
    await _git(environment, "fetch", *_depth(place), "origin", revision, folder=target)
    await _git(environment, "checkout", "--quiet", "--force", "FETCH_HEAD", "--", folder=target)


def _depth(place: JsonObject) -> list[str]:
    depth = place.get("depth")
    return ["--depth", str(depth)] if isinstance(depth, int) and depth > 0 else []


def _word(place: JsonObject, field: str) -> str:
    return _checked(place.get(field), field)


def _words(place: JsonObject, field: str) -> list[str]:
    given = place.get(field)
    return [_checked(word, field) for word in given] if isinstance(given, list) else []


def _checked(word: Json, field: str) -> str:
    if not isinstance(word, str) or len(word) > _LONGEST_WORD or not _WORD.fullmatch(word):
        raise ArtifactError(f"git.{field} is {str(word)[:80]!r}: it must be one word and must not begin with a dash")
    return word


async def _git(environment: Mapping[str, str], verb: str, *arguments: str, folder: Path | None = None) -> None:
    done = await _run(environment, verb, *arguments, folder=folder)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise ArtifactError(f"git {verb} failed: {words[-1000:]}")


async def _run(environment: Mapping[str, str], verb: str, *arguments: str, folder: Path | None = None) -> CompletedProcess[bytes]:
    command = ["git", *_OPTIONS, verb, *arguments]
    return await anyio.run_process(
        command, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, check=False, cwd=folder, env=environment, start_new_session=True
    )


@contextmanager
def _within_time(place: JsonObject) -> Iterator[None]:
    try:
        with anyio.fail_after(SECONDS):
            yield
    except TimeoutError as error:
        raise ArtifactError(f"cloning {place.get('repo')} took longer than {SECONDS:.0f} seconds") from error


@contextmanager
def _environment(place: JsonObject, secrets: SecretReader) -> Iterator[dict[str, str]]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environment |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ALLOW_PROTOCOL": PROTOCOLS,
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
    }
    if place.get("insecureSkipTLS"):
        environment["GIT_SSL_NO_VERIFY"] = "1"
    user, password = secrets.optional(place.get("usernameSecret")), secrets.optional(place.get("passwordSecret"))
    if (user is not None or password is not None) and _word(place, "repo").startswith(("https://", "http://")):
        environment |= _authorization(_word(place, "repo"), user or "", password or "")
    with tempfile.TemporaryDirectory(prefix="flowcore-git-") as folder:
        environment["GIT_SSH_COMMAND"] = _ssh(place, secrets, Path(folder))
        yield environment


def _authorization(repository: str, user: str, password: str) -> dict[str, str]:
    """Git configuration by environment: a header that is sent to this repository's server alone, where its submodules mostly are too."""
    address = urlsplit(repository)
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{address.scheme}://{address.netloc.rpartition('@')[2]}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {token}",
    }


def _ssh(place: JsonObject, secrets: SecretReader, folder: Path) -> str:
    options = ["ssh", "-o", "BatchMode=yes"]
    if place.get("insecureIgnoreHostKey"):
        options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    if (key := secrets.optional(place.get("sshPrivateKeySecret"))) is not None:
        file = folder / "key"
        file.touch(0o600)
        file.write_text(key if key.endswith("\n") else key + "\n")
        options += ["-i", str(file), "-o", "IdentitiesOnly=yes"]
    return shlex.join(options)
