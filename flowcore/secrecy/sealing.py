"""Rows without sensitive values: what stores get, where the values are kept meanwhile, and how both come together again.

Values of Secrets come from the catalog each time. Values of sensitive parameters are kept in a file of the user's state folder that only the user
can read; a store, which others may read, gets marks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from anyio import to_thread

from flowcore.errors import StoreError, UsageError
from flowcore.jsontypes import Json, JsonObject
from flowcore.nodes import Node, NodeId, RunRow
from flowcore.ports import Cache, CacheAnswer, Catalog, Store, StoredRun
from flowcore.records import dump
from flowcore.secrecy.mask import Mask, marks_in, names_of
from flowcore.secrecy.references import learn_secret, learn_secrets
from flowcore.stores import state_folder

Values = list[tuple[str, str]]


class Vault:
    """The values of sensitive parameters of one run, in a file that only its user can read: one mark and its value a line."""

    def __init__(self, run: RunRow) -> None:
        self._path = state_folder() / "sensitive" / f"{run.uid or f'{run.namespace}-{run.name}'}.jsonl"

    async def keep(self, values: Values) -> None:
        """Add values. Raises StoreError if they cannot be kept."""
        if values:
            await to_thread.run_sync(self._append, values)

    async def values(self) -> Values:
        """All that was kept. Raises StoreError for a file that cannot be read."""
        return await to_thread.run_sync(self._read)

    async def forget(self) -> None:
        """Remove the file."""
        await to_thread.run_sync(lambda: self._path.unlink(missing_ok=True))

    def _append(self, values: Values) -> None:
        text = "".join(json.dumps(each) + "\n" for each in values)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
                file.write(text)
        except OSError as error:
            raise StoreError(f"sensitive parameters cannot be kept in {self._path}: {error.strerror or error}") from error

    def _read(self) -> Values:
        try:
            lines = self._path.read_text().splitlines()
            return [(str(mark), str(value)) for mark, value in map(json.loads, lines)]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise StoreError(f"sensitive parameters cannot be read from {self._path}: {error}") from error


class SealedStore:
    """A store that is given no sensitive value: rows are masked on their way, and the values go to the vault first."""

    def __init__(self, store: Store, mask: Mask, vault: Vault) -> None:
        self._store, self._mask, self._vault = store, mask, vault

    async def save(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject | None = None) -> None:
        """Record the run's row and the changed nodes in one transaction."""
        mask = self._mask
        if mask:
            nodes = list(nodes)
            mask.learn_named(manifest)
            mask.learn_rows(run, nodes)
            await self._vault.keep(mask.fresh())
            run, nodes, manifest = mask.run(run), [mask.row(node) for node in nodes], mask.json(manifest)
        await self._store.save(run, nodes, manifest)

    async def load(self, name: str, namespace: str) -> StoredRun | None:
        """All that was recorded of a run, marks and all."""
        return await self._store.load(name, namespace)


class SealedCache:
    """A cache that neither keeps nor looks for anything with a sensitive value in it: other runs could not put it back."""

    def __init__(self, cache: Cache, mask: Mask) -> None:
        self._cache, self._mask = cache, mask

    async def recall(self, cache: str, key: str, *, namespace: str, max_age: timedelta | None, now: datetime) -> CacheAnswer:
        """What is remembered under ``key``."""
        if self._mask.text(key) != key:
            return CacheAnswer(False)
        return await self._cache.recall(cache, key, namespace=namespace, max_age=max_age, now=now)

    async def remember(self, cache: str, key: str, *, namespace: str, node: NodeId, outputs: JsonObject | None, now: datetime) -> None:
        """Remember ``outputs``, if they may be seen."""
        self._mask.learn_named(outputs)
        if self._mask.text(key) == key and self._mask.json(outputs) == outputs:
            await self._cache.remember(cache, key, namespace=namespace, node=node, outputs=outputs, now=now)


