"""Where an artifact is: reads Argo's location JSON and loads from or saves to that place.

A location with a key alone belongs to the run's default store (``RunContext.artifacts``). ``raw``, ``http`` and ``git`` need nothing further;
a location that names a store in full goes to a driver (``drivers.py``). Called by ``staging.py``. Rules: Argo's location order and its
notion of a complete location, as ``flowcore.models.artifacts`` has them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from anyio import to_thread

from flowcore.artifacts import git, http_files
from flowcore.artifacts.drivers import SigningDriver, find_driver
from flowcore.artifacts.secrets import SecretReader
from flowcore.errors import ArtifactError
from flowcore.jsontypes import Json, JsonObject
from flowcore.models.artifacts import ArtifactLocation
from flowcore.ports import RunContext

KEY_FIELDS = {"s3": "key", "gcs": "key", "oss": "key", "azure": "blob", "hdfs": "path", "plugin": "key"}
_COMPLETE = {
    "s3": ("endpoint", "bucket"),
    "gcs": ("bucket",),
    "oss": ("endpoint", "bucket"),
    "azure": ("endpoint", "container"),
    "hdfs": ("addresses",),
    "plugin": ("name", "configuration"),
}


@runtime_checkable
class SigningStore(Protocol):
    """An artifact store that gives URLs to store and to read under."""

    async def signed_put(self, key: str, seconds: int) -> str | None:
        """A URL that is good for one object and so long; None where that cannot be."""
        ...

    async def signed_get(self, key: str, seconds: int) -> tuple[str, int] | None:
        """The same to read the object, and its size in bytes; None also where there is no object of that very key."""
        ...


def location_of(artifact: JsonObject) -> tuple[str, JsonObject] | None:
    """The kind of place an artifact is in and what is said about it, or None. Of several, the first in Argo's order."""
    for kind in ArtifactLocation.SEARCH_ORDER:
        place = artifact.get(kind)
        if isinstance(place, dict):
            return kind, place
    return None


def own_key(artifact: JsonObject) -> str | None:
    """The key in the run's default store, if the artifact is there: its location gives a key and no store. Leading slashes mean nothing."""
    found = location_of(artifact)
    if found is None or found[0] not in KEY_FIELDS:
        return None
    kind, place = found
    key = place.get(KEY_FIELDS[kind])
    if not isinstance(key, str) or not key or all(place.get(field) for field in _COMPLETE[kind]):
        return None
    return key.lstrip("/") or key


def relocated(artifact: JsonObject, where: JsonObject) -> JsonObject:
    """``artifact``, which gives a key alone, in the store that ``where`` names in full; itself if either is not so. Rule: Argo's Relocate."""
    key, found = own_key(artifact), location_of(where)
    if key is None or found is None or found[0] not in KEY_FIELDS or not all(found[1].get(field) for field in _COMPLETE[found[0]]):
        return artifact
    kind, place = found
    return {**_without_location(artifact), kind: {**place, KEY_FIELDS[kind]: key}}


def in_own_store(artifact: JsonObject) -> JsonObject:
    """``artifact`` under its key in the run's default store, whatever store it names: for those who reach no other."""
    found = location_of(artifact)
    if found is None or found[0] not in KEY_FIELDS:
        return artifact
    kind, place = found
    return {**_without_location(artifact), kind: {KEY_FIELDS[kind]: place.get(KEY_FIELDS[kind])}}


def _without_location(artifact: JsonObject) -> JsonObject:
    return {field: value for field, value in artifact.items() if field not in ArtifactLocation.SEARCH_ORDER}


def has_place(artifact: JsonObject) -> bool:
    """Whether the artifact's location says enough to load it."""
    found = location_of(artifact)
    if found is None:
        return False
    kind, place = found
    needed: Json = place.get({**KEY_FIELDS, "raw": "data", "git": "repo"}.get(kind, "url"))
    return bool(needed) or (kind == "raw" and needed is not None)


async def load(artifact: JsonObject, target: Path, context: RunContext) -> None:
    """Bring the artifact, as it is stored, to the new path ``target``. Raises ArtifactError, MissingArtifact, MissingBackend."""
    found = location_of(artifact)
    if found is None:
        raise ArtifactError(f"required artifact '{artifact.get('name', '')}' not supplied")
    kind, place = found
    secrets = SecretReader(context.catalog, context.namespace)
    if kind == "raw":
        await to_thread.run_sync(target.write_bytes, str(place.get("data") or "").encode("utf-8", "surrogatepass"))
    elif kind in ("http", "artifactory"):
        await to_thread.run_sync(http_files.download, place, target, secrets, abandon_on_cancel=True)
    elif kind == "git":
        await git.checkout(place, target, secrets)
    elif (key := own_key(artifact)) is not None:
        await context.artifacts.load(key, target)
    else:
        await find_driver(_driver_name(kind, place)).load(place, target, secrets)


