"""Reading jq programs. The grammar and messages are gojq's. Called by ``jq``."""

from __future__ import annotations

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.jq.lexer import KEYWORDS, Lexer, Token
from flowcore.language.jq.nodes import (
    Binary,
    Bind,
    Break,
    Call,
    Comma,
    Constant,
    Define,
    Foreach,
    Format,
    Identity,
    If,
    Index,
    Iterate,
    Label,
    ListOf,
    Node,
    ObjectOf,
    Pattern,
    Pipe,
    Reduce,
    Slice,
    Text,
    Try,
    Unary,
    Variable,
)
from flowcore.language.jq.numbers import parse_number

MAX_SOURCE = 64 * 1024
MAX_DEPTH = 100

# From loose to tight. Operators of one level group to the left, to the right, or not at all.
_LEVELS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset(["//"]), "right"),
    (frozenset(["=", "|=", "+=", "-=", "*=", "/=", "%=", "//="]), "none"),
    (frozenset(["or"]), "left"),
    (frozenset(["and"]), "left"),
    (frozenset(["==", "!=", "<", "<=", ">", ">="]), "none"),
    (frozenset(["+", "-"]), "left"),
    (frozenset(["*", "/", "%"]), "left"),
)
_LEVEL_OF = {operator: level for level, (operators, _) in enumerate(_LEVELS) for operator in operators}


def parse_program(source: str) -> Node:
    """Read a program; raises ExpressionError(stage="compile") with gojq's message."""
    if len(source) > MAX_SOURCE:
        raise LimitExceeded(f"a jq program of more than {MAX_SOURCE} characters", source=source[:200], stage="compile")
    try:
        return Parser(source).program()
    except RecursionError:
        raise LimitExceeded("a jq program is nested too deeply", source=source[:200], stage="compile") from None


