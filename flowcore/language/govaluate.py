"""The govaluate dialect: what Argo's ``when`` (and a CronWorkflow's) is written in. Called by ``when`` and by validation.

Every number is a float, ``==`` never converts, ``+`` joins texts when one side is a text, ``in`` takes a list of at least two. Operators of
one level group from the left. Messages are the Go library's, because they become node messages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json
from flowcore.language.go_format import go_text
from flowcore.language.go_regexp import Regexp, compile_regexp
from flowcore.language.go_time import ParsedTime
from flowcore.language.govaluate_tokens import Token, check_tokens, read_tokens

_LEVELS: tuple[tuple[str, ...], ...] = (
    (",",),
    ("?", ":", "??"),
    ("||",),
    ("&&",),
    ("==", "!=", ">", ">=", "<", "<=", "=~", "!~", "in"),
    ("&", "|", "^"),
    (">>", "<<"),
    ("+", "-"),
    ("*", "/", "%"),
    ("**",),
)
_LEVEL_OF = {symbol: level for level, symbols in enumerate(_LEVELS) for symbol in symbols}
_OPERATOR_KINDS = frozenset(("SEPARATOR", "TERNARY", "LOGICALOP", "COMPARATOR", "MODIFIER"))
_UNEVALUATED = object()


def evaluate(expression: str, parameters: Mapping[str, Json]) -> Json:
    """The value of an expression; raises ExpressionError for what cannot be read or computed."""
    return compile_govaluate(expression).evaluate(parameters)


@lru_cache(maxsize=1024)
def compile_govaluate(expression: str) -> Govaluate:
    """Read an expression once; raises ExpressionError(stage="compile")."""
    return Govaluate(expression, read_tokens(expression))


class Govaluate:
    """An expression that was read; immutable."""

    def __init__(self, source: str, tokens: list[Token]) -> None:
        check_tokens(tokens, source)
        self.source = source
        self._patterns = _compile_patterns(tokens, source)
        self._tokens = tuple(_as_pattern(token, index in self._patterns) for index, token in enumerate(tokens))
        self._root = _Parser(self._tokens, self._patterns).parse()

    def with_words_as_texts(self) -> Govaluate:
        """The same expression in which each bare word means its own text, as Argo treats ``when``."""
        tokens = [Token("STRING", token.value) if token.kind == "VARIABLE" else token for token in self._tokens]
        return Govaluate(self.source, tokens)

    def evaluate(self, parameters: Mapping[str, Json]) -> Json:
        """The value with these variables; raises ExpressionError(stage="run")."""
        try:
            return _value(self._root, parameters)
        except ExpressionError as error:
            error.source = error.source or self.source
            raise


def _compile_patterns(tokens: list[Token], source: str) -> dict[int, Regexp]:
    """The constant right sides of ``=~`` and ``!~``, which must be good patterns even where they are never used."""
    patterns: dict[int, Regexp] = {}
    for index, token in enumerate(tokens[:-1]):
        following = tokens[index + 1]
        if token.kind == "COMPARATOR" and token.value in ("=~", "!~") and following.kind in ("STRING", "PATTERN"):
            try:
                patterns[index + 1] = compile_regexp(str(following.value))
            except ExpressionError as error:
                raise type(error)(error.message, source=source, stage="compile") from None
    return patterns


def _as_pattern(token: Token, pattern: bool) -> Token:
    return Token("PATTERN", token.value) if pattern else token


# -- the tree ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Literal:
    value: object


@dataclass(frozen=True, slots=True)
class _Variable:
    path: tuple[str, ...]
    arguments: _Tree | None = None


@dataclass(frozen=True, slots=True)
class _Prefix:
    symbol: str
    operand: _Tree | None


@dataclass(frozen=True, slots=True)
class _Binary:
    symbol: str
    left: _Tree | None
    right: _Tree | None


_Tree = _Literal | _Variable | _Prefix | _Binary


class _Parser:
    """Reads tokens whose order was checked. Whatever stands behind a complete expression is ignored, as the Go library does."""

    def __init__(self, tokens: tuple[Token, ...], patterns: Mapping[int, Regexp]) -> None:
        self._tokens, self._patterns, self._position = tokens, patterns, 0

    def parse(self, level: int = 0) -> _Tree | None:
        left = self._operand()
        while (symbol := self._operator(level)) is not None:
            self._position += 1
            left = _Binary(symbol, left, self.parse(_LEVEL_OF[symbol] + 1))
        return left

    def _operator(self, level: int) -> str | None:
        token = self._peek()
        if token is None or token.kind not in _OPERATOR_KINDS:
            return None
        symbol = str(token.value)
        return symbol if _LEVEL_OF[symbol] >= level else None

    def _peek(self) -> Token | None:
        return self._tokens[self._position] if self._position < len(self._tokens) else None

    def _operand(self) -> _Tree | None:
        token = self._peek()
        if token is None or token.kind == "CLAUSE_CLOSE":
            return None
        index = self._position
        self._position += 1
        match token.kind:
            case "CLAUSE":
                inner = self.parse()
                self._position += 1
                return inner
            case "PREFIX":
                return _Prefix(str(token.value), self._operand())
            case "VARIABLE":
                return _Variable((str(token.value),))
            case "ACCESSOR":
                assert isinstance(token.value, tuple)
                following = self._peek()
                return _Variable(token.value, self.parse() if following and following.kind == "CLAUSE" else None)
            case "PATTERN":
                return _Literal(self._patterns[index])
            case "TIME":
                assert isinstance(token.value, ParsedTime)
                return _Literal(float(token.value.unix_seconds()))
            case "NUMERIC" | "STRING" | "BOOLEAN":
                return _Literal(token.value)
        raise ExpressionError(f"Unable to plan token kind: '{token.kind}', value: '{token.shown}'", stage="compile")


# -- evaluation -------------------------------------------------------------------------------------------------------------------


def _value(tree: _Tree | None, parameters: Mapping[str, Json]) -> Json:
    """The value of a tree; long chains of operators, which lean to the left, do not recurse."""
    chain: list[_Binary] = []
    while isinstance(tree, _Binary):
        chain.append(tree)
        tree = tree.left
    value = _leaf_value(tree, parameters)
    for binary in reversed(chain):
        value = _apply(binary, value, parameters)
    return value


def _leaf_value(tree: _Tree | None, parameters: Mapping[str, Json]) -> Json:
    match tree:
        case _Literal():
            return tree.value  # type: ignore[return-value]  # a Regexp reaches only the comparators that take one
        case _Variable():
            return _variable_value(tree, parameters)
        case _Prefix():
            return _prefix_value(tree.symbol, _value(tree.operand, parameters))
    return None


def _variable_value(variable: _Variable, parameters: Mapping[str, Json]) -> Json:
    if variable.arguments is not None:
        _value(variable.arguments, parameters)
    name, *fields = variable.path
    if name not in parameters:
        raise ExpressionError(f"No parameter '{name}' found.")
    if fields:
        raise ExpressionError(f"Unable to access '{fields[0]}', '{name}' is not a struct")
    value = parameters[name]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _prefix_value(symbol: str, operand: Json) -> Json:
    if symbol == "!":
        if isinstance(operand, bool):
            return not operand
    elif isinstance(operand, float):
        return -operand if symbol == "-" else float(~_int64(operand))
    raise ExpressionError(f"Value '{go_text(operand)}' cannot be used with the prefix '{symbol}'")


def _apply(binary: _Binary, left: Json, parameters: Mapping[str, Json]) -> Json:
    match binary.symbol:
        case "&&" | "||":
            return _logical(binary, left, parameters)
        case "?":
            if left is False:
                return None
            right = _value(binary.right, parameters)
            _require(isinstance(left, bool), left, "?")
            return right
        case ":" | "??":
            return left if left is not None else _value(binary.right, parameters)
    return _BINARY[binary.symbol](binary.symbol, left, _value(binary.right, parameters))


def _logical(binary: _Binary, left: Json, parameters: Mapping[str, Json]) -> Json:
    if left is (binary.symbol == "||"):
        return left
    right = _value(binary.right, parameters)
    _require(isinstance(left, bool), left, binary.symbol)
    _require(isinstance(right, bool), right, binary.symbol)
    return right


_EXPECTED = {
    **dict.fromkeys(_LEVELS[1], ("ternary operator", "it is not a bool")),
    **dict.fromkeys(("&&", "||"), ("logical operator", "it is not a bool")),
    **dict.fromkeys(_LEVELS[4], ("comparator", "it is not a number")),
}


def _require(fits: bool, value: Json, symbol: str) -> None:
    if not fits:
        role, reason = _EXPECTED.get(symbol, ("modifier", "it is not a number"))
        raise ExpressionError(f"Value '{go_text(value)}' cannot be used with the {role} '{symbol}', {reason}")


def _list(_symbol: str, left: Json, right: Json) -> Json:
    return [*left, right] if isinstance(left, list) else [left, right]


def _equality(symbol: str, left: Json, right: Json) -> Json:
    return deep_equal(left, right) == (symbol == "==")


def deep_equal(left: Json, right: Json) -> bool:
    """Equality without any conversion: a bool is no number, a number no text."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(deep_equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(deep_equal(left[key], right[key]) for key in left)
    return left == right


