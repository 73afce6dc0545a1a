"""From a tree to something that runs, and running it. Called by ``expressions``.

What an expression means depends on which names the environment has and of which kinds they are, so a text has one program for each such
*shape*; programs are kept.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Literal, NamedTuple

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr import natures
from flowcore.language.expr.check import Checker
from flowcore.language.expr.emit import emit
from flowcore.language.expr.fold import fold
from flowcore.language.expr.natures import Nature
from flowcore.language.expr.nodes import Node
from flowcore.language.expr.parser import parse
from flowcore.language.expr.values import has_any_keys, kind_of

Mode = Literal["env", "undefined", "no_env"]


class Missing:
    """The type key of a name that the environment has not."""


Shape = tuple[object, ...]
_NATURES: Mapping[str, Nature] = {
    "nil": natures.NIL,
    "bool": natures.BOOL,
    "int": natures.INT,
    "float": natures.FLOAT,
    "string": natures.STRING,
    "bytes": natures.BYTES,
    "list": natures.LIST,
    "map": natures.MAP,
    "time": natures.TIME,
    "duration": natures.DURATION,
    "other": natures.UNKNOWN,
}


class Program(NamedTuple):
    """A text compiled for one shape: the Python tree that the evaluator walks."""

    tree: ast.expr
    source: str


def nature_of(value: object) -> Nature:
    """What the checks know about an entry of the environment."""
    own = getattr(value, "nature", None)
    if isinstance(own, Nature):
        return own
    kind = kind_of(value)
    if isinstance(value, Mapping) and has_any_keys(value):
        return natures.ANY_MAP
    return natures.function("func(...interface {}) interface {}") if kind == "func" else _NATURES.get(kind, natures.UNKNOWN)


def compile_program(source: str, fields: Mapping[str, Nature], mode: Mode) -> Program:
    """Parse, check, simplify and emit; raises ExpressionError(stage="compile") with its place and snippet."""
    hidden = fields.keys() if mode != "no_env" else ()
    known = fields if mode != "no_env" else {}
    try:
        tree: Node = parse(source, hidden)
        Checker(source, known, strict=mode == "env").visit(tree)
        return Program(emit(fold(tree, source)), source)
    except ExpressionError as error:
        raise located(error, source, "compile") from None
    except RecursionError:
        raise LimitExceeded("the expression is nested too deeply", source=source[:200], stage="compile") from None


def located(error: ExpressionError, source: str, stage: Literal["compile", "run"]) -> ExpressionError:
    """The same error with its place in words and the line it is in, as expr-lang prints it."""
    message = error.message
    if error.at is not None:
        message += place(source, error.at)
    return type(error)(message, source=source, at=error.at, stage=stage)


def place(source: str, at: int) -> str:
    """Line, column and a snippet with a mark, or nothing where the line is empty."""
    before = source[:at]
    start = before.rfind("\n") + 1
    end = source.find("\n", start)
    line = source[start : end if end >= 0 else len(source)]
    if not line:
        return ""
    column = len(before) - start
    shown = line.replace("\t", " ")
    return f" ({before.count(chr(10)) + 1}:{column + 1})\n | {shown}\n | {'.' * column}^"
