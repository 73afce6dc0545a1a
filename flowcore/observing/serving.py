"""A very small HTTP server that shows metrics: ``GET /metrics``, and ``GET /healthz`` for whoever asks whether the process lives."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

from flowcore.errors import UsageError
from flowcore.observing.exposition import CONTENT_TYPE

_LONGEST_HEAD = 16_384
_WAITS = 10.0  # seconds for a request


async def serve_metrics(text: Callable[[], str], host: str, port: int, *, task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED) -> None:
    """Answer with ``text()`` until cancelled; once it listens, the port is told. Raises UsageError if the address cannot be had."""
    try:
        listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    except OSError as error:
        raise UsageError(
            f"metrics cannot be served at {host}:{port}: {error.strerror or error}; choose another --metrics address"
        ) from error
    async with listener:
        task_status.started(listener.extra(SocketAttribute.local_port))  # noqa: S610 - no database here
        await listener.serve(lambda stream: _answer(stream, text))


async def _answer(stream: SocketStream, text: Callable[[], str]) -> None:
    async with stream:
        with anyio.move_on_after(_WAITS):
            try:
                head = await _head(stream)
                await stream.send(_response(head, text))
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                return


async def _head(stream: SocketStream) -> bytes:
    """A request up to its empty line, or as much as may be read of it."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD:
        head += await stream.receive(4096)
    return head


def _response(head: bytes, text: Callable[[], str]) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method not in (b"GET", b"HEAD"):
        return _written(HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered\n", "text/plain")
    if path == b"/healthz":
        return _written(HTTPStatus.OK, "ok\n", "text/plain")
    if path not in (b"/metrics", b"/"):
        return _written(HTTPStatus.NOT_FOUND, "metrics are at /metrics\n", "text/plain")
    answer = _written(HTTPStatus.OK, text(), CONTENT_TYPE)
    return answer if method == b"GET" else answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def _written(status: HTTPStatus, text: str, kind: str) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


def address_of(text: str) -> tuple[str, int]:
    """Host and port of ``PORT``, ``:PORT`` or ``HOST:PORT``; without a host, this machine alone. Raises UsageError."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65_535:
        raise UsageError(f"--metrics {text}: write PORT or HOST:PORT, such as 9090 or 0.0.0.0:9090")
    return host or "127.0.0.1", int(port)


__all__ = ["address_of", "serve_metrics"]
