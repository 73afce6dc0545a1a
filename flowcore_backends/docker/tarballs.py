"""Tar files on their way into containers and out of them. All functions block, so async callers put them into a thread.

What comes out was packed by the engine from files that nobody vouches for: only files, folders and links are taken over, and nothing is unpacked
here but single files.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flowcore.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to put into a container at ``path``: bytes, a file or folder of this machine, or, for None, an empty folder."""

    path: str
    content: bytes | Path | None
    mode: int = 0o755


def packed(entries: Sequence[Entry], scratch: Path | None = None) -> bytes | Path:
    """A tar with ``entries``, all owned by root: bytes, or a file in the folder ``scratch`` where files of this machine are among them.

    Folders around them are left to the engine, which makes those that are missing.
    """
    if scratch is None or not any(isinstance(entry.content, Path) for entry in entries):
        written = io.BytesIO()
        _write(written, entries)
        return written.getvalue()
    number, name = tempfile.mkstemp(prefix="put-", suffix=".tar", dir=scratch)
    with os.fdopen(number, "wb") as file:
        _write(file, entries)
    return Path(name)


def _write(file: IO[bytes], entries: Sequence[Entry]) -> None:
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            name = entry.path.strip("/")
            if isinstance(entry.content, Path):
                tar.add(entry.content, name, filter=_owned_by_root)
                continue
            member = tarfile.TarInfo(name)
            member.mode = entry.mode
            if entry.content is None:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            else:
                member.size = len(entry.content)
                tar.addfile(member, io.BytesIO(entry.content))


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def repack(source: Path, target: Path, name: str, *, level: int | None, links: bool = True) -> None:
    """Copy the engine's tar ``source``, its first part renamed to ``name``: gzipped with ``level``, or as it is for None.

    Devices, pipes and sockets are left out, and links too unless ``links``. Raises ArtifactError if it holds no file or folder.
    """
    try:
        with target.open("wb") as file, tarfile.open(source, "r|") as read:
            if level is None:
                _copy(read, file, name, links=links)
            else:
                with gzip.GzipFile(filename="", mode="wb", compresslevel=6 if level < 0 else level, fileobj=file, mtime=0) as packed:
                    _copy(read, packed, name, links=links)
    except (tarfile.TarError, OSError) as error:
        raise ArtifactError(f"{name} could not be packed: {error}") from error


def _copy(read: tarfile.TarFile, file: IO[bytes] | gzip.GzipFile, name: str, *, links: bool) -> None:
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as written:
        first = True
        for member in _members(read, name):
            if first and not (member.isreg() or member.isdir()):
                raise ArtifactError(f"{name} is not a regular file or directory")
            first = False
            if member.isreg():
                written.addfile(member, read.extractfile(member))
            elif member.isdir() or (links and (member.issym() or member.islnk())):
                written.addfile(member)


def _members(read: tarfile.TarFile, name: str) -> Iterator[tarfile.TarInfo]:
    for member in read:
        top, _, rest = member.name.strip("/").partition("/")
        member.name = f"{name}/{rest}" if rest else name
        if member.islnk() and (member.linkname == top or member.linkname.startswith(f"{top}/")):
            member.linkname = name + member.linkname[len(top) :]
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.pax_headers = {}
        yield member


def only_file(source: Path, most: int, path: str) -> bytes:
    """The content of the one file in the engine's tar ``source``. Raises ArtifactError if it is no file or larger than ``most`` bytes."""
    try:
        with tarfile.open(source, "r|") as read:
            member = read.next()
            content = read.extractfile(member) if member is not None and member.isreg() else None
            if member is None or content is None:
                raise ArtifactError(f"{path} is not a regular file")
            if member.size > most:
                raise ArtifactError(f"{path} is larger than {most} bytes")
            return content.read()
    except tarfile.TarError as error:
        raise ArtifactError(f"{path} could not be read: {error}") from error