async def list_keys(artifact: JsonObject, context: RunContext) -> list[str]:
    """The keys of all objects below the artifact's key, sorted. Raises ArtifactError, MissingBackend."""
    found = location_of(artifact)
    if found is None or found[0] not in KEY_FIELDS:
        raise ArtifactError(f"keys can only be listed in a store, not in {found[0] if found else 'nothing'}")
    kind, place = found
    key = own_key(artifact)
    if key is None and not any(place.get(field) for field in (*_COMPLETE[kind], KEY_FIELDS[kind])):
        key = ""  # everything
    if key is not None:
        return await context.artifacts.keys(f"{key.rstrip('/')}/" if key else "")
    return sorted(await find_driver(_driver_name(kind, place)).keys(place, SecretReader(context.catalog, context.namespace)))


async def save(artifact: JsonObject, source: Path, context: RunContext, default_key: str) -> JsonObject:
    """Store ``source`` where the artifact says, else under ``default_key``; the location as Argo records it, ``{"s3": {"key": ...}}``."""
    found = location_of(artifact)
    if found is None or (found[0] in KEY_FIELDS and not found[1].get(KEY_FIELDS[found[0]])):
        await context.artifacts.save(default_key, source)
        return {"s3": {"key": default_key}}
    kind, place = found
    secrets = SecretReader(context.catalog, context.namespace)
    if kind in ("http", "artifactory"):
        await to_thread.run_sync(http_files.upload, place, source, secrets, abandon_on_cancel=True)
    elif (key := own_key(artifact)) is not None:
        await context.artifacts.save(key, source)
    elif kind in KEY_FIELDS:
        await find_driver(_driver_name(kind, place)).save(place, source, secrets)
    else:
        raise ArtifactError(f"the output artifact '{artifact.get('name', '')}' cannot be stored as {kind}, which can only be read")
    return {kind: place}


async def signed_put(artifact: JsonObject, context: RunContext, default_key: str, seconds: int) -> tuple[str, JsonObject] | None:
    """A URL under which whoever has it may store the artifact by a PUT for so long, and the location as ``save`` would give it.

    None where its store gives no such URLs. Raises ArtifactError, MissingBackend.
    """
    found = location_of(artifact)
    unkeyed = found is None or (found[0] in KEY_FIELDS and not found[1].get(KEY_FIELDS[found[0]]))
    key = default_key if unkeyed else own_key(artifact)
    if key is not None:
        if not isinstance(context.artifacts, SigningStore):
            return None
        url = await context.artifacts.signed_put(key, seconds)
        location: JsonObject = {"s3": {"key": default_key}} if unkeyed or found is None else {found[0]: found[1]}
        return (url, location) if url is not None else None
    if found is None or found[0] not in KEY_FIELDS:
        return None
    driver = find_driver(_driver_name(*found))
    if not isinstance(driver, SigningDriver):
        return None
    url = await driver.signed_put(found[1], SecretReader(context.catalog, context.namespace), seconds)
    return (url, {found[0]: found[1]}) if url is not None else None


async def signed_get(artifact: JsonObject, context: RunContext, seconds: int) -> tuple[str, int] | None:
    """A URL under which whoever has it may read the artifact by a GET for so long, and its size in bytes as it is stored.

    None where its store gives no such URLs, and for what is not one object. Raises ArtifactError, MissingBackend.
    """
    found = location_of(artifact)
    if found is None or found[0] not in KEY_FIELDS:
        return None
    if (key := own_key(artifact)) is not None:
        return await context.artifacts.signed_get(key, seconds) if isinstance(context.artifacts, SigningStore) else None
    driver = find_driver(_driver_name(*found))
    if not isinstance(driver, SigningDriver):
        return None
    return await driver.signed_get(found[1], SecretReader(context.catalog, context.namespace), seconds)


async def delete(artifact: JsonObject, context: RunContext) -> None:
    """Remove an artifact that a run has stored; that it is not there is no error. Raises ArtifactError, MissingBackend."""
    found = location_of(artifact)
    if found is None or found[0] not in KEY_FIELDS:
        raise ArtifactError(f"an artifact can only be deleted in a store, not in {found[0] if found else 'nothing'}")
    kind, place = found
    if (key := own_key(artifact)) is not None:
        await context.artifacts.delete(key)
    else:
        await find_driver(_driver_name(kind, place)).delete(place, SecretReader(context.catalog, context.namespace))


def _driver_name(kind: str, place: JsonObject) -> str:
    return str(place.get("name")) if kind == "plugin" else kind
