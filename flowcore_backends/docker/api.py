"""The engine's HTTP interface: one method for each thing that we ask of it. aiodocker makes the connections and speaks the protocols.

Every call that can be made again is made again while the engine does not answer, for as long as the user's patience lasts. What the engine
refuses is a ``DockerError`` with its status; ``told`` makes it an ExecutorError for a user.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import quote

import aiohttp
import anyio
from aiodocker import Docker
from aiodocker.exceptions import DockerError
from anyio import to_thread
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential
from yarl import URL

from flowcore.errors import ArtifactError, ExecutorError, TransientExecutorError
from flowcore.jsontypes import Json, JsonObject, text_of
from flowcore_backends.docker.endpoint import Endpoint

Params: TypeAlias = Mapping[str, str]

_ANSWER = aiohttp.ClientTimeout(total=120, sock_connect=10)
_STREAM = aiohttp.ClientTimeout(total=None, sock_connect=10)
_CHUNK = 1 << 20
_LARGEST_ERROR = 64 << 10
_PASSING = (429, 502, 503, 504, 900)  # the last is aiodocker's own, for an engine that cannot be connected to
NOT_FOUND, CONFLICT = 404, 409


def passes(error: BaseException) -> bool:
    """Whether the fault may be gone soon: the engine is not there, does not answer, or is overloaded."""
    if isinstance(error, DockerError):
        return error.status in _PASSING
    return isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | TimeoutError)


def told(error: BaseException, what: str) -> ExecutorError:
    """The error as a user is told of it: ``what`` failed, and what the engine says."""
    if isinstance(error, DockerError) and not passes(error):
        return ExecutorError(f"{what}: {error.message}")
    return TransientExecutorError(f"{what}: the Docker engine does not answer ({str(error) or type(error).__name__}); is it running?")


class Api:
    """An open connection to an engine. Made by ``open_api``."""

    def __init__(self, docker: Docker, patience: timedelta) -> None:
        self._docker, self._patience = docker, patience

    @property
    def version(self) -> tuple[int, int]:
        """The version of the interface that is spoken."""
        major, _, minor = self._docker.api_version.removeprefix("v").partition(".")
        return int(major), int(minor)

    async def again(self, call: Callable[[], Awaitable[Json]]) -> Json:
        """``call``, made again while the engine does not answer."""
        async for attempt in AsyncRetrying(
            stop=stop_after_delay(self._patience.total_seconds()),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            retry=retry_if_exception(passes),
            reraise=True,
        ):
            with attempt:
                return await call()
        raise AssertionError("tenacity ends by returning or raising")

    async def call(self, method: str, path: str, params: Params | None = None, body: JsonObject | None = None) -> Json:
        """One request with its JSON answer (None if there is none), made again while the engine does not answer. Raises DockerError."""

        async def once() -> Json:
            async with self._request(method, path, params, body=body) as response:
                content = await response.read()
                return cast("Json", json.loads(content)) if content else None

        return await self.again(once)

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        params: Params | None = None,
        *,
        body: JsonObject | None = None,
        data: object = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = _ANSWER,  # noqa: ASYNC109 - aiohttp's own, for sockets
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = URL(f"{self._docker.docker_host}/{self._docker.api_version}/{path}", encoded=True)
        content = json.dumps(body).encode() if body is not None else data
        kind = "application/json" if data is None else "application/x-tar"
        async with self._docker.session.request(
            method, url, params=params, data=content, headers={"Content-Type": kind, **(headers or {})}, timeout=timeout
        ) as response:
            if response.status >= 400:
                raise DockerError(response.status, _message(await response.content.read(_LARGEST_ERROR)))
            yield response

    async def facts(self) -> JsonObject:
        """What the engine says of itself."""
        return _object(await self.call("GET", "info"))

    # --- containers -----------------------------------------------------------------------------------------------------------------

    async def create(self, name: str, body: JsonObject) -> str:
        """Create the container ``name``, or find the one that an earlier request made; its id."""
        try:
            return text_of(_object(await self.call("POST", "containers/create", {"name": name}, body)), "Id")
        except DockerError as error:
            if error.status != CONFLICT:
                raise
        return text_of(await self.show(name), "Id")

    async def start(self, container: str) -> None:
        """Start a container; one that runs already is no error."""
        await self.call("POST", f"containers/{container}/start")

    async def show(self, container: str) -> JsonObject:
        """All that the engine knows of a container. Raises DockerError 404 for one that is not there."""
        return _object(await self.call("GET", f"containers/{container}/json"))

    async def containers(self, filters: str) -> list[JsonObject]:
        """The containers that ``filters`` match, in whatever state."""
        return _objects(await self.call("GET", "containers/json", {"all": "1", "filters": filters}))

    async def wait(self, container: str) -> None:
        """Wait until a container does not run. Made once: who waits looks at the container before waiting again."""
        async with self._request("POST", f"containers/{container}/wait", timeout=_STREAM) as response:
            await response.read()

    async def kill(self, container: str, signal: str) -> None:
        """Send a signal; a container that has ended or is gone is no error."""
        await self._harmless(self.call("POST", f"containers/{container}/kill", {"signal": signal}))

    async def remove(self, container: str) -> None:
        """Remove a container with its anonymous volumes, running or not; one that is gone is no error."""
        await self._harmless(self.call("DELETE", f"containers/{container}", {"force": "1", "v": "1"}))

    async def _harmless(self, call: Awaitable[Json]) -> None:
        try:
            await call
        except DockerError as error:
            if error.status not in (NOT_FOUND, CONFLICT):
                raise

    async def logs(self, container: str, *, follow: bool = True) -> AsyncIterator[bytes]:
        """All output of a container from its beginning, as frames: until its end, or with ``follow`` off what there is by now."""
        async for data in self._output(container, {"follow": "1" if follow else "0", "stdout": "1", "stderr": "1"}):
            yield data

    async def last_output(self, container: str, lines: int) -> AsyncIterator[bytes]:
        """The last ``lines`` of a container's standard output, as frames."""
        async for data in self._output(container, {"stdout": "1", "tail": str(lines)}):
            yield data

    async def _output(self, container: str, params: Params) -> AsyncIterator[bytes]:
        async with self._request("GET", f"containers/{container}/logs", params, timeout=_STREAM) as response:
            async for data in response.content.iter_any():
                yield data

    async def execute(self, container: str, command: list[str]) -> str:
        """Begin to run a command in a running container; the id to ask ``executed`` about."""
        made = _object(await self.call("POST", f"containers/{container}/exec", body={"Cmd": [*command]}))
        identity = text_of(made, "Id")
        await self.call("POST", f"exec/{identity}/start", body={"Detach": True})
        return identity

    async def executed(self, identity: str) -> int | None:
        """The exit code of a command that ``execute`` began, or None while it runs."""
        shown = _object(await self.call("GET", f"exec/{identity}/json"))
        code = shown.get("ExitCode")
        return None if shown.get("Running") else code if isinstance(code, int) else 1

    # --- archives -------------------------------------------------------------------------------------------------------------------

    async def put(self, container: str, folder: str, tar: bytes | Path) -> None:
        """Unpack ``tar``, given as bytes or as a file, in a container's folder, which must be there."""

        async def once() -> Json:
            with io.BytesIO(tar) if isinstance(tar, bytes) else tar.open("rb") as file:
                async with self._request("PUT", f"containers/{container}/archive", {"path": folder}, data=file, timeout=_STREAM):
                    return None

        await self.again(once)

    async def stat(self, container: str, path: str) -> JsonObject | None:
        """What is at a path of a container (``mode`` as Go counts it, ``linkTarget``), or None."""

        async def once() -> Json:
            async with self._request("HEAD", f"containers/{container}/archive", {"path": path}) as response:
                return _stat(response.headers.get("X-Docker-Container-Path-Stat", ""))

        return await self._if_there(once)

    async def get(self, container: str, path: str, target: Path, most: int) -> JsonObject | None:
        """Write the tar of a container's file or folder to ``target``; what is at the path, or None if nothing is there.

        Raises ArtifactError if there is more than ``most`` bytes.
        """

        async def once() -> Json:
            async with self._request("GET", f"containers/{container}/archive", {"path": path}, timeout=_STREAM) as response:
                await _save(response, target, most, path)
                return _stat(response.headers.get("X-Docker-Container-Path-Stat", ""))

        return await self._if_there(once)

    async def _if_there(self, call: Callable[[], Awaitable[Json]]) -> JsonObject | None:
        """What ``again`` gives, or None if what was asked for is not there."""
        try:
            answer = await self.again(call)
        except DockerError as error:
            if error.status == NOT_FOUND:
                return None
            raise
        return answer if isinstance(answer, dict) else None

    # --- images, networks, volumes --------------------------------------------------------------------------------------------------

    async def image(self, name: str) -> JsonObject | None:
        """What the engine knows of an image, or None."""
        try:
            return _object(await self.call("GET", f"images/{_quoted(name)}/json"))
        except DockerError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def pull(self, params: Params, auth: str | None) -> AsyncIterator[JsonObject]:
        """Pull an image; each message of the engine as it comes. Raises DockerError, also for an error that comes as a message."""
        headers = {"X-Registry-Auth": auth} if auth is not None else None
        async with self._request("POST", "images/create", params, headers=headers, timeout=_STREAM) as response:
            async for message in _messages(response):
                if error := text_of(message, "error"):
                    raise DockerError(500, error)
                yield message

    async def import_image(self, name: str, tag: str, tar: bytes, changes: str) -> None:
        """Make an image of the files in ``tar``."""
        params = {"fromSrc": "-", "repo": name, "tag": tag, "changes": changes}
        async with self._request("POST", "images/create", params, data=tar, timeout=_ANSWER) as response:
            async for message in _messages(response):
                if error := text_of(message, "error"):
                    raise DockerError(500, error)

    async def create_network(self, body: JsonObject) -> None:
        """Create a network; one of that name that is there already is no error."""
        await self._harmless(self.call("POST", "networks/create", body=body))

    async def networks(self, filters: str) -> list[JsonObject]:
        """The networks that ``filters`` match."""
        return _objects(await self.call("GET", "networks", {"filters": filters}))

    async def remove_network(self, name: str) -> None:
        """Remove a network; one that is gone is no error."""
        await self._harmless(self.call("DELETE", f"networks/{name}"))

    async def create_volume(self, body: JsonObject) -> JsonObject:
        """Create a volume, or find the one of that name."""
        return _object(await self.call("POST", "volumes/create", body=body))

    async def volume(self, name: str) -> JsonObject | None:
        """What the engine knows of a volume, or None."""
        try:
            return _object(await self.call("GET", f"volumes/{name}"))
        except DockerError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def volumes(self, filters: str) -> list[JsonObject]:
        """The volumes that ``filters`` match."""
        listed = _object(await self.call("GET", "volumes", {"filters": filters}))
        return _objects(listed.get("Volumes"))

    async def remove_volume(self, name: str) -> None:
        """Remove a volume; one that is gone or still in use is no error."""
        await self._harmless(self.call("DELETE", f"volumes/{name}"))


