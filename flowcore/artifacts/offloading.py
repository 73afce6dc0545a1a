"""Large texts of rows (results, output parameters, inputs made of them) kept in an artifact store: the rows refer to them.

Stores call this where they write and read rows, so nothing else knows of it. What is put away has a key made of its content below one of its run:
a text that goes through many nodes is kept once, writing it twice is harmless, and a run is forgotten with one deletion.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import anyio
from anyio import to_thread

from flowcore.errors import ArtifactError, FlowError, MissingArtifact, StoreError
from flowcore.jsontypes import Json, JsonObject, objects_of, text_of
from flowcore.nodes import Node, RunRow, changed
from flowcore.ports import ArtifactStore, StoredRun

DEFAULT_ABOVE = 256 << 10  # bytes: what Argo lets an output parameter hold at most
_REFERENCE = "flowcore.dev/offloaded"
_FIELDS = ("inputs", "outputs")
_AT_ONCE = 8
_HELD = 32 << 20  # bytes of texts that were read lately
_log = logging.getLogger("flowcore")
# What is done with a text that may be large, or with the reference to one, and where in its row it stands.
Swap: TypeAlias = Callable[[str, Json], Json]


class Offload:
    """Keeps texts of more than ``above`` bytes in ``artifacts``. Give it to a store: ``SqliteStore("runs.db", offload=Offload(artifacts))``.

    A run whose rows refer to something can be read only where the same artifacts can be reached.
    """

    def __init__(self, artifacts: ArtifactStore, above: int = DEFAULT_ABOVE) -> None:
        self.artifacts, self.above = artifacts, above
        self._lately: OrderedDict[str, str] = OrderedDict()
        self._lately_bytes = 0

    def __repr__(self) -> str:
        return f"Offload({self.artifacts!r}, above={self.above})"

    async def put_away(self, run: RunRow, nodes: Iterable[Node], saved: set[str] | None = None) -> tuple[RunRow, list[Node]]:
        """The rows with references in place of large texts, which are in the artifact store by then. Raises StoreError.

        ``saved`` are keys that need not be written again; new ones are added.
        """
        nodes = list(nodes)
        if not any(map(self._may_be_large, nodes)) and (run.outputs is None or not self._any_large(run.outputs)):
            return run, nodes
        folder, found = folder_of(run), dict[str, bytes]()

        def swap(_: str, value: Json) -> Json:
            data = self._large(value)
            if data is None:
                return value
            name = hashlib.sha256(data).hexdigest()
            found[f"{folder}/{name}"] = data
            return {_REFERENCE: name, "size": len(data)}

        rows = [_swapped_row(node, swap) if self._may_be_large(node) else node for node in nodes]
        if run.outputs is not None:
            run = replace(run, outputs=_swapped(run.outputs, "outputs", swap))
        saved = set() if saved is None else saved
        for key in found.keys() - saved:
            await self._save(run, key, found[key])
            saved.add(key)
        return run, rows

    async def fetched(self, stored: StoredRun) -> StoredRun:
        """A recorded run with its texts in place of the references. Raises StoreError for one that is not there or not as it was."""
        run, places = stored.run, dict[str, str]()

        def note(place: str, value: Json) -> Json:
            if (name := _referred(value)) is not None:
                places.setdefault(name, place)
            return value

        for node in stored.nodes:
            _swapped_row(node, note)
        _swapped(run.outputs or {}, "outputs", note)
        if not places:
            return stored
        texts = await self._load_all(run, places)

        def swap(_: str, value: Json) -> Json:
            name = _referred(value)
            return value if name is None else texts[name]

        outputs = None if run.outputs is None else _swapped(run.outputs, "outputs", swap)
        return StoredRun(replace(run, outputs=outputs), [_swapped_row(node, swap) for node in stored.nodes], stored.manifest)

    async def forget(self, run: RunRow) -> None:
        """Delete what was put away for a run. Artifacts that refuse keep nobody from forgetting the run; that is told in the log."""
        try:
            await self.artifacts.delete(folder_of(run))
        except FlowError as error:
            _log.warning("run %s: its large outputs in %r could not be deleted: %s", run.name, self.artifacts, error)

    # --- texts ----------------------------------------------------------------------------------------------------------------------

    def _large(self, value: Json) -> bytes | None:
        if not isinstance(value, str) or len(value) * 4 <= self.above:  # no letter takes more than four bytes
            return None
        data = value.encode("utf-8", "surrogatepass")
        return data if len(data) > self.above else None

    def _may_be_large(self, node: Node) -> bool:
        return (node.outputs is not None and self._any_large(node.outputs)) or (node.inputs is not None and self._any_large(node.inputs))

    def _any_large(self, holder: JsonObject) -> bool:
        """Whether it is worth while to look closely; asked for each row that is saved."""
        least = self.above // 4
        result, parameters, artifacts = holder.get("result"), holder.get("parameters"), holder.get("artifacts")
        if isinstance(result, str) and len(result) > least:
            return True
        for parameter in parameters if isinstance(parameters, list) else ():
            value = parameter.get("value") if isinstance(parameter, dict) else None
            if isinstance(value, str) and len(value) > least:
                return True
        return isinstance(artifacts, list) and any(isinstance(artifact, dict) and "raw" in artifact for artifact in artifacts)

    async def _save(self, run: RunRow, key: str, data: bytes) -> None:
        with tempfile.TemporaryDirectory(prefix="flowcore-") as folder:
            path = Path(folder, "text")
            try:
                await to_thread.run_sync(path.write_bytes, data)
                await self.artifacts.save(key, path)
            except (ArtifactError, OSError) as error:
                raise StoreError(f"run {run.name}: a large output could not be kept in {self.artifacts!r}: {error}") from error

    async def _load_all(self, run: RunRow, places: Mapping[str, str]) -> dict[str, str]:
        """The texts by the names that references have for them, several loaded at once."""
        texts: dict[str, str] = {}
        errors: list[StoreError] = []
        room = anyio.CapacityLimiter(_AT_ONCE)

        async def load(name: str, place: str) -> None:
            async with room:
                try:
                    texts[name] = await self._load(run, name, place)
                except StoreError as error:
                    errors.append(error)

        async with anyio.create_task_group() as tasks:
            for name, place in places.items():
                tasks.start_soon(load, name, place)
        if errors:
            raise errors[0]
        return texts

    async def _load(self, run: RunRow, name: str, place: str) -> str:
        key = f"{folder_of(run)}/{name}"
        if key in self._lately:
            self._lately.move_to_end(key)
            return self._lately[key]
        what = f"run {run.name}: {place} was put away in {self.artifacts!r} under the key {key}"
        with tempfile.TemporaryDirectory(prefix="flowcore-") as folder:
            path = Path(folder, "text")
            try:
                await self.artifacts.load(key, path)
                data = await to_thread.run_sync(path.read_bytes)
            except MissingArtifact:
                raise StoreError(f"{what} and is not there: put it back, or delete the run") from None
            except (ArtifactError, OSError) as error:
                raise StoreError(f"{what} and cannot be read: {error}") from error
        if hashlib.sha256(data).hexdigest() != name:
            raise StoreError(f"{what} and is damaged: put the right one in its place, or delete the run")
        text = data.decode("utf-8", "surrogatepass")
        self._hold(key, text)
        return text

    def _hold(self, key: str, text: str) -> None:
        """Remember a text for a while: whoever watches a run reads it again and again."""
        self._lately_bytes += len(text)
        self._lately[key] = text
        while self._lately_bytes > _HELD:
            self._lately_bytes -= len(self._lately.popitem(last=False)[1])


def folder_of(run: RunRow) -> str:
    """The beginning of the keys of what is put away for a run: its own, whatever a document says of names and ids."""
    return "offloaded/" + hashlib.sha256(f"{run.namespace}/{run.name}/{run.uid}".encode()).hexdigest()[:32]


def _referred(value: Json) -> str | None:
    """The name in a reference; None for anything else."""
    name = value.get(_REFERENCE) if isinstance(value, dict) else None
    return name if isinstance(name, str) and len(name) == 64 and name.isalnum() else None


def _swapped_row(node: Node, swap: Swap) -> Node:
    holders = {field: holder for field in _FIELDS if (holder := getattr(node, field)) is not None}
    return changed(node, **{field: _swapped(holder, f"{field} of node {node.name}", swap) for field, holder in holders.items()})


def _swapped(holder: JsonObject, of: str, swap: Swap) -> JsonObject:
    """Inputs or outputs with ``swap`` applied to every text in them that a workflow can make large."""
    made = dict(holder)
    if "result" in holder:
        made["result"] = swap(f"the result among the {of}", holder["result"])
    if holder.get("parameters"):
        made["parameters"] = _each(objects_of(holder, "parameters"), "value", "parameter", of, swap)
    if holder.get("artifacts"):
        made["artifacts"] = [_swapped_raw(artifact, of, swap) for artifact in objects_of(holder, "artifacts")]
    return made


def _each(items: Sequence[JsonObject], key: str, kind: str, of: str, swap: Swap) -> list[Json]:
    return [
        {**item, key: swap(f"the {kind} {text_of(item, 'name')!r} among the {of}", item[key])} if key in item else item for item in items
    ]


def _swapped_raw(artifact: JsonObject, of: str, swap: Swap) -> JsonObject:
    raw = artifact.get("raw")
    if not isinstance(raw, dict) or "data" not in raw:
        return artifact
    return {**artifact, "raw": {**raw, "data": swap(f"the artifact {text_of(artifact, 'name')!r} among the {of}", raw["data"])}}


__all__ = ["DEFAULT_ABOVE", "Offload", "folder_of"]
