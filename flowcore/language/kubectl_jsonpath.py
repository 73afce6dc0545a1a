"""kubectl's JSONPath templates, as in ``{range .items[*]}{.metadata.name} {end}``. Called for ``valueFrom.jsonPath`` of resource templates.

The rules and messages are those of client-go, including what is printed when a range is never closed. Results and steps are bounded.
"""

from __future__ import annotations

from functools import lru_cache

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.go_format import go_text
from flowcore.language.go_json import dump_json
from flowcore.language.go_regexp import compile_regexp
from flowcore.language.kubectl_jsonpath_parser import (
    Action,
    Descent,
    Field,
    Filter,
    Keyword,
    Literal,
    Node,
    Slice,
    Union,
    Wildcard,
    parse_template,
)

MAX_STEPS = 500_000
MAX_OUTPUT = 8 * 1024 * 1024
MAX_DEPTH = 100

_parse = lru_cache(maxsize=256)(parse_template)


def evaluate(expression: str, value: Json, *, allow_missing: bool = False) -> str:
    """The text that a template prints for a value.

    A name that is nowhere found is an error unless ``allow_missing``. Raises ExpressionError with client-go's message.
    """
    return _Run(expression, allow_missing=allow_missing).print(value)


class _NotFound(ExpressionError):
    """A name that no value has."""


