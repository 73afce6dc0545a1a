"""From an invocation to what has to be run: which containers, with which command, environment and mounts, and what has to be put where.

Starts nothing. The rules of ``containerSet``, ``script`` and ``container`` templates, init containers and sidecars are Argo's: mirrored mounts,
the script as the last argument, inputs and outputs of ``main``. ``settings.py`` says the same in Docker's words.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from flowcore.artifacts import staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of
from flowcore.models.containers import Container, ContainerNode, UserContainer
from flowcore.ports import RunContext
from flowcore_backends.container_paths import absolute, within
from flowcore_backends.docker.labels import container_labels, pod_object_name
from flowcore_backends.docker.options import DockerOptions
from flowcore_backends.docker.volumes import MountPlan, VolumePlan, Volumes
from flowcore_backends.environment import expand, given_environment
from flowcore_backends.main_containers import MAIN, main_containers
from flowcore_backends.pod_identity import argo_variables, pod_facts

HOLDER = "pod"
ARGO_FOLDER = "/argo"
SCRIPT_PATH, PROGRESS_PATH = "/argo/staging/script", "/argo/progress"
PLAIN_PROGRESS_PATH = "/argo-progress"  # where there is no folder of ours, and the user may write to the root
PROGRESS_VARIABLE = "ARGO_PROGRESS_FILE"
TERMINATION_LOG = "/dev/termination-log"

Role: TypeAlias = Literal["init", "main", "sidecar"]


@dataclass(slots=True, kw_only=True)
class ContainerPlan:
    """One container; ``command`` and ``args`` are expanded, empty ones are the image's own.

    ``native`` is a sidecar that stands among the init containers: it is started in its turn, and started again if it ends too early.
    """

    name: str
    role: Role
    object_name: str
    command: list[str]
    args: list[str]
    environment: dict[str, str]
    working_dir: str
    mounts: list[MountPlan]
    labels: dict[str, str]
    model: Container
    dependencies: list[str] = field(default_factory=list)
    native: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InputPlan:
    """An input artifact and where the main container sees it; ``mount`` is the volume's that this lies in, or None for its own files."""

    artifact: staging.Declared
    path: str
    mount: MountPlan | None


@dataclass(slots=True, kw_only=True)
class PodPlan:
    """All containers of an invocation. ``staged`` is the volume through which inputs and script go when they cannot be put into the container.

    ``holder`` says that a container of ours mounts all volumes, so that they can be filled; ``shared`` that it runs as long as the pod,
    because containers share its network or a volume lives in memory.
    """

    containers: list[ContainerPlan]
    volumes: list[VolumePlan]
    inputs: list[InputPlan]
    script: bytes | None
    staged: VolumePlan | None
    holder: bool
    shared: bool
    holder_name: str
    labels: dict[str, str]

    @property
    def main(self) -> ContainerPlan | None:
        """The container whose inputs and outputs count; a containerSet may have none."""
        return next((plan for plan in self.containers if plan.name == MAIN and plan.role == "main"), None)

    @property
    def starters(self) -> list[ContainerPlan]:
        """What is started one after the other before the main containers, in the template's order: init containers and native sidecars."""
        return [container for container in self.containers if container.role == "init" or container.native]

    @property
    def sidecars(self) -> list[ContainerPlan]:
        """The sidecars that are started with the main containers."""
        return [container for container in self.containers if container.role == "sidecar" and not container.native]

    def natives(self) -> frozenset[str]:
        """The names of the native sidecars, of which how they ended says nothing."""
        return frozenset(container.name for container in self.containers if container.native)

    def of_role(self, role: Role) -> list[ContainerPlan]:
        """The containers of one role, in the template's order."""
        return [container for container in self.containers if container.role == role]


def plan_pod(invocation: Invocation, context: RunContext, options: DockerOptions, host: str) -> PodPlan:
    """Plan ``invocation``; ``host`` is the name of this machine. Raises ExecutorError for what this backend cannot do."""
    return _Planner(invocation, context, options, host).plan()


