"""What flowcore costs over a loop of ``docker run``: the same containers, as many at once, with an init program on a private network.

``python benchmarks/docker.py [CONTAINERS] [AT_ONCE]`` on the engine of ``DOCKER_HOST``, which must have an image ``alpine:latest``. Also counts
what is left behind: there must be no container, volume or network more than before, and no open file.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import anyio

import flowcore
from flowcore.nodes import WorkflowPhase
from flowcore_backends.docker import DockerExecutor

NETWORK = "flowcore-benchmark"


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


def objects() -> list[int]:
    """How many containers, volumes and networks the engine has."""
    return [len(docker(*words).split()) for words in (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q"))]


def open_files() -> int:
    """How many files this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def bare_loop(count: int, at_once: int) -> float:
    """Seconds of ``docker run --rm`` in a loop."""
    began = time.perf_counter()
    words = f"docker run --rm --init --network {NETWORK} alpine:latest true"
    subprocess.run(f"seq {count} | xargs -P {at_once} -I% {words}", shell=True, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


async def with_flowcore(count: int, at_once: int) -> float:
    """Seconds of a workflow that runs the same."""
    template = {"name": "work", "container": {"image": "alpine:latest", "command": ["true"]}}
    loop = {"name": "loop", "steps": [[{"name": "each", "template": "work", "withSequence": {"count": str(count)}}]]}
    workflow = {"kind": "Workflow", "metadata": {"name": "benchmark"}, "spec": {"entrypoint": "loop", "templates": [loop, template]}}
    began = time.perf_counter()
    result = await flowcore.run(workflow, executor=DockerExecutor(parallelism=at_once))
    assert result.phase is WorkflowPhase.SUCCEEDED, result.message
    return time.perf_counter() - began


def main() -> None:
    count, at_once = (int(word) for word in (*sys.argv[1:], *("200", "20")[len(sys.argv) - 1 :]))
    docker("network", "create", NETWORK)
    try:
        before = objects()
        first = bare_loop(count, at_once)
        files = open_files()
        ours = anyio.run(with_flowcore, count, at_once)
        left_files = open_files() - files
        second = bare_loop(count, at_once)
        after = objects()
    finally:
        subprocess.run(
            ["docker", "network", "rm", NETWORK], check=False
        )  # the engine may still be busy with the last of its own containers
    bare = (first + second) / 2
    print(
        f"{count} containers, {at_once} at once: docker run {first:.1f} and {second:.1f} s, flowcore {ours:.1f} s: ratio {ours / bare:.2f}"
    )
    print(f"left behind: containers, volumes, networks {[b - a for a, b in zip(before, after, strict=True)]}, open files {left_files}")
    print(f"largest size of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")


if __name__ == "__main__":
    main()