class _Run:
    """One evaluation: the actions, how many ranges are open, and what may still be spent."""

    def __init__(self, expression: str, *, allow_missing: bool) -> None:
        self._source, self._actions, self._allow_missing = expression, _parse(expression), allow_missing
        self._opened = self._open = self._ended = 0
        self._last_end = -1
        self._steps = MAX_STEPS

    def print(self, value: Json) -> str:
        built: list[str] = []
        size = 0
        for results in self._results(value, 0, 0):
            built.append(" ".join(map(_text, results)))
            size += len(built[-1])
            if size > MAX_OUTPUT:
                raise LimitExceeded(f"the template prints more than {MAX_OUTPUT} characters", source=self._source[:200])
        return "".join(built)

    def _results(self, value: Json, begin: int, depth: int) -> list[list[Json]]:
        """The results of each action from ``begin`` on; an ``end`` that closes a range stops here.

        An open range runs the rest for each of its values, then goes on behind the last ``end`` it met, or, when there was none, at once.
        """
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"more than {MAX_DEPTH} ranges within each other", source=self._source[:200])
        found: list[list[Json]] = []
        index = begin
        while index < len(self._actions):
            results = self._walk([value], self._actions[index])
            if 0 < self._ended <= self._open:
                self._ended -= 1
                self._last_end = index
                break
            if self._opened:
                found.extend(self._range(results, index, depth))
                index = max(index, self._last_end)
            else:
                found.append(results)
            index += 1
        return found

    def _range(self, values: list[Json], index: int, depth: int) -> list[list[Json]]:
        self._opened -= 1
        self._open += 1
        found: list[list[Json]] = []
        for value in values:
            found.extend(self._results(value, index + 1, depth + 1))
        if not values:
            self._results(None, index + 1, depth + 1)
        self._open -= 1
        return found

    def _problem(self, message: str) -> ExpressionError:
        return ExpressionError(message, source=self._source)

    def _spend(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise LimitExceeded(f"the template takes more than {MAX_STEPS} steps", source=self._source[:200])

    def _walk(self, values: list[Json], action: Action) -> list[Json]:
        for node in action:
            self._spend(1 + len(values))
            values = self._node(values, node)
        return values

    def _node(self, values: list[Json], node: Node) -> list[Json]:
        match node:
            case Field():
                return self._field(values, node.name)
            case Literal():
                return [node.value] if isinstance(node.value, str) else [node.value] * len(values)
            case Keyword():
                return self._keyword(values, node.word)
            case Wildcard():
                return [item for value in values for item in self._members(value)]
            case Descent():
                return self._descent(values, 0)
            case Slice():
                return self._slice(values, node)
            case Union():
                return [result for action in node.actions for result in self._walk(values, action)]
            case Filter():
                return self._filter(values, node)

    def _field(self, values: list[Json], name: str) -> list[Json]:
        results = [value[name] for value in values if isinstance(value, dict) and name in value]
        if values and not results and not self._allow_missing:
            raise _NotFound(f"{name} is not found", source=self._source)
        return results

    def _keyword(self, values: list[Json], word: str) -> list[Json]:
        if word == "range":
            self._opened += 1
            return values
        if word != "end":
            raise self._problem(f"unrecognized identifier {word}")
        if not self._open:
            raise self._problem("not in range, nothing to end")
        self._ended += 1
        return []

    def _members(self, value: Json) -> list[Json]:
        """The members of a map, the items of a list, the bytes of a text."""
        if isinstance(value, dict):
            members: list[Json] = list(value.values())
        elif isinstance(value, list):
            members = value
        else:
            members = list(value.encode()) if isinstance(value, str) else []
        self._spend(len(members))
        return members

    def _descent(self, values: list[Json], depth: int) -> list[Json]:
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"a value nested more than {MAX_DEPTH} deep", source=self._source[:200])
        results: list[Json] = []
        for value in values:
            if isinstance(value, (dict, list, str)) and (members := self._members(value)):
                results.append(value)
                results.extend([] if isinstance(value, str) else self._descent(members, depth + 1))
        return results

    def _slice(self, values: list[Json], node: Slice) -> list[Json]:
        results: list[Json] = []
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise self._problem(f"{_type_name(value)} is not array or slice")
            begin, end = _bounds(node, len(value))
            if begin == end:
                return results
            self._check_bounds(begin, end, len(value))
            if node.step is not None and node.step <= 0:
                raise self._problem("step must be > 0")
            taken = value[begin : end : node.step or 1]
            self._spend(len(taken))
            results.extend(taken)
        return results

    def _check_bounds(self, begin: int, end: int, length: int) -> None:
        for index, fits in ((begin, 0 <= begin < length), (end - 1, 0 <= end <= length)):
            if not fits:
                raise self._problem(f"array index out of bounds: index {index}, length {length}")
        if begin > end:
            raise self._problem(f"starting index {begin} is greater than ending index {end}")

    def _filter(self, values: list[Json], node: Filter) -> list[Json]:
        results: list[Json] = []
        for value in values:
            if not isinstance(value, list):
                raise self._problem(f"{go_text(value)} is not array or slice and cannot be filtered")
            self._spend(len(value))
            results.extend(item for item in value if self._passes(item, node))
        return results

    def _passes(self, item: Json, node: Filter) -> bool:
        if node.operator == "exists":
            return self._exists(item, node.left)
        left = self._single(item, node.left)
        if left is None:
            return False
        right = self._single(item, node.right)
        return right is not None and self._compare(node.operator, left[0], right[0])

    def _exists(self, item: Json, action: Action) -> bool:
        try:
            return bool(self._walk([item], action))
        except _NotFound:
            return False
        except LimitExceeded:
            raise
        except ExpressionError:
            return True  # client-go keeps what it had before the fault

    def _single(self, item: Json, action: Action) -> list[Json] | None:
        found = self._walk([item], action)
        if len(found) > 1:
            raise self._problem("can only compare one element at a time")
        return found or None

    def _compare(self, operator: str, left: Json, right: Json) -> bool:
        match operator:
            case "==":
                return self._equal(left, right)
            case "!=":
                return not self._equal(left, right)
            case "<":
                return self._less(left, right)
            case "<=":
                return self._less(left, right) or self._equal(left, right)
            case ">":
                return not (self._less(left, right) or self._equal(left, right))
            case ">=":
                return not self._less(left, right)
            case "=~" if isinstance(left, str) and isinstance(right, str):
                return compile_regexp(right).matches(left)
            case "=~":
                raise self._problem("regexp search only support string now")
        raise self._problem(f"unrecognized filter operator {operator}")

    def _equal(self, left: Json, right: Json) -> bool:
        self._check_kinds(left, right, (bool, int, float, str))
        return left == right

    def _less(self, left: Json, right: Json) -> bool:
        self._check_kinds(left, right, (int, float, str))
        assert isinstance(left, (int, float, str)) and isinstance(right, (int, float, str))
        if isinstance(left, str) or isinstance(right, str):
            return str(left) < str(right)
        return left < right

    def _check_kinds(self, left: Json, right: Json, kinds: tuple[type, ...]) -> None:
        """Only values of the very same type compare; a whole number and a float do not."""
        for value in (left, right):
            if type(value) not in (bool, int, float, str):
                raise self._problem("invalid type for comparison")
        if type(left) is not type(right):
            raise self._problem("incompatible types for comparison")
        if type(left) not in kinds:
            raise self._problem("invalid type for comparison")


def _bounds(node: Slice, length: int) -> tuple[int, int]:
    """Begin and end within a list; negative ones count from its end."""
    begin = 0 if node.begin is None else node.begin
    begin += length if begin < 0 else 0
    end = length if node.end is None else node.end
    end += length if end < 0 or (end == 0 and node.single) else 0
    return begin, end


def _text(value: Json) -> str:
    """How a result is printed: lists and maps as JSON, all else as Go prints it."""
    if isinstance(value, (dict, list)):
        return dump_json(value)
    return "null" if value is None else go_text(value)


def _type_name(value: Json) -> str:
    match value:
        case dict():
            return "map[string]interface {}"
        case bool():
            return "bool"
        case str():
            return "string"
        case float():
            return "float64"
    return "int64"
