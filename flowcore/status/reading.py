"""Argo's JSON to rows: a Workflow object with its ``status``, from us, from ``kubectl get workflow -o json`` or from ``argo get -o json``.

What Argo leaves to be concluded is concluded here: ``parents`` from ``children``, the order of creation, and which node each one belongs to.
The document is a stranger's, so every field is checked and every problem told.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar, cast

from flowcore.errors import InvalidWorkflow, Problem
from flowcore.jsontypes import Json, JsonObject
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, Shutdown, WorkflowPhase
from flowcore.status.kinship import Kin, kinship_of
from flowcore.status.progress import reported
from flowcore.status.writing import DERIVED_CONDITIONS

_MAX_PROBLEMS = 20
_MAX_NODES = 1_000_000
_MAX_UNPACKED = 1 << 28

E = TypeVar("E", bound=StrEnum)


def rows_from_status(workflow: Mapping[str, Json]) -> tuple[RunRow, list[Node]]:
    """The rows of a Workflow object that has a ``status``: the run's own and one for each node, in order of creation.

    Whole seconds are all that such a document keeps of times, and timers (``wake_at``) are not in it: an engine that is opened on these
    rows sets them anew. Child ids without a node, which Argo sometimes stores, are dropped. Raises InvalidWorkflow with every problem.
    """
    reader = _Reader()
    status = reader.object(workflow, "status", "")
    run = _run_row(reader, workflow, status)
    entries = _entries(reader, status)
    reader.raise_problems()
    kin = kinship_of(entries)
    rows = [_node(reader, NodeId(key), entries[key], kin[key]) for key in kin]
    reader.raise_problems()
    return run, rows


class _Reader:
    """Reads fields of the right type, and gathers a problem for each that is not."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def wrong(self, path: str, message: str) -> None:
        if len(self.problems) < _MAX_PROBLEMS:
            self.problems.append(Problem(message, path=path, rule="status"))

    def raise_problems(self) -> None:
        if self.problems:
            raise InvalidWorkflow(self.problems)

    def object(self, holder: Mapping[str, Json], key: str, path: str) -> JsonObject:
        value = holder.get(key)
        if value is None:
            return {}
        if isinstance(value, dict):
            return value
        self.wrong(f"{path}{key}", "must be an object")
        return {}

    def text(self, holder: Mapping[str, Json], key: str, path: str) -> str:
        value = holder.get(key)
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        self.wrong(f"{path}{key}", "must be a string")
        return ""

    def texts(self, holder: Mapping[str, Json], key: str, path: str) -> list[str]:
        value = holder.get(key)
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return cast("list[str]", value)
        self.wrong(f"{path}{key}", "must be a list of strings")
        return []

    def time(self, holder: Mapping[str, Json], key: str, path: str) -> datetime | None:
        text = self.text(holder, key, path)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.wrong(f"{path}{key}", f"must be a time such as 2024-01-01T00:00:00Z, not {text[:40]!r}")
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def one_of(self, kind: type[E], holder: Mapping[str, Json], key: str, path: str, default: E) -> E:
        text = self.text(holder, key, path)
        try:
            return kind(text) if text else default
        except ValueError:
            self.wrong(f"{path}{key}", f"must be one of {', '.join(item for item in kind if item)}, not {text[:40]!r}")
            return default


def _run_row(reader: _Reader, workflow: Mapping[str, Json], status: JsonObject) -> RunRow:
    metadata = reader.object(workflow, "metadata", "")
    spec = reader.object(workflow, "spec", "")
    name = reader.text(metadata, "name", "metadata.")
    if not name:
        reader.wrong("metadata.name", "a workflow with a status needs its name")
    return RunRow(
        name=name,
        namespace=reader.text(metadata, "namespace", "metadata.") or "default",
        uid=reader.text(metadata, "uid", "metadata."),
        phase=reader.one_of(WorkflowPhase, status, "phase", "status.", WorkflowPhase.UNKNOWN),
        message=reader.text(status, "message", "status."),
        created_at=reader.time(metadata, "creationTimestamp", "metadata."),
        started_at=reader.time(status, "startedAt", "status."),
        finished_at=reader.time(status, "finishedAt", "status."),
        shutdown=reader.one_of(Shutdown, spec, "shutdown", "spec.", Shutdown.NONE),
        suspended=spec.get("suspend") is True,
        outputs=reader.object(status, "outputs", "status.") or None,
        labels=_texts_by_key(reader, metadata, "labels") or None,
        annotations=_texts_by_key(reader, metadata, "annotations") or None,
        conditions=_conditions(reader, status),
        synchronization=reader.object(status, "synchronization", "status.") or None,
    )


