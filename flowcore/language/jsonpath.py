"""The ``jsonpath()`` function of expressions, as in ``jsonpath(inputs.parameters.json, "$.items[0].name")``.

The dialect and messages are those of evilmonkeyinc/jsonpath: a path to one place gives its value or an error, one to many places a list
of what could be found. Numbers come out as floats. Called by the Argo functions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.expr.json_reader import read_json
from flowcore.language.expr.limits import Panic
from flowcore.language.jsonpath_scripts import compile_script, evaluate_script
from flowcore.language.jsonpath_tokens import (
    Compiled,
    Current,
    Descent,
    Filter,
    Index,
    Key,
    Length,
    Part,
    Range,
    Root,
    Script,
    Union,
    Wildcard,
    parse_path,
)

MAX_TEXT = 8 * 1024 * 1024
MAX_STEPS = 300_000
MAX_DEPTH = 100


def jsonpath(document: str | Json, path: str) -> Json:
    """What a path finds in a JSON text or value; raises ExpressionError with the Go library's message."""
    value = _read(document) if isinstance(document, str) else document
    return query(value, path)


def query(value: Json, path: str) -> Json:
    """What a path finds in a value, which is taken as it is."""
    return _Query(path).follow(_compile(path), value, value)


def _read(text: str) -> Json:
    if len(text) > MAX_TEXT:
        raise LimitExceeded(f"a JSON text of more than {MAX_TEXT} characters")
    try:
        return cast("Json", read_json(None, text))
    except Panic as panic:
        raise ExpressionError(str(panic), source=text[:200]) from None


@lru_cache(maxsize=256)
def _compile(path: str) -> tuple[Part, ...]:
    try:
        return parse_path(path, compile_script)
    except LimitExceeded:
        raise
    except ExpressionError as error:
        message = f"invalid JSONPath selector '{path}' {error.message}"
        raise ExpressionError(message, source=path, stage="compile") from None


