"""What a pod object says: the phase and message that Argo gives its node, and what there is to report. Pure; called by ``pod_run.py``.

Rules: those of Argo's controller (its ``getPendingReason`` and ``inferFailedReason``), for pods without Argo's own containers: instead of Argo's
``wait`` there is the holder (``capture.HOLDER``), whose end says nothing about the work. Statuses are looked up by name: Kubernetes sorts
those of containers by name, and only those of init containers as in the spec.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flowcore.engine.messages import MemberOutcome
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.nodes import Phase
from flowcore_backends.kubernetes.capture import HOLDER, LOADER, MAIN
from flowcore_backends.kubernetes.labels import MANAGED_BY

KILLED, TERMINATED, DEPENDENCY_FAILED, SUPERVISOR_FAILED = 137, 143, 64, 65
DEADLINE = "Pod was active on the node longer than the specified deadline"
_ARGO_INIT, _ARGO_SUPERVISOR = "init", "supervisor"
_ARGO_WAIT = ("wait", _ARGO_SUPERVISOR)
_FINAL_PHASES = ("Succeeded", "Failed")
_KNOWN_PHASES = ("", "Pending", "Running", *_FINAL_PHASES)
_LARGEST_NOTE = 64 << 20  # of what a few KB of termination message may unpack to


@dataclass(frozen=True, slots=True)
class Verdict:
    """The phase and message of a node, as far as its pod goes."""

    phase: Phase
    message: str = ""


@dataclass(frozen=True, slots=True)
class ContainerEnd:
    """How a container ended."""

    name: str
    code: int
    reason: str
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def text(self) -> str:
        """As a node's message has it."""
        said = f"{self.name}: {self.reason} (exit code {self.code})"
        return f"{said}: {self.message}" if self.message else said


