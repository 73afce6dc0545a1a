"""A world that answers an engine in any order: executors, timers, locks, caches and people, all at the whim of ``Random``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from flowcore.engine.messages import (
    Acquire,
    Event,
    Finished,
    Granted,
    Invocation,
    Outcome,
    Ready,
    Recalled,
    Refused,
    ResumeRequested,
    ShutdownRequested,
    Started,
    SuspendRequested,
    Woken,
)
from flowcore.nodes import NodeId, Phase, Shutdown
from tests.engine.scene import Scene

MOST_STEPS = 600

Batch = tuple[list[Event], datetime]


class Stuck(AssertionError):
    """A run that does not end though the world has answered everything."""


@dataclass
class World:
    """Plays the world's part for one scene until its run has ended; ``batches`` is what it told the engine, and when."""

    scene: Scene
    chance: Random
    orders: list[Event] = field(default_factory=list)
    after_batch: Callable[[Scene], None] = lambda scene: None
    batches: list[Batch] = field(default_factory=list)
    begun: set[NodeId] = field(default_factory=set)
    refused: set[NodeId | None] = field(default_factory=set)
    told: list[Event] = field(default_factory=list)

    def play(self) -> None:
        """Answer until the run has ended. Raises Stuck."""
        for _ in range(MOST_STEPS):
            if self.scene.run.phase.completed:
                return
            events = self._events()
            if not events:
                raise Stuck(f"the run waits for nothing: {self.scene.phases()}")
            self.batches.append((events, self.scene.now))
            self.scene.tell(*events)
            self.told += events
            self.after_batch(self.scene)
        raise Stuck(f"the run does not end: {self.scene.phases()}")

    def _events(self) -> list[Event]:
        """What happens next: one or a few things that are possible now."""
        events: list[Event] = []
        for _ in range(self.chance.choice([1, 1, 1, 2, 3])):
            possible = self._possible()
            if not possible:
                break
            events += self.chance.choice(possible)()
        return events

    def _possible(self) -> list[Callable[[], list[Event]]]:
        scene = self.scene
        found: list[Callable[[], list[Event]]] = []
        for node, invocation in scene.working.items():
            if node not in self.begun:
                found.append(lambda node=node, invocation=invocation: self._begin(node, invocation))
            elif invocation.daemon and node not in scene.stopped:
                if self.chance.random() < 0.05:
                    found.append(lambda node=node, invocation=invocation: self._end(node, invocation))
                continue
            found.append(lambda node=node, invocation=invocation: self._end(node, invocation))
        found += [lambda node=node: self._answer(node) for node in scene.asked]
        found += [lambda node=node: self._resume(node) for node in scene.awaited]
        if scene.timers:
            found.append(self._let_time_pass)
        if self.orders:
            found.append(lambda: [self.orders.pop(0)])
        elif scene.run.suspended:
            found.append(lambda: [ResumeRequested()])
        return found

    def _begin(self, node: NodeId, invocation: Invocation) -> list[Event]:
        self.begun.add(node)
        return [Started(node), Ready(node, "10.0.0.1")] if invocation.daemon else [Started(node)]

    def _end(self, node: NodeId, invocation: Invocation) -> list[Event]:
        del self.scene.working[node]
        return [Finished(node, self._outcome(node, invocation))]

    def _outcome(self, node: NodeId, invocation: Invocation) -> Outcome:
        if node in self.scene.stopped:
            return Outcome(phase=Phase.FAILED, exit_code=143, message="main: Error (exit code 143)")
        if invocation.template_name == "lister":
            return Outcome(phase=Phase.SUCCEEDED, exit_code=0, result=self.chance.choice(['["p","q"]', "[]", "[1]", "[1]"]))
        match self.chance.randrange(5):
            case 0:
                return Outcome(phase=Phase.FAILED, exit_code=1, message="main: Error (exit code 1)")
            case 1 if self.chance.random() < 0.3:
                return Outcome(phase=Phase.ERROR, message="no such image")
        return Outcome(phase=Phase.SUCCEEDED, exit_code=0, parameters={"o": "v"} if invocation.template_name in ("out", "cached") else {})

    def _answer(self, node: NodeId | None) -> list[Event]:
        question = self.scene.asked[node]
        if isinstance(question, Acquire):
            if node not in self.refused and self.chance.random() < 0.5:
                self.refused.add(node)
                return [Refused(node, "Waiting for m lock. Lock status: 0/1", "default/Mutex/m")]
            del self.scene.asked[node]
            return [Granted(node)]
        del self.scene.asked[node]
        outputs: Any = {"parameters": [{"name": "o", "value": "remembered"}]}
        assert node is not None
        return [Recalled(node, True, outputs)] if self.chance.random() < 0.4 else [Recalled(node, False)]

    def _resume(self, node: NodeId) -> list[Event]:
        del self.scene.awaited[node]
        return [ResumeRequested(f"id={node}")]

    def _let_time_pass(self) -> list[Event]:
        timers = self.scene.timers
        at = min(timers.values())
        self.scene.now = max(self.scene.now, at)
        due = [node for node, time in timers.items() if time <= at]
        for node in due:
            del timers[node]
        return [Woken(node) for node in due]


def some_orders(chance: Random) -> list[Event]:
    """What people ask of a run: mostly nothing."""
    match chance.randrange(8):
        case 0:
            return [SuspendRequested(), ResumeRequested()]
        case 1:
            return [ShutdownRequested(Shutdown.STOP)]
        case 2:
            return [ShutdownRequested(Shutdown.TERMINATE)]
        case 3:
            return [SuspendRequested(), ShutdownRequested(Shutdown.STOP)]
    return []
