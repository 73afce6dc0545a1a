"""Containers of the corpus run for real, on the local backend, with stand-ins for their images' programs; only time is simulated.

Object storage is one folder: artifacts at places of their own go there by their key, and what would be fetched from elsewhere is a small text.
"""

from __future__ import annotations

import atexit
import contextlib
import copy
import importlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import ExecutorError
from flowcore.nodes import Phase
from tests.conformance import images
from tests.conformance.answers import part
from tests.conformance.outcomes import Rules, outcome_of

SECONDS_PER_CONTAINER = 6.0
SECONDS_TO_PULL = 5.0
_CLONED = "cloned-repository"
_STORED = {"s3": "key", "gcs": "key", "oss": "key", "azure": "blob", "hdfs": "path", "artifactory": "url", "http": "url", "plugin": "key"}
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass
class Work:
    """What a pod does. No outcome: it runs until it is stopped."""

    outcome: Outcome | None
    seconds: float = 1.0
    progress: list[tuple[float, str]] = field(default_factory=list)  # after so many seconds it says so
    orders: list[list[str]] = field(default_factory=list)  # the words that Argo's command line was given


class Containers:
    """Runs invocations to their end, and says how long they would have taken."""

    def __init__(self, folder: Path, portal: BlockingPortal) -> None:
        logging.getLogger("flowcore.local").setLevel(logging.ERROR)
        self._folder, self._portal = folder, portal
        programs = images.install(folder)
        self._naps, self._orders = folder / "naps", folder / "orders"
        self._executor = part_of_backends("local", "LocalExecutor")(
            environment={
                "PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}",
                "NAPS": str(self._naps),
                "ORDERS": str(self._orders),
                "PYTHONPATH": str(images.install_chance(folder)),
            },
            commands=images.COMMANDS,
            visible=[folder],
            claims=Claims(folder / "claims"),
        )
        self._contexts: dict[str, Any] = {}
        self._runs = 0

    def run(self, invocation: Invocation, catalog: Any, spec: Mapping[str, Any]) -> Work:
        """Let the pod of an invocation do its work."""
        if beyond_processes(invocation.body):
            return Work(outcome_of(invocation, Rules(())))
        for notes in (self._naps, self._orders):
            notes.write_text("", encoding="utf-8")
        local = replace(invocation, body=at_home(invocation.body), inputs=at_home({"inputs": invocation.inputs or {}})["inputs"])
        outcome = self._portal.call(self._run, local, self._context(invocation, catalog, spec))
        work = Work(back_in_place(outcome, invocation.body), 1.0 + _pulling(invocation.body))
        beside = {sidecar["name"] for sidecar in invocation.body.get("sidecars") or ()}
        for nap in self._naps.read_text(encoding="utf-8").splitlines():
            sleeper, slept, progress = nap.split(" ", 2)
            if sleeper in beside:  # the pod does not wait for it
                continue
            if progress:
                work.progress.append((work.seconds, progress))
            work.seconds += _seconds(slept)
        work.orders = [order.split() for order in self._orders.read_text(encoding="utf-8").splitlines()]
        return work

    async def _run(self, invocation: Invocation, context: Any) -> Outcome | None:
        with anyio.move_on_after(SECONDS_PER_CONTAINER):
            try:
                return await self._executor.run(invocation, context, lambda _report: None)
            except ExecutorError as error:
                return Outcome(phase=Phase.ERROR, message=str(error))
        return None

    def _context(self, invocation: Invocation, catalog: Any, spec: Mapping[str, Any]) -> Any:
        key = f"{id(catalog)}/{invocation.workflow}"
        if key not in self._contexts:
            self._runs += 1
            home = self._folder / f"run-{self._runs}"
            (home / "store" / _CLONED).mkdir(parents=True)
            (home / "store" / _CLONED / "README.md").write_text("cloned\n", encoding="utf-8")
            self._contexts[key] = part("ports", "RunContext")(
                name=invocation.workflow,
                namespace=invocation.namespace,
                uid=f"{invocation.uid}-{self._runs}",
                catalog=catalog,
                artifacts=part("artifacts.folder", "FolderArtifacts")(home / "store"),
                folder=home,
                spec=dict(spec),
            )
        return self._contexts[key]


class Claims(dict[str, Path]):
    """A folder for whatever claim is asked for: the cluster has them all."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Path:
        (self._folder / name).mkdir(parents=True, exist_ok=True)
        return self._folder / name


def part_of_backends(module: str, name: str) -> Any:
    """A backend's public name."""
    return getattr(importlib.import_module(f"flowcore_backends.{module}"), name)


_shared: list[Containers] = []
_open = contextlib.ExitStack()  # kept, or the event loop of the containers would end


