"""An event loop whose time jumps over every wait in which nothing happens: an outage of half an hour is over at once, yet nobody sees it cut short.

For tests whose server, clients and pauses are all in this one loop, without threads and processes: whoever has nothing to read and nothing to write
waits for the clock alone. Pauses, timeouts and back-off keep their true lengths by ``loop.time()``.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_REAL_SECONDS = 0.002  # what is on its way through the loopback interface arrives within that


class _JumpingSelector(selectors.DefaultSelector):
    """Skips the time that it is asked to wait, when nothing comes within a moment."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if found := super().select(min(timeout, _REAL_SECONDS)):
            return found
        self.skipped += timeout
        return []


class JumpingLoop(asyncio.SelectorEventLoop):
    """The loop; ``run_jumping`` runs a test in one."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """The time that has passed here, skipped waits included."""
        return super().time() + self._jumping.skipped


def run_jumping(test: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
    """Run ``test`` in a loop of its own."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(test())


__all__ = ["JumpingLoop", "run_jumping"]
