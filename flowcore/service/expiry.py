"""Time to live: ended runs are deleted, or archived, when their ``ttlStrategy`` says so; archived ones when the archive's own time is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from flowcore.durable import archive_key
from flowcore.errors import FlowError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.nodes import RunRow, WorkflowPhase
from flowcore.service.waiting import Rounds, membership

if TYPE_CHECKING:
    from flowcore.service.service import Service


def expires_at(run: RunRow, spec: JsonObject) -> datetime | None:
    """When an ended run is deleted; only ``Failed`` counts as failure, an error is just an end."""
    strategy = object_of(spec, "ttlStrategy")
    seconds = strategy.get("secondsAfterCompletion")
    if run.phase is WorkflowPhase.SUCCEEDED and strategy.get("secondsAfterSuccess") is not None:
        seconds = strategy["secondsAfterSuccess"]
    if run.phase is WorkflowPhase.FAILED and strategy.get("secondsAfterFailure") is not None:
        seconds = strategy["secondsAfterFailure"]
    if not isinstance(seconds, int) or run.finished_at is None:
        return None
    return run.finished_at + timedelta(seconds=seconds)


class Expiry:
    """Deletes what has expired. When that is, is recorded, so that a later service does it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rounds = Rounds(service.clock, self._look)

    async def ended(self, run: RunRow, spec: JsonObject) -> None:
        """A run has ended."""
        at = expires_at(run, spec)
        if at is not None:
            record: JsonObject = {"name": run.name, "namespace": run.namespace, "at": at.isoformat()}
            await self._service.store.put_document("RunExpiry", run.name, run.namespace, record)
            self._rounds.look_now()

    async def archived(self, run: RunRow) -> None:
        """A run has gone into the archive."""
        if self._service.archive_ttl is not None:
            at = self._service.clock.now() + self._service.archive_ttl
            record: JsonObject = {"name": run.name, "namespace": run.namespace, "at": at.isoformat(), "archived": run.uid}
            await self._service.store.put_document("RunExpiry", archive_key(run), run.namespace, record)
            self._rounds.look_now()

    async def run(self) -> None:
        """Delete runs as their time comes, until cancelled."""
        with membership(self._service.clock):
            await self._rounds.go()

    async def _look(self) -> datetime | None:
        service = self._service
        following: datetime | None = None
        for record in await service.store.documents("RunExpiry"):
            at = datetime.fromisoformat(cast("str", record["at"]))
            if at > service.clock.now():
                following = min(at, following or at)
            else:
                await self._delete(record)
        return following

    async def _delete(self, record: JsonObject) -> None:
        name, namespace = text_of(record, "name"), text_of(record, "namespace")
        key = name
        try:
            if "archived" in record:
                key = archive_key(RunRow(name=name, uid=text_of(record, "archived")))
                await self._service.delete(text_of(record, "archived") or name, namespace, archived=True)
            elif self._service.archives:
                await self._service.archive(name, namespace)
            else:
                await self._service.delete(name, namespace)
        except FlowError:  # somebody was quicker, or runs it again
            await self._service.store.delete_document("RunExpiry", key, namespace)


__all__ = ["Expiry", "expires_at"]