def shared_containers() -> Containers:
    """The containers of this process, made when first asked for."""
    if not _shared:
        folder = Path(tempfile.mkdtemp(prefix="conformance-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        portal = _open.enter_context(start_blocking_portal())
        _shared.append(Containers(folder, portal))
    return _shared[0]


def beyond_processes(body: Mapping[str, Any]) -> bool:
    """Whether a pod is asked for what the simulation has not: Kubernetes' answers, a terminal, a repository on the internet. It is taken to go well."""
    if not any(body.get(kind) for kind in ("container", "script", "containerSet", "data")):
        return True
    artifacts = (body.get("inputs") or {}).get("artifacts") or ()
    return any(container.get("tty") for container in _containers(body)) or any("git" in artifact for artifact in artifacts)


def _pulling(body: Mapping[str, Any]) -> float:
    """The time it takes to fetch images that must be fetched each time."""
    return SECONDS_TO_PULL if any(container.get("imagePullPolicy") == "Always" for container in _containers(body)) else 0.0


def _containers(body: Mapping[str, Any]) -> list[Any]:
    listed = [body.get("container"), body.get("script"), *((body.get("containerSet") or {}).get("containers") or ())]
    return [container for container in listed if container]


def _seconds(nap: str) -> float:
    match = re.fullmatch(r"\s*(\d*\.?\d+)([smhd]?)\s*", nap)
    return float(match[1]) * _UNITS[match[2]] if match else 0.0


# --- storage ----------------------------------------------------------------------------------------------------------------------


def at_home(body: Mapping[str, Any]) -> dict[str, Any]:
    """The template with every place of an artifact in the one store, and the programs of images found by name."""
    made = copy.deepcopy(dict(body))
    for artifact in (made.get("inputs") or {}).get("artifacts") or ():
        _localize(artifact, incoming=True)
    for artifact in (made.get("outputs") or {}).get("artifacts") or ():
        _localize(artifact, incoming=False)
    source = ((made.get("data") or {}).get("source") or {}).get("artifactPaths")
    if source:
        for kind in _STORED:
            source.pop(kind, None)
        source["s3"] = {}
    if isinstance(made.get("archiveLocation"), dict):
        _localize(made["archiveLocation"], incoming=False)
    for container in _containers(made):
        if container.get("command"):
            container["command"] = [_by_name(word) for word in container["command"]]
        if container.get("args"):
            container["args"] = [_by_name(str(word)) for word in container["args"]]
    return made


def _by_name(word: str) -> str:
    """Programs that images have at a fixed place are found by their name; sleeping is never real."""
    return re.sub(r"(?<![\w/.-])/(?:bin/)?(argosay|sleep)\b", r"\1", word)


def _localize(artifact: dict[str, Any], *, incoming: bool) -> None:
    key = _key_of(artifact)
    if "raw" in artifact or (key is None and "git" not in artifact):
        return
    elsewhere = any(kind in artifact for kind in ("http", "git", "hdfs", "artifactory")) or "endpoint" in str(artifact.get("s3"))
    for kind in (*_STORED, "git"):
        artifact.pop(kind, None)
    if incoming and elsewhere and key is not None and not key.endswith((".tgz", "main.log")):
        artifact["raw"] = {"data": "content from elsewhere\n"}
    elif key is None:
        artifact["s3"] = {"key": _CLONED}
        artifact["archive"] = {"none": {}}
    else:
        artifact["s3"] = {"key": key}


def _key_of(artifact: Mapping[str, Any]) -> str | None:
    for kind, key in _STORED.items():
        place = artifact.get(kind)
        if isinstance(place, Mapping) and place.get(key):
            return re.sub(r"^\w+://", "", str(place[key])).strip("/")
    return None


def _log_in_place(found: Mapping[str, Any], body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a log lies: under its key in the store that the template's archive is in."""
    kind = next((kind for kind in _STORED if kind in (body.get("archiveLocation") or {})), "s3")
    key = (found.get("s3") or {}).get("key")
    return {kind: {_STORED[kind]: key}} if key else found


def back_in_place(outcome: Outcome | None, body: Mapping[str, Any]) -> Outcome | None:
    """The outcome with each artifact where the document wanted it."""
    if outcome is None or not outcome.artifacts:
        return outcome
    wanted = {artifact["name"]: artifact for artifact in (body.get("outputs") or {}).get("artifacts") or ()}
    places = {
        name: {kind: wanted[name][kind] for kind in _STORED if kind in wanted[name]} if name in wanted else _log_in_place(found, body)
        for name, found in outcome.artifacts.items()
    }
    return replace(outcome, artifacts={name: place or outcome.artifacts[name] for name, place in places.items()})
