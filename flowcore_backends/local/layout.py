"""Which path of a container shows what: draws up the steps that ``view.py`` carries out. Pure but for a look at the machine's folders.

The rule: a declared path is the node's own, everything else is the machine's. The root and ``/tmp`` are always folders of ours. A folder of the
machine in which something has to be created that is not there becomes a folder of ours, in which its former entries appear again.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from flowcore.errors import ExecutorError
from flowcore_backends.container_paths import within

Kind: TypeAlias = Literal["folder", "file", "link"]
Step: TypeAlias = "list[str]"

MOST_ENTRIES = 4096
TERMINATION_LOG = "/dev/termination-log"
_KERNEL_FOLDERS = ("/proc/", "/sys/", "/dev/")
_TMP = "/tmp"  # noqa: S108 - the container's, not the machine's
_SYSTEM_FOLDERS = frozenset(
    {
        "/",
        "/bin",
        "/sbin",
        "/lib",
        "/lib64",
        "/usr",
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib",
        "/usr/local",
        "/etc",
        "/var",
        "/run",
        "/proc",
        "/sys",
        "/dev",
    }
)


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the machine (``source``) that a container sees at ``path``."""

    source: str
    path: str
    folder: bool = True
    read_only: bool = False


class Machine(Protocol):
    """What must be known of the machine's file system."""

    def kind(self, path: str) -> Kind | None:
        """What ``path`` is, following links; None if it is not there."""
        ...

    def entries(self, path: str) -> Mapping[str, Kind]:
        """What the folder ``path`` holds, links not followed; empty if it cannot be read."""
        ...

    def resolve(self, path: str) -> str:
        """``path`` without links, as far as it exists."""
        ...

    def link(self, path: str) -> str:
        """Where the link ``path`` points."""
        ...


class ThisMachine:
    """The file system of this machine; the root's entries are read once."""

    def __init__(self) -> None:
        self._root: Mapping[str, Kind] | None = None

    def kind(self, path: str) -> Kind | None:
        try:
            return "folder" if stat.S_ISDIR(os.stat(path).st_mode) else "file"  # noqa: PTH116 - asked often
        except (OSError, ValueError):  # not there, or not for us to see
            return None

    def entries(self, path: str) -> Mapping[str, Kind]:
        if path != "/":
            return _entries(path)
        if self._root is None:
            self._root = _entries(path)
        return self._root

    def resolve(self, path: str) -> str:
        return os.path.realpath(path)

    def link(self, path: str) -> str:
        return str(Path(path).readlink())


def _entries(path: str) -> dict[str, Kind]:
    try:
        with os.scandir(path) as found:
            return {
                entry.name: "link" if entry.is_symlink() else "folder" if entry.is_dir(follow_symlinks=False) else "file" for entry in found
            }
    except OSError:
        return {}


