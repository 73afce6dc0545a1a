"""Locks in the memory of one process: mutexes and semaphores, shared by the runs that are given the same object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from flowcore.jsontypes import JsonObject
from flowcore.plan.locking import limit_of, name_of, problem_of
from flowcore.ports import Catalog, ChangingCatalog, LockAnswer


@dataclass(slots=True)
class _Lock:
    """One mutex or semaphore: who holds it, and who waits for it."""

    holders: dict[str, None] = field(default_factory=dict)
    queue: dict[str, tuple[int, datetime, int]] = field(default_factory=dict)

    def order(self) -> list[str]:
        """The waiting holders: higher priority first, then the older run, then who asked first."""
        return sorted(self.queue, key=lambda holder: (-self.queue[holder][0], self.queue[holder][1], self.queue[holder][2]))


class LockJournal(Protocol):
    """Where it is noted who holds what, so that held locks survive the process; every ``RunStore`` is one."""

    def note_lock(self, lock: str, holder: str) -> None:
        """``holder`` has got ``lock``."""
        ...

    def note_release(self, holder: str) -> None:
        """``holder`` has given back all that he held."""
        ...


class MemoryLocks:
    """Mutexes and semaphores of one process, by Argo's rules: all locks of a list at once or none, fair by priority and age.

    Limits of semaphores are read from ConfigMaps of ``catalog`` at each question, so a changed limit holds at once. A ``journal`` is told of
    every lock that is taken or given back.
    """

    def __init__(self, catalog: Catalog | None = None, journal: LockJournal | None = None) -> None:
        self._catalog, self._journal = catalog, journal
        self._locks: dict[str, _Lock] = {}
        self._wakers: list[Callable[[str], None]] = []
        self._asked = 0
        if isinstance(catalog, ChangingCatalog):
            catalog.on_change(self.ask_again)

    def ask_again(self) -> None:
        """Limits may have changed: have everybody ask again who waits, first come first."""
        for other in [holder for lock in self._locks.values() for holder in lock.order()]:
            for wake in list(self._wakers):
                wake(other)

    def acquire(self, holder: str, locks: Sequence[JsonObject], *, namespace: str, priority: int, created: datetime) -> LockAnswer:
        """Try to take all of ``locks``; if that cannot be, ``holder`` queues for each."""
        problem = problem_of(locks, namespace, self._catalog)
        if problem:
            return LockAnswer(False, error=problem)
        wanted = {name_of(lock, namespace): int(limit_of(lock, namespace, self._catalog)) for lock in locks}
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
            if holder not in self._locks[name].holders and self._journal is not None:
                self._journal.note_lock(name, holder)
            self._locks[name].holders[holder] = None
        return LockAnswer(True)

    def restore(self, held: Iterable[tuple[str, str]]) -> None:
        """Take over locks (name and holder) that were held when an earlier process ended; nobody is asked whether there is room."""
        for name, holder in held:
            self._locks.setdefault(name, _Lock()).holders[holder] = None

    def held_by(self, run: str) -> list[str]:
        """The holders of locks that belong to the run ``namespace/name``."""
        held = {holder: None for lock in self._locks.values() for holder in lock.holders}
        return [holder for holder in held if _run_of(holder) == run]

    def counts(self) -> tuple[int, int]:
        """How many hold something, and how many wait, each lock counted for itself."""
        locks = self._locks.values()
        return sum(len(lock.holders) for lock in locks), sum(len(lock.queue) for lock in locks)

    def _free(self, name: str, limit: int, holder: str, run: str) -> bool:
        lock = self._locks[name]
        if holder in lock.holders:
            return True
        room = limit - len(lock.holders)
        if room <= 0:
            return False
        front = lock.order()[:room]
        return holder in front or any(_run_of(other) == run for other in front)

    def release(self, holder: str) -> Sequence[str]:
        """Give back all that ``holder`` holds or waits for, and wake those who may have it now."""
        waiting: dict[str, None] = {}
        held = False
        for lock in self._locks.values():
            touched = holder in lock.holders or holder in lock.queue
            held = held or holder in lock.holders
            lock.holders.pop(holder, None)
            lock.queue.pop(holder, None)
            if touched:
                waiting.update(dict.fromkeys(lock.order()))
        if held and self._journal is not None:
            self._journal.note_release(holder)
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
