"""Graphs of task names."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.plan.graph import Ancestry, dependents, find_cycle, leaves

DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def ancestors(graph: dict[str, list[str]], name: str) -> list[str]:
    """What precedes ``name``, in a graph whose names stand in an order that respects it."""
    ancestry = Ancestry(graph, graph)
    return [other for other in graph if ancestry.precedes(other, name)]


def test_a_diamond() -> None:
    assert dependents(DIAMOND) == {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}
    assert leaves(DIAMOND) == ("d",)
    assert ancestors(DIAMOND, "d") == ["a", "b", "c"]
    assert ancestors(DIAMOND, "b") == ["a"]
    assert ancestors(DIAMOND, "a") == []
    assert find_cycle(DIAMOND) is None


def test_a_name_twice_counts_once() -> None:
    assert dependents({"a": [], "b": ["a", "a"]}) == {"a": ("b",), "b": ()}


@pytest.mark.parametrize("graph", [{"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {"x": [], "a": ["x", "c"], "b": ["a"], "c": ["b"]}])
def test_circles_are_found(graph: dict[str, list[str]]) -> None:
    cycle = find_cycle(graph)
    assert cycle is not None
    assert cycle[0] == cycle[-1]
    assert all(before in graph[after] for before, after in pairwise(cycle))


def test_chains_may_be_long() -> None:
    graph = {str(number): [str(number - 1)] if number else [] for number in range(5_000)}
    assert find_cycle(graph) is None
    assert len(ancestors(graph, "4999")) == 4_999


def test_names_that_nobody_knows_precede_nothing() -> None:
    ancestry = Ancestry({"a": ["ghost"], "b": ["a"]}, ["a", "b"])
    assert not ancestry.precedes("ghost", "b")
    assert ancestry.precedes("a", "b")


def test_no_name_of_a_circle_precedes_itself() -> None:
    ancestry = Ancestry({"a": ["c"], "b": ["a"], "c": ["b"]}, ["a", "b", "c"])
    assert not any(ancestry.precedes(name, name) for name in "abc")


acyclic = st.lists(st.sets(st.integers(0, 9)), max_size=10).map(
    lambda rows: {str(index): sorted(str(other) for other in row if other < index) for index, row in enumerate(rows)}
)


@given(acyclic)
def test_ancestors_are_the_dependencies_and_theirs(graph: dict[str, list[str]]) -> None:
    assert find_cycle(graph) is None
    for name, needed in graph.items():
        expected = {*needed, *(above for other in needed for above in ancestors(graph, other))}
        assert set(ancestors(graph, name)) == expected
    assert set(leaves(graph)) == {name for name, others in dependents(graph).items() if not others}