@asynccontextmanager
async def open_api(endpoint: Endpoint, patience: timedelta, version: str = "auto") -> AsyncIterator[Api]:
    """Connect to an engine. Raises ExecutorError if it cannot be spoken to at all."""
    docker, connector = _client(endpoint, version)
    api = Api(docker, patience)
    try:
        if version == "auto":
            await _agree_on_version(api, docker, endpoint)
        yield api
    finally:
        with anyio.CancelScope(shield=True):
            await docker.close()
            if connector is not None:
                await connector.close()


async def _agree_on_version(api: Api, docker: Docker, endpoint: Endpoint) -> None:
    try:
        await api.again(docker.version)
    except (DockerError, aiohttp.ClientError, OSError) as error:
        raise told(error, f"the Docker engine at {endpoint.url} (found by {endpoint.found_by})") from error


def _client(endpoint: Endpoint, version: str) -> tuple[Docker, aiohttp.BaseConnector | None]:
    """A client and its connector, which takes as many connections as there are containers to wait for."""
    connector: aiohttp.BaseConnector
    if (socket := endpoint.socket) is not None:
        connector = aiohttp.UnixConnector(socket, limit=0)
        return Docker("unix://localhost", connector=connector, api_version=version), connector
    if endpoint.url.startswith(("tcp://", "http://", "https://")):
        context = endpoint.ssl_context()
        secure = context is not None or endpoint.url.startswith("https://")
        connector = aiohttp.TCPConnector(limit=0, ssl=context if context is not None else True)
        address = endpoint.url.partition("://")[2]
        return Docker(f"{'https' if secure else 'http'}://{address}", connector=connector, api_version=version), connector
    return Docker(endpoint.url, api_version=version), None


async def _save(response: aiohttp.ClientResponse, target: Path, most: int, path: str) -> None:
    written = 0
    with target.open("wb") as file:
        async for chunk in response.content.iter_chunked(_CHUNK):
            written += len(chunk)
            if written > most:
                raise ArtifactError(f"{path} is larger than {most} bytes")
            if written <= _CHUNK:
                file.write(chunk)
            else:
                await to_thread.run_sync(file.write, chunk)


async def _messages(response: aiohttp.ClientResponse) -> AsyncIterator[JsonObject]:
    """The JSON objects of a stream, one in each line."""
    async for line in response.content:
        if line.strip():
            message = json.loads(line)
            if isinstance(message, dict):
                yield message


def _stat(header: str) -> JsonObject:
    try:
        return _object(json.loads(base64.b64decode(header)))
    except ValueError:
        return {}


def _message(content: bytes) -> str:
    try:
        return text_of(_object(json.loads(content)), "message") or content.decode("utf-8", "replace")
    except ValueError:
        return content.decode("utf-8", "replace").strip() or "no reason was given"


def _quoted(name: str) -> str:
    return quote(name, safe="/:@")


def _object(value: object) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
