"""The conditions of DAG tasks on one another."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowcore.errors import ExpressionError
from flowcore.language.depends import RESULTS, TaskResults, from_dependencies, parse_depends, syntax_problem

SUCCEEDED, FAILED, OMITTED = TaskResults(Succeeded=True), TaskResults(Failed=True), TaskResults(Omitted=True)
DAEMONED = TaskResults(Daemoned=True)


@dataclass
class ContinueOn:
    error: bool | None = None
    failed: bool | None = None


@pytest.mark.parametrize(
    ("text", "tasks", "expanded"),
    [
        ("A", ("A",), "(A.Succeeded || A.Skipped || A.Daemoned)"),
        ("A && B.Failed", ("A", "B"), "(A.Succeeded || A.Skipped || A.Daemoned) && B.Failed"),
        ("a-b.Succeeded", ("a-b",), "a-b.Succeeded"),
        ("!(x1||y)", ("x1", "y"), "!((x1.Succeeded || x1.Skipped || x1.Daemoned)||(y.Succeeded || y.Skipped || y.Daemoned))"),
        ("", (), ""),
    ],
)
def test_bare_names_are_spelt_out(text: str, tasks: tuple[str, ...], expanded: str) -> None:
    depends = parse_depends(text)
    assert depends.tasks == tasks
    assert depends.expand().text == expanded


def test_what_a_bare_name_means_depends_on_its_own_continue_on() -> None:
    depends = parse_depends("A && B").expand({"A": ContinueOn(error=True, failed=True), "B": ContinueOn(failed=False)})
    assert depends.text == ("(A.Succeeded || A.Skipped || A.Daemoned || A.Errored || A.Failed) && (B.Succeeded || B.Skipped || B.Daemoned)")
    assert depends.evaluate({"A": FAILED, "B": SUCCEEDED})


def test_dependencies_are_bare_names_joined_by_and() -> None:
    depends = from_dependencies(["A", "b-c", "A"])
    assert depends.text == "A && b-c"
    assert depends.tasks == ("A", "b-c")
    assert from_dependencies([]).evaluate({})


def test_loops_are_asked_for_any_and_all() -> None:
    depends = parse_depends("A.AnySucceeded || B.AllFailed || C")
    assert depends.loops == {"A", "B"}
    assert depends.evaluate({"A": TaskResults(AnySucceeded=True), "B": TaskResults(), "C": TaskResults()})


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("A", True),
        ("B", False),
        ("B.Failed", True),
        ("!B.Failed", False),
        ("!!B.Failed", True),
        ("A && B", False),
        ("A || B", True),
        ("A && (B.Succeeded || B.Failed)", True),
        ("B || A && B", False),
        ("O", False),
        ("O.Omitted", True),
        ("D", True),
        ("D.Succeeded", False),
        ("A.Succeeded == B.Failed", True),
        ("A.Succeeded != B.Failed", False),
        ("a-b && !a-b.Failed", True),
        ("\n A.Succeeded\n||B ", True),
    ],
)
def test_evaluation(text: str, runs: bool) -> None:
    results = {"A": SUCCEEDED, "B": FAILED, "O": OMITTED, "D": DAEMONED, "a-b": SUCCEEDED}
    assert parse_depends(text).evaluate(results) is runs
    assert parse_depends(text).expand().evaluate(results) is runs
    assert syntax_problem(parse_depends(text)) is None


@pytest.mark.parametrize(
    "text", ["A &&", "(A", "A)", "A B", "not A", "in.Succeeded", "A and B", "A.Succeeded ? A : B", "A.failed", "1a", "()", "A & B"]
)
def test_texts_that_cannot_be_evaluated_say_so_when_it_comes_to_that(text: str) -> None:
    depends = parse_depends(text)
    problem = syntax_problem(depends)
    assert problem is not None
    assert problem.startswith("unable to evaluate expression '")
    with pytest.raises(ExpressionError, match="unable to evaluate expression '"):
        depends.evaluate(dict.fromkeys(depends.tasks, SUCCEEDED))


def test_messages_show_the_text_as_it_is_evaluated() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_depends("my-task &&").evaluate({"my-task": SUCCEEDED})
    assert caught.value.message == (
        "unable to evaluate expression '(my_task.Succeeded || my_task.Skipped || my_task.Daemoned) &&': a task is missing"
    )


def test_unknown_results_are_refused_at_once() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_depends("(task-1.DoesNotExist || task-2.Succeeded)")
    assert caught.value.message == "task result 'DoesNotExist' for task 'task-1' is invalid"


def test_a_result_that_was_not_given_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="no result of task B"):
        parse_depends("A && B").evaluate({"A": SUCCEEDED})


@pytest.mark.parametrize(
    "text", ["(" * 5000 + "A" + ")" * 5000, "A.Failed==" * 5000 + "A.Failed", "!" * 50000 + "A", "A && " * 9000 + "A", "A" * 70000]
)
def test_long_texts_do_no_harm(text: str) -> None:
    try:
        parse_depends(text).evaluate({"A": SUCCEEDED})
    except ExpressionError as error:
        assert len(error.message) < 400_000


def test_all_results_have_a_word() -> None:
    assert RESULTS == ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned", "AnySucceeded", "AllFailed")


@given(st.text(alphabet="AB-.!&|()= SuceddFail1"))
def test_any_text_gives_an_answer_or_an_expression_error(text: str) -> None:
    try:
        depends = parse_depends(text)
        assert depends.evaluate(dict.fromkeys(depends.tasks, SUCCEEDED)) in (True, False)
    except ExpressionError:
        pass


terms = st.recursive(
    st.tuples(st.sampled_from("AB"), st.sampled_from(RESULTS)).map(lambda pair: f"{pair[0]}.{pair[1]}"),
    lambda inner: st.one_of(
        inner.map(lambda term: f"!({term})"),
        st.tuples(inner, st.sampled_from([" && ", " || "]), inner).map(lambda parts: f"({parts[0]}{parts[1]}{parts[2]})"),
    ),
    max_leaves=8,
)
results = st.tuples(*[st.booleans()] * len(RESULTS)).map(lambda flags: TaskResults(*flags))


@given(terms, results, results)
def test_evaluation_agrees_with_python(text: str, first: TaskResults, second: TaskResults) -> None:
    source = text.replace("&&", " and ").replace("||", " or ").replace("!", " not ")
    assert parse_depends(text).evaluate({"A": first, "B": second}) is bool(eval(source, {"A": first, "B": second}))
