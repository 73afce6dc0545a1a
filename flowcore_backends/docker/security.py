"""What a container may do and use: ``securityContext`` and ``resources`` in Docker's words. Pure.

What would give a container power over the machine is refused unless the user's options allow it.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowcore.errors import ExecutorError, ExpressionError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.language.quantities import parse_quantity, whole_quantity
from flowcore.models.containers import Container
from flowcore_backends.docker.options import DockerOptions

# What Docker gives every container by itself.
_DOCKERS_OWN = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_LEAST_MEMORY = 6 << 20  # the engine takes no smaller limit
_LEAST_SHARES = 2
_NANO, _MILLI = 1_000_000_000, 1000
_GPU_RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")
_ROOTS = ("", "0", "root")


@dataclass(frozen=True, slots=True)
class Machine:
    """What must be known of the engine's machine: how many processors, and whether the engine brings an init program."""

    processors: int = 0
    has_init: bool = True


def user_of(container: Container, pod: JsonObject) -> str:
    """``UID:GID`` as Docker's ``User``, or an empty string for the image's own."""
    context = _merged(container, pod)
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if user is None:
        return "" if group is None else f"0:{group}"
    return f"{user}" if group is None else f"{user}:{group}"


def is_root(user: str) -> bool:
    """Whether ``user``, as Docker writes it, is the one who may do everything."""
    return user.split(":")[0] in _ROOTS


def refuse_root(container: Container, pod: JsonObject, image_user: str) -> None:
    """Raise ExecutorError if the container must not run as root and would."""
    if not _merged(container, pod).get("runAsNonRoot"):
        return
    if is_root(user_of(container, pod) or image_user):
        raise ExecutorError(
            f"container {container.name} has runAsNonRoot and image will run as root; set runAsUser, or a USER in the image"
        )


def security_of(container: Container, pod: JsonObject, options: DockerOptions) -> JsonObject:
    """The part of a ``HostConfig`` that says what the container may do. Raises ExecutorError for what is not allowed."""
    context = _merged(container, pod)
    given: JsonObject = {}
    if context.get("privileged"):
        _allow(options, f"container {container.name} is privileged")
        given["Privileged"] = True
    capabilities = object_of(context, "capabilities")
    if added := [_capability(name) for name in strings_of(capabilities, "add")]:
        wanted = sorted(set(added) - _DOCKERS_OWN - {_capability(name) for name in options.capabilities})
        if wanted:
            _allow(options, f"container {container.name} adds the capabilities {', '.join(wanted)}", capabilities=wanted)
        given["CapAdd"] = [*added]
    if dropped := [_capability(name) for name in strings_of(capabilities, "drop")]:
        given["CapDrop"] = [*dropped]
    if context.get("readOnlyRootFilesystem"):
        given["ReadonlyRootfs"] = True
    if secured := _security_options(container, context, options):
        given["SecurityOpt"] = [*secured]
    if groups := _groups(pod):
        given["GroupAdd"] = [*groups]
    if sysctls := {text_of(one, "name"): text_of(one, "value") for one in objects_of(pod, "sysctls")}:
        given["Sysctls"] = {**sysctls}
    return given


def resources_of(container: Container, machine: Machine) -> JsonObject:
    """The part of a ``HostConfig`` that limits what the container uses. Memory is limited without swap, as in Kubernetes."""
    resources = container.resources or {}
    limits, requests = object_of(resources, "limits"), object_of(resources, "requests")
    given: JsonObject = {}
    memory, processors = _amount(container, limits, "memory"), _amount(container, limits, "cpu")
    if memory is not None:
        given["Memory"] = given["MemorySwap"] = max(memory, _LEAST_MEMORY)
    if processors is not None:
        most = machine.processors * _NANO
        given["NanoCpus"] = min(processors * (_NANO // _MILLI), most) if most else processors * (_NANO // _MILLI)
    if (reserved := _amount(container, requests, "memory")) is not None:
        reserved = max(reserved, _LEAST_MEMORY)
        given["MemoryReservation"] = reserved if memory is None else min(reserved, max(memory, _LEAST_MEMORY))
    if (shares := _amount(container, requests, "cpu")) is not None:
        given["CpuShares"] = max(shares * 1024 // _MILLI, _LEAST_SHARES)
    for name in _GPU_RESOURCES:
        if (count := limits.get(name)) is not None:
            given["DeviceRequests"] = [{"Driver": name.split(".")[0], "Count": whole_quantity(str(count)), "Capabilities": [["gpu"]]}]
    return given


def _merged(container: Container, pod: JsonObject) -> JsonObject:
    """The container's security context over the pod's."""
    return {**pod, **(container.security_context or {})}


def _security_options(container: Container, context: JsonObject, options: DockerOptions) -> list[str]:
    given = []
    if context.get("allowPrivilegeEscalation") is False:
        given.append("no-new-privileges:true")
    if text_of(object_of(context, "seccompProfile"), "type") == "Unconfined":
        _allow(options, f"container {container.name} has an unconfined seccompProfile")
        given.append("seccomp=unconfined")
    return given


def _groups(pod: JsonObject) -> list[str]:
    groups = pod.get("supplementalGroups")
    listed: list[Json] = [*groups] if isinstance(groups, list) else []
    return [str(group) for group in (*listed, pod.get("fsGroup")) if group is not None]


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _allow(options: DockerOptions, what: str, *, capabilities: list[str] | None = None) -> None:
    if not options.allow_privileged:
        other = f" or DockerExecutor(capabilities={capabilities})" if capabilities else ""
        raise ExecutorError(f"{what}, which is not allowed here; allow it with DockerExecutor(allow_privileged=True){other}")


def _amount(container: Container, amounts: JsonObject, name: str) -> int | None:
    """Bytes of memory, or thousandths of a processor."""
    value = amounts.get(name)
    if value is None:
        return None
    try:
        return int(parse_quantity(str(value)) * _MILLI) if name == "cpu" else whole_quantity(str(value))
    except (ValueError, ExpressionError) as error:
        raise ExecutorError(f"container {container.name}: resources: {name}: {error}") from error
