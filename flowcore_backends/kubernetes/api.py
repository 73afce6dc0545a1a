"""Requests to the Kubernetes API, as plain JSON: every answer checked, every request bounded in time, in number and in rate, and repeated
while the API is away or asks for patience. How it is reached and with which credentials is ``connection.py``'s.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio import CancelScope
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from flowcore.errors import ExecutorError, TransientExecutorError
from flowcore.jsontypes import Json, JsonObject, object_of, text_of
from flowcore_backends.kubernetes.connection import Connection, Query, connect, read, written
from flowcore_backends.kubernetes.options import KubernetesOptions

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientWebSocketResponse

JSON, MERGE_PATCH, STRATEGIC_PATCH, JSON_PATCH, APPLY = (
    "application/json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)
SECONDS = 60.0
_PASSING = frozenset({429, 502, 503, 504})
_PASSING_TEXTS = ("etcdserver: leader changed", "etcdserver: request timed out", "resource quota evaluation timed out")
_LONGEST_PAUSE = 10.0
_UNAUTHORIZED = 401
_SECONDS_BETWEEN_RENEWALS = 10.0


class ApiError(ExecutorError):
    """The API refused: ``status`` is the HTTP status, ``reason`` Kubernetes' word (``AlreadyExists``), the text its message.

    ``renewed`` says that the credentials were refused and have been read anew since.
    """

    def __init__(self, status: int, body: JsonObject, *, retry_after: float | None = None, renewed: bool = False) -> None:
        self.status, self.body, self.retry_after, self.renewed = status, body, retry_after, renewed
        self.reason, self.message = text_of(body, "reason"), text_of(body, "message") or f"the Kubernetes API answered {status}"
        super().__init__(self.message)

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed later."""
        if self.renewed or self.status in _PASSING or (self.status == 409 and "on resourcequota" in self.message):
            return True
        if self.status != 500:
            return False
        return self.body.get("kind") != "Status" or any(text in self.message for text in _PASSING_TEXTS)  # what is no Status is a proxy's


class Pace:
    """Lets ``rate`` turns a second begin on average, and as many at once."""

    def __init__(self, rate: float) -> None:
        self._rate, self._free, self._at = rate, rate, time.monotonic()

    async def turn(self) -> None:
        """Wait for a turn."""
        now = time.monotonic()
        self._free = min(self._rate, self._free + (now - self._at) * self._rate) - 1
        self._at = now
        if self._free < 0:
            await asyncio.sleep(-self._free / self._rate)


