"""The ``jsonpath()`` function of expressions."""

from __future__ import annotations

import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.jsonpath import jsonpath, query

SHOP = json.dumps(
    {
        "books": [
            {"title": "a", "price": 5, "tags": ["x", "y"]},
            {"title": "b", "price": 12.5, "tags": []},
            {"title": "it's", "price": 8},
        ],
        "odd.name": {"length": 7},
        "best": 1,
        "none": None,
    }
)


@pytest.mark.parametrize(
    "path, expected",
    [
        ("$.books[0].title", "a"),
        ("$.books[-1].price", 8.0),
        ("$['odd.name'].length", 7.0),
        ("$.books.length", 3),
        ("$.books[*].title", ["a", "b", "it's"]),
        ("$.books[1:].title", ["b", "it's"]),
        ("$.books[::-1].title", ["it's", "b", "a"]),
        ("$.books[0,2].price", [5.0, 8.0]),
        ("$.books[0]['title','price']", ["a", 5.0]),
        ("$..price", [5.0, 12.5, 8.0]),
        ("$.books[(@.length-1)].title", "it's"),
        ("$.books[?(@.price < 10)].title", ["a", "it's"]),
        ("$.books[?(@.price > 4 && @.price < 6)].title", ["a"]),
        ("$.books[?(@.price*2 == 25)].title", ["b"]),
        ("$.books[?(@.title == 'b')].price", [12.5]),
        ('$.books[?(@.title == "b")].price', [12.5]),
        ("$.books[?(@.title =~ '^[ab]$')].title", ["a", "b"]),
        ('$.books[?(@.title in ["a"])].price', []),
        ("$.books[?(@.price in [5, 8])].title", ["a", "it's"]),
        ("$.books[?(@.tags)].title", ["a"]),
        ("$.books[?(!(@.price < 10))].title", ["b"]),
        ("$.books[?(@.price > 4)][0].title", "a"),
        ("$.none", None),
        ("$.books[*].missing", []),
        ("$.books[7:9]", []),
    ],
)
def test_paths(path: str, expected: Json) -> None:
    assert jsonpath(SHOP, path) == expected


@pytest.mark.parametrize(
    "path, message",
    [
        ("books", "invalid JSONPath selector 'books' unexpected token 'b' at index 0"),
        ("$books", "invalid JSONPath selector '$books' unexpected token 'b' at index 1"),
        ("$.books[", "invalid JSONPath selector '$.books[' invalid token. '[' does not match any token format"),
        ("$.books['a'", "invalid JSONPath selector '$.books['a'' invalid token. '['a'' does not match any token format"),
        ("$.books[0", "invalid JSONPath selector '$.books[0' invalid token. '[0' does not match any token format"),
        ("$.missing", "key: invalid token key 'missing' not found"),
        ("$.books[9]", "index: invalid token out of range"),
        ("$.best.x", "key: invalid token target. expected [map] got [float64]"),
        ("$.books.x", "key: invalid token target. expected [map] got [slice]"),
        ("$.books[::0]", "range: invalid token out of range"),
        ("$.best[*]", "wildcard: invalid token target. expected [array map slice] got [float64]"),
        ("$.none.x", "key: invalid token target. expected [map] got [nil]"),
        ("$.books[(true)]", "unexpected expression result. expected [int string] got [bool]"),
    ],
)
def test_messages(path: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        jsonpath(SHOP, path)
    assert caught.value.message == message


@pytest.mark.parametrize("text", ["", "{", "{]", "nope", "NaN"])
def test_what_is_no_json_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"JSON|invalid character"):
        jsonpath(text, "$")


def test_a_value_is_taken_as_it_is() -> None:
    assert query({"a": [1, "x"]}, "$.a[0]") == 1


def test_work_is_bounded() -> None:
    value: Json = 1
    for _ in range(6):
        value = [value] * 8
    with pytest.raises(LimitExceeded):
        query(value, "$" + "..*" * 6)
    with pytest.raises(LimitExceeded):
        query(value, "$[?(" + "@[?(" * 40 + "1" + ")]" * 41)
    with pytest.raises(LimitExceeded):
        query(value, "$." + "a" * 20_000)


@given(st.text(alphabet="$@.[]()?*:,'\"ab01-+<=>!&| ", max_size=25).map("$".__add__))
def test_any_path_finds_something_or_is_refused(path: str) -> None:
    try:
        json.dumps(jsonpath(SHOP, path))
    except ExpressionError as error:
        assert error.message


@given(st.lists(st.integers(0, 9), max_size=6), *[st.integers(-8, 8) | st.none()] * 2, st.integers(-3, 3).filter(bool) | st.none())
def test_ranges_never_leave_the_list(items: list[int], begin: int | None, end: int | None, step: int | None) -> None:
    path = f"$[{'' if begin is None else begin}:{'' if end is None else end}:{'' if step is None else step}]"
    found = cast("list[Json]", query(cast("Json", items), path))
    if step is None or step > 0:
        assert found == items[begin:end:step]
    assert len(found) <= len(items)
