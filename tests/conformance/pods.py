"""The life of pods in the oracle's world: created in one pass, running before the next, ended before the one after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flowcore.engine.messages import (
    AwaitResume,
    Command,
    Event,
    Finished,
    Invocation,
    NodeSetRequested,
    Opened,
    Ready,
    ResumeRequested,
    ShutdownRequested,
    Start,
    Started,
    Stop,
    SuspendRequested,
    Wake,
    Woken,
)
from flowcore.nodes import NodeId, Phase, Shutdown
from tests.conformance.driving import Drive, rounded_up
from tests.conformance.outcomes import Rules, killed, outcome_of, output_parameters

MOST_PASSES = 200
POD_IP = "10.0.0.1"


@dataclass
class Pod:
    """One started piece of work. ``age`` counts the moves since it was created."""

    invocation: Invocation
    age: int = 0
    stopped: bool = False


@dataclass
class Life:
    """Moves the world between passes, until the run ends or nothing can move any more."""

    drive: Drive
    rules: Rules
    actions: Sequence[Mapping[str, Any]] = ()
    auto_resume: bool = True
    pods: dict[str, Pod] = field(default_factory=dict)
    wakes: dict[NodeId | None, datetime] = field(default_factory=dict)
    suspended: dict[str, Invocation] = field(default_factory=dict)
    stuck: bool = False

    def play(self) -> None:
        """Drive the run to its end."""
        events: list[Event] | None = [Opened()]
        while events is not None:
            for command in self.drive.handle(events):
                self._carry_out(command)
            if self.drive.engine.run.phase.completed:
                return
            events = None if self.drive.passes >= MOST_PASSES else self._next_events()
        self.stuck = True

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, Start):
            self.pods[command.invocation.node] = Pod(command.invocation)
        elif isinstance(command, Stop):
            if command.node in self.pods:
                self.pods[command.node].stopped = True
        elif isinstance(command, Wake):
            self.wakes[command.node] = command.at
        elif isinstance(command, AwaitResume):
            self.suspended[command.invocation.node] = command.invocation

    def _next_events(self) -> list[Event] | None:
        """What happens before the next pass; None when nothing ever will."""
        acted = self._actions_due()
        moved = self._move_pods()
        orders_to_come = any(action["after_pass"] > self.drive.passes for action in self.actions)
        if acted or moved or self.drive.changed or orders_to_come:  # a pass that changed something is followed by another, as in Argo
            return [*moved, *acted]
        return self._resume() or self._advance()

    # --- what moves ---

    def _actions_due(self) -> list[Event]:
        return [_action(action["do"]) for action in self.actions if action["after_pass"] == self.drive.passes]

    def _move_pods(self) -> list[Event]:
        events: list[Event] = []
        for node, pod in list(self.pods.items()):
            pod.age += 1
            if pod.stopped:
                events.append(self._end(node, killed(pod.invocation)))
            elif pod.age == 1:
                events += [Started(pod.invocation.node), Ready(pod.invocation.node, POD_IP)]
            elif pod.age == 2:
                events += self._natural_end(node, pod)
        return events

    def _natural_end(self, node: str, pod: Pod) -> list[Event]:
        rule = self.rules.for_invocation(pod.invocation)
        if pod.invocation.daemon and rule.get("phase") not in ("Failed", "Error"):
            return []
        outcome = outcome_of(pod.invocation, self.rules)
        return [] if outcome is None else [self._end(node, outcome)]

    def _end(self, node: str, outcome: Any) -> Event:
        pod = self.pods.pop(node)
        return Finished(pod.invocation.node, outcome)

    # --- what is done when nothing moves ---

    def _resume(self) -> list[Event]:
        if not self.auto_resume:
            return []
        events: list[Event] = [ResumeRequested()] if self.drive.engine.run.suspended else []
        for node in sorted(self.suspended, key=lambda id_: self.suspended[id_].node_name):
            invocation = self.suspended[node]
            suspend: Any = invocation.body.get("suspend") or {}
            timed = suspend.get("duration") and not self.rules.for_invocation(invocation)
            if self.drive.engine.nodes[node].phase is Phase.RUNNING and not timed:
                events += self._resume_node(invocation)
                del self.suspended[node]
        return events

    def _resume_node(self, invocation: Invocation) -> list[Event]:
        selector = f"id={invocation.node}"  # a name may hold commas, which part a selector
        rule = self.rules.for_invocation(invocation)
        events: list[Event] = []
        if values := _supplied(invocation, rule):
            events.append(NodeSetRequested(selector, parameters=values))
        if rule.get("phase") in ("Failed", "Error"):
            events.append(NodeSetRequested(selector, phase=Phase.FAILED, message=rule.get("message", "")))
        else:
            events.append(ResumeRequested(selector))
        return events

    def _advance(self) -> list[Event] | None:
        """Let time pass to the earliest wake-up; those whose time has come by then are all woken."""
        if not self.wakes:
            return None
        world = self.drive.world
        world.now = max(world.now, rounded_up(min(self.wakes.values())))
        due = sorted((node for node, at in self.wakes.items() if at <= world.now), key=lambda node: (self.wakes[node], node or ""))
        for node in due:
            del self.wakes[node]
        return [Woken(node) for node in due]


def _action(word: str) -> Event:
    if word == "stop":
        return ShutdownRequested(Shutdown.STOP)
    if word == "terminate":
        return ShutdownRequested(Shutdown.TERMINATE)
    return SuspendRequested() if word == "suspend" else ResumeRequested()


def _supplied(invocation: Invocation, rule: Mapping[str, Any]) -> dict[str, str]:
    outputs: Any = invocation.body.get("outputs") or {}
    values = {}
    for parameter in outputs.get("parameters") or ():
        source = parameter.get("valueFrom") or {}
        if "supplied" in source:
            given = rule.get("parameters", {}).get(parameter["name"], source.get("default", f"out-{parameter['name']}"))
            values[parameter["name"]] = str(given)
    return {name: value for name, value in values.items() if name in output_parameters(invocation)}
