"""Packing and unpacking of artifacts: gzipped tar, zip, or as they are, by Argo's rules for file names and for detecting what was packed.

Archives come from strangers. They are unpacked member by member into a new folder (``fresh_folder.py``), within ``Limits``. Called by
``staging.py``; all functions block, so async callers put them into a thread.
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from flowcore.artifacts.fresh_folder import FreshFolder
from flowcore.artifacts.tar_members import Source, TarReader
from flowcore.errors import ArtifactError, UnsafeArchive
from flowcore.jsontypes import Json, JsonObject

Format: TypeAlias = Literal["tar", "zip", "none"]

_CHUNK = 1 << 16
_SUFFIXES: dict[Format, str] = {"tar": ".tgz", "zip": ".zip"}
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may cost: bytes and members when unpacked; ``ratio`` to its packed size counts from ``ratio_from`` bytes on."""

    total: int = 16 << 30
    members: int = 1_000_000
    ratio: int = 250
    ratio_from: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Archive:
    """How an artifact is packed; ``level`` is zlib's, -1 for its default."""

    format: Format = "tar"
    level: int = -1

    def file_name(self, name: str, path: str) -> str:
        """The name of the packed file, as Argo chooses it: the artifact's with a suffix, or the last part of its path."""
        suffix = _SUFFIXES.get(self.format)
        return name + suffix if suffix else Path(path).name or name


def archive_of(artifact: JsonObject) -> Archive | None:
    """What an artifact's ``archive`` asks for; None if it says nothing. Raises ArtifactError for a compression level that does not exist."""
    given = artifact.get("archive")
    if not isinstance(given, dict):
        return None
    for kind in ("none", "tar", "zip"):
        if given.get(kind) is not None:
            return Archive("none" if kind == "none" else "tar" if kind == "tar" else "zip", _level(given[kind]))
    return None


def _level(settings: Json) -> int:
    level = settings.get("compressionLevel") if isinstance(settings, dict) else None
    if level is None:
        return -1
    if not isinstance(level, int) or not -1 <= level <= 9:
        raise ArtifactError(f"archive.tar.compressionLevel is {level}; it goes from 0 (none) to 9 (smallest), -1 is the default")
    return level


# --- packing --------------------------------------------------------------------------------------------------------------------------


def pack(source: Path | int, target: Path, name: str, archive: Archive) -> None:
    """Pack the file or folder ``source`` (a path, or the number of an opened one) into ``target``; its entry is called ``name``.

    Links inside a folder are packed as links; sockets, pipes and devices are left out. ``none`` copies files and folders. Raises ArtifactError.
    """
    try:
        opened = os.dup(source) if isinstance(source, int) else os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise ArtifactError(f"{name} could not be packed: {error}") from error
    try:
        kind = os.fstat(opened).st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):
            raise ArtifactError(f"{name} is not a regular file or directory")
        if archive.format == "tar":
            _pack_tar(opened, target, name, archive.level)
        elif archive.format == "zip":
            _pack_zip(opened, target, name)
        else:
            _copy(opened, target)
    except OSError as error:
        raise ArtifactError(f"{name} could not be packed: {error}") from error
    finally:
        os.close(opened)


def _pack_tar(opened: int, target: Path, name: str, level: int) -> None:
    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6 if level < 0 else level, fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for entry in _walk(opened, name):
            member = tarfile.TarInfo(entry.name)
            member.mode, member.mtime = stat.S_IMODE(entry.mode), entry.modified
            if entry.link is not None:
                member.type, member.linkname = tarfile.SYMTYPE, entry.link
            elif stat.S_ISDIR(entry.mode):
                member.type = tarfile.DIRTYPE
            elif entry.file is not None:
                member.size = os.fstat(entry.file).st_size
                with os.fdopen(os.dup(entry.file), "rb") as content:
                    tar.addfile(member, content)
                continue
            tar.addfile(member)


def _pack_zip(opened: int, target: Path, name: str) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for entry in _walk(opened, name):
            member = zipfile.ZipInfo(entry.name + ("/" if stat.S_ISDIR(entry.mode) else ""))
            member.external_attr = (entry.mode & 0xFFFF) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            if entry.link is not None:
                packed.writestr(member, os.fsencode(entry.link))
            elif entry.file is not None:
                with os.fdopen(os.dup(entry.file), "rb") as content, packed.open(member, "w", force_zip64=True) as written:
                    shutil.copyfileobj(content, written, _CHUNK)
            else:
                packed.writestr(member, b"")


def _copy(opened: int, target: Path) -> None:
    for entry in _walk(opened, ""):
        place = target / entry.name if entry.name else target
        if entry.link is not None:
            continue
        if entry.file is None:
            place.mkdir(parents=True, exist_ok=True)
        else:
            with os.fdopen(os.dup(entry.file), "rb") as content, place.open("wb") as written:
                shutil.copyfileobj(content, written, _CHUNK)
            place.chmod(stat.S_IMODE(entry.mode) & 0o777 | 0o600)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    mode: int
    modified: int
    file: int | None = None  # an opened regular file
    link: str | None = None


def _walk(opened: int, name: str) -> Iterator[_Entry]:
    """The opened file or folder and all below it, in order of name, without following a link."""
    facts = os.fstat(opened)
    if stat.S_ISREG(facts.st_mode):
        yield _Entry(name, facts.st_mode, int(facts.st_mtime), file=opened)
        return
    yield _Entry(name, facts.st_mode, int(facts.st_mtime))
    for child in sorted(os.listdir(opened)):
        below = f"{name}/{child}" if name else child
        facts = os.stat(child, dir_fd=opened, follow_symlinks=False)
        if stat.S_ISLNK(facts.st_mode):
            yield _Entry(below, facts.st_mode, int(facts.st_mtime), link=os.readlink(child, dir_fd=opened))
        elif stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode):
            with _opened(child, opened) as number:
                yield from _walk(number, below)


