"""Locks by name: what a ``synchronization`` asks for, and how many may hold each.

The engine asks whether locks can ever be had before it asks for them; lock tables ask for names and limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of


class ConfigMaps(Protocol):
    """Where limits of semaphores are read from; every catalog is one."""

    def get(self, kind: str, name: str, namespace: str | None = None) -> JsonObject | None:
        """The manifest, or None."""
        ...


def locks_of(synchronization: JsonObject) -> tuple[JsonObject, ...]:
    """The single locks of a ``synchronization``, each as ``{"mutex": {...}}`` or ``{"semaphore": {...}}``."""
    locks: list[JsonObject] = []
    for kind, plural in (("semaphore", "semaphores"), ("mutex", "mutexes")):
        single = object_of(synchronization, kind)
        listed = objects_of(synchronization, plural) + ([single] if single else [])
        locks.extend({kind: lock} for lock in listed)
    return tuple(locks)


def name_of(lock: JsonObject, namespace: str) -> str:
    """The full name of a lock, as Argo writes it."""
    mutex = object_of(lock, "mutex")
    body = mutex or object_of(lock, "semaphore")
    space = text_of(body, "namespace") or namespace
    if mutex:
        return f"{space}/{'Database' if mutex.get('database') else 'Mutex'}/{text_of(mutex, 'name')}"
    reference = object_of(body, "configMapKeyRef")
    if reference:
        return f"{space}/ConfigMap/{text_of(reference, 'name')}/{text_of(reference, 'key')}"
    return f"{space}/Database/{text_of(object_of(body, 'database'), 'key')}"


def limit_of(lock: JsonObject, namespace: str, config_maps: ConfigMaps | None) -> int | str:
    """How many may hold a lock at once, or why nobody can."""
    name = name_of(lock, namespace)
    kind = "mutex" if "mutex" in lock else "semaphore"
    if "/Database/" in name:
        return f"database session is not available for {kind} {name}"
    if kind == "mutex":
        return 1
    semaphore = object_of(lock, "semaphore")
    reference = object_of(semaphore, "configMapKeyRef")
    space = text_of(semaphore, "namespace") or namespace
    manifest = config_maps.get("ConfigMap", text_of(reference, "name"), space) if config_maps is not None else None
    value = object_of(manifest, "data").get(text_of(reference, "key")) if manifest is not None else None
    text = str(value).strip() if value is not None else ""
    return int(text) if text.isdigit() and int(text) > 0 else f"failed to initialize semaphore {name} with limit"


def problem_of(locks: Sequence[JsonObject], namespace: str, config_maps: ConfigMaps | None) -> str:
    """Why the locks can never be had together, or an empty text."""
    seen: set[str] = set()
    for lock in locks:
        limit = limit_of(lock, namespace, config_maps)
        if isinstance(limit, str):
            return limit
        name = name_of(lock, namespace)
        if name in seen:
            return f"duplicate synchronization lock: {name}"
        seen.add(name)
    return ""
