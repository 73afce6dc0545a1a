"""Everything that is due at some time: wake-ups that the engine asked for, and outcomes that are known beforehand."""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush
from itertools import count

from flowcore.engine.messages import Event, Finished, Ready, Started, Woken
from flowcore.nodes import NodeId

_STARTS, _READIES, _ENDS, _WAKES = range(4)


class Agenda:
    """A heap of events by the time at which they happen; starts come before ends of the same time, so that a node is seen running."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, int, Event]] = []
        self._order = count()
        self._wakes: dict[NodeId | None, datetime] = {}
        self._dropped: set[NodeId] = set()

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, at: datetime, event: Event) -> None:
        """Have ``event`` happen at ``at``."""
        match event:
            case Started():
                rank = _STARTS
            case Ready():
                rank = _READIES
            case Woken():
                rank = _WAKES
            case _:
                rank = _ENDS
        heappush(self._heap, (at, rank, next(self._order), event))

    def wake(self, node: NodeId | None, at: datetime) -> None:
        """Wake ``node`` at ``at`` and no longer at an earlier agreed time."""
        self._wakes[node] = at
        self.add(at, Woken(node))

    def drop(self, node: NodeId) -> None:
        """What was foreseen for ``node`` does not happen."""
        self._dropped.add(node)

    def next_time(self) -> datetime | None:
        """When the next event happens."""
        self._skim()
        return self._heap[0][0] if self._heap else None

    def due(self, now: datetime, most: int) -> list[Event]:
        """The next events that are due by ``now``, all of one kind, at most ``most`` of them."""
        self._skim()
        events: list[Event] = []
        if not self._heap or self._heap[0][0] > now:
            return events
        rank = self._heap[0][1]
        while self._heap and len(events) < most and self._heap[0][1] == rank and self._heap[0][0] <= now:
            events.append(heappop(self._heap)[3])
            self._skim()
        return events

    def _skim(self) -> None:
        while self._heap and self._stale(self._heap[0]):
            heappop(self._heap)

    def _stale(self, entry: tuple[datetime, int, int, Event]) -> bool:
        at, _, _, event = entry
        if isinstance(event, Woken):
            return self._wakes.get(event.node) != at
        return bool(self._dropped) and isinstance(event, Started | Ready | Finished) and event.node in self._dropped
