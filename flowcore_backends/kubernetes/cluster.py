"""What all pods of a process share while any are under way: the connection, one watch for each namespace, limits, and the objects of runs.

A task of its own holds the connection, so that it is closed wherever the work was cancelled.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from flowcore.ports import RunContext
from flowcore_backends.kubernetes.api import Api
from flowcore_backends.kubernetes.discovery import Discovery
from flowcore_backends.kubernetes.labels import selector
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.run_objects import RunObjects
from flowcore_backends.kubernetes.watch import PodWatch


class Cluster:
    """One connection, opened by ``open`` and in use until ``close``."""

    def __init__(self, options: KubernetesOptions) -> None:
        self.options = options
        self.api = Api(options)
        self.discovery = Discovery(self.api)
        self.loop = asyncio.get_running_loop()
        self.active = 0
        self.unreachable: set[str] = set()  # stores that pods could not reach
        self.slots = asyncio.Semaphore(options.parallelism)
        self.followed_logs = asyncio.Semaphore(options.followed_logs)
        self._watches: dict[str, tuple[PodWatch, asyncio.Task[None]]] = {}
        self._runs: dict[str, RunObjects] = {}
        self._over = asyncio.Event()
        self._opened: asyncio.Future[None] = self.loop.create_future()
        self._task = self.loop.create_task(self._hold(), name="flowcore-kubernetes")

    @property
    def usable(self) -> bool:
        """Whether work may begin on it."""
        return not self._over.is_set() and not self._task.done()

    async def opened(self) -> None:
        """Wait until it is connected. Raises ExecutorError, MissingBackend."""
        await asyncio.shield(self._opened)

    async def _hold(self) -> None:
        try:
            async with self.api:
                self._opened.set_result(None)
                await self._over.wait()
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the connection
            if not self._opened.done():
                self._opened.set_exception(error)
                self._opened.exception()  # seen, though nobody may wait
        finally:
            for _, task in self._watches.values():
                task.cancel()

    def watch(self, namespace: str) -> PodWatch:
        """The watch of a namespace, begun if need be, or again if it ended."""
        known = self._watches.get(namespace)
        if known is None or known[1].done():
            watch = PodWatch(self.api, namespace, selector(self.options))
            known = self._watches[namespace] = (watch, self.loop.create_task(watch.run(), name=f"flowcore-watch-{namespace}"))
        return known[0]

    def run_objects(self, context: RunContext) -> RunObjects:
        """The objects of a run."""
        if context.uid not in self._runs:
            self._runs[context.uid] = RunObjects(self.api, context, self.options)
        return self._runs[context.uid]

    async def leave(self, context: RunContext) -> None:
        """A run has ended."""
        objects = self._runs.pop(context.uid, None)
        if objects is not None:
            await objects.close(context.phase)
        await self.close_if_idle()

    async def close_if_idle(self) -> None:
        """Close the connection if nothing is under way on it."""
        if self.active == 0 and not self._runs:
            await self.close()

    def look_away(self) -> None:
        """Somebody was cancelled: when nothing is under way any more, the connection is not needed."""
        if self.active == 0:
            self._over.set()

    async def close(self) -> None:
        """Close the connection."""
        self._over.set()
        with suppress(asyncio.CancelledError):
            await self._task
        for _, task in self._watches.values():
            with suppress(asyncio.CancelledError):
                await task
