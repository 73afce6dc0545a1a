"""``FolderArtifacts``: artifacts as files below a folder, one file for each key."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from anyio import to_thread

from flowcore.artifacts.keys import parts_of_key
from flowcore.errors import ArtifactError, MissingArtifact


class FolderArtifacts:
    """An ``ArtifactStore`` in the folder ``path``, which is made when first written to.

    No key leads out of the folder, also not by a symbolic link that somebody put there. A file appears under its key when it is complete.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()

    def __repr__(self) -> str:
        return f"FolderArtifacts({str(self.path)!r})"

    async def save(self, key: str, source: Path) -> None:
        """Store the file ``source`` under ``key``, or a folder file by file below it; what was there before is replaced."""
        await to_thread.run_sync(self._save, key, source)

    async def load(self, key: str, target: Path) -> None:
        """Copy what is stored under ``key`` to ``target``: a file, or a folder when ``key`` is the beginning of other keys."""
        await to_thread.run_sync(self._load, key, target)

    async def keys(self, prefix: str) -> list[str]:
        """All keys that start with ``prefix``, sorted."""
        return await to_thread.run_sync(self._keys, prefix)

    async def delete(self, key: str) -> None:
        """Remove ``key`` and all below it."""
        await to_thread.run_sync(self._delete, key)

    def _place(self, key: str) -> Path:
        place = self.path
        for part in parts_of_key(key):
            place /= part
            if place.is_symlink():
                raise ArtifactError(f"the artifact key {key!r} leads through a symbolic link of the store: {place}")
        return place

    def _save(self, key: str, source: Path) -> None:
        place = self._place(key)
        try:
            if source.is_dir():
                for file in _files(source):
                    _write(file, self._place(f"{key.rstrip('/')}/{file.relative_to(source).as_posix()}"))
            else:
                _write(source, place)
        except OSError as error:
            raise ArtifactError(f"the artifact {key!r} could not be stored: {error}") from error

    def _load(self, key: str, target: Path) -> None:
        place = self._place(key)
        try:
            if place.is_file():
                shutil.copyfile(place, target)
                return
            if not place.is_dir():
                raise MissingArtifact(f"no artifact is stored under the key {key!r} in {self.path}")
            for file in _files(place):
                copy = target / file.relative_to(place)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
        except OSError as error:
            raise ArtifactError(f"the artifact {key!r} could not be read: {error}") from error

    def _keys(self, prefix: str) -> list[str]:
        folder, _, _ = prefix.rpartition("/")
        start = self._place(folder) if folder.strip("/") else self.path
        found = (file.relative_to(self.path).as_posix() for file in _files(start))
        return sorted(key for key in found if key.startswith(prefix))

    def _delete(self, key: str) -> None:
        place = self._place(key)
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            with suppress(OSError):
                place.unlink()
        for around in place.parents:  # folders that hold nothing any more
            if around == self.path or self.path not in around.parents:
                break
            with suppress(OSError):
                around.rmdir()


def _files(folder: Path) -> Iterator[Path]:
    """The regular files below ``folder``, no link followed, and none that is still being written."""
    for around, _, names in os.walk(folder):
        for name in names:
            path = Path(around, name)
            if not name.startswith(_UNFINISHED) and path.is_file() and not path.is_symlink():
                yield path


_UNFINISHED = ".flowcore-unfinished-"


def _write(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=place.parent, prefix=_UNFINISHED)
    try:
        with open(number, "wb") as unfinished, source.open("rb") as content:  # noqa: PTH123 - a file number
            shutil.copyfileobj(content, unfinished)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
