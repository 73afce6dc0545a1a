"""Containers, and the templates made of them. Kubernetes' own structures inside them pass through as they are."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from flowcore.jsontypes import JsonObject
from flowcore.models.base import Bool, FreeObject, IntOrString, Model, empty_list


def _named_texts(value: JsonObject) -> JsonObject:
    for key in ("name", "value"):
        if value.get(key) is not None and not isinstance(value[key], str):
            raise PydanticCustomError("env_type", "{key} should be a text", {"key": key})
    return value


EnvVar = Annotated[FreeObject, AfterValidator(_named_texts)]
"""One environment variable as Kubernetes writes it: ``name`` with ``value`` or ``valueFrom``."""


class Container(Model):
    """A container of a pod."""

    name: str = ""
    image: str = ""
    command: list[str] = empty_list()
    args: list[str] = empty_list()
    working_dir: str = ""
    ports: list[FreeObject] = empty_list()
    env_from: list[FreeObject] = empty_list()
    env: list[EnvVar] = empty_list()
    resources: FreeObject | None = None
    resize_policy: list[FreeObject] = empty_list()
    restart_policy: str | None = None
    restart_policy_rules: list[FreeObject] = empty_list()
    volume_mounts: list[FreeObject] = empty_list()
    volume_devices: list[FreeObject] = empty_list()
    liveness_probe: FreeObject | None = None
    readiness_probe: FreeObject | None = None
    startup_probe: FreeObject | None = None
    lifecycle: FreeObject | None = None
    termination_message_path: str = ""
    termination_message_policy: str = ""
    image_pull_policy: str = ""
    security_context: FreeObject | None = None
    stdin: Bool = False
    stdin_once: Bool = False
    tty: Bool = False


class UserContainer(Container):
    """A sidecar or init container; it may see the volumes of the main container."""

    mirror_volume_mounts: Bool | None = None


class Script(Container):
    """A container whose command runs ``source``, saved to a file."""

    source: str = ""


class ContainerNode(Container):
    """A container of a set, started after those it depends on."""

    dependencies: list[str] = empty_list()


class ContainerSetRetryStrategy(Model):
    """How often a container of a set is run again, and after which pause."""

    duration: str = ""
    retries: IntOrString | None = None


class ContainerSet(Model):
    """Several containers in one pod that start in the order of their dependencies."""

    containers: list[ContainerNode] = empty_list()
    volume_mounts: list[FreeObject] = empty_list()
    retry_strategy: ContainerSetRetryStrategy | None = None
