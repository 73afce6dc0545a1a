"""The ports: what the runner needs from the world, as Protocols. Backends, stores, catalogs and clocks implement them.

A third party's implementation is as good as ours: nothing here refers to one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from flowcore.engine.messages import Invocation, MemberOutcome, Outcome, Progressed, Ready, Started
from flowcore.errors import Problem
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, RunRow, WorkflowPhase


@dataclass(frozen=True, slots=True)
class Logged:
    """A piece of output of a node's container: whole lines, without the last line's end. Not seen by the engine."""

    node: NodeId
    container: str
    stream: Literal["stdout", "stderr"]
    text: str
    at: datetime


Report: TypeAlias = Started | Ready | Progressed | Logged
Reporter: TypeAlias = Callable[[Report], None]


class Catalog(Protocol):
    """Where WorkflowTemplates, ClusterWorkflowTemplates, ConfigMaps and Secrets come from. Answers at once: what must be fetched is fetched before."""

    def get(self, kind: str, name: str, namespace: str | None = None) -> JsonObject | None:
        """The manifest of ``kind`` called ``name``, or None. Cluster-wide kinds take no namespace."""
        ...


@runtime_checkable
class ChangingCatalog(Catalog, Protocol):
    """A catalog whose documents may change while somebody waits for that: limits of semaphores, for instance."""

    def on_change(self, wake: Callable[[], None]) -> None:
        """Have the method ``wake`` called in this event loop when a ConfigMap that was asked for has changed, while its object lives."""
        ...


class KeptDocuments(Protocol):
    """Where documents that act by themselves (CronWorkflows) are kept for as long as their host has them."""

    async def put(self, document: JsonObject) -> None:
        """There is such a document, or it has changed."""
        ...

    async def remove(self, namespace: str, name: str) -> None:
        """It is there no more."""
        ...

    async def keep_only(self, present: Set[tuple[str, str]]) -> None:
        """These (namespace and name) are all that are there."""
        ...

    async def documents(self) -> Sequence[JsonObject]:
        """Those that are kept, with what became of them in their ``status``."""
        ...


@runtime_checkable
class FollowedCatalog(Catalog, Protocol):
    """A catalog of a host that has documents which act by themselves: CronWorkflows, as a cluster has."""

    async def follow(self, kept: KeptDocuments) -> None:
        """Keep ``kept`` as the host is, until cancelled."""
        ...


class ArtifactStore(Protocol):
    """Keeps artifacts by key: the default artifact repository of a run."""

    async def save(self, key: str, source: Path) -> None:
        """Store the file ``source`` under ``key``; a folder is stored file by file below ``key``. Raises ArtifactError."""
        ...

    async def load(self, key: str, target: Path) -> None:
        """Write what is stored under ``key`` to ``target``: a file, or a folder when ``key`` is a prefix. Raises ArtifactError."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """All keys that start with ``prefix``, sorted."""
        ...

    async def delete(self, key: str) -> None:
        """Remove ``key`` and all below it; absent keys are no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """What executors may use of a run: its names, the catalog for Secrets and ConfigMaps, the artifact store and a folder of its own."""

    name: str
    namespace: str
    uid: str
    catalog: Catalog
    artifacts: ArtifactStore
    spec: JsonObject = field(default_factory=dict)  # the merged workflow spec: volumes, volumeClaimTemplates, securityContext, ...
    folder: Path | None = None
    phase: WorkflowPhase | None = None  # how the run ended, where it is closed


@runtime_checkable
class Executor(Protocol):
    """Runs invocations. The same object serves many runs; it must not keep a reference to a run after ``close``."""

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Start the invocation, or adopt what runs under its pod name, and wait for its end.

        Cancelled, it looks away: it releases what is local and leaves the work alone where the work can outlive it.
        Raises ExecutorError for what the system could not do; the node then ends in phase Error.
        """
        ...

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Ask the work to end, and end it after ``grace``. ``run`` returns its outcome; stopping twice is harmless."""
        ...

    async def close(self, context: RunContext) -> None:
        """The run has ended: remove what was kept for it (volumes, networks), and nothing else."""
        ...


class Snapshot(Protocol):
    """A run as it stands."""

    @property
    def row(self) -> RunRow: ...
    @property
    def nodes(self) -> Mapping[NodeId, Node]: ...
    def to_json(self) -> JsonObject:
        """The Workflow object with its ``status``, fit to be shown."""
        ...


class Watched(Protocol):
    """A run that can be looked at; every ``flowcore.Run`` is one."""

    def snapshot(self) -> Snapshot:
        """The run as it stands now."""
        ...


class HeldCatalog(Catalog, Protocol):
    """A catalog that holds a connection."""

    def close(self) -> None:
        """Give the connection up."""
        ...


@runtime_checkable
class CheckingExecutor(Executor, Protocol):
    """An executor that can say of a document, before anything runs, what it cannot do."""

    def check(self, manifest: JsonObject, catalog: Catalog) -> Sequence[Problem]:
        """The problems, each with its path in the document; their rule is ``backend``. Raises ExecutorError where that cannot be found out."""
        ...


