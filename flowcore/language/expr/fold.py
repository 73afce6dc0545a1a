"""Simplifications before a run, those of expr-lang's optimizer that can be noticed. Called by ``programs`` after ``check``.

They decide which error a text gives (``1 % 0`` never compiles), where evaluation stops early and what never has to be built
(``x in 1..1000000000``). Raises ExpressionError(stage="compile").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeGuard

from flowcore.errors import ExpressionError
from flowcore.language.expr import nodes, operators
from flowcore.language.expr.natures import BOOL, FLOAT, INT, LIST, STRING, Nature
from flowcore.language.expr.nodes import Binary, Builtin, Literal, Node, Predicate
from flowcore.language.expr.series import folded_series
from flowcore.language.expr.values import kind_of

_ARITHMETIC: Mapping[str, Callable[[object, object], object]] = {
    "+": operators.add,
    "-": operators.subtract,
    "*": operators.multiply,
    "/": operators.divide,
    "%": operators.modulo,
    "**": operators.power,
    "^": operators.power,
}
_MOST_PASSES = 100
_NATURES: Mapping[type, Nature] = {bool: BOOL, int: INT, float: FLOAT, str: STRING}


def fold(node: Node, source: str) -> Node:
    """The tree with everything simplified that can be; nodes of the given tree are reused."""
    node = _rewrite(node, _text_sets)
    for _ in range(_MOST_PASSES):
        folding = _Folding(source)
        node = _rewrite(node, folding.visit)
        if not folding.applied:
            break
    if folding.walks_lists:
        for rule in (_in_range, _filter_map, _filter_edges, folded_series, _sum_array, _count_any):
            node = _rewrite(node, rule)
    return node


def _rewrite(node: Node, rule: Callable[[Node], Node]) -> Node:
    """Apply a rule from the leaves up. Runs that lean to the left are walked without recursion."""
    if isinstance(node, Binary):
        spine = [node]
        while isinstance(spine[-1].left, Binary):
            spine.append(spine[-1].left)
        result = _rewrite(spine[-1].left, rule)
        for item in reversed(spine):
            item.left, item.right = result, _rewrite(item.right, rule)
            result = _placed(rule(item), item)
        return result
    for name in _CHILD_FIELDS.get(type(node), ()):
        child = getattr(node, name)
        if isinstance(child, list):
            setattr(node, name, [_rewrite(item, rule) for item in child])
        elif child is not None:
            setattr(node, name, _rewrite(child, rule))
    return _placed(rule(node), node)


def _placed(new: Node, old: Node) -> Node:
    """What replaces a node stands where that stood, with what was known about it."""
    if new is not old:
        new.at = old.at
        if not new.nature.type:
            new.nature = old.nature
    return new


_CHILD_FIELDS: Mapping[type[Node], tuple[str, ...]] = {
    nodes.Unary: ("operand",),
    nodes.Chain: ("inner",),
    nodes.Member: ("base", "key"),
    nodes.Slice: ("base", "low", "high"),
    nodes.Call: ("callee", "arguments"),
    nodes.Builtin: ("arguments",),
    nodes.Predicate: ("body",),
    nodes.Let: ("value", "body"),
    nodes.Sequence: ("parts",),
    nodes.Conditional: ("condition", "then", "otherwise"),
    nodes.Array: ("items",),
    nodes.Map: ("pairs",),
    nodes.Pair: ("key", "value"),
}


def _literal(value: object) -> Literal:
    return Literal(value, nature=_NATURES.get(type(value), LIST))


def is_number(node: Node) -> TypeGuard[Literal]:
    """Whether the node is a number as written or computed already."""
    return isinstance(node, Literal) and type(node.value) in (int, float)


def is_int(node: Node) -> TypeGuard[Literal]:
    """The same for whole numbers."""
    return isinstance(node, Literal) and type(node.value) is int


# -- constants -----------------------------------------------------------------------------------------------------------------------


def _text_sets(node: Node) -> Node:
    """``x in ["a", "b"]`` asks a set."""
    if isinstance(node, Binary) and node.operator == "in" and isinstance(node.right, nodes.Array) and node.right.items:
        texts = [item.value for item in node.right.items if isinstance(item, Literal) and isinstance(item.value, str)]
        if len(texts) == len(node.right.items):
            node.right = Literal(operators.TextSet(texts), at=node.right.at, nature=LIST)
    return node


class _Folding:
    """One pass over the constants; what it makes can be folded again by the next."""

    def __init__(self, source: str) -> None:
        self.source, self.applied = source, False
        self.walks_lists = False

    def visit(self, node: Node) -> Node:
        """The node, or what it comes to."""
        result = _constants(node, self.source)
        self.walks_lists = self.walks_lists or isinstance(node, Builtin) or (isinstance(node, Binary) and node.operator == "in")
        self.applied = self.applied or result is not node
        return result


def _constants(node: Node, source: str) -> Node:
    if isinstance(node, nodes.Unary):
        return _folded_unary(node)
    if isinstance(node, Binary):
        if node.operator in ("and", "&&", "or", "||"):
            return _folded_logic(node)
        return _folded_arithmetic(node, source)
    if (
        isinstance(node, nodes.Array)
        and node.items
        and all(isinstance(item, Literal) and kind_of(item.value) in ("int", "float", "string", "bool") for item in node.items)
    ):
        return nodes.Literal([item.value for item in node.items if isinstance(item, Literal)], nature=LIST)
    if (
        isinstance(node, Builtin)
        and node.name == "filter"
        and isinstance(node.arguments[0], Builtin)
        and node.arguments[0].name == "filter"
    ):
        return _folded_filters(node, node.arguments[0])
    return node


def _folded_unary(node: nodes.Unary) -> Node:
    if node.operator in ("-", "+") and is_number(node.operand):
        return _literal(operators.negate(node.operand.value) if node.operator == "-" else node.operand.value)
    if node.operator in ("!", "not") and isinstance(node.operand, Literal) and isinstance(node.operand.value, bool):
        return _literal(not node.operand.value)
    return node


def _folded_arithmetic(node: Binary, source: str) -> Node:
    left, right = node.left, node.right
    if not isinstance(left, Literal) or not isinstance(right, Literal) or node.operator not in _ARITHMETIC:
        return node
    texts = node.operator == "+" and isinstance(left.value, str) and isinstance(right.value, str)
    if node.operator == "%" and not (is_int(left) and is_int(right)):
        return node
    if node.operator == "%" and right.value == 0:
        raise ExpressionError("integer divide by zero", source=source, at=node.at, stage="compile")
    if texts or (is_number(left) and is_number(right)):
        return _literal(_ARITHMETIC[node.operator](left.value, right.value))
    return node


def _truth(node: Node) -> bool | None:
    return node.value if isinstance(node, Literal) and isinstance(node.value, bool) else None


def _folded_logic(node: Binary) -> Node:
    neutral = node.operator in ("and", "&&")
    left, right = _truth(node.left), _truth(node.right)
    if left is neutral:
        return node.right
    if right is neutral:
        return node.left
    if left is not None or right is not None:
        return _literal(not neutral)
    return node


def _folded_filters(outer: Builtin, inner: Builtin) -> Node:
    first, second = inner.arguments[1], outer.arguments[1]
    if not isinstance(first, Predicate) or not isinstance(second, Predicate):
        return outer
    both = Predicate(Binary("&&", first.body, second.body, nature=BOOL))
    return Builtin("filter", [inner.arguments[0], both])


# -- lists that need not be built ----------------------------------------------------------------------------------------------------


def _in_range(node: Node) -> Node:
    if not isinstance(node, Binary) or node.operator != "in" or node.left.nature.kind != "int":
        return node
    span = node.right
    if isinstance(span, Binary) and span.operator == ".." and is_int(span.left) and is_int(span.right):
        low = Binary(">=", node.left, span.left, nature=BOOL)
        return Binary("and", low, Binary("<=", node.left, span.right, nature=BOOL), nature=BOOL)
    return node


def _filter_map(node: Node) -> Node:
    if not isinstance(node, Builtin) or node.name != "map":
        return node
    inner, predicate = node.arguments[0], node.arguments[1]
    if not isinstance(inner, Builtin) or inner.name != "filter" or inner.projection is not None or not isinstance(predicate, Predicate):
        return node
    if any(isinstance(found, nodes.Pointer) and found.name == "index" for found in nodes.walk(predicate)):
        return node
    return Builtin("filter", inner.arguments, projection=predicate.body)


def _filter_edges(node: Node) -> Node:
    """``filter(..)[0]``, ``first(filter(..))`` and the same for the last stop at the first match."""
    if isinstance(node, nodes.Member) and not node.optional and is_int(node.key) and node.key.value in (0, -1):
        return _found(node, node.base, "find" if node.key.value == 0 else "findLast", throws=True)
    if isinstance(node, Builtin) and node.name in ("first", "last") and len(node.arguments) == 1:
        return _found(node, node.arguments[0], "find" if node.name == "first" else "findLast", throws=False)
    if isinstance(node, Builtin) and node.name == "len" and len(node.arguments) == 1:
        inner = node.arguments[0]
        if isinstance(inner, Builtin) and inner.name == "filter":
            return Builtin("count", inner.arguments)
    return node


def _found(node: Node, inner: Node, name: str, *, throws: bool) -> Node:
    if not isinstance(inner, Builtin) or inner.name != "filter":
        return node
    return Builtin(name, inner.arguments, projection=inner.projection, throws=throws)


def _sum_array(node: Node) -> Node:
    """``sum([a, b])`` is ``a + b``, also where the elements are no numbers."""
    if not isinstance(node, Builtin) or node.name != "sum" or len(node.arguments) != 1:
        return node
    array = node.arguments[0]
    if not isinstance(array, nodes.Array) or len(array.items) < 2:
        return node
    result: Node = array.items[-1]
    for item in reversed(array.items[:-1]):
        result = Binary("+", item, result)
    return result


def _count_any(node: Node) -> Node:
    """``count(..) > 0`` stops at the first match, other comparisons of a count as soon as they are decided."""
    if not isinstance(node, Binary) or node.operator not in (">", ">=", "<", "<=") or not is_int(node.right):
        return node
    count, number = node.left, int(str(node.right.value))
    if not isinstance(count, Builtin) or count.name != "count" or len(count.arguments) != 2:
        return node
    if (node.operator, number) in ((">", 0), (">=", 1)):
        return Builtin("any", count.arguments)
    threshold = number + 1 if node.operator in (">", "<=") else number
    if number >= 0 and threshold > 1:
        count.threshold = threshold
    return node
