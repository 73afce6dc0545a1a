"""The environment variables of a container: ``envFrom``, ``env``, references to Secrets, ConfigMaps and fields of the pod, ``$(NAME)``.

Pure but for look-ups in the catalog. Used by backends that are not Kubernetes; the texts of errors are Kubernetes'.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from flowcore.catalogs import values_of
from flowcore.errors import ExecutorError
from flowcore.jsontypes import Json, JsonObject
from flowcore.models.containers import Container
from flowcore.ports import Catalog

_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_KEYED_FIELD = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What a container can ask about its pod by ``fieldRef``."""

    name: str
    namespace: str
    uid: str
    node_name: str
    ip: str = "127.0.0.1"
    service_account: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def environment_of(container: Container, facts: PodFacts, catalog: Catalog) -> dict[str, str]:
    """The variables that the template gives ``container``, later ones over earlier ones. Raises ExecutorError for what cannot be found."""
    environment: dict[str, str] = {}
    for source in container.env_from:
        environment |= _all_of(source, facts, catalog)
    for variable in container.env:
        name, value_from = str(variable.get("name", "")), variable.get("valueFrom")
        if isinstance(value_from, dict):
            if (value := _referenced(value_from, container, facts, catalog)) is not None:
                environment[name] = value
        else:
            environment[name] = expand(str(variable.get("value") or ""), environment)
    return environment


def given_environment(container: Container, facts: PodFacts, catalog: Catalog) -> dict[str, str]:
    """``environment_of`` for a container that is about to start: what cannot be found is said as Kubernetes says it."""
    try:
        return environment_of(container, facts, catalog)
    except ExecutorError as error:
        raise ExecutorError(f"Pod failed before {container.name} container starts due to CreateContainerConfigError: {error}") from error


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by the variable's value, as Kubernetes does in ``command``, ``args`` and ``env``; ``$$`` is one dollar sign."""
    if "$" not in text:
        return text
    return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else environment.get(found[1], found[0]), text)


def catalog_values(kind: str, name: str, namespace: str, catalog: Catalog, *, optional: bool = False) -> dict[str, bytes] | None:
    """All values of a Secret or ConfigMap; None if it is not there and optional. Raises ExecutorError in Kubernetes' words."""
    manifest = catalog.get(kind, name, namespace)
    if manifest is None:
        if optional:
            return None
        raise ExecutorError(f'{kind.lower()} "{name}" not found')
    try:
        return values_of(manifest)
    except ValueError as error:
        raise ExecutorError(f"{kind} {namespace}/{name} has a value that is not base64") from error


def _all_of(source: JsonObject, facts: PodFacts, catalog: Catalog) -> Iterator[tuple[str, str]]:
    prefix = str(source.get("prefix") or "")
    for field_name, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        reference = source.get(field_name)
        if isinstance(reference, dict):
            optional = bool(reference.get("optional"))
            values = catalog_values(kind, str(reference.get("name", "")), facts.namespace, catalog, optional=optional)
            for key, value in (values or {}).items():
                if _NAME.fullmatch(prefix + key):
                    yield prefix + key, value.decode("utf-8", "replace")


def _referenced(value_from: JsonObject, container: Container, facts: PodFacts, catalog: Catalog) -> str | None:
    for field_name, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        reference = value_from.get(field_name)
        if isinstance(reference, dict):
            return _value(kind, reference, facts, catalog)
    reference = value_from.get("fieldRef")
    if isinstance(reference, dict):
        return field_value(str(reference.get("fieldPath", "")), facts)
    reference = value_from.get("resourceFieldRef")
    if isinstance(reference, dict):
        return _resource(str(reference.get("resource", "")), container)
    raise ExecutorError(f"an environment variable has a valueFrom that is not known: {', '.join(value_from) or 'it is empty'}")


def _value(kind: str, reference: JsonObject, facts: PodFacts, catalog: Catalog) -> str | None:
    name, key, optional = str(reference.get("name", "")), str(reference.get("key", "")), bool(reference.get("optional"))
    values = catalog_values(kind, name, facts.namespace, catalog, optional=optional)
    if values is not None and key in values:
        return values[key].decode("utf-8", "replace")
    if optional:
        return None
    raise ExecutorError(f"couldn't find key {key} in {kind} {facts.namespace}/{name}")


def field_value(path: str, facts: PodFacts) -> str:
    """The value of a pod's field, as the downward API gives it. Raises ExecutorError for a field it does not know."""
    if keyed := _KEYED_FIELD.fullmatch(path):
        return (facts.labels if keyed[1] == "labels" else facts.annotations).get(keyed[2], "")
    known = {
        "metadata.name": facts.name,
        "metadata.namespace": facts.namespace,
        "metadata.uid": facts.uid,
        "spec.nodeName": facts.node_name,
        "spec.serviceAccountName": facts.service_account,
        "status.hostIP": facts.ip,
        "status.hostIPs": facts.ip,
        "status.podIP": facts.ip,
        "status.podIPs": facts.ip,
        "metadata.labels": _lines(facts.labels),
        "metadata.annotations": _lines(facts.annotations),
    }
    if path not in known:
        raise ExecutorError(f"field label not supported: {path}")
    return known[path]


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))


def _resource(path: str, container: Container) -> str:
    """A limit or request of the container as written; ``0`` if it has none."""
    where, _, name = path.partition(".")
    given: Json = (container.resources or {}).get(where)
    value = given.get(name) if isinstance(given, dict) else None
    return str(value) if value is not None else "0"
