"""Directed graphs over plain strings: which task waits for which.

A graph is a mapping from each name to the names it depends on. Used for DAG tasks and for the containers of a container set; the plan
calls it once for each template. Recursion is avoided throughout: chains may be as long as a template.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
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


def roots(graph: Graph) -> tuple[str, ...]:
    """The names that depend on nothing, in the graph's order."""
    return tuple(name for name, needed in graph.items() if not needed)


def leaves(graph: Graph) -> tuple[str, ...]:
    """The names that nothing depends on: the targets of a DAG that names none itself, in the graph's order."""
    needed = {other for others in graph.values() for other in others}
    return tuple(name for name in graph if name not in needed)


def unknown_names(graph: Graph) -> dict[str, tuple[str, ...]]:
    """For each name the names it depends on that are not in the graph; names without such are left out."""
    strangers = {name: tuple(other for other in needed if other not in graph) for name, needed in graph.items()}
    return {name: others for name, others in strangers.items() if others}


def find_cycle(graph: Graph) -> tuple[str, ...] | None:
    """One circle of names, each depending on the one before it and the first repeated at the end, or None."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(error.args[1])
    return None


def sorted_names(graph: Graph) -> tuple[str, ...]:
    """All names of the graph, each after those it depends on; raises graphlib.CycleError for a circle."""
    return tuple(name for name in TopologicalSorter(graph).static_order() if name in graph)


def reachable(graph: Graph, starts: Iterable[str]) -> set[str]:
    """The names that ``starts`` depend on, directly or not, with ``starts`` themselves: what running these targets needs."""
    found: set[str] = set()
    waiting = list(starts)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(graph.get(name, ()))
    return found


def ancestors(graph: Graph, name: str) -> tuple[str, ...]:
    """All that ``name`` depends on, directly or not, each once, in the order of a walk that lists a name after what it depends on."""
    order: list[str] = []
    seen = {name}
    stack: list[tuple[str, Iterator[str]]] = [(name, iter(graph.get(name, ())))]
    while stack:
        current, needed = stack[-1]
        other = next((candidate for candidate in needed if candidate not in seen), None)
        if other is not None:
            seen.add(other)
            stack.append((other, iter(graph.get(other, ()))))
        else:
            stack.pop()
            if current != name:
                order.append(current)
    return tuple(order)
