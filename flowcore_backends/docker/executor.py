"""``DockerExecutor``: runs invocations as containers. Knows which runs and invocations there are; the work is ``pod_run.py``'s."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Unpack

import aiohttp
import anyio
from aiodocker.exceptions import DockerError
from anyio.lowlevel import RunVar

from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import ArtifactError, ExecutorError, FlowError, Problem, TransientExecutorError
from flowcore.jsontypes import JsonObject, object_of, strings_of, text_of
from flowcore.language.quantities import parse_duration
from flowcore.language.selectors import label_selector
from flowcore.nodes import Phase, WorkflowPhase
from flowcore.ports import Catalog, Reporter, RunContext
from flowcore_backends.data import DataExecutor
from flowcore_backends.docker import labels
from flowcore_backends.docker.api import Api, open_api, told
from flowcore_backends.docker.checking import problems_of
from flowcore_backends.docker.endpoint import Endpoint, find_endpoint
from flowcore_backends.docker.images import Images
from flowcore_backends.docker.leftovers import Leftover, cleanup
from flowcore_backends.docker.options import DockerChoices, DockerOptions
from flowcore_backends.docker.pod_run import PodRun
from flowcore_backends.docker.run_objects import RunObjects, remove_objects
from flowcore_backends.docker.security import Machine
from flowcore_backends.docker.starting import Surroundings
from flowcore_backends.http import HttpExecutor
from flowcore_backends.plugin import Plugin, PluginExecutor
from flowcore_backends.pod_spec_patch import patched
from flowcore_backends.router import Kind, RouterExecutor, kind_of
from flowcore_backends.under_way import UnderWay

_log = logging.getLogger("flowcore.docker")
_POD_KINDS = ("container", "script", "containerSet")
_ADVICE: Mapping[Kind, str] = {"resource": "resource templates need a Kubernetes API: use the kubernetes backend, or the fake one in tests"}
_REMOVED_AFTER = timedelta(seconds=5)
_SECONDS_TO_ANSWER = 2.0


@dataclass(slots=True)
class _Loop:
    """What belongs to one event loop: the connection, for as long as somebody uses it, and the limits."""

    slots: anyio.CapacityLimiter
    around: Surroundings | None = None
    users: int = 0
    api: Api | None = None
    opening: anyio.Lock = field(default_factory=anyio.Lock)
    connection: AbstractAsyncContextManager[Api] | None = None
    failed: tuple[float, str] = (0.0, "")  # when it could not be opened the last time, and why


@dataclass(slots=True)
class _RunState:
    """What is known of one run: its network and claims, pods to remove and when, pods that failed."""

    objects: RunObjects
    due: deque[tuple[float, str]] = field(default_factory=deque)
    failed: set[str] = field(default_factory=set)


class DockerExecutor:
    """An ``Executor`` whose pods are containers of a Docker engine (or Podman); see ``DockerOptions`` for what can be chosen.

    ``http``, ``data`` and ``plugin`` templates run inside this process; ``plugins`` are callables by plugin name. Containers outlive this
    process: cancelling ``run`` looks away, and running the same invocation again takes over. Works on asyncio.
    """

    def __init__(
        self, options: DockerOptions | None = None, *, plugins: Mapping[str, Plugin] | None = None, **choices: Unpack[DockerChoices]
    ) -> None:
        self.options = options if options is not None else DockerOptions(**choices)
        self._others = RouterExecutor({"http": HttpExecutor(), "data": DataExecutor(), "plugin": PluginExecutor(plugins)}, advice=_ADVICE)
        self._pods = UnderWay[PodRun]()
        self._runs: dict[str, _RunState] = {}
        self._version = "auto"
        self._facts: JsonObject | None = None
        self._loops: RunVar[_Loop] = RunVar(f"flowcore.docker.{id(self)}")

    @staticmethod
    def usable_here() -> bool:
        """Whether an engine answers, at the place where one is found without further options. Blocks for two seconds at most."""
        return anyio.run(engine_answers)

    @staticmethod
    async def cleanup(*, dry_run: bool = False, older_than: timedelta = timedelta(0), keep: Collection[str] = ()) -> list[Leftover]:
        """Remove what dead runs left at the engine, but for those whose uids are in ``keep``; see ``leftovers.py``."""
        return await cleanup(dry_run=dry_run, older_than=older_than, keep=keep)

    def check(self, manifest: JsonObject, catalog: Catalog) -> list[Problem]:
        """What Docker, with these options, cannot do of a document. No engine is asked."""
        return problems_of(manifest, catalog, self.options)

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Run the invocation to its end, or take it over. Raises ExecutorError for what is not its commands' fault."""
        if kind_of(invocation) not in _POD_KINDS:
            return await self._others.run(invocation, context, report)
        invocation, context = patched(invocation, context)
        with _told_of(f"node {invocation.node_name}"):
            async with self._api() as api:
                around = await self._surroundings(api)
                state = self._run_state(context, around.host)
                await self._remove_due(api, state, around)
                outcome = await self._run_pod(invocation, context, report, around, state, api)
                self._remember(invocation, context, outcome, state)
                return outcome

    async def _run_pod(
        self, invocation: Invocation, context: RunContext, report: Reporter, around: Surroundings, state: _RunState, api: Api
    ) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="flowcore-docker-", ignore_cleanup_errors=True) as scratch:
            pod = PodRun(invocation, context, report, around, state.objects, api, Path(scratch))
            with self._pods.known(invocation, pod):
                return await pod.run(None if invocation.daemon else self._loop().slots)

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Ask the containers of the invocation to end, and end them after ``grace``."""
        if kind_of(invocation) not in _POD_KINDS:
            await self._others.stop(invocation, grace)
        pod = self._pods.get(invocation)
        if pod is not None:
            pod.stop(grace)

    async def forget(self, pods: Sequence[str], context: RunContext) -> None:
        """A retry begins these pods anew: remove their containers, with what they hold."""
        with _told_of(f"run {context.name}"):
            async with self._api() as api:
                around = await self._surroundings(api)
                for pod in pods:
                    await remove_objects(api, labels.label_filters(run=context.uid, pod=pod), around.starts)

    async def close(self, context: RunContext) -> None:
        """Remove the run's containers, network and volumes, but for what its ``podGC`` or the options keep."""
        state = self._runs.pop(context.uid, None)
        if state is None:
            return
        try:
            with _told_of(f"run {context.name}"):
                async with self._api() as api:
                    around = await self._surroundings(api)
                    around.images.forget_run(context.uid)
                    if not self.options.keep_containers:
                        await self._remove_all(api, state, context, around)
        except ExecutorError as error:
            _log.warning("run %s left something behind, which flowcore cleanup removes: %s", context.name, error)
        finally:
            state.objects.let_go()

    # --- what is remembered ---------------------------------------------------------------------------------------------------------

    def _run_state(self, context: RunContext, host: str) -> _RunState:
        if context.uid not in self._runs:
            self._runs[context.uid] = _RunState(RunObjects(context, host))
        return self._runs[context.uid]

    def _remember(self, invocation: Invocation, context: RunContext, outcome: Outcome, state: _RunState) -> None:
        """Note what becomes of an ended pod. It stays a while at least, so that its outcome is recorded before its traces vanish."""
        if outcome.phase is not Phase.SUCCEEDED:
            state.failed.add(invocation.pod_name)
        strategy = _strategy(context)
        goes = strategy == "OnPodCompletion" or (strategy == "OnPodSuccess" and outcome.phase is Phase.SUCCEEDED)
        if goes and _selected(invocation, context):
            state.due.append((anyio.current_time() + _delay(context).total_seconds(), invocation.pod_name))

    # --- removing -------------------------------------------------------------------------------------------------------------------

    async def _remove_due(self, api: Api, state: _RunState, around: Surroundings) -> None:
        """Remove the pods whose time has come."""
        while state.due and state.due[0][0] <= anyio.current_time() and not self.options.keep_containers:
            _, pod = state.due.popleft()
            await remove_objects(api, labels.label_filters(run=state.objects.uid, pod=pod), around.starts)

    async def _remove_all(self, api: Api, state: _RunState, context: RunContext, around: Surroundings) -> None:
        strategy, kept = _strategy(context), set[str]()
        succeeded = context.phase is WorkflowPhase.SUCCEEDED if context.phase is not None else not state.failed
        if strategy == "OnWorkflowSuccess" and not succeeded:
            return  # all of it stays to be looked at, until cleanup
        if strategy == "OnPodSuccess":
            kept = state.failed
        await remove_objects(api, labels.label_filters(run=state.objects.uid), around.starts, kept)
        await state.objects.remove(api)

    # --- the engine -----------------------------------------------------------------------------------------------------------------

    def endpoint(self) -> Endpoint:
        """The engine that is used. Raises ExecutorError where there is none."""
        return find_endpoint(self.options.host)

    def _loop(self) -> _Loop:
        loop = self._loops.get(None)
        if loop is None:
            loop = _Loop(anyio.CapacityLimiter(self.options.parallelism))
            self._loops.set(loop)
        return loop

    @asynccontextmanager
    async def _api(self) -> AsyncIterator[Api]:
        """A connection that all users of an event loop share, closed when the last of them leaves."""
        _need_asyncio()
        loop = self._loop()
        loop.users += 1
        asked_at = anyio.current_time()
        try:
            async with loop.opening:
                if loop.api is None:
                    await self._open(loop, asked_at)
            assert loop.api is not None
            yield loop.api
        finally:
            loop.users -= 1
            if loop.users == 0 and loop.connection is not None:
                connection, loop.connection, loop.api = loop.connection, None, None
                with anyio.CancelScope(shield=True):
                    await connection.__aexit__(None, None, None)

    async def _open(self, loop: _Loop, asked_at: float) -> None:
        """Open the connection; who waited while that failed is told so, and does not wait as long again."""
        if loop.failed[0] >= asked_at:
            raise TransientExecutorError(loop.failed[1])
        opened = open_api(self.endpoint(), self.options.patience, self._version)
        try:
            loop.api = await opened.__aenter__()
        except ExecutorError as error:
            loop.failed = (anyio.current_time(), str(error))
            raise
        loop.connection = opened
        major, minor = loop.api.version
        self._version = f"v{major}.{minor}"

    async def _surroundings(self, api: Api) -> Surroundings:
        loop = self._loop()
        if self._facts is None:
            self._facts = await api.facts()
        if loop.around is None:
            facts, processors = self._facts, self._facts.get("NCPU")
            loop.around = Surroundings(
                options=self.options,
                images=Images(),
                machine=Machine(processors if isinstance(processors, int) else 0, bool(text_of(facts, "InitBinary"))),
                architecture=text_of(facts, "Architecture"),
                starts=anyio.CapacityLimiter(self.options.parallel_starts),
                reaches_containers=reaches_containers(self.options.probes, self.endpoint(), facts),
            )
        return loop.around


