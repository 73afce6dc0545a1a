"""The expr-lang dialect under any text and any JSON: a value or an ExpressionError, and nothing is ever changed."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcore.errors import ExpressionError
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expr.signatures import BUILTIN_NAMES, PREDICATES
from flowcore.language.expressions import compile_expression, go_text, to_text

NAMES = ("a", "b", "c", "item")
BINARY = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "==",
    "!=",
    "<",
    ">=",
    "in",
    "not in",
    "and",
    "||",
    "??",
    "..",
    "matches",
    "contains",
    "startsWith",
]
NESTED = {"filter", "map", "any", "all", "sortBy", "groupBy", "count", "sum", "reduce", "find", "findLastIndex", "none", "one"}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "", "x-y"]), inner, max_size=3),
    max_leaves=10,
)
environments = st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4)

literals = st.one_of(
    st.integers(0, 100).map(str),
    st.floats(0, 1e6).map(repr),
    st.sampled_from(["true", "false", "nil", "'a'", '"b"', "`c`", "b'd'", "[]", "{}", "''", "#", "#index", "#acc", ".a", "$env", *NAMES]),
)


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(BINARY), inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"),
        st.tuples(st.sampled_from(["-", "!", "not ", "+"]), inner).map("".join),
        st.tuples(inner, st.sampled_from([".a", "?.b", "['a']", "[0]", "?.[1]", "[1:]", "[:-1]"])).map("".join),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} ? {parts[1]} : {parts[2]})"),
        st.tuples(st.sampled_from(sorted(BUILTIN_NAMES - PREDICATES)), st.lists(inner, max_size=3)).map(
            lambda call: f"{call[0]}({', '.join(call[1])})"
        ),
        st.tuples(st.sampled_from(sorted(NESTED)), inner, inner).map(lambda call: f"{call[0]}({call[1]}, {call[2]})"),
        st.tuples(inner, inner).map(lambda parts: f"(let v = {parts[0]}; {parts[1]})"),
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.tuples(inner, inner).map(lambda parts: f"{{a: {parts[0]}, ({parts[1]}): 1}}"),
        st.tuples(st.sampled_from(["asInt", "toJson", "a.b", "sprig.default", "sprig.upper", "sprig.dict"]), inner).map(
            lambda call: f"{call[0]}({call[1]})"
        ),
    )


expressions = st.recursive(literals, _compound, max_leaves=8)


def settle(source: str, environment: dict[str, object]) -> object:
    try:
        return compile_expression(source).evaluate(environment, functions=ARGO_FUNCTIONS)
    except ExpressionError as error:
        return error


@settings(max_examples=150, deadline=None)
@given(expressions, environments)
def test_any_expression_ends_in_a_value_or_an_error(source: str, environment: dict[str, object]) -> None:
    before = copy.deepcopy(environment)
    result = settle(source, environment)
    assert repr(environment) == repr(before)
    if not isinstance(result, ExpressionError):
        go_text(result)
        try:
            json.loads(to_text([result]))
        except ExpressionError as error:
            assert "json: unsupported" in error.message or "nested" in error.message


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab1.0?:[](){}#|&=!<>+-*/%'\"`;, \nlet$_é\\\x00\ud800", max_size=30))
def test_any_text_is_read_or_refused(source: str) -> None:
    result = settle(source, {"a": 1, "b": [1, {"a": "x"}]})
    assert not isinstance(result, ExpressionError) or result.stage in ("compile", "run")


@settings(max_examples=50, deadline=None)
@given(json_values.filter(lambda value: "e+" not in repr(value)), st.data())
def test_json_round_trips(value: object, data: st.DataObject) -> None:
    text = settle("toJSON(x)", {"x": value})
    if isinstance(text, str):
        again = settle("fromJSON(t) == x", {"t": text, "x": value})
        assert again in (True, False)


@pytest.mark.parametrize("text", ["a", "{{", "日本", "'\"\\\n"])
def test_strings_survive_quoting(text: str) -> None:
    assert settle(json.dumps(text), {}) == text


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integers_are_those_of_64_bits(first: int, second: int) -> None:
    environment: dict[str, object] = {"a": first, "b": second}
    for operator, exact in (("+", first + second), ("-", first - second), ("*", first * second)):
        assert settle(f"a {operator} b", environment) == (exact + 2**63) % 2**64 - 2**63
    assert settle("a < b or a == b or a > b", environment) is True
