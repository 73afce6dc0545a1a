"""The expressions within a JSONPath, as in ``[?(@.price * 2 > 10)]``: reading and computing them. Called by ``jsonpath``.

Operators are found by their text, the loosest first, each at its leftmost place outside of quotes and brackets; operands that are no
expression stay texts and become numbers, bools or texts as the operator needs them. Texts out of the document carry single quotes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.go_format import go_text
from flowcore.language.go_numbers import parse_float, parse_int
from flowcore.language.go_regexp import compile_regexp
from flowcore.language.jsonpath_tokens import MAX_DEPTH, Compiled, Part, parse_path

_OPERATORS = ("||", "&&", "==", "!=", "<=", ">=", "<", ">", "=~", "!", "+", "-", "**", "*", "/", "%", "not in", "in", "@", "$")
_NAMES = frozenset(("$", "@", "nil", "null"))
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator and its operands; ``!`` has no left one."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Path:
    """A path within an expression."""

    parts: tuple[Part, ...]


Operand: TypeAlias = "Operation | Path | Json"
Apply = Callable[[tuple[Part, ...], Json, Json], Json]


def compile_script(text: str, depth: int = 0) -> Compiled:
    """Read an expression; raises ExpressionError(stage="compile")."""
    return Compiled(text, _operation(text, 0, depth))


def _operation(text: str, first: int, depth: int) -> Operation | Path | None:
    """The expression as an operation, looking for operators from ``first`` on; None when it holds none."""
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"an expression nested more than {MAX_DEPTH} deep", source=text[:200], stage="compile")
    text = text.strip()
    level = first
    while text and level < len(_OPERATORS):
        if text[0] == "(" and text[-1] == ")" and len(text) > 1:
            text, level = text[1:-1].strip(), 0
            continue
        found = _at_operator(text, level, depth)
        if found is not None:
            return found
        level += 1
    return None


def _at_operator(text: str, level: int, depth: int) -> Operation | Path | None:
    operator = _OPERATORS[level]
    at = _find_operator(text, operator)
    if at < 0:
        return None
    left, right = text[:at].strip(), text[at + len(operator) :].strip()
    if operator in ("@", "$"):
        return None if left else Path(parse_path(text, compile_script, depth + 1))
    if not right or bool(left) == (operator == "!"):
        return None
    return Operation(operator, _operand(left, level, depth), _operand(right, level, depth))


def _operand(text: str, level: int, depth: int) -> Operand:
    operation = _operation(text, level, depth + 1)
    if operation is not None:
        return operation
    if not text:
        return None
    parsed = _literal(text)
    return text if parsed is None else parsed


def _literal(text: str) -> Json:
    """A list or object that is written in JSON, else None."""
    if (text[0], text[-1]) not in (("[", "]"), ("{", "}")):
        return None
    try:
        value: Json = json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return None
    return value


def _find_operator(text: str, operator: str) -> int:
    """The leftmost place of an operator outside of quotes and brackets, or -1."""
    quote = ""
    square = rounds = 0
    for index, character in enumerate(text):
        if character in "()" and not quote and square <= 0:
            rounds += 1 if character == "(" else -1
        elif character in "[]" and not quote and rounds <= 0:
            square += 1 if character == "[" else -1
        elif character in "'\"" and square <= 0 and rounds <= 0 and quote in ("", character):
            quote = "" if quote else character
        begin = index + 1 - len(operator)
        if not quote and square <= 0 and rounds <= 0 and begin >= 0 and text.startswith(operator, begin):
            return begin
    return -1


# -- computing --------------------------------------------------------------------------------------------------------------------


def evaluate_script(compiled: Compiled, root: Json, current: Json, apply: Apply) -> Json:
    """The value of an expression for one item; ``apply`` follows paths. Raises ExpressionError for operands that do not fit."""
    text, tree = compiled.text, compiled.tree
    if not text:
        raise ExpressionError("invalid expression. is empty")
    scope = _Scope(root, current, apply)
    if isinstance(tree, (Operation, Path)):
        return scope.value(tree)
    if text in _NAMES:
        return scope.named(text)
    for read in (scope.number, scope.truth):
        try:
            return read(text)
        except ExpressionError:
            continue
    return text


class _Scope:
    """What ``$`` and ``@`` stand for while one expression is computed."""

    def __init__(self, root: Json, current: Json, apply: Apply) -> None:
        self._root, self._current, self._apply = root, current, apply

    def named(self, text: str) -> Json:
        return {"$": self._root, "@": self._current}.get(text)

    def value(self, operand: Operand) -> Json:
        """An operand as it is; texts out of the document in single quotes."""
        if isinstance(operand, Path):
            value = self._apply(operand.parts, self._root, self._current)
            return _quoted(value) if isinstance(value, str) else value
        if isinstance(operand, Operation):
            return _OPERATIONS[operand.operator](self, operand.left, operand.right)
        return self.named(operand) if isinstance(operand, str) and operand in _NAMES else operand

    def number(self, operand: Operand) -> float:
        value = self._present(operand)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        number = parse_float(value) if isinstance(value, str) else None
        if number is None or (math.isinf(number) and isinstance(value, str) and any(map(str.isdigit, value))):
            raise ExpressionError("invalid argument. expected number")
        return number

    def whole(self, operand: Operand) -> int:
        number = parse_int(go_text(self._present(operand)))
        if number is None:
            raise ExpressionError("invalid argument. expected integer")
        return number

    def truth(self, operand: Operand) -> bool:
        value = self.value(operand)
        if value is None:
            return False
        text = go_text(value)
        if text not in _TRUE and text not in _FALSE:
            raise ExpressionError("invalid argument. expected boolean")
        return text in _TRUE

    def text(self, operand: Operand) -> str:
        """The text to compare: what is quoted in either way gets single quotes."""
        value = self._present(operand)
        if not isinstance(value, str):
            return go_text(value)
        if len(value) > 1 and value[0] == '"' == value[-1]:
            return f"'{value[1:-1]}'"
        named = isinstance(operand, str) and operand in _NAMES
        return _quoted(value) if named else value

    def _present(self, operand: Operand) -> Json:
        if operand is None:
            raise ExpressionError("invalid argument. is nil")
        return self.value(operand)

    def elements(self, operand: Operand) -> list[Json]:
        value = self._present(operand)
        if isinstance(value, str):
            value = _literal(value) if value else value
        if value is None:
            raise ExpressionError("invalid argument. is nil")
        if isinstance(value, dict):
            return list(value.values())
        if isinstance(value, list):
            return value
        raise ExpressionError("invalid argument. expected array, map, or slice")


def _quoted(text: str) -> str:
    return text if len(text) > 1 and text[0] == "'" == text[-1] else f"'{text}'"


def _equal(scope: _Scope, left: Operand, right: Operand) -> bool:
    try:
        return scope.number(left) == scope.number(right)
    except LimitExceeded:
        raise
    except ExpressionError:
        return scope.text(left) == scope.text(right)


def _matches(scope: _Scope, left: Operand, right: Operand) -> bool:
    text, pattern = _bare(scope.text(left)), _bare(scope.text(right))
    try:
        regexp = compile_regexp(pattern)
    except LimitExceeded:
        raise
    except ExpressionError:
        raise ExpressionError("invalid argument. expected a valid regexp") from None
    return regexp.matches(text)


def _bare(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == "'" == text[-1] else text


def _contains(scope: _Scope, left: Operand, right: Operand) -> bool:
    item: Json = None
    for read in (scope.number, scope.text, scope.truth):
        try:
            item = read(left)
            break
        except LimitExceeded:
            raise
        except ExpressionError:
            continue
    return any(type(element) is type(item) and element == item for element in scope.elements(right))


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    return math.nan if not left or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1.0, right)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan if left else math.inf


def _remainder(scope: _Scope, left: Operand, right: Operand) -> Json:
    first, second = scope.whole(left), scope.whole(right)
    if not second:
        raise ExpressionError("runtime error: integer divide by zero")
    return int(math.copysign(abs(first) % abs(second), first))


def _both(scope: _Scope, left: Operand, right: Operand) -> tuple[bool, bool]:
    return scope.truth(left), scope.truth(right)


_NUMERIC: dict[str, Callable[[float, float], Json]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "**": _power,
}


def _numeric(operator: str) -> Callable[[_Scope, Operand, Operand], Json]:
    compute = _NUMERIC[operator]
    return lambda scope, left, right: compute(scope.number(left), scope.number(right))


_OPERATIONS: dict[str, Callable[[_Scope, Operand, Operand], Json]] = {
    **{operator: _numeric(operator) for operator in _NUMERIC},
    "||": lambda scope, left, right: any(_both(scope, left, right)),
    "&&": lambda scope, left, right: all(_both(scope, left, right)),
    "==": _equal,
    "!=": lambda scope, left, right: not _equal(scope, left, right),
    "=~": _matches,
    "!": lambda scope, _left, right: not scope.truth(right),
    "%": _remainder,
    "in": _contains,
    "not in": lambda scope, left, right: not _contains(scope, left, right),
}
