"""Stores by URL: ``sqlite:///path`` or ``postgresql://...``, whatever is installed under the entry points ``flowcore.stores``.

An entry point names a class with ``from_url(url)``, which makes a ``RunStore``. The command line and embedding programs call ``open_store``.
"""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol, cast

from flowcore.durable import RunStore
from flowcore.errors import MissingBackend

GROUP = "flowcore.stores"
_EXTRAS = {"postgresql": "postgres"}


class _Kind(Protocol):
    def from_url(self, url: str, /) -> RunStore: ...


def open_store(url: str | None = None) -> RunStore:
    """The store at ``url``, else at ``FLOWCORE_STORE``, else one SQLite file in the user's state folder. A text without ``://`` is a file.

    Nothing is opened before the store is used; close it with ``await store.close()``. Raises MissingBackend for a scheme that nobody
    installed, and UsageError for a URL that the store cannot read.
    """
    place = url or os.environ.get("FLOWCORE_STORE") or f"sqlite:///{state_folder() / 'runs.db'}"
    scheme, sign, _ = place.partition("://")
    if not sign:
        scheme, place = "sqlite", f"sqlite:///{place}"
    return _kind("postgresql" if scheme == "postgres" else scheme).from_url(place)


def state_folder() -> Path:
    """Where this user's runs are kept: ``FLOWCORE_STATE``, else ``flowcore`` in ``XDG_STATE_HOME`` or ``~/.local/state``."""
    given = os.environ.get("FLOWCORE_STATE")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "flowcore"


def _kind(scheme: str) -> _Kind:
    points: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=GROUP)}
    if scheme not in points:
        raise MissingBackend(f"there is no store for {scheme}://; installed are: {', '.join(sorted(points)) or 'none'}")
    try:
        return cast("_Kind", points[scheme].load())
    except ImportError as error:
        extra = _EXTRAS.get(scheme, scheme)
        raise MissingBackend(f"the store {scheme} cannot be loaded ({error}): pip install 'flowcore[{extra}]'") from error


__all__ = ["GROUP", "open_store", "state_folder"]
