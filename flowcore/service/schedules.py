"""CronWorkflows by the service's clock: ``cron.py`` decides, here it is carried out and recorded."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING

from flowcore.errors import ExpressionError, FlowError, UsageError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.nodes import RunRow, WorkflowPhase
from flowcore.service import cron
from flowcore.service.submission import child_of
from flowcore.service.waiting import Rounds, membership

if TYPE_CHECKING:
    from flowcore.service.service import Service

_KIND = "CronWorkflow"
_LOOKED_EVERY = 5.0  # seconds, for schedules that another process changed
_log = logging.getLogger("flowcore")


class Schedules:
    """Runs the CronWorkflows of a service's store."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rounds = Rounds(service.clock, self._look, at_most=_LOOKED_EVERY)
        self._seen: dict[tuple[str, str], datetime] = {}

    def changed(self) -> None:
        """A CronWorkflow was made, changed or removed in this process."""
        self._rounds.look_now()

    async def run(self) -> None:
        """Submit runs as they fall due, until cancelled."""
        with membership(self._service.clock):
            for document in await self._service.store.documents(_KIND):
                await self._make_up_for_missed(document)
            await self._rounds.go()

    async def _look(self) -> datetime | None:
        documents = await self._service.store.documents(_KIND)
        there = {_key(document) for document in documents}
        self._seen = {key: at for key, at in self._seen.items() if key in there}
        times = [await self._tend(document) for document in documents]
        return min((at for at in times if at is not None), default=None)

    async def _make_up_for_missed(self, document: JsonObject) -> None:
        try:
            missed = cron.missed_time(document, self._service.clock.now())
            if missed is not None:
                await self.fire(document, missed)
        except FlowError as error:
            await self._refuse(document, "SpecError", str(error))

    async def _tend(self, document: JsonObject) -> datetime | None:
        """Submit what is due of one CronWorkflow; when it is due next."""
        key = _key(document)
        now = self._service.clock.now()
        since = self._seen.setdefault(key, now)
        try:
            due = cron.next_time(document, since)
            if due is not None and due <= now:
                self._seen[key] = due
                await self.fire(document, due)
                document = await self._current(document) or document
                due = cron.next_time(document, due)
            if due is None or due > now:
                self._seen[key] = now  # what a suspended, or another, schedule would have been due before counts no more
            return due
        except FlowError as error:
            await self._refuse(document, "SpecError", str(error))
            return None

    async def fire(self, document: JsonObject, due: datetime) -> None:
        """Submit the run that is due, if the CronWorkflow's policies let it."""
        document = await self._current(document) or document
        if object_of(document, "spec").get("suspend") is True or cron.is_stopped(document):
            return
        try:
            if cron.stops_now(document):
                await self._put(cron.stopped(document))
                return
            if not cron.evaluate_when(document) or not await self._concurrency_allows(document):
                return
        except (ExpressionError, UsageError) as error:
            await self._refuse(document, "SubmissionError", f"run policy error: {error}")
            return
        child = child_of(document, due)
        name = text_of(object_of(child, "metadata"), "name")
        namespace = text_of(object_of(document, "metadata"), "namespace") or "default"
        try:
            if await self._service.store.load(name, namespace) is not None:
                return
            row = await self._service.submit(child, namespace=namespace)
        except FlowError as error:
            await self._refuse(document, "SubmissionError", f"Failed to submit Workflow: {error}")
            return
        await self._put(cron.begun(await self._current(document) or document, name, row.uid, due))

    async def _concurrency_allows(self, document: JsonObject) -> bool:
        policy = text_of(object_of(document, "spec"), "concurrencyPolicy")
        active = cron.active_of(document)
        if policy not in ("", "Allow", "Forbid", "Replace"):
            raise UsageError(f"invalid ConcurrencyPolicy: {policy}")
        if policy == "Replace":
            for name in active:
                try:
                    await self._service.terminate(name, text_of(object_of(document, "metadata"), "namespace") or "default")
                except FlowError as error:
                    _log.warning("%s: %s", cron.name_of(document), error)
        return policy != "Forbid" or not active

    async def ended(self, run: RunRow) -> None:
        """A run has ended: count it, if a CronWorkflow made it, and forget runs that are too many."""
        name = (run.labels or {}).get(cron.CRON_LABEL)
        if not name:
            return
        found = await self._service.store.documents(_KIND, name=name, namespace=run.namespace)
        if found and run.name in cron.active_of(found[0]):
            await self._put(cron.ended(found[0], run.name, run.phase))
        if found:
            await self._forget_history(found[0], run.namespace)

    async def _forget_history(self, document: JsonObject, namespace: str) -> None:
        name = cron.name_of(document)
        made = [each.run for each in await self._service.store.runs(namespace, prefix=f"{name}-")]
        made = [run for run in made if (run.labels or {}).get(cron.CRON_LABEL) == name and run.phase.completed]
        made.sort(key=lambda run: str(run.finished_at), reverse=True)
        succeeded, failed = cron.history_limits(document)
        old = [run for run in made if run.phase is WorkflowPhase.SUCCEEDED][succeeded:]
        old += [run for run in made if run.phase is not WorkflowPhase.SUCCEEDED][failed:]
        for run in old:
            try:
                await self._service.retire(run)
            except FlowError as error:
                _log.warning("%s: %s", run.name, error)

    async def _current(self, document: JsonObject) -> JsonObject | None:
        metadata = object_of(document, "metadata")
        found = await self._service.store.documents(_KIND, name=cron.name_of(document), namespace=text_of(metadata, "namespace"))
        return found[0] if found else None

    async def _put(self, document: JsonObject) -> None:
        metadata = object_of(document, "metadata")
        await self._service.store.put_document(_KIND, cron.name_of(document), text_of(metadata, "namespace"), document)

    async def _refuse(self, document: JsonObject, kind: str, message: str) -> None:
        _log.warning("CronWorkflow %s: %s", cron.name_of(document), message)
        await self._put(cron.refused(await self._current(document) or document, kind, message))


def _key(document: JsonObject) -> tuple[str, str]:
    return text_of(object_of(document, "metadata"), "namespace"), cron.name_of(document)


__all__ = ["Schedules"]
