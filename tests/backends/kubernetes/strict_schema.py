"""What an API server with ``fieldValidation=Strict`` refuses: fields that it does not know, of another type, or missing, by the models of its own client.

Beyond the schema, ``pod_problems`` has the rules of a pod that no fake server keeps. For tests.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import kubernetes_asyncio.client as models

from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of

_PLAIN: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "bool": (bool,), "float": (int, float), "datetime": (str,)}
_QUANTITIES = ("limits", "requests", "capacity", "hard")
_QUANTITY_FIELDS = ("sizeLimit", "divisor")
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_LARGEST_DEADLINE = 2**31 - 1


def schema_problems(model: str, value: Json, path: str = "") -> Iterator[str]:
    """All that is wrong with ``value`` as a ``model`` (``V1Pod``)."""
    if model == "object" or value is None:
        return
    if model.startswith("list["):
        if not isinstance(value, list):
            yield f"{path}: not a list"
            return
        for number, each in enumerate(value):
            yield from schema_problems(model[5:-1], each, f"{path}[{number}]")
    elif model.startswith("dict("):
        if not isinstance(value, dict):
            yield f"{path}: not an object"
            return
        numbers = path.rpartition(".")[2] in _QUANTITIES
        for key, each in value.items():
            if not (numbers and isinstance(each, int | float)):
                yield from schema_problems(model.partition(", ")[2][:-1], each, f"{path}.{key}")
    elif model in _PLAIN:
        quantity = path.rpartition(".")[2] in _QUANTITY_FIELDS and isinstance(value, int)
        if not quantity and (not isinstance(value, _PLAIN[model]) or (model != "bool" and isinstance(value, bool))):
            yield f"{path}: {value!r} is no {model}"
    else:
        yield from _object_problems(getattr(models, model), value, path)


def _object_problems(model: Any, value: Json, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: not an object"
        return
    fields = {name: attribute for attribute, name in model.attribute_map.items()}
    for name, each in value.items():
        if name not in fields:
            yield f"{path}.{name}: unknown field"
        else:
            yield from schema_problems(model.openapi_types[fields[name]], each, f"{path}.{name}")
    try:
        model(**{fields[name]: each for name, each in value.items() if name in fields})
    except ValueError as error:
        yield f"{path}: {error}"


def pod_problems(pod: JsonObject) -> list[str]:
    """All that is wrong with the manifest of a pod."""
    found = list(schema_problems("V1Pod", pod))
    metadata, spec = object_of(pod, "metadata"), object_of(pod, "spec")
    if not _DNS_NAME.fullmatch(text_of(metadata, "name")):
        found.append(f"metadata.name: {metadata.get('name')!r}")
    found += [f"label {key}={value!r}" for key, value in object_of(metadata, "labels").items() if not _LABEL.fullmatch(str(value))]
    keys = [*object_of(metadata, "labels"), *object_of(metadata, "annotations")]
    found += [f"key {key!r}" for key in keys if not _KEY.fullmatch(key)]
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not (isinstance(deadline, int) and 1 <= deadline <= _LARGEST_DEADLINE):
        found.append(f"spec.activeDeadlineSeconds: {deadline!r}")
    return [*found, *_container_problems(spec)]


def _container_problems(spec: JsonObject) -> Iterator[str]:
    volumes = [text_of(one, "name") for one in objects_of(spec, "volumes")]
    inits, containers = objects_of(spec, "initContainers"), objects_of(spec, "containers")
    names = [text_of(one, "name") for one in (*inits, *containers)]
    for what, given in (("volume", volumes), ("container", names)):
        yield from (f"{what} {name!r} twice" for name, count in Counter(given).items() if count > 1)
        yield from (f"{what} {name!r} is no name" for name in given if not _DNS_LABEL.fullmatch(name))
    for one in (*inits, *containers):
        name = text_of(one, "name")
        mounts = objects_of(one, "volumeMounts")
        paths = [text_of(mount, "mountPath") for mount in mounts]
        yield from (f"{name}: {path} is mounted twice" for path, count in Counter(paths).items() if count > 1)
        yield from (f"{name}: {path!r} cannot be mounted" for path in paths if ":" in path or not path)
        yield from (f"{name}: no volume {mount['name']!r}" for mount in mounts if mount.get("name") not in volumes)
        sub = [text_of(mount, "subPath") for mount in mounts]
        yield from (f"{name}: subPath {path!r}" for path in sub if path.startswith("/") or ".." in path.split("/"))
    for one in inits:
        plain = one.get("restartPolicy") != "Always"
        refused = [field for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe") if plain and field in one]
        yield from (f"{one['name']}: {field} is for containers that stay" for field in refused)
    yield from _sums(spec, [*inits, *containers])


def _sums(spec: JsonObject, containers: list[JsonObject]) -> Iterator[str]:
    """Requests of containers that run at once may not be more than the pod's own; only whole numbers of CPUs are looked at here."""
    whole = object_of(object_of(spec, "resources"), "requests").get("cpu")
    if whole is None:
        return
    running = [one for one in containers if one.get("restartPolicy") == "Always" or one in objects_of(spec, "containers")]
    asked = [object_of(object_of(one, "resources"), "requests").get("cpu") for one in running]
    if sum(_cpus(each) for each in asked if each is not None) > _cpus(whole):
        yield f"the requests of containers are more than the pod's {whole}"


def _cpus(quantity: Json) -> float:
    text = str(quantity)
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


__all__ = ["pod_problems", "schema_problems"]
