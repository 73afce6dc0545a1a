"""The volumes of an invocation as folders of this machine: empty ones, claims, ConfigMaps, Secrets, the downward API, allowed host paths.

Folders of a node live in its scratch folder; claims of the workflow's ``volumeClaimTemplates`` in the run's folder, as long as the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.ports import Catalog
from flowcore_backends.environment import PodFacts, expand
from flowcore_backends.local.folder_names import folder_name
from flowcore_backends.local.layout import Mount
from flowcore_backends.local.options import LocalOptions
from flowcore_backends.volume_files import VALUE_KINDS, ValueFile, files_of

CLAIMS = "claims"  # the folder of a run's claims


class Volumes:
    """Makes the volumes of one invocation when they are first mounted. ``folder`` is the node's, ``run_folder`` the run's."""

    def __init__(
        self,
        volumes: Mapping[str, JsonObject],
        claim_templates: frozenset[str],
        folder: Path,
        run_folder: Path,
        options: LocalOptions,
        facts: PodFacts,
        catalog: Catalog,
    ) -> None:
        self._volumes, self._claim_templates = volumes, claim_templates
        self._folder, self._run_folder = folder, run_folder
        self._options, self._facts, self._catalog = options, facts, catalog
        self._made: dict[str, Path] = {}

    def mounts(self, volume_mounts: list[JsonObject], environment: Mapping[str, str]) -> list[Mount]:
        """The mounts of a container. Raises ExecutorError for a volume that this backend does not have."""
        return [self._mount(mount, environment) for mount in volume_mounts]

    def _mount(self, mount: JsonObject, environment: Mapping[str, str]) -> Mount:
        name, path = str(mount.get("name", "")), str(mount.get("mountPath", ""))
        source = self._place(name)
        below = str(mount.get("subPath") or "") or expand(str(mount.get("subPathExpr") or ""), environment)
        if below:
            source = _below(source, below, name)
        return Mount(os.path.realpath(source), path, folder=source.is_dir(), read_only=bool(mount.get("readOnly")))

    def _place(self, name: str) -> Path:
        if name not in self._made:
            volume = self._volumes.get(name)
            if name in self._claim_templates:
                self._made[name] = _folder(self._run_folder / CLAIMS / folder_name(name))
            elif volume is None:
                raise ExecutorError(f'volume mount "{name}" names no volume of the workflow or the template')
            else:
                self._made[name] = self._make(name, volume)
        return self._made[name]

    def _make(self, name: str, volume: JsonObject) -> Path:
        folder = self._folder / "volumes" / folder_name(name)
        kinds = [kind for kind in volume if kind != "name"]
        match kinds[0] if kinds else "emptyDir", volume.get(kinds[0]) if kinds else {}:
            case "emptyDir" | "ephemeral", _:
                return _folder(folder, 0o777)
            case "hostPath", dict(settings):
                return self._host_path(name, settings)
            case "persistentVolumeClaim", dict(settings):
                return self._claim(name, str(settings.get("claimName", "")))
            case kind, dict(settings) if kind in VALUE_KINDS:
                _write(_folder(folder), files_of(name, kind, settings, self._facts, self._catalog))
                return folder
            case kind, _:
                raise ExecutorError(f'volume "{name}" is of the type {kind}, which the local backend does not have; it has {_KNOWN}')

    def _claim(self, name: str, claim: str) -> Path:
        if claim in self._options.claims:
            return _folder(Path(self._options.claims[claim]))
        for template in self._claim_templates:
            if claim == template or claim.endswith("-" + template):
                return self._place(template)
        raise ExecutorError(
            f'persistentvolumeclaim "{claim}" not found: the local backend needs a folder for the claim of volume "{name}"; '
            f"give LocalExecutor(claims={{{claim!r}: FOLDER}})"
        )

    def _host_path(self, name: str, settings: JsonObject) -> Path:
        given = str(settings.get("path", ""))
        path = Path(os.path.realpath(given))
        allowed = [Path(os.path.realpath(folder)) for folder in self._options.host_paths]
        if not any(path == folder or folder in path.parents for folder in allowed):
            raise ExecutorError(
                f'volume "{name}" shows the host path {given}, which is not allowed; give LocalExecutor(host_paths=[{given!r}]) to allow it'
            )
        kind = str(settings.get("type") or "")
        if kind == "DirectoryOrCreate":
            _folder(path)
        elif kind == "FileOrCreate":
            path.touch()
        if not path.exists():
            raise ExecutorError(f'MountVolume.SetUp failed for volume "{name}" : hostPath type check failed: {given} does not exist')
        return path


_KNOWN = "emptyDir, ephemeral, persistentVolumeClaim, configMap, secret, downwardAPI, projected and hostPath"


def _write(folder: Path, files: Iterable[ValueFile]) -> None:
    for each in files:
        file = folder / each.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(each.content)
        file.chmod(each.mode)


def _folder(path: Path, mode: int = 0o755) -> Path:
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
    return path


def _below(volume: Path, sub_path: str, name: str) -> Path:
    """A file or folder in a volume, made as a folder if it is not there; it must not lead out of the volume."""
    parts = [part for part in sub_path.split("/") if part not in ("", ".")]
    place = volume.joinpath(*parts)
    root, real = os.path.realpath(volume), os.path.realpath(place)
    if sub_path.startswith("/") or ".." in parts or (real != root and not real.startswith(root + os.sep)):
        raise ExecutorError(f'subPath "{sub_path}" of the volume mount "{name}" leads out of the volume')
    return place if place.exists() else _folder(Path(real))
