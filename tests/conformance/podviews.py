"""Pods as the corpus looks at them: the JSON of the pod that Argo would create for an invocation, as far as cases ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowcore.engine.messages import Invocation
from flowcore.nodes import NodeType
from tests.conformance.matchers import parsed

AGENT_TYPES = (NodeType.HTTP, NodeType.PLUGIN)
_FROM_TEMPLATE = (
    "activeDeadlineSeconds",
    "nodeSelector",
    "tolerations",
    "affinity",
    "volumes",
    "initContainers",
    "hostAliases",
    "securityContext",
)


def pod_of(invocation: Invocation, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The pod of an invocation; ``spec`` is the workflow's merged spec, whose placement rules are the default."""
    body: Any = invocation.body
    if invocation.node_type in AGENT_TYPES:
        return {
            "metadata": {"name": f"{invocation.workflow}-agent", "labels": {}, "annotations": {}},
            "spec": {"containers": []},
            "template": body,
        }
    metadata = body.get("metadata") or {}
    pod: dict[str, Any] = {
        "metadata": {
            "name": invocation.pod_name,
            "namespace": invocation.namespace,
            "labels": {"workflows.argoproj.io/workflow": invocation.workflow, **(metadata.get("labels") or {})},
            "annotations": {"workflows.argoproj.io/node-name": invocation.node_name, **(metadata.get("annotations") or {})},
        },
        "spec": {"containers": [{"name": "wait"}, *_containers(body)]},
        "template": body,
    }
    for field in _FROM_TEMPLATE:
        value = body.get(field) or spec.get(field)
        if value:
            pod["spec"][field] = value
    if body.get("podSpecPatch"):
        pod["spec"] = _patched(pod["spec"], body["podSpecPatch"])
    return pod


def _containers(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    if body.get("containerSet"):
        return list(body["containerSet"]["containers"])
    main = body.get("container") or body.get("script") or {}
    return [{**main, "name": "main"}, *(body.get("sidecars") or ())]


def _patched(spec: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The pod spec with a podSpecPatch laid over it: lists of named things are merged by name."""
    return _overlay(spec, parsed(patch) or {})


def _overlay(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {key: _overlay(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}}
    if isinstance(below, list) and isinstance(above, list) and all(isinstance(item, Mapping) and "name" in item for item in above):
        named = {item["name"]: item for item in above}
        kept = [_overlay(item, named.pop(item["name"])) if item.get("name") in named else item for item in below]
        return [*kept, *named.values()]
    return above
