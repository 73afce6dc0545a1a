"""A process that runs a workflow on pods over a SQLite store, or continues it; a test kills it. Usage: drive.py API STORE WORKFLOW NAME.

API is the address of an API, or - for the real cluster of the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

import flowcore
from flowcore_backends.kubernetes import KubernetesExecutor, KubernetesOptions
from tests.backends.kubernetes import a_cluster


async def main(api: str, url: str, file: str, name: str) -> None:
    store = flowcore.open_store(url)
    options = a_cluster.options() if api == "-" else KubernetesOptions(api_server=api)
    executor = KubernetesExecutor(options)
    namespace = options.namespace or "default"
    if await store.load(name, namespace) is None:
        result = await flowcore.run(Path(file), executor=executor, store=store, namespace=namespace)
    else:
        result = await flowcore.resume(name, store=store, executor=executor, namespace=namespace)
    await store.close()
    sys.exit(0 if result.phase == "Succeeded" else f"{result.phase}: {result.message}")


if __name__ == "__main__":
    anyio.run(main, *sys.argv[1:])
