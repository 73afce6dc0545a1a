"""Fields that Argo once had. Documents that still use them are read as if they had been written today, with a warning for each.

Called by ``flowcore.manifests``, which adds file and line. Argo 4 refuses such fields when a document is submitted; workflows written for
older versions are common, and what they mean is clear.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flowcore.errors import Problem
from flowcore.jsontypes import Json, JsonObject
from flowcore.manifest_problems import holder_at, parts_with_unknown_fields
from flowcore.models import CronWorkflowSpec, Model, ObjectMeta, Synchronization, Template, WorkflowSpec
from flowcore.yaml import dotted


@dataclass(frozen=True, slots=True)
class _Old:
    """An old field: what to write instead, and how its value is put there; without ``put`` it means nothing any more."""

    remedy: str
    put: Callable[[JsonObject, Json], None] | None = None


def _into_list(name: str) -> Callable[[JsonObject, Json], None]:
    """Where one was possible there is a list now; what stands in the list already comes first, and what is no list is left to be told."""

    def put(holder: JsonObject, value: Json) -> None:
        listed = holder.get(name) or []
        if isinstance(listed, list):
            holder[name] = [*listed, value]

    return put


def _into_ttl(holder: JsonObject, value: Json) -> None:
    strategy = holder.get("ttlStrategy") or {}
    if isinstance(strategy, dict):
        holder["ttlStrategy"] = {"secondsAfterCompletion": value, **strategy}


_IDLE = _Old("remove it: it has no effect")
_OLD: Mapping[type[Model], Mapping[str, _Old]] = {
    Synchronization: {
        "mutex": _Old("write a list: mutexes: [{name: ...}]", _into_list("mutexes")),
        "semaphore": _Old("write a list: semaphores: [{configMapKeyRef: ...}]", _into_list("semaphores")),
    },
    CronWorkflowSpec: {"schedule": _Old('write a list: schedules: ["..."]', _into_list("schedules"))},
    WorkflowSpec: {"ttlSecondsAfterFinished": _Old("write ttlStrategy: {secondsAfterCompletion: ...}", _into_ttl), "podPriority": _IDLE},
    Template: {"resubmitPendingPods": _IDLE},
    ObjectMeta: {"clusterName": _IDLE, "initializers": _IDLE},
}


def renewed(data: JsonObject, model: Model) -> tuple[JsonObject, list[Problem]]:
    """``data`` as it would be written today, and a warning for each old field; ``data`` itself where there is none. ``model`` is of ``data``."""
    found = [
        (path, key, old)
        for path, part in parts_with_unknown_fields(model)
        for key in part.model_extra or ()
        if (old := _OLD.get(type(part), {}).get(key))
    ]
    if not found:
        return data, []
    patched = copy.deepcopy(data)
    for path, key, old in found:
        holder = holder_at(patched, path)
        if isinstance(holder, dict) and key in holder:
            value = holder.pop(key)
            if old.put is not None:
                old.put(holder, value)
    return patched, [_warning((*path, key), key, old) for path, key, old in found]


def _warning(path: tuple[str | int, ...], key: str, old: _Old) -> Problem:
    return Problem(f'old field "{key}", which Argo 4 refuses', dotted(path), remedy=old.remedy, severity="warning", rule="old-name")


__all__ = ["renewed"]
