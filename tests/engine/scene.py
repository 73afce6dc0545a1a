"""An engine and the little world around it: rows as a store would keep them, work under way, timers and questions that wait for answers.

Every reaction is recorded and checked: the engine's counters are those that the rows give, and the recorded rows are the engine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from textwrap import dedent, indent
from typing import Any

import flowcore
from flowcore.engine.engine import Engine, Reaction
from flowcore.engine.messages import (
    Acquire,
    AwaitResume,
    Command,
    Event,
    Finished,
    Granted,
    Invocation,
    Opened,
    Outcome,
    Ready,
    Recall,
    Recalled,
    Refused,
    Release,
    Remember,
    Start,
    Started,
    Stop,
    Wake,
    Woken,
)
from flowcore.nodes import Node, NodeId, Phase, RunRow, node_id
from flowcore.plan.plan import Documents, PlanOptions, compile_plan

START = datetime(2024, 1, 1, tzinfo=UTC)
LEAF = "{name: leaf, container: {image: alpine, command: ['true']}}"


def workflow(spec: str) -> flowcore.Workflow:
    """The workflow ``wf`` with this spec; its entrypoint is ``main``, and there is a template ``leaf``."""
    head = "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nmetadata: {name: wf}\nspec:\n  entrypoint: main\n"
    body = indent(dedent(spec), "  ")
    if "templates:" not in body:
        body += "\n  templates:\n"
    return flowcore.load_workflow(head + body.rstrip() + f"\n  - {LEAF}\n")


class Scene:
    """An engine that is told events, and what came of them."""

    def __init__(
        self,
        spec: str | dict[str, Any] | flowcore.Workflow,
        *,
        catalog: Documents | None = None,
        parameters: Mapping[str, str] | None = None,
        options: PlanOptions | None = None,
        opened: bool = True,
    ) -> None:
        document = workflow(spec) if isinstance(spec, str) else spec
        self.plan = compile_plan(document, catalog=catalog, created_at=START, uid="uid", parameters=parameters, options=options)
        self.engine = Engine(self.plan)
        self.now = START
        self.rows: dict[NodeId, Node] = {}
        self.run: RunRow = self.plan.run
        self.commands: list[Command] = []
        self.working: dict[NodeId, Invocation] = {}
        self.stopped: set[NodeId] = set()
        self.timers: dict[NodeId | None, datetime] = {}
        self.asked: dict[NodeId | None, Acquire | Recall] = {}
        self.awaited: dict[NodeId, Invocation] = {}
        self.remembered: dict[NodeId, Remember] = {}
        if opened:
            self.tell(Opened())

    # --- telling ------------------------------------------------------------------------------------------------------------------

    def tell(self, *events: Event) -> Reaction:
        """Have the engine handle ``events``, record what it says, and check that all of it agrees."""
        reaction = self.engine.handle(events, self.now)
        self.take(reaction)
        self.engine.check()
        assert dict(self.engine.nodes) == self.rows
        assert self.engine.run == self.run
        return reaction

    def take(self, reaction: Reaction) -> None:
        """Record a reaction and take note of its commands."""
        for row in reaction.nodes:
            self.rows[row.id] = row
        self.run = reaction.run
        self.commands = list(reaction.commands)
        for command in reaction.commands:
            self._note(command)

    def _note(self, command: Command) -> None:
        match command:
            case Start(invocation):
                self.working[invocation.node] = invocation
            case Stop(node):
                self.stopped.add(node)
            case Wake(node, at):
                self.timers[node] = at
            case AwaitResume(invocation):
                self.awaited[invocation.node] = invocation
            case Acquire(node) | Recall(node):
                self.asked[node] = command
            case Release(node):
                self.asked.pop(node, None)
            case Remember(node):
                self.remembered[node] = command

    def reopen(self) -> Reaction:
        """Throw the engine away and open the run again from the recorded rows."""
        self.engine = Engine(self.plan, self.rows.values(), self.run)
        self.working, self.stopped, self.timers, self.asked, self.awaited = {}, set(), {}, {}, {}
        return self.tell(Opened())

    # --- the world's part ---------------------------------------------------------------------------------------------------------

    def id(self, name: str) -> NodeId:
        """The id of the node ``name``; names that begin with a dot or a bracket are below the root."""
        full = f"wf{name}" if name[:1] in (".", "[", "(") else name
        return node_id("wf", full)

    def node(self, name: str) -> Node:
        """The row of the node ``name``."""
        return self.rows[self.id(name)]

    def invocation(self, name: str) -> Invocation:
        """What the executor was given for ``name``, which must be under way."""
        return self.working[self.id(name)]

    def begin(self, *names: str) -> Reaction:
        """Report that the work of the named nodes began."""
        return self.tell(*(Started(self.id(name)) for name in names))

    def end(self, name: str, phase: Phase = Phase.SUCCEEDED, **outcome: Any) -> Reaction:
        """Report that the work of ``name`` ended."""
        self.working.pop(self.id(name))
        return self.tell(Finished(self.id(name), Outcome(phase=phase, **outcome)))

    def succeed(self, *names: str, **outcome: Any) -> None:
        """Have the work of each node end well, one after another."""
        for name in names:
            self.end(name, exit_code=0, **outcome)

    def fail(self, *names: str, code: int = 1, message: str = "", **outcome: Any) -> None:
        """Have the work of each node end with an exit code."""
        for name in names:
            self.end(name, Phase.FAILED, exit_code=code, message=message or f"main: Error (exit code {code})", **outcome)

    def up(self, name: str, ip: str = "10.0.0.1") -> Reaction:
        """Report that all containers of a daemon are ready."""
        return self.tell(Started(self.id(name)), Ready(self.id(name), ip))

    def grant(self, name: str | None) -> Reaction:
        """Give a node (None: the run) the locks that it asked for."""
        node = self.id(name) if name is not None else None
        assert isinstance(self.asked.pop(node), Acquire)
        return self.tell(Granted(node))

    def refuse(self, name: str, lock: str = "default/Mutex/m") -> Reaction:
        """Have a node queue for ``lock``, which it asked for."""
        assert isinstance(self.asked[self.id(name)], Acquire)
        return self.tell(Refused(self.id(name), f"Waiting for {lock} lock. Lock status: 0/1", lock))

    def recall(self, name: str, outputs: Any = None, *, hit: bool = False, error: str | None = None) -> Reaction:
        """Answer a node's question to the cache."""
        assert isinstance(self.asked.pop(self.id(name)), Recall)
        return self.tell(Recalled(self.id(name), hit, outputs, error))

    def wait(self, **length: float) -> Reaction | None:
        """Let time pass; wakes whoever asked for it, in the order of time."""
        until, reaction = self.now + timedelta(**length), None
        while self.timers and min(self.timers.values()) <= until:
            at = min(self.timers.values())
            self.now = max(at, self.now)
            due = [node for node, time in self.timers.items() if time == at]
            for node in due:
                del self.timers[node]
            reaction = self.tell(*(Woken(node) for node in due))
        self.now = until
        return reaction

    # --- what can be seen ---------------------------------------------------------------------------------------------------------

    @property
    def phase(self) -> str:
        return str(self.run.phase)

    def short(self, node: NodeId) -> str:
        """The name of a node without the run's own."""
        return self.rows[node].name.removeprefix("wf") or "wf"

    def phases(self) -> dict[str, str]:
        """The phase of each node, by its short name, in the order of creation."""
        return {self.short(row.id): str(row.phase) for row in sorted(self.rows.values(), key=lambda row: row.seq)}

    def under_way(self) -> list[str]:
        """The short names of what an executor works on, in the order of starting."""
        return [self.short(node) for node in self.working]

    def started(self) -> list[str]:
        """The short names of what the last reaction started."""
        return [self.short(command.invocation.node) for command in self.commands if isinstance(command, Start)]

    def value(self, name: str, parameter: str) -> object:
        """An input parameter of what is under way at ``name``."""
        listed: Any = (self.invocation(name).inputs or {})["parameters"]
        return next(item["value"] for item in listed if item["name"] == parameter)

    def children(self, name: str) -> list[str]:
        """The short names of the children of a node."""
        return [self.short(child) for child in self.engine.children(self.id(name))]