def _texts_by_key(reader: _Reader, metadata: JsonObject, key: str) -> dict[str, str]:
    given = reader.object(metadata, key, "metadata.")
    return {name: reader.text(given, name, f"metadata.{key}.") for name in given}


def _conditions(reader: _Reader, status: JsonObject) -> tuple[JsonObject, ...]:
    given = status.get("conditions") or []
    if not isinstance(given, list):
        reader.wrong("status.conditions", "must be a list")
        return ()
    kept = (condition for condition in given if isinstance(condition, dict) and condition.get("type") not in DERIVED_CONDITIONS)
    return tuple(kept)


def _entries(reader: _Reader, status: JsonObject) -> dict[str, JsonObject]:
    """The entries of ``status.nodes`` by id, unpacked where Argo packed them; one without a name goes by its id."""
    if status.get("offloadNodeStatusVersion"):
        reader.wrong(
            "status.offloadNodeStatusVersion", "the nodes of this workflow are in Argo's database; read it through `argo get -o json`"
        )
    nodes = _unpacked(reader, status) if status.get("compressedNodes") else reader.object(status, "nodes", "status.")
    if len(nodes) > _MAX_NODES:
        reader.wrong("status.nodes", f"has {len(nodes)} nodes, more than {_MAX_NODES}")
        return {}
    entries = {}
    for key, entry in nodes.items():
        if not isinstance(entry, dict):
            reader.wrong(f"status.nodes.{key}", "must be an object")
        else:
            entries[key] = {**entry, "name": reader.text(entry, "name", f"status.nodes.{key}.") or key}
    return entries


def _unpacked(reader: _Reader, status: JsonObject) -> JsonObject:
    try:
        packed = base64.b64decode(reader.text(status, "compressedNodes", "status."), validate=True)
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        text = unpacker.decompress(packed, _MAX_UNPACKED)
        nodes = None if unpacker.unconsumed_tail else json.loads(text)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        reader.wrong("status.compressedNodes", f"cannot be unpacked: {error}")
        return {}
    if not isinstance(nodes, dict):
        reader.wrong("status.compressedNodes", f"does not hold an object of at most {_MAX_UNPACKED >> 20} MiB")
        return {}
    return nodes


def _node(reader: _Reader, key: NodeId, entry: JsonObject, kin: Kin) -> Node:
    path = f"status.nodes.{key}."
    flag = reader.object(entry, "nodeFlag", path)
    node_type = reader.one_of(NodeType, entry, "type", path, NodeType.POD)
    phase = reader.one_of(Phase, entry, "phase", path, Phase.RUNNING if node_type.composite else Phase.PENDING)
    return Node(
        id=key,
        name=cast("str", entry["name"]),
        display_name=reader.text(entry, "displayName", path),
        type=node_type,
        seq=kin.seq,
        template_name=reader.text(entry, "templateName", path),
        template_ref=reader.object(entry, "templateRef", path) or None,
        template_scope=reader.text(entry, "templateScope", path),
        phase=phase,
        message=reader.text(entry, "message", path),
        boundary=NodeId(reader.text(entry, "boundaryID", path)) or None,
        owner=NodeId(kin.owner) if kin.owner else None,
        parents=tuple(NodeId(parent) for parent in kin.parents),
        outbound=tuple(NodeId(node) for node in reader.texts(entry, "outboundNodes", path)),
        started_at=reader.time(entry, "startedAt", path),
        finished_at=reader.time(entry, "finishedAt", path),
        inputs=reader.object(entry, "inputs", path) or None,
        outputs=reader.object(entry, "outputs", path) or None,
        daemoned=entry.get("daemoned") is True,
        hooked=flag.get("hooked") is True,
        retried=flag.get("retried") is True or (kin.attempt and "nodeFlag" not in entry),
        pod_ip=reader.text(entry, "podIP", path) or None,
        host_node_name=reader.text(entry, "hostNodeName", path) or None,
        progress=reported(node_type, phase, reader.text(entry, "progress", path)),
        waiting=reader.text(reader.object(entry, "synchronizationStatus", path), "waiting", path) or None,
        memoization=reader.object(entry, "memoizationStatus", path) or None,
    )


__all__ = ["rows_from_status"]
