"""A small stage for tests on a real engine: one executor, one run, shell commands in and outcomes out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio

from flowcore.jsontypes import JsonObject
from flowcore.ports import Invocation, Outcome
from flowcore_backends.docker import DockerExecutor
from tests.backends.contract import Play, invocation, run_context


class DockerPlay(Play):
    """A play on an engine, whose objects can be looked at."""

    engine: str
    uid: str

    async def sh(self, command: str, *, ask: dict[str, Any] | None = None, **template: Any) -> Outcome:
        """Run a shell command as a container template; ``container`` adds to the container, everything else to the template."""
        return await self.run(self.shell(command, ask=ask, **template))

    def shell(self, command: str, *, ask: dict[str, Any] | None = None, **template: Any) -> Invocation:
        container = {"image": "alpine", "command": ["sh", "-c", command], **template.pop("container", {})}
        return self.asked({"container": container, **template}, **{"capture_result": True, **(ask or {})})

    def asked(self, body: JsonObject, **more: Any) -> Invocation:
        return invocation("shell", body, **{"uid": self.uid, "inputs": body.get("inputs"), **more})

    async def docker(self, *words: str) -> str:
        """What the docker command line answers."""
        return (await anyio.to_thread.run_sync(docker, self.engine, *words)).strip()

    async def objects(self) -> list[str]:
        """All that the engine has of this run."""
        label = f"label=flowcore.run={self.uid}"
        listed = [
            await self.docker("ps", "-aq", "--filter", label),
            await self.docker("volume", "ls", "-q", "--filter", label),
            await self.docker("network", "ls", "-q", "--filter", label),
        ]
        return [line for text in listed for line in text.splitlines()]


@asynccontextmanager
async def scene(
    engine: str, folder: Path, *documents: JsonObject, spec: JsonObject | None = None, uid: str = "", **choices: Any
) -> AsyncIterator[DockerPlay]:
    """A fresh executor in a run of its own, closed at the end."""
    uid = uid or str(uuid4())
    play = DockerPlay(DockerExecutor(host=engine, **choices), run_context(folder, *documents, spec=spec or {}, uid=uid))
    play.engine, play.uid = engine, uid
    with anyio.fail_after(60):
        try:
            yield play
        finally:
            await play.executor.close(play.context)


def docker(engine: str, *words: str) -> str:
    """What the docker command line answers."""
    return subprocess.run(["docker", "-H", engine, *words], check=True, capture_output=True, text=True).stdout


def inspect(engine: str, name: str) -> JsonObject:
    (shown,) = json.loads(docker(engine, "inspect", name))
    assert isinstance(shown, dict)
    return shown
