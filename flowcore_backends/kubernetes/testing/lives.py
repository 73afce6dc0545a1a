"""What pods of a ``FakeKube`` do: a life is a coroutine that writes one pod's status, from what a real cluster was seen to do."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore_backends.kubernetes.testing.store import Event, Refused, Store, now_text

LogReader: TypeAlias = Callable[[], tuple[bytes, bool]]


@dataclass(slots=True)
class FakePod:
    """One pod while it lives. ``deleted`` is set when somebody deletes it; ``logs`` and ``exec`` may be given by its life."""

    store: Store
    namespace: str
    name: str
    uid: str
    object: JsonObject
    deleted: asyncio.Event = field(default_factory=asyncio.Event)
    logs: dict[str, LogReader] = field(default_factory=dict)
    exec: Callable[[str, Sequence[str]], Awaitable[asyncio.subprocess.Process]] | None = None

    @property
    def spec(self) -> JsonObject:
        return object_of(self.object, "spec")

    @property
    def grace(self) -> float:
        """How many seconds its containers have, once it is deleted."""
        known = self.store.objects.get(("pods", self.namespace, self.name), {})
        given = object_of(known, "metadata").get("deletionGracePeriodSeconds", 30)
        return float(given) if isinstance(given, int | float) else 30.0

    def show(self, phase: str, states: dict[str, JsonObject] | None = None, **more: Json) -> None:
        """Write the status: the phase, and the state of each container, by name."""
        states = states or {}
        status: JsonObject = {
            "phase": phase,
            "containerStatuses": self._statuses("containers", states, by_name=True),
            "initContainerStatuses": self._statuses("initContainers", states),
            "podIP": "127.0.0.1",
            **more,
        }
        self.store.set_status(self.namespace, self.name, status, nodeName="node1")

    def _statuses(self, which: str, states: dict[str, JsonObject], *, by_name: bool = False) -> list[Json]:
        names = [text_of(one, "name") for one in objects_of(self.spec, which)]
        made: list[Json] = [_status(name, states.get(name) or waiting()) for name in (sorted(names) if by_name else names)]
        return made


def _status(name: str, state: JsonObject) -> JsonObject:
    running = "running" in state
    return {
        "name": name,
        "state": state,
        "lastState": {},
        "ready": running and not state.get("unready"),
        "started": running,
        "restartCount": 0,
    }


def waiting(reason: str = "ContainerCreating", message: str = "") -> JsonObject:
    """The state of a container that waits."""
    return {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def running() -> JsonObject:
    """The state of a container that runs."""
    return {"running": {"startedAt": now_text()}}


def terminated(code: int, reason: str = "", message: str = "") -> JsonObject:
    """The state of a container that has ended."""
    state: JsonObject = {
        "exitCode": code,
        "reason": reason or ("Error" if code else "Completed"),
        "startedAt": now_text(),
        "finishedAt": now_text(),
    }
    return {"terminated": {**state, "message": message} if message else state}


Life: TypeAlias = Callable[[FakePod], Awaitable[None]]


class PodTasks:
    """The lives of all pods, each a task. ``scripts`` are pairs of a part of a name and a life."""

    def __init__(self, store: Store, default: Life) -> None:
        self.store, self._default = store, default
        self.scripts: list[tuple[str, Life]] = []
        self.living: dict[str, FakePod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        store.on_change.append(self._changed)

    async def close(self) -> None:
        """End them all."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self, event: Event) -> None:
        if event.resource != "pods":
            return
        metadata = object_of(event.object, "metadata")
        uid, name = text_of(metadata, "uid"), text_of(metadata, "name")
        if event.kind == "ADDED":
            pod = self.living[uid] = FakePod(self.store, event.namespace, name, uid, event.object)
            life = next((life for part, life in self.scripts if part in name), self._default)
            self._tasks[uid] = asyncio.get_running_loop().create_task(self._live(pod, life))
        elif uid in self.living and ("deletionTimestamp" in metadata or event.kind == "DELETED"):
            self.living[uid].deleted.set()

    async def _live(self, pod: FakePod, life: Life) -> None:
        try:
            await life(pod)
            if pod.deleted.is_set():
                self.store.finish(pod.namespace, pod.name, pod.uid)
        finally:
            self._tasks.pop(pod.uid, None)

    def log_of(self, pod: JsonObject, container: str) -> LogReader | None:
        """How to read the log of a container; None for a pod that is on no node. Raises Refused as the API does."""
        metadata, status = object_of(pod, "metadata"), object_of(pod, "status")
        if not text_of(object_of(pod, "spec"), "nodeName"):
            return None
        every = (*objects_of(status, "containerStatuses"), *objects_of(status, "initContainerStatuses"))
        one = next((one for one in every if one.get("name") == container), None)
        name = text_of(metadata, "name")
        if one is None:
            raise Refused(400, "BadRequest", f"container {container} is not valid for pod {name}")
        if "waiting" in object_of(one, "state"):
            why = text_of(object_of(object_of(one, "state"), "waiting"), "reason")
            raise Refused(400, "BadRequest", f'container "{container}" in pod "{name}" is waiting to start: {why}')
        living = self.living.get(text_of(metadata, "uid"))
        return living.logs.get(container, _empty) if living is not None else _empty


