"""Regular expressions with Go's meaning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.go_regexp import compile_regexp, quote_meta
from flowcore.language.go_regexp_machine import Machine
from flowcore.language.go_regexp_syntax import parse_pattern


@pytest.mark.parametrize(
    "pattern, message",
    [
        ("*a", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected ): `a)`"),
        ("x[ab", "missing closing ]: `[ab`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        ("a(?=b)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?<!b)a", "invalid or unsupported Perl syntax: `(?<`"),
        ("(?P<a-b>x)", "invalid named capture: `(?P<a-b>`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("(a{50}){50}", "invalid repeat count: `{50}`"),
        (r"\pX", r"invalid character class range: `\pX`"),
        ("\\", "trailing backslash at end of expression: ``"),
    ],
)
def test_what_go_refuses(pattern: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_regexp(pattern)
    assert caught.value.message == f"error parsing regexp: {message}"


@pytest.mark.parametrize(
    "pattern, text, expected",
    [
        (r"^\d+$", "12", True),
        (r"^\d+$", "12\n", False),
        (r"^\d+$", "١٢", False),
        ("(?i)HELLO", "say hello", True),
        ("(?i)k", "\u212a", True),
        (r"\pL", "日", True),
        (r"\p{Greek}", "ω", True),
        (r"\P{Lu}", "A", False),
        (r"[^\w\s]", "a b_c", False),
        ("a.c", "a\nc", False),
        ("(?s)a.c", "a\nc", True),
        ("(?m)^b$", "a\nb\nc", True),
        (r"\Qa.c\E+", "a.cc", True),
        (r"\bfoo\b", "a foo.", True),
        (r"a{,2}", "a{,2}", True),
        (r"[[:alpha:]]{2}[^[:digit:]]", "ab-", True),
        (r"\x41\x{42}\103", "ABC", True),
        ("(?i:a)b|c", "Ab", True),
    ],
)
def test_matching(pattern: str, text: str, expected: bool) -> None:
    assert compile_regexp(pattern).matches(text) is expected


def test_nothing_right_behind_a_match_is_no_match() -> None:
    assert compile_regexp("a*").replace("baac", "x") == "xbxcx"
    assert [slots[:2] for slots in compile_regexp("a*").find_all("baac")] == [(0, 0), (1, 3), (4, 4)]


def test_templates_of_replacements() -> None:
    pattern = compile_regexp(r"(?P<year>\d{4})-(\d\d)")
    assert pattern.replace("on 2024-05!", "${2}.$year $2x $$ $9 $") == "on 05.2024  $  $!"
    assert pattern.replace_literal("2024-05", "$1") == "$1"


@pytest.mark.parametrize(
    "pattern, text, count, pieces",
    [
        ("a", "banana", -1, ["b", "n", "n", ""]),
        ("a", "banana", 2, ["b", "nana"]),
        ("", "abc", -1, ["a", "b", "c"]),
        ("x", "", -1, [""]),
        ("x", "abc", 0, []),
    ],
)
def test_splitting(pattern: str, text: str, count: int, pieces: list[str]) -> None:
    assert compile_regexp(pattern).split(text, count) == pieces


@pytest.mark.parametrize("pattern", ["(a|aa)*b", "(a*)*b", "(a+a+)+b", "(a?){40}a{40}b", "(.*)(.*)(.*)(.*)x"])
def test_patterns_that_would_explode_end_soon(pattern: str) -> None:
    assert not compile_regexp(pattern).matches("a" * 2000)


def test_too_much_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowcore.language.go_regexp_machine.MAX_STEPS", 100_000)
    with pytest.raises(LimitExceeded):
        compile_regexp("(a|b)*(a|b){300}c").matches("ab" * 20_000)
    with pytest.raises(LimitExceeded):
        compile_regexp("x" * 50_000)
    with pytest.raises(LimitExceeded):
        compile_regexp("a").replace("a" * 100_000, "b" * 1000)


_PATTERNS = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\b", "^", "$", "", r"\w"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        inner.map(lambda body: f"({body})"),
        st.tuples(inner, st.sampled_from(["?", "{2}", "{1,3}", "??"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.sampled_from(["a*", "b+", "(a)*?", ".+?"]),
    ),
    max_leaves=6,
)


@given(_PATTERNS, st.text(alphabet="ab \n", max_size=8))
def test_both_engines_agree(pattern: str, text: str) -> None:
    read = parse_pattern(pattern)
    regexp = compile_regexp(pattern)
    if regexp._cheap_for(len(text)):
        slots = Machine(read.tree, len(read.group_names), pattern).search(text)
        quick = regexp.search(text)
        assert (slots and slots[:2]) == (quick and quick[:2])


@given(st.text(alphabet="ab\\()[]{}*+?|^$.-:PpiQE1<>", max_size=12), st.text(alphabet="ab1", max_size=6))
def test_any_pattern_is_read_or_refused(pattern: str, text: str) -> None:
    try:
        compile_regexp(pattern).matches(text)
    except ExpressionError as error:
        assert error.message


@given(st.text(max_size=20))
def test_a_quoted_text_matches_itself(text: str) -> None:
    assert compile_regexp(f"^{quote_meta(text)}$").matches(text)
