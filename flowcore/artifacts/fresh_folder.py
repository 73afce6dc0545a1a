"""A new folder that is filled with names that nobody vouches for. Used by ``archive.py`` for what it unpacks.

Everything is created relative to an opened folder, never through a link: each folder on the way is opened with O_NOFOLLOW, files are new.
Symbolic links come last, and only those whose target provably stays inside, followed through all other links of the folder.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from flowcore.errors import ArtifactError, UnsafeArchive

Parts: TypeAlias = tuple[str, ...]

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | _NOFOLLOW
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW
_MOST_HOPS = 40
_MOST_DEPTH = 200
_LONGEST_NAME = 4096


class FreshFolder:
    """Fills the new, empty folder ``path``; use it in a ``with`` statement, and call ``create_links`` at the end."""

    def __init__(self, path: Path) -> None:
        if os.open not in os.supports_dir_fd:
            raise ArtifactError("archives cannot be unpacked safely on this platform: it opens no files relative to a folder")
        path.mkdir(parents=True)
        self.path = path
        self._root = os.open(path, _FOLDER_FLAGS)
        self._kinds: dict[Parts, Literal["file", "folder"]] = {}
        self._links: dict[Parts, str] = {}

    def __enter__(self) -> FreshFolder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    @property
    def top(self) -> set[str]:
        """The names directly in the folder."""
        return {parts[0] for parts in (*self._kinds, *self._links)}

    def folder(self, name: str, mode: int = 0o755) -> None:
        """Create the folder ``name`` and those around it; always open to its owner."""
        if parts := parts_of(name):
            with self._parent((*parts, "")) as opened:
                os.fchmod(opened, mode & 0o777 | 0o700)

    @contextmanager
    def file(self, name: str, mode: int, modified: int) -> Iterator[BinaryIO]:
        """Create the file ``name``, in place of an earlier one, with the bits ``mode`` but without setuid, setgid and sticky."""
        parts = self._named(name)
        with self._parent(parts) as parent:
            self._forget(parts, parent)
            number = os.open(parts[-1], _NEW_FILE_FLAGS, 0o600, dir_fd=parent)
            self._kinds[parts] = "file"
            with os.fdopen(number, "wb") as opened:
                yield opened
                opened.flush()
                os.fchmod(number, mode & 0o777)
                with suppress(OSError, OverflowError):
                    os.utime(number, (modified, modified))

    @contextmanager
    def existing_file(self, name: str) -> Iterator[BinaryIO]:
        """Read the file ``name`` that was created before."""
        parts = self._named(name)
        if self._kinds.get(parts) != "file":
            raise UnsafeArchive(f"a hard link points to {name!r}, which is no earlier file of the archive")
        with self._parent(parts) as parent, os.fdopen(os.open(parts[-1], os.O_RDONLY | _NOFOLLOW, dir_fd=parent), "rb") as opened:
            yield opened

    def link(self, name: str, target: str) -> None:
        """Remember the symbolic link ``name``, which ``create_links`` checks and creates."""
        parts = self._named(name)
        if self._kinds.get(parts) == "folder":
            raise UnsafeArchive(f"{name!r} is both a folder and a link")
        with self._parent(parts) as parent:
            self._forget(parts, parent)
        self._links[parts] = target

    def create_links(self) -> None:
        """Create the symbolic links. Raises UnsafeArchive for one that leaves the folder, or its only entry, on any way."""
        base = next(iter(self.top)) if len(self.top) == 1 else None
        inside = (base,) if base is not None else ()
        for parts, target in self._links.items():
            self._check(parts, target, inside)
        for parts, target in self._links.items():
            with self._parent(parts) as parent:
                os.symlink(target, parts[-1], dir_fd=parent)

    def _check(self, parts: Parts, target: str, inside: Parts) -> None:
        """Follow ``target`` step by step through everything that will be in the folder."""
        name = "/".join(parts)
        place, hops, waiting = list(parts[:-1]), 0, deque(_steps(name, target))
        if len(place) < len(inside):
            raise UnsafeArchive(f"the archive holds nothing but a link, {name!r}")
        while waiting:
            step = waiting.popleft()
            if step == "..":
                if len(place) <= len(inside) or self._kinds.get(tuple(place)) != "folder":
                    raise UnsafeArchive(f"the link {name!r} points outside: {target!r}")
                place.pop()
            elif (further := self._links.get((*place, step))) is not None:
                hops += 1
                if hops > _MOST_HOPS:
                    raise UnsafeArchive(f"the link {name!r} goes round in circles")
                waiting.extendleft(reversed(_steps(name, further)))
            else:
                place.append(step)

    def _named(self, name: str) -> Parts:
        parts = parts_of(name)
        if not parts:
            raise UnsafeArchive(f"the archive has an entry without a name: {name!r}")
        return parts

    def _forget(self, parts: Parts, parent: int) -> None:
        """Make way for ``parts``: a later entry replaces an earlier one, except that a folder stays a folder."""
        self._links.pop(parts, None)
        if self._kinds.get(parts) == "folder":
            raise UnsafeArchive(f"{'/'.join(parts)!r} is both a folder and a file")
        if self._kinds.pop(parts, None) is not None:
            os.unlink(parts[-1], dir_fd=parent)

    @contextmanager
    def _parent(self, parts: Parts) -> Iterator[int]:
        """The opened folder around ``parts``, made where it is missing."""
        opened = os.dup(self._root)
        try:
            for depth, name in enumerate(parts[:-1], start=1):
                around = parts[:depth]
                if around in self._links or self._kinds.get(around) == "file":
                    raise UnsafeArchive(f"{'/'.join(parts)!r} lies below {'/'.join(around)!r}, which is no folder")
                if around not in self._kinds:
                    os.mkdir(name, 0o755, dir_fd=opened)
                    self._kinds[around] = "folder"
                below = os.open(name, _FOLDER_FLAGS, dir_fd=opened)
                os.close(opened)
                opened = below
            yield opened
        except OSError as error:
            raise ArtifactError(f"{'/'.join(parts)!r} could not be unpacked: {error.strerror or error}") from error
        finally:
            os.close(opened)


def parts_of(name: str) -> Parts:
    """The parts of a member's name, which must stay below the folder. A leading slash is dropped, as every unpacker does."""
    if len(name) > _LONGEST_NAME or "\0" in name:
        raise UnsafeArchive(f"the archive has a name that is too long or holds a NUL: {name[:80]!r}")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or len(parts) > _MOST_DEPTH:
        raise UnsafeArchive(f"the archive has a name that leaves its folder or lies too deep: {name[:200]!r}")
    return parts


def _steps(name: str, target: str) -> list[str]:
    if not target or target.startswith("/") or "\0" in target or len(target) > _LONGEST_NAME:
        raise UnsafeArchive(f"the link {name!r} points outside: {target[:200]!r}")
    return [step for step in target.split("/") if step not in ("", ".")]
