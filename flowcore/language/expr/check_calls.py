"""The part of the checks that is about calls: functions, methods, builtins and the predicates they take. Base of ``check.Checker``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

from flowcore.errors import ExpressionError
from flowcore.language.expr import nodes
from flowcore.language.expr.natures import (
    BOOL,
    INT,
    INTERFACE,
    LIST,
    MAP,
    UNKNOWN,
    Nature,
    Signature,
    groups_of,
    list_of,
    pointed,
)
from flowcore.language.expr.nodes import Node
from flowcore.language.expr.signatures import OVERLOADS, PREDICATES, VALIDATED, Refused

_BOOLEAN_PREDICATES = frozenset({"all", "none", "any", "one", "filter", "count", "find", "findLast", "findIndex", "findLastIndex"})


class CallRules(ABC):
    """Keeps the names that ``let`` and predicates bring in, and judges calls."""

    def __init__(self) -> None:
        self.fields: Mapping[str, Nature] = {}
        self.variables: list[tuple[str, Nature]] = []
        self.scopes: list[tuple[Nature, dict[str, Nature]]] = []

    @abstractmethod
    def visit(self, node: Node) -> Nature:
        """Check one node with everything below it."""

    @abstractmethod
    def error(self, node: Node, message: str) -> ExpressionError:
        """The error to raise for a node."""

    # -- functions of the environment, methods -----------------------------------------------------------------------------------

    def call(self, node: nodes.Call) -> Nature:
        """A function of the environment or a method; calls of unknown things are not looked into."""
        if isinstance(node.callee, nodes.Identifier) and node.callee.name == "$env":
            raise self.error(node, f"{MAP} is not callable")
        nature = self.visit(node.callee)
        if nature.is_unknown:
            for argument in node.arguments:
                self.mark(argument)
            return UNKNOWN
        name = _called_name(node.callee)
        if nature.nil:
            raise self.error(node, f"{name} is nil; cannot call nil as function")
        if nature.kind != "func":
            raise self.error(node, f"{nature} is not callable")
        if nature.signature is None:
            for argument in node.arguments:
                self.visit(argument)
            return UNKNOWN
        return self._fit(name, nature.signature, node, _Arguments(self, node.arguments))

    def mark(self, node: Node) -> None:
        """Arguments of a call of something unknown are not checked; what they are stays unknown."""
        for inner in nodes.walk(node):
            inner.nature = UNKNOWN

    def _fit(self, name: str, signature: Signature, node: Node, arguments: _Arguments) -> Nature:
        wanted, given = len(signature.parameters), len(arguments.nodes)
        least = wanted - 1 if signature.variadic else wanted
        if given < least or (given > wanted and not signature.variadic):
            for index in range(given):
                arguments.nature(index)
            raise self.error(node, f"{'not enough' if given < least else 'too many'} arguments to call {name}")
        for index in range(given):
            parameter = signature.parameters[min(index, wanted - 1)]
            if signature.variadic and index >= wanted - 1:
                parameter = parameter.element()
            self._accept(name, parameter, arguments.nodes[index], arguments.nature(index))
        return signature.result or UNKNOWN

    def _accept(self, name: str, parameter: Nature, argument: Node, nature: Nature) -> None:
        if nature.is_integer and parameter.is_number:
            return
        if nature.nil:
            if parameter.kind not in ("ptr", "interface"):
                raise self.error(argument, f"cannot use nil as argument (type {parameter}) to call {name}")
        elif not nature.is_unknown and not nature.assignable_to(parameter) and not pointed(nature).assignable_to(parameter):
            raise self.error(argument, f"cannot use {nature} as argument (type {parameter}) to call {name} ")

    # -- builtins ----------------------------------------------------------------------------------------------------------------

    def builtin(self, node: nodes.Builtin) -> Nature:
        """A builtin, by the rules of its family."""
        if node.name in PREDICATES:
            return self._predicate_builtin(node)
        if node.name == "get":
            return self._get(node)
        if node.name in VALIDATED:
            natures = [self.visit(argument) for argument in node.arguments]
            try:
                return VALIDATED[node.name]([INTERFACE if nature.is_unknown else nature for nature in natures])
            except Refused as error:
                raise self.error(node, str(error)) from None
        return self._overloaded(node)

    def _overloaded(self, node: nodes.Builtin) -> Nature:
        problem: ExpressionError | None = None
        arguments = _Arguments(self, node.arguments)
        for signature in OVERLOADS[node.name]:
            try:
                return self._fit(node.name, signature, node, arguments)
            except ExpressionError as error:
                problem = error
            if arguments.broken:
                break
        assert problem is not None
        raise problem

    def _get(self, node: nodes.Builtin) -> Nature:
        if len(node.arguments) != 2:
            raise self.error(node, f"invalid number of arguments (expected 2, got {len(node.arguments)})")
        base, key = self.visit(node.arguments[0]), pointed(self.visit(node.arguments[1]))
        name = env_name(node)
        if name is not None:
            return self.fields.get(name, UNKNOWN)
        if base.is_unknown:
            return UNKNOWN
        if base.is_list:
            if not key.is_integer and not key.is_unknown:
                raise self.error(node.arguments[1], f"non-integer slice index {key}")
            return base.element()
        if base.kind == "map":
            if base.key == "string" and key.type != "string" and not key.is_unknown:
                raise self.error(node.arguments[1], f"cannot use {key} to get an element from {base}")
            return base.element()
        raise self.error(node.arguments[0], f"type {base} does not support indexing")

    # -- predicates --------------------------------------------------------------------------------------------------------------

    def _predicate_builtin(self, node: nodes.Builtin) -> Nature:
        collection = pointed(self.visit(node.arguments[0]))
        if not collection.is_list and not collection.is_unknown:
            raise self.error(node.arguments[0], f"builtin {node.name} takes only array (got {collection})")
        element = UNKNOWN if collection.is_unknown else collection.element()
        if len(node.arguments) == 1:
            return INT if node.name == "count" else element
        pointers = {"map": {"index": INT}, "reduce": {"index": INT, "acc": UNKNOWN}}.get(node.name, {})
        self.scopes.append((collection, pointers))
        predicate = self.visit(node.arguments[1])
        self.scopes.pop()
        for argument in node.arguments[2:]:
            order = self.visit(argument)
            if node.name == "sortBy" and order.kind != "string" and not order.is_unknown:
                raise self.error(argument, f"sortBy order argument must be a string (got {order})")
        return self._judged(node, collection, element, predicate)

    def _judged(self, node: nodes.Builtin, collection: Nature, element: Nature, predicate: Nature) -> Nature:
        body = predicate.body or UNKNOWN
        if body.nil:
            inputs = "two" if node.name == "reduce" else "one"
            raise self.error(node.arguments[1], f"predicate should has {inputs} input and one output param")
        if node.name in _BOOLEAN_PREDICATES and body.kind != "bool" and not body.is_unknown:
            shown = "interface {}" if body.is_unknown else body
            raise self.error(node.arguments[1], f"predicate should return boolean (got {shown})")
        if node.name in ("all", "none", "any", "one"):
            return BOOL
        if node.name == "filter":
            return LIST if collection.is_unknown else list_of(element)
        if node.name in ("count", "findIndex", "findLastIndex"):
            return INT
        return {
            "map": list_of(body),
            "find": element,
            "findLast": element,
            "sum": INTERFACE if body.is_unknown else body.plain(),
            "groupBy": groups_of(element),
            "sortBy": collection,
            "reduce": body,
        }[node.name]

    def predicate(self, node: nodes.Predicate) -> Nature:
        """What the body gives."""
        body = self.visit(node.body)
        return Nature("func", "func", body=body if not body.is_unknown else replace(UNKNOWN))

    def pointer(self, node: nodes.Pointer) -> Nature:
        """An element, its index or what ``reduce`` has gathered."""
        if not self.scopes:
            raise self.error(node, "cannot use pointer accessor outside predicate")
        collection, pointers = self.scopes[-1]
        if not node.name:
            return UNKNOWN if collection.is_unknown else collection.element()
        if node.name in pointers:
            return pointers[node.name]
        raise self.error(node, f"unknown pointer #{node.name}")


class _Arguments:
    """The arguments of one call, each checked when it is first looked at, however many overloads look."""

    def __init__(self, rules: CallRules, arguments: list[Node]) -> None:
        self.rules, self.nodes = rules, arguments
        self.known: dict[int, Nature] = {}
        self.broken = False

    def nature(self, index: int) -> Nature:
        """The nature of one argument; an error in it ends the search for an overload."""
        if index not in self.known:
            self.broken = True
            self.known[index] = self.rules.visit(self.nodes[index])
            self.broken = False
        return self.known[index]


def env_name(node: nodes.Builtin) -> str | None:
    """The name that ``get($env, "name")`` asks for."""
    if node.name != "get" or len(node.arguments) != 2:
        return None
    base, key = node.arguments
    if not isinstance(base, nodes.Identifier) or base.name != "$env" or not isinstance(key, nodes.Literal):
        return None
    return key.value if isinstance(key.value, str) else None


def _called_name(callee: Node) -> str:
    if isinstance(callee, nodes.Identifier):
        return callee.name
    if isinstance(callee, nodes.Member) and isinstance(callee.key, nodes.Literal):
        return str(callee.key.value)
    return "function"
