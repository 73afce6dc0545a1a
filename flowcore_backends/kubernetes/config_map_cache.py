"""``ConfigMapCache``: remembered outputs in ConfigMaps, entry by entry as Argo keeps them, so that both read what either wrote.

Rules are those of Argo's ``configmap_cache.go``: a ConfigMap of the cache's name in the run's namespace, with the label that says what it is
for; each key holds JSON with the node, its outputs, and when it was made and last asked for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.nodes import NodeId
from flowcore.ports import CacheAnswer
from flowcore_backends.kubernetes.api import Api, ApiError

TYPE_LABEL, TYPE = "workflows.argoproj.io/configmap-type", "Cache"
_CONFLICTS = 5  # how often somebody else may have changed the ConfigMap in between
_REFUSAL = f"memoization configmap doesn't have label {TYPE_LABEL} = {TYPE}, refusing to use it"
_log = logging.getLogger("flowcore.kubernetes")

Connected: TypeAlias = Callable[[], AbstractAsyncContextManager[Api]]


class ConfigMapCache:
    """A ``Cache`` in the ConfigMaps of a cluster; ``connected`` gives the connection. Needs ``get``, ``create`` and ``update`` on configmaps."""

    def __init__(self, connected: Connected, namespace: str | None = None) -> None:
        self._connected, self._namespace = connected, namespace

    async def recall(self, cache: str, key: str, *, namespace: str, max_age: timedelta | None, now: datetime) -> CacheAnswer:
        """What is remembered under ``key``. What cannot be read is an error, which ends the node, as in Argo."""
        try:
            async with self._connected() as api:
                return await self._recall(api, self._path(namespace), cache, key, max_age, now)
        except ExecutorError as error:
            return CacheAnswer(False, error=str(error))

    async def remember(self, cache: str, key: str, *, namespace: str, node: NodeId, outputs: JsonObject | None, now: datetime) -> None:
        """Remember ``outputs``; what cannot be kept is logged, as the node has succeeded."""
        try:
            async with self._connected() as api:
                await self._remember(api, self._path(namespace), cache, key, _entry(node, outputs, now, now))
        except ExecutorError as error:
            _log.warning("the outputs of %s were not remembered in ConfigMap %s: %s", node, cache, error)

    def _path(self, namespace: str) -> str:
        return f"/api/v1/namespaces/{self._namespace or namespace}/configmaps"

    async def _recall(self, api: Api, path: str, cache: str, key: str, max_age: timedelta | None, now: datetime) -> CacheAnswer:
        for attempt in range(_CONFLICTS):
            found = await _config_map(api, path, cache)
            text = text_of(object_of(found or {}, "data"), key)
            if found is None or not text:
                return CacheAnswer(False)
            entry = _read(text)
            data: JsonObject = {**object_of(found, "data"), key: json.dumps({**entry, "lastHitTimestamp": _time_text(now)})}
            try:
                await api.request("PUT", f"{path}/{cache}", body={**found, "data": data})
            except ApiError as error:
                if error.reason == "Conflict" and attempt + 1 < _CONFLICTS:
                    continue
                raise
            made = _time(text_of(entry, "creationTimestamp"))
            hit = bool(entry.get("nodeID")) and (max_age is None or (made is not None and now - made <= max_age))
            outputs = entry.get("outputs")
            return CacheAnswer(hit, outputs if hit and isinstance(outputs, dict) else None)
        raise AssertionError  # the last attempt returns or raises

    async def _remember(self, api: Api, path: str, cache: str, key: str, entry: JsonObject) -> None:
        for attempt in range(_CONFLICTS):
            found = await _config_map(api, path, cache)
            try:
                if found is None:
                    metadata: JsonObject = {"name": cache, "labels": {TYPE_LABEL: TYPE}}
                    made: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: json.dumps(entry)}}
                    await api.request("POST", path, body=made)
                else:
                    data: JsonObject = {**object_of(found, "data"), key: json.dumps(entry)}
                    await api.request("PUT", f"{path}/{cache}", body={**found, "data": data})
                return
            except ApiError as error:
                if error.reason not in ("Conflict", "AlreadyExists") or attempt + 1 == _CONFLICTS:
                    raise


async def _config_map(api: Api, path: str, name: str) -> JsonObject | None:
    """The ConfigMap of a cache, or None. Raises ExecutorError for one that is for something else."""
    try:
        found = await api.request("GET", f"{path}/{name}")
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    if object_of(object_of(found, "metadata"), "labels").get(TYPE_LABEL) != TYPE:
        raise ExecutorError(f"{name}: {_REFUSAL}")
    return found


def _entry(node: NodeId, outputs: JsonObject | None, made: datetime, hit: datetime) -> JsonObject:
    return {"nodeID": node, "outputs": outputs, "creationTimestamp": _time_text(made), "lastHitTimestamp": _time_text(hit)}


def _read(text: str) -> JsonObject:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExecutorError(f"malformed cache entry: could not unmarshal JSON; unable to parse: {error}") from error
    if not isinstance(entry, dict):
        raise ExecutorError("malformed cache entry: it is no object")
    return entry


def _time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str) -> datetime | None:
    try:
        made = datetime.fromisoformat(text)
    except ValueError:
        return None
    return made if made.tzinfo is not None else made.replace(tzinfo=UTC)


__all__ = ["ConfigMapCache"]
