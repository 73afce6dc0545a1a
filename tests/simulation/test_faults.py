"""Random workflows whose drivers die, whose stores fail and whose reports get lost: they end as if nothing had happened.

For a long look: ``make nightly``, or FLOWCORE_SEEDS=10000 and, for other seeds, FLOWCORE_FIRST_SEED.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TypeVar

import anyio
import pytest

from flowcore.errors import StoreError
from flowcore.results import RunResult
from flowcore_backends.stores.sqlite import SqliteStore
from flowcore_backends.stores.transactions import Cursor
from tests.simulation.documents import random_workflow
from tests.simulation.lives import Simulation, shape
from tests.simulation.reports import disturbed
from tests.simulation.store import Fails

T = TypeVar("T")
SEEDS = int(os.environ.get("FLOWCORE_SEEDS", "300"))
FIRST = int(os.environ.get("FLOWCORE_FIRST_SEED", "0"))
CHUNKS = 10  # so that several processes share the work
# Of every so many seeds one is interrupted at each of its moments by itself, and one is kept in a real database.
EACH, REAL = 60, 60
_LONGEST = 60  # seconds; a run that hangs must not hang the test


def seeds(chunk: int, every: int = 1) -> range:
    """The seeds of a chunk."""
    size = max(SEEDS // CHUNKS, 1)
    first = FIRST + chunk * size
    return range(first + -first % every, first + size, every)


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))


async def ended(simulation: Simulation, seed: object) -> RunResult:
    """The end of a simulation that keeps its promises on the way."""
    with anyio.fail_after(_LONGEST):
        result = await simulation.end()
    assert simulation.cluster.unrecorded == [], f"seed {seed}: begun before it was recorded"
    assert await simulation.store.held_locks() == [], f"seed {seed}: a lock stays held"
    return result


def check_same(got: RunResult, expected: RunResult, what: object, *, begun: bool = True) -> None:
    """Both came to the same; whether who looks into the cache just before another fills it comes too early is a matter of chance, also without faults."""
    if hits(got) == hits(expected):
        assert shape(got, begun=begun) == shape(expected, begun=begun), f"seed {what}"


def hits(result: RunResult) -> set[str]:
    """The nodes that found their outputs remembered."""
    return {row.name for row in result.nodes.values() if (row.memoization or {}).get("hit")}


def at_chance(chance: Random) -> Fails:
    """A store that fails again and again, after a few writes each time: always past what a new life has to say again."""
    left = 3

    def fails(number: int, lived: int) -> str:
        nonlocal left
        if lived < left:
            return ""
        left = chance.randint(2, 8)
        return chance.choice(["before", "after"])

    return fails


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_interrupted_again_and_again(chunk: int) -> None:
    """Dozens of lives for each run, which end before a turn is recorded or between record and deed."""
    for seed in seeds(chunk):
        document = random_workflow(Random(seed))
        expected = await ended(Simulation(document), seed)
        broken = Simulation(document, at_chance(Random(seed)))
        check_same(await ended(broken, seed), expected, seed)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_interrupted_once_at_each_moment(chunk: int) -> None:
    """Each write fails once, before or after it is recorded; all other writes do not."""
    for seed in seeds(chunk, EACH):
        document = random_workflow(Random(seed))
        whole = Simulation(document)
        expected = await ended(whole, seed)
        for moment in range(1, whole.store.writes + 1):
            for kind in ("before", "after"):
                broken = Simulation(document, lambda number, lived, at=moment, kind=kind: kind if number == at else "")
                check_same(await ended(broken, seed), expected, f"{seed}: {kind} write {moment}")


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_reports_that_come_late_twice_or_never(chunk: int) -> None:
    """While the drivers die as before."""
    for seed in seeds(chunk, 5):
        document = random_workflow(Random(seed))
        text = json.dumps(document)
        loses = '\\"Running\\"' not in text and "activeDeadlineSeconds" not in text  # else a lost Started makes a difference, rightly
        expected = await ended(Simulation(document), seed)
        broken = Simulation(document, at_chance(Random(seed)), disturbed(Random(seed), loses=loses))
        check_same(await ended(broken, seed), expected, seed, begun=not loses)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
async def test_the_same_in_a_database(chunk: int, tmp_path: Path) -> None:
    """A simulated store proves nothing about a real one."""
    for seed in seeds(chunk, REAL):
        document = random_workflow(Random(seed))
        expected = await ended(Simulation(document), seed)
        file, chance = tmp_path / f"{seed}.db", Random(seed)
        broken = Simulation(document)
        while True:
            store = Dying(file, chance.randint(2, 8))
            broken.store = store
            broken.cluster.store = store
            try:
                with anyio.fail_after(_LONGEST):
                    result = await broken.life()
                break
            except StoreError:
                continue
            finally:
                await store.close()
        check_same(result, expected, seed)
        assert await store.held_locks() == []
        await store.close()


class Dying(SqliteStore):
    """A database whose process dies after so many commits of rows."""

    def __init__(self, path: Path, commits: int) -> None:
        super().__init__(path, lease=timedelta(0))  # the process lives on, so nobody would notice that it is dead
        self.left = commits

    def knows(self, node: object) -> bool:
        """What was recorded is looked at in the end."""
        return True

    async def write(self, work: Callable[[Cursor], T], *, brief: bool = False) -> T:
        self.left -= 1
        if self.left < 0:
            raise StoreError("the process is gone")
        return await super().write(work, brief=brief)
