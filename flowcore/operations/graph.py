"""The graph of a run's rows, as Argo's retry walks it: one parent for each node, children in order of creation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from flowcore.nodes import Node, NodeId, NodeType, Phase
from flowcore.status import children_of

GROUPS = frozenset({NodeType.DAG, NodeType.TASK_GROUP, NodeType.STEP_GROUP, NodeType.STEPS})
EXECUTED = frozenset({NodeType.CONTAINER, NodeType.POD, NodeType.HTTP, NodeType.PLUGIN})


class Graph:
    """The rows of one run by id, with their edges."""

    def __init__(self, run: str, rows: Sequence[Node]) -> None:
        self.run = run
        ordered = sorted(rows, key=lambda row: row.seq)
        self.rows = {row.id: row for row in ordered}
        self.children = children_of(ordered)
        # Of several parents Argo keeps the last in the order of ids.
        self.parent = {row.id: max((parent for parent in row.parents if parent in self.rows), default=None) for row in ordered}
        self.root = next((row.id for row in ordered if row.name == run), None)

    def below(self, node: NodeId) -> set[NodeId]:
        """All nodes that can be reached from ``node`` along children."""
        found: set[NodeId] = set()
        waiting = list(self.children.get(node, ()))
        while waiting:
            here = waiting.pop()
            if here not in found:
                found.add(here)
                waiting.extend(self.children.get(here, ()))
        return found

    def in_order(self) -> list[NodeId]:
        """The nodes that can be reached from the root, level by level: exit handlers of the run are not among them."""
        if self.root is None:
            return []
        seen, order, waiting = {self.root}, [], deque([self.root])
        while waiting:
            here = waiting.popleft()
            order.append(here)
            for child in self.children.get(here, ()):
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
        return order

    def up(self, node: NodeId) -> NodeId | None:
        """The parent of ``node``."""
        return self.parent.get(node)

    def before_success(self, spared: Iterable[NodeId] = ()) -> set[NodeId]:
        """The nodes that some succeeded node (not among ``spared``) can be reached from."""
        ignored = set(spared)
        found: set[NodeId] = set()
        waiting = [row.id for row in self.rows.values() if row.phase is Phase.SUCCEEDED and row.id not in ignored]
        while waiting:
            for parent in self.rows[waiting.pop()].parents:
                if parent in self.rows and parent not in found:
                    found.add(parent)
                    waiting.append(parent)
        return found

    def wrapper(self, attempt: Node) -> Node:
        """The Retry node of an attempt, or the node itself."""
        if not attempt.retried:
            return attempt
        around = (self.rows[parent] for parent in attempt.parents if parent in self.rows)
        return next((row for row in around if row.type is NodeType.RETRY), attempt)


__all__ = ["EXECUTED", "GROUPS", "Graph"]
