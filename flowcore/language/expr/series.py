"""Sums over ranges of constants, which need no list. Called by ``fold``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flowcore.language.expr import nodes
from flowcore.language.expr.natures import INT
from flowcore.language.expr.nodes import Binary, Builtin, Literal, Node, Pointer, Predicate
from flowcore.language.expr.times import wrap64


def folded_series(node: Node) -> Node:
    """``sum(1..n)``, ``sum(1..n, # * 2)`` and ``reduce(1..n, # + #acc)`` as the number they give."""
    if not isinstance(node, Builtin) or node.name not in ("sum", "reduce"):
        return node
    bounds = _bounds(node.arguments[0])
    if bounds is None or bounds[1] < bounds[0]:
        return node
    low, high = bounds
    count = high - low + 1
    total = wrap64(wrap64(count * (low + high))) // 2
    result = _summed(node, total, count) if node.name == "sum" else _reduced(node, total)
    return node if result is None else Literal(wrap64(result), nature=INT)


def _bounds(node: Node) -> tuple[int, int] | None:
    if not isinstance(node, Binary) or node.operator != "..":
        return None
    low, high = _whole(node.left), _whole(node.right)
    return None if low is None or high is None else (low, high)


def _whole(node: Node) -> int | None:
    return node.value if isinstance(node, Literal) and type(node.value) is int else None


_BY_POSITION: Mapping[tuple[str, bool], Callable[[int, int, int], int]] = {
    ("*", True): lambda total, count, constant: total * constant,
    ("*", False): lambda total, count, constant: total * constant,
    ("+", True): lambda total, count, constant: total + count * constant,
    ("+", False): lambda total, count, constant: total + count * constant,
    ("-", True): lambda total, count, constant: total - count * constant,
    ("-", False): lambda total, count, constant: count * constant - total,
}


def _summed(node: Builtin, total: int, count: int) -> int | None:
    if len(node.arguments) == 1:
        return total
    predicate = node.arguments[1]
    body = predicate.body if isinstance(predicate, Predicate) else None
    if _is_pointer(body):
        return total
    if not isinstance(body, Binary):
        return None
    for element, other, first in ((body.left, body.right, True), (body.right, body.left, False)):
        constant = _whole(other)
        if _is_pointer(element) and constant is not None and (body.operator, first) in _BY_POSITION:
            return _BY_POSITION[body.operator, first](total, count, constant)
    return None


def _reduced(node: Builtin, total: int) -> int | None:
    predicate = node.arguments[1]
    body = predicate.body if isinstance(predicate, Predicate) else None
    if not isinstance(body, Binary) or body.operator != "+":
        return None
    names = {side.name for side in (body.left, body.right) if isinstance(side, nodes.Pointer)}
    if names != {"", "acc"}:
        return None
    if len(node.arguments) == 2:
        return total
    initial = _whole(node.arguments[2])
    return None if initial is None else initial + total


def _is_pointer(node: Node | None) -> bool:
    return isinstance(node, Pointer) and not node.name
