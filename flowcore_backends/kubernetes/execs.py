"""Commands in running containers, by the exec API over a WebSocket. Used for large outputs, large inputs and to let the holder go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from flowcore.errors import TransientExecutorError
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore_backends.kubernetes.api import Api, ApiError, pods_path

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _STATUS, _CLOSE = 0, 1, 2, 3, 255
_LONGEST_STDERR = 8 << 10


@dataclass(frozen=True, slots=True)
class ExecEnd:
    """How a command ended; ``code`` is None for one that could not be started."""

    code: int | None
    message: str


async def execute(
    api: Api,
    namespace: str,
    pod: str,
    container: str,
    command: Sequence[str],
    *,
    sink: Callable[[bytes], object] | None = None,
    stdin: AsyncIterator[bytes] | None = None,
) -> ExecEnd:
    """Run a command; its stdout goes to ``sink``, its stdin comes from ``stdin``, which is then closed where that can be.

    Before Kubernetes 1.30 it cannot be (``v4.channel.k8s.io``): a command should know how much it reads. Raises ApiError where exec is refused, and TransientExecutorError for a connection that broke: without the final word of the API nothing
    that came is complete.
    """
    query = [("container", container), ("stdout", "true"), ("stderr", "true"), ("stdin", str(stdin is not None).lower())]
    query += [("command", word) for word in command]
    errors = bytearray()
    async with api.websocket(pods_path(namespace, pod, "exec"), query, PROTOCOLS) as socket:
        closes = socket.protocol == PROTOCOLS[0]
        feeding = asyncio.ensure_future(_feed(socket.send_bytes, stdin, closes=closes)) if stdin is not None else None
        try:
            async for message in socket:
                data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
                if not data:
                    continue
                channel, content = data[0], data[1:]
                if channel == _STDOUT and sink is not None:
                    sink(content)
                elif channel == _STDERR:
                    errors = (errors + content)[-_LONGEST_STDERR:]
                elif channel == _STATUS:
                    return _end(content, errors.decode("utf-8", "replace").strip())
        finally:
            if feeding is not None:
                feeding.cancel()
    raise TransientExecutorError(f"the connection to {container} in pod {pod} broke: connection reset by peer")


async def _feed(send: Callable[[bytes], Awaitable[None]], stdin: AsyncIterator[bytes], *, closes: bool) -> None:
    async for piece in stdin:
        await send(bytes([_STDIN]) + piece)
    if closes:
        await send(bytes([_CLOSE, _STDIN]))


def _end(content: bytes, errors: str) -> ExecEnd:
    try:
        status: JsonObject = json.loads(content)
    except ValueError:
        return ExecEnd(None, content.decode("utf-8", "replace")[:500])
    if status.get("status") == "Success":
        return ExecEnd(0, errors)
    for cause in objects_of(object_of(status, "details"), "causes"):
        if cause.get("reason") == "ExitCode" and text_of(cause, "message").isdigit():
            return ExecEnd(int(text_of(cause, "message")), errors or text_of(status, "message"))
    return ExecEnd(None, text_of(status, "message") or errors)


def may_not(error: ApiError) -> bool:
    """Whether exec is not allowed at all."""
    return error.status in (401, 403, 405)
