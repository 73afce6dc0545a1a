"""YAML text in and out: Kubernetes' reading of scalars, places, bounds, and texts that come back as they went."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore import yaml
from flowcore.errors import InvalidWorkflow


def one(text: str):
    (parsed,) = yaml.read(text)
    return parsed.json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("y", True),
        ("Off", False),
        ("~", None),
        ("", None),
        ("0755", 493),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("1e3", 1000),
        ("1.0", 1),
        ("1.50", 1.5),
        (".5", 0.5),
        ("+1", 1),
        ("-1", -1),
        ("089", 89),
        ("1e400", "1e400"),
        ("2020-01-01", "2020-01-01"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("12:30:45", "12:30:45"),
        ("1.2.3", "1.2.3"),
        ("0.5Gi", "0.5Gi"),
        ("-", "-"),
        ("tRue", "tRue"),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", 18446744073709551616),
        ("'5'", "5"),
        ('"yes"', "yes"),
        ("!!str 5", "5"),
        ("!!int '5'", 5),
        ("!!binary aGk=", "hi"),
        ("<<inputs.parameters.x>>", "<<inputs.parameters.x>>"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ('"\\ud83d\\ude00"', "\U0001f600"),
    ],
)
def test_scalars(text, value):
    if text in ("-",):
        text = "'-'"
    result = one(f"k: {text}")["k"] if text else one("k:")["k"]
    assert result == value
    assert type(result) is type(value)


def test_digits_that_no_number_holds_stay_text():
    digits = "9" * 5000
    assert one(f"k: {digits}")["k"] == digits


@pytest.mark.parametrize(("text", "key"), [("y: 1", "true"), ("1: 1", "1"), ("1.5: 1", "1.5"), ("'y': 1", "y")])
def test_keys_become_text(text, key):
    assert one(text) == {key: 1}


def test_anchors_aliases_and_merge_keys():
    text = """
base: &base {image: a, env: [x]}
one: *base
two: {<<: *base, image: b}
three: {<<: [{q: 1, r: 1}, {q: 2, s: 2}]}
"""
    data = one(text)
    assert data["one"] == {"image": "a", "env": ["x"]}
    assert data["two"] == {"image": "b", "env": ["x"]}
    assert data["three"] == {"q": 1, "r": 1, "s": 2}
    assert data["one"]["env"] is not data["base"]["env"]


def test_several_documents_and_empty_ones():
    assert [parsed.json for parsed in yaml.read("---\na: 1\n---\n---\n# nothing\n---\n- 2\n")] == [{"a": 1}, [2]]


def test_places_count_from_one_and_fall_back_to_what_is_around():
    (parsed,) = yaml.read("a:\n  b:\n  - c: 1\n    'd.e/f': 2\n")
    assert parsed.locate("a.b[0].c") == (3, 5)
    assert parsed.locate('a.b[0]["d.e/f"]') == (4, 5)
    assert parsed.locate("a.b[0].x.y[3]") == (3, 5)
    assert parsed.locate("") == (1, 1)


def test_places_of_json_text():
    (parsed,) = yaml.read('{"a": 1,\n "b": {"c":\n 2}}')
    assert parsed.locate("b.c") == (2, 8)


@given(st.lists(st.one_of(st.text(min_size=1), st.integers(0, 9))))
def test_dotted_paths_can_be_split_again(path):
    assert yaml.split_path(yaml.dotted(tuple(path))) == tuple(path)


def test_duplicate_keys_are_told_and_the_last_counts():
    (parsed,) = yaml.read("a: 1\nb: 2\na: 3\n")
    assert parsed.json == {"a": 3, "b": 2}
    (problem,) = parsed.problems
    assert (problem.line, problem.path, problem.severity) == (3, "a", "warning")
    assert "line 1" in problem.remedy


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "aliases counted as copies"),
        ("a: &a " + "x" * 900_000 + "\nb: [" + "*a, " * 9 + "*a]", "aliases make the document larger"),
        ("k: " + "9" * 1_000_001, "1,000,001 characters"),
        ("k: |\n  " + "x" * 6_000_000, "6,000,009 characters|6,000,007 characters"),
        ("- " * 200 + "a", "nested more than 100"),
        ("[" * 5000, "nested more than 100"),
        ('{"a":' * 5000, "nested more than 100"),
        ('{"a":' * 300 + "1" + "}" * 300, "nested more than 100"),
        ('{"a": ' + "9" * 5000 + "}", "too large"),
        ('{"a": 1e999}', "too large"),
        ("a: &a [*a]", "inside of what it names"),
        ("a: *b", "no anchor"),
        ("a: .inf", "no number"),
        ("a: !!python/object:os.system x", "not known"),
        ("a: !foo x", "not known"),
        ("? [a]\n: b", "cannot be a key"),
        ("null: b", "cannot be a key"),
        ("a: {{inputs.parameters.x}}", "needs quotes"),
        ("a: {{x}} y", "needs quotes"),
        ("a:\n\t- b", "spaces, not with tabs"),
        ("a: b: c", "not YAML"),
        ("a: 'b", "not YAML"),
        ("\x00", r"U\+0000"),
        ("%PDF-1.4", "not YAML"),
        ("<<: 5", "merge key"),
        ("a: !!int x", "is no !!int"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('a: "\\ud800"', "surrogate"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(InvalidWorkflow, match=message):
        yaml.read(text, file="f.yaml")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_what_is_written_reads_back_equal(value):
    assert one(yaml.write({"k": value})) == {"k": value}


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "y",
        "0755",
        "1e3",
        "null",
        "~",
        "",
        " x",
        "x ",
        "a: b",
        "a #b",
        "<<",
        "...",
        "---",
        "- a",
        "\ta\nb",
        "a\n",
        "a\n\n",
        "\na\nb",
        "é",
        "\x85",
        "\u2028",
    ],
)
def test_texts_that_need_care(text):
    assert one(yaml.write({text: text, "l": [text, [text]]})) == {text: text, "l": [text, [text]]}


def test_the_written_form():
    data = {"a": {"b": [{"c": 1, "d": [2, "x y"]}, [3], {}, []]}, "script": "one\n  two\nthree", "no": True}
    assert yaml.write(data) == (
        'a:\n  b:\n  - c: 1\n    d:\n    - 2\n    - x y\n  - - 3\n  - {}\n  - []\nscript: |-\n  one\n    two\n  three\n"no": true\n'
    )
