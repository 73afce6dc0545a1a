"""A store and a cache in the memory of one process: what a run uses unless it is given something that lasts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, RunRow
from flowcore.ports import CacheAnswer, StoredRun


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
