"""The Pratt parser: tokens become a tree. Called by ``expressions``.

Grammar, precedence, messages and places are expr-lang 1.17's. Bounds: 10,000 nodes as there, and a depth that Python can walk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr import nodes
from flowcore.language.expr.limits import LONGEST_SOURCE, MOST_DEPTH, MOST_NODES
from flowcore.language.expr.literals import BadNumber, read_number
from flowcore.language.expr.nodes import Node
from flowcore.language.expr.signatures import BUILTIN_NAMES
from flowcore.language.expr.tokens import Token, is_name, tokenize

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


class _Parser:
    def __init__(self, source: str, hidden: Collection[str]) -> None:
        self.source, self.hidden = source, hidden
        self.tokens, self.lex_error = tokenize(source)
        self.position = -1
        self.predicates = 0
        self.count = 0
        self.depth = 0
        self.current = Token("EOF", "", 0)

    def parse(self) -> Node:
        self._next()
        node = self._sequence()
        if self.current.kind != "EOF":
            raise self._unexpected()
        return node

    # -- tokens ------------------------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        if self.position + 1 < len(self.tokens):
            self.position += 1
            self.current = self.tokens[self.position]
        elif self.lex_error is not None:
            raise self.lex_error
        else:
            raise self._error("unexpected end of expression")

    def _is(self, kind: str, *values: str) -> bool:
        return self.current.kind == kind and (not values or self.current.value in values)

    def _expect(self, kind: str, *values: str) -> None:
        if not self._is(kind, *values):
            raise self._unexpected()
        self._next()

    def _error(self, message: str, token: Token | None = None) -> ExpressionError:
        return ExpressionError(message, source=self.source, at=(token or self.current).at, stage="compile")

    def _unexpected(self, token: Token | None = None) -> ExpressionError:
        return self._error(f"unexpected token {token or self.current}", token)

    def _made(self, node: Node, at: int) -> Node:
        self._counted(1)
        node.at = at
        return node

    def _counted(self, made: int) -> None:
        self.count += made
        if self.count > MOST_NODES:
            message = "compilation failed: expression exceeds maximum allowed nodes"
            raise LimitExceeded(message, source=self.source, at=self.current.at, stage="compile")

    def _twice(self, node: Node) -> Node:
        """A node that stands in two places of the tree counts with everything below it once more, or nesting would double it endlessly."""
        self._counted(sum(1 for _ in nodes.walk(node)))
        return node

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise LimitExceeded("the expression is nested too deeply", source=self.source, at=self.current.at, stage="compile")

    # -- expressions -------------------------------------------------------------------------------------------------------------

    def _sequence(self) -> Node:
        parts = [self._expression(0)]
        while self._is("Operator", ";"):
            self._next()
            if self._is("EOF"):
                break
            parts.append(self._expression(0))
        return parts[0] if len(parts) == 1 else self._made(nodes.Sequence(parts), parts[0].at)

    def _expression(self, precedence: int) -> Node:
        depth = self.depth
        self._deeper()
        if precedence == 0 and self._is("Operator", "let"):
            node = self._let()
        elif precedence == 0 and self._is("Operator", "if"):
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
            self._next()
            left = self._binary(left, token, power, previous)
            if negated is not None:
                left = self._made(nodes.Unary("not", left), negated.at)
            previous = token.value
        return left

    def _negated_operator(self, precedence: int) -> Token | None:
        """The operator after ``not`` (which becomes the current token), or None, still at ``not``, when it binds too loosely."""
        self._next()
        if self.current.value not in _NEGATABLE:
            raise self._unexpected()
        if _BINARY[self.current.value] >= precedence:
            return self.current
        self.position -= 1
        self.current = self.tokens[self.position]
        return None

    def _binary(self, left: Node, token: Token, power: int, previous: str) -> Node:
        if token.value == "|":
            name = self.current
            self._expect("Identifier")
            self._deeper()
            return self._call(name, [left], overridable=True)
        if previous == "??" and token.value != "??":
            message = f"Operator ({token.value}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses."
            raise self._error(message, token)
        if token.value in _COMPARISONS:
            return self._comparison(left, token, power)
        right = self._expression(power if token.value in _RIGHT_ASSOCIATIVE else power + 1)
        return self._made(nodes.Binary(token.value, left, right), token.at)

    def _comparison(self, left: Node, token: Token, power: int) -> Node:
        """``a < b < c`` means ``a < b && b < c``."""
        root: Node | None = None
        while True:
            right = self._expression(power + 1)
            test = self._made(nodes.Binary(token.value, left, right), token.at)
            root = test if root is None else self._made(nodes.Binary("&&", root, test), token.at)
            token = self.current
            if token.kind != "Operator" or token.value not in _COMPARISONS:
                return root
            left = self._twice(right)
            self._next()

    def _let(self) -> Node:
        self._next()
        name = self.current
        self._expect("Identifier")
        self._expect("Operator", "=")
        value = self._expression(0)
        self._expect("Operator", ";")
        return self._made(nodes.Let(name.value, value, self._sequence()), name.at)

    def _if(self) -> Node:
        self._deeper()
        self._next()
        condition = self._expression(0)
        self._expect("Bracket", "{")
        then = self._sequence()
        self._expect("Bracket", "}")
        self._expect("Operator", "else")
        if self._is("Operator", "if"):
            otherwise = self._if()
        else:
            self._expect("Bracket", "{")
            otherwise = self._sequence()
            self._expect("Bracket", "}")
        return nodes.Conditional(condition, then, otherwise)

    def _conditional(self, node: Node) -> Node:
        while self._is("Operator", "?"):
            self._deeper()
            self._next()
            if self._is("Operator", ":"):
                self._next()
                then = self._twice(node)
            else:
                then = self._expression(0)
                self._expect("Operator", ":")
            otherwise = self._expression(0)
            node = self._made(nodes.Conditional(node, then, otherwise), self.current.at)
        return node

    # -- operands ----------------------------------------------------------------------------------------------------------------

    def _primary(self) -> Node:
        token = self.current
        if token.kind == "Operator":
            if token.value in _UNARY:
                self._next()
                operand = self._expression(_UNARY[token.value])
                return self._postfix(self._made(nodes.Unary(token.value, operand), token.at))
            if self.predicates and token.value in ("#", "."):
                return self._postfix(self._pointer(token))
            if token.value == "::":
                self._next()
                name = self.current
                self._expect("Identifier")
                return self._postfix(self._call(name, [], overridable=False))
        if token.is_("Bracket", "("):
            self._next()
            node = self._sequence()
            self._expect("Bracket", ")")
            return self._postfix(node)
        return self._secondary(token)

    def _pointer(self, token: Token) -> Node:
        name = ""
        if token.value == "#":
            self._next()
            if self._is("Identifier"):
                name = self.current.value
                self._next()
        return self._made(nodes.Pointer(name), token.at)

    def _secondary(self, token: Token) -> Node:
        if token.kind == "Number":
            self._next()
            return self._number(token)
        if token.kind == "Identifier":
            self._next()
            if token.value in ("true", "false", "nil"):
                return self._made(nodes.Nil() if token.value == "nil" else nodes.Literal(token.value == "true"), token.at)
            if self._is("Bracket", "("):
                return self._postfix(self._call(token, [], overridable=True))
            return self._postfix(self._made(nodes.Identifier(token.value), token.at))
        if token.kind in ("String", "Bytes"):
            self._next()
            value: object = token.value if token.kind == "String" else token.content
            return self._postfix(self._made(nodes.Literal(value), token.at))
        if token.is_("Bracket", "["):
            return self._postfix(self._array(token))
        if token.is_("Bracket", "{"):
            return self._postfix(self._map(token))
        raise self._unexpected()

    def _number(self, token: Token) -> Node:
        try:
            return self._made(nodes.Literal(read_number(token.value)), token.at)
        except BadNumber as error:
            raise self._error(str(error)) from None

    def _array(self, token: Token) -> Node:
        self._next()
        items: list[Node] = []
        while not self._is("Bracket", "]"):
            if items:
                self._expect("Operator", ",")
                if self._is("Bracket", "]"):
                    break
            items.append(self._expression(0))
        self._expect("Bracket", "]")
        return self._made(nodes.Array(items), token.at)

    def _map(self, token: Token) -> Node:
        self._next()
        pairs: list[nodes.Pair] = []
        while not self._is("Bracket", "}"):
            if pairs:
                self._expect("Operator", ",")
                if self._is("Bracket", "}"):
                    break
                if self._is("Operator", ","):
                    raise self._unexpected()
            key = self._map_key()
            self._expect("Operator", ":")
            pair = nodes.Pair(key, self._expression(0))
            self._made(pair, token.at)
            pairs.append(pair)
        self._expect("Bracket", "}")
        return self._made(nodes.Map(pairs), token.at)

    def _map_key(self) -> Node:
        if self.current.kind in ("Number", "String", "Identifier"):
            key = self._made(nodes.Literal(self.current.value), self.current.at)
            self._next()
            return key
        if self._is("Bracket", "("):
            return self._expression(0)
        wanted = "a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses"
        raise self._error(f"{wanted} (unexpected token {self.current})")

    # -- calls -------------------------------------------------------------------------------------------------------------------

    def _call(self, name: Token, arguments: list[Node], *, overridable: bool) -> Node:
        hidden = overridable and name.value in self.hidden
        if name.value in _PREDICATES and not hidden:
            return self._made(nodes.Builtin(name.value, self._predicate_arguments(name.value, arguments)), name.at)
        if name.value in BUILTIN_NAMES and not hidden:
            return self._made(nodes.Builtin(name.value, self._arguments(arguments)), name.at)
        callee = self._made(nodes.Identifier(name.value), name.at)
        return self._made(nodes.Call(callee, self._arguments(arguments)), name.at)

    def _predicate_arguments(self, name: str, arguments: list[Node]) -> list[Node]:
        self._expect("Bracket", "(")
        wanted = _PREDICATES[name][len(arguments) :]
        for index, kind in enumerate(wanted):
            if self._is("Bracket", ")"):
                if kind.endswith("?"):
                    break
                raise self._error(f"expected at least {len(wanted)} arguments")
            if index > 0:
                self._expect("Operator", ",")
            arguments.append(self._predicate() if kind[0] == "p" else self._expression(0))
        if self._is("Operator", ","):
            self._next()
        self._expect("Bracket", ")")
        return arguments

    def _arguments(self, arguments: list[Node]) -> list[Node]:
        piped = len(arguments)
        self._expect("Bracket", "(")
        while not self._is("Bracket", ")"):
            if len(arguments) > piped:
                self._expect("Operator", ",")
                if self._is("Bracket", ")"):
                    break
            arguments.append(self._expression(0))
        self._expect("Bracket", ")")
        return arguments

    def _predicate(self) -> Node:
        start = self.current
        braced = self._is("Bracket", "{")
        self.predicates += 1
        if braced:
            self._next()
            body = self._sequence()
        else:
            body = self._expression(0)
            if self._is("Operator", ";"):
                raise self._error("wrap predicate with brackets { and }")
        self.predicates -= 1
        if braced:
            self._expect("Bracket", "}")
        return self._made(nodes.Predicate(body), start.at)

    # -- members, slices, calls of methods ---------------------------------------------------------------------------------------

    def _postfix(self, node: Node) -> Node:
        depth = self.depth
        while True:
            self._deeper()
            token = self.current
            if token.is_("Operator", ".", "?."):
                self._next()
                if token.value == "?." and self._is("Bracket", "["):
                    bracket = self.current
                    self._next()
                    node = self._bracket(node, bracket, optional=True)
                else:
                    node = self._dotted(node, optional=token.value == "?.")
            elif token.is_("Bracket", "["):
                self._next()
                node = self._bracket(node, token, optional=False)
            else:
                self.depth = depth
                return node

    def _dotted(self, node: Node, *, optional: bool) -> Node:
        name = self.current
        self._next()
        if name.kind != "Identifier" and not (name.kind == "Operator" and is_name(name.value)):
            raise self._error("expected name")
        key = self._made(nodes.Literal(name.value), name.at)
        chained = isinstance(node, nodes.Chain)
        base = node.inner if isinstance(node, nodes.Chain) else node
        member = nodes.Member(base, key, optional)
        result = self._made(member, name.at)
        if self._is("Bracket", "("):
            member.method = True
            result = self._made(nodes.Call(member, self._arguments([])), name.at)
        return self._made(nodes.Chain(result), name.at) if chained or optional else result

    def _bracket(self, node: Node, bracket: Token, *, optional: bool) -> Node:
        if self._is("Operator", ":"):
            self._next()
            return self._slice(node, None, bracket)
        low = self._expression(0)
        if self._is("Operator", ":"):
            self._next()
            return self._slice(node, low, bracket)
        result = self._made(nodes.Member(node, low, optional), bracket.at)
        if optional:
            result = self._made(nodes.Chain(result), bracket.at)
        self._expect("Bracket", "]")
        return result

    def _slice(self, node: Node, low: Node | None, bracket: Token) -> Node:
        high = None if self._is("Bracket", "]") else self._expression(0)
        result = self._made(nodes.Slice(node, low, high), bracket.at)
        self._expect("Bracket", "]")
        return result
