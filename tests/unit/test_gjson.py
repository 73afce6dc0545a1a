"""GJSON paths."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import LimitExceeded
from flowcore.language.gjson import get
from flowcore.language.gjson_paths import wildcard_match

POD = json.dumps(
    {
        "metadata": {"name": "p", "labels": {"app.io/name": "x"}},
        "status": {
            "phase": "Running",
            "ready": True,
            "ratio": 1e3,
            "nothing": None,
            "conditions": [{"type": "Ready", "status": "True", "n": 3}, {"type": "Done", "status": "False", "n": 7}, 5],
        },
    }
)


@pytest.mark.parametrize(
    "path, string",
    [
        ("status.phase", "Running"),
        ("status.ready", "true"),
        ("status.ratio", "1000"),
        ("status.nothing", ""),
        ("metadata.labels.app\\.io/name", "x"),
        ("meta*.na?e", "p"),
        ("status.conditions.#", "3"),
        ("status.conditions.1.type", "Done"),
        ("status.conditions.#.type", '["Ready","Done"]'),
        ('status.conditions.#(type=="Ready").status', "True"),
        ("status.conditions.#(n>3).type", "Done"),
        ("status.conditions.#(n>=3)#.n", "[3,7]"),
        ('status.conditions.#(type%"R*")#.n', "[3]"),
        ('status.conditions.#(type!%"R*").n', "7"),
        ("status.conditions.#(status==~true).type", "Ready"),
        ("status.conditions.#.type|0", "Ready"),
        ("status.conditions|@reverse|0", "5"),
        ("status.@keys|#", "5"),
        ('{status.phase,"n":metadata.name}', '{"phase":"Running","n":"p"}'),
        ("[status.phase,metadata.name].1", "p"),
        ('!"static"', "static"),
        ("status.conditions.#(n<0)#", "[]"),
        ("@dig:type", '["Ready","Done"]'),
        ("metadata.labels.@values.0", "x"),
        ("status.phase.@tostr", '"Running"'),
    ],
)
def test_what_paths_find(path: str, string: str) -> None:
    result = get(POD, path)
    assert result.exists
    assert result.string == string


@pytest.mark.parametrize("path", ["nope", "status.phase.x", "status.conditions.9", "status.conditions.-1", "status.", "", "STATUS", "#"])
def test_what_is_not_there(path: str) -> None:
    assert not get(POD, path).exists


@pytest.mark.parametrize(
    "text, path, string",
    [
        ("[[1],[2,[3,[4]]]]", "@flatten", "[1,2,[3,[4]]]"),
        ("[[1],[2,[3,[4]]]]", '@flatten:{"deep":true}', "[1,2,3,4]"),
        ('[{"a":1},{"a":2,"b":3}]', "@join", '{"a":2,"b":3}'),
        ('[{"a":1},{"a":2}]', '@join:{"preserve":true}', '{"a":1,"a":2}'),
        ('{"a":[1,2],"b":[3,4]}', "@group", '[{"a":1,"b":3},{"a":2,"b":4}]'),
        ('{ "b" : [ 1 , 2 ] , "a" : "x y" }', "@ugly", '{"b":[1,2],"a":"x y"}'),
        ('{"b":[1,2],"a":{"c":[{}]}}', "@pretty", '{\n  "b": [1, 2],\n  "a": {\n    "c": [\n      {}\n    ]\n  }\n}\n'),
        ('{"b":1,"a":2}', '@pretty:{"sortKeys":true,"indent":" "}', '{\n "a": 2,\n "b": 1\n}\n'),
        ('"{\\"a\\":1}"', "@fromstr|a", "1"),
        ("[1,", "@valid", ""),
        ('{"a":1}\n{"a":2}', "..#.a", "[1,2]"),
    ],
)
def test_modifiers(text: str, path: str, string: str) -> None:
    assert get(text, path).string == string


def test_escapes_in_texts() -> None:
    assert get('{"a\\u0062":"x\\n\\ud83d\\ude00\\ud83d!"}', "ab").string == "x\n😀\ufffd!"


@pytest.mark.parametrize(
    "path",
    ["|".join(["[@this,@this]"] * 40), "|".join(["@tostr"] * 50), "a" * 10_000, "|".join(["@this"] * 200)],
)
def test_paths_that_build_too_much(path: str) -> None:
    with pytest.raises(LimitExceeded):
        get('{"a":"\\"\\\\"}', path)


def test_a_long_list_is_walked_quickly() -> None:
    text = json.dumps({"list": [{"n": number} for number in range(20_000)]})
    assert get(text, "list.#(n==19999).n").string == "19999"
    assert get(text, "list.#.n|#").string == "20000"


@pytest.mark.parametrize(
    "text, pattern, expected",
    [
        ("abc", "a*c", True),
        ("abc", "a?c", True),
        ("abc", "*b", False),
        ("a*c", "a\\*c", True),
        ("", "**", True),
        ("ab" * 500, "*a*a*a*a*z", False),
    ],
)
def test_wildcards(text: str, pattern: str, expected: bool) -> None:
    assert wildcard_match(text, pattern) is expected


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), _VALUES), st.lists(st.sampled_from(["a", "b", "c", "0", "1"]), min_size=1, max_size=4)
)
def test_plain_paths_agree_with_json(value: object, path: list[str]) -> None:
    expected: object = value
    for part in path:
        if isinstance(expected, dict) and part in expected:
            expected = expected[part]
        elif isinstance(expected, list) and part.isdigit() and int(part) < len(expected):
            expected = expected[int(part)]
        else:
            assert not get(json.dumps(value), ".".join(path)).exists
            return
    assert json.loads(get(json.dumps(value), ".".join(path)).raw) == expected


@given(st.text(alphabet='ab01"\\{}[]():,.#@|!*?=<>%~ -nt', max_size=30), st.text(alphabet='ab01"\\{}[]():,.#@|!*?=<>%~', max_size=20))
def test_any_text_and_path_give_a_result(text: str, path: str) -> None:
    assert isinstance(get(text, path).string, str)
