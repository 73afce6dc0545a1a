"""The Docker backend: the leaves of a workflow as containers of a Docker engine, rootless Docker or Podman. ``pip install 'flowcore[docker]'``."""

from flowcore_backends.docker.executor import DockerExecutor, engine_answers
from flowcore_backends.docker.leftovers import Leftover, cleanup
from flowcore_backends.docker.options import DockerOptions

__all__ = ["DockerExecutor", "DockerOptions", "Leftover", "cleanup", "engine_answers"]
