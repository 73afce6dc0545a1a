"""CPU of this process, memory and time for each pod of a wide run, against a test API server in a process of its own.

Usage: ``python benchmarks/kubernetes.py [PODS [SECONDS_A_POD]]``. The server's own CPU is not counted; what it costs shows only in the wall time.
"""

from __future__ import annotations

import asyncio
import cProfile
import json
import multiprocessing
import os
import pstats
import resource
import sys
import time
from multiprocessing.connection import Connection

import flowcore
from flowcore.jsontypes import JsonObject
from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.testing import FakeKube, ends


def workflow(pods: int, name: str) -> JsonObject:
    """One step with so many pods side by side."""
    step: JsonObject = {"name": "work", "template": "work", "withSequence": {"count": pods}}
    work: JsonObject = {"name": "work", "container": {"image": "i", "command": ["true"]}}
    templates = [{"name": "main", "steps": [[step]]}, work]
    spec = {"entrypoint": "main", "templates": templates}
    return json.loads(json.dumps({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": name}, "spec": spec}))


def serve(told: Connection, seconds: float) -> None:
    """The API server, until the other end is closed."""

    async def main() -> None:
        async with FakeKube(default=ends(after=seconds), piece=16 << 10) as kube:
            told.send(kube.url)
            await asyncio.get_running_loop().run_in_executor(None, told.recv)
            told.send((len(kube.objects("pods")), kube.most_watches, len(kube.requests)))

    asyncio.run(main())


async def run(url: str, pods: int) -> tuple[flowcore.RunResult, float, float]:
    """The run, with every pod under way at once; seconds of CPU and of time."""
    executor = KubernetesExecutor(api_server=url, parallelism=pods, requests_per_second=1e6, logs="none")
    await flowcore.run(workflow(3, "first"), executor=executor)  # whatever is imported and looked up once
    began, before = time.monotonic(), time.process_time()
    result = await flowcore.run(workflow(pods, "wide"), executor=executor)
    cpu, wall = time.process_time() - before, time.monotonic() - began
    return result, cpu, wall


def main() -> None:
    pods = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs, seconds))
    server.start()
    url = ours.recv()
    profile = cProfile.Profile() if os.environ.get("PROFILE") else None
    if profile is not None:
        profile.enable()
    result, cpu, wall = asyncio.run(run(url, pods))
    if profile is not None:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    ours.send("over")
    made, watches, requests = ours.recv()
    server.join()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{result.phase}: {made} pods, {watches} watch, {requests} requests")
    print(f"{cpu / pods * 1000:.2f} ms of CPU a pod, {wall:.1f} s, {memory:.0f} MiB at most")


if __name__ == "__main__":
    main()
