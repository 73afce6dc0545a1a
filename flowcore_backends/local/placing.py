"""Where loaded input artifacts go: into a volume, without following links that are in it, or to a place of their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from flowcore.errors import ArtifactError
from flowcore_backends.local.pod import PodPlan


def place_in_volume(source: Path, folder: Path, path: str) -> None:
    """Move ``source`` to ``path`` in the volume ``folder``; folders are merged, files replaced. Raises ArtifactError."""
    parts = [] if path == "." else path.split("/")
    target = folder
    try:
        for part in parts[:-1]:
            target /= part
            _refuse_link(target)
            target.mkdir(exist_ok=True)
        _move(source, folder.joinpath(*parts))
    except OSError as error:
        raise ArtifactError(f"an input artifact could not be placed in a volume at {path}: {error}") from error


def _move(source: Path, target: Path) -> None:
    _refuse_link(target)
    if source.is_dir() and not source.is_symlink() and target.is_dir():
        for child in source.iterdir():
            _move(child, target / child.name)
        return
    if target.is_dir():
        raise ArtifactError(f"an input artifact that is a file cannot take the place of the folder {target.name}")
    if source.lstat().st_dev == target.parent.stat().st_dev:
        source.replace(target)
    elif source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _refuse_link(place: Path) -> None:
    if place.is_symlink():
        raise ArtifactError(f"an input artifact would be written through a symbolic link of the volume: {place.name}")


def see_what_came(pod: PodPlan) -> None:
    """Now that the artifacts are loaded: which are files, which folders, and which (optional ones) are not there and not shown."""
    places = {str(place) for _, place in pod.inputs}
    for plan in pod.containers:
        shown = []
        for mount in plan.mounts:
            if mount.source in places:
                if not os.path.lexists(mount.source):
                    continue
                mount = type(mount)(mount.source, mount.path, folder=Path(mount.source).is_dir(), read_only=mount.read_only)
            shown.append(mount)
        plan.mounts = shown
