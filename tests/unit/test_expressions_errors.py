"""The expr-lang dialect: what is refused, when, in which words and at which place; texts of values; references."""

from __future__ import annotations

import pytest

from flowcore.errors import ExpressionError
from flowcore.language.expressions import Reference, compile_expression, evaluate_bool, go_text, to_text

ENVIRONMENT = {"n": 7, "s": "a", "m": {"x": {"y": 1}}, "l": [1, 2], "nothing": None, "b": True}


@pytest.mark.parametrize(
    ("source", "message", "at"),
    [
        ("1 +", "unexpected token EOF", 2),
        ("m.", "unexpected end of expression", 1),
        ("[a b]", 'unexpected token Identifier("b")', 3),
        ("{-}", "a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses", 1),
        ("a ?? b || c", "Operator (||) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses.", 7),
        ("1 not == 2", 'unexpected token Operator("==")', 6),
        ("map(l, 1; 2)", "wrap predicate with brackets { and }", 8),
        ("filter(l)", "expected at least 2 arguments", 8),
        ("'abc", "literal not terminated", 4),
        ("'\\q'", "invalid char escape", 2),
        ("0b15", 'bad number syntax: "0b15"', 3),
        ("1E", 'invalid float literal: strconv.ParseFloat: parsing "1E": invalid syntax', 1),
        ("9223372036854775808", "invalid integer literal", 18),
        ("a @ b", "unrecognized character: U+0040 '@'", 2),
        ("/* a", "unclosed comment", 4),
        ("#", 'unexpected token Operator("#")', 0),
        ("if b { 1 } else 2", 'unexpected token Number("2")', 16),
    ],
)
def test_texts_that_are_no_expressions(source: str, message: str, at: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    assert caught.value.message.startswith(message)
    assert (caught.value.at, caught.value.stage) == (at, "compile")


@pytest.mark.parametrize(
    ("source", "message", "at"),
    [
        ("typo", "unknown name typo", 0),
        ("m.x + typo.y", "unknown name typo", 6),
        ("n + s", "invalid operation: + (mismatched types int and string)", 2),
        ("!n", "invalid operation: ! (mismatched type int)", 0),
        ("s && b", "invalid operation: && (mismatched types string and bool)", 2),
        ("n == s", "invalid operation: == (mismatched types int and string)", 2),
        ("n ? 1 : 2", "non-bool expression (type int) used as condition", 0),
        ("l.first", "array elements can only be selected using an integer (got string)", 2),
        ("m[0]", "cannot use int to get an element from map[string]interface {}", 2),
        ("nothing.x", "type nil has no field x", 8),
        ("s.x", "type string has no field x", 2),
        ("b[1:]", "cannot slice bool", 1),
        ("n()", "int is not callable", 0),
        ("nothing()", "nothing is nil; cannot call nil as function", 0),
        ("upper(n)", "cannot use int as argument (type string) to call upper ", 6),
        ("upper()", "not enough arguments to call upper", 0),
        ("len(n)", "invalid argument for len (type int)", 0),
        ("abs(nil)", "invalid argument for abs (type %!s(<nil>))", 0),
        ("filter(n, true)", "builtin filter takes only array (got int)", 7),
        ("filter([1], # + 1)", "predicate should return boolean (got int)", 12),
        ("map(l, #typo)", "unknown pointer #typo", 7),
        ("let n = 1; n", "cannot redeclare n", 4),
        ("let len = 1; len", "cannot redeclare builtin len", 4),
        ("1 % 0", "integer divide by zero", 2),
        ("s matches '[+'", "error parsing regexp: missing closing ]: `[+`", 2),
        ("s matches '(?=a)'", "error parsing regexp", 2),
        ("s matches '(a)\\\\1'", "error parsing regexp", 2),
        ("0.5 in m", "cannot use float64 as type string in map key", 4),
    ],
)
def test_what_can_never_work_for_such_values(source: str, message: str, at: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source).evaluate(ENVIRONMENT)
    assert caught.value.message.startswith(message)
    assert (caught.value.at, caught.value.stage) == (at, "compile")


@pytest.mark.parametrize(
    ("source", "message", "at"),
    [
        ("m.z.deep", "cannot fetch deep from <nil>", 4),
        ("l[7]", "index out of range: 7 (array length is 2)", 1),
        ("l[-3]", "index out of range: -1 (array length is 2)", 1),
        ("filter(l, # > 5)[0]", "reflect: slice index out of range", 16),
        ("m.x + 1", "invalid operation: map[string]interface {} + int", 4),
        ("m.z && b", "interface conversion: interface {} is nil, not bool", 4),
        ("m.f()", "invalid operation: cannot call nil", 2),
        ("n % (n - 7)", "runtime error: integer divide by zero", 2),
        ("upper(m.x)", "interface conversion: interface {} is map[string]interface {}, not string", 0),
        ("reduce([], #acc)", "reduce of empty array with no initial value", 0),
        ("sortBy(l, #, 'up')", "unknown order, use asc or desc", 0),
        ("groupBy(l, m)", "hash of unhashable type: map[string]interface {}", 0),
        ("int('x')", "invalid operation: int(x)", 0),
        ("join(l)", "interface conversion: interface {} is int, not string", 0),
        ("fromJSON('{')", "unexpected end of JSON input", 0),
        ("fromJSON('[1,]')", "invalid character ']' looking for beginning of value", 0),
        ("fromBase64('*')", "illegal base64 data at input byte 0", 0),
        ("duration('1 hour')", 'time: unknown unit " hour" in duration "1 hour"', 0),
        ("date('soon')", "invalid date soon", 0),
        ("timezone('Mars/Base')", "unknown time zone Mars/Base", 0),
        ("m.x.y in ['a']", "reflect.Value.MapIndex: value of type int is not assignable to type string", 6),
        ("repeat('a', -1)", "invalid argument for repeat (expected positive integer, got -1)", 0),
        ("bitshl(1, -1)", "invalid operation: negative shift count -1 (type int)", 0),
    ],
)
def test_what_goes_wrong_on_the_way(source: str, message: str, at: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source).evaluate(ENVIRONMENT)
    assert caught.value.message.startswith(message)
    assert (caught.value.at, caught.value.stage) == (at, "run")


def test_messages_show_the_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression("n +\n\ts").evaluate(ENVIRONMENT)
    assert str(caught.value) == "invalid operation: + (mismatched types int and string) (1:3)\n | n +\n | ..^"
    with pytest.raises(ExpressionError) as caught:
        compile_expression("1 +\n\ttypo").evaluate({})
    assert str(caught.value) == "unknown name typo (2:2)\n |  typo\n | .^"


def test_conditions_must_be_boolean() -> None:
    assert evaluate_bool("n > 5", ENVIRONMENT) is True
    for source, message in (
        ("n", "unable to cast expression result '%!s(int=7)' to bool"),
        ("s", "unable to cast expression result 'a' to bool"),
        ("l", "unable to cast expression result '[%!s(int=1) %!s(int=2)]' to bool"),
        ("m.z.q == 1", "unable to evaluate expression 'm.z.q == 1': cannot fetch q from <nil> (1:5)\n | m.z.q == 1\n | ....^"),
        ("typo", "unknown name typo (1:1)\n | typo\n | ^"),
    ):
        with pytest.raises(ExpressionError) as caught:
            evaluate_bool(source, ENVIRONMENT)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "document", "printed"),
    [
        ("a<b", "a<b", "a<b"),
        (True, "true", "true"),
        (None, "null", "<nil>"),
        (6.0, "6", "6"),
        (0.000001, "0.000001", "1e-06"),
        (1e21, "1e+21", "1e+21"),
        (1234567.0, "1234567", "1.234567e+06"),
        ([1, "a", [2.5]], '[1,"a",[2.5]]', "[1 a [2.5]]"),
        ({"b": 1, "a": ["<"]}, '{"a":["\\u003c"],"b":1}', "map[a:[<] b:1]"),
        (b"ab", '"YWI="', "[97 98]"),
    ],
)
def test_texts_of_values(value: object, document: str, printed: str) -> None:
    assert (to_text(value), go_text(value)) == (document, printed)


