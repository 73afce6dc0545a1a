"""Carrying out ``flowcore run``: one workflow after the other, shown as it goes, stopped by Ctrl-C."""

from __future__ import annotations

import random
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import anyio
from anyio import to_thread
from rich.console import Console

from flowcore.artifacts import FolderArtifacts
from flowcore.artifacts.repository import RepositoryArtifacts
from flowcore.catalogs import FolderCatalog
from flowcore.cli.absent import absent_config_maps
from flowcore.cli.backends import executor_named, shown, surroundings
from flowcore.cli.inputs import artifacts_of, catalog_of, given_by, options_of, parameters_of
from flowcore.cli.output import Output, write
from flowcore.cli.problems import tell_problems
from flowcore.cli.recording import backend_of, keep_settings, kept_settings, make_room, paths_of, settings, usable_store
from flowcore.cli.screens import LiveScreen, PlainScreen, Screen, with_icons
from flowcore.cli.summary import described
from flowcore.clocks import RealClock, VirtualClock
from flowcore.durable import RunStore
from flowcore.errors import InvalidWorkflow, UsageError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.manifests import Document
from flowcore.models import Workflow
from flowcore.nodes import NodeType, Phase, WorkflowPhase
from flowcore.plan.repository import repository_of
from flowcore.plan.semantics import ANNOTATION
from flowcore.ports import ArtifactStore, Cache, Catalog, Clock, Executor
from flowcore.results import RunResult
from flowcore.runner import Change, NodeChanged, Run, RunChanged
from flowcore.running import chosen_name, open_resumed, open_run
from flowcore.selection import find_run
from flowcore.stores import open_store, state_folder

_REDRAWN_EVERY = 0.2
_FIRST, _AGAIN = "stopping: exit handlers still run; once more ends everything at once", "ending everything at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What ``flowcore run`` was asked to do."""

    files: Sequence[str]
    parameters: Sequence[str] = ()
    parameter_file: str | None = None
    entrypoint: str | None = None
    backend: str = "auto"
    backend_options: Sequence[str] = ()
    templates: Sequence[Path] = ()
    resources: Sequence[Path] = ()
    artifacts: Sequence[str] = ()
    output: Output | None = None
    logs: bool = True
    strict: bool = False
    seed: int | None = None
    name: str | None = None
    namespace: str | None = None
    stubs: Path | None = None
    store: str | None = None
    semantics: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """What all runs of an order have in common."""

    order: Order
    executor: Executor
    catalog: Catalog
    artifacts: ArtifactStore
    parameters: Mapping[str, str]
    console: Console
    store: RunStore | None = None
    cache: Cache | None = None
    results: list[RunResult] = field(default_factory=list)


def carry_out(order: Order) -> int:
    """Run the workflows of ``order`` and print what they did; the exit status. Raises FlowError for what cannot be run."""
    given = given_by(order.files, strict=order.strict, templates_too=True)
    if order.name is not None and len(given.workflows) > 1:
        raise UsageError(f"--name is for one workflow; there are {len(given.workflows)}")
    parameters = parameters_of(order.parameters, order.parameter_file)
    files = artifacts_of(order.artifacts)
    catalog = catalog_of(given, order.templates, order.resources)
    options = options_of(order.backend_options)
    executor = executor_named(order.backend, stubs=order.stubs, options=options, seed=order.seed, strict=order.strict)
    tell_problems(given.warnings)
    console = Console(stderr=order.output is not None, highlight=False)
    with TemporaryDirectory(prefix="flowcore-artifacts-") as folder, surroundings(executor, catalog) as (reachable, cache):
        world = _World(
            order=order,
            executor=executor,
            catalog=reachable,
            cache=cache,
            artifacts=FolderArtifacts(folder),
            parameters=parameters,
            console=console,
        )
        anyio.run(_run_recorded, world, given.workflows, files)
    if order.output is not None:
        write([result.to_json() for result in world.results], order.output)
    return 0 if all(result.phase is WorkflowPhase.SUCCEEDED for result in world.results) else 1


def carry_on(order: Order, name: str) -> int:
    """Drive a recorded run on and print what it did; the exit status. Raises FlowError for a run that cannot be continued."""
    return anyio.run(_carry_on, order, name)