class PodView:
    """One pod object, read; ``mains`` are the names of its main containers. There is one for each event, so it finds little before it is asked.

    How containers called ``aside`` end says nothing about the pod: sidecars of a template that are native ones here.
    """

    __slots__ = ("_containers", "_main_ended", "aside", "final", "mains", "metadata", "phase", "pod", "status")

    def __init__(self, pod: JsonObject, mains: Sequence[str] = (MAIN,), aside: Sequence[str] = ()) -> None:
        self.pod, self.mains, self.aside = pod, mains, aside
        self.metadata, self.status = object_of(pod, "metadata"), object_of(pod, "status")
        self.phase = text_of(self.status, "phase")  # Kubernetes' own
        self.final = self.phase in _FINAL_PHASES  # no container will run any more
        self._containers: dict[str, JsonObject] | None = None
        self._main_ended: bool | None = None

    @property
    def uid(self) -> str:
        return text_of(self.metadata, "uid")

    @property
    def odd(self) -> bool:
        """Whether it is in a phase that it should not be in (``Unknown``)."""
        return self.phase not in _KNOWN_PHASES

    @property
    def host(self) -> str | None:
        return text_of(object_of(self.pod, "spec"), "nodeName") or None

    @property
    def address(self) -> str | None:
        return text_of(self.status, "podIP") or None

    @property
    def terminating(self) -> bool:
        """Whether somebody deleted it."""
        return "deletionTimestamp" in self.metadata

    @property
    def disrupted(self) -> bool:
        """Whether the cluster took it away (preemption, eviction, taints, loss of the node) rather than a person."""
        return text_of(self.condition("DisruptionTarget"), "status") == "True" or text_of(self.status, "reason") in _INFRASTRUCTURE

    @property
    def doomed(self) -> bool:
        """Whether the kubelet has given the pod up (its deadline, an eviction), whatever its containers still do: it will be Failed."""
        return text_of(self.condition("Ready"), "reason") == "PodFailed"

    def condition(self, kind: str) -> JsonObject:
        """The condition of that type, or an empty object."""
        return next((one for one in objects_of(self.status, "conditions") if one.get("type") == kind), {})

    # --- containers -----------------------------------------------------------------------------------------------------------------

    def container(self, name: str) -> JsonObject:
        """The status of a container or init container, or an empty object."""
        if self._containers is None:
            every = (*objects_of(self.status, "initContainerStatuses"), *objects_of(self.status, "containerStatuses"))
            self._containers = {text_of(one, "name"): one for one in every}
        return self._containers.get(name, {})

    def end_of(self, name: str) -> ContainerEnd | None:
        """How a container ended, or None while it has not: one that is to be started again has not, unless the pod is final."""
        end = _end(name, object_of(object_of(self.container(name), "state"), "terminated"))
        return None if end is not None and not self.final and self._starts_again(end) else end

    def _starts_again(self, end: ContainerEnd) -> bool:
        """Whether the kubelet runs a container again that ended so, by its own policy and rules or by the pod's."""
        spec = object_of(self.pod, "spec")
        container = next((one for one in objects_of(spec, "containers") if one.get("name") == end.name), {})
        for rule in objects_of(container, "restartPolicyRules"):
            codes = object_of(rule, "exitCodes")
            values = codes.get("values")
            if isinstance(values, list) and (end.code in values) == (codes.get("operator") == "In"):
                return rule.get("action") == "Restart"
        policy = text_of(container, "restartPolicy") or text_of(spec, "restartPolicy")
        return policy == "Always" or (policy == "OnFailure" and end.code != 0)

    @property
    def main_ended(self) -> bool:
        """Whether every main container has ended: visible about a second before the phase is."""
        if self._main_ended is None:
            self._main_ended = bool(self.mains) and all(self.end_of(name) is not None for name in self.mains)
        return self._main_ended

    @property
    def ended_after_deletion(self) -> bool:
        """Whether the main containers ended because somebody deleted the pod: of those that ended in the same second, who failed did."""
        ends = [end for name in self.mains if (end := self.end_of(name)) is not None]
        last = max((end.finished_at for end in ends if end.finished_at is not None), default=None)
        gone, grace = _time(text_of(self.metadata, "deletionTimestamp")), self.metadata.get("deletionGracePeriodSeconds")
        if gone is None or last is None:
            return False
        deleted = gone - timedelta(seconds=grace if isinstance(grace, int) else 0)  # the timestamp is when the grace is over
        return last > deleted or (last == deleted and any(end.code != 0 for end in ends))

    @property
    def regular_ended(self) -> bool:
        """Whether every container has ended, but for those that Kubernetes ends by itself."""
        statuses = objects_of(self.status, "containerStatuses")
        return self.final or (bool(statuses) and all(self.end_of(text_of(one, "name")) is not None for one in statuses))

    @property
    def started(self) -> bool:
        """Whether a main container runs or has run. Those of a pod that failed as a whole before are said to have ended without a start."""
        states = [object_of(self.container(name), "state") for name in self.mains]
        if any("running" in state for state in states):
            return True
        ends = [end for state in states if (end := object_of(state, "terminated"))]
        return any(_time(text_of(end, "startedAt")) is not None for end in ends)

    @property
    def ready(self) -> bool:
        """Whether every container runs and is ready."""
        statuses = objects_of(self.status, "containerStatuses")
        return self.phase == "Running" and bool(statuses) and all(bool(one.get("ready")) for one in statuses)

    @property
    def awaits_inputs(self) -> bool:
        """Whether the container that waits for inputs runs."""
        return "running" in object_of(self.container(LOADER), "state")

    @property
    def holder_runs(self) -> bool:
        """Whether the holder can be reached."""
        return "running" in object_of(self.container(HOLDER), "state")

    # --- what Argo says -------------------------------------------------------------------------------------------------------------

    def verdict(self, *, daemon: bool = False) -> Verdict:
        """The phase and message that Argo derives from this object."""
        match self.phase:
            case "Pending":
                return Verdict(Phase.PENDING, self.pending_reason)
            case "Running":
                return Verdict(Phase.RUNNING)
            case "Succeeded":
                return Verdict(Phase.FAILED if daemon else Phase.SUCCEEDED)
            case "Failed":
                return self.failure()
        return Verdict(Phase.ERROR, f"Unexpected pod phase for {text_of(self.metadata, 'name')}: {self.phase}")

    @property
    def pending_reason(self) -> str:
        """Why the pod is pending: what a container waits for, else why it is not scheduled."""
        for one in objects_of(self.status, "containerStatuses"):
            waiting = object_of(one, "state").get("waiting")
            if isinstance(waiting, dict):
                return _with_reason(text_of(waiting, "reason"), text_of(waiting, "message"))
        for one in objects_of(self.status, "conditions"):
            if one.get("reason") == "Unschedulable":
                return _with_reason("Unschedulable", text_of(one, "message"))
        return ""

    def failure(self) -> Verdict:
        """Why the pod failed: its own message, else that of init containers, main containers, and the others, in this order."""
        if message := text_of(self.status, "message"):
            return Verdict(Phase.FAILED, message)
        return self.judged_by_containers()

    def judged_by_containers(self) -> Verdict:
        """The verdict on containers alone; also before the pod as a whole has a final phase, when native sidecars may still be begun again."""
        regular = sorted(objects_of(self.status, "containerStatuses"), key=lambda one: self._rank(text_of(one, "name")))
        inits = [one for one in objects_of(self.status, "initContainerStatuses") if self._counts(text_of(one, "name"))]
        if not inits and not regular:
            namespace = text_of(self.metadata, "namespace")
            return Verdict(Phase.FAILED, f"can't find failed message for pod {text_of(self.metadata, 'name')} namespace {namespace}")
        good: set[str] = set()
        for one in (*inits, *regular):
            name, state = text_of(one, "name"), object_of(one, "state")
            if isinstance(waiting := state.get("waiting"), dict):
                why = f"{text_of(waiting, 'reason')}: {text_of(waiting, 'message')}"
                return Verdict(Phase.ERROR, f"Pod failed before {name} container starts due to {why}")
            end = self.end_of(name)
            if end is not None and end.code == 0:
                good.add(name)
            elif end is not None and (verdict := self._judged(end)) is not None:
                return verdict
        return self._without_failure(good)

    def _judged(self, end: ContainerEnd) -> Verdict | None:
        if end.name in self.mains:
            return Verdict(Phase.FAILED, end.text)
        if end.name in (_ARGO_INIT, *_ARGO_WAIT, LOADER):
            return Verdict(Phase.ERROR, end.text)
        return None if end.code in (KILLED, TERMINATED) else Verdict(Phase.FAILED, end.text)

    def _without_failure(self, good: set[str]) -> Verdict:
        """No container failed, though the pod may have: both the main container and the one that saves outputs must have succeeded for Argo."""
        saved = any(name in good for name in _ARGO_WAIT)
        if not any(name in good for name in self.mains):
            which = "main" if saved else "neither main nor wait"
            verb = "did not complete" if saved else "completed"
            return Verdict(Phase.FAILED, f"pod failed: {which} container {verb} successfully")
        if saved or self._is_ours or not self.final:
            return Verdict(Phase.SUCCEEDED)
        return Verdict(Phase.FAILED, "pod failed: wait container did not complete successfully")

    @property
    def _is_ours(self) -> bool:
        """Whether no container of Argo's saves outputs in it, because flowcore takes them."""
        holders = [one for one in objects_of(object_of(self.pod, "spec"), "initContainers") if one.get("name") == HOLDER]
        return bool(holders) or object_of(self.metadata, "labels").get(MANAGED_BY) == "flowcore"

    def _rank(self, name: str) -> int:
        if name in self.mains:
            return 1
        if name == _ARGO_SUPERVISOR and any(end.code == SUPERVISOR_FAILED for main in self.mains if (end := self.end_of(main)) is not None):
            return 0  # the main container only says that the supervisor failed before it
        return 2 if name in _ARGO_WAIT else 3

    def _counts(self, name: str) -> bool:
        """Whether what became of an init container is part of the verdict; of a native sidecar it is when the pod has failed."""
        if name == HOLDER or name in self.aside:
            return False
        containers = objects_of(object_of(self.pod, "spec"), "initContainers")
        return self.final or not any(one.get("name") == name and one.get("restartPolicy") == "Always" for one in containers)

    # --- more of it -----------------------------------------------------------------------------------------------------------------

    @property
    def exit_code(self) -> int | None:
        """The exit code of the container ``main``."""
        end = self.end_of(MAIN)
        return end.code if end is not None else None

    def members(self) -> dict[str, MemberOutcome]:
        """How the containers of a set ended, as far as they have; in a pod that failed they all have."""
        found = {name: _member(end) for name in self.mains if (end := self.end_of(name)) is not None}
        if self.phase == "Failed":
            cut = MemberOutcome(phase=Phase.FAILED, message="Pod Failed whilst container running")
            found |= {name: cut for name in self.mains if name not in found and self.container(name)}
        return found

    def note(self) -> dict[str, bytes] | None:
        """What the holder handed over in its termination message: files by name. None if it did not, or not yet."""
        status = self.container(HOLDER)
        for state in ("state", "lastState"):
            message = text_of(object_of(object_of(status, state), "terminated"), "message")
            if message and (files := unpack_note(message)) is not None:
                return files
        return None