def test_values_without_json() -> None:
    with pytest.raises(ExpressionError, match="json: unsupported value: NaN"):
        to_text(float("nan"))
    with pytest.raises(ExpressionError, match="json: unsupported type: map"):
        to_text([{"a": 1, 2: 3}])


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("inputs.parameters.n + 1", [("inputs.parameters.n", False)]),
        ("steps['a-b'].outputs.result", [("steps.a-b.outputs.result", False)]),
        ("item", [("item", False)]),
        ("a.b ?? 'd'", [("a", False), ("a.b", True)]),
        ("item ?? 'd'", [("item", False)]),
        ("a.b.c?.d", [("a", False), ("a.b.c", True)]),
        ("a?.b", [("a", False)]),
        ("a.b[i.j].c", [("i.j", False), ("a.b", False)]),
        ("asInt(a.b) + sprig.add(c, 1)", [("a.b", False), ("c", False)]),
        ("let x = a.b; x.y + z", [("a.b", False), ("z", False)]),
        ("filter(a.list, .x == b)", [("a.list", False), ("b", False)]),
        ("a.b == a.b", [("a.b", False)]),
    ],
)
def test_references(source: str, wanted: list[tuple[str, bool]]) -> None:
    found = compile_expression(source).references
    assert [(".".join(reference.path), reference.guarded) for reference in found] == wanted
    assert all(isinstance(reference, Reference) for reference in found)
