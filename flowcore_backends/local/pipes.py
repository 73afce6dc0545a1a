"""Reads the pipes of processes as their output comes; what becomes of it says ``flowcore_backends/output.py``."""

from __future__ import annotations

import os
from collections.abc import Callable

import anyio

_CHUNK = 64 << 10


async def read_pipe(number: int, *sinks: Callable[[bytes], object]) -> None:
    """Give all that comes out of the pipe ``number`` to ``sinks``, until its end."""
    while True:
        try:
            data = os.read(number, _CHUNK)
        except BlockingIOError:
            await anyio.wait_readable(number)
            continue
        if not data:
            return
        for sink in sinks:
            sink(data)
        if len(data) == _CHUNK:
            await anyio.lowlevel.checkpoint()  # a flood must not keep others waiting