class Layout:
    """Draws up one container's view.

    ``mounts`` appear at their paths; at ``outputs`` the command can create something; ``folders`` are created where they are not there (as the
    working directory is); ``visible`` are paths of the machine that stay visible although ``/tmp`` is the node's own; ``scratch`` is where the
    folders of ours are kept that lie over the machine's.
    """

    def __init__(
        self,
        machine: Machine,
        scratch: Path,
        *,
        mounts: Iterable[Mount] = (),
        outputs: Iterable[str] = (),
        folders: Iterable[str] = (),
        visible: Iterable[str] = (),
    ) -> None:
        self._machine, self._scratch = machine, scratch
        self._mounts = {(path := self._resolve(mount.path)): replace(mount, path=path) for mount in mounts}
        for path in visible:
            self._mounts.setdefault(path, Mount(path, path, folder=machine.kind(path) == "folder", read_only=False))
        self._outputs = {path for path in map(self._resolve, outputs) if path not in _SYSTEM_FOLDERS}
        self._folders = [self._resolve(path) for path in folders if path != "/"]
        self._declared = {*self._mounts, *self._outputs, _TMP}
        self._shown: dict[str, str | None] = {}  # what a path shows: a path of the machine, or None for a folder of ours
        self._steps: list[Step] = []

    def draw(self) -> list[Step]:
        """The steps, in order. Raises ExecutorError for a path that cannot be made the node's own."""
        self._fill("/")
        self._create(_TMP, mode="1777")
        for folder in sorted(self._covers()):
            self._steps.append(["bind", str(self._new_folder()), folder])
            self._fill(folder)
        for path in sorted({*self._mounts, *self._outputs}, key=lambda path: (path.count("/"), path)):
            if path in self._mounts:
                self._mount(self._mounts[path])
            else:
                self._make_room(path)
        for path in self._folders:
            self._make_folder(path)
        return self._steps

    def _resolve(self, path: str) -> str:
        """``path`` without the machine's links; in ``/tmp`` there are none."""
        clean = posixpath.normpath("/" + path.lstrip("/"))
        if clean.startswith("//") or clean == "/":
            raise ExecutorError("a volume or an artifact cannot take the place of the root folder /; declare a folder below it")
        if clean.startswith(_KERNEL_FOLDERS) and clean != TERMINATION_LOG:
            raise ExecutorError(
                f"{path} lies in a folder of the kernel, where the local backend cannot give a node files of its own; declare another path"
            )
        return clean if within(clean, _TMP) else self._machine.resolve(clean)

    def _covers(self) -> set[str]:
        """The machine's folders in which something has to be created that is not there."""
        found = set()
        for path in [*self._declared, *self._folders]:
            ready = path not in self._outputs and self._machine.kind(path) == (
                "folder" if path not in self._mounts or self._mounts[path].folder else "file"
            )
            if not ready and not any(parent in self._declared for parent in _parents(path)):
                found.add(next(parent for parent in _parents(path) if self._machine.kind(parent) == "folder"))
        return found - {"/"}

    def _new_folder(self) -> Path:
        folder = self._scratch / str(len(self._steps))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _fill(self, folder: str) -> None:
        """Show the machine's entries of ``folder`` in the folder of ours that stands in its place, but for those that are declared."""
        entries = self._machine.entries(folder)
        if len(entries) > MOST_ENTRIES:
            raise ExecutorError(
                f"{folder} holds more than {MOST_ENTRIES} entries, too many to give a node its own view of it; declare another path"
            )
        self._shown[folder] = None
        for name, kind in sorted(entries.items()):
            path = posixpath.join(folder, name)
            if path not in self._declared:
                self._show(path, kind)

    def _show(self, path: str, kind: Kind) -> None:
        self._shown[path] = path
        if kind == "link":
            self._steps.append(["link", self._machine.link(path), path])
        elif kind == "folder":
            self._steps += [["folder", path, "755"], ["proc", path] if path == "/proc" else ["bind", path, path]]
        else:
            self._steps += [["file", path], ["bind", path, path]]

    def _kind(self, path: str) -> Kind | None:
        """What the view shows at ``path`` so far."""
        for around in (path, *_parents(path)):
            if around in self._shown:
                source = self._shown[around]
                if source is None:
                    return "folder" if around == path else None
                return self._machine.kind(source + path.removeprefix(around))
        return None

    def _create(self, path: str, *, folder: bool = True, mode: str = "755") -> None:
        self._steps.append(["folder", path, mode] if folder else ["file", path])
        if folder and self._shown.get(posixpath.dirname(path), "") is None:
            self._shown[path] = None

    def _make_folder(self, path: str) -> None:
        blocking = next((around for around in (path, *_parents(path)) if self._kind(around) == "file"), None)
        if blocking is not None:
            raise ExecutorError(f"there can be no folder {path}: {blocking} is a file; declare another path")
        for missing in [around for around in reversed([path, *_parents(path)]) if self._kind(around) is None]:
            self._create(missing)

    def _mount(self, mount: Mount) -> None:
        if self._kind(mount.path) != ("folder" if mount.folder else "file"):
            self._make_folder(posixpath.dirname(mount.path))
            self._create(mount.path, folder=mount.folder)
        self._steps.append(["bind_read_only" if mount.read_only else "bind", mount.source, mount.path])
        self._shown[mount.path] = mount.source

    def _make_room(self, path: str) -> None:
        """Let the command create ``path``; where the machine has a folder of that name, the node begins with an empty one."""
        self._make_folder(posixpath.dirname(path))
        if (
            self._kind(path) is None
            and self._machine.kind(path) == "folder"
            and not any(parent in self._declared for parent in _parents(path))
        ):
            self._create(path)


def _parents(path: str) -> list[str]:
    """The folders around ``path``, the nearest first."""
    found = []
    while path != "/":
        path = posixpath.dirname(path)
        found.append(path)
    return found
