"""The ``depends`` of a DAG task: which tasks it waits for, and whether they ended so that it may run.

``parse_depends`` reads the text, ``from_dependencies`` the older list form; both give a ``Depends``. Argo finds the task names with a
regular expression, spells each bare name out as "succeeded, skipped or daemoned" and evaluates what that gives.
Called by the plan when it is compiled, and by the engine for each task when one of its dependencies ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, TypeAlias

from flowcore.errors import ExpressionError

_NAMES: Final = re.compile(r"([a-zA-Z0-9][-a-zA-Z0-9]*?)\.([A-Z][a-zA-Z]+)|([a-zA-Z0-9][-a-zA-Z0-9]*)")
_TOKENS: Final = re.compile(r"\s*(?:(&&|\|\||==|!=|[!()])|([A-Za-z0-9_]+)\s*\.\s*([A-Za-z0-9_]+)|([^\s&|=!()]+|\S))")
_JOINED: Final = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*(?: *&& *[a-zA-Z][-a-zA-Z0-9]*)*")
_KEYWORDS: Final = frozenset(
    ("in", "or", "and", "not", "matches", "contains", "startsWith", "endsWith", "let", "if", "else", "true", "false", "nil")
)
_LONGEST: Final = 64 * 1024
_DEEPEST: Final = 100


class TaskResults(NamedTuple):
    """How a task ended, in the words of ``depends``. The last two are true of loops only."""

    Succeeded: bool = False
    Failed: bool = False
    Errored: bool = False
    Skipped: bool = False
    Omitted: bool = False
    Daemoned: bool = False
    AnySucceeded: bool = False
    AllFailed: bool = False


RESULTS: Final = TaskResults._fields
_RESULT_INDEX: Final = {name: index for index, name in enumerate(RESULTS)}
_ITEM_RESULTS: Final = frozenset({"AnySucceeded", "AllFailed"})


class ContinueOn(Protocol):
    """What ``continueOn`` of a task says, as the models hold it."""

    @property
    def error(self) -> bool | None: ...
    @property
    def failed(self) -> bool | None: ...


_Test: TypeAlias = Callable[[Mapping[str, TaskResults]], bool]


@dataclass(frozen=True, slots=True)
class Depends:
    """A condition over the results of other tasks. ``tasks`` are those it names, in order; ``loops`` those that must be loops.

    Where it says no more than that each of some tasks went well, ``joined`` has their names, each with the results that count as well.
    """

    text: str
    tasks: tuple[str, ...]
    loops: frozenset[str]
    joined: tuple[tuple[str, tuple[int, ...]], ...] = field(default=(), compare=False)

    def expand(self, continue_on: Mapping[str, ContinueOn | None] | None = None) -> Depends:
        """The same condition with every bare name spelt out, taking the named tasks' own ``continueOn`` into account."""
        chosen = continue_on or {}
        text = _NAMES.sub(lambda match: match[0] if match[1] else expand_name(match[3], chosen.get(match[3])), self.text)
        joined = tuple((name, _well(chosen.get(name))) for name, _ in self.joined)
        return Depends(text, self.tasks, self.loops, joined)

    def evaluate(self, results: Mapping[str, TaskResults]) -> bool:
        """Whether the task may run, given the results of each of ``tasks``; no tasks at all means yes.

        Bare names that were not expanded have no ``continueOn``. Raises ExpressionError ``unable to evaluate expression '...'``.
        """
        if not self.tasks and not self.text.strip():
            return True
        if self.joined and results.keys() >= set(self.tasks):
            return all(any(results[name][index] for index in well) for name, well in self.joined)
        test = _compiled(self.text)
        try:
            return test(results)
        except KeyError as error:
            raise ExpressionError(
                f"unable to evaluate expression '{self.text}': no result of task {error.args[0]}", source=self.text
            ) from None


def parse_depends(text: str) -> Depends:
    """Find the tasks that ``text`` names; raises ExpressionError for a result that there is not (``task-1.Sleepy``)."""
    if len(text) > _LONGEST:
        raise ExpressionError(f"depends is longer than {_LONGEST} characters", source=text[:200], stage="compile")
    tasks: dict[str, None] = {}
    loops: set[str] = set()
    for match in _NAMES.finditer(text):
        task, result = match[1] or match[3], match[2]
        if result is not None and result not in _RESULT_INDEX:
            raise ExpressionError(f"task result '{result}' for task '{task}' is invalid", source=text, at=match.start(), stage="compile")
        tasks[task] = None
        if result in _ITEM_RESULTS:
            loops.add(task)
    return Depends(text, tuple(tasks), frozenset(loops), _joined(tuple(tasks)) if _JOINED.fullmatch(text) else ())


def from_dependencies(names: Iterable[str]) -> Depends:
    """The condition that ``dependencies: [A, B]`` stands for: every one of them, by its bare name."""
    listed = tuple(dict.fromkeys(names))
    text = " && ".join(listed)
    return Depends(text, listed, frozenset(), _joined(listed) if _JOINED.fullmatch(text) else ())


