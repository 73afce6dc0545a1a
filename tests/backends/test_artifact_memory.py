"""Artifacts are streamed: what a transfer takes in memory has nothing to do with their size."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.backends.webhdfs_server import serving, webhdfs

SIZE, MOST = 64 << 20, 16 << 20
SIZE_OF = {"s3": 128 << 20}
MOST_OF = {"s3": 96 << 20}  # a dozen parts of an object are on their way side by side
ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux to count memory"),
]


class Site(http.server.SimpleHTTPRequestHandler):
    """Takes and gives files of a folder, in pieces."""

    root: str

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments, directory=self.root)

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        with open(self.translate_path(self.path), "wb") as file:
            while left and (data := self.rfile.read(min(left, 1 << 16))):
                file.write(data)
                left -= len(data)
        self.send_response(201)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A server of the kind that is asked for, with its files on disk."""
    (folder := tmp_path / "served").mkdir()
    with ExitStack() as stack:
        if request.param == "http":
            yield stack.enter_context(serving(Site, root=str(folder)))
        elif request.param == "hdfs":
            yield stack.enter_context(webhdfs(folder))
        elif request.param == "s3":
            pytest.importorskip("obstore")
            server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
            server.start()
            stack.callback(server.stop)
            host, port = server.get_host_and_port()
            httpx.put(f"http://{host}:{port}/bucket").raise_for_status()
            yield f"{host}:{port}"
        else:
            yield "-"
    shutil.rmtree(folder)


@pytest.mark.parametrize(("kind", "address"), [(kind, kind) for kind in ("own", "http", "hdfs", "s3", "run")], indirect=["address"])
def test_a_large_artifact_is_never_in_memory(kind: str, address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.backends.memory_of_transfers", kind, address, str(tmp_path), str(SIZE_OF.get(kind, SIZE))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MOST_OF.get(kind, MOST)
