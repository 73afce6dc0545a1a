"""The builtins that evaluate a predicate for each element. Called by ``evaluator``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from flowcore.language.expr.limits import Panic
from flowcore.language.expr.operators import add, conversion
from flowcore.language.expr.ordering import ordered
from flowcore.language.expr.values import Groups, Uint8, kind_of, to_key

if TYPE_CHECKING:
    from flowcore.language.expr.evaluator import Evaluator
    from flowcore.language.expr.pyast import Loop

_REFLECT_KINDS = {"nil": "zero", "month": "int", "weekday": "int", "duration": "int64", "time": "struct", "zone": "ptr", "float": "float64"}


class LoopScope:
    """What ``#``, ``#index`` and ``#acc`` mean at the moment."""

    __slots__ = ("accumulated", "index", "items", "size")

    def __init__(self, items: object) -> None:
        kind = kind_of(items)
        if kind not in ("list", "map", "string", "bytes"):
            raise Panic(f"reflect: call of reflect.Value.Len on {_REFLECT_KINDS.get(kind, kind)} Value")
        if kind == "string":
            items = cast("str", items).encode("utf-8", "surrogateescape")
        self.items = cast("list[object] | bytes | Mapping[object, object]", items)
        self.size = len(self.items)
        self.index = 0
        self.accumulated: object = None

    def item(self) -> object:
        """The element."""
        if isinstance(self.items, bytes):
            return Uint8(self.items[self.index])
        if isinstance(self.items, Mapping):
            raise Panic("reflect: call of reflect.Value.Index on map Value")
        return self.items[self.index]


class _Walk:
    """One run over a collection: opens the scope of its predicate and closes it whatever happens."""

    def __init__(self, evaluator: Evaluator, node: Loop, *, initial: object = None) -> None:
        self.evaluator = evaluator
        self.scope = LoopScope(evaluator._eval(node.args[0]))  # noqa: SLF001 - SimpleEval's name for the walk
        self.scope.accumulated = initial
        self.outer = evaluator.scope
        body = node.args[1] if len(node.args) > 1 else None
        self.body = body.body if isinstance(body, ast.Lambda) else None
        self.projection = node.projection

    def __enter__(self) -> _Walk:
        self.evaluator.scope = self.scope
        return self

    def __exit__(self, *_: object) -> None:
        self.evaluator.scope = self.outer

    def result(self, index: int) -> object:
        """What the predicate says of one element; without predicate the element itself."""
        self.scope.index = index
        return self.scope.item() if self.body is None else self.evaluator._eval(self.body)  # noqa: SLF001 - as above

    def test(self, index: int) -> bool:
        """The same, which must be true or false."""
        value = self.result(index)
        if value is True or value is False:
            return value
        raise conversion(value, "bool")

    def element(self) -> object:
        """What the builtin gives for the element at hand."""
        return self.scope.item() if self.projection is None else self.evaluator._eval(self.projection)  # noqa: SLF001 - as above


def _all(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        return all(walk.test(index) for index in range(walk.scope.size))


def _none(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        return not any(walk.test(index) for index in range(walk.scope.size))


def _any(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        return any(walk.test(index) for index in range(walk.scope.size))


def _one(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        return sum(walk.test(index) for index in range(walk.scope.size)) == 1


def _filter(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        kept = [walk.element() for index in range(walk.scope.size) if walk.test(index)]
    evaluator.grow(len(kept))
    return kept


def _map(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        evaluator.grow(walk.scope.size)
        return [walk.result(index) for index in range(walk.scope.size)]


def _count(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        count = 0
        for index in range(walk.scope.size):
            count += walk.test(index)
            if node.threshold and count >= node.threshold:
                break
        return count


def _sum(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        total: object = 0
        for index in range(walk.scope.size):
            total = add(walk.result(index), total)
        return total


def _search(indices: Callable[[int], range], *, position: bool) -> Callable[[Evaluator, Loop], object]:
    def search(evaluator: Evaluator, node: Loop) -> object:
        with _Walk(evaluator, node) as walk:
            for index in indices(walk.scope.size):
                if walk.test(index):
                    return index if position else walk.element()
        if node.throws:
            raise Panic("reflect: slice index out of range")
        return None

    return search


def _forwards(size: int) -> range:
    return range(size)


def _backwards(size: int) -> range:
    return range(size - 1, -1, -1)


def _group_by(evaluator: Evaluator, node: Loop) -> object:
    groups = Groups()
    with _Walk(evaluator, node) as walk:
        evaluator.grow(walk.scope.size)
        for index in range(walk.scope.size):
            key = to_key(walk.result(index))
            cast("list[object]", groups.setdefault(key, [])).append(walk.scope.item())
    return groups


def _sort_by(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        order = evaluator._eval(node.args[2]) if len(node.args) > 2 else "asc"  # noqa: SLF001 - SimpleEval's name for the walk
        if not isinstance(order, str):
            raise Panic("sortBy order argument must be a string")
        if order not in ("asc", "desc"):
            raise Panic("unknown order, use asc or desc")
        items = []
        for index in range(walk.scope.size):
            value = walk.result(index)
            items.append((walk.scope.item(), value))
    return ordered(evaluator, items, descending=order == "desc")


def _reduce(evaluator: Evaluator, node: Loop) -> object:
    with _Walk(evaluator, node) as walk:
        scope, first = walk.scope, 0
        if len(node.args) > 2:
            scope.accumulated = evaluator._eval(node.args[2])  # noqa: SLF001 - SimpleEval's name for the walk
        elif scope.size:
            scope.accumulated, first = scope.item(), 1
        else:
            raise Panic("reduce of empty array with no initial value")
        for index in range(first, scope.size):
            scope.accumulated = walk.result(index)
        return scope.accumulated


LOOPS: Mapping[str, Callable[[Evaluator, Loop], object]] = {
    "all": _all,
    "none": _none,
    "any": _any,
    "one": _one,
    "filter": _filter,
    "map": _map,
    "count": _count,
    "sum": _sum,
    "find": _search(_forwards, position=False),
    "findLast": _search(_backwards, position=False),
    "findIndex": _search(_forwards, position=True),
    "findLastIndex": _search(_backwards, position=True),
    "groupBy": _group_by,
    "sortBy": _sort_by,
    "reduce": _reduce,
}
