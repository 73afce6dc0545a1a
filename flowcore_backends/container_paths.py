"""Paths as a container sees them."""

from __future__ import annotations

import posixpath

from flowcore.errors import ExecutorError


def absolute(path: str, working_dir: str) -> str:
    """``path`` from the root. Raises ExecutorError for one that leads upwards."""
    if ".." in path.split("/") or "\0" in path:
        raise ExecutorError(f"the path {path!r} leads upwards; name it without '..'")
    return posixpath.normpath("/" + posixpath.join("/", working_dir, path).lstrip("/"))


def within(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or lies below it."""
    folder = folder.rstrip("/")
    return path == folder or path.startswith(folder + "/")
