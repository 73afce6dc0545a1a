"""The outputs of an invocation, taken out of its main container when that has ended, and stored. Works for images of any kind."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

from anyio import to_thread

from flowcore.artifacts import archive, staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ArtifactError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.ports import RunContext
from flowcore_backends.container_paths import absolute
from flowcore_backends.docker.api import Api
from flowcore_backends.docker.tarballs import only_file, repack
from flowcore_backends.pod_judgement import Collected

_LARGEST_ARTIFACT = 1 << 40
_TAR_ROOM = 1 << 16  # what a tar adds to a single file, attributes included
_LONGEST_PROGRESS, _LONGEST_NOTE = 256, 4096
_SYMLINK = 1 << 27
_numbers = count()


class Outputs:
    """Reads files of one container, by way of the folder ``scratch`` of this machine."""

    def __init__(self, api: Api, container: str, working_dir: str, scratch: Path) -> None:
        self._api, self._container, self._working_dir, self._scratch = api, container, working_dir, scratch

    async def collect(self, invocation: Invocation, context: RunContext) -> Collected:
        """Read the declared output parameters and store the declared output artifacts; what is not there is left out, for the engine to judge."""
        found = Collected()
        for name, path in staging.output_parameter_files(invocation).items():
            try:
                if (content := await self._file(path, staging.LONGEST_PARAMETER)) is not None:
                    found.parameters[name] = content.decode("utf-8", "replace").removesuffix("\n")
            except ArtifactError as error:
                found.problem = found.problem or f"output parameter {name}: {error}; a large one belongs into an output artifact"
        for artifact in staging.output_artifacts(invocation):
            try:
                if artifact.path and (kept := await self._keep(artifact, invocation, context)) is not None:
                    found.artifacts[artifact.name] = kept
            except ArtifactError as error:
                found.problem = found.problem or str(error)
        return found

    async def progress(self, path: str) -> str | None:
        """What the container says of its progress (``N/M``) in the file ``path``, or None."""
        try:
            content = await self._file(path, _LONGEST_PROGRESS)
        except ArtifactError:
            return None
        last = (content or b"").decode("utf-8", "replace").strip().rpartition("\n")[2]
        done, _, total = last.partition("/")
        return last if done.isdecimal() and total.isdecimal() and int(done) <= int(total) else None

    async def note(self, path: str) -> str:
        """The termination message at ``path``, or nothing. A path in a folder of the kernel's is there only if something of ours is mounted."""
        try:
            content = await self._file(path, 1 << 20)
        except ArtifactError:
            return ""
        return (content or b"")[:_LONGEST_NOTE].decode("utf-8", "replace")

    async def _file(self, path: str, most: int) -> bytes | None:
        try:
            tar = await self._tar(path, most + _TAR_ROOM)
        except ArtifactError as error:
            raise ArtifactError(f"{path} is larger than {most} bytes") from error
        if tar is None:
            return None
        try:
            return await to_thread.run_sync(only_file, tar, most, path)
        finally:
            await to_thread.run_sync(tar.unlink)

    async def _tar(self, path: str, most: int) -> Path | None:
        """The engine's tar of a file or folder, links followed; None if nothing is there."""
        place, target = absolute(path, self._working_dir), self._scratch / f"output-{next(_numbers)}.tar"
        shown = await self._api.get(self._container, place, target, most)
        mode, link = (shown or {}).get("mode"), text_of(shown or {}, "linkTarget")
        if isinstance(mode, int) and mode & _SYMLINK and link:
            shown = await self._api.get(self._container, link, target, most)
        return None if shown is None else target

    async def _keep(self, artifact: staging.Declared, invocation: Invocation, context: RunContext) -> JsonObject | None:
        tar = await self._tar(artifact.path, _LARGEST_ARTIFACT)
        if tar is None:
            return None
        key, name = staging.default_key(invocation, artifact), Path(artifact.path).name or artifact.name
        packing = archive.archive_of(artifact.settings) or archive.Archive()
        copy = self._scratch / "packed"
        try:
            if packing.format == "tar":
                await to_thread.run_sync(lambda: repack(tar, copy, name, level=packing.level))
                return await staging.keep_packed(artifact, copy, context, key)
            await to_thread.run_sync(lambda: repack(tar, copy, name, level=None, links=False))
            unpacked = self._scratch / "unpacked" / name
            await to_thread.run_sync(lambda: _unpack(copy, unpacked))
            return await staging.keep_output(artifact, unpacked, context, key, self._scratch)
        except ArtifactError as error:
            if "failed to be saved" in str(error):
                raise
            raise type(error)(f"artifact {artifact.name} failed to be saved: {error}") from error
        finally:
            await to_thread.run_sync(_remove, tar, copy)


def _unpack(tar: Path, target: Path) -> None:
    """Unpack to the new path ``target``, in place of what an earlier artifact left there."""
    shutil.rmtree(target.parent, ignore_errors=True)
    target.parent.mkdir()
    archive.unpack(tar, target, archive.Archive("tar"))


def _remove(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)


async def keep_log(container: str, file: Path, invocation: Invocation, context: RunContext) -> JsonObject:
    """Store what a container printed as the artifact ``<container>-logs``. Raises ArtifactError."""
    location = object_of(invocation.body, "archiveLocation")
    name = f"{container}.log"
    settings: JsonObject = {"name": f"{container}-logs", "archive": {"none": {}}}
    for kind, place in location.items():
        if isinstance(place, dict) and (key := text_of(place, "key")):
            settings[kind] = {**place, "key": f"{key.rstrip('/')}/{name}"}
    declared = staging.Declared(f"{container}-logs", name, optional=True, settings=settings)
    return await staging.keep_packed(declared, file, context, f"{invocation.workflow}/{invocation.pod_name}/{name}")
