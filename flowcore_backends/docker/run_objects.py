"""What a run has at the engine beside its containers: a private network, and volumes for its claims. Made when first used, removed by ``close``.

A lock on a file tells other processes of this machine that the run is being looked after; ``leftovers.py`` asks for it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from aiodocker.exceptions import DockerError

from flowcore.jsontypes import JsonObject, text_of
from flowcore.ports import RunContext
from flowcore_backends.docker import labels
from flowcore_backends.docker.api import Api
from flowcore_backends.docker.settings import network_body, volume_body
from flowcore_backends.docker.tarballs import Entry, packed
from flowcore_backends.docker.volumes import VolumePlan

_log = logging.getLogger("flowcore.docker")
_PAUSES = (0.1, 0.4, 1.0, None)  # seconds before trying again
_NO_ADDRESSES = "non-overlapping IPv4 address pool"


class RunObjects:
    """The network and the claims of one run."""

    def __init__(self, context: RunContext, host: str) -> None:
        self.uid, self.workflow = context.uid, context.name
        self.labels = labels.run_labels(context.uid, context.name, context.namespace, host)
        self._lock = anyio.Lock()
        self._network: str | None = None
        self._claims: set[str] = set()
        held = hold(context.uid)
        self._let_go = weakref.finalize(self, os.close, held) if held is not None else None

    async def network(self, api: Api) -> str:
        """The name of the run's private network, made if need be; the engine's default one where it has no addresses left."""
        async with self._lock:
            if self._network is None:
                self._network = await self._make_network(api)
            return self._network

    async def _make_network(self, api: Api) -> str:
        name = labels.run_object_name(self.workflow, self.uid, "network")
        try:
            await api.create_network(network_body(name, self.labels))
        except DockerError as error:
            if _NO_ADDRESSES not in error.message:
                raise
            _log.warning(
                "run %s: the engine has no addresses left for a private network, so it uses the one of all containers", self.workflow
            )
            return "bridge"
        return name

    async def claim(self, api: Api, volume: VolumePlan, pause_image: str) -> None:
        """Make the volume of a claim, writable by everybody, unless it is there."""
        async with self._lock:
            if volume.source in self._claims:
                return
            if await api.volume(volume.source) is None:
                await api.create_volume(volume_body(volume, self.labels))
                await open_to_all(api, volume, pause_image, self.labels)
            self._claims.add(volume.source)

    async def remove(self, api: Api) -> None:
        """Remove network and claims; what is still in use stays for ``cleanup``."""
        await remove_shared(api, labels.label_filters(run=self.uid))

    def let_go(self) -> None:
        """Nobody looks after the run any more."""
        if self._let_go is not None and self._let_go.alive:
            _lock_file(self.uid).unlink(missing_ok=True)
            self._let_go()


async def remove_shared(api: Api, filters: str) -> None:
    """Remove the networks and volumes that ``filters`` match; what is still in use stays, and is told."""
    for network in await api.networks(filters):
        await _remove(api.remove_network, text_of(network, "Name"))
    for volume in await api.volumes(filters):
        await _remove(api.remove_volume, text_of(volume, "Name"))


async def _remove(remove: Callable[[str], Awaitable[None]], name: str) -> None:
    """Remove something that the engine may still believe to be in use for a moment."""
    for pause in _PAUSES:
        try:
            await remove(name)
        except DockerError as error:
            if pause is None:
                _log.warning("%s could not be removed: %s", name, error.message)
            else:
                await anyio.sleep(pause)
        else:
            return


async def remove_objects(api: Api, filters: str, limiter: anyio.CapacityLimiter, kept_pods: set[str] | None = None) -> int:
    """Remove the containers and then the volumes that ``filters`` match, several at once, but those of ``kept_pods``; how many there were."""
    containers = [one for one in await api.containers(filters) if labels.labels_of(one).get(labels.POD) not in (kept_pods or ())]
    holders = [one for one in containers if labels.labels_of(one).get(labels.ROLE) == "pod"]
    for batch in ([one for one in containers if one not in holders], holders):
        async with anyio.create_task_group() as tasks:
            for one in batch:
                tasks.start_soon(_limited, limiter, api.remove, text_of(one, "Id"))
    volumes = [one for one in await api.volumes(filters) if labels.labels_of(one).get(labels.POD) is not None]
    async with anyio.create_task_group() as tasks:
        for one in volumes:
            tasks.start_soon(_limited, limiter, api.remove_volume, text_of(one, "Name"))
    return len(containers) + len(volumes)


async def _limited(limiter: anyio.CapacityLimiter, remove: Callable[[str], Awaitable[None]], name: str) -> None:
    async with limiter:
        await remove(name)


async def open_to_all(api: Api, volume: VolumePlan, pause_image: str, run_labels: dict[str, str]) -> None:
    """Let every user write to a new volume, as Kubernetes' own are; done through a container that is never started."""
    mount: JsonObject = {"Type": "volume", "Source": volume.source, "Target": "/v/0", "VolumeOptions": {"NoCopy": True}}
    body: JsonObject = {"Image": pause_image, "Labels": {**run_labels}, "HostConfig": {"Mounts": [mount], "NetworkMode": "none"}}
    container = await api.create(f"{volume.source}-opener", body)
    try:
        await api.put(container, "/v", packed([Entry("0", None, 0o777)]))
    finally:
        with anyio.CancelScope(shield=True):
            await api.remove(container)


# --- whose run it is ------------------------------------------------------------------------------------------------------------------


def _lock_file(uid: str) -> Path:
    """A place that does not depend on how a process was started."""
    return Path("~").expanduser() / ".cache" / "flowcore" / "docker" / f"{hashlib.sha256(uid.encode()).hexdigest()[:32]}.lock"


def hold(uid: str) -> int | None:
    """Say that this process looks after a run, until the file is closed or the process ends; None where that cannot be said."""
    try:
        import fcntl

        file = _lock_file(uid)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except (ImportError, OSError, RuntimeError):
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


def is_looked_after(uid: str) -> bool:
    """Whether a process of this machine looks after the run."""
    if not _lock_file(uid).exists():
        return False
    opened = hold(uid)
    if opened is None:
        return True
    _lock_file(uid).unlink(missing_ok=True)
    os.close(opened)
    return False
