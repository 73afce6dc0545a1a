"""Sorting in Go's order. Called by ``sort`` and ``sortBy``."""

from __future__ import annotations

from flowcore.language.expr.limits import Budget
from flowcore.language.expr.operators import less


class _Ordered:
    """An element that sorts by its value in Go's order."""

    __slots__ = ("item", "value")
    descending = False

    def __init__(self, item: object, value: object) -> None:
        self.item, self.value = item, value

    def __lt__(self, other: _Ordered) -> bool:
        return less(other.value, self.value) if self.descending else less(self.value, other.value)


class _Descending(_Ordered):
    __slots__ = ()
    descending = True


def ordered(budget: Budget, items: list[tuple[object, object]], *, descending: bool) -> list[object]:
    """Elements sorted by the value that stands beside each."""
    size = len(items)
    budget.grow(size)
    budget.spend(size * size.bit_length() >> 2)
    kind = _Descending if descending else _Ordered
    return [entry.item for entry in sorted(kind(item, value) for item, value in items)]
