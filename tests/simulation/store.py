"""A ``RunStore`` in memory, which can be told to fail: what simulations use, because a database would be most of their time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flowcore.durable import StoredLine, StoredOrder, StoredSummary
from flowcore.errors import StoreError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, RunRow
from flowcore.ports import CacheAnswer, Logged, StoredRun
from flowcore.records import dump_node, dump_run, load_node, load_run

Key = tuple[str, str]
Fails = Callable[[int, int], str]


@dataclass
class _Run:
    """What is kept of one run: rows as texts, so that nothing is shared with the engine."""

    record: str = ""
    nodes: dict[NodeId, str] = field(default_factory=dict)
    manifest: JsonObject = field(default_factory=dict)
    fence: int = 0
    driver: int = 0


class SimulatedStore:
    """``fails(number, lived)`` says of a write, counted from 1 in all and in this life of its user, whether it fails ``before`` or ``after`` it was recorded."""

    def __init__(self, fails: Fails = lambda number, lived: "") -> None:
        self.fails = fails
        self.writes = self.lived = 0
        self.runs_: dict[Key, _Run] = {}
        self.memos: dict[tuple[str, str, str], tuple[JsonObject | None, datetime]] = {}
        self.docs: dict[tuple[str, str, str], JsonObject] = {}
        self.locks: set[tuple[str, str]] = set()
        self.noted: list[tuple[str, str]] = []
        self.orders_: list[StoredOrder] = []

    def _write(self, work: Callable[[], None]) -> None:
        """One transaction: all of ``work`` and what was noted of locks, or nothing."""
        self.writes += 1
        self.lived += 1
        failure = self.fails(self.writes, self.lived)
        if failure == "before":
            raise StoreError("the disk is full")
        noted, self.noted = self.noted, []
        for lock, holder in noted:
            if lock:
                self.locks.add((lock, holder))
            else:
                self.locks = {each for each in self.locks if each[1] != holder}
        work()
        if failure:
            raise StoreError("the connection is lost")

    def died(self) -> None:
        """The process that used the store is gone, and with it what it had not recorded."""
        self.noted, self.lived = [], 0
        for run in self.runs_.values():
            run.driver = 0

    def knows(self, node: NodeId) -> bool:
        """Whether a node was recorded."""
        return any(node in run.nodes for run in self.runs_.values())

    # --- Store ----------------------------------------------------------------------------------------------------------------------

    def put(self, run: RunRow, nodes: Sequence[Node], manifest: JsonObject | None) -> None:
        kept = self.runs_.setdefault((run.namespace, run.name), _Run())
        kept.record = dump_run(run)
        kept.nodes.update({node.id: dump_node(node) for node in nodes})
        if manifest is not None:
            kept.manifest = manifest
        if run.phase.completed:
            self.locks = {each for each in self.locks if each[1].split("/")[:2] != [run.namespace, run.name]}

    async def save(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject | None = None) -> None:
        rows = list(nodes)
        self._write(lambda: self.put(run, rows, manifest))

    async def load(self, name: str, namespace: str) -> StoredRun | None:
        kept = self.runs_.get((namespace, name))
        if kept is None or not kept.record:
            return None
        return StoredRun(load_run(kept.record), [load_node(text) for text in kept.nodes.values()], kept.manifest)

    async def claim(self, name: str, namespace: str) -> SimulatedClaim:
        kept = self.runs_.setdefault((namespace, name), _Run())
        if kept.driver:
            raise StoreError(f"run {name} is driven already")
        kept.fence += 1
        kept.driver = kept.fence
        return SimulatedClaim(self, kept, kept.fence)

    async def runs(
        self, namespace: str | None = None, *, unfinished: bool = False, prefix: str = "", archived: bool = False
    ) -> list[StoredSummary]:
        if archived:
            return []  # simulated runs are never put away
        named = any(name.startswith(prefix) for _, name in self.runs_)  # else it is the beginning of an id
        rows = [
            (load_run(kept.record), kept) for key, kept in self.runs_.items() if kept.record and (not named or key[1].startswith(prefix))
        ]
        found = [
            StoredSummary(row, str(kept.driver) if kept.driver else None)
            for row, kept in rows
            if (namespace is None or row.namespace == namespace)
            and not (unfinished and row.phase.completed)
            and (row.name.startswith(prefix) or row.uid.startswith(prefix))
        ]
        return found[::-1]

    async def replace(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject) -> None:
        rows = list(nodes)

        def work() -> None:
            self.runs_.setdefault((run.namespace, run.name), _Run()).nodes.clear()
            self.put(run, rows, manifest)

        self._write(work)

    async def delete(self, name: str, namespace: str) -> bool:
        return self.runs_.pop((namespace, name), None) is not None

    async def move(self, name: str, to: str, run: RunRow, *, archived: bool) -> None:
        raise StoreError("simulated runs are never put away")

    # --- the rest -------------------------------------------------------------------------------------------------------------------

    async def give_order(self, name: str, namespace: str, order: JsonObject) -> None:
        self.orders_.append(StoredOrder(len(self.orders_) + 1, name, namespace, order))

    async def orders(self) -> list[StoredOrder]:
        return list(self.orders_)

    async def strike_orders(self, ids: Sequence[int]) -> None:
        self.orders_ = [order for order in self.orders_ if order.id not in ids]

    async def logs(self, name: str, namespace: str, *, node: NodeId | None = None, after: int = 0) -> list[StoredLine]:
        return []

    async def put_document(self, kind: str, name: str, namespace: str, document: JsonObject) -> None:
        self.docs[kind, namespace, name] = document

    async def documents(self, kind: str | None = None, *, name: str | None = None, namespace: str | None = None) -> list[JsonObject]:
        wanted = (kind, namespace, name)
        return [doc for key, doc in sorted(self.docs.items()) if all(a is None or a == b for a, b in zip(wanted, key, strict=True))]

    async def delete_document(self, kind: str, name: str, namespace: str) -> bool:
        return self.docs.pop((kind, namespace, name), None) is not None

    async def recall(self, cache: str, key: str, *, namespace: str, max_age: timedelta | None, now: datetime) -> CacheAnswer:
        found = self.memos.get((namespace, cache, key))
        if found is None or (max_age is not None and now - found[1] > max_age):
            return CacheAnswer(False)
        return CacheAnswer(True, found[0])

    async def remember(self, cache: str, key: str, *, namespace: str, node: NodeId, outputs: JsonObject | None, now: datetime) -> None:
        self._write(lambda: self.memos.update({(namespace, cache, key): (outputs, now)}))

    async def held_locks(self) -> list[tuple[str, str]]:
        return sorted(self.locks)

    def note_lock(self, lock: str, holder: str) -> None:
        self.noted.append((lock, holder))

    def note_release(self, holder: str) -> None:
        self.noted.append(("", holder))

    async def close(self) -> None:
        """Nothing is open."""


class SimulatedClaim:
    """The right to drive a run of a simulated store."""

    def __init__(self, store: SimulatedStore, run: _Run, fence: int) -> None:
        self._store, self._run, self._fence = store, run, fence

    async def save(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject | None = None) -> None:
        if self._run.driver != self._fence:
            raise StoreError("driven by somebody else")
        await self._store.save(run, nodes, manifest)

    async def load(self, name: str, namespace: str) -> StoredRun | None:
        return await self._store.load(name, namespace)

    async def renew(self) -> None:
        """Leases do not end here."""

    async def append_logs(self, lines: Sequence[Logged]) -> None:
        """Output is not kept."""

    async def give_back(self) -> None:
        if self._run.driver == self._fence:
            self._run.driver = 0
        if self._store.noted:  # as a store does with its next transaction
            self._store._write(lambda: None)
