"""Drivers: what reads and writes artifacts in stores that a location names in full (an S3 bucket, for instance).

They are found by the entry point group ``flowcore.artifacts``, under the name of the location's field: ``s3``, ``gcs``, ``azure``, ``oss``,
``hdfs``, or the name of an artifact plugin. An entry point names a callable without arguments that gives a driver. The one for ``hdfs`` is here,
as it needs nothing further; one that is installed goes before it.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from flowcore.artifacts.hdfs import HdfsDriver
from flowcore.artifacts.secrets import SecretReader
from flowcore.errors import MissingBackend
from flowcore.jsontypes import JsonObject

GROUP = "flowcore.artifacts"
_EXTRA = "s3"
_BUILT_IN = {"hdfs": HdfsDriver}


class ArtifactDriver(Protocol):
    """Reads and writes in one kind of store. ``location`` is what stands below the field of the artifact, for instance ``{bucket, key, ...}``."""

    async def load(self, location: JsonObject, target: Path, secrets: SecretReader) -> None:
        """Write the object to the file ``target``, or the objects below a key to a folder. Raises ArtifactError, MissingArtifact."""
        ...

    async def save(self, location: JsonObject, source: Path, secrets: SecretReader) -> None:
        """Store the file ``source``, or a folder file by file. Raises ArtifactError."""
        ...

    async def keys(self, location: JsonObject, secrets: SecretReader) -> list[str]:
        """The keys of all objects below the location's key. Raises ArtifactError."""
        ...

    async def delete(self, location: JsonObject, secrets: SecretReader) -> None:
        """Remove the object, and all below its key; that there is none is no error. Raises ArtifactError."""
        ...


@runtime_checkable
class SigningDriver(ArtifactDriver, Protocol):
    """A driver whose store takes uploads from, and gives objects to, whoever has a signed URL."""

    async def signed_put(self, location: JsonObject, secrets: SecretReader, seconds: int) -> str | None:
        """A URL under which the location's object may be stored by a PUT for so long; None where that cannot be. Raises ArtifactError."""
        ...

    async def signed_get(self, location: JsonObject, secrets: SecretReader, seconds: int) -> tuple[str, int] | None:
        """A URL under which the location's one object may be read by a GET for so long, and its size in bytes; None where that cannot be.

        Raises ArtifactError.
        """
        ...


@lru_cache(maxsize=64)
def find_driver(name: str) -> ArtifactDriver:
    """The driver called ``name``. Raises MissingBackend naming what to install."""
    found = list(metadata.entry_points(group=GROUP, name=name))
    if not found and name in _BUILT_IN:
        return _BUILT_IN[name]()
    if not found:
        raise MissingBackend(
            f"no artifact driver for {name} is installed: install a package with an entry point {name!r} in the group {GROUP!r}, or give the "
            f"artifact a key alone, which then belongs to the run's own artifact store"
        )
    try:
        return cast("ArtifactDriver", found[0].load()())
    except ImportError as error:
        extra = f": pip install 'flowcore[{_EXTRA}]'" if found[0].value.startswith("flowcore_backends.") else ""
        raise MissingBackend(f"the artifact driver for {name} cannot be loaded ({error}){extra}") from error
