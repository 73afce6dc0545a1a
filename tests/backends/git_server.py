"""Git servers for tests, on loopback: a real ``git daemon``, and git's own HTTP backend behind basic authentication."""

from __future__ import annotations

import base64
import gzip
import os
import socketserver
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

from tests.serving import serving

ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
_AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false")


def git(folder: Path, *words: str) -> str:
    """Run git in ``folder``; what it prints."""
    options = (*_AUTHOR, "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *options, *words], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, name: str, content: str) -> str:
    """A commit that writes one file; its hash."""
    (folder / name).write_text(content)
    git(folder, "add", name)
    git(folder, "commit", "--quiet", "-m", f"{name}: {content}")
    return git(folder, "rev-parse", "HEAD")


class DaemonHandler(socketserver.BaseRequestHandler):
    """Hands each connection to a ``git daemon`` of its own."""

    folder: ClassVar[Path]

    def handle(self) -> None:
        command = ["git", "daemon", "--inetd", "--export-all", f"--base-path={self.folder}", "--informative-errors", str(self.folder)]
        connection = self.request.fileno()
        subprocess.run(command, stdin=connection, stdout=connection, stderr=subprocess.DEVNULL, env=ENVIRONMENT, check=False)


class Daemons(socketserver.ThreadingTCPServer):
    """The listener before the daemons."""

    allow_reuse_address = True


class HttpHandler(BaseHTTPRequestHandler):
    """Git's CGI program ``http-backend`` for whoever is ``ann`` with the password ``pw``."""

    folder: ClassVar[Path]

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.headers.get("Authorization") != "Basic " + base64.b64encode(b"ann:pw").decode():
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        request = {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env={**ENVIRONMENT, **request}, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    """The URL of a git daemon."""
    with serving(DaemonHandler, Daemons, folder=folder) as address:
        yield f"git://{address}"


@contextmanager
def over_http(folder: Path) -> Iterator[str]:
    """The URL of a server that speaks git's protocol over HTTP."""
    with serving(HttpHandler, folder=folder) as address:
        yield f"http://{address}"
