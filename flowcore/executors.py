"""Executors by name: whatever is installed under the entry points ``flowcore.executors``, ours or somebody else's.

Runs that are given no executor, the ``flow`` fixture and the command line find theirs here; the core imports none.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from flowcore.errors import MissingBackend
from flowcore.ports import Executor

GROUP = "flowcore.executors"
_PREFERRED = ("local",)  # what `auto` takes: the first of these that is installed


def executor_class(name: str) -> Callable[..., Executor]:
    """What makes the executor called ``name`` (``auto``: the embedded default). Raises MissingBackend, which says what to install."""
    point = _entry(name)
    try:
        return cast("Callable[..., Executor]", point.load())
    except ImportError as error:
        raise MissingBackend(f"the backend {point.name!r} cannot be loaded ({error}): pip install 'flowcore[{point.name}]'") from error
    except AttributeError as error:
        raise MissingBackend(f"the backend {point.name!r} cannot be loaded ({error})") from error


def installed() -> list[str]:
    """The names of all executors that are installed."""
    return sorted(_points())


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _entry(name: str) -> EntryPoint:
    points = _points()
    wanted = next((one for one in _PREFERRED if one in points), name) if name == "auto" else name
    if wanted not in points:
        there = ", ".join(sorted(points)) or "none"
        raise MissingBackend(f"there is no backend {wanted!r}; installed are: {there}")
    return points[wanted]


__all__ = ["GROUP", "executor_class", "installed"]
