"""Which store ``flowcore run`` records in, and what is kept beside a run so that ``--continue`` finds the same backend and documents."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from flowcore.catalogs import FolderCatalog
from flowcore.durable import RunStore, outline
from flowcore.errors import StoreError, UsageError
from flowcore.jsontypes import JsonObject, strings_of
from flowcore.nodes import RunRow
from flowcore.secrecy import Vault
from flowcore.stores import open_store

_KIND = "RunSettings"


async def usable_store(url: str | None, *, virtual: bool) -> RunStore | None:
    """The store to record in, or None: runs in virtual time are recorded only where a store is named, and ``none`` names none.

    A default store that cannot be used is told of, and the run goes on without; a named one that cannot be used raises StoreError.
    """
    if url == "none" or (url is None and virtual):
        return None
    store = open_store(url)
    try:
        await store.runs(prefix="-")
    except StoreError as error:
        if url is not None:
            raise
        sys.stderr.write(f"warning: this run is not recorded, and cannot be continued: {error}\n")
        return None
    return store


async def make_room(store: RunStore, name: str, namespace: str) -> None:
    """A run that has ended gives up its name to the next one. Raises UsageError for one that has not."""
    stored = await outline(store, name, namespace)
    if stored is None:
        return
    if not stored.run.phase.completed:
        raise UsageError(f"run {name} is recorded and has not ended: flowcore run --continue {name}, or flowcore delete {name}")
    await store.delete(name, namespace)
    await Vault(stored.run).forget()


def settings(backend: str, options: Sequence[str], templates: Sequence[Path], resources: Sequence[Path]) -> JsonObject:
    """What a run was started with, as it is kept beside it."""
    return {
        "backend": backend,
        "options": list(options),
        "templates": [str(path.resolve()) for path in templates],
        "resources": [str(path.resolve()) for path in resources],
    }


async def keep_settings(store: RunStore, name: str, namespace: str, kept: JsonObject) -> None:
    """Keep ``kept`` beside a run."""
    await store.put_document(_KIND, name, namespace, kept)


async def kept_settings(store: RunStore, name: str, namespace: str) -> JsonObject:
    """What was kept beside a run."""
    found = await store.documents(_KIND, name=name, namespace=namespace)
    return found[0] if found else {}


def paths_of(kept: JsonObject, key: str) -> list[Path]:
    """The files and folders that are kept under ``key`` and are still there."""
    return [path for path in (Path(text) for text in strings_of(kept, key)) if path.exists()]


async def catalog_of_run(store: RunStore, run: RunRow, more: Sequence[Path] = ()) -> FolderCatalog:
    """The templates and resources that ``run`` was started with, as far as their files are still there, and ``more`` of them."""
    kept = await kept_settings(store, run.name, run.namespace)
    return FolderCatalog([*paths_of(kept, "templates"), *paths_of(kept, "resources"), *more])


def backend_of(kept: JsonObject, chosen: str) -> str:
    """The backend to go on with: the one that is named now, else the one of before."""
    return chosen if chosen != "auto" else cast("str", kept.get("backend") or "auto")


__all__ = ["backend_of", "catalog_of_run", "keep_settings", "kept_settings", "make_room", "paths_of", "settings", "usable_store"]
