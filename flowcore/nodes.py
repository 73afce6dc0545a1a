"""Rows: all that the engine remembers of a run, and all that a store must keep.

One flat ``Node`` for each node of the tree (Argo's ``status.nodes``) and one ``RunRow`` for the run as a whole. Names, ids and pod names
follow Argo's rules, so that equal workflows give equal ids on every backend and in Argo itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import NewType

from flowcore.jsontypes import JsonObject

NodeId = NewType("NodeId", str)


class NodeType(StrEnum):
    """What a node is. ``Skipped`` is also the type of a node that could not be made (phase Error) or was omitted."""

    POD = "Pod"
    CONTAINER = "Container"
    STEPS = "Steps"
    STEP_GROUP = "StepGroup"
    DAG = "DAG"
    TASK_GROUP = "TaskGroup"
    RETRY = "Retry"
    SKIPPED = "Skipped"
    SUSPEND = "Suspend"
    HTTP = "HTTP"
    PLUGIN = "Plugin"

    @property
    def composite(self) -> bool:
        """Whether nodes of this type have no work of their own: their phase follows from other nodes."""
        return self in _COMPOSITE


_COMPOSITE = frozenset({NodeType.STEPS, NodeType.STEP_GROUP, NodeType.DAG, NodeType.TASK_GROUP, NodeType.RETRY})


class Phase(StrEnum):
    """The phase of a node."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"
    SKIPPED = "Skipped"
    OMITTED = "Omitted"

    @property
    def fulfilled(self) -> bool:
        """Whether nothing more will happen to a node in this phase."""
        return self is not Phase.PENDING and self is not Phase.RUNNING

    @property
    def completed(self) -> bool:
        """Whether the node ran to an end: Succeeded, Failed or Error."""
        return self is Phase.SUCCEEDED or self is Phase.FAILED or self is Phase.ERROR

    @property
    def failed_or_error(self) -> bool:
        return self is Phase.FAILED or self is Phase.ERROR


class WorkflowPhase(StrEnum):
    """The phase of a run. ``UNKNOWN`` (empty) is a run that the engine has not looked at yet."""

    UNKNOWN = ""
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"

    @property
    def completed(self) -> bool:
        return self in (WorkflowPhase.SUCCEEDED, WorkflowPhase.FAILED, WorkflowPhase.ERROR)


class Shutdown(StrEnum):
    """How a run was told to end before its time: ``Stop`` still runs exit handlers, ``Terminate`` runs nothing more."""

    NONE = ""
    STOP = "Stop"
    TERMINATE = "Terminate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One row of ``status.nodes``. Changed only by replacing it, so that whoever holds one may keep it."""

    id: NodeId
    name: str
    display_name: str
    type: NodeType
    seq: int = 0  # the order of creation; gives children their order
    template_name: str = ""
    template_ref: JsonObject | None = None  # {name, template, clusterScope}
    template_scope: str = ""  # local/WF, namespaced/TEMPLATE, cluster/TEMPLATE
    phase: Phase = Phase.PENDING
    message: str = ""
    boundary: NodeId | None = None  # the Steps or DAG node (or pod, for container members) around it
    owner: NodeId | None = None  # the node that is told when this one ends: group, wrapper, hooked node
    parents: tuple[NodeId, ...] = ()  # the nodes that list this one among their ``children``
    outbound: tuple[NodeId, ...] = ()  # where the graph leaves a finished Steps or DAG node
    started_at: datetime | None = None
    finished_at: datetime | None = None
    wake_at: datetime | None = None  # set exactly while a back-off, a suspension or a deadline is pending
    inputs: JsonObject | None = None  # {parameters: [...], artifacts: [...]}, as Argo stores them
    outputs: JsonObject | None = None  # {result, exitCode, parameters, artifacts}
    daemoned: bool = False
    hooked: bool = False  # made by a lifecycle hook or an exit handler
    retried: bool = False  # one attempt of a Retry node
    pod_ip: str | None = None
    host_node_name: str | None = None
    progress: str | None = None  # what the work itself reported, as N/M
    waiting: str | None = None  # the lock that it waits for
    memoization: JsonObject | None = None  # {hit, key, cacheName}

    @property
    def fulfilled(self) -> bool:
        """Nothing more is waited for: the phase is final, or it is a daemon that is up."""
        return self.phase.fulfilled or (self.daemoned and self.phase is not Phase.PENDING)


_read_all = attrgetter(*Node.__slots__)
_writers: dict[str, Callable[[Node, object], None]] = {name: getattr(Node, name).__set__ for name in Node.__slots__}


def changed(row: Node, **changes: object) -> Node:
    """``row`` with other values, as ``dataclasses.replace`` gives it in three times the time; ``row`` itself if nothing is different."""
    if all(getattr(row, name) == value for name, value in changes.items()):
        return row
    made = object.__new__(Node)
    for write, value in zip(_writers.values(), _read_all(row), strict=True):
        write(made, value)
    for name, value in changes.items():
        _writers[name](made, value)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """What is known of a run as a whole: its status without the nodes, and the orders given to it."""

    name: str
    namespace: str = "default"
    uid: str = ""
    phase: WorkflowPhase = WorkflowPhase.UNKNOWN
    message: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    shutdown: Shutdown = Shutdown.NONE
    suspended: bool = False
    outputs: JsonObject | None = None  # global outputs: {parameters, artifacts}
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    conditions: tuple[JsonObject, ...] = ()
    synchronization: JsonObject | None = None  # {semaphore|mutex: {holding, waiting}}


_FNV_OFFSET, _FNV_PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


@lru_cache(maxsize=4096)  # each name is asked for several times while its node is made
def fnv1a(text: str) -> int:
    """The 32-bit FNV-1a hash of ``text`` in UTF-8, which Argo derives ids from."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = ((value ^ byte) * _FNV_PRIME) & _MASK
    return value


def node_id(workflow: str, name: str) -> NodeId:
    """The id of the node called ``name``: the workflow's own name for the root, else that and a hash."""
    return NodeId(workflow if name == workflow else f"{workflow}-{fnv1a(name)}")


POD_NAME_FORMAT = "workflows.argoproj.io/pod-name-format"  # the annotation that says by which version pods are named
_POD_NAME_LIMIT = 253
_HASH_LENGTH = 10


def pod_name_version(run: RunRow) -> str:
    """The version by which the pods of a run that has begun are named."""
    return (run.annotations or {}).get(POD_NAME_FORMAT) or "v2"


def pod_name(workflow: str, name: str, template: str, *, version: str = "v2") -> str:
    """The name of the pod (container, process) of a node, as Argo's pod name format v2 (or v1) has it."""
    if version == "v1" or name == workflow:
        return node_id(workflow, name)
    prefix = f"{workflow}-{template}" if template else workflow
    return f"{prefix[: _POD_NAME_LIMIT - _HASH_LENGTH - 1]}-{fnv1a(name)}"


_LAST_STEP = re.compile(r"(\([^)]*\)|\[[^\]]*\])$")


def step_name_of(name: str) -> str:
    """The step or task that a node name ends in, without loop and retry suffixes: ``wf[0].flip(0:a)(2)`` gives ``flip``."""
    while True:
        stripped = _LAST_STEP.sub("", name)
        if stripped == name:
            break
        name = stripped
    return name.rsplit(".", 1)[-1]
