"""What outlives the driver of a run: the work itself, by pod name. It ends as its name says, however often its driver forgets it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from flowcore.engine.messages import Invocation, Outcome
from flowcore.nodes import NodeId, Phase
from flowcore.ports import Clock, Foreseen, ForeseenResume, Reporter, RunContext
from tests.simulation.store import SimulatedStore


def drawn(text: str, below: int) -> int:
    """A number that depends on nothing but the text."""
    return zlib.crc32(text.encode()) % below


def outcome_of(invocation: Invocation) -> Outcome:
    """How the work of an invocation ends: by its name, so that it is the same in every life."""
    name = f"{invocation.node_name}/{invocation.pod_name}"
    if invocation.template_name == "lister":
        return Outcome(phase=Phase.SUCCEEDED, exit_code=0, result=['["p","q"]', "[]", "[1]"][drawn(name, 3)])
    match drawn(name, 10):
        case 0 | 1:
            return Outcome(phase=Phase.FAILED, exit_code=1, message="main: Error (exit code 1)")
        case 2:
            return Outcome(phase=Phase.ERROR, message="no such image")
    outputs = {"o": f"of {invocation.node_name}"} if invocation.body.get("outputs") else {}
    return Outcome(phase=Phase.SUCCEEDED, exit_code=0, parameters=outputs)


@dataclass
class Pod:
    """Work that was begun."""

    invocation: Invocation
    began: datetime
    ends: datetime


class Cluster:
    """All work that was ever begun. ``unrecorded`` names what was begun before the store knew of it."""

    def __init__(self, clock: Clock, store: SimulatedStore) -> None:
        self.clock, self.store = clock, store
        self.pods: dict[str, Pod] = {}
        self.gates: dict[NodeId, datetime] = {}
        self.unrecorded: list[str] = []

    def begin(self, invocation: Invocation) -> Pod:
        """The pod of an invocation, adopted or new. No two pods take equally long, so that nothing happens at the same moment by chance."""
        if not self.store.knows(invocation.node):
            self.unrecorded.append(invocation.node_name)
        pod = self.pods.get(invocation.pod_name)
        if pod is None:
            now = self.clock.now()
            length = timedelta(seconds=1 + drawn(invocation.pod_name, 9), microseconds=1 + drawn(invocation.node_name, 999_983))
            pod = self.pods[invocation.pod_name] = Pod(invocation, now, now + length)
        return pod


class Steady:
    """An executor whose outcomes are foreseen: the cheapest way to live through many lives."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def foresee(self, invocation: Invocation) -> Foreseen:
        pod = self.cluster.begin(invocation)
        left = max(pod.ends - self.cluster.clock.now(), timedelta(0))
        if invocation.daemon:
            return Foreseen(None, ready_after=left, pod_ip="10.0.0.1")
        return Foreseen(outcome_of(invocation), after=left)

    def foresee_resume(self, invocation: Invocation) -> ForeseenResume:
        now = self.cluster.clock.now()
        at = self.cluster.gates.setdefault(invocation.node, now + timedelta(seconds=5, microseconds=drawn(invocation.node_name, 999_983)))
        return ForeseenResume(after=max(at - now, timedelta(0)))

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        raise AssertionError("all is foreseen")

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        raise AssertionError("all is foreseen")

    async def close(self, context: RunContext) -> None:
        """Nothing is kept."""
