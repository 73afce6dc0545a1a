"""What Docker cannot do of a document, said before anything runs. Pure; called by ``DockerExecutor.check`` for ``flowcore lint --backend docker``.

Errors are what a run would end on: privileges that the options do not give, claims and kinds of volumes that Docker does not have. Warnings are
fields that mean nothing here, and documents that were not given with the others.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator

from flowcore.errors import ExecutorError, ExpressionError, InvalidWorkflow, Problem
from flowcore.jsontypes import JsonObject, object_of, objects_of
from flowcore.models.containers import Container
from flowcore.ports import Catalog, RunContext
from flowcore_backends.docker.options import DockerOptions
from flowcore_backends.docker.pod import pod_security
from flowcore_backends.docker.security import Machine, resources_of, security_of
from flowcore_backends.docker.settings import network_of
from flowcore_backends.docker.volumes import Volumes
from flowcore_backends.environment import environment_of
from flowcore_backends.main_containers import MAIN
from flowcore_backends.pod_identity import pod_facts, pod_volumes
from flowcore_backends.pod_spec_patch import patched
from flowcore_backends.router import kind_of
from flowcore_backends.sample_pods import Sample, sample_context, samples
from flowcore_backends.volume_files import VALUE_KINDS

_RULE = "backend"
_PLACEMENT = ("nodeSelector", "affinity", "tolerations", "schedulerName", "priorityClassName", "podPriorityClassName")
_OF_PODS = (*_PLACEMENT, "podDisruptionBudget", "resourceClaims", "podResources")
_OF_CONTAINERS = ("resizePolicy", "restartPolicyRules", "volumeDevices")
_OF_SECURITY = ("seLinuxOptions", "windowsOptions", "procMount", "appArmorProfile")
_RESOURCES = ("cpu", "memory", "nvidia.com/gpu", "amd.com/gpu")


def problems_of(manifest: JsonObject, catalog: Catalog, options: DockerOptions) -> list[Problem]:
    """All problems, each at its template."""
    found, spec, path = samples(manifest)
    context = sample_context(manifest, spec, catalog)
    problems = [_ignored(path, field) for field in _OF_PODS if spec.get(field)]
    problems += _caught(path, lambda: network_of(spec, options, "private"))
    for sample in found:
        problems += _Check(sample, context, options).problems()
    return problems


class _Check:
    def __init__(self, sample: Sample, context: RunContext, options: DockerOptions) -> None:
        self._sample, self._context, self._options = sample, context, options
        self._path = sample.path

    def problems(self) -> list[Problem]:
        """Everything about one template."""
        kind = kind_of(self._sample.invocation)
        if kind == "resource":
            return [self._told("resource templates need a Kubernetes API, which Docker is not; use the kubernetes backend")]
        if kind not in ("container", "script", "containerSet"):
            return []
        try:
            self._invocation, self._context = patched(self._sample.invocation, self._context)
            self._template = self._invocation.template
        except (ExecutorError, InvalidWorkflow, ValueError) as error:
            return [self._told(str(error), sure=not self._sample.uncertain)]
        return list(dict.fromkeys(self._all()))

    def _all(self) -> Iterator[Problem]:
        for field in _OF_PODS:
            if self._invocation.body.get(field):
                yield _ignored(self._path, field)
        security = pod_security(self._invocation, self._context)
        self._facts = pod_facts(self._invocation, self._context, platform.node())
        volumes = Volumes(self._invocation, self._context, self._options, self._facts)
        for container, raw in self._containers():
            yield from self._of_container(container, raw, security)
            yield from self._of_environment(container)
            for mount in container.volume_mounts:
                yield from self._of_mount(volumes, mount)

    def _containers(self) -> Iterator[tuple[Container, JsonObject]]:
        """Every container, as a model and as it is written."""
        template, body = self._template, self._invocation.body
        if template.container_set is not None:
            written = objects_of(object_of(body, "containerSet"), "containers")
            yield from zip(template.container_set.containers, written, strict=True)
        elif (only := template.script or template.container) is not None:
            kind = "script" if template.script is not None else "container"
            yield only.model_copy(update={"name": MAIN}), object_of(body, kind)
        yield from zip(template.init_containers, objects_of(body, "initContainers"), strict=True)
        yield from zip(template.sidecars, objects_of(body, "sidecars"), strict=True)

    def _of_container(self, container: Container, raw: JsonObject, security: JsonObject) -> Iterator[Problem]:
        yield from self._tried(lambda: security_of(container, security, self._options))
        yield from self._tried(lambda: resources_of(container, Machine()))
        context = {**security, **(container.security_context or {})}
        fields = [field for field in _OF_CONTAINERS if raw.get(field)] + [
            f"securityContext.{field}" for field in _OF_SECURITY if context.get(field)
        ]
        limits = object_of(object_of(raw, "resources"), "limits")
        fields += [f"resources.limits[{name}]" for name in limits if name not in _RESOURCES]
        if object_of(context, "seccompProfile").get("type") == "Localhost":
            fields.append("securityContext.seccompProfile of the type Localhost")
        for field in fields:
            yield _ignored(self._path, f"{field} of container {container.name}")

    def _of_environment(self, container: Container) -> Iterator[Problem]:
        try:
            environment_of(container, self._facts, self._context.catalog)
        except ExecutorError as error:
            yield self._told(f"container {container.name}: {error}; give it with --resource", sure=False)

    def _of_mount(self, volumes: Volumes, mount: JsonObject) -> Iterator[Problem]:
        volume = pod_volumes(self._invocation).get(str(mount.get("name")), {})
        given = any(kind in volume for kind in VALUE_KINDS)
        for problem in self._tried(lambda: volumes.mounts([mount], {})):
            yield self._told(f"{problem.message}; give it with --resource", sure=False) if given else problem

    def _tried(self, attempt: Callable[[], object]) -> list[Problem]:
        return _caught(self._path, attempt, sure=not self._sample.uncertain)

    def _told(self, message: str, *, sure: bool = True) -> Problem:
        return Problem(message, path=self._path, severity="error" if sure else "warning", rule=_RULE)


def _caught(path: str, attempt: Callable[[], object], *, sure: bool = True) -> list[Problem]:
    """What an attempt is refused with."""
    try:
        attempt()
    except (ExecutorError, ExpressionError) as error:
        return [Problem(str(error), path=path, severity="error" if sure else "warning", rule=_RULE)]
    return []


def _ignored(path: str, field: str) -> Problem:
    return Problem(f"{field} means nothing to Docker and is left alone", path=path, severity="warning", rule=_RULE)


__all__ = ["problems_of"]
