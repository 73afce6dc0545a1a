"""What observers find goes into the status of the run: its conditions are added to its row on the way into the store. Used where runs are driven."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from flowcore.audience import ConditionObserver, Observer
from flowcore.jsontypes import JsonObject, text_of
from flowcore.nodes import Node, RunRow
from flowcore.observing.metrics import Metrics
from flowcore.plan.plan import Plan
from flowcore.ports import Clock, Store, StoredRun

_LONGEST = 4096  # characters of a condition's message


def observers_of(plan: Plan, given: Sequence[Observer], clock: Clock) -> Sequence[Observer]:
    """The observers of a run: those that are ``given``, and one that works out declared metrics if there are some and nobody else does."""
    if not plan.mentions('"prometheus"') or any(isinstance(each, Metrics) for each in given):
        return given
    return (*given, Metrics(clock))


def with_findings(store: Store, observers: Sequence[Observer]) -> Store:
    """``store``, to which a run's row goes with what ``observers`` have found in the run."""
    finders = [each for each in observers if isinstance(each, ConditionObserver)]
    return FindingsStore(store, finders) if finders else store


class FindingsStore:
    """A store of one run whose row gets the conditions that observers find while it is driven. The run itself does not know them."""

    def __init__(self, store: Store, observers: Sequence[ConditionObserver]) -> None:
        self._store, self._observers = store, observers
        self._found: list[JsonObject] = []

    async def save(self, run: RunRow, nodes: Iterable[Node], manifest: JsonObject | None = None) -> None:
        """Record the run's row, conditions and all, and the changed nodes in one transaction."""
        for observer in self._observers:
            self._found += observer.found(run)
        if self._found:
            run = replace(run, conditions=joined(run.conditions, self._found))
        await self._store.save(run, nodes, manifest)

    async def load(self, name: str, namespace: str) -> StoredRun | None:
        """All that was recorded of a run."""
        return await self._store.load(name, namespace)


def joined(conditions: Sequence[JsonObject], found: Iterable[JsonObject]) -> tuple[JsonObject, ...]:
    """``conditions`` with those that were ``found``: of one type there is one, whose message tells each thing once (Argo's UpsertConditionMessage)."""
    made = {text_of(condition, "type"): condition for condition in conditions}
    for condition in found:
        kind, message = text_of(condition, "type"), text_of(condition, "message")
        before = text_of(made.get(kind, {}), "message")
        if not before:
            made[kind] = condition
        elif message not in before and len(before) < _LONGEST:
            made[kind] = {**condition, "message": f"{before}, {message}"[:_LONGEST]}
    return tuple(made.values())


__all__ = ["FindingsStore", "joined", "observers_of", "with_findings"]
