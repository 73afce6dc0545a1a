"""What one run of a jq program may use up: time, work and memory. Charged by the machine and by all functions that walk through values."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from flowcore.errors import LimitExceeded
from flowcore.jsontypes import Json

MAX_SECONDS = 5.0
MAX_WORK = 50_000_000
MAX_BYTES = 1 << 30
_LOOK_AT_CLOCK = 1024
_ITEM, _MEMBER = 8, 64


class Meter:
    """Counts for one run, in one thread. Memory is what is made, also if it is dropped again; time is the processor's."""

    def __init__(self) -> None:
        self._deadline = time.thread_time() + MAX_SECONDS
        self._work = 0
        self._checked = 0
        self._bytes = 0

    def spend(self, work: int) -> None:
        """Count steps of work, each about a microsecond; raises LimitExceeded when work or time is up."""
        self._work += work
        if self._work - self._checked < _LOOK_AT_CLOCK:
            return
        self._checked = self._work
        if self._work > MAX_WORK or time.thread_time() > self._deadline:
            raise LimitExceeded(f"a jq program takes longer than {MAX_SECONDS:g} seconds or {MAX_WORK} steps")

    def occupy(self, size: int) -> None:
        """Count bytes; raises LimitExceeded when there were too many, and charges the time to fill them."""
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise LimitExceeded(f"a jq program makes values of more than {MAX_BYTES >> 20} MiB")
        self.spend(size >> 10)


_current: ContextVar[Meter | None] = ContextVar("flowcore_jq_meter", default=None)


@contextmanager
def metered() -> Iterator[None]:
    """Within, everything is charged to one new meter."""
    token = _current.set(Meter())
    try:
        yield
    finally:
        _current.reset(token)


def meter() -> Meter:
    """The meter that is running; outside of a run one of its own."""
    return _current.get() or Meter()


def spend(work: int) -> None:
    """Count steps of work."""
    meter().spend(work)


def occupy(value: Json, item: int = _ITEM) -> None:
    """Count a new value, without what is within; ``item`` is what an item of a list takes."""
    if isinstance(value, str):
        meter().occupy(len(value) if value.isascii() else 4 * len(value))
    elif isinstance(value, list):
        meter().occupy(item * len(value))
    elif isinstance(value, dict):
        meter().occupy(_MEMBER * len(value))
