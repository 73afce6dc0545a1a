"""Untrusted expressions: whatever they ask for, they end soon and small."""

from __future__ import annotations

import time

import pytest

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr import limits
from flowcore.language.expressions import compile_expression, go_text, to_text


def outcome(source: str) -> str:
    """The kind of end an expression comes to, which must be soon."""
    begin = time.perf_counter()
    try:
        compile_expression(source).evaluate({})
        end = "value"
    except LimitExceeded:
        end = "limit"
    except ExpressionError:
        end = "error"
    assert time.perf_counter() - begin < 60  # it ends; how soon depends on the machine
    return end


@pytest.fixture(autouse=True)
def _short_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fraction of the real allowance, so that the tests are quick."""
    monkeypatch.setattr(limits, "MOST_SECONDS", 0.4)
    monkeypatch.setattr(limits, "MOST_STEPS", 200_000)


@pytest.mark.parametrize(
    "source",
    [
        "1..1000000000",
        "repeat('ab', 1000000)",
        "map(1..9999, map(1..9999, 1))",
        "reduce(1..1000, #acc + #acc, 'aaaaaaaa')",
        "replace(repeat('a', 500000), 'a', repeat('b', 400000))",
        "let x = repeat('a', 999); map(1..999, map(1..999, x + x))",
        "any(1..900000, # < 0)",
        "uniq(map(1..5000, [#]))",
        "sort(map(1..300000, -#))",
        "sum(1..900000, # % 7)",
        "split(repeat('a', 999999), '')",
        "concat(1..600000, 1..600000)",
    ],
)
def test_too_much_work_or_memory(source: str) -> None:
    assert outcome(source) == "limit"


@pytest.mark.parametrize("wrap", ["toJSON({})", "string({})", "flatten({})", "max({})", "{} == {}", "{} in [{}]", "{}"])
def test_lists_that_hold_the_same_list_over_and_over(wrap: str) -> None:
    doubled = "reduce(1..64, [#acc, #acc], [1])"
    assert outcome(wrap.replace("{}", doubled)) == "limit"


@pytest.mark.parametrize(
    "source",
    [
        "(" * 5000 + "1" + ")" * 5000,
        "-" * 5000 + "1",
        "[" * 3000,
        "{a: " * 3000,
        "x" + ".a" * 5000,
        "x" + "[0]" * 5000,
        "[1]" + " | map(#)" * 5000,
        "true ? " * 3000 + "1" + " : 2" * 3000,
        "if true { " * 3000,
        "let a = 1; " * 3000 + "a",
        "(" * 60 + "1" + " ?: 2)" * 60,
        "1 < " * 9000 + "2",
        "1" + " + 1" * 11000,
        "a" * 70_000,
    ],
)
def test_texts_that_are_too_deep_or_too_long(source: str) -> None:
    assert outcome(source) == "limit"


def test_long_flat_expressions_are_no_problem() -> None:
    assert compile_expression("1" + " + 1" * 4000).evaluate({}) == 4001
    assert compile_expression("true" + " && true" * 4000).evaluate({}) is True
    assert compile_expression("[" + "1," * 5000 + "]").evaluate({}) == [1] * 5000
    assert compile_expression("x" + " + x" * 2000).evaluate({"x": "a"}) == "a" * 2001


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("9 ** 9 ** 9", float("inf")),
        ("bitshl(1, 1000000)", 0),
        (f"'{'a' * 40}!' matches '^(a+)+$'", False),
        (f"'{'a' * 5000}' matches '(a*)*b'", False),
    ],
)
def test_what_would_explode_elsewhere(source: str, wanted: object) -> None:
    assert compile_expression(source).evaluate({}) == wanted


def test_a_failing_function_cannot_break_out() -> None:
    def broken(_: object) -> object:
        raise KeyError("inside")

    with pytest.raises(ExpressionError, match="inside"):
        compile_expression("f(1)").evaluate({}, functions={"f": broken})


def test_python_is_out_of_reach() -> None:
    names = {"s": "a", "l": [1], "m": {}, "o": object(), "f": len}
    for source in (
        "s.__class__",
        "l.append(1)",
        "m.update({a: 1})",
        "o.__class__",
        "m.__class__",
        "f.__globals__",
        "s.format(1)",
        "l['__class__']",
        "__import__('os')",
        "o()",
    ):
        try:
            result = compile_expression(source).evaluate(names)
        except ExpressionError:
            continue
        assert result is None, source
    assert names["l"] == [1]
    assert names["m"] == {}


def test_values_nested_without_end_are_not_printed() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    for text in (to_text, go_text):
        with pytest.raises(LimitExceeded):
            text(deep)
    with pytest.raises(LimitExceeded):
        compile_expression("deep == [deep]").evaluate({"deep": deep})
    with pytest.raises(LimitExceeded):
        compile_expression("[deep]").evaluate({"deep": deep})
