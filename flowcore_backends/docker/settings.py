"""A planned container in Docker's words: the bodies of the requests that create containers, networks and volumes. Pure.

Called by ``starting.py``; tested by tables, without an engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flowcore.errors import ExecutorError
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.models.templates import Template
from flowcore_backends.docker.labels import host_name
from flowcore_backends.docker.options import DockerOptions
from flowcore_backends.docker.pod import ContainerPlan, PodPlan
from flowcore_backends.docker.security import Machine, resources_of, security_of, user_of
from flowcore_backends.docker.volumes import MountPlan, VolumePlan

_SUB_PATHS_SINCE = (1, 45)  # the version of the API that mounts parts of volumes
_LOCAL_PROTOCOLS = ("TCP", "UDP", "SCTP")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSettings:
    """What is the same for all containers of a pod: the network and names, the pod's own ``securityContext``, and facts of the engine.

    ``mountpoints`` says where volumes lie on the engine's machine, needed for sub-paths by engines that cannot mount parts of volumes.
    """

    network: str
    host_name: str
    security: JsonObject
    options: DockerOptions
    names: JsonObject = field(default_factory=dict)  # hostAliases and dnsConfig as ``HostConfig`` has them
    machine: Machine = field(default_factory=Machine)
    api_version: tuple[int, int] = (1, 41)
    mountpoints: Mapping[str, str] = field(default_factory=dict)
    share_processes: bool = False


def container_body(plan: ContainerPlan, pod: PodPlan, settings: PodSettings) -> JsonObject:
    """The body that creates a container of the pod. Raises ExecutorError for what is not allowed."""
    model, options = plan.model, settings.options
    body: JsonObject = {
        "Image": model.image,
        "Env": [f"{name}={value}" for name, value in plan.environment.items()],
        "Labels": {**plan.labels},
        "User": user_of(model, settings.security),
        "WorkingDir": plan.working_dir,
        "Tty": bool(model.tty),
        "OpenStdin": bool(model.stdin),
        "StdinOnce": bool(model.stdin_once),
        "Healthcheck": {"Test": ["NONE"]},  # Kubernetes does not look at an image's own
        "ExposedPorts": {_port(port): {} for port in model.ports if port.get("containerPort") is not None},
    }
    if plan.command:
        body["Entrypoint"] = [*plan.command]
    if plan.args:
        body["Cmd"] = [*plan.args]
    host: JsonObject = {
        **_base_host_config(options, settings.machine),
        **resources_of(model, settings.machine),
        **security_of(model, settings.security, options),
        "Mounts": [*(_mount(mount, settings) for mount in plan.mounts)],
    }
    if pod.shared:
        host["NetworkMode"] = f"container:{pod.holder_name}"
        if settings.share_processes:
            host["PidMode"] = f"container:{pod.holder_name}"
    else:
        body["Hostname"] = settings.host_name
        host |= {"NetworkMode": settings.network, **settings.names}
    return {**_hostless_where_shared(body, settings.network), "HostConfig": host}


def holder_body(pod: PodPlan, image: str, settings: PodSettings) -> JsonObject:
    """The body that creates the container that holds a pod's network and volumes; volume number N is at ``/v/N``."""
    mounts: list[Json] = [_mount(MountPlan(volume=volume, path=holder_path(number)), settings) for number, volume in enumerate(pod.volumes)]
    host: JsonObject = {
        **_base_host_config(settings.options, settings.machine),
        "Init": False,
        "Mounts": mounts,
        "NetworkMode": settings.network if pod.shared else "none",
        **(settings.names if pod.shared else {}),
    }
    body: JsonObject = {"Image": image, "Hostname": settings.host_name, "Labels": {**pod.labels}, "Env": []}
    return {**_hostless_where_shared(body, host["NetworkMode"]), "HostConfig": host}


def holder_path(number: int) -> str:
    """Where the holder of a pod sees the pod's volume ``number``."""
    return f"/v/{number}"


def volume_body(volume: VolumePlan, labels: Mapping[str, str]) -> JsonObject:
    """The body that creates a volume."""
    body: JsonObject = {"Name": volume.source, "Labels": {**labels}}
    return {**body, "Driver": "local", "DriverOpts": {**volume.driver_options}} if volume.driver_options else body


def network_body(name: str, labels: Mapping[str, str]) -> JsonObject:
    """The body that creates the private network of a run."""
    return {"Name": name, "Driver": "bridge", "CheckDuplicate": True, "Labels": {**labels}}


def names_of(template: Template, spec: JsonObject) -> JsonObject:
    """``hostAliases`` and ``dnsConfig`` as a ``HostConfig`` has them."""
    aliases: Sequence[JsonObject] = template.host_aliases or objects_of(spec, "hostAliases")
    dns = object_of(spec, "dnsConfig")
    extra: list[Json] = [f"{name}:{text_of(alias, 'ip')}" for alias in aliases for name in strings_of(alias, "hostnames")]
    options: list[Json] = [
        ":".join(part for part in (text_of(option, "name"), text_of(option, "value")) if part) for option in objects_of(dns, "options")
    ]
    given: JsonObject = {
        "ExtraHosts": extra,
        "Dns": [*strings_of(dns, "nameservers")],
        "DnsSearch": [*strings_of(dns, "searches")],
        "DnsOptions": options,
    }
    return {key: value for key, value in given.items() if value}


def network_of(spec: JsonObject, options: DockerOptions, private: str) -> str:
    """The network that the pods of a run join: the user's choice, the machine's where that is asked for and allowed, else ``private``."""
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name) and not options.allow_privileged:
            raise ExecutorError(f"{name} is not allowed here; allow it with DockerExecutor(allow_privileged=True)")
    if spec.get("hostNetwork"):
        return "host"
    return options.network or private


def pod_host_name(pod_name: str) -> str:
    """What a pod calls itself."""
    return host_name(pod_name)


def _base_host_config(options: DockerOptions, machine: Machine) -> JsonObject:
    return {
        "Init": machine.has_init,  # the command is not process 1, so that it hears being asked to end
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": options.log_size, "max-file": "2"}},
    }


def _hostless_where_shared(body: JsonObject, network: Json) -> JsonObject:
    """Without a host name of its own on the machine's network, where Docker takes none."""
    return {key: value for key, value in body.items() if key != "Hostname" or network != "host"}


def _mount(mount: MountPlan, settings: PodSettings) -> JsonObject:
    volume = mount.volume
    if volume.bind:
        source = f"{volume.source.rstrip('/')}/{mount.sub_path}" if mount.sub_path else volume.source
        return _bind(source, mount)
    options: JsonObject = {"NoCopy": True}
    if mount.sub_path:
        if settings.api_version < _SUB_PATHS_SINCE:
            return _bind(f"{settings.mountpoints[volume.source]}/{mount.sub_path}", mount)
        options["Subpath"] = mount.sub_path
    return {"Type": "volume", "Source": volume.source, "Target": mount.path, "ReadOnly": mount.read_only, "VolumeOptions": options}


def _bind(source: str, mount: MountPlan) -> JsonObject:
    return {"Type": "bind", "Source": source, "Target": mount.path, "ReadOnly": mount.read_only}


def _port(port: JsonObject) -> str:
    protocol = text_of(port, "protocol")
    return f"{port.get('containerPort')}/{(protocol if protocol in _LOCAL_PROTOCOLS else 'TCP').lower()}"
