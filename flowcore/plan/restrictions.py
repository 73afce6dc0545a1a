"""What a workflow may still say for itself where operators demand that workflows refer to reviewed templates.

With such a restriction (Argo's templateReferencing Strict or Secure) a workflow must have a ``workflowTemplateRef`` and may
set only harmless fields beside it: everything new is refused until somebody has looked at it. Called when a plan is compiled so.
"""

from __future__ import annotations

from typing import Final

from flowcore.errors import InvalidWorkflow, Problem
from flowcore.jsontypes import Json, JsonObject

_PERMITTED: Final = frozenset(
    {
        "activeDeadlineSeconds",
        "archiveLogs",
        "arguments",
        "artifactGC",
        "entrypoint",
        "metrics",
        "podGC",
        "priority",
        "shutdown",
        "suspend",
        "ttlStrategy",
        "volumeClaimGC",
        "workflowMetadata",
        "workflowTemplateRef",
    }
)
_FORBIDDEN_IN_ARTIFACT_GC: Final = frozenset({"podMetadata", "podSpecPatch", "serviceAccountName"})
_GO_NAMES: Final = {"ttlStrategy": "TTLStrategy", "dnsConfig": "DNSConfig", "dnsPolicy": "DNSPolicy"}


def forbidden_overrides(spec: JsonObject) -> list[str]:
    """The fields of ``spec`` that a restricted workflow may not set, sorted, by the names that Argo prints (``ArtifactGC.PodSpecPatch``)."""
    names = [_printed(key) for key, value in spec.items() if key not in _PERMITTED and _is_set(value)]
    collection = spec.get("artifactGC")
    if isinstance(collection, dict):
        names += [f"ArtifactGC.{_printed(key)}" for key in _FORBIDDEN_IN_ARTIFACT_GC if _is_set(collection.get(key))]
    return sorted(names)


def check_reference(spec: JsonObject) -> None:
    """Raises InvalidWorkflow unless ``spec`` refers to a workflow template and sets nothing else that a restricted workflow may not."""
    if not isinstance(spec.get("workflowTemplateRef"), dict):
        message = "workflows must use workflowTemplateRef to be executed when the controller is in reference mode"
        raise InvalidWorkflow([Problem(message, "spec", remedy="submit it from a workflow template", rule="restricted")])
    check_overrides(spec)


def check_overrides(spec: JsonObject) -> None:
    """Raises InvalidWorkflow when ``spec`` sets anything that a restricted workflow may not."""
    names = forbidden_overrides(spec)
    if names:
        message = f"fields [{' '.join(names)}] are not permitted when using workflowTemplateRef with templateReferencing restriction"
        raise InvalidWorkflow([Problem(message, "spec", remedy="set them in the workflow template", rule="restricted")])


def permitted_overrides(spec: JsonObject) -> JsonObject:
    """``spec`` without anything that a restricted workflow may not set."""
    kept: JsonObject = {key: value for key, value in spec.items() if key in _PERMITTED}
    collection = kept.get("artifactGC")
    if isinstance(collection, dict):
        kept["artifactGC"] = {key: value for key, value in collection.items() if key not in _FORBIDDEN_IN_ARTIFACT_GC}
    return kept


def _is_set(value: Json) -> bool:
    return value is not None and value != ""


def _printed(key: str) -> str:
    return _GO_NAMES.get(key, key[:1].upper() + key[1:])
