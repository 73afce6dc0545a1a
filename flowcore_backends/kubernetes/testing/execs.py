"""The exec subresource of ``FakeKube``: the WebSocket protocols v4 and v5 in front of a process that a pod's life starts."""

from __future__ import annotations

import asyncio
import json

from aiohttp import WSMsgType, web

from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore_backends.kubernetes.testing.lives import PodTasks
from flowcore_backends.kubernetes.testing.store import Refused

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _STATUS, _CLOSE = 0, 1, 2, 3, 255


async def serve_exec(
    request: web.Request, pods: PodTasks, namespace: str, name: str, protocols: tuple[str, ...] = PROTOCOLS
) -> web.StreamResponse:
    """Run the asked command and relay its streams. Raises Refused (404, 400, 500)."""
    pod = pods.store.get("pods", namespace, name)
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise Refused(400, "BadRequest", "Upgrade request required")
    living = pods.living.get(text_of(object_of(pod, "metadata"), "uid"))
    if living is None or living.exec is None:
        raise Refused(500, "InternalError", "container not found")
    socket = web.WebSocketResponse(protocols=protocols)
    await socket.prepare(request)
    try:
        process = await living.exec(request.query.get("container", "main"), request.query.getall("command", []))
    except OSError as error:
        await socket.send_bytes(bytes([_STATUS]) + json.dumps(_failed(None, str(error))).encode())
        await socket.close()
        return socket
    relays = [
        asyncio.ensure_future(_relay(process.stdout, _STDOUT, socket)),
        asyncio.ensure_future(_relay(process.stderr, _STDERR, socket)),
    ]
    feeding = asyncio.ensure_future(_feed(socket, process))
    await asyncio.gather(*relays)
    code = await process.wait()
    feeding.cancel()
    status: JsonObject = {"kind": "Status", "metadata": {}, "status": "Success"} if code == 0 else _failed(code, "")
    if not socket.closed:
        await socket.send_bytes(bytes([_STATUS]) + json.dumps(status).encode())
        await socket.close()
    return socket


async def _relay(stream: asyncio.StreamReader | None, channel: int, socket: web.WebSocketResponse) -> None:
    assert stream is not None
    while data := await stream.read(32 << 10):
        if socket.closed:
            return
        await socket.send_bytes(bytes([channel]) + data)


async def _feed(socket: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        if message.data[0] == _CLOSE:
            process.stdin.close()
        elif message.data[0] == _STDIN:
            process.stdin.write(message.data[1:])
            await process.stdin.drain()


def _failed(code: int | None, message: str) -> JsonObject:
    if code is None:
        return {
            "kind": "Status",
            "status": "Failure",
            "message": message,
            "reason": "InternalError",
            "code": 500,
            "details": {"causes": [{"message": message}]},
        }
    text = f"command terminated with non-zero exit code: {code}"
    causes: JsonObject = {"causes": [{"reason": "ExitCode", "message": str(code)}]}
    return {"kind": "Status", "status": "Failure", "message": text, "reason": "NonZeroExitCode", "details": causes}