def _joined(names: tuple[str, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """What the names, joined by ``&&``, ask for; nothing where the evaluator would trip over one of them."""
    variables = {evaluated_text(name) for name in names}
    return tuple((name, _well(None)) for name in names) if len(variables) == len(names) and not variables & _KEYWORDS else ()


def _well(continue_on: ContinueOn | None) -> tuple[int, ...]:
    """The results by which a bare name holds."""
    return tuple(_RESULT_INDEX[result] for result in _meant(continue_on))


def expand_name(name: str, continue_on: ContinueOn | None = None) -> str:
    """What the bare name of a task means: ``(A.Succeeded || A.Skipped || A.Daemoned)``, and more with ``continueOn``."""
    return "(" + " || ".join(f"{name}.{result}" for result in _meant(continue_on)) + ")"


def _meant(continue_on: ContinueOn | None) -> list[str]:
    results = ["Succeeded", "Skipped", "Daemoned"]
    if continue_on is not None and continue_on.error:
        results.append("Errored")
    if continue_on is not None and continue_on.failed:
        results.append("Failed")
    return results


def evaluated_text(text: str) -> str:
    """The text that is evaluated in the end, and that messages show: every ``-`` becomes ``_``."""
    return text.replace("-", "_")


def syntax_problem(depends: Depends) -> str | None:
    """Why ``depends`` can never be evaluated, or None when it can."""
    if depends.joined or not depends.text.strip():
        return None
    try:
        _compiled(depends.text)
    except ExpressionError as error:
        return error.message
    return None


@lru_cache(maxsize=4096)
def _compiled(text: str) -> _Test:
    expanded = parse_depends(text).expand().text
    return _Parser(evaluated_text(expanded), expanded).parse()


class _Parser:
    """Recursive descent over ``|| && == != ! ( )`` and ``task.Result``, giving a closure that tests a set of results."""

    def __init__(self, text: str, spelt: str) -> None:
        self.text = text
        self.names = {evaluated_text(name): name for name in parse_depends(spelt).tasks}
        self.tokens = [match for match in _TOKENS.finditer(text) if match[0].strip()]
        self.position = 0
        self.depth = 0

    def parse(self) -> _Test:
        test = self._any()
        if self._next() is not None:
            raise self._error("unexpected text")
        return test

    def _next(self) -> str | None:
        """The operator, or ``name`` for anything else, at the current position; None at the end."""
        if self.position >= len(self.tokens):
            return None
        return self.tokens[self.position][1] or "name"

    def _accept(self, *operators: str) -> str | None:
        token = self._next()
        if token in operators:
            self.position += 1
            return token
        return None

    def _any(self) -> _Test:
        tests = [self._all()]
        while self._accept("||"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else _any_of(tests)

    def _all(self) -> _Test:
        tests = [self._equal()]
        while self._accept("&&"):
            tests.append(self._equal())
        return tests[0] if len(tests) == 1 else _all_of(tests)

    def _equal(self) -> _Test:
        test = self._not()
        compared = 0
        while operator := self._accept("==", "!="):
            compared += 1
            if compared > _DEEPEST:
                raise self._error(f"more than {_DEEPEST} comparisons in a row")
            test = _same(test, self._not(), operator == "==")
        return test

    def _not(self) -> _Test:
        negated = False
        while self._accept("!"):
            negated = not negated
        test = self._atom()
        return _negation(test) if negated else test

    def _atom(self) -> _Test:
        if self._accept("("):
            self.depth += 1
            if self.depth > _DEEPEST:
                raise self._error(f"more than {_DEEPEST} parentheses within one another")
            test = self._any()
            if not self._accept(")"):
                raise self._error("a closing parenthesis is missing")
            self.depth -= 1
            return test
        if self._next() != "name":
            raise self._error("a task is missing")
        token = self.tokens[self.position]
        self.position += 1
        return self._result(token[2], token[3], token[0].strip())

    def _result(self, variable: str | None, result: str | None, text: str) -> _Test:
        if variable is None or variable in _KEYWORDS or variable[0].isdigit():
            raise self._error(f"unexpected {text!r}: use task names and && || ! ( )")
        index, name = _RESULT_INDEX.get(result or ""), self.names.get(variable)
        if index is None or name is None:
            raise self._error(f"there is no {text}")
        return lambda results: results[name][index]

    def _error(self, why: str) -> ExpressionError:
        at = self.tokens[self.position - 1].start() if 0 < self.position <= len(self.tokens) else None
        return ExpressionError(f"unable to evaluate expression '{self.text}': {why}", source=self.text, at=at, stage="compile")


def _any_of(tests: list[_Test]) -> _Test:
    return lambda results: any(test(results) for test in tests)


def _all_of(tests: list[_Test]) -> _Test:
    return lambda results: all(test(results) for test in tests)


def _same(left: _Test, right: _Test, wanted: bool) -> _Test:
    return lambda results: (left(results) == right(results)) is wanted


def _negation(test: _Test) -> _Test:
    return lambda results: not test(results)
