"""A container's own view of the file system, carried out step by step as ``layout.py`` drew it up. Runs inside the launcher's forks.

The new root is a folder of ours; the machine's folders appear in it by bind mounts. Nothing is created outside folders of ours: each folder on
the way to a new entry is opened without following links.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from flowcore_backends.local import namespaces

_OLD_ROOT = "/.machine"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def enter(root: str, steps: list[list[str]]) -> None:
    """Make ``root`` the root of this process's mounts and carry out ``steps`` in it; raises OSError naming the place.

    Steps, sources being paths of the machine: ``folder PATH MODE``, ``file PATH``, ``link TARGET PATH``, ``bind SOURCE PATH``,
    ``bind_read_only SOURCE PATH``, ``proc PATH``.
    """
    Path(root + _OLD_ROOT).mkdir(exist_ok=True)  # a container that is run again begins where it left its files
    namespaces.change_root(root, _OLD_ROOT)
    for step in steps:
        _carry_out(step)
    namespaces.detach(_OLD_ROOT)
    Path(_OLD_ROOT).rmdir()


def _carry_out(step: list[str]) -> None:
    match step:
        case ["folder", path, mode]:
            _make_folder(path, int(mode, 8))
        case ["file", path]:
            _make_file(path)
        case ["link", target, path]:
            with suppress(FileExistsError):
                Path(path).symlink_to(target)
        case ["bind", source, path]:
            namespaces.bind(_OLD_ROOT + source, path)
        case ["bind_read_only", source, path]:
            namespaces.bind(_OLD_ROOT + source, path, read_only=True)
        case ["proc", path]:
            if not namespaces.mount_proc(path):
                namespaces.bind(f"{_OLD_ROOT}/proc", path)
        case _:
            raise OSError(f"the launcher does not know the step {step}")


def _make_folder(path: str, mode: int) -> None:
    parent, name = _open_parent(path)
    try:
        with suppress(FileExistsError):
            os.mkdir(name, mode, dir_fd=parent)
            os.chmod(name, mode, dir_fd=parent)
    finally:
        os.close(parent)


def _make_file(path: str) -> None:
    parent, name = _open_parent(path)
    try:
        with suppress(FileExistsError):
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=parent))
    finally:
        os.close(parent)


def _open_parent(path: str) -> tuple[int, str]:
    """The folder of ``path``, opened without following links, and the last name."""
    *folders, name = [part for part in path.split("/") if part]
    opened = os.open("/", _FOLDER_FLAGS)
    for folder in folders:
        try:
            below = os.open(folder, _FOLDER_FLAGS, dir_fd=opened)
        except OSError as error:
            raise OSError(error.errno, f"{os.strerror(error.errno or 0)} on the way to {path}", folder) from error
        finally:
            os.close(opened)
        opened = below
    return opened, name
