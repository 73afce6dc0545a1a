"""The volumes of an invocation as Docker has them, and where containers see them. Pure but for look-ups in the catalog and of allowed host paths.

Empty and ephemeral volumes live as long as the invocation, claims of the workflow's ``volumeClaimTemplates`` as long as the run; other claims
are what the user's options say. Volumes of values (configMap, secret, ...) are volumes of the invocation into which the files are put.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError, ExpressionError
from flowcore.jsontypes import JsonObject, text_of
from flowcore.language.quantities import whole_quantity
from flowcore.ports import RunContext
from flowcore_backends.docker.labels import pod_object_name, run_object_name
from flowcore_backends.docker.options import DockerOptions
from flowcore_backends.environment import PodFacts, expand
from flowcore_backends.pod_identity import claim_templates, pod_volumes
from flowcore_backends.volume_files import VALUE_KINDS, ValueFile, files_of

Owner: TypeAlias = Literal["pod", "run", "user"]
_KNOWN = "emptyDir, ephemeral, persistentVolumeClaim, configMap, secret, downwardAPI, projected and hostPath"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumePlan:
    """One volume: ``source`` is the name of a volume of the engine or, for ``bind``, a path of the engine's machine; ``owner`` removes it."""

    name: str
    source: str
    owner: Owner = "pod"
    bind: bool = False
    memory: bool = False
    driver_options: Mapping[str, str] = field(default_factory=dict)
    open_to_all: bool = False
    files: tuple[ValueFile, ...] = ()
    values: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPlan:
    """That a container sees ``volume``, or what is at ``sub_path`` in it, at ``path``."""

    volume: VolumePlan
    path: str
    read_only: bool = False
    sub_path: str = ""


class Volumes:
    """Plans the volumes of one invocation; ``used`` are those that something mounts."""

    def __init__(self, invocation: Invocation, context: RunContext, options: DockerOptions, facts: PodFacts) -> None:
        self._invocation, self._context, self._options, self._facts = invocation, context, options, facts
        self._volumes, self._claim_templates = pod_volumes(invocation), claim_templates(context)
        self.used: dict[str, VolumePlan] = {}

    def mounts(self, volume_mounts: list[JsonObject], environment: Mapping[str, str]) -> list[MountPlan]:
        """The mounts of a container. Raises ExecutorError for a volume that cannot be had."""
        return [self._mount(mount, environment) for mount in volume_mounts]

    def staged(self) -> VolumePlan:
        """A volume of the invocation for what we bring along, where it cannot be put into the container itself."""
        plan = VolumePlan(name="", source=pod_object_name(self._invocation, "staged"))
        return self.used.setdefault("", plan)

    def _mount(self, mount: JsonObject, environment: Mapping[str, str]) -> MountPlan:
        name, path = text_of(mount, "name"), text_of(mount, "mountPath")
        if not path.startswith("/") or "\0" in path:
            raise ExecutorError(f'volume mount "{name}" has the mountPath {path!r}; it begins with a slash')
        volume = self._volume(name)
        below = _below(text_of(mount, "subPath") or expand(text_of(mount, "subPathExpr"), environment), name)
        if volume.bind and below:
            _refuse_way_out(volume.source, below, name)
        read_only = bool(mount.get("readOnly")) or volume.values
        return MountPlan(volume=volume, path=posixpath.normpath(path), read_only=read_only, sub_path=below)

    def _volume(self, name: str) -> VolumePlan:
        if name not in self.used:
            volume = self._volumes.get(name)
            if name in self._claim_templates:
                self.used[name] = self._run_claim(name, name)
            elif volume is None:
                raise ExecutorError(f'volume mount "{name}" names no volume of the workflow or the template')
            else:
                self.used[name] = self._made(name, volume)
        return self.used[name]

    def _made(self, name: str, volume: JsonObject) -> VolumePlan:
        kind = next((key for key in volume if key != "name"), "emptyDir")
        settings = volume.get(kind)
        given: JsonObject = settings if isinstance(settings, dict) else {}
        source = pod_object_name(self._invocation, f"volume-{name}")
        if kind == "emptyDir":
            return _empty(name, source, given)
        if kind == "ephemeral":
            return VolumePlan(name=name, source=source, open_to_all=True)
        if kind == "hostPath":
            return self._host_path(name, given)
        if kind == "persistentVolumeClaim":
            return self._claim(name, text_of(given, "claimName"))
        if kind in VALUE_KINDS:
            files = files_of(name, kind, given, self._facts, self._context.catalog)
            return VolumePlan(name=name, source=source, files=tuple(files), values=True)
        raise ExecutorError(f'volume "{name}" is of the type {kind}, which the docker backend does not have; it has {_KNOWN}')

    def _claim(self, name: str, claim: str) -> VolumePlan:
        if claim in self._options.claims:
            source = str(self._options.claims[claim])
            return VolumePlan(name=name, source=source, owner="user", bind=source.startswith(("/", "~")) or ":\\" in source)
        for template in self._claim_templates:
            if claim in (template, f"{self._invocation.workflow}-{template}"):
                return self._run_claim(name, template)
        raise ExecutorError(
            f'persistentvolumeclaim "{claim}" not found: the docker backend needs a volume or a folder for the claim of volume "{name}"; '
            f"give DockerExecutor(claims={{{claim!r}: 'NAME-OF-A-VOLUME-OR-/FOLDER'}})"
        )

    def _run_claim(self, name: str, template: str) -> VolumePlan:
        source = run_object_name(self._invocation.workflow, self._invocation.uid, f"claim-{template}")
        return VolumePlan(name=name, source=source, owner="run", open_to_all=True)

    def _host_path(self, name: str, settings: JsonObject) -> VolumePlan:
        given = text_of(settings, "path")
        path = Path(os.path.realpath(given))
        allowed = [Path(os.path.realpath(folder)) for folder in self._options.host_paths]
        if not given.startswith("/") or not any(path == folder or folder in path.parents for folder in allowed):
            raise ExecutorError(
                f'volume "{name}" shows the host path {given}, which is not allowed; give DockerExecutor(host_paths=[{given!r}]) to allow it'
            )
        return VolumePlan(name=name, source=str(path), owner="user", bind=True)


def _empty(name: str, source: str, settings: JsonObject) -> VolumePlan:
    if text_of(settings, "medium") != "Memory":
        return VolumePlan(name=name, source=source, open_to_all=True)
    options = "mode=1777"
    limit = settings.get("sizeLimit")
    if limit is not None:
        try:
            options += f",size={whole_quantity(str(limit))}"
        except (ValueError, ExpressionError) as error:
            raise ExecutorError(f'volume "{name}": emptyDir.sizeLimit: {error}') from error
    return VolumePlan(name=name, source=source, memory=True, driver_options={"type": "tmpfs", "device": "tmpfs", "o": options})


def _below(sub_path: str, name: str) -> str:
    parts = [part for part in sub_path.split("/") if part not in ("", ".")]
    if sub_path.startswith("/") or ".." in parts or "\0" in sub_path:
        raise ExecutorError(f'subPath "{sub_path}" of the volume mount "{name}" leads out of the volume')
    return "/".join(parts)


def _refuse_way_out(source: str, sub_path: str, name: str) -> None:
    """A part of a folder of this machine must not be a link to somewhere else."""
    root, real = os.path.realpath(source), os.path.realpath(Path(source, sub_path))
    if real != root and not real.startswith(root.rstrip("/") + "/"):
        raise ExecutorError(f'subPath "{sub_path}" of the volume mount "{name}" leads out of the volume')
