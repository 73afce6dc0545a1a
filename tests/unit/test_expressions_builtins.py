"""The expr-lang dialect: what the builtins give, and the functions that Argo adds."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta

import pytest

from flowcore.errors import ExpressionError
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expressions import compile_expression


def value(source: str, **names: object) -> object:
    return compile_expression(source).evaluate(names, functions=ARGO_FUNCTIONS)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("trim('  a ') + trim('--a--', '-')", "aa"),
        ("trimPrefix('abc', 'a') + trimSuffix('abc', 'c')", "bcab"),
        ("upper('éß') + lower('ÉA')", "Éßéa"),
        ("split('a,b,c', ',')", ["a", "b", "c"]),
        ("split('a,b,c', ',', 2)", ["a", "b,c"]),
        ("split('héy', '')", ["h", "é", "y"]),
        ("split('a', ',', 0)", []),
        ("splitAfter('a,b', ',')", ["a,", "b"]),
        ("replace('aaa', 'a', 'b', 2)", "bba"),
        ("replace('ab', '', '-')", "-a-b-"),
        ("repeat('ab', 3)", "ababab"),
        ("join(['a', 'b'], '-') + join(['a', 'b'])", "a-bab"),
        ("indexOf('éa', 'a')", 2),
        ("lastIndexOf('abab', 'b')", 3),
        ("hasPrefix('abc', 'ab') && hasSuffix('abc', 'bc')", True),
        ("len('é') + len([1, 2]) + len({a: 1})", 4),
        ("toJSON({b: [1, 2.5, nil], a: '<'})", '{\n  "a": "\\u003c",\n  "b": [\n    1,\n    2.5,\n    null\n  ]\n}'),
        ("fromJSON('{\"a\": [1, 2.5, null, true]}')", {"a": [1.0, 2.5, None, True]}),
        ("toBase64('héy') | fromBase64()", "héy"),
        ("string(1.0) + string(1e6) + string(nil) + string([1, 'a']) + string({b: 1, a: 2})", "11e+06<nil>[1 a]map[a:2 b:1]"),
    ],
)
def test_texts(source: str, wanted: object) -> None:
    assert value(source) == wanted


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("abs(-3)", 3),
        ("ceil(1.2)", 2.0),
        ("floor(-1.2)", -2.0),
        ("round(2.5)", 3.0),
        ("round(-0.5)", -1.0),
        ("int('42')", 42),
        ("int(-2.9)", -2),
        ("int(1e30)", -9223372036854775808),
        ("float('1e2')", 100.0),
        ("max(1, 2.5, [3, [4]])", 4),
        ("min([3, 1])", 1),
        ("mean(1, 2, [6])", 3.0),
        ("median([5, 1, 3, 2])", 2.5),
        ("mean([])", 0.0),
        ("bitand(12, 10)", 8),
        ("bitor(12, 10)", 14),
        ("bitxor(12, 10)", 6),
        ("bitnand(12, 10)", 4),
        ("bitnot(5)", -6),
        ("bitshl(1, 70)", 0),
        ("bitshr(-8, 1)", -4),
        ("bitushr(-1, 60)", 15),
    ],
)
def test_numbers(source: str, wanted: object) -> None:
    got = value(source)
    assert got == wanted
    assert type(got) is type(wanted)


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("type(1) + type(1.0) + type('') + type([]) + type({}) + type(nil) + type(true)", "intfloatstringarraymapnilbool"),
        ("type(now()) + type(duration('1s'))", "time.Timetime.Duration"),
        ("first([1, 2])", 1),
        ("last([])", None),
        ("get([1, 2], 5)", None),
        ("get({a: 1}, 'a')", 1),
        ("take([1, 2, 3], 2)", [1, 2]),
        ("take([1], 5)", [1]),
        ("keys({b: 1, a: 2})", ["a", "b"]),
        ("values({b: 1, a: 2})", [2, 1]),
        ("toPairs({a: 1})", [["a", 1]]),
        ("fromPairs([['a', 1], [2, 'x']])", {"a": 1, 2: "x"}),
        ("reverse([1, 2])", [2, 1]),
        ("uniq([1, 1.0, '1', [1], [1]])", [1, "1", [1]]),
        ("concat([1], ['a'], 1..2)", [1, "a", 1, 2]),
        ("flatten([1, [2, [3]]])", [1, 2, 3]),
        ("sort([3, 1.5, 2])", [1.5, 2, 3]),
        ("sort(['b', 'a'], 'desc')", ["b", "a"]),
    ],
)
def test_lists_and_maps(source: str, wanted: object) -> None:
    assert value(source) == wanted


def test_dates() -> None:
    assert value("date('2024-03-10T12:00:00+02:00')") == datetime(2024, 3, 10, 10, tzinfo=UTC)
    assert value("date(timezone('Europe/Zurich'), '2024-07-01').Hour()") == 0
    assert value("duration('1h30m')") == timedelta(minutes=90)
    assert value("(duration('100s') + duration('1500ms')).Round(duration('1s')).String()") == "1m42s"
    assert value("d.Truncate(duration('24h')).Weekday().String()", d=datetime(2024, 3, 10, 12, tzinfo=UTC)) == "Sunday"
    assert value("'%!' in d", d={"%!": 1}) is True


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("asInt('3') * 2", 6),
        ("asFloat('1.5') + 1", 2.5),
        ("toJson({b: 1, a: [1.0, 'x']})", '{"a":[1,"x"],"b":1}'),
        ("jsonpath('{\"a\": [{\"b\": 7}]}', '$.a[0].b')", 7.0),
        ("sprig.trimSuffix('b', sprig.upper('a') + 'b')", "A"),
    ],
)
def test_argo_functions(source: str, wanted: object) -> None:
    assert value(source) == wanted


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("asInt()", "not enough arguments to call asInt (1:1)"),
        ("asInt('x')", "invalid operation: int(x) (1:1)"),
        ("toJson(1, 2)", "too many arguments to call toJson (1:1)"),
        ("jsonpath(1, '$')", "cannot use int as argument (type string) to call jsonpath  (1:10)"),
        ("sprig.env('HOME')", "invalid operation: cannot call nil (1:7)"),
        ("toJson(toJson)", "json: unsupported type: func(interface {}) string (1:1)"),
    ],
)
def test_argo_functions_refuse(source: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(source)
    assert str(caught.value).split("\n")[0] == message


def test_functions_cannot_change_the_environment() -> None:
    environment = {"m": {"a": {"x": 1}}, "l": [3, 1, 2]}
    before = copy.deepcopy(environment)
    for source in (
        "sprig.set(m, 'b', 1)",
        "sprig.unset(m, 'a')",
        "sprig.merge(m, {a: {y: 2}})",
        "sort(l)",
        "sprig.append(l, 4)",
        "reverse(l)",
    ):
        compile_expression(source).evaluate(environment, functions=ARGO_FUNCTIONS)
        assert environment == before, source
