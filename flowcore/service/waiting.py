"""Waiting for a point in time on whatever clock a service has. A shared virtual clock asks for membership first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime

import anyio

from flowcore.clocks import SharedVirtualClock
from flowcore.ports import Clock

_LONGEST = 3600.0  # a machine's clock may be set; look again now and then


async def wait_until(clock: Clock, at: datetime | None, awake: anyio.Event, *, at_most: float = _LONGEST) -> None:
    """Wait until ``at`` (None: for ever) or until ``awake`` is set; by a real clock at most so many seconds."""
    if isinstance(clock, SharedVirtualClock):
        await clock.idle(at, awake)
        return
    seconds = at_most if at is None else (at - clock.now()).total_seconds()
    with anyio.move_on_after(max(min(seconds, at_most), 0)):
        await awake.wait()


def membership(clock: Clock) -> AbstractContextManager[None]:
    """A shared virtual time does not pass while somebody in this block has work to do."""
    return clock.member() if isinstance(clock, SharedVirtualClock) else nullcontext()


class Rounds:
    """Looks around whenever it is time to, or when somebody asks for it. ``look`` does what is due, and says when there is more."""

    def __init__(self, clock: Clock, look: Callable[[], Awaitable[datetime | None]], *, at_most: float = _LONGEST) -> None:
        self._clock, self._look, self._at_most = clock, look, at_most
        self._awake = anyio.Event()

    def look_now(self) -> None:
        """Something has changed."""
        self._awake.set()

    async def go(self) -> None:
        """Look around until cancelled."""
        while True:
            following = await self._look()
            await wait_until(self._clock, following, self._awake, at_most=self._at_most)
            self._awake = anyio.Event()


__all__ = ["Rounds", "membership", "wait_until"]
