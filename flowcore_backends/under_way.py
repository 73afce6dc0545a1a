"""The pods that a backend runs at the moment, by their run and name: none runs twice, and orders to end find theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Generic, TypeVar

import anyio

from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError

P = TypeVar("P")


class UnderWay(Generic[P]):
    """What runs, as the backend has it."""

    def __init__(self) -> None:
        self._pods: dict[tuple[str, str], P] = {}

    @contextmanager
    def known(self, invocation: Invocation, pod: P) -> Iterator[None]:
        """Let ``get`` find ``pod`` within the block. Raises ExecutorError if the invocation has one already."""
        key = (invocation.uid, invocation.pod_name)
        if key in self._pods:
            raise ExecutorError(f"{invocation.pod_name} is already running")
        self._pods[key] = pod
        try:
            yield
        finally:
            del self._pods[key]

    def get(self, invocation: Invocation) -> P | None:
        """What runs for ``invocation``, if anything does."""
        return self._pods.get((invocation.uid, invocation.pod_name))


class StopOrder:
    """That a pod is to end, within a grace; given again, the earlier end counts."""

    def __init__(self) -> None:
        self._given, self._again, self._kill_at = anyio.Event(), anyio.Event(), 0.0

    def is_set(self) -> bool:
        """Whether the pod is to end."""
        return self._given.is_set()

    def give(self, grace: timedelta) -> None:
        """Have the pod end, at the latest after ``grace``."""
        kill_at = anyio.current_time() + grace.total_seconds()
        self._kill_at = min(self._kill_at, kill_at) if self.is_set() else kill_at
        self._given.set()
        self._again.set()

    async def wait(self) -> None:
        """Return when the order is given."""
        await self._given.wait()

    async def grace_is_over(self) -> None:
        """Return when what has not ended is to be ended."""
        while (left := self._kill_at - anyio.current_time()) > 0:
            self._again = anyio.Event()
            with anyio.move_on_after(left):
                await self._again.wait()
