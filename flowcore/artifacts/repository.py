"""``RepositoryArtifacts``: the run's own store of artifacts in an artifact repository, as Argo's configuration writes one.

With it, artifacts that give a key alone, or nothing, go into a bucket; what a location says in full goes where it says.
"""

from __future__ import annotations

from pathlib import Path

from flowcore.artifacts.drivers import SigningDriver, find_driver
from flowcore.artifacts.keys import parts_of_key
from flowcore.artifacts.locations import KEY_FIELDS
from flowcore.artifacts.secrets import SecretReader
from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject
from flowcore.ports import Catalog

_SETTINGS = ("archiveLogs", "keyFormat", "keyPrefix", "pathFormat", "blobNameFormat")


class RepositoryArtifacts:
    """An ``ArtifactStore`` in ``repository``, such as ``{"s3": {"endpoint": ..., "bucket": ..., "accessKeySecret": {...}}}``.

    ``catalog`` has the Secrets that it refers to, in ``namespace``. All keys lie below ``prefix``. Raises UsageError for what is no repository,
    MissingBackend where its driver is not installed.
    """

    def __init__(self, repository: JsonObject, catalog: Catalog, namespace: str = "default", *, prefix: str = "") -> None:
        named = [(kind, place) for kind in KEY_FIELDS if isinstance(place := repository.get(kind), dict)]
        if len(named) != 1:
            raise UsageError(f"an artifact repository names one of {', '.join(KEY_FIELDS)}, and how it is reached")
        ((self._kind, place),) = named
        self._place: JsonObject = {key: value for key, value in place.items() if key not in _SETTINGS}
        self._driver = find_driver(str(place.get("name")) if self._kind == "plugin" else self._kind)
        self._secrets = SecretReader(catalog, namespace)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def __repr__(self) -> str:
        return f"RepositoryArtifacts({self._kind})"

    async def save(self, key: str, source: Path) -> None:
        """Store the file ``source`` under ``key``, or a folder file by file below it."""
        await self._driver.save(self._at(key), source, self._secrets)

    async def load(self, key: str, target: Path) -> None:
        """Write what is stored under ``key`` to ``target``: a file, or a folder when ``key`` is the beginning of other keys."""
        await self._driver.load(self._at(key), target, self._secrets)

    async def keys(self, prefix: str) -> list[str]:
        """All keys that start with ``prefix``, sorted."""
        found = await self._driver.keys({**self._place, KEY_FIELDS[self._kind]: f"{self._prefix}{prefix}"}, self._secrets)
        return sorted(key.removeprefix(self._prefix) for key in found)

    async def delete(self, key: str) -> None:
        """Remove ``key`` and all below it."""
        await self._driver.delete(self._at(key), self._secrets)

    async def signed_put(self, key: str, seconds: int) -> str | None:
        """A URL under which ``key`` may be stored by a PUT for so long; None where the repository gives none."""
        return await self._driver.signed_put(self._at(key), self._secrets, seconds) if isinstance(self._driver, SigningDriver) else None

    async def signed_get(self, key: str, seconds: int) -> tuple[str, int] | None:
        """A URL under which the one object ``key`` may be read for so long, and its size; None where the repository gives none."""
        return await self._driver.signed_get(self._at(key), self._secrets, seconds) if isinstance(self._driver, SigningDriver) else None

    def _at(self, key: str) -> JsonObject:
        return {**self._place, KEY_FIELDS[self._kind]: self._prefix + "/".join(parts_of_key(key))}


__all__ = ["RepositoryArtifacts"]
