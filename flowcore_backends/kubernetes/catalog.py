"""``ClusterCatalog``: WorkflowTemplates, CronWorkflows, ConfigMaps and Secrets of a cluster, as the engine, ``flowcore run`` and services ask for them.

Catalogs answer at once, while requests take time: a thread of its own makes them, and whoever asks for something new waits for that thread.
What was read a moment ago is answered from memory; what was read a while ago is answered from memory and read again meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeAlias

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.ports import Catalog, KeptDocuments
from flowcore_backends.kubernetes.api import Api, ApiError, query_of
from flowcore_backends.kubernetes.api_thread import ApiThread
from flowcore_backends.kubernetes.documents import ARGO, ClusterDocuments
from flowcore_backends.kubernetes.options import KubernetesOptions

_log = logging.getLogger("flowcore.kubernetes")

_KINDS: dict[str, tuple[str, str, bool]] = {
    "WorkflowTemplate": (ARGO, "workflowtemplates", True),
    "ClusterWorkflowTemplate": (ARGO, "clusterworkflowtemplates", False),
    "CronWorkflow": (ARGO, "cronworkflows", True),
    "ConfigMap": ("api/v1", "configmaps", True),
    "Secret": ("api/v1", "secrets", True),
}
_PAGE = 500
_LEAST_PAUSE = 0.05  # seconds between two looks for changes
_WATCHED = math.inf  # the time of what is told of as it changes
_Key: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the API said of an object, and when."""

    manifest: JsonObject | None
    at: float
    asked_again: bool = False


