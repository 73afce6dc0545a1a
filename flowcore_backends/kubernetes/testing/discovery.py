"""The static discovery documents of ``FakeKube``: which resources there are, in which groups, under which kinds."""

from __future__ import annotations

from flowcore.jsontypes import Json, JsonObject

_RESOURCES: dict[str, list[tuple[str, str, bool]]] = {
    "v1": [
        ("pods", "Pod", True),
        ("configmaps", "ConfigMap", True),
        ("secrets", "Secret", True),
        ("services", "Service", True),
        ("events", "Event", True),
        ("persistentvolumeclaims", "PersistentVolumeClaim", True),
        ("namespaces", "Namespace", False),
    ],
    "batch/v1": [("jobs", "Job", True), ("cronjobs", "CronJob", True)],
    "apps/v1": [("deployments", "Deployment", True)],
    "policy/v1": [("poddisruptionbudgets", "PodDisruptionBudget", True)],
    "argoproj.io/v1alpha1": [
        ("workflows", "Workflow", True),
        ("workflowtemplates", "WorkflowTemplate", True),
        ("clusterworkflowtemplates", "ClusterWorkflowTemplate", False),
        ("cronworkflows", "CronWorkflow", True),
    ],
    "example.com/v1": [("widgets", "Widget", True)],
}
_KINDS = {resource: kind for found in _RESOURCES.values() for resource, kind, _ in found}


def kind_of(resource: str) -> str:
    """The kind of a resource."""
    return _KINDS.get(resource, resource.capitalize())


def resource_of(kind: str) -> str:
    """The resource of a kind."""
    return next((resource for resource, known in _KINDS.items() if known == kind), f"{kind.lower()}s")


def is_namespaced(resource: str) -> bool:
    """Whether objects of a resource are in namespaces."""
    return next((namespaced for found in _RESOURCES.values() for name, _, namespaced in found if name == resource), True)


def discovered(path: str) -> JsonObject | None:
    """The document at ``path``, if it is one of discovery's."""
    if path == "/version":
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.2"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups: list[Json] = [_group(version) for version in _RESOURCES if "/" in version]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    version = path.removeprefix("/apis/") if path.startswith("/apis/") else path.removeprefix("/api/")
    if version not in _RESOURCES:
        return None
    resources: list[Json] = [_resource(*one) for one in _RESOURCES[version]]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources}


def _resource(name: str, kind: str, namespaced: bool) -> JsonObject:
    verbs: list[Json] = ["create", "delete", "get", "list", "patch", "update", "watch"]
    return {"name": name, "singularName": kind.lower(), "namespaced": namespaced, "kind": kind, "verbs": verbs}


def _group(version: str) -> JsonObject:
    named: JsonObject = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [named], "preferredVersion": named}