def reaches_containers(choice: str, endpoint: Endpoint, facts: JsonObject) -> bool:
    """Whether this machine can talk to containers at their addresses: only to those of an engine of its own that is in no other network."""
    if choice in ("outside", "inside"):
        return choice == "outside"
    hidden = "Docker Desktop" in text_of(facts, "OperatingSystem") or "name=rootless" in strings_of(facts, "SecurityOptions")
    return sys.platform == "linux" and endpoint.socket is not None and not hidden


async def engine_answers(host: str | None = None) -> bool:
    """Whether a Docker engine answers within two seconds."""
    try:
        with anyio.fail_after(_SECONDS_TO_ANSWER):
            async with open_api(find_endpoint(host), timedelta(0)):
                return True
    except (ExecutorError, OSError):
        return False


def _strategy(context: RunContext) -> str:
    """When pods are removed; the run's end at the latest, unless they failed and the strategy asks for success."""
    return text_of(object_of(context.spec, "podGC"), "strategy")


def _selected(invocation: Invocation, context: RunContext) -> bool:
    """Whether ``podGC`` is about this pod."""
    selector = object_of(object_of(context.spec, "podGC"), "labelSelector")
    shared, own = object_of(context.spec, "podMetadata"), object_of(invocation.body, "metadata")
    labels_of_pod = {key: str(value) for key, value in {**object_of(shared, "labels"), **object_of(own, "labels")}.items()}
    return label_selector(selector).matches(labels_of_pod)


