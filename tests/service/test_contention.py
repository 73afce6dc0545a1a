"""Five hundred workflows that want the same locks: limits are never exceeded, all come to their end, and who comes first is fair."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

import flowcore
from flowcore.catalogs import MemoryCatalog
from flowcore.clocks import SharedVirtualClock
from flowcore.engine.messages import Invocation, Outcome
from flowcore.jsontypes import JsonObject, object_of
from flowcore.nodes import Phase
from flowcore.ports import Foreseen, ForeseenResume, Reporter, RunContext
from flowcore.running import plan_run
from flowcore.service import Service
from tests.simulation.store import SimulatedStore

LIMITS: JsonObject = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "limits"},
    "data": {"three": "3", "seven": "7"},
}
RUNS = 500
WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: "NAME"}
spec:
  entrypoint: main
  priority: PRIORITY
  SYNC
  templates:
    - name: main
      steps: [[{name: a, template: T0}, {name: b, template: T1}], [{name: c, template: T2}]]
    - {name: free, container: {image: i, command: [c]}}
    - {name: m, synchronization: {mutexes: [{name: m}]}, container: {image: i, command: [c]}}
    - {name: mn, synchronization: {mutexes: [{name: second}, {name: m}]}, container: {image: i, command: [c]}}
    - name: three
      synchronization: {semaphores: [{configMapKeyRef: {name: limits, key: three}}]}
      container: {image: i, command: [c]}
    - name: both
      synchronization:
        mutexes: [{name: second}]
        semaphores: [{configMapKeyRef: {name: limits, key: three}}]
      container: {image: i, command: [c]}
"""
TEXT = json.dumps(flowcore.load_workflow(WORKFLOW.replace("PRIORITY", "0").replace("SYNC", "")).to_json()).replace(
    '"priority": 0', '"priority": "PRIORITY"'
)
USES = {"m": ["m"], "mn": ["m", "second"], "three": ["three"], "both": ["second", "three"], "free": []}
ROOM = {"m": 1, "second": 1, "three": 3, "seven": 7}


def workflow(name: str, chance: Random) -> JsonObject:
    """One of the workflows; half of them also want a semaphore as a whole."""
    text = TEXT.replace("NAME", name).replace('"PRIORITY"', str(chance.randrange(3)))
    for place in range(3):
        text = text.replace(f"T{place}", chance.choice(sorted(USES)))
    document: JsonObject = json.loads(text)
    if chance.random() < 0.5:
        object_of(document, "spec")["synchronization"] = {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "seven"}}]}
    return document


class Counting:
    """An executor that knows how long its work takes, and keeps count of who uses what at once."""

    def __init__(self, clock: SharedVirtualClock) -> None:
        self.clock = clock
        self.spans: list[tuple[datetime, datetime, str]] = []
        self.begun: list[tuple[str, str]] = []

    def foresee(self, invocation: Invocation) -> Foreseen:
        length = timedelta(seconds=1 + len(self.spans) % 7)
        now = self.clock.now()
        self.begun.append((invocation.template_name, invocation.workflow))
        self.spans += [(now, now + length, lock) for lock in USES[invocation.template_name]]
        return Foreseen(Outcome(phase=Phase.SUCCEEDED, exit_code=0), after=length)

    def foresee_resume(self, invocation: Invocation) -> ForeseenResume | None:
        return None

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        raise AssertionError("all is foreseen")

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        raise AssertionError("nothing is stopped")

    async def close(self, context: RunContext) -> None:
        """Nothing is kept."""

    def most(self) -> dict[str, int]:
        """How many used each lock at once, at the most."""
        moments = sorted([(end, -1, lock) for _, end, lock in self.spans] + [(start, 1, lock) for start, _, lock in self.spans])
        using, most = Counter[str](), Counter[str]()
        for _, by, lock in moments:
            using[lock] += by
            most[lock] = max(most[lock], using[lock])
        return dict(most)


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))


@pytest.mark.slow
async def test_five_hundred_workflows_that_want_the_same_locks() -> None:
    clock, chance = SharedVirtualClock(), Random(1)
    executor, store = Counting(clock), SimulatedStore()
    service = Service(store, executor, MemoryCatalog([LIMITS]), clock=clock, parallelism=60, seed=1)
    async with service.start():
        with clock.member():
            names = []
            for number in range(RUNS):
                names.append((await service.submit(workflow(f"w{number}", chance))).name)
        rows = [await service.wait(name) for name in names]
    assert Counter(str(row.phase) for row in rows) == {"Succeeded": RUNS}
    assert len(executor.begun) == 3 * RUNS
    most = executor.most()
    assert {lock: most[lock] <= ROOM[lock] for lock in most} == {"m": True, "second": True, "three": True}
    assert most["three"] == 3  # the room is used
    assert store.locks == set()


async def test_who_waits_for_a_lock_gets_it_by_priority_then_age() -> None:
    clock, chance = SharedVirtualClock(), Random(2)
    executor, store = Counting(clock), SimulatedStore()
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    order: list[tuple[int, datetime, str]] = []
    for number in range(30):
        priority, age = chance.randrange(4), begin - timedelta(minutes=chance.randrange(1000))
        text = WORKFLOW.replace("NAME", f"w{number}").replace("PRIORITY", str(priority)).replace("SYNC", "")
        text = text.replace(
            "steps: [[{name: a, template: T0}, {name: b, template: T1}], [{name: c, template: T2}]]", "steps: [[{name: a, template: m}]]"
        )
        plan = plan_run(flowcore.load_workflow(text), catalog=MemoryCatalog(), clock=clock)
        order.append((-priority, age, f"w{number}"))
        await store.replace(replace(plan.run, created_at=age, uid=str(number)), (), plan.manifest)
    service = Service(store, executor, clock=clock)
    async with service.start():
        for name in [name for *_, name in order]:
            await service.wait(name)
    asked = [name for _, name in executor.begun]
    expected = [name for *_, name in sorted(order)]
    # Whoever asks first finds the lock free; all others are already waiting when it is given on.
    assert asked[1:] == [name for name in expected if name != asked[0]]
