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
EMBEDDED = "local"  # the executor of runs that are given none


def executor_class(name: str) -> Callable[..., Executor]:
    """What makes the executor called ``name``. Raises MissingBackend, which says what to install."""
    points = _points()
    if name not in points:
        raise MissingBackend(f"there is no backend {name!r}; installed are: {', '.join(sorted(points)) or 'none'}")
    try:
        return cast("Callable[..., Executor]", points[name].load())
    except ImportError as error:
        raise MissingBackend(f"the backend {name!r} cannot be loaded ({error}): pip install 'flowcore[{name}]'") from error
    except AttributeError as error:
        raise MissingBackend(f"the backend {name!r} cannot be loaded ({error})") from error


def installed() -> list[str]:
    """The names of all executors that are installed."""
    return sorted(_points())


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


__all__ = ["EMBEDDED", "GROUP", "executor_class", "installed"]
