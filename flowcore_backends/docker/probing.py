"""Probes and lifecycle hooks of running containers: when one counts as ready, when it counts as dead, and commands at its start and end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
from aiodocker.exceptions import DockerError

from flowcore.jsontypes import JsonObject, object_of, strings_of, text_of
from flowcore_backends.docker.api import Api
from flowcore_backends.docker.probe_program import program
from flowcore_backends.docker.running import RunningContainer
from flowcore_backends.docker.states import address_of
from flowcore_backends.docker.tarballs import Entry, packed
from flowcore_backends.probes import answers, connects, get_request, port_number, probe_number

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_EXEC_PAUSE = 0.05
_HOOK_SECONDS = 30.0
_SECONDS_FOR_ENVOY = 10.0  # a container has to be made for each question


@dataclass(frozen=True, slots=True, kw_only=True)
class Envoy:
    """How probes over the network are asked from inside the pod's network: an ``image`` to start from, of ``architecture``, and labels."""

    image: Callable[[], Awaitable[str]]
    architecture: str
    labels: Mapping[str, str]


class Prober:
    """Asks the probes of the containers of one pod; ``network_of`` is the container whose address they all have.

    Probes over the network are asked from here, or by ``envoy`` where this machine cannot reach the engine's containers.
    """

    def __init__(self, api: Api, network_of: str | None, envoy: Envoy | None = None) -> None:
        self._api, self._network_of, self._address, self._envoy = api, network_of, "", envoy
        self._sent = 0

    async def address(self, container: RunningContainer) -> str:
        """The address at which the container is reached."""
        if not self._address:
            shown = await self._api.show(self._network_of or container.identity or "")
            self._address = address_of(shown) or "127.0.0.1"
        return self._address

    async def wait_ready(self, container: RunningContainer) -> None:
        """Wait until the container has started and its startup and readiness probes, if it has any, have passed."""
        await container.started.wait()
        model = container.plan.model
        for probe in (model.startup_probe, model.readiness_probe):
            if probe:
                await self._wait_passed(container, probe)

    async def wait_started(self, container: RunningContainer) -> None:
        """Wait until the container runs and its startup probe, if it has one, has passed."""
        await container.started.wait()
        if container.plan.model.startup_probe:
            await self._wait_passed(container, container.plan.model.startup_probe)

    async def _wait_passed(self, container: RunningContainer, probe: JsonObject) -> None:
        """Ask until the probe has passed as often as it must; more often than Kubernetes does, because nothing else waits."""
        await anyio.sleep(probe_number(probe, "initialDelaySeconds", 0))
        wanted, passed, pause = int(probe_number(probe, "successThreshold", 1)), 0, _FIRST_PAUSE
        while True:
            passed = passed + 1 if await self._passes(container, probe) else 0
            if passed >= wanted:
                return
            await anyio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE, max(probe_number(probe, "periodSeconds", 10), _FIRST_PAUSE))

    async def keep_alive(self, container: RunningContainer) -> None:
        """Ask the liveness probe as long as the container runs; a container that fails it is ended, which nothing starts again."""
        probe = container.plan.model.liveness_probe
        if not probe:
            return
        await self.wait_ready(container) if container.plan.model.startup_probe else await container.started.wait()
        await anyio.sleep(probe_number(probe, "initialDelaySeconds", 0))
        failed, most = 0, int(probe_number(probe, "failureThreshold", 3))
        while not container.ended.is_set():
            failed = 0 if await self._passes(container, probe) else failed + 1
            if failed >= most:
                await container.signal("SIGTERM")
                await anyio.sleep(probe_number(probe, "terminationGracePeriodSeconds", 30))
                await container.signal("SIGKILL")
                return
            await anyio.sleep(probe_number(probe, "periodSeconds", 10))

    async def _passes(self, container: RunningContainer, probe: JsonObject) -> bool:
        spare = _SECONDS_FOR_ENVOY if self._envoy is not None else 0.0
        with anyio.move_on_after(probe_number(probe, "timeoutSeconds", 1) + spare):
            return await self._asked(container, probe)
        return False

    async def _asked(self, container: RunningContainer, probe: JsonObject) -> bool:
        match probe:
            case {"exec": dict(settings)}:
                return await self._executes(container, strings_of(settings, "command"))
            case {"tcpSocket": dict(settings)}:
                port = port_number(settings.get("port"), container.plan.model.ports)
                return await self._over_network(container, settings, port, get=False)
            case {"httpGet": dict(settings)}:
                port = port_number(settings.get("port"), container.plan.model.ports)
                return await self._over_network(container, settings, port, get=True)
        return True  # a probe of a kind that cannot be asked here does not keep a daemon from being used

    async def _over_network(self, container: RunningContainer, settings: JsonObject, port: int, *, get: bool) -> bool:
        host = await self._host(container, settings)
        if self._envoy is not None and not settings.get("host"):
            plain = get and text_of(settings, "scheme") != "HTTPS"  # of TLS only that somebody listens is asked
            return await self._asked_inside(self._envoy, container, host, port, get_request(host, port, settings) if plain else b"")
        return await (answers(host, port, settings) if get else connects(host, port))

    async def _asked_inside(self, envoy: Envoy, container: RunningContainer, host: str, port: int, request: bytes) -> bool:
        """Have a container of ours in the pod's network ask. It has no more time than the probe; what is left of it is removed."""
        made = program(envoy.architecture, host, port, request)
        self._sent += 1
        network = f"container:{self._network_of or container.identity}"
        body: JsonObject = {
            "Image": await envoy.image(),
            "Entrypoint": ["/probe"],
            "Labels": {**envoy.labels},
            "HostConfig": {"NetworkMode": network},
        }
        asker = await self._api.create(f"{container.plan.object_name}-probe-{self._sent}", body)
        try:
            await self._api.put(asker, "/", packed([Entry("probe", made, 0o755)]))
            await self._api.start(asker)
            await self._api.wait(asker)
            return object_of(await self._api.show(asker), "State").get("ExitCode") == 0
        except DockerError:
            return False
        finally:
            with anyio.CancelScope(shield=True):
                await self._api.remove(asker)

    async def _host(self, container: RunningContainer, settings: JsonObject) -> str:
        return text_of(settings, "host") or await self.address(container)

    async def _executes(self, container: RunningContainer, command: list[str]) -> bool:
        """Whether a command ends well in the container."""
        try:
            identity = await self._api.execute(container.identity or "", command)
            while True:
                if (code := await self._api.executed(identity)) is not None:
                    return code == 0
                await anyio.sleep(_EXEC_PAUSE)
        except DockerError:
            return False

    # --- lifecycle hooks ------------------------------------------------------------------------------------------------------------

    async def hook(self, container: RunningContainer, name: str) -> None:
        """Carry out the lifecycle hook ``postStart`` or ``preStop``, if the container has it; one that fails says nothing."""
        hook = object_of(container.plan.model.lifecycle or {}, name)
        if not hook:
            return
        with anyio.move_on_after(_HOOK_SECONDS):
            if seconds := object_of(hook, "sleep").get("seconds"):
                await anyio.sleep(float(seconds) if isinstance(seconds, int | float) else 0)
            else:
                await self._asked(container, hook)
