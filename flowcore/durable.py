"""The port of stores that last: runs that outlive their process, one driver for each, and what runs share.

``flowcore.ports.Store`` keeps the rows of one run. A ``RunStore`` keeps many, says who drives which, and also holds logs, orders from other
processes, shared documents, remembered outputs and held locks. Stores are found by the entry points ``flowcore.stores``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, RunRow
from flowcore.ports import Cache, Logged, Store, StoredRun


@dataclass(frozen=True, slots=True)
class StoredSummary:
    """A run without its nodes: its row, who drives it (a text that names host and process) if somebody does, and whether it is archived."""

    run: RunRow
    driver: str | None = None
    archived: bool = False

    @property
    def key(self) -> str:
        """The name under which the store keeps the run: its own, which only one live run has, or one that also says its id."""
        return archive_key(self.run) if self.archived else self.run.name


def archive_key(run: RunRow) -> str:
    """The name under which a store keeps an archived run. No run is called so, for names have no such sign."""
    return f"{run.name}#{run.uid}"


@dataclass(frozen=True, slots=True)
class StoredOrder:
    """An order that some process left for whoever drives a run."""

    id: int
    name: str
    namespace: str
    order: JsonObject


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A piece of output with its place in the order of all output."""

    id: int
    logged: Logged


class Claim(Store, Protocol):
    """The right to drive one run. What it saves is refused (StoreError) as soon as another process has taken the run over."""

    async def renew(self) -> None:
        """Keep the right for another while; saving does so too. Raises StoreError when it is lost."""
        ...

    async def append_logs(self, lines: Sequence[Logged]) -> None:
        """Keep output of the run."""
        ...

    async def give_back(self) -> None:
        """Somebody else may drive the run now. Never raises for a right that was lost."""
        ...


@runtime_checkable
class RunStore(Store, Cache, Protocol):
    """A store of many runs. All methods raise StoreError when the store cannot do what it should; nothing is half done then."""

    async def claim(self, name: str, namespace: str) -> Claim:
        """The right to drive a run, new or known. Raises StoreError while another living process has it."""
        ...

    async def runs(
        self, namespace: str | None = None, *, unfinished: bool = False, prefix: str = "", archived: bool = False
    ) -> list[StoredSummary]:
        """All runs (of a namespace) of the live list or of the archive, newest first; only those whose name or uid begins with ``prefix``."""
        ...

    async def replace(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject) -> None:
        """Put a run in place of all that was recorded under its name. Raises StoreError while somebody drives it."""
        ...

    async def delete(self, name: str, namespace: str) -> bool:
        """Forget a run with all that belongs to it; whether there was one. Raises StoreError while somebody drives it."""
        ...

    async def move(self, name: str, to: str, run: RunRow, *, archived: bool) -> None:
        """Keep the run ``name`` as ``to`` with all that belongs to it, and ``run`` as its row; what is ``archived`` is in no list but the archive's.

        Raises StoreError while somebody drives it, and if there is a run ``to``.
        """
        ...

    async def give_order(self, name: str, namespace: str, order: JsonObject) -> None:
        """Leave an order for whoever drives the run."""
        ...

    async def orders(self) -> list[StoredOrder]:
        """All orders that nobody has struck off yet, oldest first."""
        ...

    async def strike_orders(self, ids: Sequence[int]) -> None:
        """These orders were carried out."""
        ...

    async def logs(self, name: str, namespace: str, *, node: NodeId | None = None, after: int = 0) -> list[StoredLine]:
        """Output that was kept of a run (of one node), from behind ``after`` on."""
        ...

    async def put_document(self, kind: str, name: str, namespace: str, document: JsonObject) -> None:
        """Keep a shared document, in place of one of the same kind, name and namespace."""
        ...

    async def documents(self, kind: str | None = None, *, name: str | None = None, namespace: str | None = None) -> list[JsonObject]:
        """The shared documents, by kind, namespace and name."""
        ...

    async def delete_document(self, kind: str, name: str, namespace: str) -> bool:
        """Forget a shared document; whether there was one."""
        ...

    async def held_locks(self) -> list[tuple[str, str]]:
        """Every lock and who holds it, as they were last noted."""
        ...

    def note_lock(self, lock: str, holder: str) -> None:
        """That ``holder`` holds ``lock`` is recorded with the next rows that are saved."""
        ...

    def note_release(self, holder: str) -> None:
        """That ``holder`` holds nothing any more is recorded with the next rows that are saved."""
        ...

    async def close(self) -> None:
        """Give up connections and files. A store that is used again opens again."""
        ...


@runtime_checkable
class OutliningStore(Protocol):
    """A store that can tell of a run without fetching what lies elsewhere."""

    async def outline(self, name: str, namespace: str) -> StoredRun | None:
        """All that was recorded of a run, with references in place of large outputs that are kept elsewhere."""
        ...


def run_store(store: Store | None) -> RunStore | None:
    """``store`` if it keeps many runs, None if it only keeps rows. Raises UsageError for one that lacks a part of a ``RunStore``."""
    if store is None or isinstance(store, RunStore):
        return store
    if hasattr(store, "claim"):
        missing = [name for name in dir(RunStore) if not name.startswith("_") and not hasattr(store, name)]
        raise UsageError(f"{type(store).__name__} is not a whole RunStore: it has no {', no '.join(missing)}")
    return None


async def outline(store: Store, name: str, namespace: str) -> StoredRun | None:
    """What ``store`` has of a run, for those who ask for phases, messages and artifacts: large outputs may be missing in it."""
    return await (store.outline(name, namespace) if isinstance(store, OutliningStore) else store.load(name, namespace))


__all__ = [
    "Claim",
    "OutliningStore",
    "RunStore",
    "StoredLine",
    "StoredOrder",
    "StoredRun",
    "StoredSummary",
    "archive_key",
    "outline",
    "run_store",
]
