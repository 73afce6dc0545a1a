"""The documents keep their word: code that is marked runs, workflows load, links lead somewhere."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import flowcore
from flowcore_backends.fake import FakeExecutor

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- (?P<mark>\w+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```", re.DOTALL | re.MULTILINE)
OPTIONAL = re.compile(r"^(?:from|import) (hera|opentelemetry|psycopg)\b", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def blocks(*, language: str, mark: str | None = None) -> list[Any]:
    """The code blocks of a language, with where they stand."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            if match["language"] == language and (mark is None or match["mark"] == mark):
                line = text.count("\n", 0, match.start("code")) + 1
                found.append(pytest.param(match["code"], id=f"{page.name}:{line}"))
    return found


@pytest.mark.parametrize("code", blocks(language="python", mark="run"))
def test_code_that_is_marked_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, in a folder with the examples and a workflow.yaml; test functions that it defines pass."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    shutil.copy(ROOT / "docs" / "examples" / "hello.yaml", "workflow.yaml")
    for package in OPTIONAL.findall(code):
        pytest.importorskip(package)
    file = tmp_path / "page.py"
    file.write_text(code)  # some programs read their own source
    names: dict[str, Any] = {"__name__": "page", "__file__": str(file)}
    exec(compile(code, str(file), "exec", dont_inherit=True), names)
    for name, value in names.items():
        if name.startswith("test_"):
            answer = value()
            if inspect.iscoroutine(answer):
                asyncio.run(answer)


@pytest.mark.parametrize("code", blocks(language="python"))
def test_all_code_can_be_read(code: str) -> None:
    compile(code, "page", "exec", flags=compile_flags())


def compile_flags() -> int:
    """Pieces of code may await at the top level."""
    from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT

    return PyCF_ALLOW_TOP_LEVEL_AWAIT


@pytest.mark.parametrize("text", blocks(language="yaml", mark="workflow"))
def test_workflows_load(text: str) -> None:
    assert flowcore.load_workflow(text).spec.entrypoint


@pytest.mark.parametrize("text", blocks(language="yaml", mark="stubs"))
def test_stubs_can_be_read(text: str) -> None:
    assert "0 facts" not in repr(FakeExecutor.from_stubs(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(BLOCK.sub("", page.read_text())):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_example_is_listed() -> None:
    page = (ROOT / "docs" / "examples.md").read_text()
    for path in sorted((ROOT / "docs" / "examples").glob("*.yaml")):
        assert f"(examples/{path.name})" in page


# --- the service of the embedding page ------------------------------------------------------------------------------------------------

WAITING = {
    "kind": "Workflow",
    "apiVersion": "argoproj.io/v1alpha1",
    "metadata": {"generateName": "waiting-"},
    "spec": {"entrypoint": "wait", "templates": [{"name": "wait", "suspend": {}}]},
}
HELLO = {
    "kind": "Workflow",
    "apiVersion": "argoproj.io/v1alpha1",
    "metadata": {"generateName": "hello-"},
    "spec": {
        "entrypoint": "hello",
        "templates": [{"name": "hello", "container": {"image": "alpine", "command": ["sh", "-c", "echo hello"]}}],
    },
}


def service() -> dict[str, Any]:
    """The names that the service's page defines."""
    (block,) = blocks(language="python", mark="service")
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(block.values[0], "embedding.md", "exec"), names)
    return names


async def submitted(client: Any, workflow: dict[str, Any]) -> str:
    answer = await client.post("/runs", json=workflow)
    assert answer.status_code == 201
    return str(answer.json()["name"])


async def test_the_service_submits_streams_and_stops() -> None:
    """One run goes to its end, another one waits for ever and is stopped; both are watched."""
    pytest.importorskip("starlette")
    httpx = pytest.importorskip("httpx")
    names = service()
    transport = httpx.ASGITransport(app=names["app"])
    async with names["lifespan"](names["app"]), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        done = await submitted(client, HELLO)
        seen = [json.loads(line) for line in (await client.get(f"/runs/{done}/events")).text.splitlines()]
        assert seen[-1] == {"node": done, "phase": "Succeeded"}
        again = [json.loads(line) for line in (await client.get(f"/runs/{done}/events")).text.splitlines()]
        assert again == seen[-1:]
        waiting = await submitted(client, WAITING)
        assert (await client.post(f"/runs/{waiting}/stop")).status_code == 202
        seen = [json.loads(line) for line in (await client.get(f"/runs/{waiting}/events")).text.splitlines()]
        assert seen[-1] == {"node": waiting, "phase": "Failed"}
        assert (await names["runs"][waiting].result()).message == "Stopped with strategy 'Stop'"
