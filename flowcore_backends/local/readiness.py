"""Readiness probes: when a container counts as ready. The probe's rules are Kubernetes'; it is asked more often, because nothing else waits."""

from __future__ import annotations

import ssl
from contextlib import suppress

import anyio
from anyio.abc import ByteStream

from flowcore.jsontypes import Json, JsonObject, objects_of
from flowcore_backends.local.running import RunningContainer

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_LONGEST_STATUS_LINE = 4096


async def wait_ready(container: RunningContainer) -> None:
    """Wait until the container has started and its startup and readiness probes, if it has any, have passed."""
    await container.started.wait()
    model = container.plan.model
    for probe in (model.startup_probe, model.readiness_probe):
        if probe:
            await _wait_passed(container, probe)


async def _wait_passed(container: RunningContainer, probe: JsonObject) -> None:
    await anyio.sleep(_number(probe, "initialDelaySeconds", 0))
    wanted, passed, pause = int(_number(probe, "successThreshold", 1)), 0, _FIRST_PAUSE
    while True:
        with anyio.move_on_after(_number(probe, "timeoutSeconds", 1)):
            passed = passed + 1 if await _passes(container, probe) else 0
        if passed >= wanted:
            return
        await anyio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE, max(_number(probe, "periodSeconds", 10), _FIRST_PAUSE))


async def _passes(container: RunningContainer, probe: JsonObject) -> bool:
    match probe:
        case {"exec": {"command": list(command)}}:
            process = container.process
            return process is not None and await process.probe([str(word) for word in command], _number(probe, "timeoutSeconds", 1))
        case {"tcpSocket": dict(settings)}:
            return await _connects(str(settings.get("host") or "127.0.0.1"), _port(container, settings.get("port")))
        case {"httpGet": dict(settings)}:
            return await _answers(container, settings)
    return True  # a probe of a kind that cannot be asked here does not keep a daemon from being used


async def _connects(host: str, port: int) -> bool:
    with suppress(OSError):
        async with await anyio.connect_tcp(host, port):
            return True
    return False


async def _answers(container: RunningContainer, settings: JsonObject) -> bool:
    """Whether a GET is answered with a status from 200 to 399."""
    host, port = str(settings.get("host") or "127.0.0.1"), _port(container, settings.get("port"))
    headers = "".join(f"{header.get('name')}: {header.get('value')}\r\n" for header in objects_of(settings, "httpHeaders"))
    request = (
        f"GET {settings.get('path') or '/'} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: kube-probe\r\nConnection: close\r\n{headers}\r\n"
    )
    with suppress(OSError, anyio.EndOfStream, anyio.BrokenResourceError, ValueError):
        async with await _connect(host, port, secure=settings.get("scheme") == "HTTPS") as stream:
            await stream.send(request.encode())
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


def _port(container: RunningContainer, port: Json) -> int:
    """A port by number or by the name that the container gives it; 0 if there is none, where nothing listens."""
    for declared in container.plan.model.ports:
        if declared.get("name") == port and isinstance(number := declared.get("containerPort"), int):
            return number
    return int(port) if isinstance(port, int) or (isinstance(port, str) and port.isdecimal()) else 0


def _number(probe: JsonObject, name: str, default: float) -> float:
    value = probe.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else default
