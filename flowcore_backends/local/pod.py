"""From an invocation to what has to be run: which containers, with which command, environment, mounts and outputs. Starts nothing.

Rules of ``containerSet``, ``script`` and ``container`` templates, init containers and sidecars are Argo's (mirrored mounts, the script as the
last argument, results and outputs from ``main``).
"""

from __future__ import annotations

import json
import platform
import posixpath
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from flowcore.artifacts import staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError
from flowcore.jsontypes import text_of
from flowcore.language.quantities import whole_quantity
from flowcore.models.containers import Container, ContainerNode, UserContainer
from flowcore.ports import RunContext
from flowcore_backends.container_paths import absolute, within
from flowcore_backends.environment import expand, given_environment
from flowcore_backends.local.folder_names import folder_name
from flowcore_backends.local.layout import TERMINATION_LOG, Mount
from flowcore_backends.local.options import LocalOptions
from flowcore_backends.local.volumes import Volumes
from flowcore_backends.main_containers import MAIN, main_containers
from flowcore_backends.pod_identity import argo_variables, claim_templates, pod_facts, pod_volumes

ARGO_FOLDER = "/argo"  # in a view; holds what we give the main container beside its inputs
_SCRIPT, _PROGRESS = "staging/script", "progress"
_PROGRAMS = "/argo/bin"

OURS = (ARGO_FOLDER, _PROGRAMS)  # what a view shows of ours, which templates know nothing of

Role: TypeAlias = Literal["init", "main", "sidecar"]


@dataclass(slots=True, kw_only=True)
class ContainerPlan:
    """One container: ``argv`` is complete, ``mounts`` are what it sees, ``outputs`` the absolute paths it may create things at."""

    name: str
    role: Role
    argv: list[str]
    environment: dict[str, str]
    working_dir: str
    mounts: list[Mount]
    outputs: list[str]
    model: Container
    folder: Path
    memory: int | None = None
    dependencies: list[str] = field(default_factory=list)
    keep_log: bool = False  # whether what it prints is also written to ``log``

    @property
    def log(self) -> Path:
        """The file for all that the container prints."""
        return self.folder / "log"


@dataclass(slots=True, kw_only=True)
class PodPlan:
    """All containers of an invocation; ``inputs`` are artifacts still to be loaded, with the place where each is wanted."""

    containers: list[ContainerPlan]
    inputs: list[tuple[staging.Declared, Path]]
    in_volumes: list[tuple[Path, str, str]]  # inputs that belong into a volume: what, which folder, where in it

    def of_role(self, role: Role) -> list[ContainerPlan]:
        """The containers of one role, in the template's order."""
        return [container for container in self.containers if container.role == role]


def plan_pod(
    invocation: Invocation, context: RunContext, options: LocalOptions, folder: Path, run_folder: Path, *, isolated: bool
) -> PodPlan:
    """Plan ``invocation``, whose scratch folder is ``folder``. Raises ExecutorError for what this backend cannot do."""
    return _Planner(invocation, context, options, folder, run_folder, isolated=isolated).plan()


