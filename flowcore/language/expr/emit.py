"""Writes a checked tree as a Python syntax tree. Called by ``programs``.

Places: ``col_offset`` of every node is the offset of the expr node that an error in it points to.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import cast

from flowcore.language.expr import nodes, pyast
from flowcore.language.expr.nodes import Node
from flowcore.language.expr.signatures import PREDICATES

_BINARY: Mapping[str, type[ast.operator]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "/": ast.Div,
    "%": ast.Mod,
    "**": ast.Pow,
    "^": ast.Pow,
}
_COMPARE: Mapping[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "in": ast.In,
}
_UNARY: Mapping[str, type[ast.unaryop]] = {"-": ast.USub, "+": ast.UAdd, "!": ast.Not, "not": ast.Not}
_FUNCTIONS: Mapping[str, str] = {
    "..": "range",
    "matches": "matches",
    "contains": "contains",
    "startsWith": "startsWith",
    "endsWith": "endsWith",
}
_LOAD = ast.Load()


def emit(node: Node) -> ast.expr:
    """The Python tree, verified to hold nothing but what the evaluator walks."""
    return pyast.verify(_Emitter().expression(node))


class _Emitter:
    def __init__(self) -> None:
        self.slots: list[tuple[str, str]] = []
        self.count = 0

    def expression(self, node: Node) -> ast.expr:
        """The Python node of one node, placed."""
        return _placed(_RULES[type(node)](self, node), node.at)

    def many(self, found: list[Node]) -> list[ast.expr]:
        """The same for several."""
        return [self.expression(node) for node in found]

    # -- names and literals ------------------------------------------------------------------------------------------------------

    def nil(self, _: nodes.Nil) -> ast.expr:
        """None."""
        return ast.Constant(None)

    def literal(self, node: nodes.Literal) -> ast.expr:
        """A constant; folded lists are made anew by each evaluation."""
        if isinstance(node.value, list):
            return ast.List([_placed(ast.Constant(item), node.at) for item in node.value], _LOAD)
        return ast.Constant(cast("str", node.value))

    def identifier(self, node: nodes.Identifier) -> ast.expr:
        """A slot of ``let``, the whole environment or a name."""
        for name, slot in reversed(self.slots):
            if name == node.name:
                return pyast.Local(slot, _LOAD)
        return pyast.Environment("$env", _LOAD) if node.name == "$env" else ast.Name(node.name, _LOAD)

    def pointer(self, node: nodes.Pointer) -> ast.expr:
        """What a predicate points at."""
        return pyast.Pointer(node.name, _LOAD)

    def let(self, node: nodes.Let) -> ast.expr:
        """The slot is filled, then the body counts."""
        value = self.expression(node.value)
        slot = f"{self.count}:{node.name}"
        self.count += 1
        self.slots.append((node.name, slot))
        body = self.expression(node.body)
        self.slots.pop()
        declared = ast.NamedExpr(ast.Name(slot, ast.Store()), value)
        return ast.Tuple([_placed(declared, node.at), body], _LOAD)

    def sequence(self, node: nodes.Sequence) -> ast.expr:
        """A tuple whose last element counts."""
        return ast.Tuple(self.many(node.parts), _LOAD)

    # -- operators ---------------------------------------------------------------------------------------------------------------

    def unary(self, node: nodes.Unary) -> ast.expr:
        """A sign or a negation."""
        return ast.UnaryOp(_UNARY[node.operator](), self.expression(node.operand))

    def binary(self, node: nodes.Binary) -> ast.expr:
        """Runs that lean to the left are written without recursion."""
        spine = [node]
        while isinstance(spine[-1].left, nodes.Binary):
            spine.append(spine[-1].left)
        result = self.expression(spine[-1].left)
        for item in reversed(spine):
            result = _placed(_operation(item.operator, result, self.expression(item.right)), item.at)
        return result

    def conditional(self, node: nodes.Conditional) -> ast.expr:
        """A conditional expression."""
        return ast.IfExp(self.expression(node.condition), self.expression(node.then), self.expression(node.otherwise))

    # -- members and calls -------------------------------------------------------------------------------------------------------

    def chain(self, node: nodes.Chain) -> ast.expr:
        """The mark where a broken chain goes on."""
        return cast("ast.expr", pyast.ChainEnd(self.expression(node.inner)))

    def member(self, node: nodes.Member) -> ast.expr:
        """A subscript."""
        kind = pyast.OptionalItem if node.optional else ast.Subscript
        return kind(self.expression(node.base), self.expression(node.key), _LOAD)

    def slice(self, node: nodes.Slice) -> ast.expr:
        """A subscript with bounds."""
        low = self.expression(node.low) if node.low is not None else None
        high = self.expression(node.high) if node.high is not None else None
        return ast.Subscript(self.expression(node.base), _placed(ast.Slice(low, high), node.at), _LOAD)

    def call(self, node: nodes.Call) -> ast.expr:
        """A call of a value."""
        return pyast.Invoke(self.expression(node.callee), self.many(node.arguments), [])

    def builtin(self, node: nodes.Builtin) -> ast.expr:
        """A call by name, or a loop."""
        function = ast.Name(node.name, _LOAD)
        arguments = self.many(node.arguments)
        if node.name not in PREDICATES:
            return ast.Call(function, arguments, [])
        loop = pyast.Loop(function, arguments, [])
        loop.projection = self.expression(node.projection) if node.projection is not None else None
        loop.throws, loop.threshold = node.throws, node.threshold
        if loop.projection is not None:
            pyast.verify(loop.projection)
        return loop

    def predicate(self, node: nodes.Predicate) -> ast.expr:
        """A lambda without arguments."""
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        return ast.Lambda(nothing, self.expression(node.body))

    # -- lists and maps ----------------------------------------------------------------------------------------------------------

    def array(self, node: nodes.Array) -> ast.expr:
        """A list display."""
        return ast.List(self.many(node.items), _LOAD)

    def map(self, node: nodes.Map) -> ast.expr:
        """A dict display."""
        keys: list[ast.expr | None] = [self.expression(pair.key) for pair in node.pairs]
        return ast.Dict(keys, [self.expression(pair.value) for pair in node.pairs])


def _operation(operator: str, left: ast.expr, right: ast.expr) -> ast.expr:
    if operator in _BINARY:
        return ast.BinOp(left, _BINARY[operator](), right)
    if operator in _COMPARE:
        return ast.Compare(left, [_COMPARE[operator]()], [right])
    if operator in ("and", "&&"):
        return ast.BoolOp(ast.And(), [left, right])
    if operator in ("or", "||"):
        return ast.BoolOp(ast.Or(), [left, right])
    if operator == "??":
        return pyast.Coalesce(ast.Or(), [left, right])
    return ast.Call(ast.Name(_FUNCTIONS[operator], _LOAD), [left, right], [])


def _placed(node: ast.expr, at: int) -> ast.expr:
    node.lineno, node.col_offset = 1, at
    return node


_RULES: Mapping[type[Node], Callable[..., ast.expr]] = {
    nodes.Nil: _Emitter.nil,
    nodes.Literal: _Emitter.literal,
    nodes.Identifier: _Emitter.identifier,
    nodes.Pointer: _Emitter.pointer,
    nodes.Let: _Emitter.let,
    nodes.Sequence: _Emitter.sequence,
    nodes.Unary: _Emitter.unary,
    nodes.Binary: _Emitter.binary,
    nodes.Conditional: _Emitter.conditional,
    nodes.Chain: _Emitter.chain,
    nodes.Member: _Emitter.member,
    nodes.Slice: _Emitter.slice,
    nodes.Call: _Emitter.call,
    nodes.Builtin: _Emitter.builtin,
    nodes.Predicate: _Emitter.predicate,
    nodes.Array: _Emitter.array,
    nodes.Map: _Emitter.map,
}