async def sealed_run(stored: StoredRun, templates: JsonObject) -> tuple[StoredRun, JsonObject]:
    """A run that is put into a store without being driven, and its templates, as the store may have them; the values go to the run's vault."""
    names = names_of(stored.manifest, stored.run.annotations)
    if not names:
        return stored, templates
    mask, vault = Mask(names), Vault(stored.run)
    mask.remember(await vault.values())
    mask.learn_named(templates)
    mask.learn_named(stored.manifest)
    mask.learn_rows(stored.run, stored.nodes)
    await vault.keep(mask.fresh())
    rows = [mask.row(node) for node in stored.nodes]
    return StoredRun(mask.run(stored.run), rows, mask.json(stored.manifest)), mask.json(templates)


async def with_values(run: RunRow, document: JsonObject) -> JsonObject:
    """A document made of a recorded run, with the sensitive parameters of that run in it that are kept here."""
    mask = Mask()
    mask.remember(await Vault(run).values())
    return mask.opened(document) if mask else document


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A recorded run with its sensitive values in their places, the templates of its submission, and the mask that knows the values."""

    stored: StoredRun
    templates: JsonObject | None
    mask: Mask


async def opened_run(
    stored: StoredRun, templates: JsonObject | None, catalog: Catalog, supplied: Mapping[str, str] | None = None
) -> OpenedRun:
    """Put back what ``sealed_run`` and ``SealedStore`` left out; ``supplied`` are sensitive parameters that are given anew.

    Raises UsageError for values that are not here: the run was submitted by another user or on another machine, or a Secret is gone.
    """
    names = names_of(stored.manifest, stored.run.annotations)
    if not names and "ecret" not in dump(stored.manifest) and "ecret" not in dump(templates or {}):
        return OpenedRun(stored, templates, Mask())
    mask = Mask(names)
    mask.remember(await Vault(stored.run).values())
    if supplied:
        mask.remember((f"***sensitive:{name}***", value) for name, value in supplied.items() if name in names)
    namespace = stored.run.namespace
    for whole in (stored.manifest, templates or {}):
        learn_secrets(mask, whole, catalog, namespace)
    for name in {name for kind, name in _marks(stored, templates) if kind == "secret"}:
        secret, _, key = name.partition("|")[0].partition("#")[0].partition("/")
        learn_secret(mask, secret, key, catalog, namespace)
    run = mask.opened_run(stored.run)
    nodes = [mask.opened_row(node) for node in stored.nodes]
    opened = OpenedRun(StoredRun(run, nodes, mask.opened(stored.manifest)), mask.opened(templates), mask)
    _refuse_missing(opened)
    return opened


def _marks(stored: StoredRun, templates: JsonObject | None) -> set[tuple[str, str]]:
    """Every mark in a recorded run."""
    found: set[tuple[str, str]] = set()
    parts: list[Json] = [stored.manifest, templates or {}, stored.run.message, stored.run.outputs]
    for node in stored.nodes:
        parts += [node.name, node.message, node.inputs, node.outputs, node.memoization]
    for part in parts:
        found.update(marks_in(part))
    return found


def _refuse_missing(opened: OpenedRun) -> None:
    missing = sorted({(kind, name.partition("|")[0]) for kind, name in _marks(opened.stored, opened.templates)})
    if not missing:
        return
    kind, name = missing[0]
    run = opened.stored.run.name
    if kind == "secret":
        secret, _, key = name.partition("/")
        raise UsageError(f"run {run}: the Secret {secret} with key {key} is not in the catalog: give the file it is in (--resource)")
    first = name.partition("#")[0]
    raise UsageError(
        f"run {run}: the value of the sensitive parameter {name} is not kept here: flowcore run --continue {run} -p {first}=VALUE gives it again"
    )


__all__ = ["OpenedRun", "SealedCache", "SealedStore", "Vault", "opened_run", "sealed_run", "with_values"]
