"""A process that runs a workflow on pods over a SQLite store, or continues it; a test kills it. Usage: drive.py API STORE WORKFLOW."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

import flowcore
from flowcore_backends.kubernetes import KubernetesExecutor


async def main(api: str, url: str, file: str) -> None:
    store = flowcore.open_store(url)
    executor = KubernetesExecutor(api_server=api)
    if await store.load("kill", "default") is None:
        result = await flowcore.run(Path(file), executor=executor, store=store)
    else:
        result = await flowcore.resume("kill", store=store, executor=executor)
    await store.close()
    sys.exit(0 if result.phase == "Succeeded" else f"{result.phase}: {result.message}")


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
