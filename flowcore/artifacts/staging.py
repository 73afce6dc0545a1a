"""What backends do with artifacts and output files of an invocation: place the inputs, keep the outputs. Used by the local and docker backends.

Rules: an optional input that is nowhere is left out, a required one is an error; packed outputs are called ``<name>.tgz`` or ``.zip``; without a
key of its own an output goes to ``<workflow>/<pod name>/<file name>``.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from flowcore.artifacts import archive, locations
from flowcore.engine.messages import Invocation
from flowcore.errors import ArtifactError, MissingArtifact
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.ports import RunContext

LONGEST_PARAMETER = 1 << 20


@dataclass(frozen=True, slots=True)
class Declared:
    """An artifact that a template declares: ``settings`` is its JSON, with the location it is bound to."""

    name: str
    path: str
    optional: bool
    settings: JsonObject


def input_artifacts(invocation: Invocation) -> list[Declared]:
    """The declared inputs, each with what it is bound to. What the bound artifact says of its packing counts.

    The template's ``archiveLocation``, if it names a store, is where inputs are that give a key alone, and where outputs go.
    """
    bound = {str(artifact.get("name")): artifact for artifact in _artifacts(invocation.inputs)}
    where = object_of(invocation.body, "archiveLocation")
    return [
        _declared(locations.relocated({**artifact, **bound.get(str(artifact.get("name")), {})}, where), artifact)
        for artifact in _artifacts(invocation.body.get("inputs"))
    ]


def output_artifacts(invocation: Invocation) -> list[Declared]:
    """The declared outputs."""
    where = object_of(invocation.body, "archiveLocation")
    return [_declared(locations.relocated(artifact, where), artifact) for artifact in _artifacts(invocation.body.get("outputs"))]


def output_parameter_files(invocation: Invocation) -> dict[str, str]:
    """The paths of output parameters that are read from files, by name."""
    parameters = objects_of(object_of(invocation.body, "outputs"), "parameters")
    paths = {text_of(parameter, "name"): text_of(object_of(parameter, "valueFrom"), "path") for parameter in parameters}
    return {name: path for name, path in paths.items() if path}


def log_artifact(invocation: Invocation, container: str) -> Declared | None:
    """The artifact that the log of a main container is to become, ``<container>-logs``; None if logs are not kept."""
    where = object_of(invocation.body, "archiveLocation")
    found = locations.location_of(where)
    if not where.get("archiveLogs") or found is None:
        return None
    kind, place = found
    field = locations.KEY_FIELDS.get(kind, "url")
    settings: JsonObject = {kind: {**place, field: f"{place.get(field) or ''}/{container}.log".lstrip("/")}}
    return Declared(f"{container}-logs", "", optional=True, settings=settings)


def _declared(settings: JsonObject, template: JsonObject) -> Declared:
    optional = bool(template.get("optional")) or bool(settings.get("optional"))
    path = template.get("path") or settings.get("path") or ""
    return Declared(str(template.get("name", "")), str(path), optional, settings)


def _artifacts(holder: Json) -> list[JsonObject]:
    return objects_of(holder, "artifacts") if isinstance(holder, dict) else []


def begun_by(source: str, path: str) -> str:
    """The outermost folder around an output's ``path`` that ``source`` makes, else ``path``.

    Where there is no image, the folders around outputs are made for the command, as its image might have them; but making one that is
    there already fails, so what the command makes itself is left to it.
    """
    begun, around = path, posixpath.dirname(path)
    while around.strip("/"):
        if re.search(rf"(?:mkdir|makedirs).*{re.escape(around)}(?![\w/.-])", source):
            begun = around
        around = posixpath.dirname(around)
    return begun


async def place_input(artifact: Declared, target: Path, context: RunContext) -> bool:
    """Load and unpack the artifact to the new path ``target``; false if it is optional and not there. Raises ArtifactError."""
    if not locations.has_place(artifact.settings):
        if artifact.optional:
            return False
        raise ArtifactError(f"required artifact '{artifact.name}' not supplied")
    loaded = target.with_name(f".{target.name}.loading")
    try:
        await locations.load(artifact.settings, loaded, context)
        await to_thread.run_sync(_settle, artifact, loaded, target)
    except MissingArtifact as error:
        if artifact.optional:
            return False
        raise MissingArtifact(f"artifact {artifact.name} failed to load: {error}") from error
    except ArtifactError as error:
        raise type(error)(f"artifact {artifact.name} failed to load: {error}") from error
    return True


def _settle(artifact: Declared, loaded: Path, target: Path) -> None:
    given = locations.location_of(artifact.settings)
    if given is not None and given[0] in ("raw", "git"):
        loaded.rename(target)
    else:
        archive.unpack(loaded, target, archive.archive_of(artifact.settings))
    mode = artifact.settings.get("mode")
    if isinstance(mode, int):
        _change_mode(target, mode & 0o777, recurse=bool(artifact.settings.get("recurseMode")))


def _change_mode(target: Path, mode: int, *, recurse: bool) -> None:
    """Change modes as the artifact asks; links are left alone, as their targets are in the folder anyway."""
    if recurse and target.is_dir():
        for around, folders, files in os.walk(target, topdown=False):
            for name in (*folders, *files):
                if not stat.S_ISLNK((place := Path(around, name)).lstat().st_mode):
                    place.chmod(mode)
    target.chmod(mode)


def default_key(invocation: Invocation, artifact: Declared) -> str:
    """Where an output artifact without a key of its own is kept."""
    packed = archive.archive_of(artifact.settings) or archive.Archive()
    return f"{invocation.workflow}/{invocation.pod_name}/{packed.file_name(artifact.name, artifact.path)}"


async def keep_output(artifact: Declared, source: Path | int, context: RunContext, key: str, scratch: Path) -> JsonObject:
    """Pack the file or folder ``source`` (a path, or an opened one) and store it; its location as Argo records it. Raises ArtifactError.

    ``key`` is used when the artifact names none; ``scratch`` is a folder for the packed file.
    """
    packing = archive.archive_of(artifact.settings) or archive.Archive()
    packed = scratch / f"packed-{len(artifact.name)}-{abs(hash(artifact.name))}"
    try:
        try:
            await to_thread.run_sync(archive.pack, source, packed, Path(artifact.path).name or artifact.name, packing)
        except ArtifactError as error:
            raise type(error)(f"artifact {artifact.name} failed to be saved: {error}") from error
        return await keep_packed(artifact, packed, context, key)
    finally:
        await to_thread.run_sync(_remove, packed)


async def keep_packed(artifact: Declared, packed: Path, context: RunContext, key: str) -> JsonObject:
    """Store the file ``packed``, which is packed as the artifact asks; its location as Argo records it. Raises ArtifactError."""
    try:
        location = await locations.save(artifact.settings, packed, context, key)
    except ArtifactError as error:
        raise type(error)(f"artifact {artifact.name} failed to be saved: {error}") from error
    kept: Mapping[str, Json] = {field: artifact.settings[field] for field in ("archive",) if field in artifact.settings}
    return {**location, **kept}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def read_parameter(opened: int, path: str) -> str:
    """The text of an opened output parameter file, without one line end. Raises ArtifactError if it is too large or no text."""
    with os.fdopen(os.dup(opened), "rb") as file:
        content = file.read(LONGEST_PARAMETER + 1)
    if len(content) > LONGEST_PARAMETER:
        raise ArtifactError(f"the output parameter file {path} is larger than {LONGEST_PARAMETER} bytes; make it an output artifact")
    return content.decode("utf-8", "replace").removesuffix("\n")
