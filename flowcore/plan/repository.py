"""The artifact repository that a workflow or its namespace names: where artifacts go that do not say where. Read from a ConfigMap, as Argo's are."""

from __future__ import annotations

from flowcore import yaml
from flowcore.errors import InvalidWorkflow, UsageError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.plan.documents import Documents

_CONFIG_MAP = "artifact-repositories"
_DEFAULT = "workflows.argoproj.io/default-artifact-repository"


def repository_of(spec: JsonObject, catalog: Documents, namespace: str) -> JsonObject | None:
    """The repository that a workflow's ``artifactRepositoryRef`` names, or that the namespace has as its default; None if there is none.

    They stand in a ConfigMap, ``artifact-repositories`` unless the reference names another, as YAML under a key; the default one is named by the
    annotation ``workflows.argoproj.io/default-artifact-repository``. Raises UsageError for one that cannot be read.
    """
    reference = object_of(spec, "artifactRepositoryRef")
    name = text_of(reference, "configMap") or _CONFIG_MAP
    found = catalog.get("ConfigMap", name, namespace) or {}
    key = text_of(reference, "key") or text_of(object_of(object_of(found, "metadata"), "annotations"), _DEFAULT)
    text = text_of(object_of(found, "data"), key) if key else ""
    return _read(text, f"ConfigMap {name}, key {key}") if text else None


def _read(text: str, source: str) -> JsonObject:
    try:
        documents = yaml.read(text, file=source)
    except InvalidWorkflow as error:
        raise UsageError(f"the artifact repository cannot be read: {error}") from None
    read = documents[0].json if len(documents) == 1 else None
    if not isinstance(read, dict):
        raise UsageError(f"{source}: an artifact repository is a mapping such as s3: {{endpoint: ..., bucket: ...}}")
    return read


__all__ = ["repository_of"]
