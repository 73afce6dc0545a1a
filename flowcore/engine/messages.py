"""What the engine is told and what it asks for: two unions of frozen dataclasses, and the two things that executors handle.

An event says what happened, in the past tense. A command says what to do, in the imperative. An ``Invocation`` is a leaf template with
every input filled in; an ``Outcome`` is how one ended, in memory, before the engine has judged it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from flowcore.jsontypes import JsonObject
from flowcore.models.templates import Template
from flowcore.nodes import NodeId, NodeType, Phase, Shutdown


@dataclass(slots=True, kw_only=True, eq=False)
class Invocation:
    """A leaf template with every input filled in, ready for an executor.

    ``body`` is the substituted template as plain JSON (camelCase), ``template`` the same as a typed model, made when first asked for.
    ``inputs`` holds the bound parameters and artifacts. ``pod_name`` is unique for the attempt and the same after a restart, so an executor can
    adopt what already runs under it. ``capture_result`` says that stdout is wanted as ``outputs.result``.
    """

    node: NodeId
    node_name: str
    display_name: str
    node_type: NodeType
    pod_name: str
    workflow: str
    namespace: str
    uid: str
    template_name: str
    body: JsonObject
    inputs: JsonObject | None = None
    attempt: int = 0
    capture_result: bool = False
    daemon: bool = False
    on_exit: bool = False
    step_name: str = ""
    deadline: datetime | None = None  # when the work will be stopped at the latest; the engine sends the Stop itself
    volumes: tuple[JsonObject, ...] = ()  # the run's volumes, substituted
    _template: Template | None = field(default=None, repr=False)

    @property
    def template(self) -> Template:
        """The substituted template as a typed model."""
        if self._template is None:
            self._template = Template.model_validate(self.body)
        return self._template


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberOutcome:
    """How one container of a containerSet ended."""

    phase: Phase
    exit_code: int | None = None
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one invocation ended, as its executor saw it.

    ``parameters`` are the declared output parameters that could be read, ``artifacts`` the declared output artifacts that were stored, each with
    its location as Argo writes it (``{"s3": {"key": ...}}``). Defaults for what is missing are the engine's business, and so is the judgement.
    """

    phase: Phase
    message: str = ""
    exit_code: int | None = None
    result: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    artifacts: Mapping[str, JsonObject] = field(default_factory=dict)
    members: Mapping[str, MemberOutcome] = field(default_factory=dict)
    outputs: JsonObject | None = None  # complete outputs, from plugins that may return any
    host_node_name: str | None = None
    progress: str | None = None


# --- events -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """The run was opened: for the first time (no rows yet), or again after a crash."""


@dataclass(frozen=True, slots=True)
class Started:
    """The work of a node began to run."""

    node: NodeId
    host_node_name: str | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """All containers of a node are ready: for a daemon, this fulfils it."""

    node: NodeId
    pod_ip: str | None = None


@dataclass(frozen=True, slots=True)
class Progressed:
    """A node reported its own progress (``N/M``) or why it is still pending."""

    node: NodeId
    progress: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The work of a node ended."""

    node: NodeId
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Woken:
    """A point in time that a ``Wake`` asked for has come; ``node`` is None for the run's own deadline."""

    node: NodeId | None


@dataclass(frozen=True, slots=True)
class Granted:
    """All locks that a node (None: the run) asked for are its own now."""

    node: NodeId | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The locks that a node (None: the run) asked for cannot be had: ``waiting`` is what it queues for, ``error`` why it never will get it."""

    node: NodeId | None
    message: str = ""
    waiting: str | None = None
    error: bool = False


@dataclass(frozen=True, slots=True)
class Recalled:
    """The cache answered: ``outputs`` of an earlier run of equal key, or a miss."""

    node: NodeId
    hit: bool
    outputs: JsonObject | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ShutdownRequested:
    """Somebody stopped or terminated the run."""

    strategy: Shutdown


@dataclass(frozen=True, slots=True)
class SuspendRequested:
    """Somebody suspended the run: what runs goes on, nothing new starts."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """Somebody resumed the run, or the suspend nodes that ``selector`` matches (field=value, joined by commas)."""

    selector: str = ""


@dataclass(frozen=True, slots=True)
class NodeSetRequested:
    """Somebody set outputs, phase or message of the active suspend nodes that ``selector`` matches."""

    selector: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    phase: Phase | None = None
    message: str | None = None


Event: TypeAlias = (
    Opened
    | Started
    | Ready
    | Progressed
    | Finished
    | Woken
    | Granted
    | Refused
    | Recalled
    | ShutdownRequested
    | SuspendRequested
    | ResumeRequested
    | NodeSetRequested
)

# --- commands ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Start the work of a node, or adopt what already runs under its pod name."""

    invocation: Invocation


@dataclass(frozen=True, slots=True)
class Stop:
    """End the work of a node; its ``Finished`` still comes."""

    node: NodeId
    grace: timedelta


@dataclass(frozen=True, slots=True)
class Wake:
    """Send ``Woken(node)`` at ``at``; a later ``Wake`` for the same node replaces an earlier one."""

    node: NodeId | None
    at: datetime


@dataclass(frozen=True, slots=True)
class AwaitResume:
    """A suspend node waits for somebody; executors that script the world may answer it."""

    invocation: Invocation


@dataclass(frozen=True, slots=True)
class Acquire:
    """Ask for all of ``locks`` (Argo's ``synchronization``, names substituted) at once, for a node or for the run."""

    node: NodeId | None
    locks: tuple[JsonObject, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Give back what a node (None: the run) holds or waits for."""

    node: NodeId | None


@dataclass(frozen=True, slots=True)
class Recall:
    """Look up the outputs that are remembered under ``key`` in ``cache``, unless they are older than ``max_age``."""

    node: NodeId
    cache: str
    key: str
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Remember:
    """Remember ``outputs`` under ``key`` in ``cache``."""

    node: NodeId
    cache: str
    key: str
    outputs: JsonObject | None


Command: TypeAlias = Start | Stop | Wake | AwaitResume | Acquire | Release | Recall | Remember
