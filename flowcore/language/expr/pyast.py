"""Python syntax-tree nodes that expr-lang needs and Python has not. Made by ``emit``, walked by ``evaluator``."""

from __future__ import annotations

import ast


class Local(ast.Name):
    """A name that ``let`` brought in; ``id`` is its slot."""


class Environment(ast.Name):
    """``$env``."""


class Pointer(ast.Name):
    """``#``, ``#index``, ``#acc``; ``id`` is empty, ``index`` or ``acc``."""


class Coalesce(ast.BoolOp):
    """``a ?? b``."""


class OptionalItem(ast.Subscript):
    """``a?.b``: ends its chain when ``a`` is nil."""


class ChainEnd(ast.Expr):
    """Where a chain of members ends when one of them was nil."""


class Invoke(ast.Call):
    """A call of a value: a function of the environment or a method."""


class Loop(ast.Call):
    """A builtin that evaluates a predicate for each element."""

    projection: ast.expr | None
    throws: bool
    threshold: int


ALLOWED = frozenset(
    {
        *(ast.Constant, ast.Name, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call),
        *(ast.Subscript, ast.Slice, ast.List, ast.Dict, ast.Tuple, ast.NamedExpr, ast.Lambda),
        *(Local, Environment, Pointer, Coalesce, OptionalItem, ChainEnd, Invoke, Loop),
    }
)
"""All that may stand in a tree; attributes, comprehensions, f-strings and statements may not."""


class ForbiddenNode(TypeError):
    """A tree that holds something else."""


def verify(tree: ast.expr) -> ast.expr:
    """The tree itself, after a look at every node in it."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.expr, ast.stmt)) and type(node) not in ALLOWED:
            raise ForbiddenNode(type(node).__name__)
    return tree