class Parser:
    """One token of lookahead over the lexer."""

    def __init__(self, source: str) -> None:
        self._lexer = Lexer(source)
        self._depth = 0
        self._token = self._lexer.next_token()

    def program(self) -> Node:
        """A whole program; a module header is read and means nothing."""
        if self._token.kind == "module":
            self._advance()
            self._object()
            self._expect(";")
        if self._token.kind in ("import", "include"):
            raise self._lexer.problem("modules cannot be loaded", self._token.at)
        if self._token.kind == "end":
            raise self._lexer.problem('missing query (try ".")')
        node = self._query()
        if self._token.kind != "end":
            raise self._lexer.unexpected(self._token)
        return node

    def definitions(self) -> list[tuple[str, tuple[str, ...], Node]]:
        """A text of nothing but function definitions."""
        found = []
        while self._token.kind == "def":
            found.append(self._definition())
        return found

    # -- tokens -------------------------------------------------------------------------------------------------------------------

    def _advance(self) -> Token:
        token = self._token
        self._token = self._lexer.next_token()
        return token

    def _expect(self, kind: str) -> Token:
        if self._token.kind != kind:
            raise self._lexer.unexpected(self._token)
        return self._advance()

    def _accept(self, kind: str) -> bool:
        if self._token.kind != kind:
            return False
        self._advance()
        return True

    # -- pipes and commas ---------------------------------------------------------------------------------------------------------

    def _query(self) -> Node:
        """Everything up to a closing sign: pipes of commas; definitions, labels and variables reach to the end."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise LimitExceeded(f"a jq program nested more than {MAX_DEPTH} deep", source=self._lexer.source[:200], stage="compile")
        stages: list[Node] = []
        while True:
            stages.append(self._commas())
            if not self._accept("|"):
                break
        self._depth -= 1
        node = stages.pop()
        while stages:
            node = Pipe(stages.pop(), node)
        return node

    def _commas(self) -> Node:
        node = self._clause()
        while self._accept(","):
            node = Comma(node, self._clause())
        return node

    def _clause(self) -> Node:
        if self._token.kind == "def":
            name, parameters, definition = self._definition()
            if self._token.kind in ("end", ")", "]", "}", ";"):
                raise self._missing()
            return Define(name, parameters, definition, self._query())
        if self._accept("label"):
            name = self._expect("variable").text
            self._expect("|")
            return Label(name, self._query())
        node = self._expression(0)
        if not self._accept("as"):
            return node
        patterns = [self._pattern()]
        while self._accept("?//"):
            patterns.append(self._pattern())
        self._expect("|")
        return Bind(node, tuple(patterns), self._query())

    def _missing(self) -> ExpressionError:
        if self._token.kind == "end":
            return self._lexer.problem('missing query (try ".")')
        return self._lexer.unexpected(self._token)

    def _definition(self) -> tuple[str, tuple[str, ...], Node]:
        self._expect("def")
        name = self._expect("word").text
        parameters: list[str] = []
        if self._accept("("):
            while True:
                kind = "variable" if self._token.kind == "variable" else "word"
                parameters.append(self._expect(kind).text)
                if not self._accept(";"):
                    break
            self._expect(")")
        self._expect(":")
        body = self._query()
        self._expect(";")
        return name, tuple(parameters), body

    # -- operators ----------------------------------------------------------------------------------------------------------------

    def _expression(self, level: int) -> Node:
        node = self._term()
        blocked = len(_LEVELS)
        while (found := _LEVEL_OF.get(self._token.kind, -1)) >= level:
            if found == blocked:
                raise self._lexer.unexpected(self._token)
            operator = self._advance().kind
            grouping = _LEVELS[found][1]
            node = Binary(operator, node, self._expression(found if grouping == "right" else found + 1))
            blocked = found if grouping == "none" else len(_LEVELS)
        return node

    # -- terms --------------------------------------------------------------------------------------------------------------------

    def _term(self) -> Node:
        self._depth += 1
        if self._depth > 2 * MAX_DEPTH:
            raise LimitExceeded("a jq program is nested too deeply", source=self._lexer.source[:200], stage="compile")
        node = self._suffixes(self._primary())
        self._depth -= 1
        return node

    def _primary(self) -> Node:
        token = self._token
        match token.kind:
            case ".":
                return self._dot()
            case "..":
                self._advance()
                return Call("recurse")
            case "field":
                self._advance()
                return Index(Identity(), Constant(token.text))
            case "number":
                self._advance()
                return Constant(parse_number(token.text))
            case "null" | "true" | "false":
                self._advance()
                return Constant({"null": None, "true": True, "false": False}[token.kind])
            case "variable":
                self._advance()
                return Variable(token.text)
            case "word":
                return self._call()
            case "text-begin":
                return self._text("")
            case "format":
                self._advance()
                return self._text(token.text[1:]) if self._token.kind == "text-begin" else Format(token.text[1:])
            case "+" | "-":
                self._advance()
                return Unary(token.kind, self._term())
        return self._compound(token)

    def _compound(self, token: Token) -> Node:
        match token.kind:
            case "(":
                self._advance()
                node = self._query()
                self._expect(")")
                return Pipe(node, Identity())
            case "[":
                self._advance()
                body = None if self._token.kind == "]" else self._query()
                self._expect("]")
                return ListOf(body)
            case "{":
                return self._object()
            case "if":
                self._advance()
                return self._if()
            case "try":
                self._advance()
                body = self._term()
                return Try(body, self._term() if self._accept("catch") else None)
            case "reduce" | "foreach":
                return self._fold(self._advance().kind)
            case "break":
                self._advance()
                return Break(self._expect("variable").text)
        raise self._lexer.unexpected(token)

    def _dot(self) -> Node:
        self._advance()
        if self._token.kind == "text-begin":
            return Index(Identity(), self._text(""))
        return self._bracket(Identity()) if self._token.kind == "[" else Identity()

    def _suffixes(self, node: Node) -> Node:
        while True:
            match self._token.kind:
                case "field":
                    node = Index(node, Constant(self._advance().text))
                case "[":
                    node = self._bracket(node)
                case "?":
                    self._advance()
                    node = _optional(node)
                case ".":
                    self._advance()
                    node = self._behind_dot(node)
                case _:
                    return node

    def _behind_dot(self, base: Node) -> Node:
        match self._token.kind:
            case "text-begin":
                return Index(base, self._text(""))
            case "[":
                return self._bracket(base)
        raise self._lexer.unexpected(self._token)

    def _bracket(self, base: Node) -> Node:
        self._expect("[")
        if self._accept("]"):
            return Iterate(base)
        if self._accept(":"):
            node: Node = Slice(base, None, self._query())
        else:
            begin = self._query()
            if self._accept(":"):
                node = Slice(base, begin, None if self._token.kind == "]" else self._query())
            else:
                node = Index(base, begin)
        self._expect("]")
        return node

    def _call(self) -> Node:
        name = self._advance().text
        if not self._accept("("):
            return Call(name)
        arguments = [self._query()]
        while self._accept(";"):
            arguments.append(self._query())
        self._expect(")")
        return Call(name, tuple(arguments))

    def _if(self) -> Node:
        condition = self._query()
        self._expect("then")
        consequence = self._query()
        otherwise: Node | None = None
        if self._accept("elif"):
            return If(condition, consequence, self._if())
        if self._accept("else"):
            otherwise = self._query()
        self._expect("end")
        return If(condition, consequence, otherwise)

    def _fold(self, kind: str) -> Node:
        source = self._expression(0)
        self._expect("as")
        pattern = self._pattern()
        self._expect("(")
        start = self._query()
        self._expect(";")
        update = self._query()
        extract = self._query() if kind == "foreach" and self._accept(";") else None
        self._expect(")")
        return Reduce(source, pattern, start, update) if kind == "reduce" else Foreach(source, pattern, start, update, extract)

    def _text(self, format_name: str) -> Node:
        """A text; the token at hand is its opening quote, behind which the lexer stands."""
        parts: list[str | Node] = []
        while (piece := self._lexer.text_piece()).kind != "text-end":
            if piece.kind == "text":
                parts.append(piece.text)
                continue
            self._token = self._lexer.next_token()
            parts.append(self._query())
            if self._token.kind != ")":
                raise self._lexer.unexpected(self._token)
        self._token = self._lexer.next_token()
        if all(isinstance(part, str) for part in parts):
            return Constant("".join(map(str, parts)))
        return Text(tuple(parts), format_name)

    # -- objects and patterns -----------------------------------------------------------------------------------------------------

    def _object(self) -> Node:
        self._expect("{")
        members: list[tuple[Node, Node | None]] = []
        while self._token.kind != "}":
            members.append(self._member())
            if not self._accept(","):
                break
            if not members:
                raise self._lexer.unexpected(self._token)
        self._expect("}")
        return ObjectOf(tuple(members))

    def _member(self) -> tuple[Node, Node | None]:
        token = self._token
        if token.kind == "(":
            self._advance()
            key = self._query()
            self._expect(")")
            self._expect(":")
            return key, self._member_value()
        key = self._key()
        if self._accept(":"):
            return key, self._member_value()
        if isinstance(key, Variable):
            return Constant(key.name[1:]), key
        return key, None

    def _key(self) -> Node:
        token = self._token
        if token.kind == "text-begin":
            return self._text("")
        if token.kind == "variable":
            self._advance()
            return Variable(token.text)
        if token.kind == "word" or token.kind in KEYWORDS:
            self._advance()
            return Constant(token.text)
        raise self._lexer.unexpected(token)

    def _member_value(self) -> Node:
        node = self._expression(0)
        return Pipe(node, self._member_value()) if self._accept("|") else node

    def _pattern(self) -> Pattern:
        if self._token.kind == "variable":
            return Pattern(name=self._advance().text)
        if self._accept("["):
            items = [self._pattern()]
            while self._accept(","):
                items.append(self._pattern())
            self._expect("]")
            return Pattern(items=tuple(items))
        self._expect("{")
        members = [self._pattern_member()]
        while self._accept(","):
            members.append(self._pattern_member())
        self._expect("}")
        return Pattern(members=tuple(members))

    def _pattern_member(self) -> tuple[Node, str, Pattern | None]:
        if self._accept("("):
            key = self._query()
            self._expect(")")
            self._expect(":")
            return key, "", self._pattern()
        key = self._key()
        if isinstance(key, Variable):
            return Constant(key.name[1:]), key.name, self._pattern() if self._accept(":") else None
        self._expect(":")
        return key, "", self._pattern()


def _optional(node: Node) -> Node:
    """``?`` is for the last suffix alone: the base before it may still fail."""
    match node:
        case Index(base, key) if not isinstance(base, Identity):
            return Pipe(base, Try(Index(Identity(), key)))
        case Slice(base, begin, end) if not isinstance(base, Identity):
            return Pipe(base, Try(Slice(Identity(), begin, end)))
        case Iterate(base) if not isinstance(base, Identity):
            return Pipe(base, Try(Iterate(Identity())))
    return Try(node)
