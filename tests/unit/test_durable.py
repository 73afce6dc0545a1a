"""Which stores keep runs for good."""

from __future__ import annotations

import pytest

from flowcore.durable import run_store
from flowcore.errors import UsageError
from flowcore.memory import MemoryStore
from tests.simulation.store import SimulatedStore


class Partly:
    """It gives rights to runs, and nothing more."""

    async def save(self, *_: object) -> None: ...

    async def load(self, *_: object) -> None: ...

    async def claim(self, *_: object) -> None: ...


def test_a_store_of_rows_alone_is_none() -> None:
    assert run_store(None) is None
    assert run_store(MemoryStore()) is None


def test_a_whole_one_is() -> None:
    store = SimulatedStore()
    assert run_store(store) is store


def test_one_that_lacks_a_part_is_refused_and_not_taken_for_less() -> None:
    with pytest.raises(UsageError, match=r"Partly is not a whole RunStore: it has no .*held_locks, no logs, no move"):
        run_store(Partly())
