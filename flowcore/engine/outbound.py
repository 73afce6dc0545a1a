"""Where the graph leaves a node: the nodes that what comes after it hangs below."""

from __future__ import annotations

from flowcore.engine.turn import Turn
from flowcore.nodes import NodeId, NodeType


def outbound_nodes(turn: Turn, node: NodeId) -> list[NodeId]:
    """The outbound nodes of ``node``, in the order of its children."""
    row = turn.row(node)
    match row.type:
        case NodeType.SKIPPED | NodeType.SUSPEND | NodeType.HTTP | NodeType.PLUGIN:
            return [node]
        case NodeType.POD | NodeType.CONTAINER:
            return _of_container(turn, node)
        case NodeType.TASK_GROUP:
            return [leaf for child in turn.children(node) for leaf in outbound_nodes(turn, child)] or [node]
        case NodeType.RETRY:
            children = turn.children(node)
            return [children[-1]] if children else []
    if row.memoization is not None and row.memoization.get("hit"):
        return [node]
    return [leaf for outbound in row.outbound for leaf in outbound_nodes(turn, outbound)]


def _of_container(turn: Turn, node: NodeId) -> list[NodeId]:
    """A pod is its own way out. One of a containerSet leads out through the last of its containers, and through its hooks."""
    row = turn.row(node)
    if row.type is NodeType.POD and node not in turn.state.container_sets:
        return [node]
    leaves: list[NodeId] = []
    for child in turn.children(node):
        ends_here = row.type is NodeType.CONTAINER and turn.row(child).boundary != row.boundary
        leaves += [node] if ends_here else outbound_nodes(turn, child)
    return leaves or [node]
