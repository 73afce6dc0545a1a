"""From an engine to a run that is under way: claiming it in its store, giving it a world, driving it, and tidying up after it.

``open_run``, ``open_resumed`` and services share this; what differs is only where the engine's rows come from.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio

from flowcore import orders
from flowcore.artifacts import FolderArtifacts
from flowcore.artifacts.collection import Moment, collect
from flowcore.artifacts.repository import RepositoryArtifacts
from flowcore.durable import Claim, RunStore, run_store
from flowcore.engine.engine import Engine
from flowcore.errors import StoreError
from flowcore.jsontypes import strings_of
from flowcore.keeping import Keeper
from flowcore.kept_templates import KeptTemplates
from flowcore.locks import MemoryLocks
from flowcore.memory import MemoryCache, MemoryStore
from flowcore.nodes import NodeId, RunRow
from flowcore.observing.conditions import observers_of, with_findings
from flowcore.plan.plan import PlanOptions, compile_plan
from flowcore.plan.repository import repository_of
from flowcore.ports import ArtifactStore, Cache, Catalog, Clock, Executor, ForgettingExecutor, Locks, RunContext, Store, StoredRun
from flowcore.runner import Observer, Run, World
from flowcore.secrecy import Mask, SealedCache, SealedStore, Vault, learn_secrets
from flowcore.secrecy.mask import names_of
from flowcore.stores import state_folder

LEFT_PODS = "RunPods"  # the kind under which a store keeps the pods that a retry begins anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a run is given by its caller; None is made for the run alone."""

    executor: Executor
    catalog: Catalog
    clock: Clock
    artifacts: ArtifactStore | None = None
    folder: Path | None = None
    locks: Locks | None = None
    cache: Cache | None = None
    closed: bool = False
    observers: Sequence[Observer] = ()
    mask: Mask | None = None  # what must not be shown of a recorded run
    take_orders: bool = True  # look into the store for orders; a service does that for all its runs


@asynccontextmanager
async def claimed(store: Store | None, name: str, namespace: str) -> AsyncIterator[tuple[Claim | None, StoredRun | None]]:
    """The right to drive a run, if the store is one that gives rights, and what it has recorded of the run. Raises StoreError."""
    lasting = run_store(store)
    if lasting is None:
        yield None, None
        return
    claim = await lasting.claim(name, namespace)
    try:
        yield claim, await claim.load(name, namespace)
    finally:
        with anyio.CancelScope(shield=True):
            await claim.give_back()


def recorded_engine(stored: StoredRun, catalog: Catalog, options: PlanOptions | None = None) -> Engine:
    """The engine over the rows of a recorded run. What its workflow may say was seen to when it was submitted."""
    row = stored.run
    if options is not None and options.must_refer:
        options = replace(options, must_refer=False)
    plan = compile_plan(
        stored.manifest,
        catalog=catalog,
        name=row.name,
        namespace=row.namespace,
        uid=row.uid,
        created_at=row.created_at,
        options=options,
    )
    if stored.nodes or row.phase:
        return Engine(plan, stored.nodes, row)
    ordered = replace(plan.run, shutdown=row.shutdown or plan.run.shutdown, suspended=row.suspended or plan.run.suspended)
    return Engine(plan, (), ordered)


async def with_orders(store: RunStore, stored: StoredRun) -> StoredRun:
    """A run that is about to be driven on, as the orders that wait for it have it; whoever drives it strikes them off."""
    run = stored.run
    waiting = [each.order for each in await store.orders() if (each.name, each.namespace) == (run.name, run.namespace)]
    return replace(stored, run=orders.applied(run, waiting))


async def strike_all(store: RunStore, run: RunRow) -> None:
    """Orders to a run that has ended, or that begins anew, count no more."""
    found = [each.id for each in await store.orders() if (each.name, each.namespace) == (run.name, run.namespace)]
    await store.strike_orders(found)


async def restore_locks(locks: MemoryLocks, store: RunStore, runs: Iterable[StoredRun]) -> None:
    """Have ``runs``, which are about to be driven on, hold what they held. What belongs to nodes that have ended meanwhile is given back."""
    open_nodes = {
        f"{stored.run.namespace}/{stored.run.name}": {node.id for node in stored.nodes if not node.phase.fulfilled}
        for stored in runs
        if not stored.run.phase.completed
    }
    for lock, holder in await store.held_locks():
        namespace, name, *node = holder.split("/", 2)
        known = open_nodes.get(f"{namespace}/{name}")
        if known is None:
            continue
        if not node or NodeId(node[0]) in known:
            locks.restore([(lock, holder)])
        else:
            store.note_release(holder)


@asynccontextmanager
async def driven(engine: Engine, given: Given, store: Store | None, claim: Claim | None) -> AsyncIterator[Run]:
    """Drive the run beside the block, which gets it; leaving the block waits for its end. Raises StoreError when the store fails."""
    row = engine.run
    lasting = run_store(store)
    kept = given.catalog if isinstance(given.catalog, KeptTemplates) else KeptTemplates(given.catalog)
    mask = _mask_for(engine, given)
    keeper = Keeper(lasting, claim, kept, row, mask) if lasting is not None and claim is not None else None
    scratch = _scratch(given) if lasting is None else None
    world = _world_for(engine, given, mask, lasting=lasting, recorder=claim or store, keeper=keeper, scratch=scratch)
    handle = Run(engine, world)
    await _forget_pods(lasting, given.executor, world.context)
    try:
        async with anyio.create_task_group() as beside:
            if keeper is not None:
                await keeper.keep_templates()
                beside.start_soon(partial(keeper.watch, handle, take_orders=given.take_orders))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(handle.drive)
                yield handle
                await handle.result()
            if handle.phase.completed:
                await _collect_artifacts(engine, handle, world)
            beside.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        single = single_error(group)
        raise single from single.__cause__
    finally:
        with anyio.CancelScope(shield=True):
            await _tidy_up(handle, world.locks, keeper, lasting, scratch)


