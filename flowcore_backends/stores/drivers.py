"""Who drives a run: how a process calls itself in a store, and whether the process of a name still lives."""

from __future__ import annotations

import os
import socket
import uuid
from functools import lru_cache
from pathlib import Path

_SELF = uuid.uuid4().hex[:8]


def own_name() -> str:
    """How this process calls itself: host (and its space of process ids), process id, when that began, and a number of chance."""
    number = os.getpid()
    return f"{_machine()}/{number}/{_born(number)}/{_SELF}"


def is_dead(driver: str) -> bool:
    """Whether ``driver`` was a process of this machine that has ended; of other machines nothing is known here."""
    machine, _, rest = driver.rpartition("/")[0].partition("/")
    number, _, born = rest.partition("/")
    if machine != _machine() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return bool(born) and born != _born(int(number))


@lru_cache(maxsize=1)
def _machine() -> str:
    try:
        space = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        space = ""
    return f"{socket.gethostname()}{space}".replace("/", "-")


def _born(number: int) -> str:
    """When a process began, in the kernel's ticks, where the system tells; process ids are used again."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text(errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
