"""One connection, used by one thread at a time, and one transaction for all that waits for it.

``Connections.run`` is what the stores call. Whoever comes first carries out what all the others have asked for meanwhile, so a hundred runs
that save at once cost one commit; a piece of work that fails takes back only itself. Work that is brief is done without going to a thread and
back, which would take several times as long, where the database can begin it without waiting for anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

import anyio
from anyio import to_thread
from anyio.lowlevel import RunVar

from flowcore.errors import StoreError

T = TypeVar("T")
_IN_A_ROW = 100  # brief transactions; then a thread has time for what the database puts off


class Cursor(Protocol):
    """What both databases' cursors can do."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, statement: str, values: Sequence[object] = ..., /) -> object: ...

    def executemany(self, statement: str, rows: Iterable[Sequence[object]], /) -> object: ...

    def fetchone(self) -> Sequence[object] | None: ...

    def fetchall(self) -> list[Sequence[object]]: ...


class Database(Protocol):
    """A kind of database: how it is opened, and what differs between the two."""

    errors: tuple[type[Exception], ...]
    begin: str  # the statement that begins a transaction that writes

    def connect(self) -> Cursor:
        """A connection in which every statement stands for itself until a transaction is begun. Raises StoreError."""
        ...

    def disconnect(self) -> None:
        """Give the connection up."""
        ...

    def begins_at_once(self, cursor: Cursor) -> bool:
        """Begin a transaction that writes, if a brief one can neither wait for others nor for a disk; whether it was begun. Never raises."""
        ...

    def be_patient(self, cursor: Cursor, *, patient: bool) -> None:
        """Whether what follows may wait: in a thread it may, in the event loop (as a connection is at first) not."""
        ...

    def explained(self, error: Exception) -> StoreError:
        """What went wrong, in words that say what to do."""
        ...


@dataclass(slots=True)
class _Job(Generic[T]):
    """A piece of work that waits for the connection."""

    work: Callable[[Cursor], T]
    writes: bool
    done: bool = False
    value: T | None = None
    error: Exception | None = None


class Connections:
    """The connection of a store, opened when it is first used and again after an error of the connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cursor: Cursor | None = None
        self._jobs: list[_Job[object]] = []
        self._turns: RunVar[anyio.Lock] = RunVar(f"flowcore.store.{id(self)}")
        self._in_a_row = 0  # brief transactions since a thread was used
        self.commits = 0

    async def run(self, work: Callable[[Cursor], T], *, writes: bool = True, brief: bool = False) -> T:
        """Do ``work`` in a transaction and return what it returns when that is committed: in another thread, unless it is ``brief`` and nobody
        is in the way. Raises StoreError.
        """
        job: _Job[T] = _Job(work, writes)
        if not (brief and self._done_here(cast("_Job[object]", job))):
            self._jobs.append(cast("_Job[object]", job))
            async with self._turn():
                if not job.done:
                    jobs, self._jobs = self._jobs, []
                    with anyio.CancelScope(shield=True):
                        await to_thread.run_sync(self._carry_out_patiently, jobs)
        if job.error is not None:
            raise job.error
        return cast("T", job.value)

    def _done_here(self, job: _Job[object]) -> bool:
        """Carry out a job that writes without leaving the event loop; false if that cannot be, or others should have their turn."""
        if self._jobs or self._in_a_row >= _IN_A_ROW:
            return False
        lock = self._turn()
        try:
            lock.acquire_nowait()
        except anyio.WouldBlock:
            return False
        try:
            if self._cursor is None or not self._database.begins_at_once(self._cursor):
                return False
            self._in_a_row += 1
            self._carry_out([job], begun=True)
            return True
        finally:
            lock.release()

    async def close(self) -> None:
        """Give the connection up."""
        async with self._turn():
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._disconnect)

    def _turn(self) -> anyio.Lock:
        """The lock of this event loop; a store may be used in several, one after the other."""
        lock = self._turns.get(None)
        if lock is None:
            lock = anyio.Lock()
            self._turns.set(lock)
        return lock

    def _disconnect(self) -> None:
        self._cursor = None
        self._database.disconnect()

    def _carry_out_patiently(self, jobs: Sequence[_Job[object]]) -> None:
        self._in_a_row = 0
        self._carry_out(jobs)

    def _carry_out(self, jobs: Sequence[_Job[object]], *, begun: bool = False) -> None:
        try:
            self._carry_out_at_once(jobs, begun=begun)
        except StoreError as error:
            self._fail(jobs, error)
        except self._database.errors as error:
            self._fail(jobs, self._database.explained(error))
        finally:
            for job in jobs:
                job.done = True

    def _fail(self, jobs: Sequence[_Job[object]], error: StoreError) -> None:
        """Nothing was committed: all fail alike, and the next use opens the database anew."""
        for job in jobs:
            job.error = error
        self._disconnect()

    def _carry_out_at_once(self, jobs: Sequence[_Job[object]], *, begun: bool) -> None:
        if begun and self._cursor is not None:
            self._transact(jobs, self._cursor)
            return
        if self._cursor is None:
            self._cursor = self._database.connect()
        cursor = self._cursor
        self._database.be_patient(cursor, patient=True)
        if any(job.writes for job in jobs):
            cursor.execute(self._database.begin)
            self._transact(jobs, cursor)
        else:
            for job in jobs:
                job.value = self._outcome(job, cursor)
        self._database.be_patient(cursor, patient=False)

    def _transact(self, jobs: Sequence[_Job[object]], cursor: Cursor) -> None:
        """Carry out jobs in the transaction that was begun, and commit them."""
        try:
            if len(jobs) == 1:
                jobs[0].value = self._outcome(jobs[0], cursor)
            else:
                for job in jobs:
                    self._carry_out_apart(job, cursor)
            cursor.execute("COMMIT" if len(jobs) > 1 or jobs[0].error is None else "ROLLBACK")
        except BaseException:
            self._roll_back(cursor)
            raise
        self.commits += 1

    def _carry_out_apart(self, job: _Job[object], cursor: Cursor) -> None:
        """One job among others; what it did is taken back if it refuses to go on."""
        cursor.execute("SAVEPOINT job")
        job.value = self._outcome(job, cursor)
        if job.error is not None:
            cursor.execute("ROLLBACK TO SAVEPOINT job")
        cursor.execute("RELEASE SAVEPOINT job")

    def _outcome(self, job: _Job[object], cursor: Cursor) -> object:
        try:
            return job.work(cursor)
        except self._database.errors:
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked for this job, and is raised there
            job.error = error
            return None

    def _roll_back(self, cursor: Cursor) -> None:
        try:
            cursor.execute("ROLLBACK")
        except self._database.errors:  # the connection is gone, and the transaction with it
            self._cursor = None
