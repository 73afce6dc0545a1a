"""How much memory processes use: read by the minder of a container with a memory limit."""

from __future__ import annotations

import resource
from collections.abc import Iterable
from pathlib import Path

_PAGE = resource.getpagesize()


def used_by(processes: Iterable[int]) -> int:
    """The bytes that the processes use for themselves: resident pages that are not shared with a file or another process."""
    return sum(_private_bytes(process) for process in processes)


def _private_bytes(process: int) -> int:
    try:
        fields = Path(f"/proc/{process}/statm").read_text().split()
        return (int(fields[1]) - int(fields[2])) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
