"""Artifacts in object stores, by obstore: one driver for each kind of location, each with the same four deeds."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import obstore
from anyio import to_thread
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from flowcore.artifacts.keys import parts_of_key
from flowcore.artifacts.secrets import SecretReader
from flowcore.errors import ArtifactError, FlowError, MissingArtifact
from flowcore.jsontypes import JsonObject
from flowcore_backends.artifacts.settings import Place, Reader, azure_place, gcs_place, oss_place, s3_place

_RETRIES: dict[str, Any] = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_PIECE = 1 << 20
_MOST_OBJECTS = 100_000
_AT_ONCE = 8


class ObjectStoreDriver:
    """An ``ArtifactDriver`` over one kind of object store; ``read`` reads the location."""

    def __init__(self, read: Reader) -> None:
        self._read = read

    async def load(self, location: JsonObject, target: Path, secrets: SecretReader) -> None:
        """Write the object to the file ``target``, or the objects below the key to a folder. Raises ArtifactError, MissingArtifact."""
        place = self._read(location, secrets)
        with _explained(place):
            store = _opened(place)
            if not await _fetched(store, place.key, target):
                below = await _listed(store, f"{place.key.rstrip('/')}/")
                if not below:
                    raise MissingArtifact(f"no artifact is stored under the key {place.key!r} in {place.provider}://{place.bucket}")
                await _fetch_all(store, place.key.rstrip("/"), below, target)

    async def save(self, location: JsonObject, source: Path, secrets: SecretReader) -> None:
        """Store the file ``source``, or a folder file by file. Raises ArtifactError."""
        place = self._read(location, secrets)
        with _explained(place):
            store = _opened(place)
            for path in await to_thread.run_sync(_files, source):
                below = f"{place.key.rstrip('/')}/{path.relative_to(source).as_posix()}"
                await obstore.put_async(store, place.key if path == source else below, path)

    async def keys(self, location: JsonObject, secrets: SecretReader) -> list[str]:
        """The keys of all objects whose keys begin with the location's. Raises ArtifactError."""
        place = self._read(location, secrets)
        with _explained(place):
            return await _listed(_opened(place), place.key)

    async def delete(self, location: JsonObject, secrets: SecretReader) -> None:
        """Remove the object of the location's key and all below it; that there is none is no error. Raises ArtifactError."""
        place = self._read(location, secrets)
        with _explained(place):
            store = _opened(place)
            for key in {place.key, *await _listed(store, f"{place.key.rstrip('/')}/")}:
                with contextlib.suppress(FileNotFoundError):
                    await obstore.delete_async(store, key)


class SigningDriver(ObjectStoreDriver):
    """The same over a store that takes and gives objects by signed URLs."""

    async def signed_put(self, location: JsonObject, secrets: SecretReader, seconds: int) -> str | None:
        """A URL under which the object of the location's key may be stored by a PUT for so long; None without keys, or where it is encrypted by headers."""
        place = self._read(location, secrets)
        if place.provider != "s3" or "skip_signature" in place.settings or "server_side_encryption" in place.settings:
            return None
        with _explained(place):
            return await obstore.sign_async(_opened(place), "PUT", place.key, timedelta(seconds=seconds))

    async def signed_get(self, location: JsonObject, secrets: SecretReader, seconds: int) -> tuple[str, int] | None:
        """A URL under which the object of the location's key may be read by a GET for so long, and its size in bytes.

        None without keys, where it is encrypted by a key that readers send, and where there is no object of that very key.
        """
        place = self._read(location, secrets)
        if place.provider != "s3" or not place.key or "skip_signature" in place.settings or "sse_customer_key_base64" in place.settings:
            return None
        with _explained(place):
            store = _opened(place)
            try:
                size = (await obstore.head_async(store, place.key))["size"]
            except FileNotFoundError:
                return None
            return await obstore.sign_async(store, "GET", place.key, timedelta(seconds=seconds)), size


def s3_driver() -> ObjectStoreDriver:
    """``s3``: Amazon's, and every store that speaks its language."""
    return SigningDriver(s3_place)


def oss_driver() -> ObjectStoreDriver:
    """``oss``: Alibaba's, which speaks the language of S3."""
    return SigningDriver(oss_place)


def gcs_driver() -> ObjectStoreDriver:
    """``gcs``: Google's."""
    return ObjectStoreDriver(gcs_place)


def azure_driver() -> ObjectStoreDriver:
    """``azure``: Microsoft's."""
    return ObjectStoreDriver(azure_place)


def _opened(place: Place) -> Any:
    made: Any = {"s3": S3Store, "gcs": GCSStore, "azure": AzureStore}[place.provider]
    return made(place.bucket, client_options={**place.client}, retry_config=_RETRIES, **place.settings)


@contextlib.contextmanager
def _explained(place: Place) -> Iterator[None]:
    """Make what the store says an ArtifactError that names the place and no secret."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactError(f"{place.provider}://{place.bucket}: {_said(error)}: is there such a bucket?") from None
    except (BaseError, OSError, ValueError) as error:
        raise ArtifactError(f"the artifact {place.key!r} of {place.provider}://{place.bucket}: {_said(error)}") from None


def _said(error: Exception) -> str:
    """The first line of what the store said; more is for those who debug it, and may hold settings."""
    return str(error).split("\n", 1)[0].split("<?xml", 1)[0].strip()[:300]


async def _fetched(store: Any, key: str, target: Path) -> bool:
    """Whether there is an object of that very key; if so it is written to ``target``."""
    if not key.strip("/"):
        return False
    try:
        found = await obstore.get_async(store, key)
    except FileNotFoundError:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    async with await anyio.open_file(target, "wb") as file:
        async for piece in found.stream(min_chunk_size=_PIECE):
            await file.write(bytes(piece))
    return True


async def _fetch_all(store: Any, key: str, below: list[str], target: Path) -> None:
    limiter, failed = anyio.CapacityLimiter(_AT_ONCE), list[Exception]()

    async def fetch(name: str) -> None:
        try:
            async with limiter:
                await _fetched(store, name, target.joinpath(*parts_of_key(name.removeprefix(key).lstrip("/"))))
        except (FlowError, BaseError, OSError, ValueError) as error:
            failed.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for name in below:
            tasks.start_soon(fetch, name)
    if failed:
        raise failed[0]


async def _listed(store: Any, beginning: str) -> list[str]:
    """All keys with this beginning, sorted. A store lists by whole parts of keys; the rest is looked at here."""
    folder = beginning.rpartition("/")[0]
    found: list[str] = []
    async for batch in _batches(store, folder):
        found += [name for name in batch if name.startswith(beginning.lstrip("/"))]
        if len(found) > _MOST_OBJECTS:
            raise ArtifactError(f"more than {_MOST_OBJECTS} objects are stored below the key {beginning!r}")
    return sorted(found)


async def _batches(store: Any, folder: str) -> AsyncIterator[list[str]]:
    async for batch in obstore.list(store, folder or None):
        yield [str(found["path"]) for found in batch]


def _files(source: Path) -> list[Path]:
    """The file itself, or the regular files below a folder; links are not followed."""
    if not source.is_dir():
        return [source]
    return sorted(path for path in source.rglob("*") if path.is_file() and not path.is_symlink())


__all__ = ["ObjectStoreDriver", "azure_driver", "gcs_driver", "oss_driver", "s3_driver"]
