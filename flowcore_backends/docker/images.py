"""Images: whether one has to be pulled, pulling it once for all who wait for it, and how far the pull is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio
from aiodocker.exceptions import DockerError
from aiohttp import ClientError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore_backends.docker import pause
from flowcore_backends.docker.api import Api, passes
from flowcore_backends.docker.credentials import header_of

Tell: TypeAlias = Callable[[str], None]
Auth: TypeAlias = "Callable[[], Awaitable[JsonObject | None]]"

_ATTEMPTS = 4
_TELL_EVERY = 1.0  # seconds
_POLICIES = ("Always", "IfNotPresent", "Never")
_BROKEN = ("timeout", "connection reset", "connection refused", "EOF", "TLS handshake", "temporary failure", "toomanyrequests")


def pull_parameters(image: str) -> dict[str, str]:
    """An image's name as the engine's pull takes it: a digest belongs to the name, a tag does not, and the default tag is ``latest``."""
    if "@" in image:
        return {"fromImage": image}
    name, colon, tag = image.rpartition(":")
    if not colon or "/" in tag:
        return {"fromImage": image, "tag": "latest"}
    return {"fromImage": name, "tag": tag}


def policy_of(given: str, default: str) -> str:
    """The pull policy. Raises ExecutorError for one that Kubernetes does not know."""
    policy = given or default
    if policy not in _POLICIES:
        raise ExecutorError(f"imagePullPolicy {policy!r} is not known; there are {', '.join(_POLICIES)}")
    return policy


@dataclass(slots=True)
class PullProgress:
    """How far a pull is, from the engine's messages: each layer says how much of it is there."""

    image: str
    layers: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, message: JsonObject) -> None:
        """Take in one message."""
        detail = object_of(message, "progressDetail")
        current, total = detail.get("current"), detail.get("total")
        if text_of(message, "status") == "Downloading" and isinstance(current, int) and isinstance(total, int) and total > 0:
            self.layers[text_of(message, "id")] = (min(current, total), total)
        elif text_of(message, "status") in ("Download complete", "Pull complete") and text_of(message, "id") in self.layers:
            total = self.layers[text_of(message, "id")][1]
            self.layers[text_of(message, "id")] = (total, total)

    @property
    def text(self) -> str:
        """As a pending node's message says it."""
        total = sum(size for _, size in self.layers.values())
        if not total:
            return f'Pulling image "{self.image}"'
        there = sum(size for size, _ in self.layers.values())
        return f'Pulling image "{self.image}": {100 * there // total}% of {total / 1e6:.1f} MB'


class Images:
    """The images that one executor needs. An image is pulled once, however many ask for it at the same time."""

    def __init__(self) -> None:
        self._locks: dict[str, anyio.Lock] = {}
        self._pulled: set[tuple[str, str]] = set()

    async def ensure(self, api: Api, image: str, policy: str, run: str, auth: Auth, tell: Tell) -> JsonObject:
        """What the engine knows of ``image``, pulled if ``policy`` asks for it (``Always``: once for each run). Raises ExecutorError."""
        async with self._locks.setdefault(image, anyio.Lock()):
            fresh = policy == "Always" and (run, image) not in self._pulled
            if not fresh and (known := await api.image(image)) is not None:
                return known
            if policy == "Never":
                raise ExecutorError(f'ErrImageNeverPull: Container image "{image}" is not present with pull policy of Never')
            credentials = await auth()
            await _pull(api, image, header_of(credentials) if credentials is not None else None, tell)
            self._pulled.add((run, image))
            if (known := await api.image(image)) is None:
                raise ExecutorError(f'ErrImagePull: image "{image}" was pulled and is not there')
            return known

    def forget_run(self, run: str) -> None:
        """The run has ended."""
        self._pulled = {(uid, image) for uid, image in self._pulled if uid != run}

    async def pause_image(self, api: Api, architecture: str, given: str | None) -> str:
        """The image for holders of pods: the user's, or ours, made where it is missing."""
        if given is not None:
            await self.ensure(api, given, "IfNotPresent", "", _without_credentials, lambda _: None)
            return given
        name = f"{pause.REPOSITORY}:{pause.tag_of(architecture)}"
        async with self._locks.setdefault(name, anyio.Lock()):
            if await api.image(name) is None:
                tar = pause.image_tar(architecture)
                await api.import_image(pause.REPOSITORY, pause.tag_of(architecture), tar, pause.image_changes())
        return name


async def _without_credentials() -> JsonObject | None:
    return None


async def _pull(api: Api, image: str, auth: str | None, tell: Tell) -> None:
    progress = PullProgress(image)
    tell(progress.text)
    try:
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            retry=retry_if_exception(_is_worth_another_try),
            reraise=True,
        ):
            with attempt:
                await _pull_once(api, image, auth, progress, tell)
    except DockerError as error:
        raise ExecutorError(
            f'ErrImagePull: failed to pull image "{image}": {error.message}; check its name, your access to the registry, or pull it beforehand'
        ) from error
    except (ClientError, TimeoutError) as error:
        raise ExecutorError(f'ErrImagePull: failed to pull image "{image}": the Docker engine stopped answering: {error}') from error


async def _pull_once(api: Api, image: str, auth: str | None, progress: PullProgress, tell: Tell) -> None:
    told_at = anyio.current_time()
    async for message in api.pull(pull_parameters(image), auth):
        progress.take(message)
        if anyio.current_time() - told_at >= _TELL_EVERY:
            told_at = anyio.current_time()
            tell(progress.text)


def _is_worth_another_try(error: BaseException) -> bool:
    """Whether the fault is the network's and not the name's or the user's."""
    if isinstance(error, DockerError):
        return passes(error) or any(word in error.message for word in _BROKEN)
    return passes(error)
