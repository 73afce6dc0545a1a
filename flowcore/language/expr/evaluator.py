"""The walk: a ``SimpleEval`` that knows expr-lang's operators and nothing of Python's. Called by ``programs``.

Locked down: no attributes, no methods of Python objects, no names but the environment's, no node outside ``pyast.ALLOWED``. Environment
values are only ever read. Every node costs a step, everything that grows is paid for (``limits``).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import ClassVar, cast

from simpleeval import SimpleEval  # type: ignore[import-untyped]  # it ships no types

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr import loops, operators, pyast
from flowcore.language.expr.access import cut, fetch, length
from flowcore.language.expr.builtins import ARITY, BUILTINS, TAKES_LAST
from flowcore.language.expr.limits import Budget, Panic
from flowcore.language.expr.methods import BoundMethod
from flowcore.language.expr.operators import conversion
from flowcore.language.expr.values import is_nil, kind_of, type_name

_OPERATORS: Mapping[type[ast.AST], Callable[[object, object], object]] = {
    ast.Add: operators.add,
    ast.Sub: operators.subtract,
    ast.Mult: operators.multiply,
    ast.Div: operators.divide,
    ast.Mod: operators.modulo,
    ast.Pow: operators.power,
    ast.Lt: operators.less,
    ast.LtE: operators.less_or_equal,
    ast.Gt: operators.more,
    ast.GtE: operators.more_or_equal,
}


class _ChainBroken(Exception):
    """A receiver of ``?.`` was nil."""


class Evaluator(Budget, SimpleEval):  # type: ignore[misc]  # as above
    """One evaluation of one program over one environment."""

    operators: ClassVar[Mapping[type[ast.AST], Callable[[object, object], object]]] = _OPERATORS

    def __init__(self, names: Mapping[str, object], functions: Mapping[str, object]) -> None:
        # SimpleEval's own set-up is left out on purpose: it fills in Python's operators and functions.
        Budget.__init__(self)
        self.names = names
        self.functions = functions
        self.locals: dict[str, object] = {}
        self.scope: loops.LoopScope | None = None

    def __del__(self) -> None:
        """SimpleEval clears a table here that this class has not."""

    def run(self, tree: ast.expr, source: str) -> object:
        """The value of a program; raises ExpressionError(stage="run") and LimitExceeded without their places in words."""
        return self.eval(source, previously_parsed=tree)

    def _eval(self, node: ast.AST) -> object:
        self.fuel -= 1
        if self.fuel < 0:
            self.refuel()
        try:
            return _HANDLERS[type(node)](self, node)
        except (Panic, LimitExceeded) as error:
            if error.at is None:
                error.at = cast("ast.expr", node).col_offset
            raise

    # -- names and literals ------------------------------------------------------------------------------------------------------

    def constant(self, node: ast.Constant) -> object:
        """What was written."""
        return node.value

    def load(self, node: ast.Name) -> object:
        """A name of the environment; unknown ones are nil here."""
        if node.id in self.functions:
            return self.functions[node.id]
        return self.names.get(node.id)

    def local(self, node: pyast.Local) -> object:
        """A name of ``let``."""
        return self.locals[node.id]

    def environment(self, _: pyast.Environment) -> object:
        """All names at once."""
        return {**self.names, **self.functions} if self.functions else self.names

    def pointer(self, node: pyast.Pointer) -> object:
        """What the innermost predicate is at."""
        scope = self.scope
        assert scope is not None
        if not node.id:
            return scope.item()
        return scope.index if node.id == "index" else scope.accumulated

    def declare(self, node: ast.NamedExpr) -> object:
        """Fill a slot of ``let``."""
        self.locals[node.target.id] = value = self._eval(node.value)
        return value

    def sequence(self, node: ast.Tuple) -> object:
        """Evaluate all parts, give the last."""
        result: object = None
        for part in node.elts:
            result = self._eval(part)
        return result

    # -- operators ---------------------------------------------------------------------------------------------------------------

    def unary(self, node: ast.UnaryOp) -> object:
        """A sign or a negation."""
        value = self._eval(node.operand)
        kind = type(node.op)
        if kind is ast.Not:
            return operators.invert(value)
        return operators.negate(value) if kind is ast.USub else value

    def binary(self, node: ast.BinOp) -> object:
        """Runs of operators lean to the left: the way down is a loop, not a recursion."""
        if type(node.left) is not ast.BinOp:
            return self._apply(node, self._eval(node.left))
        spine = [node]
        while type(spine[-1].left) is ast.BinOp:
            spine.append(spine[-1].left)
        value = self._eval(spine[-1].left)
        for item in reversed(spine):
            try:
                value = self._apply(item, value)
            except Panic as panic:
                if panic.at is None:
                    panic.at = item.col_offset
                raise
        return value

    def _apply(self, node: ast.BinOp, left: object) -> object:
        result = _OPERATORS[type(node.op)](left, self._eval(node.right))
        if type(result) is str:
            self.write(len(result))
        return result

    def compare(self, node: ast.Compare) -> object:
        """One comparison."""
        left, right = self._eval(node.left), self._eval(node.comparators[0])
        operator = type(node.ops[0])
        if operator is ast.Eq:
            return operators.equal(self, left, right)
        if operator is ast.NotEq:
            return not operators.equal(self, left, right)
        if operator is ast.In:
            return operators.contains(self, left, right)
        return _OPERATORS[operator](left, right)

    def logic(self, node: ast.BoolOp) -> object:
        """The left side must be true or false, the right side is the result as it is."""
        spine = [node]
        while type(spine[-1].values[0]) is ast.BoolOp:
            spine.append(spine[-1].values[0])
        value = self._eval(spine[-1].values[0])
        for item in reversed(spine):
            if value is True or value is False:
                if value is (type(item.op) is ast.And):
                    value = self._eval(item.values[1])
                continue
            panic = conversion(value, "bool")
            panic.at = item.col_offset
            raise panic
        return value

    def coalesce(self, node: pyast.Coalesce) -> object:
        """The right side where the left is nil."""
        value = self._eval(node.values[0])
        return self._eval(node.values[1]) if is_nil(value) else value

    def conditional(self, node: ast.IfExp) -> object:
        """One of two ways."""
        return self._eval(node.body if truth(self._eval(node.test)) else node.orelse)

    # -- members and calls -------------------------------------------------------------------------------------------------------

    def item(self, node: ast.Subscript) -> object:
        """A member, an element or a slice."""
        base = self._eval(node.value)
        if type(node.slice) is ast.Slice:
            return self._cut(base, node.slice)
        return fetch(base, self._eval(node.slice))

    def _cut(self, base: object, bounds: ast.Slice) -> object:
        high = length(base) if bounds.upper is None else self._eval(bounds.upper)
        low = 0 if bounds.lower is None else self._eval(bounds.lower)
        part = cut(base, low, high)
        if isinstance(part, str):
            self.write(len(part))
        else:
            self.grow(len(cast("list[object]", part)))
        return part

    def optional_item(self, node: pyast.OptionalItem) -> object:
        """The same, unless there is nothing to look into."""
        base = self._eval(node.value)
        if is_nil(base):
            raise _ChainBroken
        return fetch(base, self._eval(node.slice))

    def chain(self, node: pyast.ChainEnd) -> object:
        """Nil where the chain broke."""
        try:
            value = self._eval(node.value)
        except _ChainBroken:
            return None
        return None if is_nil(value) else value

    def builtin(self, node: ast.Call) -> object:
        """A call of a builtin."""
        name = cast("ast.Name", node.func).id
        arguments = [self._eval(argument) for argument in node.args]
        least, most = ARITY[name]
        if not least <= len(arguments) <= most:  # possible only where nothing was checked: in arguments of something unknown
            if len(arguments) < least:
                raise Panic(f"invalid number of arguments (expected {least}, got {len(arguments)})")
            arguments = arguments[-1:] if name in TAKES_LAST else arguments[:most]
        return BUILTINS[name](self, *arguments)

    def invoke(self, node: pyast.Invoke) -> object:
        """A call of a function of the caller's or of a method."""
        arguments = [self._eval(argument) for argument in node.args]
        function = self._eval(node.func)
        if function is None:
            raise Panic("invalid operation: cannot call nil")
        if not callable(function) or kind_of(function) != "func":
            raise Panic(f"invalid operation: cannot call non-function of type {type_name(function)}")
        result = self._called(function, arguments)
        self.tick()
        if isinstance(result, str):
            self.write(len(result))
        elif isinstance(result, (list, dict)):
            self.grow(len(result))
        return result

    def _called(self, function: Callable[..., object], arguments: list[object]) -> object:
        if isinstance(function, BoundMethod):
            return function(*arguments)
        try:
            return function(*arguments)
        except (LimitExceeded, Panic):
            raise
        except ExpressionError as error:
            raise Panic(error.message) from error
        except Exception as error:
            raise Panic(str(error) or type(error).__name__) from error

    def loop(self, node: pyast.Loop) -> object:
        """A builtin with a predicate."""
        return loops.LOOPS[cast("ast.Name", node.func).id](self, node)

    # -- lists and maps ----------------------------------------------------------------------------------------------------------

    def array(self, node: ast.List) -> object:
        """A new list."""
        self.grow(len(node.elts))
        return [self._eval(item) for item in node.elts]

    def map(self, node: ast.Dict) -> object:
        """A new map."""
        self.grow(len(node.keys))
        result: dict[str, object] = {}
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            key, value = self._eval(cast("ast.expr", key_node)), self._eval(value_node)
            if not isinstance(key, str):
                raise conversion(key, "string")
            result[key] = value
        return result


def truth(value: object) -> bool:
    """A condition; raises Panic for what is neither true nor false."""
    if value is True or value is False:
        return value
    raise conversion(value, "bool")


_HANDLERS: Mapping[type[ast.AST], Callable[..., object]] = {
    ast.Constant: Evaluator.constant,
    ast.Name: Evaluator.load,
    ast.NamedExpr: Evaluator.declare,
    ast.Tuple: Evaluator.sequence,
    ast.UnaryOp: Evaluator.unary,
    ast.BinOp: Evaluator.binary,
    ast.BoolOp: Evaluator.logic,
    ast.Compare: Evaluator.compare,
    ast.IfExp: Evaluator.conditional,
    ast.Subscript: Evaluator.item,
    ast.Call: Evaluator.builtin,
    ast.List: Evaluator.array,
    ast.Dict: Evaluator.map,
    pyast.Local: Evaluator.local,
    pyast.Environment: Evaluator.environment,
    pyast.Pointer: Evaluator.pointer,
    pyast.Coalesce: Evaluator.coalesce,
    pyast.OptionalItem: Evaluator.optional_item,
    pyast.ChainEnd: Evaluator.chain,
    pyast.Invoke: Evaluator.invoke,
    pyast.Loop: Evaluator.loop,
}
