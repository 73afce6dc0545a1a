"""The state that the engine derives from rows, and the scratch sheet of one turn.

``State`` holds the rows and what can be rebuilt from them: who is whose child, how many pods are active, which nodes changed and were not
looked at since. ``Turn`` is the only way to change a row; it notes what changed, for the store, and what is wanted, for the runner.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from flowcore.engine.calls import NotNow
from flowcore.engine.messages import Acquire, Command, Granted, Recall, Recalled, Refused, Release, Remember
from flowcore.jsontypes import JsonObject
from flowcore.language.scope import Scope
from flowcore.language.tags import substitute
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, changed, node_id
from flowcore.plan.plan import Plan

if TYPE_CHECKING:
    from flowcore.engine.calls import Call
    from flowcore.engine.frames import Frame

_COUNTED = frozenset({NodeType.POD, NodeType.STEPS, NodeType.DAG})
_LEAVES = frozenset({NodeType.POD, NodeType.SUSPEND, NodeType.HTTP, NodeType.PLUGIN})
_FRAMED = _LEAVES | {NodeType.STEPS, NodeType.DAG, NodeType.RETRY}
RECALLING = "cache"  # what a node waits for until the cache has answered; what comes after it finds its slot taken
_SEPARATOR = re.compile(r"^(\[\d+\])?\.")


Ask = Callable[["Acquire | Release | Recall | Remember"], "Granted | Refused | Recalled | None"]


class State:
    """The rows of a run and what is derived from them."""

    def __init__(self, plan: Plan, rows: Iterable[Node], run: RunRow) -> None:
        self.plan = plan
        self.run = run
        self.nodes: dict[NodeId, Node] = {}
        self.children: dict[NodeId, list[NodeId]] = {}
        self.container_sets: set[NodeId] = set()  # the pods that have a node for each of their containers
        self.active_pods = 0
        self.recalling = 0
        self.active_pods_under: defaultdict[NodeId, int] = defaultdict(int)
        self.active_children_under: defaultdict[NodeId, int] = defaultdict(int)
        self.unsuccessful_under: defaultdict[NodeId, int] = defaultdict(int)
        self.daemons: dict[NodeId, None] = {}
        self.dirty: dict[NodeId, dict[NodeId, None]] = {}
        self.root_dirty = True
        self.frames: dict[NodeId, Frame] = {}
        self.unopened: set[NodeId] = set()  # recorded nodes that were under way, and have no frame yet
        self.blocked: dict[NodeId, None] = {}
        self.granted: set[NodeId] = set()
        self.recalled: set[NodeId] = set()
        self.asked: set[NodeId] = set()  # nodes that wait at a gate
        self.answered: set[NodeId] = set()  # those of them that got their answer, and have not gone on since
        self.refused: dict[NodeId, str] = {}
        self.questions: dict[NodeId, set[str]] = {}
        self.stopping: set[NodeId] = set()
        self.late: set[NodeId] = set()
        self.globals = Scope()  # what holds for the whole run, and its outputs so far
        self.current = self.globals.child()  # the run's status, duration and failures on top, as of this pass
        self.shared = self.current.child()  # global artifacts on top: only what resolves artifacts sees them
        self.ask: Ask | None = None  # who answers at once what is asked for at gates
        self.open_leaves = 0
        self.wait_for_slot = False
        self.timers = 0
        self.seq = 0
        for row in sorted(rows, key=lambda row: row.seq):
            self._insert(row)

    def _insert(self, row: Node) -> None:
        self.nodes[row.id] = row
        self.seq = max(self.seq, row.seq)
        for parent in row.parents:
            self.children.setdefault(parent, []).append(row.id)
        self._count(row, 1)
        if row.daemoned:
            self.daemons[row.id] = None
        if row.type in _FRAMED and not row.phase.fulfilled:
            self.unopened.add(row.id)
        if row.type is NodeType.CONTAINER and row.boundary is not None:
            self.container_sets.add(row.boundary)

    def _count(self, row: Node, by: int) -> None:
        if not row.phase.fulfilled:
            if row.type in _LEAVES and not row.daemoned and row.waiting is None:
                self.open_leaves += by
            if row.wake_at is not None:
                self.timers += by
            if row.waiting == RECALLING:
                self.recalling += by
        if row.type not in _COUNTED:
            return
        boundary = row.boundary
        if not row.phase.fulfilled:
            if row.type is NodeType.POD and row.waiting is None:
                self.active_pods += by
                if boundary is not None:
                    self.active_pods_under[boundary] += by
            if boundary is not None:
                self.active_children_under[boundary] += by
        elif boundary is not None and row.phase.failed_or_error:
            self.unsuccessful_under[boundary] += by

    def arguments(self) -> JsonObject:
        """The workflow's arguments with the globals filled in, as exit handlers get them."""
        arguments = self.plan.spec.get("arguments")
        return substitute(arguments, self.current) if isinstance(arguments, dict) else {}

    def touch(self, row: Node) -> None:
        """Note that ``row`` must be looked at, and all that are told of it, up to the root."""
        while row.owner is not None:
            above = self.nodes.get(row.owner)
            if above is None:
                break
            if above.type.composite:
                self.dirty.setdefault(above.id, {})[row.id] = None
            row = above
        self.root_dirty = True

    def derived(self) -> dict[str, object]:
        """The counters, for comparison with those of a state rebuilt from the rows."""
        return {
            "active_pods": self.active_pods,
            "recalling": self.recalling,
            "open_leaves": self.open_leaves,
            "timers": self.timers,
            "active_pods_under": {key: count for key, count in self.active_pods_under.items() if count},
            "active_children_under": {key: count for key, count in self.active_children_under.items() if count},
            "unsuccessful_under": {key: count for key, count in self.unsuccessful_under.items() if count},
            "children": {key: listed for key, listed in self.children.items() if listed},
            "container_sets": sorted(self.container_sets),
            "daemons": sorted(self.daemons),
        }


