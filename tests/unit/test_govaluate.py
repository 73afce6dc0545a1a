"""The govaluate dialect beyond what ``when`` shows: operators, variables, typing."""

from __future__ import annotations

import math

import pytest

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json
from flowcore.language.govaluate import evaluate


@pytest.mark.parametrize(
    "expression, expected",
    [
        ("2 + 3 * 4", 14.0),
        ("20 - 5 - 3", 12.0),
        ("64 / 4 / 2", 8.0),
        ("2 ** 3 ** 2", 64.0),
        ("-2 ** 2", 4.0),
        ("7 % 4 * 2", 6.0),
        ("1 << 2 + 1", 8.0),
        ("6 & 3 | 8", 10.0),
        ("~0", -1.0),
        ("0x1F", 31.0),
        (".5 + 1.", 1.5),
        ("true ? 'a' : 'b'", "a"),
        ("false ? 'a' : 'b'", "b"),
        ("false ? 1", None),
        ("() ?? 3", 3.0),
        ("'n' + 1.5 + true", "n1.5true"),
        ("1, 2, 3", [1.0, 2.0, 3.0]),
        ("'A' in ('A', 'B')", True),
        ("false && ('a' < 1)", False),
        ("true || ('a' < 1)", True),
        ("'a' == 1 || 2 == 2 && 3 == 4", False),
        ("'1970-01-02'", 86400.0),
        ("'1970-01-01T01:00:00+01:00'", 0.0),
        ("'3:04PM' < '1970-01-01'", True),
    ],
)
def test_values(expression: str, expected: Json) -> None:
    value = evaluate(expression, {})
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    "expression, expected",
    [("n + 1", 3.0), ("[odd name] == 'x'", True), ("n in l", False), ("t =~ p", True), ("l == l", True), ("nothing ?? 'd'", "d")],
)
def test_variables(expression: str, expected: Json) -> None:
    parameters: dict[str, Json] = {"n": 2, "odd name": "x", "l": [1.5, "a"], "t": "abc", "p": "^a.c$", "nothing": None}
    assert evaluate(expression, parameters) == expected


@pytest.mark.parametrize(
    "expression, check", [("1 / 0", math.isinf), ("0 / 0", math.isnan), ("1 % 0", math.isnan), ("10 ** 999", math.isinf)]
)
def test_floats_at_their_limits(expression: str, check: object) -> None:
    assert callable(check)
    assert check(evaluate(expression, {}))


@pytest.mark.parametrize(
    "expression, message",
    [
        ("1 + true", "Value '1' cannot be used with the modifier '+', it is not a number"),
        ("'a' < 1", "Value 'a' cannot be used with the comparator '<', it is not a number"),
        ("1 && true", "Value '1' cannot be used with the logical operator '&&', it is not a bool"),
        ("'a' ? 1", "Value 'a' cannot be used with the ternary operator '?', it is not a bool"),
        ("!1", "Value '1' cannot be used with the prefix '!'"),
        ("1 in (1)", "Value '1' cannot be used with the comparator 'in', it is not a number"),
        ("a.b", "Unable to access unexported field 'b' in token 'a.b'"),
        ("m.Field", "Unable to access 'Field', 'm' is not a struct"),
        ("m.", "Hanging accessor on token 'm.'"),
        ("missing", "No parameter 'missing' found."),
        ("1.2.3", "Unable to parse numeric value '1.2.3' to float64\n"),
        ("(1", "Unbalanced parenthesis"),
        ("[open", "Unclosed parameter bracket"),
        ("1 +", "Unexpected end of expression"),
    ],
)
def test_messages(expression: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(expression, {"m": {"Field": 1}})
    assert caught.value.message == message