def _order(symbol: str, left: Json, right: Json) -> Json:
    if isinstance(left, str) and isinstance(right, str):
        sign = (left > right) - (left < right)
    else:
        _require(isinstance(left, float) and isinstance(right, float), left, symbol)
        assert isinstance(left, float) and isinstance(right, float)
        if math.isnan(left) or math.isnan(right):
            return False
        sign = (left > right) - (left < right)
    return {">": sign > 0, ">=": sign >= 0, "<": sign < 0, "<=": sign <= 0}[symbol]


def _matches(symbol: str, left: Json, right: object) -> Json:
    _require(isinstance(left, str), left, symbol)
    if isinstance(right, str):
        try:
            right = compile_regexp(right)
        except ExpressionError as error:
            raise type(error)(f"Unable to compile regexp pattern '{right}': {error.message}") from None
    if not isinstance(right, Regexp):
        _require(False, right, symbol)  # type: ignore[arg-type]  # whatever it is, it is shown
    assert isinstance(left, str) and isinstance(right, Regexp)
    return right.matches(left) == (symbol == "=~")


def _membership(symbol: str, left: Json, right: Json) -> Json:
    _require(isinstance(right, list), right, symbol)
    assert isinstance(right, list)
    for item in right:
        if isinstance(left, (list, dict)) and type(left) is type(item):
            raise ExpressionError(f"lists and maps cannot be compared by '{symbol}'")
        if deep_equal(left, item):
            return True
    return False