class ClusterCatalog:
    """A ``Catalog`` that reads from a cluster what ``given`` does not have; the rights it needs are ``get`` on what workflows refer to.

    An object is taken as it is for ``fresh``; up to ``stale`` the known one is still answered while it is read again; after that the asker waits.
    What the rights do not allow to be read is taken for absent, with a warning that names the right. Raises ExecutorError when the API does
    not answer for ``patience``. Close it, or use it as a context manager; it opens again when it is asked again.
    """

    def __init__(
        self,
        options: KubernetesOptions | None = None,
        given: Catalog | None = None,
        *,
        fresh: timedelta = timedelta(seconds=5),
        stale: timedelta = timedelta(seconds=60),
        patience: timedelta = timedelta(seconds=20),
    ) -> None:
        self._options = replace(options or KubernetesOptions(), patience=patience)
        self._given = given
        self._fresh, self._stale, self._patience = fresh.total_seconds(), stale.total_seconds(), patience.total_seconds()
        self._known: dict[_Key, _Known] = {}
        self._lock = threading.Lock()
        self._thread: ApiThread | None = None
        self._listeners: list[tuple[asyncio.AbstractEventLoop, weakref.WeakMethod[Callable[[], None]]]] = []
        self._watches = False

    def get(self, kind: str, name: str, namespace: str | None = None) -> JsonObject | None:
        """The manifest of ``kind`` called ``name``, or None. Blocks for a request if it is not known."""
        found = self._given.get(kind, name, namespace) if self._given is not None else None
        if found is not None or kind not in _KINDS or not name:
            return found
        space = (self._options.namespace or namespace or "default") if _KINDS[kind][2] else ""
        key = (kind, space, name)
        known, age = self._known.get(key), float("inf")
        if known is not None:
            age = time.monotonic() - known.at
        if known is None or age > self._stale:
            return self._connected().call(lambda api: self._read(api, key))
        if age > self._fresh and not known.asked_again:
            self._known[key] = replace(known, asked_again=True)
            self._connected().begin(lambda api: self._read_again(api, key))
        return known.manifest

    def on_change(self, wake: Callable[[], None]) -> None:
        """Have the method ``wake`` called in this event loop when a ConfigMap that was asked for has changed, while its object lives."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # nobody here could wait for anything
        self._listeners.append((loop, weakref.WeakMethod(wake)))
        if not self._watches:
            self._watches = True
            self._connected().begin(self._look_for_changes)

    async def follow(self, kept: KeptDocuments) -> None:
        """Keep the cluster's CronWorkflows in ``kept`` while this lasts, and know its templates without asking. Until cancelled; needs asyncio."""
        try:
            async with Api(self._options) as api:
                await ClusterDocuments(api, self._options, kept, self._told).run()
        finally:
            for key, known in list(self._known.items()):
                if known.at == _WATCHED:
                    self._known[key] = replace(known, at=time.monotonic())

    def _told(self, kind: str, namespace: str, name: str, manifest: JsonObject | None) -> None:
        self._known[(kind, namespace, name)] = _Known(manifest, _WATCHED if manifest is not None else time.monotonic())

    def all(self, kind: str, namespace: str | None = None) -> list[JsonObject]:
        """All objects of a kind in a namespace, by name. Raises ExecutorError, also where the right to list them is missing."""
        return self._connected().call(lambda api: self._list(api, kind, self._options.namespace or namespace or "default"))

    def close(self) -> None:
        """End the thread and its connection."""
        with self._lock:
            thread, self._thread, self._watches = self._thread, None, False
        if thread is not None:
            thread.close()

    def __enter__(self) -> ClusterCatalog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connected(self) -> ApiThread:
        with self._lock:
            if self._thread is None:
                self._thread = ApiThread(self._options)
                weakref.finalize(self, self._thread.close)
            return self._thread

    # --- in the thread --------------------------------------------------------------------------------------------------------------

    async def _read(self, api: Api, key: _Key) -> JsonObject | None:
        kind, namespace, name = key
        manifest: JsonObject | None = None
        try:
            manifest = {"kind": kind, **await api.request("GET", f"{_path(kind, namespace)}/{name}", patience=self._patience)}
        except ApiError as error:
            if error.status == 403:
                _log.warning("%s %s is taken for absent: %s", kind, name, error)
            elif error.status != 404:
                raise
        self._known[key] = _Known(manifest, time.monotonic())
        return manifest

    async def _read_again(self, api: Api, key: _Key) -> None:
        try:
            await self._read(api, key)
        except ExecutorError as error:
            _log.info("%s %s could not be read again: %s", key[0], key[2], error)
            self._known[key] = replace(self._known[key], asked_again=False)

    async def _look_for_changes(self, api: Api) -> None:
        """Read the ConfigMaps that were asked for again and again, and tell of changes, while somebody listens."""
        while self._listeners:
            await asyncio.sleep(max(self._fresh, _LEAST_PAUSE))
            for key, before in list(self._known.items()):
                if key[0] == "ConfigMap":
                    await self._read_again(api, key)
                    if _version(self._known[key].manifest) != _version(before.manifest):
                        self._tell()
        self._watches = False

    def _tell(self) -> None:
        for listener in list(self._listeners):
            loop, method = listener
            wake = method()
            if wake is None or loop.is_closed():
                self._listeners.remove(listener)
            else:
                with suppress(RuntimeError):  # closed just now
                    loop.call_soon_threadsafe(wake)

    async def _list(self, api: Api, kind: str, namespace: str) -> list[JsonObject]:
        found: list[JsonObject] = []
        further = ""
        while True:
            query = query_of(limit=_PAGE, **{"continue": further or None})
            page = await api.request("GET", _path(kind, namespace), query=query, patience=self._patience)
            found += [{"apiVersion": page.get("apiVersion"), "kind": kind, **item} for item in objects_of(page, "items")]
            further = text_of(object_of(page, "metadata"), "continue")
            if not further:
                return found


def _version(manifest: JsonObject | None) -> str:
    return text_of(object_of(manifest or {}, "metadata"), "resourceVersion")


def _path(kind: str, namespace: str) -> str:
    root, resource, namespaced = _KINDS[kind]
    return f"/{root}/namespaces/{namespace}/{resource}" if namespaced else f"/{root}/{resource}"


__all__ = ["ClusterCatalog"]