def _delay(context: RunContext) -> timedelta:
    given = text_of(object_of(context.spec, "podGC"), "deleteDelayDuration")
    try:
        return max(_REMOVED_AFTER, parse_duration(given)) if given else _REMOVED_AFTER
    except FlowError:
        return _REMOVED_AFTER


def _need_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError as error:
        raise ExecutorError("the docker backend runs on asyncio, not on trio: aiodocker needs it") from error


@contextmanager
def _told_of(what: str) -> Iterator[None]:
    """Errors of the engine and of artifacts become ExecutorErrors with one clear text, however deep in groups they come."""
    try:
        yield
    except ExceptionGroup as group:
        raise _worded(_first(group), what) from group
    except (DockerError, aiohttp.ClientError, ArtifactError, OSError) as error:
        raise _worded(error, what) from error


def _worded(error: Exception, what: str) -> Exception:
    if isinstance(error, DockerError | aiohttp.ClientError | TimeoutError):
        return told(error, what)
    if isinstance(error, ArtifactError | OSError):
        return ExecutorError(str(error))
    return error


def _first(group: ExceptionGroup) -> Exception:
    """The error that an exception group is about: the first of ours, else the first."""
    leaves: list[Exception] = []
    waiting: list[Exception] = [group]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, ExceptionGroup):
            waiting += error.exceptions
        else:
            leaves.append(error)
    return next((leaf for leaf in leaves if isinstance(leaf, FlowError)), leaves[0])
