"""Label selectors: what they match, how they print, what Kubernetes says of bad ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import JsonObject
from flowcore.language.selectors import canonical, label_selector, matches, parse_selector

LABELS = {"app": "web", "tier": "front", "size": "10", "empty": ""}


@pytest.mark.parametrize(
    "document, expected",
    [
        ({}, True),
        ({"matchLabels": {"app": "web", "size": 10}}, True),
        ({"matchLabels": {"app": "web", "tier": "back"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api", "web"]}]}, True),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}, False),
        ({"matchExpressions": [{"key": "empty", "operator": "Exists"}, {"key": "other", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selectors_of_documents(document: JsonObject, expected: bool) -> None:
    assert label_selector(document).matches(LABELS) is expected


def test_an_operator_that_documents_do_not_have() -> None:
    with pytest.raises(ExpressionError, match='"Near" is not a valid label selector operator'):
        label_selector({"matchExpressions": [{"key": "a", "operator": "Near"}]})


@pytest.mark.parametrize(
    "selector, expected",
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier!=back", True),
        ("app != web", False),
        ("app in (api, web)", True),
        ("app notin (api, web)", False),
        ("other notin (x)", True),
        ("other!=x", True),
        ("other=x", False),
        ("app,!other", True),
        ("!app", False),
        ("size>9,size<11", True),
        ("app>1", False),
        ("empty=", True),
        ("empty in ()", True),
        ("in in (in)", False),
    ],
)
def test_matching(selector: str, expected: bool) -> None:
    assert matches(selector, LABELS) is expected


@pytest.mark.parametrize(
    "selector, text",
    [
        (" b = 1 , a in ( y,x ) ", "a in (x,y),b=1"),
        ("! old", "!old"),
        ("a in (b,,c)", "a in (,b,c)"),
        ("a in (,)", "a in ()"),
        ("n<3,m==1", "m==1,n<3"),
        ("example.com/name", "example.com/name"),
    ],
)
def test_canonical_text(selector: str, text: str) -> None:
    assert canonical(selector) == text


@pytest.mark.parametrize(
    "selector, message",
    [
        ("a,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (=", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!a in (b)", "found 'in', expected: ',' or 'end of string'"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("/a", 'unable to parse requirement: <nil>: Invalid value: "/a": prefix part must be non-empty'),
    ],
)
def test_messages(selector: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_selector(selector)
    assert caught.value.message == message


@pytest.mark.parametrize("key", ["a" * 64, "-a", "a/b/c", "Upper.Prefix/name", "p" * 254 + "/a", "example.com/"])
def test_a_bad_key_is_named(key: str) -> None:
    with pytest.raises(ExpressionError, match=f'Invalid value: "{key}"'):
        parse_selector(f"{key}=x")


def test_all_that_is_wrong_with_a_bound_is_said() -> None:
    with pytest.raises(ExpressionError, match=r"\[values\[0\]: Invalid value: \"-x\": for 'Gt'.*, values\[0\]\[a\]: Invalid value"):
        parse_selector("a>-x")


def test_a_huge_selector_is_refused() -> None:
    with pytest.raises(LimitExceeded):
        parse_selector("a," * 100_000)


@given(st.text(alphabet="ab1=!<>(), inot", max_size=30))
def test_a_canonical_text_means_the_same(text: str) -> None:
    try:
        selector = parse_selector(text)
    except ExpressionError:
        return
    again = parse_selector(str(selector))
    assert str(again) == str(selector)
    for labels in ({}, {"a": "b"}, {"a": "", "b": "1"}):
        assert again.matches(labels) is selector.matches(labels)


@pytest.mark.parametrize("selector", ["a=\udc80", "\udc80", "\udc80/a", "a in (\udc80)"])
def test_text_without_an_encoding_is_refused(selector: str) -> None:
    with pytest.raises(ExpressionError):
        parse_selector(selector)
