"""From what the engine shows of ended containers to the outcome of an invocation, in Kubernetes' and Argo's words. Pure.

One message for all: init containers first, then main containers in their order, then sidecars, of which 137 and 143 say nothing.
How a native sidecar ended says nothing at all, unless it could not be started.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from flowcore.engine.messages import MemberOutcome, Outcome
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.nodes import Phase
from flowcore_backends.docker.pod import MAIN, ContainerPlan

TERMINATED, KILLED, START_ERROR = 143, 137, 128
DEPENDENCY_FAILED = 64
_IGNORED_OF_SIDECARS = (TERMINATED, KILLED)
_LONGEST_NOTE = 4096
_ZERO_TIME = "0001-01-01"
_STATES_OF_ENDED = ("exited", "dead")


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


def has_started(shown: JsonObject) -> bool:
    """Whether a container, as the engine shows it, has ever run."""
    return when(object_of(shown, "State"), "StartedAt") is not None


def has_ended(shown: JsonObject) -> bool:
    """Whether a container has run and does not run any more."""
    return text_of(object_of(shown, "State"), "Status") in _STATES_OF_ENDED


def ended_of(name: str, shown: JsonObject) -> Ended:
    """How a container that does not run any more ended. A code that only says that it could not be started becomes ``StartError``."""
    state = object_of(shown, "State")
    given = state.get("ExitCode")
    code = given if isinstance(given, int) else KILLED
    begun, over = when(state, "StartedAt"), when(state, "FinishedAt")
    if state.get("OOMKilled"):
        return Ended(name, code or KILLED, "OOMKilled", "", begun, over)
    error = text_of(state, "Error")
    if error and begun is None:
        return Ended(name, START_ERROR, "StartError", error[:_LONGEST_NOTE], None, over)
    return Ended(name, code, "Error", "", begun, over)


def when(state: JsonObject, key: str) -> datetime | None:
    """A point in time of a container's state; the engine writes the year 1 for what has not happened."""
    text = text_of(state, key)
    if not text or text.startswith(_ZERO_TIME):
        return None
    whole, dot, rest = text.partition(".")
    digits = "".join(character for character in rest if character.isdigit())[:6] if dot else ""
    try:
        return datetime.fromisoformat(f"{whole.removesuffix('Z')}.{digits:0<6}+00:00" if dot else text.replace("Z", "+00:00"))
    except ValueError:
        return None


def address_of(shown: JsonObject) -> str | None:
    """A container's address in its network, or None while it has none."""
    settings = object_of(shown, "NetworkSettings")
    networks = settings.get("Networks")
    for network in networks.values() if isinstance(networks, dict) else ():
        if isinstance(network, dict) and (address := text_of(network, "IPAddress") or text_of(network, "GlobalIPv6Address")):
            return address
    return text_of(settings, "IPAddress") or None


def stopped_outcome() -> Outcome:
    """The outcome of work that was stopped before its main container ran."""
    return Outcome(phase=Phase.FAILED, message=Ended(MAIN, TERMINATED).message, exit_code=TERMINATED)


def judge(
    containers: Sequence[ContainerPlan],
    ended: Mapping[str, Ended],
    collected: Collected,
    *,
    members: bool = False,
    result: str | None = None,
    progress: str | None = None,
    host_node_name: str | None = None,
) -> Outcome:
    """The outcome of an invocation whose containers ended as ``ended`` says; ``members`` asks for each main container's own outcome."""
    failed = _first_failed(containers, ended)
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


def _first_failed(containers: Sequence[ContainerPlan], ended: Mapping[str, Ended]) -> Ended | None:
    for role in ("init", "main", "sidecar"):
        for plan in containers:
            if plan.role == role and (end := ended.get(plan.name)) is not None and end.code != 0:
                if plan.native and end.code != START_ERROR:
                    continue
                if role != "sidecar" or end.code not in _IGNORED_OF_SIDECARS:
                    return end
    return None


def _member(end: Ended) -> MemberOutcome:
    """A member's own node; its message always ends with the termination message, also when there is none."""
    phase = Phase.SUCCEEDED if end.code == 0 else Phase.ERROR if end.code == DEPENDENCY_FAILED else Phase.FAILED
    message = f"{end.name}: {end.reason} (exit code {end.code}): {end.note}" if end.code else ""
    return MemberOutcome(phase=phase, exit_code=end.code, message=message, started_at=end.begun, finished_at=end.over)
