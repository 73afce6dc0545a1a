"""A private Docker engine for the tests: its own socket, data and processes, shared by the workers of one test run, stopped by the last of them.

No image is pulled: busybox and this machine's Python become the images that tests and examples name.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BUSYBOX_NAMES = ("alpine:latest", "alpine:3.20")
PYTHON_NAMES = ("python:3.12-alpine",)
_SECONDS_TO_START = 60
_LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "dist-packages", "site-packages"}


class NoEngine(Exception):
    """There is none, and why."""


@contextmanager
def shared_engine(folder: Path) -> Iterator[str]:
    """The address of the engine that all workers use whose ``folder`` this is; started by the first, stopped by the last."""
    given = os.environ.get("FLOWCORE_TEST_DOCKER")
    if given:
        yield given
        return
    _count(folder, +1)
    try:
        yield f"unix://{folder}/docker.sock"
    finally:
        _count(folder, -1)


def _count(folder: Path, change: int) -> None:
    """Note one user more or less; start the engine for the first and stop it after the last."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "users").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        users = int(file.read() or "0")
        if users == 0 and change > 0:
            _start(folder)
        if users + change == 0:
            _stop(folder)
        file.truncate(0)
        file.write(str(users + change))


def _start(folder: Path) -> None:
    if shutil.which("dockerd") is None or shutil.which("docker") is None:
        raise NoEngine("there is no dockerd on this machine (Debian: apt-get install docker.io busybox-static iptables)")
    if os.geteuid() != 0:
        raise NoEngine("starting a private dockerd needs root")
    words = f"dockerd --data-root {folder}/data --exec-root {folder}/exec -H unix://{folder}/docker.sock -p {folder}/pid"
    subprocess.run(["sh", "-c", f"{words} >{folder}/log 2>&1 &"], check=True, start_new_session=True)
    _wait_up(folder)
    for name in BUSYBOX_NAMES:
        _import(folder, busybox_image(), name)
    for name in PYTHON_NAMES:
        _import(folder, python_image(), name)


def _wait_up(folder: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while _docker(folder, "version", check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise NoEngine(f"dockerd does not start: {(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.2)


def _stop(folder: Path) -> None:
    pid = int((folder / "pid").read_text())
    os.kill(pid, 15)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    subprocess.run(["rm", "-rf", f"{folder}/data", f"{folder}/exec"], check=False)


def _docker(folder: Path, *words: str, check: bool = True, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    return subprocess.run(
        ["docker", "-H", f"unix://{folder}/docker.sock", *words], check=check, input=given, capture_output=True, env=environment
    )


def _import(folder: Path, tar: bytes, name: str) -> None:
    _docker(folder, "import", "--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin", "-", name, given=tar)


# --- images -------------------------------------------------------------------------------------------------------------------------


class _Root:
    """The root folder of an image, as a tar in the making."""

    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w")
        for name, mode in {"tmp": 0o1777, "etc": 0o755, "root": 0o700, "bin": 0o755, "usr/bin": 0o755}.items():
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            self._tar.addfile(folder)
        self.names: set[str] = set()

    def add(self, source: str, name: str) -> None:
        name = name.lstrip("/")
        if name not in self.names:
            self.names.add(name)
            self._tar.add(os.path.realpath(source), name)

    def link(self, name: str, target: str) -> None:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, target
        self._tar.addfile(member)

    def bytes(self) -> bytes:
        self._tar.close()
        return self._file.getvalue()


def _with_busybox() -> _Root:
    program = shutil.which("busybox")
    if program is None:
        raise NoEngine("there is no busybox on this machine (Debian: apt-get install busybox-static)")
    if b"dynamically linked" in subprocess.run(["ldd", program], capture_output=True, check=False).stdout:
        raise NoEngine("busybox is not a static one (Debian: apt-get install busybox-static)")
    root = _Root()
    root.add(program, "bin/busybox")
    for name in subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            root.link(f"bin/{name}", "busybox")
    return root


def busybox_image() -> bytes:
    """The files of an image with busybox under all its names."""
    return _with_busybox().bytes()


def python_image() -> bytes:
    """The files of an image with busybox and this machine's Python."""
    root = _with_busybox()
    program = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else os.path.realpath(sys.executable)
    asked = "import json, sys, sysconfig; print(json.dumps([sys.executable, sysconfig.get_path('stdlib')]))"
    executable, library = json.loads(subprocess.run([program, "-I", "-c", asked], capture_output=True, check=True).stdout)
    root.add(program, executable)
    root.link("bin/python", executable)
    if executable != "/usr/bin/python3":
        root.link("usr/bin/python3", executable)
    for around, folders, files in os.walk(library):
        folders[:] = [name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")]
        for name in files:
            root.add(os.path.join(around, name), os.path.join(around, name))
    for file in (program, *map(str, Path(library, "lib-dynload").glob("*.so"))):
        for needed in _libraries(file):
            root.add(needed, needed)
    return root.bytes()


def _libraries(file: str) -> list[str]:
    listed = subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
    words = [word for line in listed.splitlines() for word in line.split() if word.startswith("/")]
    return [word for word in words if Path(word).exists()]
