"""How the ends of an invocation's containers make its outcome, in Kubernetes' and Argo's words. Pure.

One message for all: init containers first, then main containers in their order, then sidecars, of which 137 and 143 say nothing.
Used by the backends that run containers themselves.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from flowcore.engine.messages import MemberOutcome, Outcome
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from flowcore_backends.main_containers import MAIN

TERMINATED, KILLED, START_ERROR = 143, 137, 128
DEPENDENCY_FAILED = 64
_IGNORED_OF_SIDECARS = (TERMINATED, KILLED)


class Planned(Protocol):
    """A container as its backend plans it; ``role`` is ``init``, ``main`` or ``sidecar``."""

    @property
    def name(self) -> str: ...

    @property
    def role(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended: ``reason`` is Kubernetes' word (``Error``, ``OOMKilled``, ``StartError``), ``note`` its termination message."""

    name: str
    code: int
    reason: str = "Error"
    note: str = ""
    begun: datetime | None = None
    over: datetime | None = None

    @property
    def message(self) -> str:
        """As a node's message has it; empty for success."""
        if self.code == 0:
            return ""
        text = f"{self.name}: {self.reason} (exit code {self.code})"
        return f"{text}: {self.note}" if self.note else text


@dataclass(slots=True)
class Collected:
    """The outputs that were found; ``problem`` is the first thing that went wrong, other than an output that is not there."""

    parameters: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, JsonObject] = field(default_factory=dict)
    problem: str = ""


def stopped_outcome() -> Outcome:
    """The outcome of work that was stopped before its main container ran."""
    return Outcome(phase=Phase.FAILED, message=Ended(MAIN, TERMINATED).message, exit_code=TERMINATED)


def judge(
    containers: Sequence[Planned],
    ended: Mapping[str, Ended],
    collected: Collected,
    *,
    members: bool = False,
    result: str | None = None,
    progress: str | None = None,
    host_node_name: str | None = None,
    tolerated: Container[str] = (),
) -> Outcome:
    """The outcome of an invocation whose containers ended as ``ended`` says; ``members`` asks for each main container's own outcome.

    How those of ``tolerated`` ended says nothing, unless they could not be started.
    """
    failed = _first_failed(containers, ended, tolerated)
    main = ended.get(MAIN)
    return Outcome(
        phase=Phase.FAILED if failed is not None else Phase.ERROR if collected.problem else Phase.SUCCEEDED,
        message=failed.message if failed is not None else collected.problem,
        exit_code=main.code if main is not None else None,
        result=result,
        parameters=collected.parameters,
        artifacts=collected.artifacts,
        members={plan.name: _member(ended[plan.name]) for plan in containers if members and plan.role == "main" and plan.name in ended},
        progress=progress,
        host_node_name=host_node_name,
    )


def _first_failed(containers: Sequence[Planned], ended: Mapping[str, Ended], tolerated: Container[str]) -> Ended | None:
    for role in ("init", "main", "sidecar"):
        for plan in containers:
            if plan.role == role and (end := ended.get(plan.name)) is not None and end.code != 0:
                if plan.name in tolerated and end.code != START_ERROR:
                    continue
                if role != "sidecar" or end.code not in _IGNORED_OF_SIDECARS:
                    return end
    return None


def _member(end: Ended) -> MemberOutcome:
    """A member's own node; its message always ends with the termination message, also when there is none."""
    phase = Phase.SUCCEEDED if end.code == 0 else Phase.ERROR if end.code == DEPENDENCY_FAILED else Phase.FAILED
    message = f"{end.name}: {end.reason} (exit code {end.code}): {end.note}" if end.code else ""
    return MemberOutcome(phase=phase, exit_code=end.code, message=message, started_at=end.begun, finished_at=end.over)
