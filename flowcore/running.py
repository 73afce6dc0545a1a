"""The way in: ``open_run``, ``run`` and ``run_sync`` make a run of a workflow and everything that it was not given."""

from __future__ import annotations

import random
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio

from flowcore.artifacts import FolderArtifacts
from flowcore.catalogs import MemoryCatalog
from flowcore.clocks import RealClock
from flowcore.engine.engine import Engine
from flowcore.errors import InvalidWorkflow, Problem
from flowcore.jsontypes import Json, JsonObject, json_text, object_of, text_of
from flowcore.locks import MemoryLocks
from flowcore.manifests import load_workflow
from flowcore.memory import MemoryCache, MemoryStore
from flowcore.models.workflows import Workflow
from flowcore.plan.plan import PlanOptions, compile_plan
from flowcore.plan.validate import validate
from flowcore.ports import ArtifactStore, Cache, Catalog, Clock, Executor, Locks, RunContext, Store
from flowcore.results import RunResult
from flowcore.runner import Run, World

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


@asynccontextmanager
async def open_run(
    workflow: Workflow | JsonObject | str | Path,
    *,
    executor: Executor,
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
    seed: int | None = None,
    _closed: bool = False,
) -> AsyncIterator[Run]:
    """Start a run of ``workflow`` (a model, a document as JSON, YAML text, or a path) and give it to the block, which may watch and steer it.

    Leaving the block waits for the run to end; cancelling it looks away from the work that is under way. What is not given is made for
    this run alone: a real clock, an empty catalog, everything else in memory or in a temporary folder. ``seed`` makes names and ids repeat.
    Raises InvalidWorkflow before anything starts if the workflow cannot be run.
    """
    catalog = catalog or MemoryCatalog()
    clock = clock or getattr(executor, "clock", None) or RealClock()
    model = workflow if isinstance(workflow, Workflow) else load_workflow(workflow)
    chance = random.Random(seed)
    values = {key: as_text(value) for key, value in (parameters or {}).items()}
    plan = compile_plan(
        model,
        catalog=catalog,
        name=name or chosen_name(model, chance),
        namespace=namespace,
        uid=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        created_at=clock.now().replace(microsecond=0),
        parameters=values,
        entrypoint=entrypoint,
        options=options,
    )
    problems = [
        problem
        for problem in validate(Workflow.model_validate(plan.manifest), catalog=catalog, like_argo=True)
        if problem.severity == "error"
    ]
    if problems:
        raise InvalidWorkflow(problems)
    scratch = None if folder is not None and artifacts is not None else Path(tempfile.mkdtemp(prefix="flowcore-"))
    try:
        context = RunContext(
            name=plan.run.name,
            namespace=plan.run.namespace,
            uid=plan.run.uid,
            catalog=catalog,
            artifacts=artifacts or FolderArtifacts((scratch or Path()) / "artifacts"),
            spec=plan.spec,
            folder=folder or (scratch or Path()) / "run",
        )
        world = World(
            executor=executor,
            store=store or MemoryStore(),
            clock=clock,
            locks=locks or MemoryLocks(catalog),
            cache=cache or MemoryCache(),
            context=context,
            closed=_closed,
        )
        handle = Run(Engine(plan), world)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handle.drive)
            yield handle
            await handle.result()
    except BaseExceptionGroup as group:
        single = _only(group)
        if single is None:
            raise
        raise single from single.__cause__
    finally:
        if scratch is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(shutil.rmtree, scratch, ignore_errors=True))


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The one exception in nested groups of one, so that callers see what was raised and not how it travelled."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        if len(inner.exceptions) != 1:
            return None
        inner = inner.exceptions[0]
    return inner


async def run(workflow: Workflow | JsonObject | str | Path, *, executor: Executor, **given: Any) -> RunResult:
    """Run ``workflow`` to its end and return the result; the keywords are those of ``open_run``.

    That a run fails is a result and no exception (``result.raise_for_phase()`` makes it one). Raises InvalidWorkflow, and UsageError for a
    run that waits for somebody to resume it.
    """
    async with open_run(workflow, executor=executor, _closed=True, **given) as handle:
        return await handle.result()


def run_sync(workflow: Workflow | JsonObject | str | Path, *, executor: Executor, **given: Any) -> RunResult:
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
    return prefix + "".join(chance.choices(_SUFFIX_LETTERS, k=5))


def as_text(value: object) -> str:
    """A parameter's value as Argo keeps it: text stays, anything else becomes JSON text."""
    return value if isinstance(value, str) else json_text(cast("Json", value))
