"""Getting a pod ready: its images, its network, its volumes, and what has to be in them and in the main container before that starts."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import anyio
from aiodocker.exceptions import DockerError
from anyio import to_thread

from flowcore.artifacts import staging
from flowcore.engine.messages import Invocation, Progressed
from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.ports import Reporter, RunContext
from flowcore_backends.docker.api import Api
from flowcore_backends.docker.credentials import configured_credentials, registry_of, secret_credentials
from flowcore_backends.docker.endpoint import config_folder
from flowcore_backends.docker.images import Images, policy_of
from flowcore_backends.docker.labels import CONTAINER, label_filters, labels_of
from flowcore_backends.docker.options import DockerOptions
from flowcore_backends.docker.pod import (
    ARGO_FOLDER,
    PLAIN_PROGRESS_PATH,
    PROGRESS_PATH,
    PROGRESS_VARIABLE,
    SCRIPT_PATH,
    InputPlan,
    PodPlan,
    pod_security,
    staged_path,
    termination_path,
)
from flowcore_backends.docker.probing import Envoy
from flowcore_backends.docker.run_objects import RunObjects
from flowcore_backends.docker.security import Machine, is_root, refuse_root, user_of
from flowcore_backends.docker.settings import PodSettings, holder_body, holder_path, names_of, network_of, pod_host_name, volume_body
from flowcore_backends.docker.states import has_started
from flowcore_backends.docker.tarballs import Entry, packed
from flowcore_backends.docker.volumes import MountPlan, VolumePlan

_SYMLINK = 1 << 27  # in modes as Go counts them
_ARGO_MODE = 0o777


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is the same for all invocations of an executor: options, images, and facts of the engine and of this machine.

    ``reaches_containers`` says whether this machine can talk to containers at their addresses.
    """

    options: DockerOptions
    images: Images
    machine: Machine
    architecture: str
    starts: anyio.CapacityLimiter
    reaches_containers: bool = True
    host: str = field(default_factory=lambda: platform.node())


def envoy_of(around: Surroundings, api: Api, pod: PodPlan) -> Envoy | None:
    """Who asks the probes of a pod inside its network; None where they can be asked from here."""
    if around.reaches_containers:
        return None
    image = partial(around.images.pause_image, api, around.architecture, around.options.pause_image)
    return Envoy(image=image, architecture=around.architecture, labels=pod.labels)


async def earlier_containers(api: Api, invocation: Invocation, mains: Sequence[str]) -> dict[str, JsonObject]:
    """The containers of a pod whose main containers have been started before, by name; what did not get so far is removed."""
    listed = await api.containers(label_filters(run=invocation.uid, pod=invocation.pod_name))
    if not listed:
        return {}
    shown = [await api.show(text_of(one, "Id")) for one in listed]
    found = {labels_of(one).get(CONTAINER, ""): one for one in shown}
    if any(name in found and has_started(found[name]) for name in mains):
        return found
    for one in shown:
        await api.remove(text_of(one, "Id"))
    return {}


