"""The Pratt parser: tokens become a tree. Called by ``expressions``.

Grammar, precedence, messages and places are expr-lang 1.17's. Bounds: 10,000 nodes as there, and a depth that Python can walk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flowcore.errors import LimitExceeded
from flowcore.language.expr import nodes
from flowcore.language.expr.limits import LONGEST_SOURCE
from flowcore.language.expr.literals import BadNumber, read_number
from flowcore.language.expr.nodes import Node
from flowcore.language.expr.signatures import BUILTIN_NAMES
from flowcore.language.expr.token_reader import TokenReader
from flowcore.language.expr.tokens import Token, is_name

_UNARY: Mapping[str, int] = {"not": 50, "!": 50, "-": 90, "+": 90}
_BINARY: Mapping[str, int] = {
    "|": 0,
    **dict.fromkeys(("or", "||"), 10),
    **dict.fromkeys(("and", "&&"), 15),
    **dict.fromkeys(("==", "!=", "<", ">", ">=", "<=", "in", "matches", "contains", "startsWith", "endsWith"), 20),
    "..": 25,
    **dict.fromkeys(("+", "-"), 30),
    **dict.fromkeys(("*", "/", "%"), 60),
    **dict.fromkeys(("**", "^"), 100),
    "??": 500,
}
_RIGHT_ASSOCIATIVE = frozenset({"**", "^"})
_COMPARISONS = frozenset({"<", ">", ">=", "<="})
_NEGATABLE = frozenset({"in", "matches", "contains", "startsWith", "endsWith"})

# what a predicate builtin takes: e(xpression), p(redicate), a question mark where it may be left out
_PREDICATES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("all", "none", "any", "one", "filter", "map", "find", "findIndex", "findLast", "findLastIndex", "groupBy"), ("e", "p")
    ),
    **dict.fromkeys(("count", "sum"), ("e", "p?")),
    **dict.fromkeys(("sortBy", "reduce"), ("e", "p", "e?")),
}


def parse(source: str, hidden: Collection[str] = ()) -> Node:
    """The tree of a text. ``hidden`` names the builtins that the environment replaces: calls of them are ordinary calls.

    Raises ExpressionError(stage="compile"), LimitExceeded for texts that are too long, too deep or of too many nodes.
    """
    if len(source) > LONGEST_SOURCE:
        raise LimitExceeded(f"the expression is longer than {LONGEST_SOURCE} characters", source=source[:200], stage="compile")
    return _Parser(source, hidden).parse()


class _Parser(TokenReader):
    def __init__(self, source: str, hidden: Collection[str]) -> None:
        super().__init__(source)
        self.hidden = hidden
        self.predicates = 0

    def parse(self) -> Node:
        """The tree of the whole text."""
        self.next()
        node = self._sequence()
        if self.current.kind != "EOF":
            raise self.unexpected()
        return node

    # -- expressions -------------------------------------------------------------------------------------------------------------

    def _sequence(self) -> Node:
        parts = [self._expression(0)]
        while self.at("Operator", ";"):
            self.next()
            if self.at("EOF"):
                break
            parts.append(self._expression(0))
        return parts[0] if len(parts) == 1 else self.made(nodes.Sequence(parts), parts[0].at)

    def _expression(self, precedence: int) -> Node:
        depth = self.depth
        self.deeper()
        if precedence == 0 and self.at("Operator", "let"):
            node = self._let()
        elif precedence == 0 and self.at("Operator", "if"):
            node = self._if()
        else:
            node = self._operators(self._primary(), precedence)
            node = self._conditional(node) if precedence == 0 else node
        self.depth = depth
        return node

    def _operators(self, left: Node, precedence: int) -> Node:
        previous = ""
        while self.current.kind == "Operator":
            token, negated = self.current, None
            if token.value == "not":
                negated = self._negated_operator(precedence)
                if negated is None:
                    break
                token = negated
            power = _BINARY.get(token.value, -1)
            if power < precedence:
                break
            self.next()
            left = self._binary(left, token, power, previous)
            if negated is not None:
                left = self.made(nodes.Unary("not", left), negated.at)
            previous = token.value
        return left

    def _negated_operator(self, precedence: int) -> Token | None:
        """The operator after ``not`` (which becomes the current token), or None, still at ``not``, when it binds too loosely."""
        self.next()
        if self.current.value not in _NEGATABLE:
            raise self.unexpected()
        if _BINARY[self.current.value] >= precedence:
            return self.current
        self.position -= 1
        self.current = self.tokens[self.position]
        return None

    def _binary(self, left: Node, token: Token, power: int, previous: str) -> Node:
        if token.value == "|":
            name = self.current
            self.expect("Identifier")
            self.deeper()
            return self._call(name, [left], overridable=True)
        if previous == "??" and token.value != "??":
            message = f"Operator ({token.value}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses."
            raise self.error(message, token)
        if token.value in _COMPARISONS:
            return self._comparison(left, token, power)
        right = self._expression(power if token.value in _RIGHT_ASSOCIATIVE else power + 1)
        return self.made(nodes.Binary(token.value, left, right), token.at)

    def _comparison(self, left: Node, token: Token, power: int) -> Node:
        """``a < b < c`` means ``a < b && b < c``."""
        root: Node | None = None
        while True:
            right = self._expression(power + 1)
            test = self.made(nodes.Binary(token.value, left, right), token.at)
            root = test if root is None else self.made(nodes.Binary("&&", root, test), token.at)
            token = self.current
            if token.kind != "Operator" or token.value not in _COMPARISONS:
                return root
            left = self.twice(right)
            self.next()

    def _let(self) -> Node:
        self.next()
        name = self.current
        self.expect("Identifier")
        self.expect("Operator", "=")
        value = self._expression(0)
        self.expect("Operator", ";")
        return self.made(nodes.Let(name.value, value, self._sequence()), name.at)

    def _if(self) -> Node:
        self.deeper()
        self.next()
        condition = self._expression(0)
        self.expect("Bracket", "{")
        then = self._sequence()
        self.expect("Bracket", "}")
        self.expect("Operator", "else")
        if self.at("Operator", "if"):
            otherwise = self._if()
        else:
            self.expect("Bracket", "{")
            otherwise = self._sequence()
            self.expect("Bracket", "}")
        return nodes.Conditional(condition, then, otherwise)

    def _conditional(self, node: Node) -> Node:
        while self.at("Operator", "?"):
            self.deeper()
            self.next()
            if self.at("Operator", ":"):
                self.next()
                then = self.twice(node)
            else:
                then = self._expression(0)
                self.expect("Operator", ":")
            otherwise = self._expression(0)
            node = self.made(nodes.Conditional(node, then, otherwise), self.current.at)
        return node

    # -- operands ----------------------------------------------------------------------------------------------------------------

    def _primary(self) -> Node:
        token = self.current
        if token.kind == "Operator":
            if token.value in _UNARY:
                self.next()
                operand = self._expression(_UNARY[token.value])
                return self._postfix(self.made(nodes.Unary(token.value, operand), token.at))
            if self.predicates and token.value in ("#", "."):
                return self._postfix(self._pointer(token))
            if token.value == "::":
                self.next()
                name = self.current
                self.expect("Identifier")
                return self._postfix(self._call(name, [], overridable=False))
        if token.is_("Bracket", "("):
            self.next()
            node = self._sequence()
            self.expect("Bracket", ")")
            return self._postfix(node)
        return self._secondary(token)

    def _pointer(self, token: Token) -> Node:
        name = ""
        if token.value == "#":
            self.next()
            if self.at("Identifier"):
                name = self.current.value
                self.next()
        return self.made(nodes.Pointer(name), token.at)

    def _secondary(self, token: Token) -> Node:
        if token.kind == "Number":
            self.next()
            return self._number(token)
        if token.kind == "Identifier":
            self.next()
            if token.value in ("true", "false", "nil"):
                return self.made(nodes.Nil() if token.value == "nil" else nodes.Literal(token.value == "true"), token.at)
            if self.at("Bracket", "("):
                return self._postfix(self._call(token, [], overridable=True))
            return self._postfix(self.made(nodes.Identifier(token.value), token.at))
        if token.kind in ("String", "Bytes"):
            self.next()
            value: object = token.value if token.kind == "String" else token.content
            return self._postfix(self.made(nodes.Literal(value), token.at))
        if token.is_("Bracket", "["):
            return self._postfix(self._array(token))
        if token.is_("Bracket", "{"):
            return self._postfix(self._map(token))
        raise self.unexpected()

    def _number(self, token: Token) -> Node:
        try:
            return self.made(nodes.Literal(read_number(token.value)), token.at)
        except BadNumber as error:
            raise self.error(str(error)) from None

    def _array(self, token: Token) -> Node:
        self.next()
        items: list[Node] = []
        while not self.at("Bracket", "]"):
            if items:
                self.expect("Operator", ",")
                if self.at("Bracket", "]"):
                    break
            items.append(self._expression(0))
        self.expect("Bracket", "]")
        return self.made(nodes.Array(items), token.at)

    def _map(self, token: Token) -> Node:
        self.next()
        pairs: list[nodes.Pair] = []
        while not self.at("Bracket", "}"):
            if pairs:
                self.expect("Operator", ",")
                if self.at("Bracket", "}"):
                    break
                if self.at("Operator", ","):
                    raise self.unexpected()
            key = self._map_key()
            self.expect("Operator", ":")
            pair = nodes.Pair(key, self._expression(0))
            self.made(pair, token.at)
            pairs.append(pair)
        self.expect("Bracket", "}")
        return self.made(nodes.Map(pairs), token.at)

    def _map_key(self) -> Node:
        if self.current.kind in ("Number", "String", "Identifier"):
            key = self.made(nodes.Literal(self.current.value), self.current.at)
            self.next()
            return key
        if self.at("Bracket", "("):
            return self._expression(0)
        wanted = "a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses"
        raise self.error(f"{wanted} (unexpected token {self.current})")

    # -- calls -------------------------------------------------------------------------------------------------------------------

    def _call(self, name: Token, arguments: list[Node], *, overridable: bool) -> Node:
        hidden = overridable and name.value in self.hidden
        if name.value in _PREDICATES and not hidden:
            return self.made(nodes.Builtin(name.value, self._predicate_arguments(name.value, arguments)), name.at)
        if name.value in BUILTIN_NAMES and not hidden:
            return self.made(nodes.Builtin(name.value, self._arguments(arguments)), name.at)
        callee = self.made(nodes.Identifier(name.value), name.at)
        return self.made(nodes.Call(callee, self._arguments(arguments)), name.at)

    def _predicate_arguments(self, name: str, arguments: list[Node]) -> list[Node]:
        self.expect("Bracket", "(")
        wanted = _PREDICATES[name][len(arguments) :]
        for index, kind in enumerate(wanted):
            if self.at("Bracket", ")"):
                if kind.endswith("?"):
                    break
                raise self.error(f"expected at least {len(wanted)} arguments")
            if index > 0:
                self.expect("Operator", ",")
            arguments.append(self._predicate() if kind[0] == "p" else self._expression(0))
        if self.at("Operator", ","):
            self.next()
        self.expect("Bracket", ")")
        return arguments

    def _arguments(self, arguments: list[Node]) -> list[Node]:
        piped = len(arguments)
        self.expect("Bracket", "(")
        while not self.at("Bracket", ")"):
            if len(arguments) > piped:
                self.expect("Operator", ",")
                if self.at("Bracket", ")"):
                    break
            arguments.append(self._expression(0))
        self.expect("Bracket", ")")
        return arguments

    def _predicate(self) -> Node:
        start = self.current
        braced = self.at("Bracket", "{")
        self.predicates += 1
        if braced:
            self.next()
            body = self._sequence()
        else:
            body = self._expression(0)
            if self.at("Operator", ";"):
                raise self.error("wrap predicate with brackets { and }")
        self.predicates -= 1
        if braced:
            self.expect("Bracket", "}")
        return self.made(nodes.Predicate(body), start.at)

    # -- members, slices, calls of methods ---------------------------------------------------------------------------------------

    def _postfix(self, node: Node) -> Node:
        depth = self.depth
        while True:
            self.deeper()
            token = self.current
            if token.is_("Operator", ".", "?."):
                self.next()
                if token.value == "?." and self.at("Bracket", "["):
                    bracket = self.current
                    self.next()
                    node = self._bracket(node, bracket, optional=True)
                else:
                    node = self._dotted(node, optional=token.value == "?.")
            elif token.is_("Bracket", "["):
                self.next()
                node = self._bracket(node, token, optional=False)
            else:
                self.depth = depth
                return node

    def _dotted(self, node: Node, *, optional: bool) -> Node:
        name = self.current
        self.next()
        if name.kind != "Identifier" and not (name.kind == "Operator" and is_name(name.value)):
            raise self.error("expected name")
        key = self.made(nodes.Literal(name.value), name.at)
        chained = isinstance(node, nodes.Chain)
        base = node.inner if isinstance(node, nodes.Chain) else node
        member = nodes.Member(base, key, optional)
        result = self.made(member, name.at)
        if self.at("Bracket", "("):
            member.method = True
            result = self.made(nodes.Call(member, self._arguments([])), name.at)
        return self.made(nodes.Chain(result), name.at) if chained or optional else result

    def _bracket(self, node: Node, bracket: Token, *, optional: bool) -> Node:
        if self.at("Operator", ":"):
            self.next()
            return self._slice(node, None, bracket)
        low = self._expression(0)
        if self.at("Operator", ":"):
            self.next()
            return self._slice(node, low, bracket)
        result = self.made(nodes.Member(node, low, optional), bracket.at)
        if optional:
            result = self.made(nodes.Chain(result), bracket.at)
        self.expect("Bracket", "]")
        return result

    def _slice(self, node: Node, low: Node | None, bracket: Token) -> Node:
        high = None if self.at("Bracket", "]") else self._expression(0)
        result = self.made(nodes.Slice(node, low, high), bracket.at)
        self.expect("Bracket", "]")
        return result
