"""Readiness probes: when a container counts as ready. The probe's rules are Kubernetes'; it is asked more often, because nothing else waits."""

from __future__ import annotations

import anyio

from flowcore.jsontypes import JsonObject, text_of
from flowcore_backends.local.running import RunningContainer
from flowcore_backends.probes import answers, connects, port_number, probe_number

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0


async def wait_ready(container: RunningContainer) -> None:
    """Wait until the container has started and its startup and readiness probes, if it has any, have passed."""
    await container.started.wait()
    model = container.plan.model
    for probe in (model.startup_probe, model.readiness_probe):
        if probe:
            await _wait_passed(container, probe)


async def _wait_passed(container: RunningContainer, probe: JsonObject) -> None:
    await anyio.sleep(probe_number(probe, "initialDelaySeconds", 0))
    wanted, passed, pause = int(probe_number(probe, "successThreshold", 1)), 0, _FIRST_PAUSE
    while True:
        with anyio.move_on_after(probe_number(probe, "timeoutSeconds", 1)):
            passed = passed + 1 if await _passes(container, probe) else 0
        if passed >= wanted:
            return
        await anyio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE, max(probe_number(probe, "periodSeconds", 10), _FIRST_PAUSE))


async def _passes(container: RunningContainer, probe: JsonObject) -> bool:
    match probe:
        case {"exec": {"command": list(command)}}:
            process = container.process
            return process is not None and await process.probe([str(word) for word in command], probe_number(probe, "timeoutSeconds", 1))
        case {"tcpSocket": dict(settings)}:
            return await connects(_host(settings), port_number(settings.get("port"), container.plan.model.ports))
        case {"httpGet": dict(settings)}:
            return await answers(_host(settings), port_number(settings.get("port"), container.plan.model.ports), settings)
    return True  # a probe of a kind that cannot be asked here does not keep a daemon from being used


def _host(settings: JsonObject) -> str:
    return text_of(settings, "host") or "127.0.0.1"
