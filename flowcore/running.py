"""The way in: ``open_run``, ``run`` and ``run_sync`` make a run of a workflow; ``open_resumed`` and ``resume`` take up a recorded one."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

import anyio

from flowcore.catalogs import MemoryCatalog
from flowcore.clocks import RealClock
from flowcore.driving import Given, claimed, driven, recorded_engine, restore_locks, with_orders
from flowcore.durable import RunStore, run_store
from flowcore.engine.engine import Engine
from flowcore.errors import InvalidWorkflow, Problem, UsageError
from flowcore.functions.binding import Describes, executor_for, workflow_from
from flowcore.jsontypes import Json, JsonObject, json_text, object_of, text_of, whole_text
from flowcore.kept_templates import KeptTemplates
from flowcore.locks import MemoryLocks
from flowcore.manifests import load_workflow
from flowcore.models import AnyDocument, Template
from flowcore.models.workflows import Workflow
from flowcore.plan.plan import Plan, PlanOptions, compile_plan
from flowcore.plan.validate import validate
from flowcore.ports import ArtifactStore, Cache, Catalog, Clock, Executor, Locks, Store
from flowcore.results import RunResult
from flowcore.runner import Observer, Run
from flowcore.secrecy import Mask, opened_run
from flowcore.secrecy.mask import names_of
from flowcore.selection import find_run

Runnable: TypeAlias = "Workflow | AnyDocument | JsonObject | str | Path | Describes"
SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@asynccontextmanager
async def open_run(
    workflow: Runnable,
    *,
    executor: Executor | None = None,
    templates: Iterable[Template] = (),
    parameters: Mapping[str, object] | None = None,
    entrypoint: str | None = None,
    name: str | None = None,
    namespace: str | None = None,
    catalog: Catalog | None = None,
    artifacts: ArtifactStore | None = None,
    clock: Clock | None = None,
    store: Store | None = None,
    locks: Locks | None = None,
    cache: Cache | None = None,
    folder: Path | None = None,
    options: PlanOptions | None = None,
    observers: Sequence[Observer] = (),
    seed: int | None = None,
    _closed: bool = False,
) -> AsyncIterator[Run]:
    """Start a run of ``workflow`` (a model, a document as JSON, YAML text, a path, or an object of Hera) and give it to the block, which may
    watch and steer it. ``templates`` are added to it: Python functions, for instance. Without an executor the embedded default runs it.

    Leaving the block waits for the run to end; cancelling it looks away from the work that is under way. What is not given is made for
    this run alone: a real clock, an empty catalog, everything else in memory or in a temporary folder. ``seed`` makes names, ids and what
    expressions draw by chance repeat.
    ``observers`` are told of all that happens.
    With a ``RunStore`` the run outlives this process (``resume``), and its artifacts are kept in the user's state folder unless ``artifacts`` says
    otherwise. Raises InvalidWorkflow before anything starts if the workflow cannot be run, and UsageError if the store has a run of that name.
    """
    catalog = catalog or MemoryCatalog()
    model = workflow_from(workflow, templates)
    executor = executor_for(model, workflow, executor)
    clock = clock or getattr(executor, "clock", None) or RealClock()
    if run_store(store) is not None:
        catalog = KeptTemplates(catalog)
    plan = plan_run(
        model,
        catalog=catalog,
        clock=clock,
        parameters=parameters,
        entrypoint=entrypoint,
        name=name,
        namespace=namespace,
        options=options,
        chance=random.Random(seed),
    )
    given = Given(
        executor=executor,
        catalog=catalog,
        clock=clock,
        artifacts=artifacts,
        folder=folder,
        locks=locks,
        cache=cache,
        observers=observers,
        closed=_closed,
    )
    async with claimed(store, plan.run.name, plan.run.namespace) as (claim, stored):
        if stored is not None:
            raise UsageError(
                f"run {plan.run.name} is recorded already ({stored.run.phase or 'new'}): resume or delete it, or give another name"
            )
        async with driven(Engine(plan, chance=None if seed is None else random.Random(seed)), given, store, claim) as handle:
            yield handle


def plan_run(
    workflow: Workflow | JsonObject | str | Path,
    *,
    catalog: Catalog,
    clock: Clock,
    parameters: Mapping[str, object] | None = None,
    entrypoint: str | None = None,
    name: str | None = None,
    namespace: str | None = None,
    options: PlanOptions | None = None,
    chance: random.Random | None = None,
) -> Plan:
    """The plan of a new run, with its name and id. Raises InvalidWorkflow for a workflow that cannot be run."""
    model = workflow if isinstance(workflow, Workflow) else load_workflow(workflow)
    chance = chance or random.Random()
    plan = compile_plan(
        model,
        catalog=catalog,
        name=name or chosen_name(model, chance),
        namespace=namespace,
        uid=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        created_at=clock.now().replace(microsecond=0),
        parameters={key: as_text(value) for key, value in (parameters or {}).items()},
        entrypoint=entrypoint,
        options=options,
    )
    defaults = options.workflow_defaults if options is not None else None
    found = validate(Workflow.model_validate(plan.manifest), catalog=catalog, like_argo=True, workflow_defaults=defaults)
    problems = [problem for problem in found if problem.severity == "error"]
    if problems:
        mask = Mask(names_of(plan.manifest, plan.run.annotations))
        mask.learn_named(plan.manifest)
        raise InvalidWorkflow([replace(problem, message=mask.text(problem.message)) for problem in problems])
    return plan


@asynccontextmanager
async def open_resumed(
    name: str,
    *,
    store: RunStore,
    executor: Executor,
    namespace: str | None = None,
    catalog: Catalog | None = None,
    artifacts: ArtifactStore | None = None,
    clock: Clock | None = None,
    locks: Locks | None = None,
    cache: Cache | None = None,
    folder: Path | None = None,
    options: PlanOptions | None = None,
    observers: Sequence[Observer] = (),
    sensitive: Mapping[str, str] | None = None,
) -> AsyncIterator[Run]:
    """Drive on a run that ``store`` has and that nobody drives, and give it to the block, as ``open_run`` does with a new one.

    ``name`` is the run's name, its id, the beginning of either, or ``@latest``. Templates are those of its submission. Work that was under way is
    adopted by executors that can, else done again under the same pod name. A run that has ended stays as it is. Values of ``sensitive`` parameters
    need to be given only where the user's state folder does not have them. Raises UsageError for a run that is not there or whose sensitive
    values are not, StoreError for one that another process drives.
    """
    found = (await find_run(store, name, namespace)).run
    clock = clock or getattr(executor, "clock", None) or RealClock()
    async with claimed(store, found.name, found.namespace) as (claim, stored):
        if stored is None:
            raise UsageError(f"run {found.name} was deleted just now")
        kept = await store.documents("RunTemplates", name=found.name, namespace=found.namespace)
        opened = await opened_run(stored, kept[0] if kept else None, catalog or MemoryCatalog(), sensitive)
        held = KeptTemplates(catalog or MemoryCatalog(), opened.templates)
        engine = recorded_engine(await with_orders(store, opened.stored), held, options)
        if locks is None:
            locks = MemoryLocks(held, journal=store)
            await restore_locks(locks, store, [stored])
        given = Given(
            executor=executor,
            catalog=held,
            clock=clock,
            artifacts=artifacts,
            folder=folder,
            locks=locks,
            cache=cache,
            observers=observers,
            mask=opened.mask,
        )
        async with driven(engine, given, store, claim) as handle:
            yield handle


async def resume(name: str, *, store: RunStore, executor: Executor, **given: Any) -> RunResult:
    """Drive a recorded run on to its end and return the result; the keywords are those of ``open_resumed``, and so are the errors."""
    async with open_resumed(name, store=store, executor=executor, **given) as handle:
        return await handle.result()


async def run(workflow: Runnable, *, executor: Executor | None = None, **given: Any) -> RunResult:
    """Run ``workflow`` to its end and return the result; the keywords are those of ``open_run``.

    That a run fails is a result and no exception (``result.raise_for_phase()`` makes it one). Raises InvalidWorkflow, and UsageError for a
    run that waits for somebody to resume it.
    """
    async with open_run(workflow, executor=executor, _closed=True, **given) as handle:
        return await handle.result()


def run_sync(workflow: Runnable, *, executor: Executor | None = None, **given: Any) -> RunResult:
    """``run`` for scripts that have no event loop of their own."""
    return anyio.run(partial(run, workflow, executor=executor, **given))


def chosen_name(workflow: Workflow, chance: random.Random) -> str:
    """The workflow's own name, or its ``generateName`` and five random letters, as Kubernetes makes them."""
    metadata = object_of(workflow.to_json(), "metadata")
    name = text_of(metadata, "name")
    if name:
        return name
    prefix = text_of(metadata, "generateName")
    if not prefix:
        problem = Problem("the workflow has no name", "metadata", remedy="set metadata.name or metadata.generateName")
        raise InvalidWorkflow([problem])
    return prefix + "".join(chance.choices(SUFFIX_LETTERS, k=5))


def as_text(value: object) -> str:
    """A parameter's value as Argo keeps it: text stays, anything else becomes JSON text."""
    return whole_text(value if isinstance(value, str) else json_text(cast("Json", value)))
