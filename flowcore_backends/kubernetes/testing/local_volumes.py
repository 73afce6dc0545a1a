"""Volumes and variables of pods that are processes here: folders for volumes, and values from the ConfigMaps and Secrets of the ``FakeKube``."""

from __future__ import annotations

from pathlib import Path

from flowcore.catalogs import values_of
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore_backends.kubernetes.testing.lives import FakePod

_FIELDS = {"status.podIP": "127.0.0.1", "status.hostIP": "127.0.0.1", "spec.nodeName": "node1"}
_KINDS = {"configMap": ("configmaps", "ConfigMap"), "secret": ("secrets", "Secret")}


class Absent(Exception):
    """A ConfigMap, a Secret or a key of one is not there; the text is the kubelet's."""


def volume_folder(pod: FakePod, name: str, folder: Path) -> Path:
    """Where the volume ``name`` of a pod lies, whose own things lie in ``folder``: claims are shared by pods. Raises Absent."""
    volume = next((one for one in objects_of(pod.spec, "volumes") if one.get("name") == name), {})
    if host := object_of(volume, "hostPath"):
        return Path(text_of(host, "path"))
    claim = text_of(object_of(volume, "persistentVolumeClaim"), "claimName")
    place = folder.parent / "claims" / pod.namespace / claim if claim else folder / "volumes" / name
    if not place.exists():
        place.mkdir(parents=True)
        for kind, key in (("configMap", "name"), ("secret", "secretName")):
            if source := object_of(volume, kind):
                _write(place, source, _values(pod, kind, text_of(source, key), optional=source.get("optional") is True))
    return place


def _write(place: Path, source: JsonObject, values: dict[str, bytes]) -> None:
    chosen = {text_of(item, "key"): text_of(item, "path") for item in objects_of(source, "items")} or {key: key for key in values}
    for key, path in chosen.items():
        if key in values:
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(values[key])


def environment(pod: FakePod, container: JsonObject) -> dict[str, str]:
    """The variables of a container, with the values that they are taken from. Raises Absent."""
    made: dict[str, str] = {}
    for source in objects_of(container, "envFrom"):
        for kind in _KINDS:
            if reference := object_of(source, f"{kind}Ref"):
                values = _values(pod, kind, text_of(reference, "name"), optional=reference.get("optional") is True)
                made |= {text_of(source, "prefix") + key: value.decode(errors="replace") for key, value in values.items()}
    for variable in objects_of(container, "env"):
        value = _taken(pod, object_of(variable, "valueFrom")) if "valueFrom" in variable else text_of(variable, "value")
        if value is not None:
            made[text_of(variable, "name")] = value
    return made


def _taken(pod: FakePod, source: JsonObject) -> str | None:
    for kind, (_, name) in _KINDS.items():
        if reference := object_of(source, f"{kind}KeyRef"):
            optional, key = reference.get("optional") is True, text_of(reference, "key")
            values = _values(pod, kind, text_of(reference, "name"), optional=optional)
            if key not in values and not optional:
                raise Absent(f"couldn't find key {key} in {name} {pod.namespace}/{text_of(reference, 'name')}")
            return values[key].decode(errors="replace") if key in values else None
    field = text_of(object_of(source, "fieldRef"), "fieldPath")
    metadata = object_of(pod.object, "metadata")
    known = {**_FIELDS, **{f"metadata.{key}": str(metadata.get(key, "")) for key in ("name", "namespace", "uid")}}
    return known.get(field, "")


def _values(pod: FakePod, kind: str, name: str, *, optional: bool) -> dict[str, bytes]:
    resource, called = _KINDS[kind]
    found = pod.store.objects.get((resource, pod.namespace, name))
    if found is None:
        if optional:
            return {}
        raise Absent(f'{called.lower()} "{name}" not found')
    return values_of({**found, "kind": called})


__all__ = ["Absent", "environment", "volume_folder"]
