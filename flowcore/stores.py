"""Stores by URL: ``sqlite:///path`` or ``postgresql://...``, whatever is installed under the entry points ``flowcore.stores``.

An entry point names a class with ``from_url(url)``, which makes a ``RunStore``. The command line and embedding programs call ``open_store``.
"""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import unquote

from flowcore import yaml
from flowcore.artifacts import FolderArtifacts
from flowcore.artifacts.offloading import DEFAULT_ABOVE, Offload
from flowcore.artifacts.repository import RepositoryArtifacts
from flowcore.catalogs import MemoryCatalog
from flowcore.durable import RunStore
from flowcore.errors import FlowError, MissingBackend, UsageError
from flowcore.language.quantities import whole_quantity
from flowcore.ports import ArtifactStore

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


def offload_of(url: str, usual: Path | None = None) -> tuple[str, Offload | None]:
    """``url`` without what it says of large outputs, and where they are put away: in the folder ``usual``, or nowhere, unless the URL says so.

    ``offload-to=FOLDER`` (or ``FILE.yaml``, an artifact repository such as ``s3: {endpoint: ..., bucket: ..., useSDKCreds: true}``) names the place,
    ``offload=256Ki`` the size from which on an output is large, and ``offload=off`` keeps all of them in the rows. Raises UsageError.
    """
    head, mark, query = url.partition("?")
    said: dict[str, str] = {}
    others = []
    for item in query.split("&") if mark else ():
        key, _, value = item.partition("=")
        if key in ("offload", "offload-to"):
            said[key] = unquote(value)
        else:
            others.append(item)
    rest = f"{head}?{'&'.join(others)}" if others else head
    size, place = said.get("offload", ""), said.get("offload-to") or usual
    if size == "off":
        return rest, None
    if place is None:
        if size:
            raise UsageError(f"store: offload={size} needs offload-to=FOLDER, a place that everybody who reads the store can reach")
        return rest, None
    return rest, Offload(_artifacts_at(Path(place).expanduser()), _bytes(size) if size else DEFAULT_ABOVE)


def _bytes(text: str) -> int:
    try:
        size = whole_quantity(text)
    except FlowError:
        size = 0
    if size <= 0:
        raise UsageError(f"store: offload={text}: write a size such as 256Ki or 1Mi, or off")
    return size


def _artifacts_at(place: Path) -> ArtifactStore:
    """A folder, or the artifact repository that a YAML file describes."""
    if place.suffix not in (".yaml", ".yml"):
        return FolderArtifacts(place)
    try:
        documents = yaml.read(place.read_text(), file=str(place))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"store: offload-to={place}: {error}") from None
    described = documents[0].json if len(documents) == 1 else None
    if not isinstance(described, dict):
        raise UsageError(f"store: offload-to={place}: an artifact repository is a mapping such as s3: {{endpoint: ..., bucket: ...}}")
    return RepositoryArtifacts(described, MemoryCatalog())


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


__all__ = ["GROUP", "offload_of", "open_store", "state_folder"]