def _plus(symbol: str, left: Json, right: Json) -> Json:
    if isinstance(left, str) or isinstance(right, str):
        return go_text(left) + go_text(right)
    _require(isinstance(left, float) and isinstance(right, float), left, symbol)
    assert isinstance(left, float) and isinstance(right, float)
    return left + right


def _arithmetic(symbol: str, left: Json, right: Json) -> Json:
    _require(isinstance(left, float), left, symbol)
    _require(isinstance(right, float), right, symbol)
    assert isinstance(left, float) and isinstance(right, float)
    return _ARITHMETIC[symbol](left, right)


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def _power(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return -math.inf if left < 0 and right % 2 == 1 else math.inf
    except ValueError:
        if left:
            return math.nan
        return math.copysign(math.inf, left) if right % 2 == 1 else math.inf


def _modulus(left: float, right: float) -> float:
    return math.nan if not right or math.isinf(left) else math.fmod(left, right)


def _int64(number: float) -> int:
    """A float cut to a signed 64-bit whole number; what does not fit becomes the smallest one, as on common processors."""
    whole = int(number) if math.isfinite(number) else 1 << 63
    return whole if -(1 << 63) <= whole < 1 << 63 else -(1 << 63)


def _uint64(number: float) -> int:
    if math.isfinite(number) and 1 << 63 <= int(number) < 1 << 64:
        return int(number)
    return _int64(number) & ((1 << 64) - 1)


def _shift_left(left: float, right: float) -> float:
    return float(_uint64(left) << _uint64(right) & ((1 << 64) - 1)) if _uint64(right) < 64 else 0.0


def _shift_right(left: float, right: float) -> float:
    return float(_uint64(left) >> _uint64(right)) if _uint64(right) < 64 else 0.0


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "%": _modulus,
    "**": _power,
    "&": lambda left, right: float(_int64(left) & _int64(right)),
    "|": lambda left, right: float(_int64(left) | _int64(right)),
    "^": lambda left, right: float(_int64(left) ^ _int64(right)),
    "<<": _shift_left,
    ">>": _shift_right,
}
_BINARY: dict[str, Callable[[str, Json, Json], Json]] = {
    ",": _list,
    **dict.fromkeys(("==", "!="), _equality),
    **dict.fromkeys((">", ">=", "<", "<="), _order),
    **dict.fromkeys(("=~", "!~"), _matches),
    "in": _membership,
    "+": _plus,
    **dict.fromkeys(_ARITHMETIC, _arithmetic),
}
