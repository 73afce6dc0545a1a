"""Linux namespaces and mounts, by the C library: what the launcher needs to give a process its own view of the file system.

Imported only inside the launcher process. Where the C library has no such functions, ``available`` is false.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

NEW_MOUNTS = 0x00020000
NEW_USER = 0x10000000
NEW_PIDS = 0x20000000

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 1, 2, 4, 8, 32
_NOATIME, _NODIRATIME, _BIND, _REC, _PRIVATE, _RELATIME = 1 << 10, 1 << 11, 1 << 12, 1 << 14, 1 << 18, 1 << 21
_DETACH = 2
_SET_DEATH_SIGNAL, _SET_SUBREAPER = 1, 36

# The mount flags that a read-only remount has to repeat, by the bits of statvfs that show them.
_KEPT_FLAGS = {2: _NOSUID, 4: _NODEV, 8: _NOEXEC, 1024: _NOATIME, 2048: _NODIRATIME, 4096: _RELATIME}

available = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True) if available else None


def _call(name: str, *arguments: object, place: str = "") -> None:
    function = getattr(_libc, name)
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}", place or None)


def die_with_parent(signal_number: int) -> None:
    """Have the kernel send this process a signal when its parent ends."""
    if available:
        _call("prctl", _SET_DEATH_SIGNAL, signal_number, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ended, so that none gets out of sight."""
    if available:
        _call("prctl", _SET_SUBREAPER, 1, 0, 0, 0)


def separate(*, user: bool) -> None:
    """Leave the machine's mounts and process ids for new ones; ``user`` adds a user namespace, which an ordinary user needs for that.

    The new process ids begin with the next child. User and group keep their numbers, so files have the owner they had.
    """
    if not available:
        raise OSError("this platform has no namespaces")
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", NEW_MOUNTS | NEW_PIDS | (NEW_USER if user else 0))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    _mount(None, "/", None, _REC | _PRIVATE)


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    _call(
        "mount",
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        None,
        place=target,
    )


def bind(source: str, target: str, *, read_only: bool = False) -> None:
    """Show the file or folder ``source`` with all that is mounted below it at ``target``, which must exist."""
    _mount(source, target, None, _BIND | _REC)
    if read_only:
        shown = os.statvfs(target).f_flag
        kept = sum(flag for bit, flag in _KEPT_FLAGS.items() if shown & bit)
        _mount(None, target, None, _BIND | _REMOUNT | _RDONLY | kept)


def mount_proc(target: str) -> bool:
    """Mount the processes of the new namespace; false where the machine does not allow it (as inside most containers)."""
    try:
        _mount("proc", target, "proc", _NOSUID | _NODEV | _NOEXEC)
    except OSError:
        return False
    return True


def change_root(folder: str, old: str) -> None:
    """Make ``folder`` the root; what was the root until now appears at ``old`` below it."""
    bind(folder, folder)
    os.chdir(folder)
    _call("pivot_root", b".", os.fsencode(old.lstrip("/")), place=folder)
    os.chdir("/")


def detach(target: str) -> None:
    """Take away what is mounted at ``target``."""
    _call("umount2", os.fsencode(target), _DETACH, place=target)
