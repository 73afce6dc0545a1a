"""What a user can choose about the Docker backend."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TypedDict


def _default_parallelism() -> int:
    return max(32, 4 * (os.cpu_count() or 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerOptions:
    """The options of ``DockerExecutor``, by their meaning:

    - ``host``: the engine's address (``unix:///run/docker.sock``, ``tcp://...``, ``ssh://...``); by default found as the docker CLI finds it.
    - ``network``: an existing network that containers join, instead of a private one made for each run; ``none`` for no network.
    - ``host_paths``: folders of the engine's machine that hostPath volumes may show, with all below them.
    - ``claims``: what stands for persistent volume claims that the workflow does not make, by claim name: a volume's name, or an absolute path.
    - ``allow_privileged``: allow privileged containers, added capabilities beyond Docker's own, and the host's namespaces.
    - ``capabilities``: capabilities that containers may add although Docker does not give them by itself.
    - ``environment``: variables for every container.
    - ``pull``: what an absent ``imagePullPolicy`` means: ``IfNotPresent``, ``Always`` or ``Never``.
    - ``docker_config``: the folder with the docker CLI's ``config.json``, where registry credentials are.
    - ``pause_image``: an image that does nothing for ever, to hold the network of pods with several containers; by default one is made.
    - ``probes``: where ``httpGet`` and ``tcpSocket`` probes are asked: ``outside``, from this machine, or ``inside`` the pod's network, by a container
      that is made for each question; ``auto`` asks inside where this machine cannot reach the engine's containers.
    - ``parallelism``: how many invocations run at once, daemons not counted; ``parallel_starts``: how many are started or removed at once.
    - ``patience``: how long an engine that does not answer is asked again before a node ends in Error.
    - ``sidecar_grace``: how long a sidecar may take to end after the main container did.
    - ``progress_every``: how often the file that a container reports its progress in is read; None for never while it runs.
    - ``keep_containers``: leave everything behind, for looking at; ``flowcore_backends.docker.cleanup`` removes it.
    - ``log_size``: how much output the engine keeps of each container, as Docker writes it.
    """

    host: str | None = None
    network: str | None = None
    host_paths: Sequence[str | Path] = ()
    claims: Mapping[str, str | Path] = field(default_factory=dict)
    allow_privileged: bool = False
    capabilities: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    pull: str = "IfNotPresent"
    docker_config: str | Path | None = None
    pause_image: str | None = None
    probes: str = "auto"
    parallelism: int = field(default_factory=_default_parallelism)
    parallel_starts: int = 8
    patience: timedelta = timedelta(seconds=60)
    sidecar_grace: timedelta = timedelta(seconds=30)
    progress_every: timedelta | None = timedelta(seconds=10)
    keep_containers: bool = False
    log_size: str = "256m"


class DockerChoices(TypedDict, total=False):
    """The same as keyword arguments of ``DockerExecutor``."""

    host: str | None
    network: str | None
    host_paths: Sequence[str | Path]
    claims: Mapping[str, str | Path]
    allow_privileged: bool
    capabilities: Sequence[str]
    environment: Mapping[str, str]
    pull: str
    docker_config: str | Path | None
    pause_image: str | None
    probes: str
    parallelism: int
    parallel_starts: int
    patience: timedelta
    sidecar_grace: timedelta
    progress_every: timedelta | None
    keep_containers: bool
    log_size: str
