"""The Argo documents of a cluster as they come, change and go: CronWorkflows for a service to run, templates for its catalog to know.

``ClusterDocuments`` is run by ``ClusterCatalog.follow``. CronWorkflows are those that carry this user's instance label, as with Argo's controllers
of several instances, unless ``KubernetesOptions.cron_workflows`` says otherwise: nobody wants a run twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.ports import KeptDocuments
from flowcore_backends.kubernetes.api import MERGE_PATCH, Api, ApiError
from flowcore_backends.kubernetes.labels import selector
from flowcore_backends.kubernetes.list_watch import ListWatch
from flowcore_backends.kubernetes.options import KubernetesOptions

_log = logging.getLogger("flowcore.kubernetes")

ARGO = "apis/argoproj.io/v1alpha1"
_CRON, _TEMPLATE, _CLUSTER_TEMPLATE = "CronWorkflow", "WorkflowTemplate", "ClusterWorkflowTemplate"
_RESOURCES = {_CRON: "cronworkflows", _TEMPLATE: "workflowtemplates", _CLUSTER_TEMPLATE: "clusterworkflowtemplates"}
_FOR_GOOD = frozenset({401, 403, 404})
_SECONDS_UNTIL_ASKED_AGAIN = 60.0  # where a right, or Argo's definitions, are missing

Key: TypeAlias = tuple[str, str]  # namespace and name
# What is told of a document: kind, namespace, name, and the document while it is there.
Told: TypeAlias = "Callable[[str, str, str, JsonObject | None], None]"


class ObjectWatch(ListWatch):
    """Tells ``changed`` of each object that is there, changes or goes (None), and ``complete`` of all that are there after a list."""

    def __init__(
        self,
        api: Api,
        path: str,
        selected: str,
        changed: Callable[[Key, JsonObject | None], None],
        complete: Callable[[set[Key]], None] | None = None,
    ) -> None:
        super().__init__(api, path, selected)
        self._changed, self._complete = changed, complete
        self._present: set[Key] = set()
        self._missing: set[Key] = set()
        self.error: ApiError | None = None  # what made it impossible

    def listing(self) -> None:
        """A list begins."""
        self._missing = set(self._present)

    def show(self, found: JsonObject, *, gone: bool = False) -> None:
        """Tell of an object."""
        metadata = object_of(found, "metadata")
        key = (text_of(metadata, "namespace"), text_of(metadata, "name"))
        self._missing.discard(key)
        (self._present.discard if gone else self._present.add)(key)
        self._changed(key, None if gone else found)

    def listed(self) -> None:
        """Tell of what has gone since the last list."""
        for key in self._missing:
            self._present.discard(key)
            self._changed(key, None)
        self._missing = set()
        if self._complete is not None:
            self._complete(set(self._present))

    def impossible(self, error: Exception) -> bool:
        """Whether a right is missing, or there are no such objects in this cluster."""
        if isinstance(error, ApiError) and error.status in _FOR_GOOD and not error.passes:
            self.error, self._version = error, ""
            return True
        return False


class ClusterDocuments:
    """Keeps CronWorkflows of a cluster in ``kept``, and tells ``told`` of its templates."""

    def __init__(self, api: Api, options: KubernetesOptions, kept: KeptDocuments, told: Told) -> None:
        self._api, self._options, self._kept, self._told = api, options, kept, told
        self._crons: asyncio.Queue[tuple[Key, JsonObject | None] | set[Key]] = asyncio.Queue()
        self._shown: dict[Key, JsonObject] = {}  # the status that is in the cluster

    async def run(self) -> None:
        """Until cancelled. What cannot be watched is told in the log, and tried again now and then."""
        async with asyncio.TaskGroup() as tasks:
            for kind in (_TEMPLATE, _CLUSTER_TEMPLATE):
                tasks.create_task(self._watch(kind, ObjectWatch(self._api, self._path(kind), "", self._of(kind))))
            if self._options.cron_workflows != "none":
                selected = selector(self._options) if self._options.cron_workflows == "instance" else ""
                watch = ObjectWatch(self._api, self._path(_CRON), selected, self._of_cron, self._crons.put_nowait)
                tasks.create_task(self._watch(_CRON, watch))
                tasks.create_task(self._keep_crons())
                if self._options.write_back:
                    tasks.create_task(self._show_statuses())

    def _path(self, kind: str) -> str:
        namespace = self._options.namespace if kind != _CLUSTER_TEMPLATE else None
        return f"/{ARGO}/namespaces/{namespace}/{_RESOURCES[kind]}" if namespace else f"/{ARGO}/{_RESOURCES[kind]}"

    def _of(self, kind: str) -> Callable[[Key, JsonObject | None], None]:
        def changed(key: Key, found: JsonObject | None) -> None:
            self._told(kind, *key, {"kind": kind, **found} if found is not None else None)

        return changed

    def _of_cron(self, key: Key, found: JsonObject | None) -> None:
        self._crons.put_nowait((key, found))

    async def _watch(self, kind: str, watch: ObjectWatch) -> None:
        said = ""
        while True:
            await watch.run()
            if str(watch.error) != said:
                remedy = "" if self._options.namespace or kind == _CLUSTER_TEMPLATE else "; namespace= asks for those of one namespace only"
                _log.warning("%ss of the cluster are not watched: %s%s", kind, watch.error, remedy)
                said = str(watch.error)
            await asyncio.sleep(_SECONDS_UNTIL_ASKED_AGAIN)

    # --- CronWorkflows --------------------------------------------------------------------------------------------------------------

    async def _keep_crons(self) -> None:
        while True:
            change = await self._crons.get()
            if isinstance(change, set):
                await self._kept.keep_only(change)
                continue
            (namespace, name), found = change
            if found is None:
                self._shown.pop((namespace, name), None)
                await self._kept.remove(namespace, name)
            else:
                self._shown[(namespace, name)] = object_of(found, "status")
                await self._kept.put({"apiVersion": "argoproj.io/v1alpha1", **found, "kind": _CRON})

    async def _show_statuses(self) -> None:
        """Write into the cluster what became of the CronWorkflows."""
        while True:
            await asyncio.sleep(self._options.write_back_every.total_seconds())
            for document in await self._kept.documents():
                metadata, status = object_of(document, "metadata"), object_of(document, "status")
                key = (text_of(metadata, "namespace"), text_of(metadata, "name"))
                if status and key in self._shown and self._shown[key] != status:
                    await self._show(key, status)

    async def _show(self, key: Key, status: JsonObject) -> None:
        path = f"/{ARGO}/namespaces/{key[0]}/{_RESOURCES[_CRON]}/{key[1]}"
        try:
            await self._api.send("PATCH", path, body={"status": status}, content_type=MERGE_PATCH, patience=0)
        except ExecutorError as error:
            _log.warning("the status of CronWorkflow %s was not written back: %s", key[1], error)
        self._shown[key] = status


__all__ = ["ARGO", "ClusterDocuments", "Key", "ObjectWatch"]