async def _carry_on(order: Order, name: str) -> int:
    store = open_store(order.store)
    found = (await find_run(store, name, order.namespace)).run
    if found.phase.completed:
        raise UsageError(f"run {found.name} has ended ({found.phase}): flowcore retry {found.name} runs it again from where it failed")
    kept = await kept_settings(store, found.name, found.namespace)
    catalog = FolderCatalog([*paths_of(kept, "templates"), *paths_of(kept, "resources"), *order.templates, *order.resources])
    options = options_of(order.backend_options or strings_of(kept, "options"))
    make = partial(executor_named, stubs=order.stubs, options=options, seed=order.seed, strict=order.strict)
    executor = await to_thread.run_sync(make, backend_of(kept, order.backend))  # `auto` asks engines whether they are there
    console = Console(stderr=order.output is not None, highlight=False)
    artifacts = FolderArtifacts(state_folder() / "artifacts")
    world = _World(order=order, executor=executor, catalog=catalog, artifacts=artifacts, parameters={}, console=console, store=store)
    clock = _clock_for(executor, order.seed)
    try:
        with surroundings(executor, catalog) as (reachable, cache):
            async with open_resumed(
                found.name,
                store=store,
                namespace=found.namespace,
                executor=executor,
                catalog=reachable,
                cache=cache,
                artifacts=artifacts if clock.virtual else None,
                clock=clock,
                sensitive=parameters_of(order.parameters, order.parameter_file),
            ) as run:
                result = await _watch(run, world, clock)
    finally:
        await store.close()
    _tell(world, result, clock)
    if order.output is not None:
        write([result.to_json()], order.output)
    return 0 if result.phase is WorkflowPhase.SUCCEEDED else 1


async def _run_recorded(world: _World, documents: Sequence[Document], files: Mapping[str, Path]) -> None:
    """Run all, recorded in the store unless time is virtual."""
    store = await usable_store(world.order.store, virtual=_clock_for(world.executor, world.order.seed).virtual)
    if store is None:
        await _run_all(world, documents, files)
        return
    recorded = replace(world, store=store, artifacts=FolderArtifacts(state_folder() / "artifacts"))
    try:
        await _run_all(recorded, documents, files)
    finally:
        await store.close()


async def _run_all(world: _World, documents: Sequence[Document], files: Mapping[str, Path]) -> None:
    for document in documents:
        clock = _clock_for(world.executor, world.order.seed)
        result = await _run_one(world, document, files, clock)
        world.results.append(result)
        _tell(world, result, clock)


def _tell(world: _World, result: RunResult, clock: Clock) -> None:
    """Print what became of a run, unless documents are wanted."""
    if world.order.output is None:
        result = result.shown()
        text = described(result.manifest, result.row, result.nodes.values(), now=clock.now())
        world.console.print(with_icons(f"\n{text}"), soft_wrap=True, end="")


async def _run_one(world: _World, document: Document, files: Mapping[str, Path], clock: Clock) -> RunResult:
    order, store = world.order, world.store
    artifacts = _artifacts_for(world, document, clock)
    for given, path in files.items():
        await artifacts.save(_key(given), path)
    model = Workflow.model_validate(_with_semantics(_with_artifacts(document.json, files), order.semantics))
    name, namespace = order.name, order.namespace
    if store is not None:
        name = name or chosen_name(model, random.Random(order.seed))
        namespace = namespace or text_of(object_of(document.json, "metadata"), "namespace") or "default"
        await make_room(store, name, namespace)
    try:
        async with open_run(
            model,
            executor=world.executor,
            parameters=world.parameters,
            entrypoint=order.entrypoint,
            name=name,
            namespace=namespace,
            catalog=world.catalog,
            cache=world.cache,
            artifacts=artifacts,
            store=store,
            clock=clock,
            seed=order.seed,
        ) as run:
            tell_problems(absent_config_maps(run.plan.spec, world.catalog, run.row.namespace))
            if store is not None:
                kept = settings(order.backend, order.backend_options, order.templates, order.resources)
                await keep_settings(store, run.name, run.row.namespace, kept)
            return await _watch(run, world, clock)
    except InvalidWorkflow as error:
        raise InvalidWorkflow([document.placed(problem) for problem in error.problems]) from None