class Api:
    """A connection to one cluster, for one event loop. ``async with`` opens and closes it."""

    def __init__(self, options: KubernetesOptions) -> None:
        self._options = options
        self._client: Connection | None = None
        self._streams: Connection | None = None
        self._pace = Pace(options.requests_per_second)
        self._slots = asyncio.Semaphore(options.requests)
        self._execs = asyncio.Semaphore(options.execs)
        self._renewing = asyncio.Lock()
        self._renewed_at = -math.inf
        self._retired: list[Connection] = []  # of earlier credentials; streams may still use them

    async def __aenter__(self) -> Api:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        with CancelScope(shield=True):  # also where the work was cancelled
            await self._close()

    async def _open(self) -> None:
        options = self._options
        self._client = await connect(options, options.requests)
        self._streams = await connect(options, options.followed_logs + options.execs + 16)
        from aiohttp import ClientTimeout

        self._timeout = ClientTimeout(total=SECONDS, connect=SECONDS)

    async def _close(self) -> None:
        for client in (self._client, self._streams, *self._retired):
            if client is not None:
                await client.close()
        self._client = self._streams = None
        self._retired.clear()

    async def _renew(self, refused: Connection) -> bool:
        """Read the credentials anew because those of ``refused`` were refused; false if that was done a moment ago, or if there are none."""
        async with self._renewing:
            if self._options.api_server:
                return False
            if refused not in (self._client, self._streams):
                return True  # somebody else has done it
            if time.monotonic() - self._renewed_at < _SECONDS_BETWEEN_RENEWALS:
                return False
            self._renewed_at = time.monotonic()
            self._retired += [client for client in (self._client, self._streams) if client is not None]
            await self._open()
            return True

    # --- one answer -----------------------------------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Json = None,
        content_type: str = JSON,
        patience: float | None = None,
    ) -> JsonObject:
        """Make a request and return the object that is answered; an answer that is no JSON comes as ``{"text": ...}``.

        Repeated for ``patience`` seconds while the API is away or overloaded. Raises ApiError, or TransientExecutorError in the end.
        """
        return _object(await self._answer(method, path, query, body, content_type, patience))

    async def send(
        self, method: str, path: str, *, query: Query = (), body: Json = None, content_type: str = JSON, patience: float | None = None
    ) -> None:
        """The same, where what is answered is of no interest."""
        await self._answer(method, path, query, body, content_type, patience)

    async def _answer(self, method: str, path: str, query: Query, body: Json, content_type: str, patience: float | None) -> bytes:
        try:
            return await self._asked(method, path, query, body, content_type, patience)
        except ApiError as error:
            if error.passes:
                raise TransientExecutorError(f"{method} {path}: request did not complete within requested timeout: {error}") from error
            raise
        except Exception as error:
            if passes(error):
                raise TransientExecutorError(
                    f"the Kubernetes API did not answer {method} {path}: connection timed out: {_said(error)}"
                ) from error
            raise

    async def _asked(self, method: str, path: str, query: Query, body: Json, content_type: str, patience: float | None) -> bytes:
        """Ask, and where that fails with something that passes, ask again for a while."""
        data = None if body is None else written(body)
        try:
            return await self._request(method, path, query, data, content_type)
        except Exception as error:
            if not passes(error):
                raise
            first = error
        seconds = self._options.patience.total_seconds() if patience is None else patience
        if seconds <= 0:
            raise first
        await asyncio.sleep(_seconds_after(first, 1))
        retrying = AsyncRetrying(retry=retry_if_exception(passes), wait=_pause, stop=stop_after(seconds), reraise=True, sleep=asyncio.sleep)
        async for attempt in retrying:
            with attempt:
                return await self._request(method, path, query, data, content_type)
        raise AssertionError  # tenacity returns or raises

    async def _request(self, method: str, path: str, query: Query, body: bytes | None, content_type: str) -> bytes:
        async with self._slots:
            await self._pace.turn()
            client = self._client
            assert client is not None, "the connection is not open"
            async with await client.request(method, path, query, body, content_type, self._timeout) as response:
                if response.status >= 400:
                    raise await self._refusal(client, response)
                return await response.read()

    @asynccontextmanager
    async def stream(self, path: str, *, query: Query = (), read_seconds: float | None = None) -> AsyncIterator[ClientResponse]:
        """A GET whose body comes in pieces. ``read_seconds`` bounds the time without any. Raises ApiError, and what aiohttp raises."""
        from aiohttp import ClientTimeout

        limits = ClientTimeout(total=None, connect=SECONDS, sock_read=read_seconds)
        client = self._streams
        assert client is not None, "the connection is not open"
        async with await client.request("GET", path, query, None, JSON, limits) as response:
            if response.status >= 400:
                raise await self._refusal(client, response)
            yield response

    async def _refusal(self, client: Connection, response: ClientResponse) -> ApiError:
        """What the API said instead; credentials that it refused are read anew."""
        content, renewed = await response.read(), response.status == _UNAUTHORIZED and await self._renew(client)
        return _refused(response.status, content, response.headers.get("Retry-After"), renewed=renewed)

    # --- exec -----------------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def websocket(self, path: str, query: Query, protocols: Sequence[str]) -> AsyncIterator[ClientWebSocketResponse]:
        """An open WebSocket; only so many are open at once. Raises ApiError when it is refused."""
        from aiohttp import WSServerHandshakeError

        client = self._streams
        assert client is not None, "the connection is not open"
        async with self._execs:
            await self._pace.turn()
            try:
                async with await client.websocket(path, query, protocols) as socket:
                    yield socket
            except WSServerHandshakeError as error:
                renewed = error.status == _UNAUTHORIZED and await self._renew(client)
                body: JsonObject = {"message": f"exec was refused with status {error.status}: {error.message}"}
                raise ApiError(error.status, body, renewed=renewed) from error


def _refused(status: int, content: bytes, retry_after: str | None, *, renewed: bool = False) -> ApiError:
    body = _object(content)
    if body.get("kind") != "Status":
        body = {"message": (text_of(body, "text") or text_of(body, "message")).strip()[:2000]}
    seconds: Json = retry_after or object_of(body, "details").get("retryAfterSeconds")
    try:
        pause = float(str(seconds)) if seconds else None
    except ValueError:
        pause = None
    return ApiError(status, body, retry_after=pause, renewed=renewed)


def _object(content: bytes) -> JsonObject:
    try:
        found = read(content) if content else {}
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"text": content.decode("utf-8", "replace")}


def passes(error: BaseException) -> bool:
    """Whether what failed may succeed later: the API is away, overloaded, or refused credentials that are new now."""
    from aiohttp import ClientError

    if isinstance(error, ApiError):
        return error.passes
    return isinstance(error, ClientError | OSError | TimeoutError) and not isinstance(error, ExecutorError)


def stop_after(seconds: float) -> Callable[[RetryCallState], bool]:
    """What tells ``tenacity`` to give up so long from now, by the clock of the event loop."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    return lambda state: clock() >= end


def _pause(state: RetryCallState) -> float:
    return _seconds_after(state.outcome.exception() if state.outcome is not None else None, state.attempt_number + 1)


def _seconds_after(error: BaseException | None, attempts: int) -> float:
    """How long to wait before the next attempt: as long as the API asks for, else ever longer."""
    asked = error.retry_after if isinstance(error, ApiError) else None
    return asked if asked is not None else min(_LONGEST_PAUSE, 0.1 * 2.0**attempts) * random.uniform(0.5, 1.0)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def query_of(**given: str | int | bool | None) -> Query:
    """Query parameters: what is None is left out, and truth values are written as Kubernetes writes them."""
    return [(key, str(value).lower() if isinstance(value, bool) else str(value)) for key, value in given.items() if value is not None]


def pods_path(namespace: str, name: str = "", sub: str = "") -> str:
    """The path of the pods of a namespace, of one of them, or of a part of it (``log``, ``exec``)."""
    return "/".join(part for part in (f"/api/v1/namespaces/{namespace}/pods", name, sub) if part)


def labels_of(value: Mapping[str, str]) -> str:
    """A label selector that asks for all of ``value``."""
    return ",".join(f"{key}={text}" for key, text in value.items())
