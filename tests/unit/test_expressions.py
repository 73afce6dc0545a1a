"""The expr-lang dialect: what expressions come to."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from flowcore.language.expressions import compile_expression
from flowcore.language.sources import sources

ENVIRONMENT = {
    "n": 7,
    "f": 2.5,
    "name": "bob",
    "flag": True,
    "nothing": None,
    "numbers": [3, 1, 2],
    "words": ["b", "a"],
    "inputs": {"parameters": {"count": "3", "my-name": "x", "none": None}},
    "pods": [{"name": "p1", "cpu": 2}, {"name": "p2", "cpu": 4}],
}


def value(source: str, **names: object) -> object:
    return compile_expression(source).evaluate({**ENVIRONMENT, **names})


def same(got: object, wanted: object) -> bool:
    """Equal, and ints and floats told apart at the top."""
    return got == wanted and type(got) is type(wanted)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b101 + 0o17", 20),
        ("1e3", 1000.0),
        (".5 + 1", 1.5),
        ("'it\\'s'", "it's"),
        ('"\\u00e9\\x41\\101\\u{1F600}"', "éAA😀"),
        ("`raw \\n ``quoted```", "raw \\n `quoted`"),
        ("b'\\x00\\xff'", b"\x00\xff"),
        ("[1, 2,]", [1, 2]),
        ("{a: 1, 'b': 2, 3: 4, (name): 5}", {"a": 1, "b": 2, "3": 4, "bob": 5}),
        ("nil", None),
        ("1 /* one */ + 2 // two", 3),
        ("(1; 2; 3)", 3),
    ],
)
def test_literals(source: str, wanted: object) -> None:
    assert same(value(source), wanted)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 / 2", 3.5),
        ("4 / 2", 2.0),
        ("-7 % 3", -1),
        ("2 ** 3 ** 2", 512.0),
        ("2 ^ 10", 1024.0),
        ("-2 ** 2", -4.0),
        ("1 + 1.0", 2.0),
        ("'a' + 'b'", "ab"),
        ("9223372036854775807 + 1", -9223372036854775808),
        ("n * n - 1", 48),
        ("1 / 0", math.inf),
        ("-1 / 0", -math.inf),
        ("not flag", False),
        ("!flag || flag && true", True),
        ("1 < 2 < 3", True),
        ("3 > 2 > 2", False),
        ("1 == 1.0", True),
        ("[1, 2] == [1.0, 2]", True),
        ("{a: [1]} == {a: [1]}", True),
        ("{a: 1} == {a: 1.0}", False),
        ("nothing == nil", True),
        ("'b' in words", True),
        ("'z' not in words", True),
        ("'count' in inputs.parameters", True),
        ("n in 1..1000000000000", True),
        ("name contains 'ob'", True),
        ("name not startsWith 'x'", True),
        ("name endsWith 'b'", True),
        ("name matches '^b.b$'", True),
        ("nothing ?? 'd'", "d"),
        ("'a' ?? 'd'", "a"),
        ("inputs.parameters.none ?? inputs.parameters.count ?? 'z'", "3"),
        ("1..4", [1, 2, 3, 4]),
        ("4..1", []),
        ("flag ? 'y' : 'n'", "y"),
        ("(n > 9) ?: 'small'", "small"),
        ("if n > 5 { 'big' } else if n > 3 { 'middle' } else { 'small' }", "big"),
        ("let x = n; let y = x + 1; x * y", 56),
    ],
)
def test_operators(source: str, wanted: object) -> None:
    assert same(value(source), wanted)


def test_zero_over_zero_is_not_a_number() -> None:
    assert math.isnan(value("0.0 / 0"))


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("inputs.parameters.count", "3"),
        ("inputs.parameters['my-name']", "x"),
        ("inputs['parameters'].typo", None),
        ("inputs?.nothing?.deeper.still", None),
        ("inputs.none?.[0]", None),
        ("$env['n'] + 1", 8),
        ("$env?.unknown", None),
        ("numbers[-1]", 2),
        ("numbers[1:]", [1, 2]),
        ("numbers[:-1]", [3, 1]),
        ("numbers[5:]", []),
        ("name[1:2]", "o"),
        ("'é'[0:1]", "\ufffd"),
        ("pods[0].name", "p1"),
    ],
)
def test_members(source: str, wanted: object) -> None:
    assert same(value(source), wanted)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("filter(numbers, # > 1)", [3, 2]),
        ("filter(pods, .cpu > 2)[0].name", "p2"),
        ("map(numbers, {# * #index})", [0, 1, 4]),
        ("pods | map(.name) | join('-')", "p1-p2"),
        ("numbers | filter(# > 1) | map(# * 10) | sum()", 50),
        ("all(numbers, # > 0) and none(numbers, # > 3) and any(numbers, # == 2) and one(numbers, # == 1)", True),
        ("find(numbers, # < 3)", 1),
        ("findIndex(numbers, # < 3)", 1),
        ("findLast(numbers, # > 1)", 2),
        ("findLastIndex(numbers, # > 1)", 2),
        ("find(numbers, # > 9)", None),
        ("count(numbers, # > 1)", 2),
        ("count([true, false, true])", 2),
        ("sum(pods, .cpu)", 6),
        ("sum(1..1000000000)", 500000000500000000),
        ("groupBy(numbers, # % 2)", {1: [3, 1], 0: [2]}),
        ("sortBy(pods, .cpu, 'desc') | map(.name)", ["p2", "p1"]),
        ("reduce(numbers, #acc + #)", 6),
        ("reduce(numbers, #acc + #, 10)", 16),
        ("map(1..3, map(1..#, # * 2))", [[2], [2, 4], [2, 4, 6]]),
        ("map(numbers, {let y = # + 1; y * 2})", [8, 4, 6]),
        ("filter($env.numbers, # > 1)", [3, 2]),
    ],
)
def test_predicates(source: str, wanted: object) -> None:
    assert value(source) == wanted


def test_the_right_side_of_and_is_not_evaluated_in_vain() -> None:
    assert value("false && inputs.a.b.c") is False
    assert value("true || inputs.a.b.c") is True


def test_an_entry_of_the_environment_hides_a_builtin() -> None:
    assert value("len + 1", len=2) == 3
    assert compile_expression("upper('a')").evaluate({}, functions={"upper": lambda text: f"<{text}>"}) == "<a>"
    assert compile_expression("::upper('a')").evaluate({"upper": 1}) == "A"


def test_one_text_serves_environments_of_other_kinds() -> None:
    expression = compile_expression("x + x")
    assert [expression.evaluate({"x": x}) for x in (1, 1.5, "a", 2)] == [2, 3.0, "aa", 4]


def test_times_and_durations() -> None:
    noon = datetime(2024, 3, 10, 12, tzinfo=UTC)
    assert value("t + duration('36h')", t=noon) == noon + timedelta(hours=36)
    assert value("t - date('2024-03-10')", t=noon) == timedelta(hours=12)
    assert value("date('24.11.1987 20:30', '02.01.2006 15:04', 'Europe/Zurich')") == datetime(1987, 11, 24, 19, 30, tzinfo=UTC)
    assert value("t.In(timezone('Asia/Tokyo')).Format('15:04 MST')", t=noon) == "21:00 JST"
    assert value("t.Year() * 100 + int(t.Month())", t=noon) == 202403
    assert value("t.AddDate(0, 1, -10).Format('2006-01-02')", t=noon) == "2024-03-31"
    assert value("string(duration('90m') * 2)") == "3h0m0s"
    assert value("duration('90s').Minutes()") == 1.5
    assert value("string(date('15:04:05'))") == "0000-01-01 15:04:05 +0000 UTC"
    assert value("(t + duration('1ns') - t).Nanoseconds()", t=noon) == 1


def test_now_is_what_the_clock_says() -> None:
    noon = datetime(2024, 3, 10, 12, tzinfo=UTC)
    with sources(clock=lambda: noon):
        assert compile_expression("now()").evaluate({}) == noon


def test_modes_without_checks_beforehand() -> None:
    expression = compile_expression("missing?.x ?? other")
    assert expression.evaluate({}, mode="undefined") is None
    assert expression.evaluate({"other": 1}, mode="no_env") == 1
    assert compile_expression("'a' + x == 'ab'").evaluate({"x": "b"}, mode="no_env") is True


def test_results_are_plain_python() -> None:
    assert type(value("split('a,b', ',')")) is list
    assert type(value("1..2")) is list
    assert type(value("fromPairs([['a', 1]])")) is dict
    assert type(value("duration('1s')")) is timedelta
    assert type(value("toPairs({a: 1})[0]")) is list
