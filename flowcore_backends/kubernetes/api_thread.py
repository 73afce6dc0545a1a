"""A connection to the API in a thread of its own, for those who cannot await: catalogs answer at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TypeVar

from flowcore_backends.kubernetes.api import Api
from flowcore_backends.kubernetes.options import KubernetesOptions

_Answer = TypeVar("_Answer")
_SECONDS_TO_CLOSE = 5.0


class ApiThread:
    """Opened when it is made; raises what opening the connection raises. The thread is a daemon: a process that ends does not wait for it."""

    def __init__(self, options: KubernetesOptions) -> None:
        self._options = options
        self._ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, Api]] = Future()
        self._tasks: set[Future[None]] = set()
        self._thread = threading.Thread(target=self._run, name="flowcore-kubernetes-catalog", daemon=True)
        self._thread.start()
        self._loop, self._over, self._api = self._ready.result()

    def call(self, ask: Callable[[Api], Coroutine[object, object, _Answer]]) -> _Answer:
        """Have ``ask`` done in the thread and wait for its answer. Raises what it raises."""
        return asyncio.run_coroutine_threadsafe(ask(self._api), self._loop).result()

    def begin(self, ask: Callable[[Api], Coroutine[object, object, None]]) -> None:
        """Have ``ask`` done in the thread, without waiting for it; it should raise nothing."""
        task = asyncio.run_coroutine_threadsafe(ask(self._api), self._loop)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Close the connection and end the thread."""
        if self._thread.is_alive() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)
        if self._thread is not threading.current_thread():
            self._thread.join(_SECONDS_TO_CLOSE)

    def _run(self) -> None:
        try:
            asyncio.run(self._hold())
        except BaseException as error:  # noqa: BLE001 - told to whoever opens it
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _hold(self) -> None:
        over = asyncio.Event()
        async with Api(self._options) as api:
            self._ready.set_result((asyncio.get_running_loop(), over, api))
            await over.wait()


__all__ = ["ApiThread"]
