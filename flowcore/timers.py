"""Everything that is due at some time: wake-ups that the engine asked for, and outcomes that are known beforehand."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from heapq import heappop, heappush
from typing import TypeAlias

from flowcore.engine.messages import Event, Finished, Ready, Started, Woken
from flowcore.nodes import NodeId

_STARTS, _READIES, _ENDS, _WAKES = range(4)
_RANKS: dict[type[Event], int] = {Started: _STARTS, Ready: _READIES, Woken: _WAKES}

_Moment: TypeAlias = tuple[datetime, int]  # a time, and the kind of what happens then


class Agenda:
    """Events by the time at which they happen; starts come before ends of the same time, so that a node is seen running.

    What happens at one moment is kept in one list, in the order of adding: a hundred thousand nodes that start together cost no heap.
    """

    def __init__(self) -> None:
        self._moments: list[_Moment] = []
        self._events: dict[_Moment, deque[Event]] = {}
        self._wakes: dict[NodeId | None, datetime] = {}
        self._dropped: set[NodeId] = set()

    def add(self, at: datetime, event: Event) -> None:
        """Have ``event`` happen at ``at``."""
        moment = at, _RANKS.get(type(event), _ENDS)
        events = self._events.get(moment)
        if events is None:
            events = self._events[moment] = deque()
            heappush(self._moments, moment)
        events.append(event)

    def wake(self, node: NodeId | None, at: datetime) -> None:
        """Wake ``node`` at ``at`` and no longer at an earlier agreed time."""
        self._wakes[node] = at
        self.add(at, Woken(node))

    def drop(self, node: NodeId) -> None:
        """What was foreseen for ``node`` does not happen."""
        self._dropped.add(node)

    def next_time(self) -> datetime | None:
        """When the next event happens."""
        found = self._next()
        return found[0] if found is not None else None

    def due(self, now: datetime, most: int) -> list[Event]:
        """The next events that are due by ``now``, all of one kind, at most ``most`` of them."""
        events: list[Event] = []
        kind: int | None = None
        while len(events) < most and (moment := self._next()) is not None and moment[0] <= now and kind in (None, moment[1]):
            kind = moment[1]
            waiting = self._events[moment]
            while waiting and len(events) < most:
                event = waiting.popleft()
                if not self._is_stale(moment[0], event):
                    events.append(event)
        return events

    def _next(self) -> _Moment | None:
        """The next moment at which something happens; moments of which all was called off are forgotten."""
        while self._moments:
            moment = self._moments[0]
            waiting = self._events[moment]
            while waiting and self._is_stale(moment[0], waiting[0]):
                waiting.popleft()
            if waiting:
                return moment
            heappop(self._moments)
            del self._events[moment]
        return None

    def _is_stale(self, at: datetime, event: Event) -> bool:
        if isinstance(event, Woken):
            return self._wakes.get(event.node) != at
        return bool(self._dropped) and isinstance(event, Started | Ready | Finished) and event.node in self._dropped


__all__ = ["Agenda"]
