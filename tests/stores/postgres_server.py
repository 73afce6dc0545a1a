"""A PostgreSQL server of our own for the time of the tests, where Debian's package is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def programs() -> Path | None:
    """The folder of the server's programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).parent if there else None


@contextmanager
def server() -> Iterator[str]:
    """Start a server in a folder of its own, and give the URL of its database. It listens on a socket in that folder only."""
    folder = Path(tempfile.mkdtemp(prefix="flowcore-pg-", dir="/tmp"))
    user = _unprivileged(folder)
    binaries = programs()
    assert binaries is not None
    data = folder / "data"
    try:
        _run([binaries / "initdb", "-D", data, "-U", "flowcore", "-A", "trust", "--no-sync"], user)
        _run([binaries / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", f"-k {folder} -c listen_addresses='' -F", "start"], user)
        yield f"postgresql://flowcore@/postgres?host={folder}"
    finally:
        _run([binaries / "pg_ctl", "-D", data, "-m", "immediate", "stop"], user, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> str | None:
    """The server refuses to run as root; Debian's package brings a user for it."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, "postgres", "postgres")
    return "postgres"


def _run(command: list[object], user: str | None, *, check: bool = True) -> None:
    subprocess.run([str(part) for part in command], user=user, cwd="/tmp", capture_output=True, check=check, timeout=60)
