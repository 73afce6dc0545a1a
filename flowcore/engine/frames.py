"""Frames: what the engine keeps in memory of a node that is under way, beside its row.

A frame holds nothing that could not be made again from the rows and the plan: after a crash the engine walks down from the root and makes
them anew. ``calls.Call`` says what was asked for, ``Processed`` is the template with its inputs bound.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TypeAlias

from flowcore.engine.calls import Call, Loop
from flowcore.jsontypes import JsonObject
from flowcore.language.depends import Depends
from flowcore.language.scope import Scope
from flowcore.nodes import NodeId
from flowcore.plan.arguments import Processed
from flowcore.plan.graph import Ancestry
from flowcore.plan.templates import Base


@dataclass(slots=True, kw_only=True)
class LeafFrame:
    """A node that an executor runs, or a suspend node, or one that waits for a lock or the cache before it may begin."""

    node: NodeId
    call: Call
    processed: Processed
    base: Base
    begun: bool = False


@dataclass(slots=True, kw_only=True)
class RetryFrame:
    """A Retry node; ``processed`` is the template before the attempt's own variables are put in.

    ``in_its_name`` is what is carried on in the name of a hook that counts as an attempt.
    """

    node: NodeId
    call: Call
    processed: Processed
    base: Base
    in_its_name: Frame | None = None


Item: TypeAlias = "tuple[Loop, int]"  # one item of a loop


@dataclass(slots=True)
class GroupState:
    """What is going on in one step group, or below one TaskGroup.

    ``waiting`` are the calls that were not started yet, in the order of the document; ``unsettled`` the children that are not done with all
    that belongs to them (hooks, exit handlers). ``calls`` has the call of each child whose call says more than a template's name.
    """

    waiting: deque[JsonObject | Loop] = field(default_factory=deque)
    unsettled: dict[NodeId, None] = field(default_factory=dict)
    calls: dict[NodeId, JsonObject | Item] = field(default_factory=dict)
    changed: dict[NodeId, None] = field(default_factory=dict)  # attentive only: what changed and was not looked at since
    attentive: bool = False  # some child has hooks or an exit handler: all unsettled children are looked at, in order
    resolved: bool = False
    refused: bool = False  # an item found no free slot: a loop is not complete before it was made


@dataclass(slots=True, kw_only=True)
class StepsFrame:
    """A Steps node."""

    node: NodeId
    call: Call
    processed: Processed
    base: Base
    scope: Scope
    groups: list[list[JsonObject]]
    referenced: frozenset[str] | None
    index: int = 0
    states: dict[int, GroupState] = field(default_factory=dict)


class Candidates:
    """The tasks of a DAG that are to be looked at, dependencies first; each is in here once at most."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._names: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, name: str, position: int) -> None:
        """Have ``name``, which is at ``position`` in the order of tasks, looked at."""
        if name not in self._names:
            self._names.add(name)
            heappush(self._heap, (position, name))

    def pop(self) -> str:
        """The next task to look at."""
        name = heappop(self._heap)[1]
        self._names.discard(name)
        return name


@dataclass(slots=True, kw_only=True)
class DagFrame:
    """A DAG node. ``order`` is the order in which tasks are looked at: dependencies before dependents, targets by name."""

    node: NodeId
    call: Call
    processed: Processed
    base: Base
    inputs: Scope
    tasks: dict[str, JsonObject]
    order: dict[str, int]
    targets: list[str]
    dependencies: dict[str, tuple[str, ...]]
    dependents: dict[str, tuple[str, ...]]
    ancestry: Ancestry
    logic: dict[str, Depends | None]
    ids: dict[str, NodeId]  # of the tasks' nodes, made or not
    task_of: dict[NodeId, str] = field(default_factory=dict)
    wanted: dict[str, frozenset[str] | None] = field(default_factory=dict)  # the tasks that a task's text names (None: perhaps any)
    candidates: Candidates = field(default_factory=Candidates)
    unsettled: dict[NodeId, None] = field(default_factory=dict)
    loops: dict[str, GroupState] = field(default_factory=dict)
    broken_loops: dict[str, str] = field(default_factory=dict)  # loops that are over, and why their outputs cannot be gathered
    postponed: list[str] = field(default_factory=list)  # tasks whose exit handler found no free slot


Frame: TypeAlias = LeafFrame | RetryFrame | StepsFrame | DagFrame
