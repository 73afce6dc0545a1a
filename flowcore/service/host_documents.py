"""CronWorkflows of the service's host (a cluster), kept in its store for as long as the host has them, so that ``Schedules`` runs them as its own.

What became of them (``status``) is the store's: the host's counts only for one that is new here. A document that was put into the store by somebody
else under the same name stays what it is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

import anyio

from flowcore.errors import FlowError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.service.cron import COMPLETED_LABEL, LAST_USED

if TYPE_CHECKING:
    from flowcore.service.service import Service

HOST_UID = "flowcore.dev/host-uid"  # annotation: the document is the host's, and was made there under this uid
_KIND = "CronWorkflow"
_KEPT_ANNOTATIONS, _KEPT_LABELS = (LAST_USED,), (COMPLETED_LABEL,)
_SECONDS_UNTIL_TRIED_AGAIN = 30.0
_log = logging.getLogger("flowcore")


class HostDocuments:
    """The ``KeptDocuments`` of a service."""

    def __init__(self, service: Service) -> None:
        self._service, self._store = service, service.store

    async def run(self) -> None:
        """Follow the host until cancelled; returns at once where there is none."""
        while True:
            try:
                await self._service.catalog.follow(self)
                return
            except* FlowError as group:
                _log.error("the CronWorkflows of the host are not followed: %s", group.exceptions[0])
            await anyio.sleep(_SECONDS_UNTIL_TRIED_AGAIN)

    async def put(self, document: JsonObject) -> None:
        """There is such a document, or it has changed."""
        metadata = object_of(document, "metadata")
        namespace, name = text_of(metadata, "namespace") or "default", text_of(metadata, "name")
        found = await self._store.documents(_KIND, name=name, namespace=namespace)
        known = found[0] if found else None
        if known is not None and not _host_uid(known):
            _log.warning("CronWorkflow %s/%s of the host is not run: the store has one of that name of its own", namespace, name)
            return
        made = _merged(document, known)
        if made != known:
            await self._store.put_document(_KIND, name, namespace, made)
            self._service.schedules.changed()

    async def remove(self, namespace: str, name: str) -> None:
        """It is there no more; runs that it has begun go on."""
        found = await self._store.documents(_KIND, name=name, namespace=namespace)
        if found and _host_uid(found[0]):
            await self._store.delete_document(_KIND, name, namespace)
            self._service.schedules.changed()

    async def keep_only(self, present: Set[tuple[str, str]]) -> None:
        """These (namespace and name) are all that are there."""
        for document in await self.documents():
            metadata = object_of(document, "metadata")
            key = (text_of(metadata, "namespace"), text_of(metadata, "name"))
            if key not in present:
                await self.remove(*key)

    async def documents(self) -> Sequence[JsonObject]:
        """Those that are kept."""
        return [each for each in await self._store.documents(_KIND) if _host_uid(each)]


def _host_uid(document: JsonObject) -> str:
    return text_of(object_of(object_of(document, "metadata"), "annotations"), HOST_UID)


def _merged(document: JsonObject, known: JsonObject | None) -> JsonObject:
    """The host's document with what is known here of what became of it."""
    metadata = object_of(document, "metadata")
    uid = text_of(metadata, "uid") or "unknown"
    before = known if known is not None and _host_uid(known) == uid else {}
    noted = object_of(before, "metadata")
    annotations: JsonObject = {**object_of(metadata, "annotations"), HOST_UID: uid}
    annotations |= {key: value for key, value in object_of(noted, "annotations").items() if key in _KEPT_ANNOTATIONS}
    labels: JsonObject = {**object_of(metadata, "labels")}
    labels |= {key: value for key, value in object_of(noted, "labels").items() if key in _KEPT_LABELS}
    made: JsonObject = {
        "name": metadata.get("name"),
        "namespace": text_of(metadata, "namespace") or "default",
        "annotations": annotations,
        "labels": labels,
    }
    status = object_of(before, "status") or object_of(document, "status")
    return {**document, "metadata": made, "status": status}


__all__ = ["HOST_UID", "HostDocuments"]
