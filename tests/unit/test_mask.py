"""Masks: what is hidden, what is left alone, and that hidden values can be put back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcore.catalogs import MemoryCatalog
from flowcore.nodes import Node, NodeId, NodeType, RunRow
from flowcore.secrecy import Mask, learn_secrets, sensitive_names
from flowcore.secrecy.references import references

texts = st.text(st.sampled_from('ab*:"\n\\ ü'), max_size=12)
documents = st.recursive(texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4), documents)
def test_what_was_masked_can_be_put_back(values: list[str], document: Any) -> None:
    mask = Mask()
    for number, value in enumerate(values):
        mask.learn(value, "sensitive", f"p{number}")
    masked = mask.json(document)
    assert mask.opened(masked) == document
    assert not any(value in text for value in values if len(value.strip("*")) >= 4 for text in _texts(masked))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value if isinstance(value, list) else [*value, *value.values()]
    return [text for part in parts for text in _texts(part)]


def test_a_short_value_is_hidden_under_its_own_name_only() -> None:
    mask = Mask(["pin"])
    document: Any = {"parameters": [{"name": "pin", "value": "42"}, {"name": "other", "value": "42"}], "count": "42"}
    mask.learn_named(document)
    masked = mask.json(document)
    assert masked["parameters"] == [{"name": "pin", "value": "***sensitive:pin***"}, {"name": "other", "value": "42"}]
    assert mask.opened(masked) == document


def test_lines_and_json_of_a_value_are_hidden_too() -> None:
    mask = Mask()
    mask.learn('first line\nsay "x"\n', "secret", "s/key")
    shown = mask.text('first line | say "x" | ' + json.dumps('first line\nsay "x"\n'))
    assert shown == '***secret:s/key|1*** | ***secret:s/key|2*** | "***secret:s/key|json***"'


def test_several_values_of_one_name_have_marks_of_their_own() -> None:
    mask = Mask(["token"])
    for value in ("alpha-1", "beta-22", "alpha-1"):
        mask.learn(value, "sensitive", "token")
    assert mask.text("alpha-1 beta-22") == "***sensitive:token*** ***sensitive:token#2***"
    assert [mark for mark, _ in mask.fresh()] == ["***sensitive:token***", "***sensitive:token#2***"]
    assert mask.fresh() == []


def test_tags_and_marks_are_no_values() -> None:
    mask = Mask(["token"])
    mask.learn_named({"name": "token", "value": "{{workflow.parameters.token}}", "default": "***sensitive:token***"})
    assert not mask.fresh()


def test_rows_keep_their_ids() -> None:
    mask = Mask()
    mask.learn("abcd", "sensitive", "p")
    row = Node(id=NodeId("wf-abcd"), name="wf.x(0:abcd)", display_name="x(0:abcd)", type=NodeType.POD, message="no abcd")
    masked = mask.row(row)
    assert (masked.id, masked.name, masked.message) == ("wf-abcd", "wf.x(0:***sensitive:p***)", "no ***sensitive:p***")
    assert mask.opened_row(masked) == row
    run = RunRow(name="wf", message="abcd", labels={"a": "abcd"}, conditions=({"message": "abcd"},))
    assert "abcd" not in repr(mask.run(run))
    assert mask.opened_run(mask.run(run)) == run


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"env": [{"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}, {("s", "k")}),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, {("s", "")}),
        ({"volumes": [{"secret": {"secretName": "s"}}, {"projected": {"sources": [{"secret": {"name": "t"}}]}}]}, {("s", ""), ("t", "")}),
        ({"s3": {"accessKeySecret": {"name": "s", "key": "a"}, "secretKeySecret": {"name": "s", "key": "b"}}}, {("s", "a"), ("s", "b")}),
        ({"configMapKeyRef": {"name": "c", "key": "k"}, "secret": "text"}, set()),
    ],
)
def test_where_secrets_are_named(document: Any, found: set[tuple[str, str]]) -> None:
    assert set(references(document)) == found


def test_only_the_keys_that_are_named_are_secret() -> None:
    secret: Any = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"user": "alice", "word": "hunter2"}}
    mask = Mask()
    learn_secrets(mask, {"secretKeyRef": {"name": "s", "key": "word"}}, MemoryCatalog([secret]), "default")
    assert mask.text("alice hunter2") == "alice ***secret:s/word***"
    learn_secrets(mask, {"secretRef": {"name": "s"}}, MemoryCatalog([secret]), "default")
    assert mask.text("alice") == "***secret:s/user***"


def test_the_annotation_lists_names() -> None:
    assert sensitive_names(None, {"flowcore.dev/sensitive-parameters": " a, b ,"}) == {"a", "b"}
    assert sensitive_names({"other": "a"}) == frozenset()
