"""kubectl's JSONPath templates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.kubectl_jsonpath import evaluate

PODS: Json = {
    "kind": "List",
    "items": [
        {"name": "a", "n": 1, "labels": {"app.io/x": "<y>"}, "ports": [80, 443]},
        {"name": "b", "n": 2.5, "labels": None, "ports": []},
        {"name": "c", "n": 3, "ports": [22]},
    ],
}


@pytest.mark.parametrize(
    "template, text",
    [
        ("plain", "plain"),
        ("{.kind}", "List"),
        ("{$.kind}/{@.kind}", "List/List"),
        ("{.items[*].name}", "a b c"),
        ("{.items[0,2].name}", "a c"),
        ("{.items[-1].name}", "c"),
        ("{.items[:2].name}", "a b"),
        ("{.items[::2].name}", "a c"),
        ("{.items[0].labels}", '{"app.io/x":"\\u003cy\\u003e"}'),
        ("{.items[0].labels.app\\.io/x}", "<y>"),
        ("{.items[0]['name','n']}", "a 1"),
        ("{.items[1].labels}", "null"),
        ("{.items[1].n}", "2.5"),
        ("{.items[?(@.name=='b')].n}", "2.5"),
        ("{.items[?(@.n>1)].name}", None),
        ("{.items[?(@.labels)].name}", "a b"),
        ("{.items[?(@.ports[0])].name}", "a b c"),
        ("{.items[?(@.name=~'^[ab]$')].name}", "a b"),
        ("{..name}", "a b c"),
        ("{range .items[*]}{.name}={.ports}{'\\n'}{end}.", "a=[80,443]\nb=[]\nc=[22]\n."),
        ("{range .items[*]}{range .ports[*]}{@},{end};{end}", "80,443,;;22,;"),
        ('{"{"}{true}{12}{1.50}', "{true121.5"),
        ("{.kind.*}", "76 105 115 116"),
    ],
)
def test_templates(template: str, text: str | None) -> None:
    if text is None:
        with pytest.raises(ExpressionError, match="incompatible types for comparison"):
            evaluate(template, PODS)
    else:
        assert evaluate(template, PODS) == text


@pytest.mark.parametrize(
    "template, message",
    [
        ("{.missing}", "missing is not found"),
        ("{.items[9]}", "array index out of bounds: index 9, length 3"),
        ("{.items[2:1]}", "starting index 2 is greater than ending index 1"),
        ("{.items[0:1:0]}", "step must be > 0"),
        ("{.kind[0]}", "string is not array or slice"),
        ("{.kind[?(@.x)]}", "List is not array or slice and cannot be filtered"),
        ("{end}", "not in range, nothing to end"),
        ("{word}", "unrecognized identifier word"),
        ("{.kind", "unclosed action"),
        ("{.items[", "unterminated array"),
        ("{.items[?(@.x]}", "unterminated filter"),
        ("{'open}", "unterminated quoted string"),
        ("{.items[x]}", "invalid array index x"),
        ("{....a}", "invalid multiple recursive descent"),
        ("{1.2.3}", "cannot parse number 1.2.3"),
    ],
)
def test_messages(template: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(template, PODS)
    assert message in caught.value.message


def test_what_is_missing_may_be_allowed() -> None:
    assert evaluate("[{.a.b}]", PODS, allow_missing=True) == "[]"
    assert evaluate("{range .none[*]}{.x}{end}!", {}, allow_missing=True) == "!"


def test_work_is_bounded() -> None:
    wide: Json = 1
    for _ in range(5):
        wide = [wide] * 20
    with pytest.raises(LimitExceeded):
        evaluate("{.*.*.*.*.*}", wide)
    with pytest.raises(LimitExceeded):
        evaluate("x" * 100_000, None)


@given(st.text(alphabet="{}[]()?@$.*,:'\"\\ab01-<=~ \n", max_size=25))
def test_any_template_prints_or_is_refused(template: str) -> None:
    try:
        assert isinstance(evaluate(template, PODS, allow_missing=True), str)
    except ExpressionError as error:
        assert error.message
