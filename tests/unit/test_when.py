"""``when`` conditions: Argo's outcomes and its texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.when import compile_when, evaluate_when


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", True),
        ("heads == heads", True),
        ("heads != heads", False),
        ("tails == heads", False),
        ("7 > 5", True),
        ("'7' == 7", False),
        ("green in (red, green, blue)", True),
        ("black in (red, green)", False),
        ("!(Failed == Succeeded)", True),
        ("( a == a && b == c ) || d == d", True),
        ("'two words' == \"two words\"", True),
        ("[two words] == 'two words'", True),
        ("release-1 =~ 'x' == false", None),
        ("'release-1' =~ '^release-[0-9]$'", True),
        ("main !~ '^release'", True),
        ("true", True),
        ("1/2 == 0.5", True),
        ("'2024-02-01' > '2024-01-31'", True),
        ("'2024-01-01T00:00:00Z' == '2024-01-01'", True),
    ],
)
def test_outcomes(text: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(ExpressionError):
            evaluate_when(text)
    else:
        assert evaluate_when(text) is expected


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "a = b",
            "Invalid 'when' expression 'a = b': Invalid token: '=' (hint: try wrapping the affected expression in quotes (\"))",
        ),
        ("== x", "Invalid 'when' expression '== x': Cannot transition token types from UNKNOWN [<nil>] to COMPARATOR [==]"),
        ("'open", "Invalid 'when' expression ''open': Unclosed string literal"),
        ("f(x)", "Invalid 'when' expression 'f(x)': Undefined function f"),
        ("!ready", "Failed to parse 'when' expression '!ready': Cannot transition token types from PREFIX [!] to STRING [ready]"),
        (
            "a-b == c",
            "Failed to evaluate 'when' expresion 'a-b == c': Value 'a' cannot be used with the modifier '-', it is not a number",
        ),
        ("go", "Expected boolean evaluation for 'go'. Got go"),
        ("1 + 1", "Expected boolean evaluation for '1 + 1'. Got 2"),
        ("()", "Expected boolean evaluation for '()'. Got <nil>"),
        ("a, b", "Expected boolean evaluation for 'a, b'. Got [a b]"),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate_when(text)
    assert caught.value.message == message


def test_a_message_of_reading_tells_its_stage() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_when("a ~~ b")
    assert caught.value.stage == "compile"


@pytest.mark.parametrize("text", ["(" * 200 + "1" + ")" * 200, "1+" * 30_000 + "1", "x" * 600_000])
def test_too_large_a_condition_is_refused(text: str) -> None:
    with pytest.raises(LimitExceeded):
        evaluate_when(text)


def test_a_long_chain_of_operators_is_fine() -> None:
    assert evaluate_when("1+" * 5000 + "1 == 5001")


@given(st.text(alphabet="ab12.'\"()[]!=<>&|?:,+-*/%^~\\ in", max_size=40))
def test_any_text_is_a_bool_or_a_clear_error(text: str) -> None:
    try:
        assert isinstance(evaluate_when(text), bool)
    except ExpressionError as error:
        assert error.message


@given(st.text(max_size=30), st.text(max_size=30))
def test_quoted_texts_compare_as_texts(left: str, right: str) -> None:
    def quoted(text: str) -> str:
        return "'x" + "".join("\\" + character if character in "'\"\\" else character for character in text) + "'"

    assert evaluate_when(f"{quoted(left)} == {quoted(right)}") is (left == right)