def _world_for(
    engine: Engine,
    given: Given,
    mask: Mask,
    *,
    lasting: RunStore | None,
    recorder: Store | None,
    keeper: Keeper | None,
    scratch: Path | None,
) -> World:
    """All that a run uses of the world: what was given, else what is made for the run alone. ``scratch`` is a folder that goes with the run."""
    row = engine.run
    observers = given.observers if recorder is None else observers_of(engine.plan, given.observers, given.clock)
    base = scratch or state_folder() / "runs" / row.uid
    context = RunContext(
        name=row.name,
        namespace=row.namespace,
        uid=row.uid,
        catalog=given.catalog,
        artifacts=given.artifacts or _own_artifacts(engine, given.catalog) or FolderArtifacts((scratch or state_folder()) / "artifacts"),
        spec=engine.plan.spec,
        folder=given.folder or base / "run",
    )
    return World(
        executor=given.executor,
        store=with_findings(MemoryStore() if recorder is None else SealedStore(recorder, mask, Vault(row)), observers),
        clock=given.clock,
        locks=given.locks or MemoryLocks(given.catalog, journal=lasting),
        cache=SealedCache(given.cache or lasting or MemoryCache(), mask),
        context=context,
        mask=mask,
        observers=observers,
        closed=given.closed,
        alone=given.locks is None,
        keep_log=keeper.keep_log if keeper is not None else None,
    )


async def _tidy_up(handle: Run, locks: Locks, keeper: Keeper | None, lasting: RunStore | None, scratch: Path | None) -> None:
    """When a run is driven no more: what it held while it went on is given back, and what was kept for it goes."""
    row = handle.snapshot().row
    if handle.phase.completed and isinstance(locks, MemoryLocks):
        for holder in locks.held_by(f"{row.namespace}/{row.name}"):
            locks.release(holder)
    if keeper is not None:
        await keeper.finish()
    if lasting is not None and handle.phase.completed:
        await strike_all(lasting, row)
    if scratch is not None:
        await anyio.to_thread.run_sync(partial(shutil.rmtree, scratch, ignore_errors=True))


async def _collect_artifacts(engine: Engine, handle: Run, world: World) -> None:
    """Delete the artifacts that are to go with the run's end, and record which have."""
    collected = await collect(engine.plan.spec, handle.snapshot().nodes.values(), world.context, Moment.COMPLETION)
    if collected.nodes or collected.failures:
        told = (collected.condition,) if collected.condition is not None else ()
        row = replace(engine.run, conditions=(*engine.run.conditions, *told))
        await world.store.save(row, collected.nodes)


async def _forget_pods(store: RunStore | None, executor: Executor, context: RunContext) -> None:
    """Have the executor remove what a retry said must go, before it can be taken up. Raises ExecutorError: the run is as it was, to be tried again."""
    for record in await store.documents(LEFT_PODS, name=context.name, namespace=context.namespace) if store is not None else ():
        if isinstance(executor, ForgettingExecutor):
            await executor.forget(strings_of(record, "pods"), context)
        if store is not None:
            await store.delete_document(LEFT_PODS, context.name, context.namespace)


def _mask_for(engine: Engine, given: Given) -> Mask:
    """The mask of a run, with what is known of its sensitive values before it begins."""
    plan = engine.plan
    mask = given.mask or Mask(names_of(plan.manifest, plan.run.annotations))
    for name in mask.names & plan.parameters.keys():
        mask.learn(plan.parameters[name], "sensitive", name)
    if plan.mentions("ecret"):
        learn_secrets(mask, plan.spec, given.catalog, plan.run.namespace)
    return mask


def _scratch(given: Given) -> Path | None:
    """A temporary folder for what has no place; None if everything has one."""
    if given.folder is not None and given.artifacts is not None:
        return None
    return Path(tempfile.mkdtemp(prefix="flowcore-"))


def _own_artifacts(engine: Engine, catalog: Catalog) -> ArtifactStore | None:
    """The store in the artifact repository that the workflow or its namespace names."""
    repository = repository_of(engine.plan.spec, catalog, engine.run.namespace)
    return RepositoryArtifacts(repository, catalog, engine.run.namespace) if repository is not None else None


def single_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one exception in nested groups of one, so that callers see what was raised and not how it travelled; the first of several StoreErrors.

    The group itself if it holds several others.
    """
    leaves = _leaves(group)
    if len(leaves) == 1 or all(isinstance(leaf, StoreError) for leaf in leaves):
        return leaves[0]
    return group


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in _leaves(inner)]


__all__ = ["LEFT_PODS", "Given", "claimed", "driven", "recorded_engine", "restore_locks", "single_error", "strike_all", "with_orders"]
