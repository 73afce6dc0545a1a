"""ConfigMaps that a run will ask for and that nobody gave, told before it fails for want of them. Used by ``flowcore run``."""

from __future__ import annotations

from flowcore.errors import Problem
from flowcore.jsontypes import Json, JsonObject, object_of, text_of
from flowcore.language.tags import has_tags
from flowcore.ports import Catalog

# What containers take from ConfigMaps is the backend's business, and it says what is missing.
_OF_CONTAINERS = frozenset({"env", "envFrom", "volumes", "container", "script", "containerSet", "sidecars", "initContainers"})


def absent_config_maps(spec: JsonObject, catalog: Catalog, namespace: str) -> list[Problem]:
    """A warning for each ConfigMap that a parameter or a semaphore of ``spec`` reads and that ``catalog`` has not."""
    found: dict[str, None] = {}
    waiting: list[Json] = [spec]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        if not isinstance(value, dict):
            continue
        reference = object_of(value, "configMapKeyRef")
        name = text_of(reference, "name")
        if name and not has_tags(name) and "default" not in value and not reference.get("optional"):
            found[name] = None
        waiting += [item for key, item in value.items() if key not in _OF_CONTAINERS]
    remedy = "give the file it is in with --resource"
    return [
        Problem(f'ConfigMap "{name}" is asked for, and is not there', remedy=remedy, severity="warning")
        for name in sorted(found)
        if catalog.get("ConfigMap", name, namespace) is None
    ]


__all__ = ["absent_config_maps"]