class _Planner:
    def __init__(self, invocation: Invocation, context: RunContext, options: DockerOptions, host: str) -> None:
        self.invocation, self.context, self.options, self.host = invocation, context, options, host
        self.template = invocation.template
        self.facts = pod_facts(invocation, context, host)
        self.volumes = Volumes(invocation, context, options, self.facts)

    def plan(self) -> PodPlan:
        mains = [self._container(container, "main") for container in main_containers(self.template, "docker")]
        first = next((plan for plan in mains if plan.name == MAIN), mains[0])
        inputs = self._inputs(first)
        users = [*self.template.init_containers, *self.template.sidecars]
        staged = self._staged(first, inputs, users)
        if first.name == MAIN:
            self._add_argo(first, inputs, staged)
        starters = [self._starter(container, first.mounts) for container in self.template.init_containers]
        sidecars = [self._user_container(container, "sidecar", first.mounts) for container in self.template.sidecars]
        containers = [*starters, *mains, *sidecars]
        for plan in containers if self._writes_last_words() else ():
            self._add_termination_log(plan)
        used = list(self.volumes.used.values())
        shared = len(mains) > 1 or any(one.role == "sidecar" for one in containers) or any(volume.memory for volume in used)
        return PodPlan(
            containers=containers,
            volumes=used,
            inputs=inputs,
            script=self.template.script.source.encode("utf-8", "surrogatepass") if self.template.script is not None else None,
            staged=staged,
            holder=shared or self._must_be_filled(containers, used),
            shared=shared,
            holder_name=pod_object_name(self.invocation, HOLDER),
            labels=container_labels(self.invocation, HOLDER, HOLDER, self.host),
        )

    def _inputs(self, main: ContainerPlan) -> list[InputPlan]:
        found = []
        for artifact in staging.input_artifacts(self.invocation):
            if artifact.path:
                path = absolute(artifact.path, main.working_dir)
                around = max((mount for mount in main.mounts if within(path, mount.path)), key=lambda mount: len(mount.path), default=None)
                found.append(InputPlan(artifact=artifact, path=path, mount=around))
        return found

    def _staged(self, main: ContainerPlan, inputs: Sequence[InputPlan], users: Sequence[UserContainer]) -> VolumePlan | None:
        """The staging volume, if the main container's own files cannot be written or others have to see its inputs."""
        security = {**pod_security(self.invocation, self.context), **(main.model.security_context or {})}
        mirrored = any(user.mirror_volume_mounts for user in users) and any(each.mount is None for each in inputs)
        needed = security.get("readOnlyRootFilesystem") or mirrored or self._writes_last_words()
        return self.volumes.staged() if needed else None

    def _writes_last_words(self) -> bool:
        """Whether the template speaks of Kubernetes' file for termination messages, which lies where Docker keeps nothing."""
        return TERMINATION_LOG in json.dumps(self.invocation.body)

    def _add_termination_log(self, plan: ContainerPlan) -> None:
        if plan.model.termination_message_path in ("", TERMINATION_LOG):
            plan.mounts = [mount for mount in plan.mounts if mount.path != TERMINATION_LOG]  # a mirrored one
            plan.mounts.append(MountPlan(volume=self.volumes.staged(), path=TERMINATION_LOG, sub_path=termination_path(plan.name)))

    def _add_argo(self, main: ContainerPlan, inputs: list[InputPlan], staged: VolumePlan | None) -> None:
        """The script as last argument, the place for progress, and mounts of the staging volume where it is used."""
        main.environment[PROGRESS_VARIABLE] = PROGRESS_PATH
        if self.template.script is not None and self.template.script.source:
            main.args.append(SCRIPT_PATH)
        if staged is None:
            return
        main.mounts.append(MountPlan(volume=staged, path=ARGO_FOLDER, sub_path=ARGO_FOLDER[1:]))
        for number, each in enumerate(inputs):
            if each.mount is None:
                mount = MountPlan(volume=staged, path=each.path, sub_path=staged_path(number))
                main.mounts.append(mount)
                inputs[number] = InputPlan(artifact=each.artifact, path=each.path, mount=mount)

    def _starter(self, container: UserContainer, mirrored: list[MountPlan]) -> ContainerPlan:
        """An init container, or a native sidecar among them."""
        native = container.restart_policy == "Always"
        plan = self._user_container(container, "sidecar" if native else "init", mirrored)
        plan.native = native
        return plan

    def _user_container(self, container: UserContainer, role: Role, mirrored: list[MountPlan]) -> ContainerPlan:
        plan = self._container(container, role)
        if container.mirror_volume_mounts:
            seen = {mount.path for mount in plan.mounts}
            plan.mounts += [mount for mount in mirrored if mount.path not in seen and mount.path != ARGO_FOLDER]
        return plan

    def _container(self, container: Container, role: Role) -> ContainerPlan:
        given = given_environment(container, self.facts, self.context.catalog)
        if not container.image:
            raise ExecutorError(f"container {container.name} of template {self.invocation.template_name} has no image, which Docker needs")
        return ContainerPlan(
            name=container.name,
            role=role,
            object_name=pod_object_name(self.invocation, container.name),
            command=[expand(word, given) for word in container.command],
            args=[expand(word, given) for word in container.args],
            environment={**argo_variables(self.invocation, container.name), **self.options.environment, **given},
            working_dir=expand(container.working_dir, given),
            mounts=self.volumes.mounts(container.volume_mounts, given),
            labels={**self.facts.labels, **container_labels(self.invocation, container.name, role, self.host)},
            model=container,
            dependencies=list(container.dependencies) if isinstance(container, ContainerNode) else [],
        )

    def _must_be_filled(self, containers: Sequence[ContainerPlan], used: Sequence[VolumePlan]) -> bool:
        """Whether a volume needs something in it before the container that mounts it is there."""
        if any(volume.values or volume.name == "" for volume in used):
            return True
        mounts = [mount for plan in containers for mount in plan.mounts]
        return any(mount.sub_path or (mount.read_only and mount.volume.open_to_all) for mount in mounts) or any(
            plan.role == "init" and plan.mounts for plan in containers
        )


def staged_path(number: int) -> str:
    """Where in the staging volume the input artifact ``number`` lies."""
    return f"inputs/{number}"


def termination_path(container: str) -> str:
    """Where in the staging volume a container's termination message lies."""
    return f"termination/{container}"


def pod_security(invocation: Invocation, context: RunContext) -> JsonObject:
    """The pod's own security context: the template's, else the workflow's."""
    return invocation.template.security_context or object_of(context.spec, "securityContext")
