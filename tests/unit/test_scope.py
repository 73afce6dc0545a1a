"""Scopes: looking names up through layers, and the nested maps that expressions see."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from flowcore.language.scope import ABSENT, MISSING, Scope, Value


def expanded(flat: dict[str, Value]) -> dict[str, object]:
    """The environment by definition: longer names win over the shorter ones that begin them."""
    result: dict[str, object] = {}
    for key in flat:
        if any(other.startswith(key + ".") for other in flat):
            continue
        *path, last = key.split(".")
        node = result
        for part in path:
            below = node.setdefault(part, {})
            assert isinstance(below, dict)
            node = below
        node[last] = None if flat[key] is ABSENT else flat[key]
    return result


def test_the_nearest_layer_wins() -> None:
    scope = Scope({"a": "1", "b": "2"}).child({"b": "3"}).child({"c": ABSENT})
    assert [scope.lookup(key) for key in "abcd"] == ["1", "3", ABSENT, MISSING]
    assert "a" in scope
    assert "d" not in scope
    assert scope.flat() == {"a": "1", "b": "3", "c": ABSENT}


def test_dotted_names_become_nested_maps() -> None:
    scope = Scope({"a.b.c": "1", "a.b.d": "2", "e": "3", "f.g": ABSENT})
    assert scope.environment() == {"a": {"b": {"c": "1", "d": "2"}}, "e": "3", "f": {"g": None}}


def test_a_name_that_begins_longer_names_is_dropped() -> None:
    flat: dict[str, Value] = {"workflow.parameters": "[]", "workflow.parameters.x": "1", "ab": "4", "abb": "5", "a.b": "6", "a": "7"}
    assert Scope(flat).environment() == {"workflow": {"parameters": {"x": "1"}}, "ab": "4", "abb": "5", "a": {"b": "6"}}


def test_a_childs_environment_leaves_its_parents_alone() -> None:
    parent = Scope({"workflow.name": "w", "inputs.parameters.a": "1"})
    before = parent.environment()
    child = parent.child({"inputs.parameters.b": "2", "item": "i"})
    assert child.environment() == {"workflow": {"name": "w"}, "inputs": {"parameters": {"a": "1", "b": "2"}}, "item": "i"}
    assert parent.environment() == {"workflow": {"name": "w"}, "inputs": {"parameters": {"a": "1"}}}
    assert child.environment()["workflow"] is before["workflow"]


def test_later_values_of_a_parent_reach_its_children() -> None:
    parent = Scope({"steps.a.status": "Running"})
    child = parent.child({"steps.b.status": "Pending"})
    assert child.environment() == {"steps": {"a": {"status": "Running"}, "b": {"status": "Pending"}}}
    parent.set("steps.a.status", "Succeeded")
    parent.set("steps.c.status", "Failed")
    wanted = {"a": {"status": "Succeeded"}, "b": {"status": "Pending"}, "c": {"status": "Failed"}}
    assert child.environment() == {"steps": wanted}


def test_maps_that_are_values_are_replaced_and_never_changed() -> None:
    artifact: Value = {"s3": {"key": "k"}}
    scope = Scope({"inputs.artifacts.x": artifact})
    scope.environment()
    scope.set("inputs.artifacts.x", {"http": {}})
    assert scope.environment() == {"inputs": {"artifacts": {"x": {"http": {}}}}}
    child = Scope({"inputs.artifacts.x": artifact}).child({"inputs.artifacts.x.path": "/tmp/x"})
    assert child.environment() == {"inputs": {"artifacts": {"x": {"path": "/tmp/x"}}}}
    assert artifact == {"s3": {"key": "k"}}


def test_a_child_replaces_a_map_value_of_its_parent() -> None:
    child = Scope({"item": {"a": "1"}}).child({"item": {"b": "2"}})
    assert child.environment() == {"item": {"b": "2"}}


def test_placeholders_are_found_in_every_layer() -> None:
    assert Scope({"a": "__argo__internal__placeholder-1"}).child({"b": "x"}).has_placeholders()
    assert not Scope({"a": "placeholder"}).has_placeholders()


names = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(".".join)
values = st.one_of(st.text(string.ascii_letters, max_size=3), st.just(ABSENT), st.fixed_dictionaries({"b": st.just("v")}))
layers = st.lists(st.dictionaries(names, values, max_size=5), min_size=1, max_size=3)


@given(layers, st.lists(st.tuples(st.integers(0, 2), names, values), max_size=6))
def test_environments_are_the_expansion_of_the_flat_names(
    given_layers: list[dict[str, Value]], changes: list[tuple[int, str, Value]]
) -> None:
    """Also after changes to any layer between two looks at the environment."""
    scopes = [Scope(given_layers[0])]
    for layer in given_layers[1:]:
        scopes.append(scopes[-1].child(layer))
    assert scopes[-1].environment() == expanded(scopes[-1].flat())
    for index, key, value in changes:
        scopes[index % len(scopes)].set(key, value)
        for scope in scopes:
            assert scope.environment() == expanded(scope.flat())
