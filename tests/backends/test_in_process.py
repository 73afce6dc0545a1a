"""``http``, ``data`` and ``plugin`` templates, which run inside this process, and the router that finds their executor."""

from __future__ import annotations

import base64
import http.server
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from flowcore.errors import ExecutorError
from flowcore.jsontypes import Json, JsonObject
from flowcore.nodes import Phase
from flowcore.ports import Invocation, Outcome, Progressed, Started
from flowcore_backends import http as http_backend
from flowcore_backends.data import DataExecutor
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.http import HttpExecutor
from flowcore_backends.plugin import PluginExecutor
from flowcore_backends.router import RouterExecutor
from tests.backends.contract import Play, invocation, run_context, until
from tests.serving import serving

SECRET: JsonObject = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "hidden"}}


class Site(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked; the path says with which status."""

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        asked = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body}
        content = b"x" * 100_000 if self.path == "/large" else json.dumps(asked).encode()
        status = int(self.path.strip("/")) if self.path.strip("/").isdecimal() else 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Kind", "echo")
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with serving(Site) as address:
        yield f"http://{address}"


async def ask(folder: Path, **template: Any) -> Outcome:
    play = Play(HttpExecutor(), run_context(folder, SECRET))
    ended = await play.run(invocation("http", {"http": template}))
    assert play.reports == [Started(next(iter(play.outcomes)))]
    return ended


async def test_the_answer_is_the_result(site: str, tmp_path: Path) -> None:
    headers = [
        {"name": "X-A", "value": "1"},
        {"name": "Host", "value": "example.org"},
        {"name": "authorization", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    ended = await ask(tmp_path, url=f"{site}/x", method="POST", body="what", headers=headers)
    assert ended.phase is Phase.SUCCEEDED
    asked = json.loads(ended.result or "")
    assert (asked["method"], asked["path"], asked["body"]) == ("POST", "/x", "what")
    assert [asked["headers"][name] for name in ("X-A", "Host", "Authorization")] == ["1", "example.org", "hidden"]


async def test_a_body_of_bytes(site: str, tmp_path: Path) -> None:
    ended = await ask(tmp_path, url=site, method="POST", bodyFrom={"bytes": base64.b64encode(b"raw").decode()})
    assert json.loads(ended.result or "")["body"] == "raw"
    wrong = await ask(tmp_path, url=site, bodyFrom={"bytes": "?"})
    assert (wrong.phase, "not base64" in wrong.message) == (Phase.FAILED, True)


@pytest.mark.parametrize(
    ("status", "condition", "phase", "message"),
    [
        (200, "", Phase.SUCCEEDED, ""),
        (299, "", Phase.SUCCEEDED, ""),
        (404, "", Phase.FAILED, "received non-2xx response code: 404"),
        (500, "response.statusCode == 500", Phase.SUCCEEDED, ""),
        (200, "response.statusCode == 500", Phase.FAILED, "successCondition 'response.statusCode == 500' evaluated false"),
        (200, "response.body contains 'method' && response.headers['X-Kind'][0] == 'echo'", Phase.SUCCEEDED, ""),
        (200, "request.method == 'GET' && request.url endsWith '/200' && request.body == ''", Phase.SUCCEEDED, ""),
        (200, "response.statusCode", Phase.FAILED, "unable to cast expression result"),
        (200, "response.", Phase.FAILED, "unexpected"),
    ],
)
async def test_what_counts_as_success(site: str, tmp_path: Path, status: int, condition: str, phase: Phase, message: str) -> None:
    ended = await ask(tmp_path, url=f"{site}/{status}", method="GET", successCondition=condition)
    assert ended.phase is phase
    assert message in ended.message


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "ftp://x/", "nowhere", "http://[broken/", "http://a b/"])
async def test_what_goes_wrong_on_the_way_is_a_failure_not_an_error(tmp_path: Path, url: str) -> None:
    ended = await ask(tmp_path, url=url)
    assert ended.phase is Phase.FAILED
    assert ended.message.startswith(f'Get "{url}": ')


async def test_bodies_and_time_are_bounded(site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_backend, "LARGEST_BODY", 1000)
    assert "larger than 1000 bytes" in (await ask(tmp_path, url=f"{site}/large")).message
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    monkeypatch.setattr(http_backend, "SECONDS", 0.05)
    async with listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        assert "no complete answer within" in (await ask(tmp_path, url=f"http://127.0.0.1:{port}/")).message


async def test_a_header_cannot_smuggle_another(site: str, tmp_path: Path) -> None:
    assert "line break" in (await ask(tmp_path, url=site, headers=[{"name": "X", "value": "1\r\nY: 2"}])).message


async def test_stopped_it_fails_at_once(tmp_path: Path) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        play = Play(HttpExecutor(), run_context(tmp_path))
        asked = invocation("http", {"http": {"url": f"http://127.0.0.1:{port}/", "timeoutSeconds": 1}})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(play.run, asked)
            await until(lambda: play.started(asked))
            await play.executor.stop(asked, timedelta(seconds=30))
        assert play.outcomes[asked.node].phase is Phase.FAILED


# --- data ---------------------------------------------------------------------------------------------------------------------------


async def transform(folder: Path, *expressions: str, source: Any = None) -> Outcome:
    context = run_context(folder)
    (folder / "f").touch()
    for name in ("foo.py", "bar.pdf", "goo/foo.py", "moo/bar.pdf"):
        await context.artifacts.save(f"in/{name}", folder / "f")
    await context.artifacts.save("inside", folder / "f")
    source = {"artifactPaths": {"name": "a", "s3": {"key": "in"}}} if source is None else source
    body = {"data": {"source": source, "transformation": [{"expression": expression} for expression in expressions]}}
    return await Play(DataExecutor(), context).run(invocation("data", body))


@pytest.mark.parametrize(
    ("expressions", "result"),
    [
        ((), ["in/bar.pdf", "in/foo.py", "in/goo/foo.py", "in/moo/bar.pdf"]),
        (("filter(data, {# endsWith '.pdf'})",), ["in/bar.pdf", "in/moo/bar.pdf"]),
        (("filter(data, {# endsWith '.pdf'})", "map(data, {# + '.bk'})"), ["in/bar.pdf.bk", "in/moo/bar.pdf.bk"]),
        (("len(data)",), 4),
    ],
)
async def test_keys_are_listed_and_transformed(tmp_path: Path, expressions: tuple[str, ...], result: Json) -> None:
    ended = await transform(tmp_path, *expressions)
    assert (ended.phase, json.loads(ended.result or "")) == (Phase.SUCCEEDED, result)


@pytest.mark.parametrize(
    ("expressions", "source", "text"),
    [
        (("filter(",), None, "error processing data step 0"),
        (("data", "data.x.y"), None, "error processing data step 1"),
        (("unknown",), None, "error processing data step 0"),
        ((), {}, "no valid source"),
        ((), {"artifactPaths": {"raw": {"data": "x"}}}, "not in raw"),
    ],
)
async def test_what_cannot_be_transformed_fails_as_argos_own_container_does(
    tmp_path: Path, expressions: tuple[str, ...], source: Any, text: str
) -> None:
    ended = await transform(tmp_path, *expressions, source=source)
    assert (ended.phase, ended.exit_code) == (Phase.FAILED, 64)
    assert ended.message.startswith("main: Error (exit code 64): unable to process data")
    assert text in ended.message


# --- plugins ------------------------------------------------------------------------------------------------------------------------


async def plug(folder: Path, settings: Json = None, name: str = "greet", **plugins: Any) -> tuple[Outcome, Play]:
    play = Play(PluginExecutor(plugins), run_context(folder))
    return await play.run(invocation("plugin", {"plugin": {name: settings}})), play


async def test_a_plugin_gets_its_settings_and_gives_an_outcome(tmp_path: Path) -> None:
    async def greet(asked: Invocation, settings: Json) -> Outcome:
        return Outcome(phase=Phase.SUCCEEDED, message=f"{asked.workflow}: {settings}")

    assert (await plug(tmp_path, {"to": "you"}, greet=greet))[0].message == "wf: {'to': 'you'}"


async def test_a_plugin_can_answer_as_argos_do_and_be_called_again(tmp_path: Path) -> None:
    calls = iter(
        [
            {"node": {"phase": "Running", "progress": "1/2"}, "requeue": "1ms"},
            {"node": {"phase": "Succeeded", "message": "done", "outputs": {"parameters": [{"name": "p", "value": "v"}], "result": "r"}}},
        ]
    )

    async def greet(asked: Invocation, settings: Json) -> Any:
        return next(calls)

    ended, play = await plug(tmp_path, greet=greet)
    assert (ended.phase, ended.message, dict(ended.parameters), ended.result) == (Phase.SUCCEEDED, "done", {"p": "v"}, "r")
    assert [report.progress for report in play.reports if isinstance(report, Progressed)] == ["1/2"]


async def test_nobodys_plugin_fails(tmp_path: Path) -> None:
    async def greet(asked: Invocation, settings: Json) -> None:
        return None

    for ended, _ in (await plug(tmp_path, greet=greet), await plug(tmp_path, name="other", greet=greet)):
        assert (ended.phase, ended.message) == (Phase.FAILED, "no plugin executed the template")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"node": {"phase": "Glowing"}}, "'Glowing', which there is not"),
        ({"node": {"phase": "Running"}}, "does not ask to be called again"),
        ({"node": {"phase": "Running"}, "requeue": "soon"}, "called again after 'soon'"),
        (RuntimeError("broken"), "plugin greet failed: RuntimeError: broken"),
    ],
)
async def test_what_a_plugin_does_wrong_is_an_error_that_names_it(tmp_path: Path, answer: Any, text: str) -> None:
    async def greet(asked: Invocation, settings: Json) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ExecutorError, match=text):
        await plug(tmp_path, greet=greet)


# --- the router ---------------------------------------------------------------------------------------------------------------------


async def test_each_kind_goes_to_its_executor(tmp_path: Path) -> None:
    pods, plugins = FakeExecutor(record=True), FakeExecutor(record=True)
    router = RouterExecutor({"plugin": plugins}, default=pods)
    play = Play(router, run_context(tmp_path))
    assert router.executor_for(invocation("p", {"plugin": {"x": {}}})) is plugins
    assert router.executor_for(invocation("succeeds")) is pods
    await play.run(invocation("succeeds"))
    await router.stop(invocation("succeeds"), timedelta(0))
    await router.close(play.context)


async def test_what_nobody_runs_is_an_error_with_advice(tmp_path: Path) -> None:
    play = Play(RouterExecutor({"http": HttpExecutor()}, advice={"container": "use another backend"}), run_context(tmp_path))
    with pytest.raises(ExecutorError, match="nothing here runs container templates; use another backend"):
        await play.run(invocation("succeeds"))
    with pytest.raises(ExecutorError, match="is of no type that an executor runs"):
        await play.run(invocation("steps", {"steps": []}))
