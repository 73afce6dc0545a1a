"""How a pod's outputs are captured and its inputs put in place, whatever its image: which containers are wrapped, and how. Pure.

A native sidecar (``flowcore``) holds a volume that every wrapped container mounts at ``/flowcore``; ``scripts.py`` says what runs there. A
container without a command cannot be wrapped, as Kubernetes does not tell what its image would run; ``KubernetesOptions.images`` may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowcore.artifacts import staging
from flowcore.engine.messages import Invocation
from flowcore.errors import ExecutorError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore_backends.container_paths import absolute, within
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.scripts import AWAIT_INPUTS, AWAIT_INSTALLED, HOLD, RUN
from flowcore_backends.kubernetes.straight_scripts import GET, PUT

MAIN, HOLDER, LOADER, VOLUME, ROOT = "main", "flowcore", "flowcore-inputs", "flowcore", "/flowcore"
URLS = "flowcore-urls"  # the volume with signed URLs
SCRIPT = "script"  # the name of the script among the inputs
PROGRESS = f"{ROOT}/ctl/progress"
_NOTE = "/dev/termination-log"
_NOBODY = 65534
_LONGEST_MESSAGE, _MESSAGES_OF_A_POD, _SPARE = 4000, 12288, 96


@dataclass(frozen=True, slots=True)
class PlacedInput:
    """An input that lies in the volume as ``in/NAME`` and is to appear in the main container at ``path``."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Layout:
    """What of a pod is wrapped. ``outputs`` are the paths whose content is handed over, by number.

    ``holder`` says that there is a container that holds the volume; ``mains`` are all main containers, in the template's order. Sidecars called
    ``native`` are Kubernetes' own: how they end counts for nothing.
    """

    mains: tuple[str, ...]
    wrapped: tuple[str, ...]
    outputs: tuple[str, ...]
    holder: bool
    capture: bool
    native: tuple[str, ...] = ()

    @property
    def hands_over(self) -> bool:
        """Whether the main container's outputs come through the holder."""
        return MAIN in self.wrapped and bool(self.outputs or self.capture)


def layout_of(invocation: Invocation, options: KubernetesOptions) -> Layout:
    """The layout of an invocation's pod. Raises ExecutorError for outputs or a script of a container whose command is not known."""
    containers = main_containers(invocation, options)
    names = tuple(text_of(container, "name") for container in containers)
    wrapped = tuple(text_of(container, "name") for container in containers if container.get("command"))
    outputs = output_paths(invocation)
    if len(wrapped) < len(names) and (outputs or len(names) > 1 or "script" in invocation.body):
        image = next(text_of(container, "image") for container in containers if not container.get("command"))
        raise ExecutorError(
            f'failed to look-up entrypoint/cmd for image "{image}" of template {invocation.template_name}: '
            "give the container a command, or name the image's own with KubernetesExecutor(images={...})"
        )
    inputs = bool(staging.input_artifacts(invocation)) or "script" in invocation.body
    sidecars = objects_of(invocation.body, "sidecars")
    native = tuple(text_of(one, "name") for one in sidecars if not one.get("command") or len(wrapped) < len(names))
    return Layout(names, wrapped, outputs, bool(wrapped) or inputs, invocation.capture_result and MAIN in wrapped, native)


def main_containers(invocation: Invocation, options: KubernetesOptions) -> list[JsonObject]:
    """The main containers as the template has them, with the command of the image where the options know it and the template has none."""
    body = invocation.body
    if (group := body.get("containerSet")) is not None and isinstance(group, dict):
        shared = objects_of(group, "volumeMounts")
        containers: list[JsonObject] = [
            {**one, "volumeMounts": [*objects_of(one, "volumeMounts"), *shared]} for one in objects_of(group, "containers")
        ]
    elif isinstance(only := body.get("script") or body.get("container"), dict):
        containers = [{**only, "name": MAIN}]
    else:
        raise ExecutorError(f"template {invocation.template_name} is of no type that runs in a pod")
    return [_with_command(container, options) for container in containers]


def _with_command(container: JsonObject, options: KubernetesOptions) -> JsonObject:
    known = options.images.get(text_of(container, "image"))
    if container.get("command") or not known:
        return container
    if container.get("args"):
        return {**container, "command": [*known[:1]]}
    return {**container, "command": [*known]}


def output_paths(invocation: Invocation) -> tuple[str, ...]:
    """The paths that are handed over: of output parameters, then of output artifacts, each once."""
    artifacts = [artifact.path for artifact in staging.output_artifacts(invocation) if artifact.path]
    return tuple(dict.fromkeys([*staging.output_parameter_files(invocation).values(), *artifacts]))