class _Query:
    """One evaluation and what it may still spend."""

    def __init__(self, path: str) -> None:
        self._path, self._steps = path, MAX_STEPS

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise LimitExceeded(f"the path takes more than {MAX_STEPS} steps", source=self._path[:200])

    def follow(self, parts: tuple[Part, ...], root: Json, current: Json) -> Json:
        """The value at the end of the parts, beginning at ``current``; raises ExpressionError where there is none."""
        self._spend(1)
        if not parts:
            return current
        part, rest = parts[0], parts[1:]
        match part:
            case Root():
                return self.follow(rest, root, root)
            case Current():
                return self.follow(rest, root, current)
            case Key():
                return self.follow(rest, root, _member(current, part.name))
            case Index():
                return self.follow(rest, root, _item(current, part.position))
            case Length():
                return self.follow(rest, root, _length(current))
            case Script():
                return self._script(part, rest, root, current)
            case Wildcard():
                return self._each(_children(current, "wildcard"), rest, root)
            case Descent():
                return self._descent(rest, root, current, 0)
            case Filter():
                return self._filter(part, rest, root, current)
            case Range():
                return self._several(self._range(part, root, current), rest, root)
            case Union():
                return self._several(self._union(part, root, current), rest, root)

    def _evaluate(self, compiled: Compiled, root: Json, current: Json) -> Json:
        self._spend(1)
        return evaluate_script(compiled, root, current, self.follow)

    def _each(self, values: list[Json], rest: tuple[Part, ...], root: Json) -> list[Json]:
        """The rest applied to each value; where it finds nothing, or null, the value is left out."""
        self._spend(len(values))
        if not rest:
            return list(values)
        found: list[Json] = []
        for value in values:
            try:
                result = self.follow(rest, root, value)
            except LimitExceeded:
                raise
            except ExpressionError:
                continue
            if result is not None:
                found.append(result)
        return found

    def _several(self, values: list[Json], rest: tuple[Part, ...], root: Json) -> Json:
        """The same, but a position that follows picks from the list of the values."""
        return self.follow(rest, root, values) if rest and isinstance(rest[0], Index) else self._each(values, rest, root)

    def _script(self, script: Script, rest: tuple[Part, ...], root: Json, current: Json) -> Json:
        value = self._argument(script, root, current)
        if isinstance(value, str):
            return self.follow((Key(value), *rest), root, current)
        position = _whole(value)
        if position is None:
            got = "nil" if value is None else _kind(value)
            raise ExpressionError(f"unexpected expression result. expected [int string] got [{got}]", source=self._path)
        return self.follow((Index(position), *rest), root, current)

    def _argument(self, script: Script, root: Json, current: Json) -> Json:
        try:
            return self._evaluate(script.expression, root, current)
        except LimitExceeded:
            raise
        except ExpressionError as error:
            message = error.message.removeprefix("invalid expression. ")
            raise ExpressionError(f"invalid expression. {message}", source=self._path) from None

    def _descent(self, rest: tuple[Part, ...], root: Json, current: Json, depth: int) -> list[Json]:
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"a value nested more than {MAX_DEPTH} deep", source=self._path[:200])
        if current is None:
            return []
        found = self._found(rest, root, current)
        self._spend(1 + len(found))
        for child in _children(current, "recursive") if isinstance(current, (dict, list)) else []:
            found.extend(self._descent(rest, root, child, depth + 1))
        return found

    def _found(self, rest: tuple[Part, ...], root: Json, current: Json) -> list[Json]:
        if not rest:
            return [current]
        try:
            result = self.follow(rest, root, current)
        except LimitExceeded:
            raise
        except ExpressionError:
            return []
        if isinstance(result, list):
            return list(result)
        return [] if result is None else [result]

    def _filter(self, part: Filter, rest: tuple[Part, ...], root: Json, current: Json) -> Json:
        if not part.expression.text:
            raise ExpressionError("invalid expression. is empty", source=self._path)
        kept = [child for child in _children(current, "filter") if self._holds(part.expression, root, child)]
        if rest and isinstance(rest[0], Index):
            return self.follow(rest, current, kept)
        return self._each(kept, rest, root)

    def _holds(self, compiled: Compiled, root: Json, item: Json) -> bool:
        try:
            value = self._evaluate(compiled, root, item)
        except LimitExceeded:
            raise
        except ExpressionError:
            return False
        if isinstance(value, str) and len(value) > 1 and value[0] in "'\"" and value[-1] == value[0]:
            value = value[1:-1]
        return bool(value)

    def _range(self, part: Range, root: Json, current: Json) -> list[Json]:
        items = _items(current, "range")
        begin = self._position(part.begin, 0, root, current)
        end = self._position(part.end, len(items), root, current)
        step = self._position(part.step, 1, root, current)
        begin, end = (min(max(edge + len(items) if edge < 0 else edge, 0), len(items)) for edge in (begin, end))
        if not step:
            raise ExpressionError("range: invalid token out of range", source=self._path)
        positions = range(begin, end, step) if step > 0 else range(end - 1, begin - 1, step)
        self._spend(len(positions))
        return [items[position] for position in positions]

    def _position(self, argument: int | Script | None, default: int, root: Json, current: Json) -> int:
        if not isinstance(argument, Script):
            return default if argument is None else argument
        try:
            value = self._argument(argument, root, current)
        except LimitExceeded:
            raise
        except ExpressionError as error:
            raise ExpressionError(f"range: invalid token {error.message}", source=self._path) from None
        position = _whole(value)
        if position is None:
            got = "nil" if value is None else _kind(value)
            raise ExpressionError(f"range: invalid token unexpected expression result. expected [int] got [{got}]", source=self._path)
        return position

    def _union(self, part: Union, root: Json, current: Json) -> list[Json]:
        arguments = [self._union_argument(argument, root, current) for argument in part.arguments]
        names = [argument for argument in arguments if isinstance(argument, str)]
        positions = [argument for argument in arguments if isinstance(argument, int)]
        if names and positions:
            expected, got = ("[int]", "string") if isinstance(arguments[0], int) else ("[string]", "int")
            raise ExpressionError(f"union: invalid token argument. expected {expected} got [{got}]", source=self._path)
        if names:
            if not isinstance(current, dict):
                raise _target("union", current, "map")
            return [current[name] for name in names if name in current]
        items = _items(current, "union")
        return [items[position] for position in positions if -len(items) <= position < len(items)]

    def _union_argument(self, argument: str | int | Script, root: Json, current: Json) -> str | int:
        if not isinstance(argument, Script):
            return argument
        value = self._argument(argument, root, current)
        if isinstance(value, str):
            return value
        position = _whole(value)
        if position is None:
            got = "nil" if value is None else _kind(value)
            raise ExpressionError(f"union: invalid token argument. expected [int string] got [{got}]", source=self._path)
        return position


def _member(value: Json, name: str) -> Json:
    if not isinstance(value, dict):
        raise _target("key", value, "map")
    if name not in value:
        raise ExpressionError(f"key: invalid token key '{name}' not found")
    return value[name]


def _item(value: Json, position: int) -> Json:
    items = _items(value, "index")
    if not -len(items) <= position < len(items):
        raise ExpressionError("index: invalid token out of range")
    return items[position]


def _length(value: Json) -> Json:
    match value:
        case dict():
            return value.get("length", len(value))
        case list():
            return len(value)
        case str():
            return len(value.encode())
    raise _target("length", value, "array map slice string")


def _items(value: Json, place: str) -> list[Json]:
    if not isinstance(value, list):
        raise _target(place, value, "array slice")
    return value


def _children(value: Json, place: str) -> list[Json]:
    """The items of a list, or the members of a map in the order of their names."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value[name] for name in sorted(value)]
    raise _target(place, value, "array map slice")


def _target(place: str, value: Json, expected: str) -> ExpressionError:
    got = "nil" if value is None else _kind(value)
    return ExpressionError(f"{place}: invalid token target. expected [{expected}] got [{got}]")


def _kind(value: Json) -> str:
    match value:
        case bool():
            return "bool"
        case dict():
            return "map"
        case list():
            return "slice"
        case str():
            return "string"
        case int():
            return "int64"
    return "float64"


def _whole(value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if float(value).is_integer() else None
