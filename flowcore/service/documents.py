"""Shared documents of a store as a catalog: templates, ConfigMaps and Secrets that many processes use."""

from __future__ import annotations

from collections.abc import Callable

from flowcore.catalogs import MemoryCatalog
from flowcore.durable import RunStore
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.ports import Catalog, ChangingCatalog, FollowedCatalog, KeptDocuments

SHARED_KINDS = ("WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow", "WorkflowEventBinding", "ConfigMap", "Secret")
_CLUSTER = "ClusterWorkflowTemplate"


class StoreCatalog:
    """Answers from ``base`` first, then from what the store held when ``refresh`` was last called."""

    def __init__(self, store: RunStore, base: Catalog | None = None) -> None:
        self._store, self._base = store, base
        self._held = MemoryCatalog()

    async def refresh(self) -> None:
        """Read the shared documents anew."""
        held = MemoryCatalog()
        for kind in SHARED_KINDS:
            for document in await self._store.documents(kind):
                held.add(document)
        self._held = held

    def get(self, kind: str, name: str, namespace: str | None = None) -> JsonObject | None:
        """The manifest of ``kind`` called ``name``, or None."""
        found = self._base.get(kind, name, namespace) if self._base is not None else None
        return found if found is not None else self._held.get(kind, name, namespace)

    def on_change(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called when something of ``base`` that was asked for has changed, where it can tell."""
        if isinstance(self._base, ChangingCatalog):
            self._base.on_change(wake)

    async def follow(self, kept: KeptDocuments) -> None:
        """Keep ``kept`` as the host of ``base`` is, until cancelled; returns at once where there is none."""
        if isinstance(self._base, FollowedCatalog):
            await self._base.follow(kept)


async def put_shared(store: RunStore, document: JsonObject, namespace: str) -> str:
    """Keep a shared document in its own namespace, else in ``namespace``; its name."""
    kind, metadata = text_of(document, "kind"), object_of(document, "metadata")
    space = "" if kind == _CLUSTER else text_of(metadata, "namespace") or namespace
    placed: JsonObject = document if kind == _CLUSTER else {**document, "metadata": {**metadata, "namespace": space}}
    await store.put_document(kind, text_of(metadata, "name"), space, placed)
    return text_of(metadata, "name")


__all__ = ["SHARED_KINDS", "StoreCatalog", "put_shared"]