_INFRASTRUCTURE = (
    "Evicted",
    "NodeLost",
    "OutOfcpu",
    "OutOfmemory",
    "OutOfpods",
    "NodeAffinity",
    "Terminated",
    "Shutdown",
    "NodeShutdown",
    "Preempting",
)


def unpack_note(message: str) -> dict[str, bytes] | None:
    """The files of a termination message that the holder wrote; None if it is something else, or was cut."""
    try:
        packed = gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(message, validate=True)))
        plain = packed.read(_LARGEST_NOTE)
        return read_bundle(io.BytesIO(plain))
    except (binascii.Error, ValueError, OSError, EOFError, zlib.error, tarfile.TarError):
        return None


def read_bundle(stream: io.BufferedIOBase) -> dict[str, bytes]:
    """The regular files directly below ``out`` in a tar of it. Raises TarError for one that is broken."""
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        for member in tar:
            if member.isfile() and (content := tar.extractfile(member)) is not None:
                files[member.name.removeprefix("./").removeprefix("out/")] = content.read()
    return files


def _end(name: str, terminated: JsonObject) -> ContainerEnd | None:
    code = terminated.get("exitCode")
    if not isinstance(code, int):
        return None
    return ContainerEnd(
        name,
        code,
        text_of(terminated, "reason"),
        text_of(terminated, "message"),
        _time(text_of(terminated, "startedAt")),
        _time(text_of(terminated, "finishedAt")),
    )


def _time(text: str) -> datetime | None:
    try:
        made = datetime.fromisoformat(text)
    except ValueError:
        return None
    return made if made.tzinfo is not None and made.year > 1970 else None


def _member(end: ContainerEnd) -> MemberOutcome:
    """A member's own node; its message always ends with the termination message, also when there is none."""
    phase = Phase.SUCCEEDED if end.code == 0 else Phase.ERROR if end.code == DEPENDENCY_FAILED else Phase.FAILED
    message = f"{end.name}: {end.reason} (exit code {end.code}): {end.message}" if end.code else ""
    return MemberOutcome(phase=phase, exit_code=end.code, message=message, started_at=end.started_at, finished_at=end.finished_at)


def _with_reason(reason: str, message: str) -> str:
    return f"{reason}: {message}" if message else reason


def is_transient(status: Mapping[str, object]) -> bool:
    """Whether a refused creation (a ``Status`` body) may succeed later: a used-up quota, as Argo takes it."""
    return status.get("code") == 403 and "exceeded quota" in str(status.get("message", ""))