@contextmanager
def _opened(name: str, folder: int) -> Iterator[int]:
    number = os.open(name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), dir_fd=folder)
    try:
        yield number
    finally:
        os.close(number)


# --- unpacking ------------------------------------------------------------------------------------------------------------------------


def is_tarball(path: Path) -> bool:
    """Whether the file is a gzipped tar, judged by its beginning."""
    try:
        with gzip.open(path, "rb") as content:
            return next(iter(TarReader(content)), None) is not None
    except (ArtifactError, OSError, EOFError, zlib.error):
        return False


def unpack(source: Path, target: Path, archive: Archive | None = None, limits: Limits | None = None) -> None:
    """Bring the loaded file ``source`` to ``target``, which must not exist: unpacked if it is packed, moved if not.

    Without ``archive`` a gzipped tar is found by its content (a zip never is). A single entry becomes ``target`` itself, several become a
    folder of that name. Raises UnsafeArchive, or ArtifactError for an archive that cannot be read.
    """
    if source.is_dir() or (archive is not None and archive.format == "none") or (archive is None and not is_tarball(source)):
        source.rename(target)
        return
    fresh = target.with_name(f".{target.name}.unpacking")
    try:
        with FreshFolder(fresh) as folder:
            if archive is not None and archive.format == "zip":
                _unpack_zip(source, folder, limits or Limits())
            else:
                _unpack_tar(source, folder, limits or Limits())
            folder.create_links()
            top = folder.top
        if len(top) == 1:
            (fresh / top.pop()).rename(target)
        else:
            fresh.rename(target)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ArtifactError(f"the archive cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        source.unlink(missing_ok=True)


class _Bounded:
    """Counts what is read and stops at the limits."""

    def __init__(self, packed: int, limits: Limits) -> None:
        self.most = min(limits.total, max(limits.ratio_from, packed * limits.ratio))
        self.most_members = limits.members
        self.read = self.members = 0

    def count(self, size: int) -> None:
        self.read += size
        if self.read > self.most:
            raise UnsafeArchive(f"the archive unpacks to more than {self.most} bytes")

    def count_member(self) -> None:
        self.members += 1
        if self.members > self.most_members:
            raise UnsafeArchive(f"the archive holds more than {self.most_members} entries")

    def copy(self, source: Source, target: BinaryIO) -> None:
        while data := source.read(_CHUNK):
            target.write(data)


class _Counted:
    """A source whose every byte counts."""

    def __init__(self, source: Source, bounds: _Bounded) -> None:
        self._source, self._bounds = source, bounds

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._bounds.count(len(data))
        return data


def _unpack_tar(source: Path, folder: FreshFolder, limits: Limits) -> None:
    bounds = _Bounded(source.stat().st_size, limits)
    with _tar_content(source) as content:
        reader = TarReader(_Counted(content, bounds))
        for member in reader:
            bounds.count_member()
            if member.kind == "folder":
                folder.folder(member.name, member.mode)
            elif member.kind == "symlink":
                folder.link(member.name, member.target)
            elif member.kind == "hardlink":
                with folder.existing_file(member.target) as first, folder.file(member.name, member.mode, member.modified) as file:
                    bounds.copy(_Counted(first, bounds), file)
            else:
                with folder.file(member.name, member.mode, member.modified) as file:
                    bounds.copy(reader, file)


@contextmanager
def _tar_content(source: Path) -> Iterator[BinaryIO]:
    with source.open("rb") as file:
        magic = file.read(2)
        file.seek(0)
        if magic != b"\x1f\x8b":
            yield file
            return
        with gzip.GzipFile(fileobj=file, mode="rb") as content:
            yield content  # type: ignore[misc]  # GzipFile reads as a BinaryIO does


def _unpack_zip(source: Path, folder: FreshFolder, limits: Limits) -> None:
    bounds = _Bounded(source.stat().st_size, limits)
    with zipfile.ZipFile(source) as packed:
        _refuse_overlaps(packed)
        for member in packed.infolist():
            bounds.count_member()
            _unpack_zip_member(packed, member, folder, bounds)


def _unpack_zip_member(packed: zipfile.ZipFile, member: zipfile.ZipInfo, folder: FreshFolder, bounds: _Bounded) -> None:
    mode = member.external_attr >> 16
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _ZIP_METHODS:
        raise ArtifactError(f"{member.filename!r} is encrypted or packed by a method other than deflate")
    if member.is_dir():
        folder.folder(member.filename, mode or 0o755)
        return
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFLNK):
        raise UnsafeArchive(f"{member.filename!r} is neither a file nor a folder nor a link")
    with packed.open(member) as content:
        counted = _Counted(content, bounds)
        if stat.S_ISLNK(mode):
            folder.link(member.filename, os.fsdecode(counted.read(_CHUNK)))
        else:
            with folder.file(member.filename, stat.S_IMODE(mode) or 0o644, _zip_time(member)) as file:
                bounds.copy(counted, file)


def _zip_time(member: zipfile.ZipInfo) -> int:
    with suppress(ValueError, OverflowError):
        import calendar

        return calendar.timegm((*member.date_time, 0, 0, 0))
    return 0


def _refuse_overlaps(packed: zipfile.ZipFile) -> None:
    """Entries that share packed bytes multiply them: such a file is a bomb."""
    end = 0
    for member in sorted(packed.infolist(), key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise UnsafeArchive(f"{member.filename!r} overlaps another entry of the archive")
        end = member.header_offset + 30 + member.compress_size
