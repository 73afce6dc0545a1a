"""Locks in the memory of one process: mutexes and semaphores, shared by the runs that are given the same object."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from flowcore.jsontypes import JsonObject
from flowcore.plan.locking import limit_of, name_of, problem_of
from flowcore.ports import Catalog, ChangingCatalog, LockAnswer

_Rank: TypeAlias = "tuple[int, datetime, int, str]"


@dataclass(slots=True)
class _Lock:
    """One mutex or semaphore: who holds it, and who waits for it, kept in order: thousands may wait for one lock."""

    holders: dict[str, None] = field(default_factory=dict)
    line: list[_Rank] = field(default_factory=list)
    ranks: dict[str, _Rank] = field(default_factory=dict)

    def queue(self, holder: str, priority: int, created: datetime, asked: int) -> None:
        """Let ``holder`` wait: higher priority first, then the older run, then who asked first. Who waits already keeps its place."""
        if holder not in self.ranks:
            rank = self.ranks[holder] = (-priority, created, asked, holder)
            insort(self.line, rank)

    def leave(self, holder: str) -> bool:
        """Take ``holder`` out of the line; whether it stood there."""
        rank = self.ranks.pop(holder, None)
        if rank is not None:
            del self.line[bisect_left(self.line, rank)]
        return rank is not None

    def front(self, room: int) -> list[str]:
        """Those who wait first, at most ``room`` of them."""
        return [rank[-1] for rank in self.line[:room]]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What somebody waits for: the locks as they were asked for."""

    locks: tuple[JsonObject, ...]
    namespace: str


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
        self._wishes: dict[str, _Wish] = {}
        self._wakers: list[Callable[[str], None]] = []
        self._asked = 0
        if isinstance(catalog, ChangingCatalog):
            catalog.on_change(self.ask_again)

    def ask_again(self) -> None:
        """Limits may have changed: have everybody ask again who waits, first come first."""
        self._wake(rank[-1] for lock in list(self._locks.values()) for rank in list(lock.line))

    def acquire(self, holder: str, locks: Sequence[JsonObject], *, namespace: str, priority: int, created: datetime) -> LockAnswer:
        """Try to take all of ``locks``; if that cannot be, ``holder`` queues for each."""
        problem = problem_of(locks, namespace, self._catalog)
        if problem:
            return LockAnswer(False, error=problem)
        wanted = self._wanted(locks, namespace)
        run = _run_of(holder)
        self._asked += 1
        self._wishes[holder] = _Wish(tuple(locks), namespace)
        for name in wanted:
            lock_state = self._locks.setdefault(name, _Lock())
            if holder not in lock_state.holders:
                lock_state.queue(holder, priority, created, self._asked)
        blocked = next((name for name, limit in wanted.items() if not self._free(name, limit, holder, run)), None)
        if blocked is not None:
            taken = len(self._locks[blocked].holders)
            status = f"{max(wanted[blocked] - taken, 0)}/{wanted[blocked]}"
            return LockAnswer(False, waiting=blocked, message=f"Waiting for {blocked} lock. Lock status: {status}")
        self._wishes.pop(holder, None)
        for name in wanted:
            self._locks[name].leave(holder)
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
        return sum(len(lock.holders) for lock in locks), sum(len(lock.line) for lock in locks)

    def _free(self, name: str, limit: int, holder: str, run: str) -> bool:
        lock = self._locks[name]
        if holder in lock.holders:
            return True
        room = limit - len(lock.holders)
        if room <= 0:
            return False
        front = lock.front(room)
        return holder in front or any(_run_of(other) == run for other in front)

    def release(self, holder: str) -> Sequence[str]:
        """Give back all that ``holder`` holds or waits for, and wake those who can have it now, first come first; these are returned."""
        held = False
        touched: list[str] = []
        self._wishes.pop(holder, None)
        for name, lock in self._locks.items():
            holds = lock.holders.pop(holder, holder) is None
            held = held or holds
            if lock.leave(holder) or holds:
                touched.append(name)
        if held and self._journal is not None:
            self._journal.note_release(holder)
        for name in [name for name in touched if not self._locks[name].holders and not self._locks[name].line]:
            del self._locks[name]
        woken = list(dict.fromkeys(other for name in touched if name in self._locks for other in self._ready(name)))
        self._wake(woken)
        return woken

    def _ready(self, name: str) -> list[str]:
        """Who in the line of a lock would get all that it waits for, as many as there is room for; and who is to be told that there is none any more."""
        ready: list[str] = []
        for *_, holder in self._locks[name].line:
            wish = self._wishes[holder]
            if problem_of(wish.locks, wish.namespace, self._catalog):
                ready.append(holder)
                continue
            wanted, run = self._wanted(wish.locks, wish.namespace), _run_of(holder)
            if len(ready) >= wanted[name] - len(self._locks[name].holders):
                break
            if all(self._free(each, limit, holder, run) for each, limit in wanted.items()):
                ready.append(holder)
        return ready

    def _wanted(self, locks: Sequence[JsonObject], namespace: str) -> dict[str, int]:
        """The names of locks, each with how many may hold it."""
        return {name_of(lock, namespace): int(limit_of(lock, namespace, self._catalog)) for lock in locks}

    def _wake(self, holders: Iterable[str]) -> None:
        for holder in holders:
            for wake in list(self._wakers):
                wake(holder)

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
