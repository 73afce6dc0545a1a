"""Removing what dead runs left at an engine, and nothing else. Called by ``flowcore cleanup`` and by whoever embeds flowcore.

A run is dead when no process of this machine looks after it. What carries none of our labels is never touched.
"""

from __future__ import annotations

import platform
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio

from flowcore.jsontypes import JsonObject
from flowcore_backends.docker import labels
from flowcore_backends.docker.api import Api, open_api
from flowcore_backends.docker.endpoint import find_endpoint
from flowcore_backends.docker.run_objects import is_looked_after, remove_objects, remove_shared
from flowcore_backends.docker.states import when

_AT_ONCE = 8
_PATIENCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Leftover:
    """A run that left something: its uid, the workflow's name, and how many containers, networks and volumes there are."""

    uid: str
    workflow: str
    containers: int
    networks: int
    volumes: int

    def __str__(self) -> str:
        counts = ((self.containers, "container"), (self.networks, "network"), (self.volumes, "volume"))
        return f"{self.workflow} ({self.uid}): " + ", ".join(f"{count} {word}{'s' * (count != 1)}" for count, word in counts)


async def cleanup(
    *,
    host: str | None = None,
    keep: Collection[str] = (),
    all_hosts: bool = False,
    older_than: timedelta = timedelta(0),
    dry_run: bool = False,
) -> list[Leftover]:
    """Remove the containers, networks and volumes of dead runs; what was (``dry_run``: would be) removed, by run.

    ``keep`` are uids of runs that somebody will go on with. Runs of other users and machines on the same engine are left alone unless ``all_hosts``,
    and so are runs with a container younger than ``older_than``. Raises ExecutorError if no engine answers.
    """
    async with open_api(find_endpoint(host), _PATIENCE) as api:
        found = await _found(api)
        dead = [run for run in found.values() if run.is_dead(keep, all_hosts=all_hosts, older_than=older_than)]
        if not dry_run:
            limiter = anyio.CapacityLimiter(_AT_ONCE)
            for run in dead:
                await _remove(api, run.uid, limiter)
        return sorted((run.leftover() for run in dead), key=lambda left: left.workflow)


class _Found:
    """What was found of one run."""

    def __init__(self, uid: str) -> None:
        self.uid, self.workflow, self.host = uid, "", ""
        self.counts = {"containers": 0, "networks": 0, "volumes": 0}
        self.youngest: datetime | None = None

    def add(self, kind: str, shown: JsonObject) -> None:
        known = labels.labels_of(shown)
        self.workflow, self.host = known.get(labels.WORKFLOW, ""), known.get(labels.HOST, "")
        self.counts[kind] += 1
        if (made := _made_at(shown)) is not None:
            self.youngest = max(made, self.youngest or made)

    def is_dead(self, keep: Collection[str], *, all_hosts: bool, older_than: timedelta) -> bool:
        if self.uid in keep or (self.host != labels.owner(platform.node()) and not all_hosts):
            return False
        if self.youngest is not None and datetime.now(UTC) - self.youngest < older_than:
            return False
        return not is_looked_after(self.uid)

    def leftover(self) -> Leftover:
        return Leftover(self.uid, self.workflow, **self.counts)


async def _found(api: Api) -> dict[str, _Found]:
    filters = labels.label_filters(run="")
    found: dict[str, _Found] = {}
    for kind, listed in (
        ("containers", await api.containers(filters)),
        ("networks", await api.networks(filters)),
        ("volumes", await api.volumes(filters)),
    ):
        for one in listed:
            uid = labels.labels_of(one)[labels.RUN]
            found.setdefault(uid, _Found(uid)).add(kind, one)
    return found


def _made_at(shown: JsonObject) -> datetime | None:
    """When something was made: containers say it in seconds, networks and volumes as text."""
    seconds = shown.get("Created")
    if isinstance(seconds, int):
        return datetime.fromtimestamp(seconds, UTC)
    return when(shown, "Created") or when(shown, "CreatedAt")


async def _remove(api: Api, uid: str, limiter: anyio.CapacityLimiter) -> None:
    filters = labels.label_filters(run=uid)
    await remove_objects(api, filters, limiter)
    await remove_shared(api, filters)
