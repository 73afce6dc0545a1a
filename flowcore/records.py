"""Rows as JSON text and back: how stores write what the engine remembers. Every field that says something, none that does not.

Stores call this for each row that they save, a hundred thousand times in a large run, so it is written out by hand. A record that lacks a
field gives that field's default, and fields that are not known here are passed over: so older and newer versions read each other's rows.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import cast

from pydantic_core import PydanticSerializationError, to_json

from flowcore.errors import StoreError
from flowcore.jsontypes import Json, JsonObject
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, Shutdown, WorkflowPhase

_TEXTS = ("template_name", "template_scope", "message", "boundary", "owner", "pod_ip", "host_node_name", "progress", "waiting")
_LISTS = ("parents", "outbound")
_FLAGS = ("daemoned", "hooked", "retried")
_OBJECTS = ("template_ref", "inputs", "outputs", "memoization")
_TIMES = ("started_at", "finished_at", "wake_at")


def dump(value: object) -> str:
    """``value`` (JSON and times) as JSON text."""
    try:
        return to_json(value).decode()
    except (PydanticSerializationError, ValueError):  # half a surrogate pair, which only escapes can hold
        return json.dumps(value, default=_time_text)


def _time_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise StoreError(f"a row holds a value that cannot be written: {type(value).__name__}")


def load(text: str) -> JsonObject:
    """The object that ``text`` holds. Raises StoreError for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"a record of the store cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise StoreError(f"a record of the store holds no object but {text[:60]!r}")
    return value


def dump_node(node: Node) -> str:
    """The record of a node."""
    record: dict[str, object] = {
        "id": node.id,
        "name": node.name,
        "display_name": node.display_name,
        "type": node.type,
        "seq": node.seq,
        "phase": node.phase,
    }
    for field in _TEXTS:
        if value := getattr(node, field):
            record[field] = value
    if node.started_at is not None:
        record["started_at"] = node.started_at
    if node.finished_at is not None:
        record["finished_at"] = node.finished_at
    if node.wake_at is not None:
        record["wake_at"] = node.wake_at
    if node.parents:
        record["parents"] = node.parents
    if node.outbound:
        record["outbound"] = node.outbound
    for field in _OBJECTS:
        if (value := getattr(node, field)) is not None:
            record[field] = value
    for field in _FLAGS:
        if getattr(node, field):
            record[field] = True
    return dump(record)


def load_node(text: str) -> Node:
    """The node of a record. Raises StoreError."""
    record = load(text)
    try:
        known: dict[str, object] = {field: record[field] for field in (*_TEXTS, *_OBJECTS, *_FLAGS) if field in record}
        known |= {field: _time(record[field]) for field in _TIMES if field in record}
        known |= {field: tuple(cast("list[str]", record[field])) for field in _LISTS if field in record}
        return Node(
            id=NodeId(cast("str", record["id"])),
            name=cast("str", record["name"]),
            display_name=cast("str", record["display_name"]),
            type=NodeType(cast("str", record["type"])),
            seq=cast("int", record["seq"]),
            phase=Phase(cast("str", record["phase"])),
            **known,  # type: ignore[arg-type]  # the fields' types are those that dump_node wrote
        )
    except (KeyError, ValueError, TypeError) as error:
        raise StoreError(f"the record of a node cannot be read: {error!r}") from error


def dump_run(run: RunRow) -> str:
    """The record of a run's own row."""
    record: dict[str, object] = {}
    for field in RunRow.__dataclass_fields__:
        value = getattr(run, field)
        if value or field == "name":
            record[field] = value
    return dump(record)


def load_run(text: str) -> RunRow:
    """The run's row of a record. Raises StoreError."""
    record = load(text)
    try:
        known: dict[str, object] = {field: record[field] for field in RunRow.__dataclass_fields__ if field in record}
        known |= {field: _time(record[field]) for field in ("created_at", "started_at", "finished_at") if field in record}
        known["phase"] = WorkflowPhase(cast("str", record.get("phase", "")))
        known["shutdown"] = Shutdown(cast("str", record.get("shutdown", "")))
        known["conditions"] = tuple(cast("list[JsonObject]", record.get("conditions", ())))
        return RunRow(**known)  # type: ignore[arg-type]  # the fields' types are those that dump_run wrote
    except (KeyError, ValueError, TypeError) as error:
        raise StoreError(f"the record of a run cannot be read: {error!r}") from error


def _time(value: Json) -> datetime:
    return datetime.fromisoformat(cast("str", value))


__all__ = ["dump", "dump_node", "dump_run", "load", "load_node", "load_run"]
