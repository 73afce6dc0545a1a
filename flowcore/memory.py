"""Stores, caches and locks in the memory of one process: what a run uses unless it is given something that lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.nodes import Node, NodeId, RunRow
from flowcore.ports import CacheAnswer, Catalog, LockAnswer, StoredRun


class MemoryStore:
    """Keeps the rows of runs in memory, by namespace and name."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], tuple[RunRow, dict[NodeId, Node], JsonObject]] = {}

    async def save(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject | None = None) -> None:
        """Record the run's row and the changed nodes."""
        key = (run.namespace, run.name)
        _, known, document = self._runs.get(key, (run, {}, {}))
        for node in nodes:
            known[node.id] = node
        self._runs[key] = (run, known, document if manifest is None else manifest)

    async def load(self, name: str, namespace: str) -> StoredRun | None:
        """All that was recorded of a run."""
        found = self._runs.get((namespace, name))
        return StoredRun(found[0], tuple(found[1].values()), found[2]) if found is not None else None


class MemoryCache:
    """Keeps remembered outputs in memory, by namespace, cache name and key."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, str], tuple[JsonObject | None, datetime]] = {}

    async def recall(self, cache: str, key: str, *, namespace: str, max_age: timedelta | None, now: datetime) -> CacheAnswer:
        """What is remembered under ``key``, unless it is older than ``max_age``."""
        found = self._entries.get((namespace, cache, key))
        if found is None or (max_age is not None and now - found[1] > max_age):
            return CacheAnswer(False)
        return CacheAnswer(True, found[0])

    async def remember(self, cache: str, key: str, *, namespace: str, node: NodeId, outputs: JsonObject | None, now: datetime) -> None:
        """Remember ``outputs``."""
        self._entries[namespace, cache, key] = (outputs, now)


@dataclass(slots=True)
class _Lock:
    """One mutex or semaphore: who holds it, and who waits for it."""

    holders: dict[str, None] = field(default_factory=dict)
    queue: dict[str, tuple[int, datetime, int]] = field(default_factory=dict)

    def order(self) -> list[str]:
        """The waiting holders: higher priority first, then the older run, then who asked first."""
        return sorted(self.queue, key=lambda holder: (-self.queue[holder][0], self.queue[holder][1], self.queue[holder][2]))


class MemoryLocks:
    """Mutexes and semaphores of one process, by Argo's rules (argo-semantics 6.11): all locks of a list at once or none, fair by priority and age.

    Limits of semaphores are read from ConfigMaps of ``catalog`` at each question, so a changed limit holds at once.
    """

    def __init__(self, catalog: Catalog | None = None) -> None:
        self._catalog = catalog
        self._locks: dict[str, _Lock] = {}
        self._wakers: list[Callable[[str], None]] = []
        self._asked = 0

    def acquire(self, holder: str, locks: Sequence[JsonObject], *, namespace: str, priority: int, created: datetime) -> LockAnswer:
        """Try to take all of ``locks``; if that cannot be, ``holder`` queues for each."""
        wanted: dict[str, int] = {}
        for lock in locks:
            name, limit = self._read(lock, namespace)
            if isinstance(limit, str):
                return LockAnswer(False, error=limit)
            if name in wanted:
                return LockAnswer(False, error=f"duplicate lock {name}: each lock may stand in a list once")
            wanted[name] = limit
        run = _run_of(holder)
        self._asked += 1
        for name in wanted:
            lock_state = self._locks.setdefault(name, _Lock())
            if holder not in lock_state.holders:
                lock_state.queue.setdefault(holder, (priority, created, self._asked))
        blocked = next((name for name, limit in wanted.items() if not self._free(name, limit, holder, run)), None)
        if blocked is not None:
            taken = len(self._locks[blocked].holders)
            status = f"{max(wanted[blocked] - taken, 0)}/{wanted[blocked]}"
            return LockAnswer(False, waiting=blocked, message=f"Waiting for {blocked} lock. Lock status: {status}")
        for name in wanted:
            self._locks[name].queue.pop(holder, None)
            self._locks[name].holders[holder] = None
        return LockAnswer(True)

    def _free(self, name: str, limit: int, holder: str, run: str) -> bool:
        lock = self._locks[name]
        if holder in lock.holders:
            return True
        room = limit - len(lock.holders)
        if room <= 0:
            return False
        front = lock.order()[:room]
        return holder in front or any(_run_of(other) == run for other in front)

    def _read(self, lock: JsonObject, namespace: str) -> tuple[str, int | str]:
        """The name of a lock and its limit, or why it has none."""
        mutex = object_of(lock, "mutex")
        if mutex:
            kind = "Database" if mutex.get("database") else "Mutex"
            name = f"{text_of(mutex, 'namespace') or namespace}/{kind}/{text_of(mutex, 'name')}"
            return name, f"database session is not available for mutex {name}" if kind == "Database" else 1
        semaphore = object_of(lock, "semaphore")
        space = text_of(semaphore, "namespace") or namespace
        reference = object_of(semaphore, "configMapKeyRef")
        if not reference:
            name = f"{space}/Database/{text_of(object_of(semaphore, 'database'), 'key')}"
            return name, f"database session is not available for semaphore {name}"
        config, key = text_of(reference, "name"), text_of(reference, "key")
        name = f"{space}/ConfigMap/{config}/{key}"
        return name, self._limit(name, config, key, space)

    def _limit(self, name: str, config: str, key: str, namespace: str) -> int | str:
        manifest = self._catalog.get("ConfigMap", config, namespace) if self._catalog is not None else None
        value = object_of(manifest, "data").get(key) if manifest is not None else None
        text = str(value).strip() if value is not None else ""
        if not text.isdigit() or int(text) == 0:
            return f"failed to initialize semaphore {name} with limit"
        return int(text)

    def release(self, holder: str) -> Sequence[str]:
        """Give back all that ``holder`` holds or waits for, and wake those who may have it now."""
        waiting: dict[str, None] = {}
        for lock in self._locks.values():
            touched = holder in lock.holders or holder in lock.queue
            lock.holders.pop(holder, None)
            lock.queue.pop(holder, None)
            if touched:
                waiting.update(dict.fromkeys(lock.order()))
        for name in [name for name, lock in self._locks.items() if not lock.holders and not lock.queue]:
            del self._locks[name]
        for other in waiting:
            for wake in list(self._wakers):
                wake(other)
        return list(waiting)

    def watch(self, wake: Callable[[str], None]) -> Callable[[], None]:
        """Have ``wake`` called for each waiting holder that should ask again."""
        self._wakers.append(wake)

        def stop() -> None:
            if wake in self._wakers:
                self._wakers.remove(wake)

        return stop


def _run_of(holder: str) -> str:
    """The run that a holder belongs to: holders are ``namespace/run`` or ``namespace/run/node``."""
    return "/".join(holder.split("/")[:2])
