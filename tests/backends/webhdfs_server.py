"""A small WebHDFS for tests, on loopback: a name node and a data node over a folder, answering as Hadoop's "WebHDFS REST API" describes.

It is strict where clients go wrong: bytes go to the data node alone, in the second of two steps.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from tests.serving import serving

CHUNK = 1 << 16
SUPERUSER = "hdfs"


class RemoteError(Exception):
    """What is answered as a ``RemoteException``."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status, self.body = status, {"RemoteException": {"exception": name, "javaClassName": f"org.apache.{name}", "message": message}}


class Node(BaseHTTPRequestHandler):
    """What name node and data node have in common. ``folder`` holds the files; nobody but the superuser sees what is below ``/locked``."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: Path
    seen: list[str]

    def play(self) -> None:
        """Answer a request."""
        parts = urlsplit(self.path)
        self.hdfs_path = unquote(parts.path.removeprefix("/webhdfs/v1")) or "/"
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.seen.append(f"{type(self).__name__} {self.command} {self.query.get('op')} {self.hdfs_path}")
        self.file = self.folder / self.hdfs_path.lstrip("/")
        try:
            if not parts.path.startswith("/webhdfs/v1/"):
                raise RemoteError(404, "NotFoundException", "no such place")
            if self.hdfs_path.startswith("/locked") and self.query.get("user.name") != SUPERUSER:
                user = self.query.get("user.name")
                raise RemoteError(403, "AccessControlException", f"Permission denied: user={user}, path={self.hdfs_path}\n\tat java")
            getattr(self, f"{self.command}_{self.query.get('op')}")()
        except RemoteError as error:
            self.close_connection = True
            self.answer(error.status, error.body)

    def do_GET(self) -> None:
        self.play()

    def do_PUT(self) -> None:
        self.play()

    def do_DELETE(self) -> None:
        self.play()

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def must_be_there(self) -> None:
        if not self.file.exists():
            raise RemoteError(404, "FileNotFoundException", f"File does not exist: {self.hdfs_path}")

    def log_message(self, *args: object) -> None:
        pass


class NameNode(Node):
    """Knows names; sends whoever wants bytes to ``data``, the base URL of the data node."""

    data: str

    def GET_GETFILESTATUS(self) -> None:
        self.must_be_there()
        self.answer(200, {"FileStatus": status_of(self.file, "")})

    def GET_LISTSTATUS(self) -> None:
        self.must_be_there()
        entries = [status_of(self.file, "")]
        if self.file.is_dir():
            entries = [status_of(child, child.name) for child in sorted(self.file.iterdir())]
        self.answer(200, {"FileStatuses": {"FileStatus": entries}})

    def PUT_MKDIRS(self) -> None:
        if any(path.is_file() for path in (self.file, *self.file.parents)):
            raise RemoteError(403, "ParentNotDirectoryException", f"{self.hdfs_path} (is not a directory)")
        self.file.mkdir(parents=True, exist_ok=True)
        self.answer(200, {"boolean": True})

    def PUT_RENAME(self) -> None:
        new = self.folder / self.query["destination"].lstrip("/")
        if new.is_dir():
            new = new / self.file.name
        done = self.file.exists() and new.parent.is_dir() and not new.exists()
        if done:
            self.file.rename(new)
        self.answer(200, {"boolean": done})

    def DELETE_DELETE(self) -> None:
        there = self.file.exists()
        if self.file.is_dir():
            shutil.rmtree(self.file)
        elif there:
            self.file.unlink()
        self.answer(200, {"boolean": there})

    def GET_OPEN(self) -> None:
        self.must_be_there()
        self._send_on()

    def PUT_CREATE(self) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            raise RemoteError(400, "IllegalArgumentException", "the name node takes no bytes")
        self._send_on()

    def _send_on(self) -> None:
        self.answer(307, Location=f"{self.data}/webhdfs/v1{quote(self.hdfs_path)}?{urlencode(self.query)}&namenoderpcaddress=nn:8020")


class DataNode(Node):
    """Gives and takes bytes."""

    def GET_OPEN(self) -> None:
        self.must_be_there()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(self.file.stat().st_size))
        self.end_headers()
        with self.file.open("rb") as file:
            shutil.copyfileobj(file, self.wfile, CHUNK)

    def PUT_CREATE(self) -> None:
        if self.headers.get("Content-Type") != "application/octet-stream":
            raise RemoteError(400, "IllegalArgumentException", "HttpFS wants bytes to be called bytes")
        if self.file.exists() and self.query.get("overwrite") != "true":
            raise RemoteError(403, "FileAlreadyExistsException", f"{self.hdfs_path} for client 127.0.0.1 already exists")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        left = int(self.headers["Content-Length"])
        with self.file.open("wb") as file:
            while left and (data := self.rfile.read(min(left, CHUNK))):
                file.write(data)
                left -= len(data)
        self.answer(201, Location=f"hdfs://nn:8020{quote(self.hdfs_path)}")


class StandbyNode(Node):
    """A name node that is not the active one."""

    def play(self) -> None:
        message = "Operation category READ is not supported in state standby"
        self.answer(403, RemoteError(403, "StandbyException", message).body)


def status_of(file: Path, suffix: str) -> dict[str, Any]:
    """A ``FileStatus``."""
    kind = {"type": "DIRECTORY", "length": 0} if file.is_dir() else {"type": "FILE", "length": file.stat().st_size}
    return {"pathSuffix": suffix, "owner": SUPERUSER, "group": "supergroup", "permission": "755", "replication": 1, **kind}


@contextmanager
def webhdfs(folder: Path, seen: list[str] | None = None) -> Iterator[str]:
    """A file system in ``folder``; gives the ``host:port`` of its name node. ``seen`` is told of every request."""
    log = [] if seen is None else seen
    with serving(DataNode, folder=folder, seen=log) as data, serving(NameNode, folder=folder, seen=log, data=f"http://{data}") as name:
        yield name
