"""``MemoryArtifacts``: artifacts as bytes in memory, for tests and short runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from anyio import to_thread

from flowcore.artifacts.keys import parts_of_key
from flowcore.errors import MissingArtifact


class MemoryArtifacts:
    """An ``ArtifactStore`` that forgets everything with the process. ``files`` is what it holds, by key."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def save(self, key: str, source: Path) -> None:
        """Store the file ``source`` under ``key``, or a folder file by file below it."""
        clean = "/".join(parts_of_key(key))
        self.files |= await to_thread.run_sync(_read, clean, source)

    async def load(self, key: str, target: Path) -> None:
        """Write what is stored under ``key`` to ``target``: a file, or a folder when ``key`` is the beginning of other keys."""
        clean = "/".join(parts_of_key(key))
        if clean in self.files:
            await to_thread.run_sync(target.write_bytes, self.files[clean])
            return
        below = {key.removeprefix(clean + "/"): content for key, content in self.files.items() if key.startswith(clean + "/")}
        if not below:
            raise MissingArtifact(f"no artifact is stored under the key {key!r}")
        await to_thread.run_sync(_write, target, below)

    async def keys(self, prefix: str) -> list[str]:
        """All keys that start with ``prefix``, sorted."""
        return sorted(key for key in self.files if key.startswith(prefix))

    async def delete(self, key: str) -> None:
        """Remove ``key`` and all below it."""
        clean = "/".join(parts_of_key(key))
        for found in [found for found in self.files if found == clean or found.startswith(clean + "/")]:
            del self.files[found]


def _read(key: str, source: Path) -> dict[str, bytes]:
    if not source.is_dir():
        return {key: source.read_bytes()}
    files = (file for file in sorted(source.rglob("*")) if file.is_file() and not file.is_symlink())
    return {f"{key}/{file.relative_to(source).as_posix()}": file.read_bytes() for file in files}


def _write(target: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        file = target.joinpath(*parts_of_key(name))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
