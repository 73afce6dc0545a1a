"""How far nodes are: ``N/M`` for each node and for the run, as Argo sums it up.

A node that does work itself counts what it reports, or 0/1 and 1/1. A group counts all working nodes that can be reached from it along
``children``, which for a step group takes in all that follows it, and the run counts every working node once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowcore.nodes import Node, NodeId, NodeType, Phase

_WORKING = frozenset({NodeType.POD, NodeType.HTTP, NodeType.PLUGIN, NodeType.CONTAINER, NodeType.SUSPEND})
_ALL_DONE = frozenset({Phase.SUCCEEDED, Phase.SKIPPED, Phase.OMITTED})

# Following every group's graph costs groups x nodes; above this many steps groups count what lies inside them instead.
_WALK_LIMIT = 4_000_000

Counts = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run and of each of its nodes; nodes without anything to count have no entry."""

    run: str
    nodes: Mapping[NodeId, str]


def progress_of(nodes: Sequence[Node], children: Mapping[NodeId, Sequence[NodeId]]) -> Progress:
    """The progress of ``nodes`` (in order of ``seq``) whose edges are ``children``."""
    counts = {node.id: counted for node in nodes if node.type in _WORKING and (counted := _own(node))}
    done, total = (sum(part) for part in zip(*counts.values(), strict=True)) if counts else (0, 0)
    groups = [node for node in nodes if node.type not in _WORKING]
    if len(groups) * len(nodes) <= _WALK_LIMIT:
        sums = {group.id: _reachable(group.id, counts, children) for group in groups}
    else:
        sums = _inside(nodes, groups, counts)
    shown = {node: f"{one}/{of}" for node, (one, of) in (counts | sums).items() if of}
    return Progress(f"{done}/{total}", shown)


def reported(node_type: NodeType, phase: Phase, progress: str) -> str | None:
    """The progress that a node of this type itself reported, if ``progress`` is not what is shown without any report."""
    unreported = "1/1" if phase in _ALL_DONE else "0/1"
    return progress if node_type in _WORKING and progress not in ("", unreported) else None


def _own(node: Node) -> Counts | None:
    counts = (0, 1) if node.progress is None else parse_progress(node.progress)
    if counts and node.phase in _ALL_DONE:
        return counts[1], counts[1]
    return counts


def parse_progress(text: str) -> Counts | None:
    """The numbers of ``N/M`` with 0 <= N <= M and M > 0, or None for any other text."""
    done, slash, total = text.partition("/")
    if not slash or len(text) > 40 or not (done.isdecimal() and total.isdecimal()):
        return None
    counts = int(done), int(total)
    return counts if counts[0] <= counts[1] and counts[1] else None


def _reachable(start: NodeId, counts: Mapping[NodeId, Counts], children: Mapping[NodeId, Sequence[NodeId]]) -> Counts:
    """The sum over all working nodes below ``start``, each counted once."""
    done = total = 0
    seen: set[NodeId] = set()
    open_ids = list(children.get(start, ()))
    while open_ids:
        here = open_ids.pop()
        if here in seen:
            continue
        seen.add(here)
        if here in counts:
            done += counts[here][0]
            total += counts[here][1]
        open_ids.extend(children.get(here, ()))
    return done, total


def _inside(nodes: Sequence[Node], groups: Sequence[Node], counts: Mapping[NodeId, Counts]) -> dict[NodeId, Counts]:
    """The sum over the working nodes that belong to each group, directly or not; owners come before what they own."""
    sums = {group.id: (0, 0) for group in groups}
    for node in reversed(nodes):
        owner = node.owner or node.boundary
        if owner in sums:
            own = counts.get(node.id) or sums.get(node.id, (0, 0))
            before = sums[owner]
            sums[owner] = (before[0] + own[0], before[1] + own[1])
    return sums


__all__ = ["Progress", "parse_progress", "progress_of", "reported"]
