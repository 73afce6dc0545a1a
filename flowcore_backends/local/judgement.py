"""How the ends of an invocation's containers make its outcome, in Argo's words. Pure.

One message for all: init containers first, then main containers in their order, then sidecars, of which 137 and 143 say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from flowcore.engine.messages import Invocation, MemberOutcome, Outcome
from flowcore.nodes import Phase
from flowcore_backends.local.collect import Collected
from flowcore_backends.local.pod import MAIN, PodPlan
from flowcore_backends.local.running import Ended

TERMINATED, KILLED = 143, 137
DEPENDENCY_FAILED = 64
_IGNORED_OF_SIDECARS = (TERMINATED, KILLED)


def stopped_outcome() -> Outcome:
    """The outcome of work that was stopped before its main container ran."""
    return Outcome(phase=Phase.FAILED, message=Ended(MAIN, TERMINATED).message, exit_code=TERMINATED)


def judge(
    pod: PodPlan,
    ended: Mapping[str, Ended],
    times: Mapping[str, tuple[datetime, datetime]],
    collected: Collected,
    *,
    invocation: Invocation,
    result: str | None,
    progress: str | None = None,
) -> Outcome:
    """The outcome of an invocation whose containers ended as ``ended`` says."""
    failed = _first_failed(pod, ended)
    message = failed.message if failed is not None else collected.problem
    phase = Phase.FAILED if failed is not None else Phase.ERROR if collected.problem else Phase.SUCCEEDED
    main = ended.get(MAIN)
    return Outcome(
        phase=phase,
        message=message,
        exit_code=main.code if main is not None else None,
        result=result,
        parameters=collected.parameters,
        artifacts=collected.artifacts,
        members=_members(pod, ended, times) if invocation.template.container_set is not None else {},
        progress=progress,
    )


def _first_failed(pod: PodPlan, ended: Mapping[str, Ended]) -> Ended | None:
    for role in ("init", "main", "sidecar"):
        for plan in pod.containers:
            if plan.role == role and (end := ended.get(plan.name)) is not None and end.code != 0:
                if role != "sidecar" or end.code not in _IGNORED_OF_SIDECARS:
                    return end
    return None


def _members(pod: PodPlan, ended: Mapping[str, Ended], times: Mapping[str, tuple[datetime, datetime]]) -> dict[str, MemberOutcome]:
    return {plan.name: _member(ended[plan.name], times.get(plan.name)) for plan in pod.of_role("main") if plan.name in ended}


def _member(end: Ended, times: tuple[datetime, datetime] | None) -> MemberOutcome:
    """A member's own node; its message always ends with the termination message, also when there is none."""
    phase = Phase.SUCCEEDED if end.code == 0 else Phase.ERROR if end.code == DEPENDENCY_FAILED else Phase.FAILED
    message = f"{end.name}: {end.reason} (exit code {end.code}): {end.note}" if end.code else ""
    begun, over = times or (None, None)
    return MemberOutcome(phase=phase, exit_code=end.code, message=message, started_at=begun, finished_at=over)
