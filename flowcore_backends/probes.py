"""Probes over the network, as Kubernetes asks them: a TCP connection, or a GET that is answered with a status from 200 to 399.

Used by backends that ask them themselves.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress

import anyio
from anyio.abc import ByteStream

from flowcore.jsontypes import Json, JsonObject, objects_of, text_of

_LONGEST_STATUS_LINE = 4096


def probe_number(probe: JsonObject, name: str, default: float) -> float:
    """A number of a probe's settings; zero and less count as absent."""
    value = probe.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else default


def port_number(port: Json, declared: Sequence[JsonObject]) -> int:
    """A port by number or by the name that a container gives it; 0 if there is none, where nothing listens."""
    for one in declared:
        if one.get("name") == port and isinstance(number := one.get("containerPort"), int):
            return number
    return int(port) if isinstance(port, int) or (isinstance(port, str) and port.isdecimal()) else 0


async def connects(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    with suppress(OSError):
        async with await anyio.connect_tcp(host, port):
            return True
    return False


def get_request(host: str, port: int, settings: JsonObject) -> bytes:
    """The GET that ``httpGet`` describes."""
    headers = "".join(f"{text_of(header, 'name')}: {text_of(header, 'value')}\r\n" for header in objects_of(settings, "httpHeaders"))
    path = text_of(settings, "path") or "/"
    return f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: kube-probe\r\nConnection: close\r\n{headers}\r\n".encode()


async def answers(host: str, port: int, settings: JsonObject) -> bool:
    """Whether a GET as ``httpGet`` describes it is answered well."""
    with suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError, ValueError):
        async with await _connect(host, port, secure=settings.get("scheme") == "HTTPS") as stream:
            await stream.send(get_request(host, port, settings))
            answer = await _status_line(stream)
            return answer.startswith(b"HTTP/") and 200 <= int(answer.split()[1]) < 400
    return False


async def _connect(host: str, port: int, *, secure: bool) -> ByteStream:
    if not secure:
        return await anyio.connect_tcp(host, port)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE  # as Kubernetes probes
    return await anyio.connect_tcp(host, port, ssl_context=trusting, tls_standard_compatible=False)


async def _status_line(stream: ByteStream) -> bytes:
    answer = b""
    while b"\r\n" not in answer and len(answer) < _LONGEST_STATUS_LINE:
        answer += await stream.receive()
    return answer.split(b"\r\n")[0] if b" " in answer else b""
