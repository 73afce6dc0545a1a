"""The files of volumes that are made of values: configMap, secret, downwardAPI and projected. Pure but for look-ups in the catalog.

Used by backends that are not Kubernetes; the texts of errors are Kubernetes'.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flowcore.artifacts.keys import parts_of_key
from flowcore.errors import ArtifactError, ExecutorError
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.ports import Catalog
from flowcore_backends.environment import PodFacts, catalog_values, field_value

VALUE_KINDS = ("configMap", "secret", "downwardAPI", "projected")
_FILE_MODE = 0o644


@dataclass(frozen=True, slots=True)
class ValueFile:
    """One file: its path in the volume, which leads nowhere else, its content and its mode."""

    path: str
    content: bytes
    mode: int


def files_of(volume: str, kind: str, settings: JsonObject, facts: PodFacts, catalog: Catalog) -> list[ValueFile]:
    """The files of the volume called ``volume``. Raises ExecutorError for what cannot be found."""
    try:
        return [
            ValueFile("/".join(parts_of_key(path)), content, mode & 0o777) for path, content, mode in _files(kind, settings, facts, catalog)
        ]
    except (ExecutorError, ArtifactError) as error:
        raise ExecutorError(f'MountVolume.SetUp failed for volume "{volume}" : {error}') from error


def _files(kind: str, settings: JsonObject, facts: PodFacts, catalog: Catalog) -> Iterator[tuple[str, bytes, int]]:
    mode = settings.get("defaultMode")
    default = mode if isinstance(mode, int) else _FILE_MODE
    if kind == "projected":
        for source in objects_of(settings, "sources"):
            for inner, inner_settings in source.items():
                if inner not in ("configMap", "secret", "downwardAPI") or not isinstance(inner_settings, dict):
                    raise ExecutorError(f"a projected volume has a source of the type {inner}, which needs a Kubernetes API")
                yield from _files(inner, {"defaultMode": default, **inner_settings}, facts, catalog)
    elif kind == "downwardAPI":
        for item in objects_of(settings, "items"):
            field = text_of(object_of(item, "fieldRef"), "fieldPath")
            yield text_of(item, "path"), field_value(field, facts).encode(), _mode(item, default)
    else:
        yield from _values("Secret" if kind == "secret" else "ConfigMap", settings, default, facts, catalog)


def _values(kind: str, settings: JsonObject, default: int, facts: PodFacts, catalog: Catalog) -> Iterator[tuple[str, bytes, int]]:
    name, optional = text_of(settings, "secretName") or text_of(settings, "name"), bool(settings.get("optional"))
    values = catalog_values(kind, name, facts.namespace, catalog, optional=optional)
    if values is None:
        return
    items = objects_of(settings, "items")
    if not items:
        yield from ((key, value, default) for key, value in values.items())
    for item in items:
        key = text_of(item, "key")
        if key in values:
            yield text_of(item, "path"), values[key], _mode(item, default)
        elif not optional:
            raise ExecutorError(f"references non-existent {'secret' if kind == 'Secret' else 'config'} key: {key}")


def _mode(item: JsonObject, default: int) -> int:
    mode = item.get("mode")
    return mode if isinstance(mode, int) else default