class PodStart:
    """Gets one invocation's pod ready. ``scratch`` is a folder of this machine for what is brought along."""

    def __init__(
        self, invocation: Invocation, context: RunContext, pod: PodPlan, around: Surroundings, run: RunObjects, api: Api, scratch: Path
    ) -> None:
        self._invocation, self._context, self._pod, self._around = invocation, context, pod, around
        self._run, self._api, self._scratch = run, api, scratch
        self._loaded: list[tuple[InputPlan, Path, int]] = []

    async def settings(self, *, mountpoints: dict[str, str] | None = None) -> PodSettings:
        """What all containers of the pod have in common; makes the run's network if the pod joins it."""
        invocation, options, spec = self._invocation, self._around.options, self._context.spec
        network = network_of(spec, options, "")
        return PodSettings(
            network=network or await self._run.network(self._api),
            host_name=pod_host_name(invocation.pod_name),
            security=pod_security(invocation, self._context),
            options=options,
            names=names_of(invocation.template, spec) if network not in ("host", "none") else {},
            machine=self._around.machine,
            api_version=self._api.version,
            mountpoints=mountpoints or {},
            share_processes=bool(spec.get("shareProcessNamespace")),
        )

    # --- images ---------------------------------------------------------------------------------------------------------------------

    async def fetch_images(self, report: Reporter) -> dict[str, JsonObject]:
        """Have all images there; what the engine knows of them, by name. Raises ExecutorError for one that cannot be had."""
        shown: dict[str, JsonObject] = {}
        security = pod_security(self._invocation, self._context)
        for plan in self._pod.containers:
            image, policy = plan.model.image, policy_of(plan.model.image_pull_policy, self._around.options.pull)
            try:
                shown[image] = await self._around.images.ensure(
                    self._api,
                    image,
                    policy,
                    self._invocation.uid,
                    partial(self._credentials, image),
                    lambda text: report(Progressed(self._invocation.node, message=text)),
                )
                refuse_root(plan.model, security, text_of(object_of(shown[image], "Config"), "User"))
            except ExecutorError as error:
                raise ExecutorError(f"Pod failed before {plan.name} container starts due to {error}") from error
            except DockerError as error:
                reason = f"InvalidImageName: {image}: {error.message}"
                raise ExecutorError(f"Pod failed before {plan.name} container starts due to {reason}") from error
        return shown

    async def _credentials(self, image: str) -> JsonObject | None:
        registry = registry_of(image)
        names = [text_of(one, "name") for one in objects_of(self._context.spec, "imagePullSecrets")]
        found = secret_credentials(registry, names, self._invocation.namespace, self._context.catalog)
        given = self._around.options.docker_config
        return found or await configured_credentials(registry, Path(given) if given else config_folder())

    # --- inputs ---------------------------------------------------------------------------------------------------------------------

    async def load_inputs(self) -> None:
        """Bring the input artifacts to this machine. Raises ArtifactError for a required one that cannot be had."""
        for number, each in enumerate(self._pod.inputs):
            place = self._scratch / "inputs" / str(number) / (Path(each.path).name or each.artifact.name)
            await to_thread.run_sync(partial(place.parent.mkdir, parents=True))
            if await staging.place_input(each.artifact, place, self._context):
                self._loaded.append((each, place, number))

    def leave_out_missing(self) -> None:
        """An optional input that is not there is not mounted either."""
        there = {number for _, _, number in self._loaded}
        gone = {staged_path(number) for number in range(len(self._pod.inputs)) if number not in there}
        for plan in self._pod.containers:
            plan.mounts = [mount for mount in plan.mounts if mount.volume is not self._pod.staged or mount.sub_path not in gone]

    def main_entries(self) -> list[Entry]:
        """What is put into the main container itself: what does not go through the holder."""
        pod, entries = self._pod, list[Entry]()
        if pod.main is not None and not pod.holder:
            mounts = [mount for mount in pod.main.mounts if mount.volume.open_to_all and mount.volume.owner == "pod"]
            entries += [Entry(mount.path, None, 0o777) for mount in mounts]
        if pod.staged is None:
            entries += [Entry(each.path, place) for each, place, _ in self._loaded if each.mount is None or not pod.holder]
            entries += self._script_entries("")
        return entries

    def _argo_entries(self) -> list[Entry]:
        """The folder in which the main container may report its progress, unless it can do without."""
        main = self._pod.main
        ours = main is not None and self._pod.staged is None and main.environment[PROGRESS_VARIABLE] == PROGRESS_PATH
        return [Entry(ARGO_FOLDER, None, _ARGO_MODE)] if ours else []

    def do_without_folder(self, images: Mapping[str, JsonObject]) -> None:
        """Where nothing else has to be put into the main container, and root runs it, spare the engine that work, which is slow."""
        main = self._pod.main
        if main is None or self._pod.staged is not None or self.main_entries() or PROGRESS_VARIABLE in json.dumps(self._invocation.body):
            return
        config = object_of(images.get(main.model.image, {}), "Config")
        if is_root(user_of(main.model, pod_security(self._invocation, self._context)) or text_of(config, "User")):
            main.environment[PROGRESS_VARIABLE] = PLAIN_PROGRESS_PATH

    def _script_entries(self, prefix: str) -> list[Entry]:
        if self._pod.script is None:
            return []
        return [Entry(f"{prefix}{SCRIPT_PATH.rpartition('/')[0]}", None, 0o755), Entry(f"{prefix}{SCRIPT_PATH}", self._pod.script, 0o755)]

    async def fill_main(self, container: str) -> None:
        """Put inputs and script into the main container."""
        await self._put(container, [*self._argo_entries(), *self.main_entries()])

    async def _put(self, container: str, entries: Sequence[Entry]) -> None:
        if entries:
            tar = await to_thread.run_sync(packed, entries, self._scratch)
            await self._api.put(container, "/", tar)

    # --- volumes --------------------------------------------------------------------------------------------------------------------

    async def make_volumes(self) -> dict[str, str]:
        """Make the volumes that do not come by themselves; where volumes lie of which parts are mounted."""
        pod, mountpoints = self._pod, dict[str, str]()
        in_parts = {mount.volume.source for plan in pod.containers for mount in plan.mounts if mount.sub_path and not mount.volume.bind}
        for volume in pod.volumes:
            if volume.owner == "run":
                await self._run.claim(self._api, volume, await self._pause_image())
            if volume.owner == "pod" or volume.source in in_parts:
                labels = pod.labels if volume.owner == "pod" else {}
                made = await self._api.create_volume(volume_body(volume, labels))
                mountpoints[volume.source] = text_of(made, "Mountpoint")
        return mountpoints

    async def _pause_image(self) -> str:
        return await self._around.images.pause_image(self._api, self._around.architecture, self._around.options.pause_image)

    async def hold(self, settings: PodSettings) -> str:
        """Make the container that holds the pod, fill the volumes through it, and start it where the pod needs that; its id."""
        pod = self._pod
        holder = await self._api.create(pod.holder_name, holder_body(pod, await self._pause_image(), settings))
        if any(volume.memory for volume in pod.volumes):
            await self._api.start(holder)  # memory is there only while somebody mounts it
        await self._put(holder, [*self._volume_entries(), *await self._part_entries(holder)])
        if pod.shared:
            await self._api.start(holder)
        return holder

    def _volume_entries(self) -> list[Entry]:
        pod, entries = self._pod, list[Entry]()
        for number, volume in enumerate(pod.volumes):
            place = holder_path(number)
            if volume.open_to_all and volume.owner == "pod":
                entries.append(Entry(place, None, 0o777))
            entries += [Entry(f"{place}/{file.path}", file.content, file.mode) for file in volume.files]
            if volume is pod.staged:
                entries.append(Entry(f"{place}{ARGO_FOLDER}", None, _ARGO_MODE))
                entries += self._script_entries(place)
                entries += [Entry(f"{place}/{termination_path(plan.name)}", b"", 0o666) for plan in pod.containers]
        for each, loaded, number in self._loaded:
            if each.mount is not None:
                entries.append(Entry(self._place_of(each.path, each.mount, number), loaded))
        return entries

    def _place_of(self, path: str, mount: MountPlan, number: int) -> str:
        """Where the holder sees an input artifact that lies in a volume."""
        volume = holder_path(_index(self._pod.volumes, mount.volume))
        if mount.volume is self._pod.staged:
            return f"{volume}/{staged_path(number)}"
        below = path[len(mount.path.rstrip("/")) :].strip("/")
        return "/".join(part for part in (volume, mount.sub_path, below) if part)

    async def _part_entries(self, holder: str) -> list[Entry]:
        """The parts of volumes that are mounted and not there yet: new folders. Links on the way are refused, as they may lead anywhere."""
        entries: dict[str, Entry] = {}
        for plan in self._pod.containers:
            for mount in plan.mounts:
                if mount.sub_path and mount.volume is not self._pod.staged and not mount.volume.values:
                    place = f"{holder_path(_index(self._pod.volumes, mount.volume))}/{mount.sub_path}"
                    if not await self._is_there(holder, place, mount):
                        entries[place] = Entry(place, None, 0o777)
        return list(entries.values())

    async def _is_there(self, holder: str, place: str, mount: MountPlan) -> bool:
        parts = place.strip("/").split("/")
        for depth in range(3, len(parts) + 1):
            shown = await self._api.stat(holder, "/" + "/".join(parts[:depth]))
            if shown is None:
                return False
            mode = shown.get("mode")
            if isinstance(mode, int) and mode & _SYMLINK:
                raise ExecutorError(f'subPath "{mount.sub_path}" of the volume mount "{mount.volume.name}" goes through a symbolic link')
        return True


def _index(volumes: Sequence[VolumePlan], volume: VolumePlan) -> int:
    return next(number for number, one in enumerate(volumes) if one is volume)
