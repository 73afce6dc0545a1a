"""Graphs of task names."""

from __future__ import annotations

from graphlib import CycleError
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.plan.graph import ancestors, dependents, find_cycle, leaves, reachable, roots, sorted_names, unknown_names

DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def test_a_diamond() -> None:
    assert dependents(DIAMOND) == {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}
    assert roots(DIAMOND) == ("a",)
    assert leaves(DIAMOND) == ("d",)
    assert ancestors(DIAMOND, "d") == ("a", "b", "c")
    assert ancestors(DIAMOND, "a") == ()
    assert reachable(DIAMOND, ["b"]) == {"a", "b"}
    assert reachable(DIAMOND, ["b", "c"]) == {"a", "b", "c"}
    assert find_cycle(DIAMOND) is None
    assert unknown_names(DIAMOND) == {}


def test_names_that_nobody_knows_are_reported() -> None:
    assert unknown_names({"a": ["x", "y"], "b": ["a"]}) == {"a": ("x", "y")}


def test_a_name_twice_counts_once() -> None:
    assert dependents({"a": [], "b": ["a", "a"]}) == {"a": ("b",), "b": ()}


@pytest.mark.parametrize("graph", [{"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {"x": [], "a": ["x", "c"], "b": ["a"], "c": ["b"]}])
def test_circles_are_found(graph: dict[str, list[str]]) -> None:
    cycle = find_cycle(graph)
    assert cycle is not None
    assert cycle[0] == cycle[-1]
    assert all(before in graph[after] for before, after in pairwise(cycle))
    with pytest.raises(CycleError):
        sorted_names(graph)


def test_chains_may_be_long() -> None:
    graph = {str(number): [str(number - 1)] if number else [] for number in range(20_000)}
    assert find_cycle(graph) is None
    assert len(ancestors(graph, "19999")) == 19_999
    assert len(reachable(graph, ["19999"])) == 20_000


def test_ancestors_of_a_circle_end() -> None:
    assert set(ancestors({"a": ["b"], "b": ["c"], "c": ["a"]}, "a")) == {"b", "c"}


acyclic = st.lists(st.sets(st.integers(0, 9)), max_size=10).map(
    lambda rows: {str(index): sorted(str(other) for other in row if other < index) for index, row in enumerate(rows)}
)


@given(acyclic)
def test_orders_respect_dependencies(graph: dict[str, list[str]]) -> None:
    assert find_cycle(graph) is None
    order = sorted_names(graph)
    assert sorted(order) == sorted(graph)
    assert all(order.index(other) < order.index(name) for name in graph for other in graph[name])
    for name in graph:
        above = ancestors(graph, name)
        assert set(above) == reachable(graph, [name]) - {name}
        assert len(set(above)) == len(above)
        assert all(above.index(other) < above.index(one) for one in above for other in graph[one])
    assert set(leaves(graph)) == {name for name, others in dependents(graph).items() if not others}
