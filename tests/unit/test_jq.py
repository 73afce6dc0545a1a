"""jq programs: results, gojq's messages, limits, and what ``jqFilter`` makes of them."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language import jq
from flowcore.language.sources import sources

POD: dict[str, Json] = {
    "kind": "Pod",
    "metadata": {"name": "main-1", "labels": {"app": "x", "tier": "db"}},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "ok": True}, {"type": "Done", "ok": False}]},
    "sizes": [3, 1, 2],
}


@pytest.mark.parametrize(
    "program, results",
    [
        (".", [POD]),
        (".status.phase", ["Running"]),
        (".status.nothing.more", [None]),
        ('.metadata.labels["app"], .metadata."name"', ["x", "main-1"]),
        (".status.conditions[].type", ["Ready", "Done"]),
        (".status.conditions[-1].ok", [False]),
        (".sizes[1:], .sizes[:-1]", [[1, 2], [3, 1]]),
        ('.status.phase | .[0:3] + "!"', ["Run!"]),
        ('.status.conditions | map(select(.ok)) | .[0].type // "none"', ["Ready"]),
        ('.status.conditions[] | select(.type == "Done" and (.ok | not)) | .type', ["Done"]),
        ("[.sizes[] | . * 10 + 1]", [[31, 11, 21]]),
        (".sizes | sort, add, length, max, (map(tostring) | join(\"-\"))", [[1, 2, 3], 6, 3, 3, "3-1-2"]),
        (".metadata.labels | keys, to_entries[0], (with_entries(.value |= ascii_upcase) | .tier)", [["app", "tier"], {"key": "app", "value": "x"}, "DB"]),
        ('"\\(.kind)/\\(.metadata.name)"', ["Pod/main-1"]),
        ("{kind, name: .metadata.name, (.status.phase): 1}", [{"kind": "Pod", "name": "main-1", "Running": 1}]),
        ('{"\\(.sizes[])"}', [{"3": None}, {"1": None}, {"2": None}]),
        ("if .sizes[0] > 2 then \"big\" elif true then 0 else 1 end", ["big"]),
        ("reduce .sizes[] as $n (0; . + $n)", [6]),
        ("[foreach .sizes[] as $n (0; . + $n; [$n, .])]", [[[3, 3], [1, 4], [2, 6]]]),
        ("[limit(3; repeat(1))], first(range(5; 10)), [range(0; 6; 4)]", [[1, 1, 1], 5, [0, 4]]),
        (". as {status: {conditions: [$one, {type: $two}]}} | $one.type + $two", ["ReadyDone"]),
        (".sizes as [$a] ?// $a | $a", [3]),
        ("def twice(f): f | f; .sizes[0] | twice(. * 2)", [12]),
        ("def fac: if . < 2 then 1 else . * (. - 1 | fac) end; 25 | fac", [math.factorial(25)]),
        ("def f($a; g): $a + g; f(1; 2, 3)", [3, 4]),
        ("[.sizes[] as $x | label $out | if $x == 1 then break $out else $x end]", [[3, 2]]),
        ('[.sizes[] | try (if . == 1 then error("one") else . end) catch "caught \\(.)"]', [[3, "caught one", 2]]),
        ('try error({code: 7}) catch .code', [7]),
        ("[.kind[]?, .sizes[]?]", [[3, 1, 2]]),
        ("[.. | booleans]", [[True, False]]),
        ("[paths(type == \"number\")] | length", [3]),
        ("path(.status.conditions[0] | .type)", [["status", "conditions", 0, "type"]]),
        ("[tostream] | length", [20]),
        ("fromstream(.sizes | tostream)", [[3, 1, 2]]),
        ("any(.sizes[]; . > 2), all(.sizes[]; . > 2)", [True, False]),
        (".sizes | index(1), IN(.[]; 5, 2), contains([2]), inside([1, 2, 3, 4])", [1, True, True, True]),
        ("[.sizes[] | {a: . % 2, b: .}] | group_by(.a) | map(length)", [[1, 2]]),
        (".sizes | transpose? // \"no\"", ["no"]),
        ("$ENV, env", [{}, {}]),
        ("[splits(\"a\")?] , (.kind | test(\"^p\"; \"i\"), [scan(\"[a-z]\")], sub(\"o\"; \"0\"), ascii_downcase)", [[], True, ["o", "d"], "P0d", "pod"]),
        ('.metadata.name | capture("(?<base>[a-z]+)-(?<n>[0-9]+)")', [{"base": "main", "n": "1"}]),
        ("1e3, 1.0, 100000000000000000000, 0.1 + 0.2, 7 / 2, 8 / 2, -7 % 3", [1000.0, 1.0, 10**20, 0.1 + 0.2, 3.5, 4, -1]),
        ("[nan] | sort | .[0] | isnan", [True]),
        ("null, false, 0, \"\", [], {} | not", [True, True, False, False, False, False]),
        ("[{}, [], \"a\", 1, true, false, null] | sort", [[None, False, True, 1, "a", [], {}]]),
        ("{a: {b: 1}} * {a: {c: 2}}", [{"a": {"b": 1, "c": 2}}]),
        ("\"ab\" * 3, \"ab\" * 0, (\"a,b\" / \",\"), [1, 2, 1] - [1]", ["ababab", "", ["a", "b"], [2]]),
        ("# a comment\n1 # another", [1]),
    ],
)  # fmt: skip
def test_programs(program: str, results: list[object]) -> None:
    assert jq.run(program, POD) == results


@pytest.mark.parametrize(
    "program, result",
    [
        (".a = 5", {"a": 5, "b": [1, 2, 3]}),
        (".b[1] = 9", {"a": {"c": 1}, "b": [1, 9, 3]}),
        (".b[1:] = [7]", {"a": {"c": 1}, "b": [1, 7]}),
        (".b[] |= . * 2", {"a": {"c": 1}, "b": [2, 4, 6]}),
        (".b |= map(select(. > 1))", {"a": {"c": 1}, "b": [2, 3]}),
        ("(.b[] | select(. == 2)) |= empty", {"a": {"c": 1}, "b": [1, 3]}),
        (".a.c += 1", {"a": {"c": 2}, "b": [1, 2, 3]}),
        (".new //= \"x\"", {"a": {"c": 1}, "b": [1, 2, 3], "new": "x"}),
        ("del(.a, .b[0, 2])", {"b": [2]}),
        ("to_entries | from_entries", {"a": {"c": 1}, "b": [1, 2, 3]}),
        ("setpath([\"a\", \"d\"]; 2) | getpath([\"a\", \"d\"])", 2),
        ("pick(.b[1])", {"b": [None, 2]}),
        ("walk(if type == \"number\" then . + 1 else . end)", {"a": {"c": 2}, "b": [2, 3, 4]}),
        (".a as $a | .b | . + [$a.c]", [1, 2, 3, 1]),
    ],
)  # fmt: skip
def test_changes_leave_the_input_alone(program: str, result: object) -> None:
    value = {"a": {"c": 1}, "b": [1, 2, 3]}
    assert jq.run(program, value) == [result]
    assert value == {"a": {"c": 1}, "b": [1, 2, 3]}


@pytest.mark.parametrize(
    "program, text",
    [
        ("@text", '[1,"a b",null]'),
        ("@json", '[1,"a b",null]'),
        ("@csv", '1,"a b",'),
        ("@tsv", "1\ta b\t"),
        ("@sh", "1 'a b' null"),
        (".[1] | @uri", "a%20b"),
        (".[1] | @base64", "YSBi"),
        (".[1] | @base64 | @base64d", "a b"),
        ('@html "<i>\\("<&>")</i>"', "<i>&lt;&amp;&gt;</i>"),
        ('@uri "?q=\\(.[1])"', "?q=a%20b"),
    ],
)
def test_formats(program: str, text: str) -> None:
    assert jq.run(program, [1, "a b", None]) == [text]


@pytest.mark.parametrize(
    "program, result",
    [
        ("todate", "2015-03-05T23:51:47Z"),
        ('strftime("%A, %B %d, %Y")', "Thursday, March 05, 2015"),
        ("gmtime | mktime", 1425599507),
        ('todate | strptime("%Y-%m-%dT%H:%M:%SZ") | .[:3]', [2015, 2, 5]),
        ("todate | fromdate", 1425599507),
    ],
)
def test_times(program: str, result: object) -> None:
    assert jq.run(program, 1425599507) == [result]


@pytest.mark.parametrize(
    "program, numbers",
    [
        ("j0, j1, jn(2; .)", [0.7651976865579666, 0.44005058574493355, 0.1149034849319005]),
        ("y0, y1, yn(2; .)", [0.08825696421567696, -0.7812128213002887, -1.6506826068162543]),
        ("50 | j0, y0", [0.055812327669251746, -0.09806499547007708]),
        ("0 | j0, j1, y0", [1, 0, -math.inf]),
        ("-0.5 | j1, y1", [-0.242268457674874, math.nan]),
        ("infinite | j0, y0", [0, 0]),
    ],
)
def test_bessel_functions(program: str, numbers: list[float]) -> None:
    assert jq.run(program, 1) == pytest.approx(numbers, rel=1e-14, nan_ok=True)


def test_a_slice_of_everything_is_the_list_itself_as_far_as_paths_go() -> None:
    assert jq.run(".[:2] as $x | path($x[0])", [1, 2]) == [[0]]


def test_the_clock_is_the_given_one() -> None:
    with sources(clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)):
        assert jq.run("now | todate", None) == ["2026-01-02T03:04:05Z"]


@pytest.mark.parametrize(
    "program, value, message",
    [
        (".a", 1, "expected an object but got: number (1)"),
        (".[0]", {"a": 1}, 'expected an array but got: object ({"a":1})'),
        (".[]", "text", 'cannot iterate over: string ("text")'),
        (". + 1", "a", 'cannot add: string ("a") and number (1)'),
        (". - 1", [], "cannot subtract: array ([]) and number (1)"),
        (". / 0", 1, "cannot divide number (1) by: number (0)"),
        (".a = 1", 0, 'setpath(["a"]; 1) cannot be applied to 0: expected an object but got: number (0)'),
        (".[] = 1", 0, "cannot iterate over: number (0)"),
        ("{(.): 1}", 3, "expected a string for object key but got: number (3)"),
        ("tonumber", "x", 'tonumber cannot be applied to "x": invalid number'),
        ("keys", 3, "keys cannot be applied to: number (3)"),
        ("error", {"a": 1}, 'error: {"a":1}'),
        ('error("mine")', None, "error: mine"),
        ("path(1)", None, "invalid path against: number (1)"),
        ("test(\"(\")", "x", None),
        ("test(\"(?=x)\")", "x", None),
        ("fromjson", "{", None),
    ],
)  # fmt: skip
def test_failures(program: str, value: object, message: str | None) -> None:
    with pytest.raises(ExpressionError) as caught:
        jq.run(program, value)
    if message is not None:
        assert caught.value.message == message


@pytest.mark.parametrize(
    "program, part",
    [
        ("", "missing query"),
        (".a |", "unexpected EOF"),
        ("(1", "unexpected EOF"),
        ("1 +* 2", 'unexpected token "*"'),
        ("{a: 1 2}", 'unexpected token "2"'),
        ("$x", "variable not defined: $x"),
        ("f(1)", "function not defined: f/1"),
        ("break $out", "label not defined: $out"),
        ('"abc', "unterminated string literal"),
        ("input", "input(s)/0 is not allowed"),
        ('import "a" as a; 1', "modules cannot be loaded"),
    ],
)
def test_programs_that_do_not_compile(program: str, part: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        jq.run(program, None)
    assert part in caught.value.message
    assert caught.value.stage == "compile"


@pytest.mark.parametrize(
    "program",
    [
        "[range(1e12)]",
        "def f: f; f",
        "def f: 1 + f; f",
        "def f: [f]; f",
        "repeat(1)",
        "[repeat(1)]",
        "until(false; .)",
        'reduce range(60) as $i ("x"; . + .)',
        "reduce range(60) as $i ([1]; . + .)",
        "reduce range(100) as $i (3; . * .)",
        '"x" * 1000000000',
        "reduce range(60) as $i ([1]; [., .]) | tojson",
        "reduce range(60) as $i ([1]; [., .])",
        "reduce range(60) as $i ([1]; [., .]) | flatten",
        "reduce range(60) as $i ([1]; [., .]) | . as $x | [$x, 1] == [$x, 2]",
        "reduce range(400) as $i (1; [.]) | tojson",
        ".[100000000] = 1",
        "setpath([range(1000) | \"a\"]; 1)",
        "[range(100000)] as $x | [range(100000) | $x[1:]]",
        '"x" * 4000000 | repeat(.)',
        "(" * 3000 + "1" + ")" * 3000,
        "[" * 3000,
        "- " * 3000 + "1",
        "1" + " | 1" * 40000,
    ],
)  # fmt: skip
def test_limits(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowcore.language.jq.meter.MAX_SECONDS", 0.5)
    with pytest.raises(LimitExceeded):
        jq.run(program, None)


@pytest.mark.parametrize("digits", [4000, 4300, 6000])
def test_numbers_that_python_cannot_write_are_infinite(digits: int) -> None:
    (text,) = jq.run(f"{'9' * digits} | tostring", None)
    assert text == ("9" * digits if digits == 4000 else "1.7976931348623157e+308")
    assert jq.run("tonumber | . > 1e308", "9" * digits) == [True]
    assert jq.run("tonumber | . < -1e308", "-" + "9" * digits) == [True]


def test_deep_values_are_refused_or_worked_with() -> None:
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    for program in (".", "tojson", "flatten", "walk(.)", ". == .", "tostream", "setpath([]; .)"):
        with pytest.raises(LimitExceeded):
            jq.run(program, deep)
    assert jq.run("[..] | length", deep) == [5001]
    assert jq.run(".[0][0] | type", deep) == ["array"]


def test_many_results_of_a_recursive_function_need_no_python_stack() -> None:
    assert jq.run("[limit(20000; def on: ., (. + 1 | on); 0 | on)] | length", None) == [20000]
    assert jq.run("last(range(50000))", None) == [49999]
    assert jq.run("reduce range(20000) as $i (null; [.]) | type", None) == ["array"]


@pytest.mark.parametrize(
    "program, text, shown",
    [
        (".items[0].name", '{"items": [{"name": "a"}]}', "a"),
        (".items[]", '{"items": [1, "two", {"b": [true, null]}]}', '1\ntwo\n{"b":[true,null]}'),
        ("empty", "{}", ""),
        (".missing", "{}", "null"),
        (".n", '{"n": 12345678901234567890}', "12345678901234567000"),
        (".n", '{"n": 1.50}', "1.5"),
        (".s", '{"s": "  padded\\n"}', "padded"),
        (".", '{"b": "<&>", "a": 1}', '{"a":1,"b":"\\u003c\\u0026\\u003e"}'),
    ],
)
def test_what_a_filter_gives(program: str, text: str, shown: str) -> None:
    assert jq.filter_text(program, text) == shown


@pytest.mark.parametrize("program, text", [(".", "{"), (".", "[NaN]"), ("nan", "1"), ("[infinite]", "1")])
def test_filters_of_no_json_and_to_no_json(program: str, text: str) -> None:
    with pytest.raises(ExpressionError):
        jq.filter_text(program, text)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_PIECES = st.sampled_from(
    [".", ".a", "[", "]", "{", "}", "(", ")", "|", ",", "1", "-", "+", "//", "?", "as $x", "$x", "try", "catch", "if", "then", "else", "end",
     "def f: ", ";", "f", "reduce", "foreach", ".[]", "..", '"', "\\(", "=", "|=", "==", "and", "not", "map(", "select(", "label $x", "path(",
     "keys", "test(", '"a"', "@csv", "tojson", "sort", "add", "empty", "error", "limit(2;", "recurse", "1e400", "splits", "flatten", ":"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=12), _VALUES)
def test_any_program_is_run_or_refused(pieces: list[str], value: object) -> None:
    try:
        results = jq.run(" ".join(pieces), value)
    except ExpressionError:
        return
    json.dumps(results)


@given(st.text(max_size=40))
def test_any_text_is_a_program_or_refused(program: str) -> None:
    try:
        jq.run(program, {"a": [1, 2]})
    except ExpressionError:
        return


@given(_VALUES)
def test_laws(value: object) -> None:
    for program in ("tojson | fromjson", "[tostream] | fromstream(.[])", "[.] | map(.) | .[0]", "reduce empty as $x (.; 1)", "walk(.)"):
        assert jq.run(f"({program}) == .", value) == [True], program
    assert jq.run("[paths] == ([path(..)] | .[1:])", value) == [True]
    assert jq.run("[.. ] | length", value) == jq.run("[paths] | length + 1", value)


@given(st.lists(st.integers() | st.text() | st.booleans() | st.none(), max_size=20))
def test_sorting_agrees_with_the_order(items: list[object]) -> None:
    assert jq.run("sort as $s | all(range(1; length); $s[. - 1] <= $s[.])", items) == [True]
    assert jq.run("(unique | length) == (group_by(.) | length)", items) == [True]
