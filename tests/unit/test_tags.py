"""Tags in texts and trees: what they turn into, when they stay, and when they are an error."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import AbsentOptional, ExpressionError, LimitExceeded, UnresolvedTag
from flowcore.language.scope import ABSENT, Scope, Value
from flowcore.language.tags import (
    ALL,
    LENIENT,
    STEPS_AND_TASKS,
    SimpleTag,
    Strictness,
    compile_tree,
    has_tags,
    pure_reference,
    substitute,
    substitute_text,
    tag_names,
    tags_in,
    unclosed_tag,
)

VALUES: dict[str, Value] = {
    "inputs.parameters.a": 'x"y',
    "inputs.parameters.n": "3",
    "inputs.parameters.my-p": "dash",
    "inputs.parameters.lines": "1\n2\\3",
    "inputs.parameters.empty": "",
    "inputs.parameters.tag": "{{workflow.name}}",
    "inputs.artifacts.art": {"s3": {"key": "k"}},
    "workflow.name": "w",
    "workflow.parameters": '[{"name":"x"}]',
    "workflow.parameters.x": "1",
    "tasks.skipped.outputs.parameters.msg": ABSENT,
    "tasks.real.outputs.parameters.msg": "real",
    "item": "it",
    "item.k": "v",
    "inputs.parameters.it": "by item",
}
SCOPE = Scope(VALUES)
MODES = (LENIENT, STEPS_AND_TASKS, ALL)

# --- simple tags ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("no tags", "no tags"),
        ("{{inputs.parameters.a}}", 'x"y'),
        ("{{ workflow.name }}-1", "w-1"),
        ("{{\tworkflow.name\n}}", "w"),
        ("{{workflow.name}}{{inputs.parameters.n}}", "w3"),
        ("{{inputs.parameters.lines}}", "1\n2\\3"),
        ("[{{inputs.parameters.empty}}]", "[]"),
        ("{{workflow.parameters}}", '[{"name":"x"}]'),
        ("{{inputs.parameters.tag}}", "{{workflow.name}}"),
        ("{{workflow.name}}}}", "w}}"),
        ("}}{{workflow.name}}", "}}w"),
        ("{{workflow.name}} {{", "w {{"),
        ("{{workflow.name", "{{workflow.name"),
        ("{{workflow.name}", "{{workflow.name}"),
        ("{workflow.name}", "{workflow.name}"),
    ],
)
def test_simple_tags(text: str, result: str) -> None:
    for mode in MODES:
        assert substitute(text, SCOPE, strict=mode) == result


@pytest.mark.parametrize(
    "text", ["{{unknown}}", "{{ unknown }}", "{{}}", "{{ =1 }}", "{{workflow}}", "{{inputs.parameters['a']}}", "{{.Data}}"]
)
def test_unknown_names_stay_unless_all_must_be_known(text: str) -> None:
    assert substitute(text, SCOPE) is text
    assert substitute(text, SCOPE, strict=STEPS_AND_TASKS) is text
    with pytest.raises(UnresolvedTag) as caught:
        substitute(text, SCOPE, strict=ALL)
    assert caught.value.message == f"failed to resolve {text}"


@pytest.mark.parametrize(
    ("text", "lenient", "steps_and_tasks", "everything"),
    [
        ("{{steps.a.outputs.result}}", True, False, False),
        ("{{tasks.a.status}}", True, False, False),
        ("{{steps}}", True, False, False),
        ("{{stepsy.a}}", True, True, False),
        ("{{steps.a.outputs.artifacts.x}}", True, True, False),
        ("{{item.unknown}}", True, True, False),
        ("<<steps.a.outputs.result>>", True, False, False),
        ("<<item.unknown>>", True, True, False),
        ("<<workflow.outputs.parameters.p>>", True, True, False),
        ("<<steps>>", True, True, True),
        ("<<unknown>>", True, True, True),
        ("<<inputs.x>>", True, True, True),
    ],
)
def test_what_each_mode_lets_stay(text: str, lenient: bool, steps_and_tasks: bool, everything: bool) -> None:
    for mode, stays in ((LENIENT, lenient), (STEPS_AND_TASKS, steps_and_tasks), (ALL, everything)):
        if stays:
            assert substitute(text, SCOPE, strict=mode) == text
        else:
            with pytest.raises(UnresolvedTag, match="failed to resolve"):
                substitute(text, SCOPE, strict=mode)


def test_other_prefixes_can_be_demanded() -> None:
    with pytest.raises(UnresolvedTag):
        substitute("{{inputs.parameters.zz}}", SCOPE, strict=Strictness(prefixes=("inputs",)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", ["{{tasks.skipped.outputs.parameters.msg}}", "pre-{{ tasks.skipped.outputs.parameters.msg }}"])
def test_an_absent_optional_is_an_error_in_every_mode(text: str, mode: Strictness) -> None:
    with pytest.raises(AbsentOptional) as caught:
        substitute(text, SCOPE, strict=mode)
    tag = text.removeprefix("pre-")
    assert caught.value.message == f"unable to substitute {tag}: output is an absent optional (skipped/omitted node with no default)"


def test_only_texts_can_be_inserted() -> None:
    with pytest.raises(UnresolvedTag) as caught:
        substitute("{{inputs.artifacts.art}}", SCOPE)
    assert caught.value.message == "failed to resolve {{inputs.artifacts.art}} to string"


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("{{inputs.parameters.{{item}}}}", "{{inputs.parameters.it}}", "by item"),
        ("{{inputs.parameters.<<item>>}}", "{{inputs.parameters.it}}", "by item"),
        ("<<inputs.parameters.{{item}}>>", "<<inputs.parameters.it>>", "by item"),
        ("<<inputs.parameters.<<item>>>>", "<<inputs.parameters.it>>", "by item"),
        (
            '{{- with {{ {{ }} secret "{{workflow.name}}" -}} }}',
            '{{- with {{ {{ }} secret "w" -}} }}',
            '{{- with {{ {{ }} secret "w" -}} }}',
        ),
        ("{{a{{ item }}}}", "{{a{{ item }}}}", "{{a{{ item }}}}"),
        ("{{{{item}}}}", "{{{{item}}}}", "{{{{item}}}}"),
        ("{{a{{unknown}}}}", "{{a{{unknown}}}}", "{{a{{unknown}}}}"),
    ],
)
def test_tags_in_tags_need_two_passes(text: str, first: str, second: str) -> None:
    assert substitute(text, SCOPE) == first
    assert substitute(first, SCOPE) == second


def test_three_levels_of_tags() -> None:
    scope = Scope({"C": "valC", "B valC": "valB", "A valB": "final"})
    text = "{{A {{B {{C}}}}}}"
    for wanted in ("{{A {{B valC}}}}", "{{A valB}}", "final"):
        text = substitute(text, scope)
        assert text == wanted


def test_an_absent_optional_inside_a_tag() -> None:
    with pytest.raises(AbsentOptional) as caught:
        substitute("{{outer-{{tasks.skipped.outputs.parameters.msg}}}}", SCOPE)
    assert caught.value.message == (
        "unable to substitute nested tag {{outer-{{tasks.skipped.outputs.parameters.msg}}: "
        '"tasks.skipped.outputs.parameters.msg" is an absent optional'
    )


# --- angle brackets ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("<<inputs.parameters.a>>", 'x"y'),
        ("<< workflow.name >>!", "w!"),
        ("<<=asInt(inputs.parameters.n) * 2>>", "6"),
        ("<<=asInt('3')>>", "3"),
        ("<<=asInt(inputs.parameters.n) > 2 ? 'more' : 'less'>>", "more"),
        ("cmd <<< <<workflow.name>>", "cmd <<< w"),
        ("cat <<EOF\n<<workflow.name>>\n{{workflow.name}}\nEOF\n", "cat <<EOF\nw\nw\nEOF\n"),
    ],
)
def test_angle_brackets_mean_the_same(text: str, result: str) -> None:
    for mode in MODES:
        assert substitute(text, SCOPE, strict=mode) == result


@pytest.mark.parametrize(
    "text",
    [
        "cat <<EOF > /tmp/x\nhello\nEOF",
        "cat <<-'EOF' >> log\nhello\nEOF",
        "cat <<<word >>log",
        "x = 1 << 4; y = x >> 2",
        "x <<= 2; y >>= 3",
        "x <<= item_count; y >>= 3",
        "std::vector<std::pair<int, std::vector<int>>> v; cout << v.size() << endl; cin >> n;",
        "a <<= 1 >> b",
        "a <<= node >> 2",
        "<<>>",
        "<< >>",
        "<<= >>",
        "<<=1 + 1>>",
        "<<=)(>>",
        "<<unclosed",
        ">><<",
        "<<a\nb>>",
        "<<=unknown + 1>>",
    ],
)
def test_shell_and_c_are_left_alone(text: str) -> None:
    for mode in MODES:
        assert substitute(text, SCOPE, strict=mode) is text


# --- expression tags --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{=inputs.parameters.n}}", "3"),
        ("{{=asInt(inputs.parameters.n) * 2}}", "6"),
        ("{{=asFloat(inputs.parameters.n) * 2}}", "6"),
        ("{{=asFloat(inputs.parameters.n) / 2}}", "1.5"),
        ("{{=inputs.parameters.n + 'a'}}", "3a"),
        ("{{=inputs.parameters['my-p']}}!", "dash!"),
        ("{{=inputs.parameters.a}}", 'x"y'),
        ("{{=[1,2]}}", "[1,2]"),
        ('{{=toJson({"k": 1})}}', '{"k":1}'),
        ('{{={"b": 1, "a": [true, "x"]} }}', '{"a":[true,"x"],"b":1}'),
        ("{{=true == false}}", "false"),
        ("{{=1 + \n1}}", "2"),
        ("{{='some\\\\path'}}", "some\\path"),
        ("{{='two\\nlines'}}", "two\nlines"),
        ("{{=\"'\"}}{{='\"'}}", "'\""),
        ("{{=workflow.name == \"w\" ? 'yes' : 'no'}}", "yes"),
        ("{{=workflow.parameters.x}}", "1"),
        ("{{=tasks.skipped.outputs.parameters.msg ?? 'fallback'}}", "fallback"),
        ("{{=tasks.real.outputs.parameters.msg ?? 'fallback'}}", "real"),
        ("{{=inputs.parameters.empty ?? 'fallback'}}", ""),
        ("{{=item.k}}", "v"),
        ("{{=sprig.trim('  x ')}}", "x"),
        ("{{=jsonpath('{\"a\": [1, 2]}', '$.a')}}", "[1,2]"),
        ("{{=inputs.parameters.zz ?? 'd'}}", "d"),
    ],
)
def test_expressions(text: str, result: str) -> None:
    for mode in MODES:
        assert substitute(text, SCOPE, strict=mode) == result


@pytest.mark.parametrize(
    "text",
    [
        "{{=inputs.parameters.zz}}",
        "{{=unknown}}",
        "{{=unknown(item)}}",
        "{{=asInt(inputs.parameters.zz) + 1}}",
        "{{=asInt(inputs.parameters.a)}}",
        "{{=nil}}",
        "{{=retries}}",
        "{{=sprig.int(retries)}}",
        "{{=workflow.status == 'Succeeded' ? 'a' : 'b'}}",
        "{{=workflow.failures ?? 'x'}}",
        "{{=lastRetry.exitCode == '1' ? 'a' : 'b'}}",
        "{{=tasks.skipped.outputs.parameters.msg}}",
        "{{=tasks.unknown.outputs.result}}",
    ],
)
def test_expressions_that_cannot_be_evaluated_yet_stay(text: str) -> None:
    if text == "{{=workflow.failures ?? 'x'}}":
        assert substitute(text, SCOPE) == "x", "the path is guarded, and workflow itself is known"
    else:
        assert substitute(text, SCOPE) is text


def test_calls_of_unknown_functions_stay_where_only_steps_and_tasks_are_demanded() -> None:
    assert substitute("{{=foo(item.k)}}", SCOPE, strict=STEPS_AND_TASKS) == "{{=foo(item.k)}}"


def test_late_names_are_waited_for_and_then_used() -> None:
    text = "{{=item == 'a' ? 'first' : 'other'}}"
    assert substitute(text, Scope({"workflow.name": "w"})) is text
    assert substitute(text, Scope({"item": "a"})) == "first"


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("{{=foo}}", ALL, "failed to evaluate expression: foo is missing"),
        ("{{=foo(item.k)}}", ALL, "failed to evaluate expression: foo is missing"),
        ("{{=tasks.unknown.outputs.result}}", STEPS_AND_TASKS, "failed to evaluate expression: tasks.unknown is missing"),
        ("{{=tasks.real.outputs.result + 'x'}}", STEPS_AND_TASKS, "failed to evaluate expression: tasks.real.outputs.result is missing"),
        ("{{=steps.a.status ?? 'x'}}", STEPS_AND_TASKS, "failed to evaluate expression: steps is missing"),
    ],
)
def test_demanded_names_must_be_there(text: str, mode: Strictness, message: str) -> None:
    with pytest.raises(UnresolvedTag) as caught:
        substitute(text, SCOPE, strict=mode)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{=nil}}", 'failed to evaluate expression "nil"'),
        ("{{=tasks.skipped.outputs.parameters.msg}}", 'failed to evaluate expression "tasks.skipped.outputs.parameters.msg"'),
        ("{{=asInt(inputs.parameters.a)}}", "failed to evaluate expression: "),
    ],
)
def test_with_nothing_missing_failures_are_errors(text: str, message: str) -> None:
    for mode in (STEPS_AND_TASKS, ALL):
        with pytest.raises(ExpressionError) as caught:
            substitute(text, SCOPE, strict=mode)
        assert caught.value.message.startswith(message)
        assert not isinstance(caught.value, UnresolvedTag)


@pytest.mark.parametrize("text", ["{{=!}}", "{{=1 +}}", "{{='unclosed}}", "{{=}}"])
def test_texts_that_are_no_expression_are_errors_in_every_mode(text: str) -> None:
    for mode in MODES:
        with pytest.raises(ExpressionError, match=r"^failed to evaluate expression"):
            substitute(text, SCOPE, strict=mode)


def test_validators_placeholders_forgive_failures() -> None:
    scope = SCOPE.child({"workflow.status": "__argo__internal__placeholder-3"})
    assert substitute("{{=asInt(workflow.status)}}", scope, strict=ALL) == "{{=asInt(workflow.status)}}"


def test_expressions_end_at_the_first_closing_braces() -> None:
    with pytest.raises(ExpressionError):
        substitute('{{={"a": {"b": 1}}}}', SCOPE)


# --- trees ------------------------------------------------------------------------------------------------------------------------

TREE: Any = {
    "name": "say",
    "container": {"image": "busybox", "args": ["echo", "{{inputs.parameters.a}} <<workflow.name>>"], "env": [{"name": "A", "value": "1"}]},
    "metadata": {"labels": {"{{workflow.name}}": "x", "other": "{{item}}"}},
    "numbers": [1, 2.5, True, None],
}
RENDERED: Any = {
    "name": "say",
    "container": {"image": "busybox", "args": ["echo", 'x"y w'], "env": [{"name": "A", "value": "1"}]},
    "metadata": {"labels": {"w": "x", "other": "it"}},
    "numbers": [1, 2.5, True, None],
}


def test_trees_are_copied_only_where_they_change() -> None:
    before = copy.deepcopy(TREE)
    result = substitute(TREE, SCOPE)
    assert result == RENDERED
    assert before == TREE
    assert result["numbers"] is TREE["numbers"]
    assert result["container"]["env"] is TREE["container"]["env"]


def test_a_tree_where_nothing_changes_is_returned_itself() -> None:
    for tree in ({"a": ["b", {"c": 1}]}, {"a": ["{{unknown}}", {"{{unknown}}": "<<x>>"}]}, [], "x", 3, None):
        assert substitute(tree, SCOPE) is tree
        assert compile_tree(tree).render(SCOPE) is tree


def test_compiled_trees_are_rendered_for_many_scopes() -> None:
    compiled = compile_tree(TREE)
    assert compiled.has_tags
    assert compiled.render(SCOPE) == RENDERED
    assert compiled.render(SCOPE.child({"item": "other"}))["metadata"]["labels"]["other"] == "other"
    with pytest.raises(UnresolvedTag):
        compiled.render(Scope(), strict=ALL)
    assert not compile_tree({"a": 1}).has_tags


def test_of_keys_that_become_equal_the_last_wins() -> None:
    assert substitute({"{{workflow.name}}": "1", "w": "2"}, SCOPE) == {"w": "2"}


def test_functions_and_clocks_are_passed_on() -> None:
    assert substitute("{{=twice('x')}}", SCOPE, functions={"twice": lambda text: text * 2}) == "xx"


# --- questions about tags ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{{tasks.a.outputs.parameters.x}}", "tasks.a.outputs.parameters.x"),
        ("{{ item }}", "item"),
        ("<<item>>", "item"),
        ("{{=item}}", None),
        ("x{{item}}", None),
        ("{{item}} ", None),
        ("{{a}}{{b}}", None),
        ("{{outer-{{item}}", None),
        ("{{outer-{{item}}}}", None),
        ("item", None),
        ("", None),
    ],
)
def test_pure_references(text: str, name: str | None) -> None:
    assert pure_reference(text) == name


def test_finding_tags() -> None:
    assert has_tags(TREE)
    assert not has_tags({"a": ["{{", "<<EOF", 1]})
    assert [tag.whole for tag in tags_in(TREE)] == ["{{inputs.parameters.a}}", "<<workflow.name>>", "{{workflow.name}}", "{{item}}"]
    assert all(isinstance(tag, SimpleTag) for tag in tags_in(TREE))
    assert tag_names(["{{ a.b }}", {"<<c>>": "{{=asInt(d.e['f-g']) + h}}"}]) >= {"a.b", "c", "d.e.f-g", "h"}
    assert tag_names("{{=!}}") == frozenset()


@pytest.mark.parametrize(("text", "at"), [("{{a}} {{b", 6), ("{{", 0), ("}} {{", 3), ("{{a}}", None), ("a}} b", None), ("", None)])
def test_unclosed_tags_are_told(text: str, at: int | None) -> None:
    assert unclosed_tag(text) == at


# --- bounds and properties --------------------------------------------------------------------------------------------------------


def test_deep_trees_and_enormous_texts_are_refused() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(LimitExceeded):
        substitute(deep, SCOPE)
    with pytest.raises(LimitExceeded):
        substitute("{{big}}" * 100, Scope({"big": "x" * 1_000_000}))


DELIMITERS = ("{{", "}}", "<<", ">>", "=", " ", "\n")
OPERANDS = (
    "a",
    "item",
    "workflow.name",
    "inputs.parameters.a",
    "tasks.x.outputs.result",
    "tasks.skipped.outputs.parameters.msg",
    "nil",
    "1",
    "sprig",
)
PUNCTUATION = ("asInt(", ")", "'", '"', "\\", "??", "?", ":", "+", ".", "[", "]", "{", "}", "\ud800", "é")
fragments = st.sampled_from(DELIMITERS + OPERANDS + PUNCTUATION)
texts = st.lists(fragments, max_size=14).map("".join)
trees = st.recursive(
    st.one_of(texts, st.none(), st.integers(0, 3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)


@given(trees, st.sampled_from(MODES))
def test_substitution_gives_a_tree_or_an_expression_error(tree: Any, mode: Strictness) -> None:
    """And the compiled form gives, or refuses, the same."""
    before = copy.deepcopy(tree)
    try:
        result = substitute(tree, SCOPE, strict=mode)
    except ExpressionError as error:
        with pytest.raises(type(error)) as caught:
            compile_tree(tree).render(SCOPE, strict=mode)
        assert caught.value.message == error.message
    else:
        assert compile_tree(tree).render(SCOPE, strict=mode) == result
        if not has_tags(tree):
            assert result is tree
    assert tree == before


@given(st.text())
def test_texts_without_delimiters_are_returned_themselves(text: str) -> None:
    if "{{" not in text and "<<" not in text:
        assert substitute_text(text, SCOPE, strict=ALL) is text


@given(st.text(), st.text(alphabet="ab {}<>"), st.text(alphabet="ab {}<>"))
def test_values_are_inserted_as_they_are(value: str, before: str, after: str) -> None:
    if "{{" not in before + "{" and "<<" not in before + after and ">>" not in before + after:
        assert substitute_text(before + "{{v}}" + after, Scope({"v": value})).startswith(before + value)
