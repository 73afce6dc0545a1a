"""Which locks a run holds and which it waits for, as Argo's ``status.synchronization`` tells it.

Worked out from what the engine asked for (``Acquire``, ``Release``) and what it was answered, and recorded with the run's row whenever it
changes. Called by the engine after each turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

from flowcore.engine.messages import Acquire, Command, Event, Granted, Refused, Release
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.nodes import NodeId, RunRow
from flowcore.plan.locking import name_of

_KINDS = ("semaphore", "mutex")


class LockStatus:
    """What of its locks a run holds and waits for; taken up from the row of a run that was recorded."""

    def __init__(self, run: RunRow, node_name: Callable[[NodeId], str]) -> None:
        self._run, self._node_name = f"{run.namespace}/{run.name}", node_name
        self._asked: dict[NodeId | None, tuple[JsonObject, ...]] = {}
        self._waiting: dict[NodeId | None, tuple[str, str]] = {}  # the kind and the name of the lock that is waited for
        self._awaited: dict[tuple[str, str], int] = {}  # how many wait for each: a loop over a lock has thousands that do
        self._holding = {kind: _recorded(object_of(run.synchronization or {}, kind), kind) for kind in _KINDS}

    def after(self, run: RunRow, events: Sequence[Event], commands: Iterable[Command]) -> JsonObject | None:
        """What is to be recorded with ``run`` after a turn; None if there are no locks."""
        changed = bool(self._asked) and sum(self._answered(event, run) for event in events) > 0
        for command in commands:
            if isinstance(command, Acquire):
                self._asked[command.node] = command.locks
            elif isinstance(command, Release):
                changed = self._released(command.node) or changed
        return self._told() if changed else run.synchronization

    def own_deadlock(self, nodes: Sequence[NodeId]) -> str:
        """The name of a mutex that one of ``nodes`` waits for, if each of them waits for one that this very run holds; else empty."""
        held = self._holding["mutex"]
        awaited = [self._waiting.get(node, ("", "")) for node in nodes]
        return awaited[0][1] if awaited and all(kind == "mutex" and name in held for kind, name in awaited) else ""

    def _answered(self, event: Event, run: RunRow) -> bool:
        if isinstance(event, Granted) and event.node in self._asked:
            self._stop_waiting(event.node)
            for lock in self._asked[event.node]:
                kind = "mutex" if "mutex" in lock else "semaphore"
                self._holding[kind].setdefault(name_of(lock, run.namespace), {})[self._holder(event.node)] = None
            return True
        if isinstance(event, Refused) and event.node in self._asked and event.waiting:
            names = {name_of(lock, run.namespace): "mutex" if "mutex" in lock else "semaphore" for lock in self._asked[event.node]}
            self._stop_waiting(event.node)
            awaited = self._waiting[event.node] = (names.get(event.waiting, "semaphore"), event.waiting)
            self._awaited[awaited] = self._awaited.get(awaited, 0) + 1
            return True
        return False

    def _stop_waiting(self, node: NodeId | None) -> bool:
        """Whether ``node`` did wait."""
        lock = self._waiting.pop(node, None)
        if lock is None:
            return False
        self._awaited[lock] -= 1
        if not self._awaited[lock]:
            del self._awaited[lock]
        return True

    def _released(self, node: NodeId | None) -> bool:
        self._asked.pop(node, None)
        changed, holder = self._stop_waiting(node), self._holder(node)
        for held in self._holding.values():
            for name in [name for name, holders in held.items() if holder in holders]:
                changed = True
                del held[name][holder]
                if not held[name]:
                    del held[name]
        return changed

    def _holder(self, node: NodeId | None) -> str:
        return self._run if node is None else f"{self._run}/{self._node_name(node)}"

    def _told(self) -> JsonObject | None:
        told: JsonObject = {}
        for kind in _KINDS:
            waiting = [name for waited, name in self._awaited if waited == kind]
            part: JsonObject = {}
            if self._holding[kind]:
                part["holding"] = [_shown(kind, name, list(holders)) for name, holders in self._holding[kind].items()]
            if waiting:
                part["waiting"] = [{kind: name} for name in waiting]
            if part:
                told[kind] = part
        return told or None


def _recorded(status: JsonObject, kind: str) -> dict[str, dict[str, None]]:
    held: dict[str, dict[str, None]] = {}
    for entry in objects_of(status, "holding"):
        holders = [text_of(entry, "holder")] if kind == "mutex" else strings_of(entry, "holders")
        held[text_of(entry, kind)] = dict.fromkeys(holders)
    return held


def _shown(kind: str, name: str, holders: list[str]) -> JsonObject:
    return {kind: name, "holder": holders[0]} if kind == "mutex" else {kind: name, "holders": cast("list[Json]", holders)}


__all__ = ["LockStatus"]