def wrapped_container(container: JsonObject, words: Sequence[str]) -> JsonObject:
    """``container`` with its command behind the wrapper; ``words`` are the wrapper's own."""
    command: list[Json] = [f"{ROOT}/bin/busybox", "sh", f"{ROOT}/bin/run.sh", text_of(container, "name")]
    command += [literal(word) for word in words]
    mounts: list[Json] = [*objects_of(container, "volumeMounts"), {"name": VOLUME, "mountPath": ROOT}]
    return {**container, "command": [*command, "--", *strings_of(container, "command")], "volumeMounts": mounts}


def literal(word: str) -> str:
    """``word`` so that Kubernetes takes no part of it for a variable."""
    return word.replace("$", "$$")


def main_words(name: str, layout: Layout, inputs: Sequence[PlacedInput], needs: Sequence[str], retries: tuple[int, float]) -> list[str]:
    """The wrapper's words for a main container; ``inputs`` are those that it copies into volumes of the template."""
    words = [word for need in needs for word in ("-n", need)]
    if retries[0]:
        words += ["-r", str(retries[0]), "-p", f"{retries[1]:g}"]
    if name == MAIN:
        words += ["-c"] if layout.capture else []
        words += [word for each in inputs for word in ("-i", each.name, each.path)]
        words += [word for path in layout.outputs for word in ("-o", path)]
    return words


def holder_container(
    main: JsonObject, around: JsonObject, layout: Layout, options: KubernetesOptions, *, inline: str, containers: int, tasks: str = ""
) -> JsonObject:
    """The native sidecar; ``inline`` are the inputs (base64 of a gzipped tar), ``containers`` is the number of containers of the pod, ``tasks``
    is what it fetches and uploads itself, by URLs of the volume ``URLS``.

    ``around`` has what the pod says for all of its containers.
    """
    limit = min(_LONGEST_MESSAGE, _MESSAGES_OF_A_POD // max(1, containers) - _SPARE)
    env: list[Json] = [{"name": "FLOWCORE_RUN", "value": literal(RUN)}]
    if inline:
        env.append({"name": "FLOWCORE_INPUTS", "value": inline})
    command: list[Json] = ["busybox", "sh", "-c", literal(HOLD), HOLDER, ROOT, _NOTE, str(max(0, limit)), *layout.wrapped]
    if tasks:
        given = {"FLOWCORE_TASKS": tasks, "FLOWCORE_GET": GET, "FLOWCORE_PUT": PUT}
        env += [{"name": name, "value": literal(value)} for name, value in given.items()]
    awaiting: list[Json] = ["busybox", "sh", "-c", AWAIT_INSTALLED, HOLDER, ROOT]
    helper = _helper(HOLDER, main, around, options)
    if tasks:
        helper["volumeMounts"] = [*objects_of(helper, "volumeMounts"), {"name": URLS, "mountPath": f"/{URLS}", "readOnly": True}]
    return {
        **helper,
        "restartPolicy": "Always",
        "command": command,
        "env": env,
        "lifecycle": {"postStart": {"exec": {"command": awaiting}}},
    }


def loader_container(main: JsonObject, around: JsonObject, options: KubernetesOptions) -> JsonObject:
    """The init container that waits until the inputs were brought by exec."""
    return {**_helper(LOADER, main, around, options), "command": ["busybox", "sh", "-c", AWAIT_INPUTS, LOADER, ROOT]}


def _helper(name: str, main: JsonObject, around: JsonObject, options: KubernetesOptions) -> JsonObject:
    """A container of our own: within the pod's resources where it has some, and allowed what the main container is, but for privileges."""
    container: JsonObject = {
        "name": name,
        "image": options.busybox_image,
        "imagePullPolicy": "IfNotPresent",
        "volumeMounts": [{"name": VOLUME, "mountPath": ROOT}],
    }
    if not around.get("resources"):
        container["resources"] = options.holder_resources
    security = {key: value for key, value in object_of(main, "securityContext").items() if key != "privileged"}
    effective = {**object_of(around, "securityContext"), **security}
    if effective.get("runAsNonRoot") is True and effective.get("runAsUser") is None:
        security["runAsUser"] = _NOBODY  # as the main container's image may say, and ours does not
    return {**container, "securityContext": security} if security else container


def input_mounts(
    inputs: Sequence[PlacedInput], mounts: Sequence[JsonObject], working_dir: str
) -> tuple[list[JsonObject], list[PlacedInput]]:
    """How inputs come to their paths: mounts of the volume's files, and those that lie in a volume of the template and must be copied there."""
    mounted: list[JsonObject] = []
    copied: list[PlacedInput] = []
    taken = [path for mount in mounts if (path := text_of(mount, "mountPath"))]
    for each in inputs:
        path = absolute(each.path, working_dir)
        if any(within(path, folder) for folder in taken):
            copied.append(PlacedInput(each.name, path))
        else:
            mounted.append({"name": VOLUME, "mountPath": path, "subPath": f"in/{each.name}"})
    return mounted, copied