@dataclass(slots=True)
class Turn:
    """The scratch sheet of one ``handle``: what it changed, and what it wants done."""

    state: State
    now: datetime
    frozen: bool = False  # a recorded run is being taken up: what would change a row raises NotNow
    changed: dict[NodeId, Node] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    progressed: bool = False
    depth: int = 0
    timed_out: set[NodeId] = field(default_factory=set)  # whose time was over before their work began

    @property
    def plan(self) -> Plan:
        return self.state.plan

    @property
    def run(self) -> RunRow:
        return self.state.run

    def get(self, node: NodeId) -> Node | None:
        """The row of ``node``, if it exists."""
        return self.state.nodes.get(node)

    def row(self, node: NodeId) -> Node:
        """The row of a node that exists."""
        return self.state.nodes[node]

    def id_of(self, name: str) -> NodeId:
        """The id of the node called ``name``: Argo's, unless another node has that already (its hash has 32 bits)."""
        plain = node_id(self.state.run.name, name)
        row = self.state.nodes.get(plain)
        if row is None or row.name == name:
            return plain
        number = 2
        while True:
            id_ = NodeId(f"{plain}-{number}")
            row = self.state.nodes.get(id_)
            if row is None or row.name == name:
                return id_
            number += 1

    def by_name(self, name: str) -> Node | None:
        """The row of the node called ``name``, if it exists."""
        row = self.state.nodes.get(node_id(self.state.run.name, name))
        return row if row is None or row.name == name else self.state.nodes.get(self.id_of(name))

    def take_dirty(self, node: NodeId) -> list[NodeId]:
        """The nodes beneath ``node`` that changed since this was asked last, in the order in which they were made."""
        changed = self.state.dirty.pop(node, None)
        return sorted(changed, key=lambda id_: self.state.nodes[id_].seq) if changed else []

    def children(self, node: NodeId) -> list[NodeId]:
        """The children of ``node`` in the order in which they became so."""
        return self.state.children.get(node, [])

    def put(self, row: Node, *, quietly: bool = False) -> Node:
        """Replace a row (or add it), and note it as changed; ``quietly`` if nobody needs to look at it for that."""
        state = self.state
        before = state.nodes.get(row.id)
        if before is not None:
            if before is row or before == row:
                return row
            if self.frozen:
                raise NotNow
            state._count(before, -1)  # noqa: SLF001 - the two classes are one room
        state.nodes[row.id] = row
        state._count(row, 1)  # noqa: SLF001 - as above
        if row.daemoned:
            state.daemons[row.id] = None
        elif before is not None and before.daemoned:
            state.daemons.pop(row.id, None)
        self.changed[row.id] = row
        if not quietly:
            self.progressed = True
            state.touch(row)
        return row

    def create(
        self,
        call: Call,
        node_type: NodeType,
        phase: Phase,
        *,
        message: str = "",
        inputs: JsonObject | None = None,
        outputs: JsonObject | None = None,
        display_name: str | None = None,
        template_name: str | None = None,
    ) -> Node:
        """Add the row of a new node; its parents are added by ``connect``."""
        if self.frozen:
            raise NotNow
        state = self.state
        state.seq += 1
        name = call.name
        boundary = state.nodes.get(call.boundary) if call.boundary is not None else None
        if display_name is None:
            display_name = name
            if boundary is not None:
                display_name = _SEPARATOR.sub("", name.removeprefix(boundary.name))
        row = Node(
            id=self.id_of(name),
            name=name,
            display_name=display_name,
            type=node_type,
            seq=state.seq,
            template_name=call.holder.template if template_name is None else template_name,
            template_ref=call.holder.ref,
            template_scope=call.base.scope,
            phase=phase,
            message=message,
            boundary=call.boundary,
            owner=call.owner,
            parents=call.parents,
            started_at=self.now,
            finished_at=self.now if phase.fulfilled else None,
            inputs=inputs,
            outputs=outputs,
            hooked=call.hooked,
            retried=call.retried,
        )
        for parent in call.parents:
            state.children.setdefault(parent, []).append(row.id)
        if node_type is NodeType.CONTAINER and call.boundary is not None:
            state.container_sets.add(call.boundary)
        return self.put(row)

    def mark(self, node: NodeId, phase: Phase, message: str | None = None) -> Node:
        """Set the phase of a node, and its message if one is given; the time of its end is set when it is fulfilled first."""
        row = self.state.nodes[node]
        finished = row.finished_at
        if finished is None and (phase.fulfilled or (row.daemoned and phase is not Phase.PENDING)):
            finished = self.now
        return self.put(changed(row, phase=phase, message=row.message if message is None else message, finished_at=finished))

    def connect(self, parent: NodeId, child: NodeId) -> None:
        """Make ``child`` a child of ``parent``; doing so twice is harmless."""
        row = self.state.nodes.get(child)
        if row is None or parent in row.parents:
            return
        if self.frozen:
            raise NotNow
        self.state.children.setdefault(parent, []).append(child)
        self.put(changed(row, parents=(*row.parents, parent)))

    def connect_all(self, parents: Iterable[NodeId], child: NodeId) -> None:
        """Make ``child`` a child of each of ``parents``, in one change of its row."""
        row = self.state.nodes.get(child)
        if row is None:
            return
        known = dict.fromkeys(row.parents)
        new = [parent for parent in dict.fromkeys(parents) if parent not in known]
        if self.frozen and new:
            raise NotNow
        for parent in new:
            known[parent] = None
            self.state.children.setdefault(parent, []).append(child)
        if new:
            self.put(changed(row, parents=tuple(known)))

    def tell(self, command: Release | Remember) -> None:
        """Have a lock given back, or outputs remembered."""
        if self.state.ask is None:
            self.commands.append(command)
        else:
            self.settle(command)

    def settle(self, command: Acquire | Release | Recall | Remember) -> Granted | Refused | Recalled | None:
        """Ask, or tell, him who answers at once."""
        return self.state.ask(command) if self.state.ask is not None else None

    def update_run(self, row: RunRow) -> None:
        """Replace the row of the run."""
        if row != self.state.run:
            if self.frozen:
                raise NotNow
            self.state.run = row
            self.progressed = True
