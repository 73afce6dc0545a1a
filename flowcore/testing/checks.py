"""The result of a run that a test looks at: what happened, in what order, and assertions whose failures draw the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import NoReturn

from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, NodeId, NodeType, Phase, WorkflowPhase
from flowcore.ports import Invocation
from flowcore.results import Outputs, RunResult
from flowcore.testing.drawing import drawn, tree
from flowcore.testing.naming import attempts_of, find_node, near, path_of
from flowcore.testing.views import NodeView

__tracebackhide__ = True  # a failing check is shown where the test made it
_GROUPS = frozenset({NodeType.STEP_GROUP, NodeType.TASK_GROUP, NodeType.STEPS, NodeType.DAG, NodeType.RETRY, NodeType.CONTAINER})


class FlowResult:
    """A run at its end. Methods that check something raise AssertionError with the drawn tree, and give the result back."""

    def __init__(self, run: RunResult, calls: Sequence[Invocation], keep: Callable[[FlowResult, str], None] | None = None) -> None:
        self.run = run
        self.calls = tuple(calls)
        self._by_node = {call.node: call for call in calls}
        self._keep = keep

    def __repr__(self) -> str:
        return f"<FlowResult {self.run.name}: {self.phase}, {len(self.run.nodes)} nodes>"

    def __str__(self) -> str:
        return drawn(self.run)

    @property
    def name(self) -> str:
        return self.run.name

    @property
    def phase(self) -> WorkflowPhase:
        """How the run ended: Succeeded, Failed or Error."""
        return self.run.phase

    @property
    def message(self) -> str:
        return self.run.message

    @property
    def duration(self) -> timedelta:
        """How long the run took, in its own time."""
        return self.run.duration or timedelta(0)

    @property
    def outputs(self) -> Outputs:
        """The global outputs of the run."""
        return self.run.outputs

    @property
    def tree(self) -> str:
        """The tree as a table."""
        return tree(self.run)

    def to_json(self) -> JsonObject:
        """The Workflow with its status, as Argo writes it."""
        return self.run.to_json()

    # --- nodes ----------------------------------------------------------------------------------------------------------------------

    def node(self, name: str) -> NodeView:
        """The node called so: by step or task (``deploy``), by the path to it (``main.deploy``), or by its full name.

        Raises AssertionError, with the tree, if there is none or more than one.
        """
        try:
            found = find_node(self.run, name)
        except LookupError as error:
            self._fail(str(error.args[0]))
        if found is None:
            names = [path_of(self.run, node) for node in self.run.nodes.values()]
            self._fail(f"no node is called {name!r}{near(name, [*names, *(node.display_name for node in self.run.nodes.values())])}")
        return self._view(found)

    @property
    def nodes(self) -> list[NodeView]:
        """All nodes, in the order in which they were made."""
        return [self._view(node) for node in sorted(self.run.nodes.values(), key=lambda node: node.seq)]

    @property
    def order(self) -> list[str]:
        """The display names of all work that was started, in the order of its start."""
        return [node.display_name for node in self._started()]

    @property
    def skipped(self) -> list[str]:
        """The display names of steps and tasks that were not run: their condition was false, or what they depend on did not happen."""
        return [node.display_name for node in self._by_seq() if node.phase in (Phase.SKIPPED, Phase.OMITTED)]

    @property
    def hooks(self) -> list[NodeView]:
        """Lifecycle hooks and exit handlers that fired, in order; what is below them is not listed."""
        return [self._view(node) for node in self._by_seq() if node.hooked and node.type not in (NodeType.STEP_GROUP, NodeType.SKIPPED)]

    def attempts(self, name: str) -> list[NodeView]:
        """The attempts of the node called ``name``, in order."""
        return list(self.node(name).attempts)

    def _by_seq(self) -> list[Node]:
        return sorted(self.run.nodes.values(), key=lambda node: node.seq)

    def _started(self) -> Iterator[Node]:
        work = [node for node in self._by_seq() if node.type not in _GROUPS and node.phase not in (Phase.SKIPPED, Phase.OMITTED)]
        yield from sorted((node for node in work if node.started_at is not None), key=lambda node: (node.started_at, node.seq))

    def _view(self, node: Node) -> NodeView:
        asked: dict[NodeId, Invocation] = self._by_node
        attempts = attempts_of(self.run, node)
        views = tuple(NodeView(one, (), asked.get(one.id)) for one in attempts)
        last = attempts[-1].id if attempts else node.id
        return NodeView(node, views, asked.get(node.id) or asked.get(last))

    # --- checks ---------------------------------------------------------------------------------------------------------------------

    def succeeded(self) -> FlowResult:
        """The run ended Succeeded."""
        return self._ended(WorkflowPhase.SUCCEEDED, None)

    def failed(self, message: str | None = None) -> FlowResult:
        """The run ended Failed, with ``message`` somewhere in its message."""
        return self._ended(WorkflowPhase.FAILED, message)

    def errored(self, message: str | None = None) -> FlowResult:
        """The run ended in phase Error, with ``message`` somewhere in its message."""
        return self._ended(WorkflowPhase.ERROR, message)

    def _ended(self, phase: WorkflowPhase, message: str | None) -> FlowResult:
        if self.phase is not phase:
            self._fail(f"the run ended {self.phase}, not {phase}")
        if message is not None and message not in self.message:
            self._fail(f"the message of the run is {self.message!r}; {message!r} is not in it")
        return self

    def ran(self, *names: str) -> FlowResult:
        """All of these were started, in this order; others may have been started between them."""
        started = {node.id: place for place, node in enumerate(self._started())}
        before, latest = "", -1
        for name in names:
            place = self._place(name, started)
            if place < latest:
                self._fail(f"{name!r} was started before {before!r}; the order was: {', '.join(self.order)}")
            before, latest = name, place
        return self

    def _place(self, name: str, started: dict[NodeId, int]) -> int:
        """Where in the order of starts the first work of this name stands."""
        view = self.node(name)
        if view.phase in (Phase.SKIPPED, Phase.OMITTED):
            self._fail(f"{name!r} did not run: {view.phase}{f', {view.message}' if view.message else ''}")
        ids = [view.row.id, *(attempt.row.id for attempt in view.attempts)]
        below = [node.id for node in self.run.nodes.values() if node.name.startswith((f"{view.name}.", f"{view.name}["))]
        places = [started[one] for one in (*ids, *below) if one in started]
        if not places:
            self._fail(f"{name!r} was not started: {view.phase}")
        return min(places)

    def did_not_run(self, *names: str) -> FlowResult:
        """None of these was run: they were skipped or omitted, or the run never came to them."""
        for name in names:
            try:
                found = find_node(self.run, name)
            except LookupError as error:
                self._fail(str(error.args[0]))
            if found is not None and found.phase not in (Phase.SKIPPED, Phase.OMITTED):
                self._fail(f"{name!r} did run: {found.phase}")
        return self

    def matches_snapshot(self, name: str = "") -> FlowResult:
        """The drawn tree is the one that is kept beside the test file; ``pytest --flowcore-update`` keeps the present one.

        ``name`` tells several snapshots of one test apart.
        """
        if self._keep is None:
            raise TypeError("snapshots need the flow fixture of pytest")
        self._keep(self, name)
        return self

    def _fail(self, what: str) -> NoReturn:
        raise AssertionError(f"{what}\n\n{self}")


__all__ = ["FlowResult"]
