"""``SqlStore``: runs and all that belongs to them, in the tables of ``statements.py``. SqliteStore and PostgresStore say where those are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeVar, cast

from flowcore.artifacts.offloading import Offload
from flowcore.durable import Claim, StoredLine, StoredOrder, StoredSummary
from flowcore.errors import StoreError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, RunRow
from flowcore.ports import CacheAnswer, Clock, Logged, StoredRun
from flowcore.records import dump, dump_run, load, load_node, load_run
from flowcore_backends.stores import statements as sql
from flowcore_backends.stores.claims import SqlClaim, keys_of, living, lock_changes, put_run, save_nodes, undriven
from flowcore_backends.stores.drivers import own_name
from flowcore_backends.stores.transactions import Connections, Cursor, Database

T = TypeVar("T")


class SqlStore:
    """A ``RunStore`` in a database. ``lease`` is how long a run stays with a process that has fallen silent; the clock measures that.

    Rows are upserts of changed nodes, recorded in one transaction with the run's own row; what several runs save meanwhile is the next commit.
    Large outputs are kept where ``offload`` says; None keeps them in the rows.
    """

    def __init__(self, database: Database, clock: Clock, lease: timedelta, offload: Offload | None = None) -> None:
        self.clock, self.lease, self.offload = clock, lease, offload
        self.driver = own_name()
        self.connections = Connections(database)
        self._lock_changes: list[tuple[str, str]] = []

    async def write(self, work: Callable[[Cursor], T], *, brief: bool = False) -> T:
        """Do ``work``, which may be ``brief``, in a transaction, together with what was noted of locks."""
        changes, self._lock_changes = self._lock_changes, []
        if not changes:
            return await self.connections.run(work, brief=brief)

        def noted(cursor: Cursor) -> T:
            lock_changes(cursor, changes)
            return work(cursor)

        try:
            return await self.connections.run(noted, brief=brief)
        except StoreError:
            self._lock_changes = changes + self._lock_changes
            raise

    async def _read(self, work: Callable[[Cursor], T]) -> T:
        return await self.connections.run(work, writes=False)

    async def close(self) -> None:
        """Give the connection up; the store opens it again when it is used."""
        await self.connections.close()

    # --- runs -----------------------------------------------------------------------------------------------------------------------

    async def save(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject | None = None) -> None:
        """Record rows of a run that nobody drives. A run is driven through ``claim``, which opens the store for its rows."""
        run, rows = await self.put_away(run, nodes)

        def work(cursor: Cursor) -> None:
            undriven(cursor, run.name, run.namespace, self.now())
            save_nodes(cursor, put_run(cursor, run, manifest), rows)

        await self.write(work)

    async def put_away(self, run: RunRow, nodes: Iterable[Node], saved: set[str] | None = None) -> tuple[RunRow, list[Node]]:
        """The rows as they are recorded; large outputs are in their place before. ``saved`` are those that are there already."""
        return (run, list(nodes)) if self.offload is None else await self.offload.put_away(run, nodes, saved)

    async def load(self, name: str, namespace: str) -> StoredRun | None:
        """All that was recorded of a run. Raises StoreError also where one of its large outputs is not to be had."""
        stored = await self.outline(name, namespace)
        return stored if stored is None or self.offload is None else await self.offload.fetched(stored)

    async def outline(self, name: str, namespace: str) -> StoredRun | None:
        """A run as its rows have it: where a large output was put away stands a reference to it."""

        def work(cursor: Cursor) -> StoredRun | None:
            cursor.execute("SELECT id, record, manifest FROM runs WHERE namespace = ? AND name = ?", (namespace, name))
            found = cursor.fetchone()
            if found is None or not found[1]:
                return None
            cursor.execute("SELECT record FROM nodes WHERE id BETWEEN ? AND ? ORDER BY id", keys_of(cast("int", found[0])))
            nodes = tuple(load_node(_text(row[0])) for row in cursor.fetchall())
            return StoredRun(load_run(_text(found[1])), nodes, load(_text(found[2])))

        return await self._read(work)

    async def runs(
        self, namespace: str | None = None, *, unfinished: bool = False, prefix: str = "", archived: bool = False
    ) -> list[StoredSummary]:
        """All runs (of a namespace), newest first: those of the live list, or those of the archive."""
        statement, values = sql.FIND_RUNS, cast("list[object]", [int(archived)])
        if namespace is not None:
            statement, values = f"{statement} AND namespace = ?", [*values, namespace]
        if unfinished:
            statement += " AND open = 1"
        if prefix:
            statement += " AND (substr(name, 1, ?) = ? OR substr(uid, 1, ?) = ?)"
            values += [len(prefix), prefix, len(prefix), prefix]

        def work(cursor: Cursor) -> list[StoredSummary]:
            cursor.execute(f"{statement} ORDER BY created_at DESC, id DESC", values)
            now = self.now()
            return [StoredSummary(load_run(_text(row[0])), living(row[1], row[2], now), archived) for row in cursor.fetchall()]

        return await self._read(work)

    async def claim(self, name: str, namespace: str) -> Claim:
        """The right to drive a run. Raises StoreError while another living process has it."""
        expires = self.now() + self.lease.total_seconds()

        def work(cursor: Cursor) -> tuple[int, int]:
            number, fence = undriven(cursor, name, namespace, self.now(), create=True)
            cursor.execute(sql.TAKE_RUN, (self.driver, expires, number, fence))
            if cursor.rowcount != 1:
                raise StoreError(f"run {name} was taken over by another process just now")
            return number, fence + 1

        number, fence = await self.write(work)
        return SqlClaim(self, number, fence, name)

    async def replace(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject) -> None:
        """Put a run in place of all that was recorded under its name."""
        run, rows = await self.put_away(run, nodes)

        def work(cursor: Cursor) -> None:
            undriven(cursor, run.name, run.namespace, self.now())
            number = put_run(cursor, run, manifest)
            cursor.execute("DELETE FROM nodes WHERE id BETWEEN ? AND ?", keys_of(number))
            save_nodes(cursor, number, rows)

        await self.write(work)

    async def delete(self, name: str, namespace: str) -> bool:
        """Forget a run with all that belongs to it; whether there was one."""

        def work(cursor: Cursor) -> RunRow | None:
            number, _ = undriven(cursor, name, namespace, self.now())
            cursor.execute("SELECT record FROM runs WHERE id = ?", (number,))
            found = cursor.fetchone()
            cursor.execute("DELETE FROM nodes WHERE id BETWEEN ? AND ?", keys_of(number))
            cursor.execute("DELETE FROM logs WHERE run = ?", (number,))
            cursor.execute("DELETE FROM orders WHERE namespace = ? AND name = ?", (namespace, name))
            for kind in sql.OF_A_RUN:
                cursor.execute("DELETE FROM documents WHERE kind = ? AND namespace = ? AND name = ?", (kind, namespace, name))
            cursor.execute("DELETE FROM runs WHERE id = ?", (number,))
            return load_run(_text(found[0])) if found is not None else None

        gone = await self.write(work)
        if gone is not None and self.offload is not None:
            await self.offload.forget(gone)
        return gone is not None

    async def move(self, name: str, to: str, run: RunRow, *, archived: bool) -> None:
        """Keep a run under another name, with ``run`` as its row, in the archive or in the live list."""

        def work(cursor: Cursor) -> None:
            number, _ = undriven(cursor, name, run.namespace, self.now())
            cursor.execute(sql.FIND_RUN, (run.namespace, to))
            if not number or cursor.fetchone() is not None:
                raise StoreError(f"there is a run {to} already" if number else f"run {name} was deleted just now")
            cursor.execute(sql.MOVE_RUN, (to, int(archived), int(not run.phase.completed), dump_run(run), number))
            for kind in sql.OF_A_RUN:
                cursor.execute(
                    "UPDATE documents SET name = ? WHERE kind = ? AND namespace = ? AND name = ?", (to, kind, run.namespace, name)
                )

        await self.write(work)

    # --- orders and logs ------------------------------------------------------------------------------------------------------------

    async def give_order(self, name: str, namespace: str, order: JsonObject) -> None:
        """Leave an order for whoever drives the run."""
        statement = "INSERT INTO orders (namespace, name, record) VALUES (?, ?, ?)"
        await self.write(lambda cursor: _execute(cursor, statement, (namespace, name, dump(order))))

    async def orders(self) -> list[StoredOrder]:
        """All orders that nobody has struck off yet, oldest first."""

        def work(cursor: Cursor) -> list[StoredOrder]:
            cursor.execute("SELECT id, name, namespace, record FROM orders ORDER BY id")
            return [StoredOrder(cast("int", row[0]), _text(row[1]), _text(row[2]), load(_text(row[3]))) for row in cursor.fetchall()]

        return await self._read(work)

    async def strike_orders(self, ids: Sequence[int]) -> None:
        """These orders were carried out."""
        if ids:
            await self.write(lambda cursor: cursor.executemany("DELETE FROM orders WHERE id = ?", [(number,) for number in ids]))

    async def logs(self, name: str, namespace: str, *, node: NodeId | None = None, after: int = 0) -> list[StoredLine]:
        """Output that was kept of a run (of one node), from behind ``after`` on; at most 10,000 pieces at once."""
        statement = sql.FIND_LOGS

        def work(cursor: Cursor) -> list[StoredLine]:
            cursor.execute(statement, (namespace, name, after, node or "", node or ""))
            return [_line(row) for row in cursor.fetchall()]

        return await self._read(work)

    # --- documents ------------------------------------------------------------------------------------------------------------------

    async def put_document(self, kind: str, name: str, namespace: str, document: JsonObject) -> None:
        """Keep a shared document."""
        await self.write(lambda cursor: _execute(cursor, sql.PUT_DOCUMENT, (kind, namespace, name, dump(document))))

    async def documents(self, kind: str | None = None, *, name: str | None = None, namespace: str | None = None) -> list[JsonObject]:
        """The shared documents, by kind, namespace and name."""
        statement, values = "SELECT record FROM documents WHERE 1 = 1", cast("list[object]", [])
        for column, value in (("kind", kind), ("name", name), ("namespace", namespace)):
            if value is not None:
                statement, values = f"{statement} AND {column} = ?", [*values, value]

        def work(cursor: Cursor) -> list[JsonObject]:
            cursor.execute(f"{statement} ORDER BY kind, namespace, name", values)
            return [load(_text(row[0])) for row in cursor.fetchall()]

        return await self._read(work)

    async def delete_document(self, kind: str, name: str, namespace: str) -> bool:
        """Forget a shared document; whether there was one."""
        statement = "DELETE FROM documents WHERE kind = ? AND namespace = ? AND name = ?"
        return await self.write(lambda cursor: _execute(cursor, statement, (kind, namespace, name))) > 0

    # --- what runs share ------------------------------------------------------------------------------------------------------------

    async def recall(self, cache: str, key: str, *, namespace: str, max_age: timedelta | None, now: datetime) -> CacheAnswer:
        """What is remembered under ``key``, unless it is older than ``max_age``; a hit is noted."""
        place = (namespace, cache, key)

        def work(cursor: Cursor) -> CacheAnswer:
            cursor.execute("SELECT outputs, created_at FROM memos WHERE namespace = ? AND cache = ? AND memo = ?", place)
            found = cursor.fetchone()
            if found is None or (max_age is not None and now - datetime.fromisoformat(_text(found[1])) > max_age):
                return CacheAnswer(False)
            cursor.execute("UPDATE memos SET last_hit_at = ? WHERE namespace = ? AND cache = ? AND memo = ?", (now.isoformat(), *place))
            return CacheAnswer(True, None if found[0] is None else load(_text(found[0])))

        return await self.write(work)

    async def remember(self, cache: str, key: str, *, namespace: str, node: NodeId, outputs: JsonObject | None, now: datetime) -> None:
        """Remember ``outputs``."""
        values = (namespace, cache, key, node, None if outputs is None else dump(outputs), now.isoformat())
        await self.write(lambda cursor: _execute(cursor, sql.PUT_MEMO, values))

    async def held_locks(self) -> list[tuple[str, str]]:
        """Every lock and who holds it, as they were last noted."""

        def work(cursor: Cursor) -> list[tuple[str, str]]:
            cursor.execute("SELECT lock, holder FROM locks ORDER BY lock, holder")
            return [(_text(row[0]), _text(row[1])) for row in cursor.fetchall()]

        return await self._read(work)

    def note_lock(self, lock: str, holder: str) -> None:
        """That ``holder`` holds ``lock`` is recorded with the next rows that are saved."""
        self._lock_changes.append((lock, holder))

    def note_release(self, holder: str) -> None:
        """That ``holder`` holds nothing any more is recorded with the next rows that are saved."""
        self._lock_changes.append(("", holder))

    def now(self) -> float:
        """The time in seconds, for leases."""
        return self.clock.now().timestamp()


def _line(row: Sequence[object]) -> StoredLine:
    stream: Literal["stdout", "stderr"] = "stderr" if row[3] == "stderr" else "stdout"
    at = datetime.fromisoformat(_text(row[4]))
    return StoredLine(cast("int", row[0]), Logged(NodeId(_text(row[1])), _text(row[2]), stream, _text(row[5]), at))


def _execute(cursor: Cursor, statement: str, values: Sequence[object]) -> int:
    cursor.execute(statement, values)
    return cursor.rowcount


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise StoreError(f"the store holds {type(value).__name__} where a text should be: the file may be damaged")
    return value
