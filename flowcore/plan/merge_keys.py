"""Which lists of Kubernetes and Argo objects are merged item by item, and by which member of the items.

A ``Shape`` describes one kind of object, as far as merging goes: lists with a merge key, and members whose own shape matters. Members that
are not named here are merged field by field when they are objects, and replaced otherwise. Read by ``plan.strategic``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Shape:
    """``lists`` names the merge key of a list member and the shape of its items (an empty key: a list of plain values that is united).

    ``objects`` gives the shape of object members; the name ``*`` stands for every member, for maps with free keys.
    """

    lists: Mapping[str, tuple[str, Shape]] = field(default_factory=dict)
    objects: Mapping[str, Shape] = field(default_factory=dict)

    def of(self, name: str) -> Shape:
        """The shape of the object member ``name``."""
        return self.objects.get(name) or self.objects.get("*") or PLAIN


PLAIN: Final = Shape()

_METADATA: Final = Shape({"ownerReferences": ("uid", PLAIN), "finalizers": ("", PLAIN)})
_VOLUME: Final = Shape(objects={"ephemeral": Shape(objects={"volumeClaimTemplate": Shape(objects={"metadata": _METADATA})})})
_CONTAINER: Final = Shape(
    {
        "env": ("name", PLAIN),
        "ports": ("containerPort", PLAIN),
        "volumeMounts": ("mountPath", PLAIN),
        "volumeDevices": ("devicePath", PLAIN),
    }
)
_ARGUMENTS: Final = Shape({"parameters": ("name", PLAIN), "artifacts": ("name", PLAIN)})
_HOOKS: Final = Shape(objects={"*": Shape(objects={"arguments": _ARGUMENTS})})

_TEMPLATE_LISTS: Final[Mapping[str, tuple[str, Shape]]] = {
    "volumes": ("name", _VOLUME),
    "initContainers": ("name", _CONTAINER),
    "sidecars": ("name", _CONTAINER),
    "tolerations": ("key", PLAIN),
    "hostAliases": ("ip", PLAIN),
}
_TEMPLATE_OBJECTS: Final[Mapping[str, Shape]] = {
    "inputs": _ARGUMENTS,
    "outputs": _ARGUMENTS,
    "container": _CONTAINER,
    "script": _CONTAINER,
}
_INLINE_TASK: Final = Shape(objects={"arguments": _ARGUMENTS, "hooks": _HOOKS})
_INLINE: Final = Shape(_TEMPLATE_LISTS, {**_TEMPLATE_OBJECTS, "dag": Shape({"tasks": ("name", _INLINE_TASK)})})
_TASK: Final = Shape(objects={"arguments": _ARGUMENTS, "hooks": _HOOKS, "inline": _INLINE})

TEMPLATE: Final = Shape(_TEMPLATE_LISTS, {**_TEMPLATE_OBJECTS, "dag": Shape({"tasks": ("name", _TASK)})})
"""A template of a workflow."""

WORKFLOW_SPEC: Final = Shape(
    {
        "templates": ("name", TEMPLATE),
        "volumes": ("name", _VOLUME),
        "tolerations": ("key", PLAIN),
        "imagePullSecrets": ("name", PLAIN),
        "hostAliases": ("ip", PLAIN),
    },
    {"arguments": _ARGUMENTS, "templateDefaults": TEMPLATE},
)
"""The spec of a workflow or workflow template."""

WORKFLOW: Final = Shape(objects={"metadata": _METADATA, "spec": WORKFLOW_SPEC})
"""A whole workflow."""

POD_SPEC: Final = Shape(
    {
        "containers": ("name", _CONTAINER),
        "initContainers": ("name", _CONTAINER),
        "ephemeralContainers": ("name", _CONTAINER),
        "volumes": ("name", _VOLUME),
        "imagePullSecrets": ("name", PLAIN),
        "hostAliases": ("ip", PLAIN),
        "topologySpreadConstraints": ("topologyKey", PLAIN),
        "schedulingGates": ("name", PLAIN),
        "resourceClaims": ("name", PLAIN),
    }
)
"""The spec of a Kubernetes pod."""
