"""The two clocks a run can be given: the machine's own, and one that jumps to the next moment at which something happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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


__all__ = ["RealClock", "VirtualClock"]
