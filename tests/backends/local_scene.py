"""A small stage for tests of the local backend: one executor, one run, shell commands in and outcomes out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from flowcore.jsontypes import JsonObject
from flowcore.ports import Invocation, Outcome
from flowcore_backends.local import LocalExecutor
from tests.backends.contract import Play, invocation, run_context


@asynccontextmanager
async def scene(folder: Path, *documents: JsonObject, spec: JsonObject | None = None, **choices: Any) -> AsyncIterator[Play]:
    """A fresh executor in a run of its own, closed at the end."""
    play = Play(LocalExecutor(**choices), run_context(folder, *documents, spec=spec or {}))
    with anyio.fail_after(60):
        try:
            yield play
        finally:
            await play.executor.close(play.context)


def shell(command: str, **template: Any) -> JsonObject:
    """A template whose container runs ``command``; ``container`` adds to the container, everything else to the template."""
    container = {"image": "alpine", "command": ["sh", "-c", command], **template.pop("container", {})}
    return {"container": container, **template}


async def sh(play: Play, command: str, *, ask: dict[str, Any] | None = None, **template: Any) -> Outcome:
    """Run a shell command as a container template."""
    return await play.run(shell_invocation(command, ask=ask, **template))


def shell_invocation(command: str, *, ask: dict[str, Any] | None = None, **template: Any) -> Invocation:
    body = shell(command, **template)
    return invocation("shell", body, inputs=body.get("inputs"), **{"capture_result": True, **(ask or {})})


async def needs_views(play: Play) -> None:
    """Skip the test where the machine gives no private view of the file system."""
    assert isinstance(play.executor, LocalExecutor)
    if not (await play.executor.surroundings()).isolated:
        pytest.skip("this machine gives no private view of the file system")
