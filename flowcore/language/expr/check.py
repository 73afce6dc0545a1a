"""The checks before a run: what expr-lang's compiler would refuse for the kinds of the values at hand. Called by ``programs``.

Writes the nature of every value into the tree (``Node.nature``). Raises ExpressionError(stage="compile") with expr-lang's messages at the
first thing that cannot work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flowcore.errors import ExpressionError
from flowcore.language.expr import nodes
from flowcore.language.expr.check_calls import CallRules
from flowcore.language.expr.methods import method_nature
from flowcore.language.expr.natures import (
    BOOL,
    BYTES,
    DURATION,
    FLOAT,
    INT,
    LIST,
    MAP,
    NIL,
    STRING,
    TIME,
    UNKNOWN,
    Nature,
    list_of,
    pointed,
)
from flowcore.language.expr.nodes import Node
from flowcore.language.expr.signatures import BUILTIN_NAMES, builtin_nature
from flowcore.language.go_regexp import compile_regexp

_LITERALS: Mapping[type, Nature] = {bool: BOOL, int: INT, float: FLOAT, str: STRING, bytes: BYTES}


class Checker(CallRules):
    """One pass over one tree. ``fields`` are the natures of the environment's entries; ``strict``: other names are errors."""

    def __init__(self, source: str, fields: Mapping[str, Nature], *, strict: bool) -> None:
        super().__init__()
        self.source, self.fields, self.strict = source, fields, strict

    def visit(self, node: Node) -> Nature:
        """Check one node with everything below it."""
        node.nature = nature = _RULES[type(node)](self, node)
        return nature

    def error(self, node: Node, message: str) -> ExpressionError:
        """The error to raise for a node."""
        return ExpressionError(message, source=self.source, at=node.at, stage="compile")

    # -- names and literals ------------------------------------------------------------------------------------------------------

    def nil(self, _: nodes.Nil) -> Nature:
        """Nil has no type."""
        return NIL

    def literal(self, node: nodes.Literal) -> Nature:
        """The kind of what is written."""
        return _LITERALS[type(node.value)]

    def identifier(self, node: nodes.Identifier) -> Nature:
        """A ``let``, ``$env`` or a name of the environment."""
        for name, nature in reversed(self.variables):
            if name == node.name:
                return nature
        return UNKNOWN if node.name == "$env" else self.name(node, node.name, strict=self.strict, builtins=True)

    def name(self, node: Node, name: str, *, strict: bool, builtins: bool) -> Nature:
        """What a top-level name stands for."""
        if name in self.fields:
            return self.fields[name]
        if builtins and name in BUILTIN_NAMES:
            return builtin_nature(name)
        if strict:
            raise self.error(node, f"unknown name {name}")
        return UNKNOWN

    def let(self, node: nodes.Let) -> Nature:
        """Names must be new; the value's nature is the name's."""
        taken = ""
        if node.name in self.fields:
            taken = f"cannot redeclare {node.name}"
        elif node.name in BUILTIN_NAMES:
            taken = f"cannot redeclare builtin {node.name}"
        elif any(name == node.name for name, _ in self.variables):
            taken = f"cannot redeclare variable {node.name}"
        if taken:
            raise self.error(node, taken)
        self.variables.append((node.name, self.visit(node.value)))
        result = self.visit(node.body)
        self.variables.pop()
        return result

    # -- operators ---------------------------------------------------------------------------------------------------------------

    def unary(self, node: nodes.Unary) -> Nature:
        """Signs want numbers, negations want booleans."""
        nature = pointed(self.visit(node.operand))
        if node.operator in ("!", "not"):
            if nature.kind == "bool" or nature.is_unknown:
                return BOOL
        elif nature.is_number or nature.is_unknown:
            return nature if nature.is_number else UNKNOWN
        raise self.error(node, f"invalid operation: {node.operator} (mismatched type {nature})")

    def binary(self, node: nodes.Binary) -> Nature:
        """Long runs such as ``a + b + c`` lean to the left: they are walked without recursion."""
        spine = [node]
        while isinstance(spine[-1].left, nodes.Binary):
            spine.append(spine[-1].left)
        nature = self.visit(spine[-1].left)
        for item in reversed(spine):
            nature = item.nature = self._operation(item, pointed(nature), pointed(self.visit(item.right)))
        return nature

    def _operation(self, node: nodes.Binary, left: Nature, right: Nature) -> Nature:
        result = _OPERATIONS[node.operator](self, node, left, right)
        if result is None:
            raise self.error(node, f"invalid operation: {node.operator} (mismatched types {left} and {right})")
        return result

    def equality(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``==`` and ``!=`` between things of one family, or with nil."""
        return BOOL if left.comparable_to(right) else None

    def logic(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``and`` and ``or`` between booleans."""
        both = left.kind == "bool" and right.kind == "bool"
        return BOOL if both or left.maybe_compatible(right, "bool") else None

    def order(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``<`` and its like between two numbers, strings, times or durations."""
        families = ("number", "string", "time", "duration")
        both = any(left.any_of(family) and right.any_of(family) for family in families)
        return BOOL if both or left.maybe_compatible(right, *families) else None

    def plus(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``+`` between numbers, strings, durations, or a time and a duration."""
        if left.is_number and right.is_number:
            return _promoted(left, right)
        if left.kind == "string" and right.kind == "string":
            return STRING
        known = {(TIME, DURATION): TIME, (DURATION, TIME): TIME, (DURATION, DURATION): DURATION}.get((left, right))
        if known is None and left.maybe_compatible(right, "number", "string", "time", "duration"):
            return UNKNOWN
        return known

    def minus(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``-`` between numbers, times, durations, or a time and a duration."""
        if left.is_number and right.is_number:
            return _promoted(left, right)
        known = {(TIME, TIME): DURATION, (TIME, DURATION): TIME, (DURATION, DURATION): DURATION}.get((left, right))
        if known is None and left.maybe_compatible(right, "number", "time", "duration"):
            return UNKNOWN
        return known

    def times(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``*`` between numbers and durations."""
        if left.is_number and right.is_number:
            return _promoted(left, right)
        if left.any_of("number", "duration") and right.any_of("number", "duration"):
            return DURATION
        return UNKNOWN if left.maybe_compatible(right, "number", "duration") else None

    def divide(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``/``, ``**`` and ``^`` between numbers give a float."""
        both = left.is_number and right.is_number
        return FLOAT if both or left.maybe_compatible(right, "number") else None

    def modulo(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``%`` between integers."""
        both = left.is_integer and right.is_integer
        return INT if both or left.maybe_compatible(right, "integer") else None

    def membership(self, node: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``in`` looks for keys of maps and elements of lists."""
        if (left.kind == "string" or left.is_unknown) and right.kind == "struct":
            return BOOL
        if right.kind == "map":
            key = Nature(right.key, "interface" if right.key.startswith("interface") else right.key)
            if not left.is_unknown and not left.assignable_to(key):
                raise self.error(node, f"cannot use {left} as type {right.key} in map key")
            return BOOL
        if right.is_list:
            if not left.comparable_to(right.element()):
                raise self.error(node, f"cannot use {left} as type {right.element()} in array")
            return BOOL
        if left.is_unknown and right.any_of("string", "list", "map"):
            return BOOL
        return BOOL if right.is_unknown else None

    def matching(self, node: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``matches`` between a text and a pattern; a literal pattern must be readable."""
        if isinstance(node.right, nodes.Literal) and isinstance(node.right.value, str):
            try:
                compile_regexp(node.right.value)
            except ExpressionError as error:
                raise self.error(node, error.message) from None
        both = (left.kind == "string" or left.type == BYTES.type) and right.kind == "string"
        return BOOL if both or left.maybe_compatible(right, "string") else None

    def text_test(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``contains``, ``startsWith`` and ``endsWith`` between strings."""
        both = left.kind == "string" and right.kind == "string"
        return BOOL if both or left.maybe_compatible(right, "string") else None

    def span(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``..`` between integers."""
        both = left.is_integer and right.is_integer
        return list_of(INT) if both or left.maybe_compatible(right, "integer") else None

    def coalesce(self, _: nodes.Binary, left: Nature, right: Nature) -> Nature | None:
        """``??`` gives what both sides have in common."""
        if left.nil or right.nil:
            return right if left.nil else left
        return left if right.assignable_to(left) else UNKNOWN

    # -- members -----------------------------------------------------------------------------------------------------------------

    def chain(self, node: nodes.Chain) -> Nature:
        """A chain is what it ends with."""
        return self.visit(node.inner)

    def member(self, node: nodes.Member) -> Nature:
        """A method, a key of a map or an element of a list."""
        name = node.key.value if isinstance(node.key, nodes.Literal) and isinstance(node.key.value, str) else None
        if isinstance(node.base, nodes.Identifier) and node.base.name == "$env":
            return UNKNOWN if name is None else self.name(node, name, strict=self.strict and not node.optional, builtins=False)
        base = self.visit(node.base)
        key = self.visit(node.key)
        if base.is_unknown:
            return UNKNOWN
        if name is not None and base.nil:
            raise self.error(node, f"type nil has no field {name}")
        found = method_nature(base.type, name) if name is not None else None
        return found if found is not None else self._element(node, pointed(base), key, name)

    def _element(self, node: nodes.Member, base: Nature, key: Nature, name: str | None) -> Nature:
        if base.kind == "map":
            if base.key == "string" and key.type != "string" and not key.is_unknown:
                raise self.error(node.key, f"cannot use {key} to get an element from {base}")
            return base.element()
        if base.is_list:
            if not key.is_integer and not key.is_unknown:
                raise self.error(node.key, f"array elements can only be selected using an integer (got {key})")
            return base.element()
        if name is not None:
            raise self.error(node, f"type {base} has no {'method' if node.method else 'field'} {name}")
        raise self.error(node, f"type {base}[{key}] is undefined")

    def slice(self, node: nodes.Slice) -> Nature:
        """Strings and lists can be cut, at integers."""
        base = self.visit(node.base)
        if base.is_unknown:
            return UNKNOWN
        if base.kind != "string" and not base.is_list:
            raise self.error(node, f"cannot slice {base}")
        for bound in (node.low, node.high):
            if bound is None:
                continue
            nature = self.visit(bound)
            if not nature.is_integer and not nature.is_unknown:
                raise self.error(bound, f"non-integer slice index {nature}")
        return base

    # -- the rest ----------------------------------------------------------------------------------------------------------------

    def sequence(self, node: nodes.Sequence) -> Nature:
        """The last part counts."""
        result = UNKNOWN
        for part in node.parts:
            result = self.visit(part)
        return result

    def conditional(self, node: nodes.Conditional) -> Nature:
        """The condition must be a boolean; the result is what both ways have in common."""
        condition = pointed(self.visit(node.condition))
        if condition.kind != "bool" and not condition.is_unknown:
            raise self.error(node.condition, f"non-bool expression (type {condition}) used as condition")
        then, otherwise = self.visit(node.then), self.visit(node.otherwise)
        if then.nil or otherwise.nil:
            return otherwise if then.nil else then
        if not then.assignable_to(otherwise):
            return UNKNOWN
        if then.is_list and otherwise.is_list:
            first, second = then.element(), otherwise.element()
            if not first.assignable_to(second) or not second.assignable_to(first):
                return LIST
        return then

    def array(self, node: nodes.Array) -> Nature:
        """The elements' nature is known where all are of one kind."""
        natures = [self.visit(item) for item in node.items]
        if len({nature.kind for nature in natures}) > 1:
            return LIST
        return list_of(natures[-1] if natures else UNKNOWN)

    def map(self, node: nodes.Map) -> Nature:
        """Maps have string keys and values of any kind."""
        for pair in node.pairs:
            self.visit(pair.key)
            self.visit(pair.value)
        return MAP


def _promoted(left: Nature, right: Nature) -> Nature:
    return FLOAT if FLOAT.type in (left.type, right.type) else INT


_Rule = Callable[..., Nature]
_RULES: Mapping[type[Node], _Rule] = {
    nodes.Nil: Checker.nil,
    nodes.Literal: Checker.literal,
    nodes.Identifier: Checker.identifier,
    nodes.Let: Checker.let,
    nodes.Unary: Checker.unary,
    nodes.Binary: Checker.binary,
    nodes.Chain: Checker.chain,
    nodes.Member: Checker.member,
    nodes.Slice: Checker.slice,
    nodes.Call: CallRules.call,
    nodes.Builtin: CallRules.builtin,
    nodes.Predicate: CallRules.predicate,
    nodes.Pointer: CallRules.pointer,
    nodes.Sequence: Checker.sequence,
    nodes.Conditional: Checker.conditional,
    nodes.Array: Checker.array,
    nodes.Map: Checker.map,
}
_OPERATIONS: Mapping[str, Callable[[Checker, nodes.Binary, Nature, Nature], Nature | None]] = {
    **dict.fromkeys(("==", "!="), Checker.equality),
    **dict.fromkeys(("or", "||", "and", "&&"), Checker.logic),
    **dict.fromkeys(("<", ">", ">=", "<="), Checker.order),
    "+": Checker.plus,
    "-": Checker.minus,
    "*": Checker.times,
    **dict.fromkeys(("/", "**", "^"), Checker.divide),
    "%": Checker.modulo,
    "in": Checker.membership,
    "matches": Checker.matching,
    **dict.fromkeys(("contains", "startsWith", "endsWith"), Checker.text_test),
    "..": Checker.span,
    "??": Checker.coalesce,
}
