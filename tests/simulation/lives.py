"""Driving one workflow through one life or many, over a store that fails when it is told to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from flowcore.artifacts.memory import MemoryArtifacts
from flowcore.catalogs import MemoryCatalog
from flowcore.clocks import VirtualClock
from flowcore.driving import Given, claimed, driven, restore_locks
from flowcore.engine.engine import Engine
from flowcore.errors import StoreError
from flowcore.locks import MemoryLocks
from flowcore.nodes import Node, Phase
from flowcore.plan.plan import Plan, compile_plan
from flowcore.results import RunResult
from flowcore.runner import Run
from tests.simulation.cluster import Cluster, Steady
from tests.simulation.documents import LIMITS, Document, random_workflow
from tests.simulation.store import Fails, SimulatedStore

CATALOG = MemoryCatalog([LIMITS])
MOST_LIVES = 2_000


class Simulation:
    """A workflow, its store and the work that outlives its drivers."""

    def __init__(
        self, document: Document, fails: Fails = lambda number, lived: "", disturb: Callable[[Run], None] = lambda run: None
    ) -> None:
        self.clock = VirtualClock()
        self.store = SimulatedStore(fails)
        self.cluster = Cluster(self.clock, self.store)
        self.executor, self.disturb = Steady(self.cluster), disturb
        self.plan: Plan = compile_plan(document, catalog=CATALOG, uid="uid", created_at=VirtualClock().now())
        self.lives = 0

    async def life(self) -> RunResult:
        """Drive the run on until it ends. Raises StoreError when the store fails."""
        self.lives += 1
        assert self.lives < MOST_LIVES, "the run does not get on"
        async with claimed(self.store, self.plan.run.name, self.plan.run.namespace) as (claim, stored):
            locks = MemoryLocks(CATALOG, journal=self.store)
            if stored is not None:
                await restore_locks(locks, self.store, [stored])
            given = Given(
                executor=self.executor,
                catalog=CATALOG,
                clock=self.clock,
                artifacts=MemoryArtifacts(),
                folder=Path("unused"),
                locks=locks,
            )
            engine = Engine(self.plan, stored.nodes, stored.run) if stored is not None else Engine(self.plan)
            async with driven(engine, given, self.store, claim) as run:
                self.disturb(run)
                return await run.result()

    async def end(self) -> RunResult:
        """Drive the run to its end, through as many lives as it takes."""
        while True:
            try:
                return await self.life()
            except StoreError:
                self.store.died()


def shape(result: RunResult, *, begun: bool = True) -> dict[str, Any]:
    """What must be equal however often a run was interrupted: all but times and the order in which rows were made.

    Without ``begun`` it says of work that never ended nothing of its beginning, news of which may be lost.
    """
    rows = {row.name: _row(row, begun=begun) for row in result.nodes.values()}
    return {"run": (result.phase, result.message, result.row.outputs), **rows}


def _row(row: Node, *, begun: bool) -> tuple[Any, ...]:
    row = dataclasses.replace(row, seq=0, started_at=None, finished_at=None, wake_at=None, parents=tuple(sorted(row.parents)))
    if not row.phase.fulfilled:  # never begun, as what enclosed it ended first: what it was told of the queue last is chance
        row = dataclasses.replace(row, message="", waiting=None, phase=row.phase if begun or row.type.composite else Phase.PENDING)
    return tuple(dataclasses.asdict(row).values())


def document_of(seed: int) -> Document:
    """The workflow of a seed."""
    return random_workflow(Random(seed))
