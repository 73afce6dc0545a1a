"""Driving a run: who may save its rows, and the statements that save them. ``SqlStore.claim`` gives out a ``SqlClaim``.

The right has a number, the fence, that grows each time somebody takes the run over. Whoever saves says his number in the same transaction,
so a process that was believed dead and comes back can save nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from flowcore.errors import StoreError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, RunRow
from flowcore.ports import Logged, StoredRun
from flowcore.records import dump, dump_node, dump_run
from flowcore_backends.stores import statements as sql
from flowcore_backends.stores.drivers import is_dead
from flowcore_backends.stores.transactions import Cursor

_FEW = 32  # rows that are recorded in less time than it takes to go to a thread and back

if TYPE_CHECKING:
    from flowcore_backends.stores.sql_store import SqlStore


class SqlClaim:
    """The right to drive one run, and the store as that run sees it."""

    def __init__(self, store: SqlStore, number: int, fence: int, name: str) -> None:
        self._store, self._number, self._fence, self._name = store, number, fence, name
        self._known = False
        self._saved: RunRow | None = None  # the run's row as it stands in the store
        self._put_away: set[str] = set()  # large outputs that are in their place already

    async def save(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject | None = None) -> None:
        """Record the run's row and the changed nodes in one transaction, which also keeps the right for another while."""
        same = run is self._saved  # most turns change nodes only
        self._saved = None
        given = run
        run, rows = await self._store.put_away(run, nodes, self._put_away)
        expires = self._store.now() + self._store.lease.total_seconds()

        def work(cursor: Cursor) -> None:
            if manifest is not None or not self._known:
                put_run(cursor, run, manifest)
            right = (expires, self._number, self._fence)
            if same:
                cursor.execute(sql.RENEW_RUN, right)
            else:
                cursor.execute(sql.SAVE_RUN, (dump_run(run), int(not run.phase.completed), *right))
            self._check(cursor)
            save_nodes(cursor, self._number, rows)
            if run.phase.completed:
                release_run(cursor, run)

        await self._store.write(work, brief=len(rows) <= _FEW)
        self._known, self._saved = True, given

    async def load(self, name: str, namespace: str) -> StoredRun | None:
        """All that was recorded of a run."""
        return await self._store.load(name, namespace)

    async def renew(self) -> None:
        """Keep the right for another while. Raises StoreError when it is lost."""
        expires = self._store.now() + self._store.lease.total_seconds()

        def work(cursor: Cursor) -> None:
            cursor.execute(sql.RENEW_RUN, (expires, self._number, self._fence))
            self._check(cursor)

        await self._store.write(work)

    async def append_logs(self, lines: Sequence[Logged]) -> None:
        """Keep output of the run."""
        rows = [(self._number, line.node, line.container, line.stream, line.at.isoformat(), _storable(line.text)) for line in lines]
        if rows:
            await self._store.write(lambda cursor: cursor.executemany(sql.ADD_LOG, rows))

    async def give_back(self) -> None:
        """Somebody else may drive the run now; a run of which nothing was recorded is forgotten."""

        def work(cursor: Cursor) -> None:
            cursor.execute(sql.GIVE_BACK, (self._number, self._fence))
            cursor.execute("DELETE FROM runs WHERE id = ? AND record = '' AND driver IS NULL", (self._number,))

        try:
            await self._store.write(work)
        except StoreError:  # the lease ends by itself
            return

    def _check(self, cursor: Cursor) -> None:
        if cursor.rowcount != 1:
            raise StoreError(f"run {self._name} is driven by another process now: this one was silent for longer than its lease")


def undriven(cursor: Cursor, name: str, namespace: str, now: float, *, create: bool = False) -> tuple[int, int]:
    """The number and fence of a run that nobody drives; (0, 0) for one that is not there. Raises StoreError."""
    cursor.execute(sql.FIND_RUN, (namespace, name))
    found = cursor.fetchone()
    if found is None and create:
        cursor.execute(sql.INSERT_RUN, (namespace, name, "", 1, "", "", ""))
        cursor.execute(sql.FIND_RUN, (namespace, name))
        found = cursor.fetchone()
    if found is None:
        return 0, 0
    driver = living(found[2], found[3], now)
    if driver is not None:
        machine, number, *_ = driver.split("/")
        raise StoreError(f"run {name} is driven by process {number} on {machine.split('pid:')[0]}: two cannot drive one run")
    return cast("int", found[0]), cast("int", found[1])


def put_run(cursor: Cursor, run: RunRow, manifest: JsonObject | None) -> int:
    """Record the run's row, and its manifest if one is given; the number of the run."""
    created = run.created_at.isoformat() if run.created_at is not None else ""
    open_ = int(not run.phase.completed)
    if manifest is None:
        statement = "UPDATE runs SET uid = ?, open = ?, record = ? WHERE namespace = ? AND name = ?"
        cursor.execute(statement, (run.uid, open_, dump_run(run), run.namespace, run.name))
    if manifest is not None or cursor.rowcount == 0:
        values = (run.namespace, run.name, run.uid, open_, created, dump_run(run), dump(manifest or {}))
        cursor.execute(sql.INSERT_RUN, values)
    cursor.execute(sql.FIND_RUN, (run.namespace, run.name))
    found = cursor.fetchone()
    return cast("int", found[0]) if found is not None else 0


def save_nodes(cursor: Cursor, run: int, nodes: Sequence[Node]) -> None:
    """Record nodes of the run with that number."""
    if nodes:
        first = run << sql.SEQ_BITS
        cursor.executemany(sql.SAVE_NODE, [(first | node.seq, dump_node(node)) for node in nodes])


def lock_changes(cursor: Cursor, changes: Iterable[tuple[str, str]]) -> None:
    """Record who got which lock, and who gave back his (an empty lock name)."""
    for lock, holder in changes:
        if lock:
            cursor.execute(sql.NOTE_LOCK, (lock, holder))
        else:
            cursor.execute("DELETE FROM locks WHERE holder = ?", (holder,))


def release_run(cursor: Cursor, run: RunRow) -> None:
    """A run that has ended holds no lock, neither itself nor by one of its nodes."""
    own = f"{run.namespace}/{run.name}"
    cursor.execute("DELETE FROM locks WHERE holder = ? OR substr(holder, 1, ?) = ?", (own, len(own) + 1, f"{own}/"))


def keys_of(run: int) -> tuple[int, int]:
    """The first and the last key that a node of a run may have."""
    return run << sql.SEQ_BITS, (run + 1 << sql.SEQ_BITS) - 1


def living(driver: object, expires: object, now: float) -> str | None:
    """Who drives a run, unless that process is dead or has been silent for too long."""
    if not isinstance(driver, str) or cast("float", expires or 0) <= now or is_dead(driver):
        return None
    return driver


def _storable(text: str) -> str:
    """``text`` without what a database does not take: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
