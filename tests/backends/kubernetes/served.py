"""A fake API server in a thread of its own: catalogs block the loop that asks them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flowcore_backends.kubernetes.testing import FakeKube


@contextmanager
def served(kube: FakeKube) -> Iterator[asyncio.AbstractEventLoop]:
    """The loop of the thread in which ``kube`` serves as long as the block lasts."""
    ready, ways_out = threading.Event(), list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    async def serve() -> None:
        over = asyncio.Event()
        ways_out.append((asyncio.get_running_loop(), over))
        async with kube:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait(10)
    ((loop, over),) = ways_out
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
