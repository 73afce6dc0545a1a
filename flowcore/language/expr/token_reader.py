"""What a parser needs before it knows any grammar: the token at hand, errors at tokens, and bounds on what is built. Base of ``parser``."""

from __future__ import annotations

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr import nodes
from flowcore.language.expr.limits import MOST_DEPTH, MOST_NODES
from flowcore.language.expr.nodes import Node
from flowcore.language.expr.tokens import Token, tokenize


class TokenReader:
    """Reads one text; ``depth`` is the parser's to count up and to put back."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens, self.lex_error = tokenize(source)
        self.position = -1
        self.count = 0
        self.depth = 0
        self.current = Token("EOF", "", 0)

    def next(self) -> None:
        """Go on to the next token; raises where the text stops being tokens."""
        if self.position + 1 < len(self.tokens):
            self.position += 1
            self.current = self.tokens[self.position]
        elif self.lex_error is not None:
            raise self.lex_error
        else:
            raise self.error("unexpected end of expression")

    def at(self, kind: str, *values: str) -> bool:
        """Whether the token at hand is of the kind, with one of the values if any are given."""
        return self.current.kind == kind and (not values or self.current.value in values)

    def expect(self, kind: str, *values: str) -> None:
        """Go past a token that must be of the kind."""
        if not self.at(kind, *values):
            raise self.unexpected()
        self.next()

    def error(self, message: str, token: Token | None = None) -> ExpressionError:
        """The error to raise at a token, else at the one at hand."""
        return ExpressionError(message, source=self.source, at=(token or self.current).at, stage="compile")

    def unexpected(self, token: Token | None = None) -> ExpressionError:
        """The error of a token that cannot stand here."""
        return self.error(f"unexpected token {token or self.current}", token)

    def made(self, node: Node, at: int) -> Node:
        """A new node with its place, counted."""
        self.counted(1)
        node.at = at
        return node

    def counted(self, made: int) -> None:
        """Count nodes; raises LimitExceeded for the one too many."""
        self.count += made
        if self.count > MOST_NODES:
            message = "compilation failed: expression exceeds maximum allowed nodes"
            raise LimitExceeded(message, source=self.source, at=self.current.at, stage="compile")

    def twice(self, node: Node) -> Node:
        """A node that stands in two places of the tree counts with everything below it once more, or nesting would double it endlessly."""
        self.counted(sum(1 for _ in nodes.walk(node)))
        return node

    def deeper(self) -> None:
        """Count one level of nesting; raises LimitExceeded for the one too many."""
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise LimitExceeded("the expression is nested too deeply", source=self.source, at=self.current.at, stage="compile")
