"""All answers and watch streams that a real API server gave, given again: what requests, watches and the executor make of each."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from flowcore.errors import ExecutorError, TransientExecutorError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Phase
from flowcore.ports import Progressed
from tests.backends.contract import invocation
from tests.backends.jumping_loop import run_jumping
from tests.backends.kubernetes.scene import RECORDED
from tests.backends.kubernetes.test_executor import scene

pytest.importorskip("kubernetes_asyncio")

from aiohttp import web

from flowcore_backends.kubernetes.api import Api, ApiError
from flowcore_backends.kubernetes.documents import Key, ObjectWatch
from flowcore_backends.kubernetes.options import KubernetesOptions
from flowcore_backends.kubernetes.testing import Fault, ends

_FILES = sorted((RECORDED / "api").glob("*.json"))
_PASSING = {429, 502, 503, 504}


@cache
def recorded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


ANSWERS = [path for path in _FILES if "body" in recorded(path) and isinstance(recorded(path).get("status"), int)]
STREAMS = [path for path in _FILES if "lines" in recorded(path)]


def text_of_body(answer: dict[str, Any]) -> str:
    body = answer["body"]
    return body if isinstance(body, str) else json.dumps(body)


def test_the_recorded_answers_are_at_hand() -> None:
    if not _FILES:
        pytest.skip("no answers of a real cluster beside the repository")
    assert len(ANSWERS) + len(STREAMS) == len(_FILES)
    assert len(STREAMS) >= 12


@asynccontextmanager
async def server(handler: Any) -> AsyncIterator[str]:
    """A server that gives every request to ``handler``."""
    app = web.Application(client_max_size=8 << 20)
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
async def test_an_answer_is_taken_as_what_it_is(path: Path) -> None:
    """Success as the object or text that it is; anything else with its status, reason and message, and only what may pass as passing."""
    answer = recorded(path)
    status, body, headers = answer["status"], answer["body"], answer.get("headers") or {}
    said = {key: value for key, value in headers.items() if key in ("Content-Type", "Retry-After", "Warning")}

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, body=text_of_body(answer).encode(), headers=said)

    async with server(handler) as url, Api(KubernetesOptions(api_server=url)) as api:
        if status < 400:
            found = await api.request("GET", "/any", patience=0)
            assert found == (body if isinstance(body, dict) else {"text": body} if body else {})
            return
        with pytest.raises((ApiError, TransientExecutorError)) as raised:
            await api.request("GET", "/any", patience=0)
    error = raised.value if isinstance(raised.value, ApiError) else raised.value.__cause__
    assert isinstance(error, ApiError)
    assert (error.status, error.reason) == (status, body.get("reason", "") if isinstance(body, dict) else "")
    assert error.message == (body["message"] if isinstance(body, dict) else body.strip())
    assert error.retry_after == (float(headers["Retry-After"]) if "Retry-After" in headers else None)
    assert isinstance(raised.value, TransientExecutorError) == (status in _PASSING)


def is_creation(path: Path) -> bool:
    request = recorded(path).get("request") or {}
    return bool(request.get("method") == "POST" and str(request.get("path")).endswith("/pods"))


@pytest.mark.parametrize("path", [path for path in ANSWERS if is_creation(path)], ids=lambda path: path.stem)
def test_a_pod_whose_creation_is_answered_so_ends_as_it_should(tmp_path: Path, path: Path) -> None:
    """A used-up quota and what passes are waited for; what is refused for good ends the node with the server's words and the template's name."""
    answer = recorded(path)
    status, body = answer["status"], answer["body"]

    async def test() -> None:
        async with scene(tmp_path, life=ends(), owner=False, seconds=600) as it:
            it.kube.faults.append(Fault("POST .*pods", status=status, body=text_of_body(answer)))
            task = it.begin(invocation("succeeds"))
            if status < 400:
                return  # whoever is told so waits for the pod, which the watch shows
            if status in _PASSING or "exceeded quota" in body["message"] or status == 409:
                assert (await task).phase is Phase.SUCCEEDED
                told = [report.message for report in it.reported(Progressed)]
                assert told == ([body["message"]] if "exceeded quota" in body["message"] else [])
            else:
                with pytest.raises(ExecutorError) as raised:
                    await task
                assert str(raised.value) == f"template succeeds: {body['message']}"

    run_jumping(test)


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [7, 100_000], ids=["in small pieces", "at once"])
async def test_a_watch_is_read_to_its_end_and_gone_on_with(path: Path, size: int) -> None:
    """Each object is told in order; then the watch goes on from the last version, or begins anew where the server says that this is too old."""
    stream = recorded(path)
    events = [event for _, event in stream["lines"]]
    data = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    again, asked = asyncio.Event(), list[dict[str, str]]()

    async def handler(request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        asked.append(query)
        if "watch" not in query:
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
        if len([one for one in asked if "watch" in one]) > 1:
            again.set()
            await asyncio.Event().wait()
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for start in range(0, len(data), size):
            await answer.write(data[start : start + size])
        if "clean" in stream["end"]:
            await answer.write_eof()
        elif request.transport is not None:
            request.transport.abort()
        return answer

    told: list[tuple[Key, JsonObject | None]] = []
    async with server(handler) as url, Api(KubernetesOptions(api_server=url)) as api, asyncio.timeout(30):
        watch = ObjectWatch(api, "/any", "", lambda key, found: told.append((key, found)))
        watch._pause = 0.001
        task = asyncio.create_task(watch.run())
        await again.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    objects = [(event["type"], event["object"]) for event in events if event["type"] not in ("BOOKMARK", "ERROR")]
    assert [found for _, found in told] == [None if kind == "DELETED" else found for kind, found in objects]
    expired = any(event["type"] == "ERROR" for event in events)
    versions = [event["object"]["metadata"]["resourceVersion"] for event in events if event["type"] != "ERROR"]
    assert asked[-1]["resourceVersion"] == ("1" if expired or not versions else versions[-1])
    assert sum("watch" not in query for query in asked) == (2 if expired else 1)


RESOURCES = [
    path for path in ANSWERS if isinstance(recorded(path)["body"], dict) and recorded(path)["body"].get("kind") == "APIResourceList"
]


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
async def test_discovery_reads_what_a_real_server_tells(path: Path) -> None:
    from flowcore_backends.kubernetes.discovery import Discovery

    documents = {
        str(recorded(one)["request"]["path"]): recorded(one)["body"] for one in ANSWERS if one.stem in ("discovery-api", "discovery-apis")
    }
    documents |= {str(recorded(path)["request"]["path"]): recorded(path)["body"]}

    async def handler(request: web.Request) -> web.Response:
        return (
            web.json_response(documents[request.path]) if request.path in documents else web.Response(status=404, text="404 page not found")
        )

    body = recorded(path)["body"]
    async with server(handler) as url, Api(KubernetesOptions(api_server=url)) as api:
        for one in [one for one in body.get("resources", []) if "/" not in one["name"]]:
            kind = await Discovery(api).of_kind(body["groupVersion"], one["kind"])
            assert kind.path("ns", "x").endswith(f"/{one['name']}/x")
            assert ("/namespaces/ns/" in kind.path("ns", "x")) == one["namespaced"]