async def _watch(run: Run, world: _World, clock: Clock) -> RunResult:
    """Show the run until its end, carry its user's orders to it, and return what came of it."""
    screen = _screen(world, run, clock)
    suspended = False
    async with shown(world.executor, run), anyio.create_task_group() as tasks:
        tasks.start_soon(_obey, run, screen)
        with screen.shown():
            tasks.start_soon(_redraw, screen)
            async for change in run.events():
                screen.tell(change)
                waiting = _waiting(change, suspended)
                suspended = run.row.suspended
                if waiting:
                    how = f"flowcore resume {run.name} does; " if world.store is not None else ""
                    screen.note(f"{waiting} waits for somebody to resume it; {how}Ctrl-C stops the run")
        tasks.cancel_scope.cancel()
    return await run.result()


def _waiting(change: Change, suspended: bool) -> str:
    """What has just begun to wait for somebody: a suspend node without an end of its own, or the whole run; nothing else."""
    if isinstance(change, RunChanged):
        return f"run {change.run.name}" if change.run.suspended and not suspended else ""
    if not isinstance(change, NodeChanged):
        return ""
    node, before = change.node, change.previous
    waits = node.type is NodeType.SUSPEND and node.phase is Phase.RUNNING and node.wake_at is None
    return node.name if waits and (before is None or before.phase is not Phase.RUNNING) else ""


async def _redraw(screen: Screen) -> None:
    while True:
        await anyio.sleep(_REDRAWN_EVERY)
        screen.refresh()


async def _obey(run: Run, screen: Screen) -> None:
    """Ctrl-C once stops the run, twice terminates it; being asked to end by the system counts as Ctrl-C."""
    asked = 0
    async with _interrupts() as interrupts:
        async for _ in interrupts:
            asked += 1
            with suppress(UsageError):  # the run may have ended by itself just now
                await (run.stop() if asked == 1 else run.terminate())
                if run.row.suspended:  # as in Argo, a suspended run does not even stop
                    await run.resume()
                screen.note(_FIRST if asked == 1 else _AGAIN)


@asynccontextmanager
async def _interrupts() -> AsyncIterator[AsyncIterator[signal.Signals]]:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        yield signals


def _screen(world: _World, run: Run, clock: Clock) -> Screen:
    snapshot = run.snapshot()
    if world.console.is_terminal and not world.console.is_dumb_terminal:
        return LiveScreen(world.console, snapshot.row, snapshot.nodes, logs=world.order.logs, now=clock.now)
    return PlainScreen(world.console, snapshot.row, snapshot.nodes, logs=world.order.logs)


def _clock_for(executor: Executor, seed: int | None) -> Clock:
    """Virtual time for executors that know what will happen, from now on or, with a seed, from a fixed day; else the machine's."""
    offered = cast("Clock | None", getattr(executor, "clock", None))
    if offered is None or not offered.virtual:
        return offered or RealClock()
    return offered if seed is not None else VirtualClock(datetime.now(UTC).replace(microsecond=0))


# --- what was given beside the document -------------------------------------------------------------------------------------------


def _artifacts_for(world: _World, document: Document, clock: Clock) -> ArtifactStore:
    """The artifact repository that the workflow or its namespace names, else the folder for artifacts; also where nothing is really stored."""
    namespace = world.order.namespace or text_of(object_of(document.json, "metadata"), "namespace") or "default"
    repository = None if clock.virtual else repository_of(object_of(document.json, "spec"), world.catalog, namespace)
    return world.artifacts if repository is None else RepositoryArtifacts(repository, world.catalog, namespace)


def _with_semantics(manifest: JsonObject, version: str | None) -> JsonObject:
    """The document with the version of Argo's rules that it is run under; it stays with the run."""
    if version is None:
        return manifest
    metadata = object_of(manifest, "metadata")
    annotations: JsonObject = {**object_of(metadata, "annotations"), ANNOTATION: version}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _key(name: str) -> str:
    """Where a file that was given for the artifact ``name`` is stored."""
    return f"given/{name}"


def _with_artifacts(manifest: JsonObject, files: Mapping[str, Path]) -> JsonObject:
    """The workflow with the given files as its argument artifacts."""
    if not files:
        return manifest
    spec = object_of(manifest, "spec")
    arguments = object_of(spec, "arguments")
    others: list[Json] = [artifact for artifact in objects_of(arguments, "artifacts") if artifact.get("name") not in files]
    given: list[Json] = [{"name": name, "archive": {"none": {}}, "s3": {"key": _key(name)}} for name in files]
    return {**manifest, "spec": {**spec, "arguments": {**arguments, "artifacts": [*others, *given]}}}


__all__ = ["Order", "carry_on", "carry_out"]
