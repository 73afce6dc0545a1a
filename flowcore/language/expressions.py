"""Expressions in the expr-lang dialect: the language of ``{{= ... }}``, hooks, retry and ``valueFrom.expression``.

Called by ``tags``, the plan and the engine. ``compile_expression`` reads a text once, ``Expression.evaluate`` gives its value in an
environment of JSON-like values. Expressions are untrusted: they cannot change what they are given, reach Python or run away (budgets of
steps, memory and time). Semantics, messages and places are those of expr-lang 1.17.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import whole_text
from flowcore.language.expr import nodes, texts
from flowcore.language.expr.check_calls import env_name
from flowcore.language.expr.evaluator import Evaluator
from flowcore.language.expr.limits import Panic
from flowcore.language.expr.parser import parse
from flowcore.language.expr.programs import Missing, Mode, Program, compile_program, located, nature_of
from flowcore.language.expr.references import Reference, references
from flowcore.language.expr.values import plain, type_name

__all__ = ["Expression", "Reference", "compile_expression", "evaluate_bool", "go_text", "to_text"]

Functions = Mapping[str, Callable[..., object] | Mapping[str, object]]
_NO_FUNCTIONS: Functions = MappingProxyType({})
_MISSING = Missing()
_MOST_PROGRAMS = 64


class Expression:
    """A text that has been read. Immutable for its users; it keeps a program for each kind of environment it has met."""

    __slots__ = ("_names", "_programs", "references", "source")

    def __init__(self, source: str) -> None:
        source = whole_text(source)
        try:
            tree = parse(source)
            self.references: tuple[Reference, ...] = references(tree)
        except ExpressionError as error:
            raise located(error, source, "compile") from None
        except RecursionError:
            raise LimitExceeded("the expression is nested too deeply", source=source[:200], stage="compile") from None
        self.source = source
        self._names = _names(tree)
        self._programs: dict[tuple[object, ...], Program | ExpressionError] = {}

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def evaluate(
        self,
        environment: Mapping[str, object],
        *,
        functions: Functions = _NO_FUNCTIONS,
        mode: Mode = "env",
    ) -> object:
        """The value: None, bool, int, float, str, bytes, list, dict, datetime or timedelta.

        ``functions`` are further names (they hide equal names of the environment). ``mode`` "env" refuses
        unknown names before anything runs, "undefined" takes them for nil, "no_env" checks nothing beforehand. Raises ExpressionError with
        stage "compile" (it can never work for such values) or "run", and LimitExceeded.
        """
        program = self._program(environment, functions, mode)
        evaluator = Evaluator(environment, functions)
        try:
            return plain(evaluator.run(program.tree, self.source), evaluator.spend)
        except Panic as panic:
            raise located(ExpressionError(str(panic), at=panic.at), self.source, "run") from None
        except ExpressionError as error:
            raise located(error, self.source, "run") from None
        except (RecursionError, MemoryError):
            raise LimitExceeded("the expression is nested too deeply", source=self.source) from None

    def _program(self, environment: Mapping[str, object], functions: Functions, mode: Mode) -> Program:
        values = [functions[name] if name in functions else environment.get(name, _MISSING) for name in self._names]
        shape = (mode, *map(_shape_of, values))
        program = self._programs.get(shape)
        if program is None:
            fields = {name: nature_of(value) for name, value in zip(self._names, values, strict=True) if value is not _MISSING}
            try:
                program = compile_program(self.source, fields, mode)
            except ExpressionError as error:
                program = error
            if len(self._programs) >= _MOST_PROGRAMS:
                self._programs.clear()
            self._programs[shape] = program
        if isinstance(program, ExpressionError):
            raise type(program)(program.message, source=program.source, at=program.at, stage=program.stage)
        return program


def _shape_of(value: object) -> object:
    """What the checks look at: the type, for functions the function, for maps whether their keys are strings."""
    kind = type(value)
    if kind is dict:
        return kind if not value or type(next(iter(value))) is str else "any keys"  # type: ignore[call-overload]  # a dict
    return value if callable(value) else kind


def _names(tree: nodes.Node) -> tuple[str, ...]:
    """The names whose presence and kind in the environment matters: what is read, declared or called."""
    found: dict[str, None] = {}
    for node in nodes.walk(tree):
        name: object = None
        if isinstance(node, (nodes.Identifier, nodes.Let)):
            name = node.name
        elif isinstance(node, nodes.Builtin):
            found[node.name] = None
            name = env_name(node)
        elif isinstance(node, nodes.Member) and isinstance(node.base, nodes.Identifier) and node.base.name == "$env":
            name = node.key.value if isinstance(node.key, nodes.Literal) else None
        if isinstance(name, str):
            found[name] = None
    return tuple(found)


@lru_cache(maxsize=4096)
def compile_expression(source: str) -> Expression:
    """Read a text; the result is kept. Raises ExpressionError(stage="compile") where the text itself is wrong."""
    return Expression(source)


def evaluate_bool(
    source: str,
    environment: Mapping[str, object],
    *,
    functions: Functions = _NO_FUNCTIONS,
) -> bool:
    """The value of a condition; raises ExpressionError, also for a value that is not a boolean, with Argo's texts."""
    expression = compile_expression(source)
    try:
        result = expression.evaluate(environment, functions=functions)
    except ExpressionError as error:
        if error.stage == "compile":
            raise
        message = f"unable to evaluate expression '{source}': {error.message}"
        raise type(error)(message, source=source, at=error.at, stage="run") from None
    if not isinstance(result, bool):
        shown = result if isinstance(result, str) else _misprinted(result)
        raise ExpressionError(f"unable to cast expression result '{shown}' to bool", source=source)
    return result


def _misprinted(value: object) -> str:
    """A value that is no string where Go's ``%s`` wants one."""
    if isinstance(value, list):
        return "[" + " ".join(item if isinstance(item, str) else _misprinted(item) for item in value) + "]"
    return "%!s(<nil>)" if value is None else f"%!s({type_name(value)}={go_text(value)})"


def go_text(value: object) -> str:
    """The value as Go prints it by default: ``[a b]``, ``map[k:v]``, ``<nil>``, ``1.5``."""
    return texts.go_text(value)


def to_text(value: object) -> str:
    """The value as it enters a document: a string as it is, anything else as compact JSON in Go's form (whole floats without ``.0``).

    Raises ExpressionError for what has no JSON form.
    """
    try:
        return texts.to_text(value)
    except Panic as panic:
        raise ExpressionError(str(panic)) from None