@runtime_checkable
class HostExecutor(Executor, Protocol):
    """An executor whose backend also has documents and caches of its own, and a place where others look at runs, as a cluster has."""

    def catalog(self, given: Catalog | None = None) -> HeldCatalog:
        """What ``given`` has, and beyond that what the backend has."""
        ...

    def cache(self) -> Cache | None:
        """Where the backend keeps remembered outputs; None if they are to be kept elsewhere."""
        ...

    def shown(self, run: Watched) -> AbstractAsyncContextManager[None]:
        """Show the run to the backend's other users while the block lasts, and how it stands at its end; nothing if that is not wanted."""
        ...


@dataclass(frozen=True, slots=True)
class Foreseen:
    """An outcome that is known beforehand, and how long after the start it comes; ``ready_after`` is when a daemon is up."""

    outcome: Outcome | None  # None: runs until it is stopped
    after: timedelta = timedelta(0)
    ready_after: timedelta = timedelta(0)
    pod_ip: str | None = None


@runtime_checkable
class ForeseeingExecutor(Protocol):
    """An executor that may know the outcome of an invocation without running anything; such a node costs no asyncio task."""

    def foresee(self, invocation: Invocation) -> Foreseen | None:
        """The outcome, or None when ``run`` must be awaited."""
        ...

    def foresee_resume(self, invocation: Invocation) -> ForeseenResume | None:
        """When and with which outputs somebody resumes this suspend node, or None if nobody does."""
        ...


@runtime_checkable
class AttendingExecutor(Protocol):
    """An executor that wants to know of a run before its first invocation."""

    def attend(self, context: RunContext) -> None:
        """A run begins, or goes on after its process ended; ``close`` is its end."""
        ...


@runtime_checkable
class ForgettingExecutor(Protocol):
    """An executor whose work outlives its process, and which must not take up what an earlier end of the run left under a pod's name."""

    async def forget(self, pods: Sequence[str], context: RunContext) -> None:
        """A retry begins these pods anew: remove what is left of them, and return when their names are free. Raises ExecutorError."""
        ...


@dataclass(frozen=True, slots=True)
class ForeseenResume:
    """That a suspend node is resumed ``after`` it began to wait, with ``parameters`` as outputs; ``failed`` with ``message`` instead of resumed."""

    after: timedelta = timedelta(0)
    parameters: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False
    message: str = ""


class Clock(Protocol):
    """Time, as a run sees it."""

    @property
    def virtual(self) -> bool:
        """Whether time passes only when the runner says so."""
        ...

    def now(self) -> datetime:
        """The time, with a zone."""
        ...

    def advance_to(self, at: datetime) -> None:
        """Let a virtual clock show ``at``; a real clock ignores it."""
        ...


class Store(Protocol):
    """Keeps the rows of runs. Rows are upserts, saved before the deed."""

    async def save(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject | None = None) -> None:
        """Record the run's row and the changed nodes in one transaction; ``manifest`` (the workflow as submitted) comes with the first save."""
        ...

    async def load(self, name: str, namespace: str) -> StoredRun | None:
        """All that was recorded of a run, or None."""
        ...


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as a store gives it back."""

    run: RunRow
    nodes: Sequence[Node]
    manifest: JsonObject


class Locks(Protocol):
    """Mutexes and semaphores, shared by the runs of a process."""

    def acquire(self, holder: str, locks: Sequence[JsonObject], *, namespace: str, priority: int, created: datetime) -> LockAnswer:
        """Try to take all of ``locks`` for ``holder`` at once; if that cannot be, ``holder`` queues. Asking again is harmless."""
        ...

    def release(self, holder: str) -> Sequence[str]:
        """Give back all that ``holder`` holds or waits for; returns the waiting holders that should ask again, first come first."""
        ...

    def watch(self, wake: Callable[[str], None]) -> Callable[[], None]:
        """Call ``wake(holder)`` when a waiting holder should ask again; returns how to stop watching."""
        ...


@dataclass(frozen=True, slots=True)
class LockAnswer:
    """Whether the locks were got; if not, the name of what is waited for and a message as Argo words it, or an error."""

    granted: bool
    waiting: str | None = None
    message: str = ""
    error: str | None = None


class Cache(Protocol):
    """Remembered outputs (memoization)."""

    async def recall(self, cache: str, key: str, *, namespace: str, max_age: timedelta | None, now: datetime) -> CacheAnswer:
        """What is remembered under ``key``; entries older than ``max_age`` are a miss."""
        ...

    async def remember(self, cache: str, key: str, *, namespace: str, node: NodeId, outputs: JsonObject | None, now: datetime) -> None:
        """Remember ``outputs``."""
        ...


@dataclass(frozen=True, slots=True)
class CacheAnswer:
    """A hit with its outputs (which may be None), a miss, or an ``error``, which ends the node that asked."""

    hit: bool
    outputs: JsonObject | None = None
    error: str | None = None


__all__ = [
    "ArtifactStore",
    "Cache",
    "CacheAnswer",
    "Catalog",
    "ChangingCatalog",
    "CheckingExecutor",
    "Clock",
    "Executor",
    "FollowedCatalog",
    "ForeseeingExecutor",
    "Foreseen",
    "ForeseenResume",
    "ForgettingExecutor",
    "HeldCatalog",
    "HostExecutor",
    "Invocation",
    "KeptDocuments",
    "LockAnswer",
    "Locks",
    "Logged",
    "MemberOutcome",
    "Outcome",
    "Progressed",
    "Ready",
    "Report",
    "Reporter",
    "RunContext",
    "Snapshot",
    "Started",
    "Store",
    "StoredRun",
    "Watched",
]
