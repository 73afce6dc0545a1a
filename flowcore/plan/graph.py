"""Directed graphs over plain strings: which task waits for which.

A graph is a mapping from each name to the names it depends on. Used for DAG tasks, by the validation and by the engine, and for the containers
of a container set. Recursion is avoided throughout: chains may be as long as a template.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

Graph: TypeAlias = Mapping[str, Collection[str]]


def dependents(graph: Graph) -> dict[str, tuple[str, ...]]:
    """For every name the names that depend on it, in the graph's order."""
    found: dict[str, list[str]] = {name: [] for name in graph}
    for name, needed in graph.items():
        for other in dict.fromkeys(needed):
            found.setdefault(other, []).append(name)
    return {name: tuple(others) for name, others in found.items()}


def leaves(graph: Graph) -> tuple[str, ...]:
    """The names that nothing depends on, in the graph's order."""
    needed = {other for others in graph.values() for other in others}
    return tuple(name for name in graph if name not in needed)


def find_cycle(graph: Graph) -> tuple[str, ...] | None:
    """One circle of names, each depending on the one before it and the first repeated at the end, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return None


class Ancestry:
    """Which names come before which, directly or not.

    ``order`` lists each name after those it depends on (those of a circle, and what is not listed, count for nothing). Nothing is worked out
    before the first question; from then on the ancestors of a name are one whole number, so that a chain of ten thousand takes some megabytes.
    """

    def __init__(self, graph: Graph, order: Iterable[str]) -> None:
        self._graph = graph
        self._order = order

    def precedes(self, other: str, name: str) -> bool:
        """Whether ``other`` is an ancestor of ``name``, which must be one of the order."""
        index = self._indices.get(other)
        return index is not None and bool(self._masks[name] >> index & 1)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self._order)}

    @cached_property
    def _masks(self) -> dict[str, int]:
        masks: dict[str, int] = {}
        for name, own in self._indices.items():
            mask = 0
            for other in self._graph[name]:
                if other in self._indices:
                    mask |= masks.get(other, 0) | 1 << self._indices[other]
            masks[name] = mask & ~(1 << own)
        return masks
