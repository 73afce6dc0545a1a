"""The clocks a run can be given: the machine's own, one that jumps to the next moment at which something happens, and one for many runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel

_BREATHS = 8  # turns of the event loop in which whoever was just begun or woken can say so
_VIRTUAL_START = datetime(2024, 1, 1, tzinfo=UTC)


class RealClock:
    """The machine's time, in UTC. Waiting takes as long as it says."""

    @property
    def virtual(self) -> bool:
        """Never: time passes by itself."""
        return False

    def now(self) -> datetime:
        """The time, with a zone."""
        return datetime.now(UTC)

    def advance_to(self, at: datetime) -> None:
        """Nothing: nobody moves this clock."""

    def __repr__(self) -> str:
        return "RealClock()"


class VirtualClock:
    """Time that stands still until somebody moves it, and never goes back.

    The runner moves it to the next due moment whenever nothing else can happen, so a workflow that waits ten days ends at once, and two
    runs of the same workflow see the same times. ``start`` needs a zone; the default is a fixed day, for results that repeat.
    """

    __slots__ = ("_now", "started_at")

    def __init__(self, start: datetime = _VIRTUAL_START) -> None:
        if start.tzinfo is None:
            raise ValueError(f"a virtual clock needs a start with a zone, not {start.isoformat()}: add tzinfo=UTC")
        self.started_at = start
        self._now = start

    @property
    def virtual(self) -> bool:
        """Always: time passes only by ``advance_to`` and ``advance``."""
        return True

    def now(self) -> datetime:
        """The moment the clock was last moved to."""
        return self._now

    def advance_to(self, at: datetime) -> None:
        """Show ``at``, unless that has passed already."""
        self._now = max(self._now, at)

    def advance(self, by: timedelta) -> None:
        """Show a time that is later by ``by``; negative lengths change nothing."""
        self.advance_to(self._now + by)

    def __repr__(self) -> str:
        return f"VirtualClock({self._now.isoformat()})"


class SharedVirtualClock:
    """One virtual time for many runs and timers: it jumps to the next moment when none of its members can do anything before that.

    ``member`` counts whoever works by this clock, ``idle`` is how a member waits. Time never passes ``until``; ``reached_end`` waits for that.
    """

    def __init__(self, start: datetime = _VIRTUAL_START, until: datetime | None = None) -> None:
        self._now, self.until = start, until
        self._members = 0
        self._idle: dict[anyio.Event, datetime | None] = {}
        self._changed = anyio.Event()
        self._rested = anyio.Event()

    @property
    def virtual(self) -> bool:
        """Always."""
        return True

    def now(self) -> datetime:
        """The moment that all members see."""
        return self._now

    def advance_to(self, at: datetime) -> None:
        """Nothing: time passes for all members together, or not at all."""

    @contextmanager
    def member(self) -> Iterator[None]:
        """Time waits for whoever is in this block, unless he is idle."""
        self._members += 1
        try:
            yield
        finally:
            self._members -= 1
            self._changed.set()

    async def idle(self, until: datetime | None, awake: anyio.Event) -> None:
        """Wait for ``awake``, which this clock sets when it has come to ``until``; to be called by members only."""
        self._idle[awake] = until
        self._changed.set()
        try:
            await awake.wait()
        finally:
            del self._idle[awake]

    async def reached_end(self) -> None:
        """Wait until nothing can happen any more up to ``until``."""
        self._rested = anyio.Event()
        self._changed.set()
        await self._rested.wait()

    async def run(self) -> None:
        """Let time pass, until cancelled. Runs beside the members."""
        while True:
            for _ in range(_BREATHS):
                await anyio.lowlevel.checkpoint()
            if not self._all_idle() or not self._jump():
                self._changed = anyio.Event()
                if self._all_idle():
                    self._rested.set()
                await self._changed.wait()

    def _all_idle(self) -> bool:
        return sum(not awake.is_set() for awake in self._idle) >= self._members

    def _jump(self) -> bool:
        """Go to the next moment at which somebody wants to be woken, and wake him; whether there is one."""
        times = [at for at in self._idle.values() if at is not None]
        following = min(times, default=None)
        if following is None or (self.until is not None and following > self.until):
            if self.until is not None:
                self._now = max(self._now, self.until)
            return False
        self._now = max(self._now, following)
        for awake, at in self._idle.items():
            if at is not None and at <= self._now:
                awake.set()
        return True

    def __repr__(self) -> str:
        return f"SharedVirtualClock({self._now.isoformat()}: {len(self._idle)} of {self._members} idle)"


__all__ = ["RealClock", "SharedVirtualClock", "VirtualClock"]
