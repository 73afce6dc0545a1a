"""A process that runs a workflow on this machine over a SQLite store, or continues it; tests kill it. Usage: drive_local.py STORE WORKFLOW."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

import flowcore
from flowcore.artifacts import FolderArtifacts
from flowcore_backends.local import LocalExecutor


async def main(url: str, file: str) -> None:
    store = flowcore.open_store(url)
    places = {"artifacts": FolderArtifacts(Path(file).parent / "artifacts"), "folder": Path(file).parent / "run"}
    if await store.load("kill", "default") is None:
        result = await flowcore.run(Path(file), executor=LocalExecutor(isolation="off"), store=store, **places)
    else:
        result = await flowcore.resume("kill", store=store, executor=LocalExecutor(isolation="off"), **places)
    await store.close()
    if result.phase != "Succeeded":
        sys.exit(f"{result.phase}: {result.message}: {[row for row in result.nodes.values() if row.phase.failed_or_error][:3]}")


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
