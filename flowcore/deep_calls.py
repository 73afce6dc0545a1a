"""Room in Python's call stack for templates that are nested as deeply as Argo allows; taken by the runner while the engine works.

A level of templates costs the engine some twenty calls, and more with a retryStrategy, while Python stops at a thousand by default. The limit
belongs to the whole process: it is raised while any engine works, and put back when the last of them is done.
"""

from __future__ import annotations

import sys
from threading import Lock

_FRAMES_OF_A_LEVEL = 40
_FRAMES_AROUND = 1000
_MOST_FRAMES = 100_000


class _Limit:
    """How many blocks need a higher limit now, what the limit was before, and what it is for them."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.blocks = 0
        self.usual = self.raised = 0


_limit = _Limit()


class DeepCalls:
    """``with DeepCalls(levels):`` may nest templates so many levels deep. Blocks of several threads may overlap."""

    __slots__ = ("_frames",)

    def __init__(self, levels: int) -> None:
        self._frames = min(_FRAMES_AROUND + levels * _FRAMES_OF_A_LEVEL, _MOST_FRAMES)

    def __enter__(self) -> None:
        with _limit.lock:
            if not _limit.blocks:
                _limit.usual = _limit.raised = sys.getrecursionlimit()
            _limit.blocks += 1
            if _limit.raised < self._frames:
                _limit.raised = self._frames
                sys.setrecursionlimit(self._frames)

    def __exit__(self, *_: object) -> None:
        with _limit.lock:
            _limit.blocks -= 1
            if not _limit.blocks and _limit.usual < _limit.raised == sys.getrecursionlimit():
                sys.setrecursionlimit(_limit.usual)


__all__ = ["DeepCalls"]
