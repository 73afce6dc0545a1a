"""The driver for ``hdfs`` locations: files and folders in HDFS, by WebHDFS. Found by ``drivers.py``; needs nothing that is not in Python.

Rules: Argo's meaning of ``addresses``, ``hdfsUser`` and ``force``. Folders, deleting and listing are more than Argo's own driver does.
"""

from __future__ import annotations

import contextlib
import os
import secrets as chance
from collections.abc import Iterator
from pathlib import Path

from anyio import to_thread

from flowcore.artifacts.keys import parts_of_key
from flowcore.artifacts.secrets import SecretReader
from flowcore.artifacts.webhdfs import WebHdfs
from flowcore.errors import ArtifactError, MissingArtifact
from flowcore.jsontypes import JsonObject, text_of

MOST_FILES = 100_000
_PROTECTED = ("integrity", "privacy")


class HdfsDriver:
    """An ``ArtifactDriver`` over WebHDFS."""

    async def load(self, location: JsonObject, target: Path, secrets: SecretReader) -> None:
        """Write the file to ``target``, or the folder with all that is in it. Raises ArtifactError, MissingArtifact."""
        await to_thread.run_sync(_load, _opened(location), _path(location), target, abandon_on_cancel=True)

    async def save(self, location: JsonObject, source: Path, secrets: SecretReader) -> None:
        """Store the file ``source``, or a folder file by file. Raises ArtifactError, also for a file that is there unless ``force`` is given."""
        path, force = _path(location), bool(location.get("force"))
        await to_thread.run_sync(_save, _opened(location), path, source, force, abandon_on_cancel=True)

    async def keys(self, location: JsonObject, secrets: SecretReader) -> list[str]:
        """The paths of all files whose paths begin with the location's, with a leading slash if that has one. Raises ArtifactError."""
        beginning = text_of(location, "path")
        return await to_thread.run_sync(_keys, _opened(location), beginning, abandon_on_cancel=True)

    async def delete(self, location: JsonObject, secrets: SecretReader) -> None:
        """Remove the file, or the folder with all that is in it; that there is none is no error. Raises ArtifactError."""
        await to_thread.run_sync(_opened(location).delete, _path(location), abandon_on_cancel=True)


def _opened(location: JsonObject) -> WebHdfs:
    """The file system that the location names. Raises ArtifactError for what it asks for and cannot have here."""
    for field in ("krbCCacheSecret", "krbKeytabSecret"):
        if location.get(field):
            raise ArtifactError(
                f"hdfs.{field}: Kerberos is not spoken here; give the address of a gateway that takes hdfsUser (HttpFS, for instance) and remove "
                f"the krb fields, or install a driver of your own as the entry point 'hdfs' of flowcore.artifacts"
            )
    given = location.get("addresses")
    addresses = [str(address) for address in given] if isinstance(given, list) else []
    if not addresses:
        raise ArtifactError("hdfs.addresses is missing: it names the name nodes")
    protection = text_of(location, "dataTransferProtection")
    encrypted = protection in _PROTECTED
    if encrypted and not all(address.startswith(("https://", "swebhdfs://")) for address in addresses):
        raise ArtifactError(
            f"hdfs.dataTransferProtection is {protection}, which plain http does not give: name addresses that begin with https://"
        )
    return WebHdfs(addresses, text_of(location, "hdfsUser"), encrypted=encrypted)


def _path(location: JsonObject) -> str:
    path = text_of(location, "path")
    if not path:
        raise ArtifactError("hdfs.path is missing: it says where the artifact is")
    return "/" + "/".join(parts_of_key(path.lstrip("/")))


def _load(system: WebHdfs, path: str, target: Path) -> None:
    found = system.status(path)
    if found is None:
        raise MissingArtifact(f"no artifact is stored under the path {path!r} in HDFS")
    if found.get("type") != "DIRECTORY":
        system.read(path, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    for below, is_folder in _walked(system, path):
        place = target.joinpath(*parts_of_key(below[len(path) :].lstrip("/")))
        if is_folder:
            place.mkdir(parents=True, exist_ok=True)
        else:
            system.read(below, place)


def _save(system: WebHdfs, path: str, source: Path, force: bool) -> None:
    if not source.is_dir():
        system.make_folder(path.rpartition("/")[0] or "/")
        _put(system, path, source, force)
        return
    for around, folders, files in os.walk(source):
        folders[:] = [name for name in folders if not Path(around, name).is_symlink()]
        below = "/".join((path, *Path(around).relative_to(source).parts))
        system.make_folder(below)
        for name in sorted(files):
            if (file := Path(around, name)).is_file() and not file.is_symlink():
                _put(system, f"{below}/{name}", file, force)


def _put(system: WebHdfs, path: str, source: Path, force: bool) -> None:
    """Store one file under another name first: what is stored under its own name is whole."""
    there = system.status(path)
    if there is not None and (not force or there.get("type") == "DIRECTORY"):
        remedy = "is a folder" if force else "is there already; force: true replaces it"
        raise ArtifactError(f"{path} in HDFS {remedy}")
    folder, _, name = path.rpartition("/")
    unfinished = f"{folder}/.{name[:200]}.{chance.token_hex(6)}.part"
    try:
        system.write(unfinished, source)
        if there is not None:
            system.delete(path)
        if not system.rename(unfinished, path):
            raise ArtifactError(f"{path} in HDFS cannot be written: somebody else has made it, or its folder is gone")
    except BaseException:
        with contextlib.suppress(ArtifactError):
            system.delete(unfinished)
        raise


def _keys(system: WebHdfs, beginning: str) -> list[str]:
    absolute = "/" + beginning.lstrip("/")
    folder = absolute.rpartition("/")[0]
    if folder.strip("/"):
        parts_of_key(folder.lstrip("/"))
    try:
        found = [path for path, is_folder in _walked(system, folder, absolute) if not is_folder]
    except MissingArtifact:
        return []
    return sorted(found if beginning.startswith("/") else [path[1:] for path in found])


def _walked(system: WebHdfs, folder: str, beginning: str = "") -> Iterator[tuple[str, bool]]:
    """Everything below a folder whose path begins so, folders before what is in them."""
    waiting, seen = [folder], 0
    while waiting:
        around = waiting.pop()
        for entry in system.listed(around or "/"):
            path, is_folder = f"{around}/{text_of(entry, 'pathSuffix')}", entry.get("type") == "DIRECTORY"
            if not path.startswith(beginning) or path == f"{around}/" or entry.get("type") not in ("FILE", "DIRECTORY"):
                continue
            seen += 1
            if seen > MOST_FILES:
                raise ArtifactError(f"more than {MOST_FILES} files are stored below {folder or '/'} in HDFS")
            yield path, is_folder
            if is_folder:
                waiting.append(path)


__all__ = ["HdfsDriver"]
