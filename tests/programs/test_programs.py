"""The programs of the pages, run as programs: the service behind a real ASGI server, the CI script, and the custom executor under the contract."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowcore.ports import Executor
from flowcore.testing.contract import ExecutorContract, loop

__all__ = ["loop"]

ROOT = Path(__file__).resolve().parents[2]


def marked(page: str, mark: str) -> str:
    """The code of the block with this mark."""
    (code,) = re.findall(rf"<!-- {mark} -->\n```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    return str(code)


# --- the service ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def address() -> Iterator[str]:
    """The service of the embedding page behind uvicorn, on a port of its own."""
    uvicorn = pytest.importorskip("uvicorn")
    names: dict[str, Any] = {"__name__": "service"}
    exec(compile(marked("embedding.md", "service"), "embedding.md", "exec"), names)
    server = uvicorn.Server(uvicorn.Config(names["app"], host="127.0.0.1", port=0, log_level="error", ws="none"))
    begun = threading.Event()
    ready = server.startup

    async def startup(*given: Any, **more: Any) -> None:
        await ready(*given, **more)
        begun.set()

    server.startup = startup
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert begun.wait(20)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def document(template: dict[str, Any]) -> dict[str, Any]:
    spec = {"entrypoint": "main", "templates": [{"name": "main", **template}]}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"generateName": "w-"}, "spec": spec}


def test_a_real_server_streams_what_happens_while_it_happens(address: str) -> None:
    httpx = pytest.importorskip("httpx")
    with httpx.Client(base_url=address, timeout=20) as client:
        name = client.post("/runs", json=document({"suspend": {}})).json()["name"]
        with client.stream("GET", f"/runs/{name}/events") as answer:
            lines = answer.iter_lines()
            assert json.loads(next(lines)) == {"node": name, "phase": "Running"}
            assert client.post(f"/runs/{name}/stop").status_code == 202
            assert json.loads(list(lines)[-1]) == {"node": name, "phase": "Failed"}


# --- the script -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_ci_script_tells_good_from_bad(tmp_path: Path) -> None:
    script = tmp_path / "ci.py"
    script.write_text(marked("embedding.md", "script"))
    folder = tmp_path / "workflows"
    folder.mkdir()
    for name, command in (("good", ["true"]), ("bad", ["sh", "-c", "exit 3"])):
        (folder / f"{name}.yaml").write_text(json.dumps(document({"container": {"image": "alpine", "command": command}})))
    told = subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 1, told.stderr
    assert "good.yaml: Succeeded" in told.stdout and "bad.yaml: Failed" in told.stdout and "exit code 3" in told.stdout
    (folder / "bad.yaml").unlink()
    assert subprocess.run([sys.executable, str(script), str(folder)], capture_output=True, timeout=60, check=False).returncode == 0


# --- the contract as third parties use it ---------------------------------------------------------------------------------------------


class TestSomebodysExecutor(ExecutorContract):
    """The contract accepts an executor that knows nothing of flowcore's own backends."""

    stubborn_work = False

    def executor(self) -> Executor:
        from tests.programs.executor import Somebodys

        return Somebodys()
