"""``Service``: many runs in one process, by priority and within limits, with the locks and the cache that they share."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from flowcore import orders
from flowcore.clocks import RealClock, SharedVirtualClock
from flowcore.driving import Given, claimed, driven, recorded_engine, restore_locks, single_error, with_orders
from flowcore.durable import RunStore, outline
from flowcore.errors import FlowError, InvalidWorkflow, StoreError, UsageError
from flowcore.jsontypes import Json, JsonObject, object_of
from flowcore.keeping import carry_out
from flowcore.kept_templates import KeptTemplates
from flowcore.locks import MemoryLocks
from flowcore.nodes import RunRow, WorkflowPhase
from flowcore.observing import Metrics, RunLog
from flowcore.plan.plan import PlanOptions
from flowcore.ports import ArtifactStore, Cache, Catalog, Clock, Executor, StoredRun
from flowcore.runner import Observer, Run
from flowcore.secrecy import opened_run
from flowcore.selection import find_run
from flowcore.service.events import submissions
from flowcore.service.expiry import Expiry
from flowcore.service.host_documents import HostDocuments
from flowcore.service.routing import ChosenExecutors
from flowcore.service.runs import Runs
from flowcore.service.schedules import Schedules
from flowcore.service.waiting import membership

_LOOKED_EVERY = 0.5  # seconds between two looks into the store for what other processes left there
_log = logging.getLogger("flowcore")
Key = tuple[str, str]  # namespace and name


class Service(Runs):
    """Drives all unfinished runs of a store, those of before and those that are submitted later, here or by other processes.

    At most ``parallelism`` runs at once (``namespace_parallelism`` in each namespace); which comes first is a matter of ``spec.priority``, then
    of age; those that had begun before go on first. Mutexes and semaphores hold across runs, remembered outputs are in the store. Use it so::

        service = Service(store, LocalExecutor(), catalog)
        async with service.start():
            run = await service.submit("workflow.yaml")
            row = await service.wait(run.name)

    With ``archive`` a run that ``ttlStrategy`` or a history limit would delete goes into the archive, for ``archive_ttl`` or for good.
    ``metrics.text()`` is what Prometheus reads, ``observers`` (``flowcore.observing``) are told of all that happens in all runs.
    Several executors are given by name; templates choose by the annotation ``flowcore.dev/executor`` or by their kind, else the first runs them.
    Leaving the block looks away from what is under way; the next service takes it up.
    """

    def __init__(
        self,
        store: RunStore,
        executor: Executor | Mapping[str, Executor],
        catalog: Catalog | None = None,
        *,
        clock: Clock | None = None,
        artifacts: ArtifactStore | None = None,
        folder: Path | None = None,
        parallelism: int | None = None,
        namespace_parallelism: int | None = None,
        options: PlanOptions | None = None,
        observers: Sequence[Observer] = (),
        cache: Cache | None = None,
        seed: int | None = None,
        archive: bool = False,
        archive_ttl: timedelta | None = None,
    ) -> None:
        super().__init__(store, catalog, clock or RealClock(), options=options, seed=seed, artifacts=artifacts)
        self._executor = ChosenExecutors(executor) if isinstance(executor, Mapping) else executor
        self._artifacts, self._folder = artifacts, folder
        self._parallelism, self._namespace_parallelism = parallelism, namespace_parallelism
        self._locks = MemoryLocks(self.catalog, journal=store)
        self._waiting: dict[Key, tuple[bool, int, datetime, int]] = {}  # what comes first is begun first
        self._running: dict[Key, Run | None] = {}
        self._ends: dict[Key, anyio.Event] = {}
        self._given_up: set[Key] = set()
        self._tasks: TaskGroup | None = None
        self._arrivals = 0
        self.metrics = self._metrics()
        self._cache = cache
        self.archives, self.archive_ttl = archive or archive_ttl is not None, archive_ttl
        self._observers: Sequence[Observer] = (self.metrics, RunLog(), *observers)
        self.schedules = Schedules(self)
        self.expiry = Expiry(self)

    def _metrics(self) -> Metrics:
        metrics, locks = Metrics(self.clock), self._locks
        metrics.gauge("flowcore_runs_waiting", "Runs that wait for room.", lambda: len(self._waiting))
        metrics.gauge("flowcore_runs_given_up", "Runs that are not driven on; the log says why.", lambda: len(self._given_up))
        metrics.gauge("flowcore_locks_held", "Holders of mutexes and semaphores.", lambda: locks.counts()[0])
        metrics.gauge("flowcore_locks_waiting", "Holders that wait for mutexes and semaphores.", lambda: locks.counts()[1])
        return metrics

    # --- life -----------------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def start(self) -> AsyncIterator[Service]:
        """Take up every unfinished run, and work until the block is left."""
        await self.catalog.refresh()
        unfinished = [await outline(self.store, each.run.name, each.run.namespace) for each in await self.store.runs(unfinished=True)]
        stored = [each for each in unfinished if each is not None]
        await restore_locks(self._locks, self.store, stored)
        try:
            async with self._working(stored):
                yield self
        except BaseExceptionGroup as group:
            single = single_error(group)
            raise single from single.__cause__

    @asynccontextmanager
    async def _working(self, stored: Sequence[StoredRun]) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            if isinstance(self.clock, SharedVirtualClock):
                tasks.start_soon(self.clock.run)
            for each in sorted(stored, key=lambda each: (not each.run.phase, str(each.run.created_at))):  # what has begun goes on first
                self._enqueue(each)
            tasks.start_soon(self._look_around)
            tasks.start_soon(self.schedules.run)
            tasks.start_soon(self.expiry.run)
            tasks.start_soon(HostDocuments(self).run)
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def serve(self) -> None:
        """Work until cancelled."""
        async with self.start():
            await anyio.sleep_forever()

    async def _look_around(self) -> None:
        """Carry out orders that other processes left, and take up runs that they submitted."""
        done: list[int] = []
        while True:
            await anyio.sleep(_LOOKED_EVERY)
            try:
                done = await self._obey_orders(done)
                for each in await self.store.runs(unfinished=True):
                    key = (each.run.namespace, each.run.name)
                    if each.driver is None and key not in self._running and key not in self._waiting and key not in self._given_up:
                        await self._take_up(each.run)
            except StoreError as error:
                _log.error("the store cannot be read: %s", error)

    async def _obey_orders(self, done: list[int]) -> list[int]:
        """Give new orders to the runs that are driven here; ``done`` were given at the last look, and their rows are recorded by now."""
        given: list[int] = []
        for order in await self.store.orders():
            run = self._running.get((order.namespace, order.name))
            if run is not None and order.id not in done:
                await carry_out(run, order.order)
                given.append(order.id)
        await self.store.strike_orders(done)
        return given

    async def _there_is_work(self, run: RunRow) -> None:
        await self._take_up(run)

    async def _take_up(self, run: RunRow) -> None:
        stored = await outline(self.store, run.name, run.namespace)
        if stored is not None and not stored.run.phase.completed:
            self._enqueue(stored)

    # --- the queue ------------------------------------------------------------------------------------------------------------------

    def _enqueue(self, stored: StoredRun) -> None:
        run = stored.run
        key = (run.namespace, run.name)
        if key in self._running or self._tasks is None:
            return
        priority = object_of(stored.manifest, "spec").get("priority")
        self._arrivals += 1
        created = run.created_at or self.clock.now()
        self._given_up.discard(key)
        self._ends.setdefault(key, anyio.Event())
        self._waiting[key] = (not run.phase, -priority if isinstance(priority, int) else 0, created, self._arrivals)
        self._begin_what_fits()

    def _begin_what_fits(self) -> None:
        """Begin waiting runs, the most urgent first, as long as there is room."""
        if self._is_full():
            return
        by_namespace = Counter(namespace for namespace, _ in self._running)
        for key in sorted(self._waiting, key=lambda key: self._waiting[key]):
            if self._is_full():
                return
            if self._namespace_parallelism is not None and by_namespace[key[0]] >= self._namespace_parallelism:
                continue
            del self._waiting[key]
            by_namespace[key[0]] += 1
            self._running[key] = None
            if self._tasks is not None:
                self._tasks.start_soon(self._drive, key)

    def _is_full(self) -> bool:
        return self._parallelism is not None and len(self._running) >= self._parallelism

    async def _drive(self, key: Key) -> None:
        """Drive one run to its end; whatever happens to it happens to it alone."""
        namespace, name = key
        try:
            with membership(self.clock):
                await self._drive_claimed(key)
        except InvalidWorkflow as error:
            await self._refuse(key, str(error))
        except FlowError as error:
            self._given_up.add(key)
            _log.error("run %s/%s is not driven on: %s", namespace, name, error)
        except Exception:  # noqa: BLE001 - told with its traceback; other runs go on
            self._given_up.add(key)
            _log.exception("run %s/%s is not driven on", namespace, name)
        finally:
            self._running.pop(key, None)
            self._ends.pop(key, anyio.Event()).set()
            self._begin_what_fits()

    async def _drive_claimed(self, key: Key) -> None:
        namespace, name = key
        async with claimed(self.store, name, namespace) as (claim, stored):
            if stored is None or stored.run.phase.completed:
                return
            kept = await self.store.documents("RunTemplates", name=name, namespace=namespace)
            opened = await opened_run(stored, kept[0] if kept else None, self.catalog)
            catalog = KeptTemplates(self.catalog, opened.templates)
            given = Given(
                executor=self._executor,
                catalog=catalog,
                clock=self.clock,
                artifacts=self._artifacts,
                folder=self._folder / stored.run.uid if self._folder is not None else None,
                locks=self._locks,
                cache=self._cache,
                observers=self._observers,
                mask=opened.mask,
                take_orders=False,
            )
            engine = recorded_engine(await with_orders(self.store, opened.stored), catalog, self.options)
            async with driven(engine, given, self.store, claim) as run:
                self._running[key] = run
                result = await run.result()
        await self.schedules.ended(result.row)
        await self.expiry.ended(result.row, engine.plan.spec)

    async def _refuse(self, key: Key, message: str) -> None:
        """A run whose workflow cannot be read any more has ended in error."""
        namespace, name = key
        stored = await self.store.load(name, namespace)
        if stored is not None:
            row = replace(stored.run, phase=WorkflowPhase.ERROR, message=message, finished_at=self.clock.now())
            await self.store.replace(row, stored.nodes, stored.manifest)

    # --- what is done here at once rather than through the store --------------------------------------------------------------------

    async def order(self, text: str, order: JsonObject, namespace: str | None = None) -> RunRow:
        """Give an order to a run: at once if it is driven here, else through the store."""
        found = (await find_run(self.store, text, namespace)).run
        run = self._running.get((found.namespace, found.name))
        if run is None:
            return await super().order(text, order, namespace)
        await orders.obey(run, order)
        return run.row

    async def wait(self, text: str, namespace: str | None = None) -> RunRow:
        """Wait for the end of a run that this service drives, and return its row. Raises StoreError if it is driven no more before that."""
        found = (await find_run(self.store, text, namespace)).run
        key = (found.namespace, found.name)
        end = self._ends.get(key)
        if end is not None:
            await end.wait()
        row = (await self.get(found.name, found.namespace)).run
        if not row.phase.completed:
            raise StoreError(f"run {row.name} is not driven here: look into the log, and start the service again")
        return row

    async def delete(self, text: str, namespace: str | None = None, *, archived: bool = False) -> RunRow:
        """Forget a run; one that is driven here is terminated first."""
        if archived:
            return await super().delete(text, namespace, archived=True)
        found = (await find_run(self.store, text, namespace)).run
        key = (found.namespace, found.name)
        self._waiting.pop(key, None)
        run = self._running.get(key)
        if run is not None:
            if not run.phase.completed:
                await run.terminate()
            await self._ends[key].wait()
        return await super().delete(found.name, found.namespace)

    async def _let_go(self, run: RunRow) -> None:
        key = (run.namespace, run.name)
        driven_here = self._running.get(key)
        if driven_here is not None and driven_here.phase.completed:
            await self._ends[key].wait()

    async def _archived(self, run: RunRow) -> None:
        await self.expiry.archived(run)

    async def retire(self, run: RunRow) -> None:
        """A run that has just ended, or ended long ago, is too many: it is archived if this service has an archive, else forgotten."""
        if self.archives:
            await self._put_away(run)
        else:
            await super().delete(run.name, run.namespace)

    async def dispatch_event(
        self, payload: Json, *, namespace: str = "default", discriminator: str = "", metadata: Mapping[str, Json] | None = None
    ) -> list[RunRow]:
        """Submit what the WorkflowEventBindings of the store make of an event. Problems of single bindings are told in the log."""
        bindings = await self.store.documents("WorkflowEventBinding")
        rows: list[RunRow] = []
        for one in submissions(bindings, payload, namespace=namespace, discriminator=discriminator, metadata=metadata):
            try:
                if one.workflow is None:
                    raise UsageError(one.problem)
                rows.append(await self.submit(one.workflow))
            except FlowError as error:
                _log.warning("event binding %s: %s", one.binding, error)
        return rows


__all__ = ["Service"]