class _Planner:
    def __init__(
        self, invocation: Invocation, context: RunContext, options: LocalOptions, folder: Path, run_folder: Path, *, isolated: bool
    ) -> None:
        self.invocation, self.context, self.options, self.folder, self.isolated = invocation, context, options, folder, isolated
        self.template = invocation.template
        self.programs = _programs(run_folder / "bin", options)
        self.facts = pod_facts(invocation, context, platform.node())
        self.volumes = Volumes(pod_volumes(invocation), claim_templates(context), folder, run_folder, options, self.facts, context.catalog)

    def plan(self) -> PodPlan:
        main = main_containers(self.template, "local")
        first = next((container for container in main if container.name == MAIN), main[0])
        environment = given_environment(first, self.facts, self.context.catalog)
        self.working_dir = self._working_dir(first, environment)
        mounts = self.volumes.mounts(first.volume_mounts, environment)
        inputs, artifact_mounts, in_volumes = self._inputs(mounts)
        mirrored = [*mounts, *artifact_mounts]
        plans = [self._user_container(container, "init", mirrored) for container in self.template.init_containers]
        plans += [self._main_container(container, artifact_mounts) for container in main]
        plans += [self._user_container(container, "sidecar", mirrored) for container in self.template.sidecars]
        return PodPlan(containers=plans, inputs=inputs, in_volumes=in_volumes)

    def _inputs(self, mounts: Sequence[Mount]) -> tuple[list[tuple[staging.Declared, Path]], list[Mount], list[tuple[Path, str, str]]]:
        """Where input artifacts go: into the volume that their path lies in, else into a place of their own, shown at their path."""
        inputs, own, in_volumes = [], [], []
        for number, artifact in enumerate(staging.input_artifacts(self.invocation)):
            if not artifact.path:
                continue
            place = self.folder / "inputs" / str(number) / (Path(artifact.path).name or artifact.name)
            inputs.append((artifact, place))
            path = absolute(artifact.path, self.working_dir)
            around = max(
                (mount for mount in mounts if within(path, posixpath.normpath(mount.path))), key=lambda mount: len(mount.path), default=None
            )
            if around is None:
                own.append(Mount(str(place), path))  # whether it is a file or a folder shows when it is loaded
            else:
                in_volumes.append((place, around.source, posixpath.relpath(path, posixpath.normpath(around.path))))
        return inputs, own, in_volumes

    def _working_dir(self, container: Container, environment: Mapping[str, str]) -> str:
        given = expand(container.working_dir, environment) or str(self.options.working_dir or "")
        if given or self.isolated:
            return posixpath.normpath(posixpath.join("/", given))
        folder = self.folder / "work"
        folder.mkdir(exist_ok=True)
        return str(folder)

    def _main_container(self, container: Container, artifacts: list[Mount]) -> ContainerPlan:
        plan = self._container(container, "main")
        plan.keep_log = staging.log_artifact(self.invocation, container.name) is not None
        result_container = container.name == MAIN
        if self.template.container_set is None or result_container:
            plan.mounts = [*plan.mounts, *artifacts]
            source = "\n".join([*container.command, *container.args, text_of(container.to_json(), "source")])
            plan.outputs = [staging.begun_by(source, absolute(path, self.working_dir)) for path in self._output_paths()]
        if isinstance(container, ContainerNode):
            plan.dependencies = list(container.dependencies)
        if result_container:
            self._add_argo_folder(plan)
        return plan

    def _user_container(self, container: UserContainer, role: Role, mirrored: list[Mount]) -> ContainerPlan:
        plan = self._container(container, role)
        if container.mirror_volume_mounts:
            seen = {mount.path for mount in plan.mounts}
            plan.mounts = [*plan.mounts, *(mount for mount in mirrored if mount.path not in seen)]
        return plan

    def _container(self, container: Container, role: Role) -> ContainerPlan:
        given = given_environment(container, self.facts, self.context.catalog)
        environment = {
            **self.options.inherited_environment(),
            "HOSTNAME": self.invocation.pod_name,
            **argo_variables(self.invocation, container.name),
            **given,
        }
        mounts = self.volumes.mounts(container.volume_mounts, given)
        folder = self.folder / f"{role}-{folder_name(container.name)}"
        if self.isolated and TERMINATION_LOG in json.dumps(container.to_json()):
            mounts.append(_termination_log(folder))
        if self.programs is not None:
            environment["PATH"] += f":{_PROGRAMS if self.isolated else self.programs}"
            mounts.append(Mount(str(self.programs), _PROGRAMS))
        return ContainerPlan(
            name=container.name,
            role=role,
            argv=self._argv(container, given),
            environment=environment,
            working_dir=self._working_dir(container, given),
            mounts=mounts,
            outputs=[],
            model=container,
            folder=folder,
            memory=_memory_limit(container),
        )

    def _argv(self, container: Container, environment: Mapping[str, str]) -> list[str]:
        command = [expand(word, environment) for word in container.command]
        if not command:
            command = list(self.options.commands.get(container.image, ()))
        if not command:
            raise ExecutorError(
                f"template {self.template.name or self.invocation.template_name}: the container {container.name} has no command, and the local backend "
                f"does not look into its image {container.image!r}; give it a command, or LocalExecutor(commands={{{container.image!r}: [...]}})"
            )
        return command + [expand(word, environment) for word in container.args]

    def _output_paths(self) -> list[str]:
        return [
            *staging.output_parameter_files(self.invocation).values(),
            *(a.path for a in staging.output_artifacts(self.invocation) if a.path),
        ]

    def _add_argo_folder(self, plan: ContainerPlan) -> None:
        """The folder with the script, and the file in which the main container may report its progress."""
        folder = self.folder / "argo"
        (folder / "staging").mkdir(parents=True)
        shown = ARGO_FOLDER if self.isolated else str(folder)
        plan.environment["ARGO_PROGRESS_FILE"] = f"{shown}/{_PROGRESS}"
        plan.mounts = [*plan.mounts, Mount(str(folder), ARGO_FOLDER)]
        if self.template.script is not None and self.template.script.source:
            script = folder / _SCRIPT
            script.write_bytes(self.template.script.source.encode("utf-8", "surrogatepass"))
            script.chmod(0o755)
            plan.argv.append(f"{shown}/{_SCRIPT}")


def progress_file(folder: Path) -> Path:
    """Where the main container of an invocation writes its progress, below the invocation's scratch folder."""
    return folder / "argo" / _PROGRESS


def _termination_log(folder: Path) -> Mount:
    """The file in which Kubernetes looks for last words. It costs a view of /dev of its own, so only those get it that speak of it."""
    file = folder / "termination-log"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return Mount(str(file), TERMINATION_LOG, folder=False)


def _programs(folder: Path, options: LocalOptions) -> Path | None:
    """The folder with what stands for missing programs, made once for a run; None if none is missing."""
    if not folder.exists() and (missing := options.missing_programs()):
        folder.mkdir(parents=True, exist_ok=True)
        for name, program in missing.items():
            with suppress(FileExistsError):
                (folder / name).symlink_to(program)
    return folder if folder.exists() else None


def _memory_limit(container: Container) -> int | None:
    limits = (container.resources or {}).get("limits")
    amount = limits.get("memory") if isinstance(limits, dict) else None
    return None if amount is None else whole_quantity(str(amount))