def _empty() -> tuple[bytes, bool]:
    return b"", True


# --- ready-made lives -------------------------------------------------------------------------------------------------------------------


def ends(
    code: int = 0, *, after: float = 0.0, reason: str = "", message: str = "", note: str = "", log: bytes = b"", skip_running: bool = False
) -> Life:
    """Runs ``after`` seconds and ends with ``code``; ``note`` is what the holder writes. ``skip_running``: no Running stage is ever seen."""

    async def life(pod: FakePod) -> None:
        names = [text_of(one, "name") for one in objects_of(pod.spec, "containers")]
        holders = [text_of(one, "name") for one in objects_of(pod.spec, "initContainers")]
        held = {name: running() for name in holders}
        pod.logs |= {name: (lambda: (log, True)) for name in names}
        pod.show("Pending")
        if not skip_running:
            pod.show("Running", held | {name: running() for name in names})
        if after and await _deleted_within(pod, after):
            await _end_deleted(pod, names, holders)
            return
        over = held | {name: terminated(code, reason, message) for name in names}
        pod.show("Pending" if skip_running else "Running", over)
        over |= {name: terminated(0, message=note) for name in holders}
        pod.show("Failed" if code else "Succeeded", over)

    return life


def runs_for_ever(*, ready: bool = True, deaf: bool = False) -> Life:
    """Runs until it is deleted; ``deaf`` to TERM, it is killed after the grace."""

    async def life(pod: FakePod) -> None:
        names = [text_of(one, "name") for one in objects_of(pod.spec, "containers")]
        holders = [text_of(one, "name") for one in objects_of(pod.spec, "initContainers")]
        pod.show("Running", {name: {**running(), "unready": not ready} for name in names} | {name: running() for name in holders})
        await pod.deleted.wait()
        if deaf:
            await asyncio.sleep(pod.grace)
        await _end_deleted(pod, names, holders, code=137 if deaf else 143)

    return life


async def _deleted_within(pod: FakePod, seconds: float) -> bool:
    try:
        await asyncio.wait_for(pod.deleted.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _end_deleted(pod: FakePod, names: list[str], holders: list[str], code: int = 143) -> None:
    pod.show("Failed", {name: terminated(code) for name in names} | {name: terminated(0) for name in holders})


def never_scheduled(message: str = "0/1 nodes are available: 1 Insufficient cpu.") -> Life:
    """Stays Pending, Unschedulable."""

    async def life(pod: FakePod) -> None:
        condition: JsonObject = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        pod.store.set_status(pod.namespace, pod.name, {"phase": "Pending", "conditions": [condition]})
        await pod.deleted.wait()

    return life


def replays(stages: Sequence[tuple[float, str, JsonObject, JsonObject]], *, speed: float = 100.0) -> Life:
    """Shows the recorded stages (seconds, type, metadata, status) of a real pod, so many times as fast; a recorded deletion is carried out."""

    async def life(pod: FakePod) -> None:
        before = 0.0
        for seconds, kind, metadata, status in stages:
            await asyncio.sleep(max(0.0, seconds - before) / speed)
            before = seconds
            if kind == "DELETED":
                pod.store.set_status(pod.namespace, pod.name, copy.deepcopy(status))
                if ("pods", pod.namespace, pod.name) in pod.store.objects:
                    pod.store.delete("pods", pod.namespace, pod.name, grace=0)
                return
            if "deletionTimestamp" in metadata and not pod.deleted.is_set():
                pod.store.delete("pods", pod.namespace, pod.name, grace=30)
            scheduled = {"nodeName": "node1"} if "startTime" in status or "containerStatuses" in status else {}
            pod.store.set_status(pod.namespace, pod.name, copy.deepcopy(status), **scheduled)
        if not pod.deleted.is_set() and text_of(stages[-1][3], "phase") not in ("Succeeded", "Failed"):
            await pod.deleted.wait()

    return life
