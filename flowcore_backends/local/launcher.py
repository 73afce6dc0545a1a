"""The launcher: a small process of ours that starts all others, so that a container costs a fork instead of an interpreter.

``process.Launcher`` starts it with nothing but the standard library. For each container it gets a socket and the ends of two pipes, and forks a
*minder* (``minder.py``), which sets up the container's view of the file system, runs its command and answers to that socket. The launcher ends
when its own socket is closed, that is when the executor closes it or the executor's process is gone.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from flowcore_backends.local import minder, namespaces

_FILES_OF_A_CONTAINER = 3


def main(control_number: int) -> None:
    """Serve until the other end of the socket ``control_number`` is closed."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    with suppress(OSError):
        namespaces.adopt_orphans()
    control = socket.socket(fileno=control_number)
    alarm = minder.ChildAlarm()
    minders: set[int] = set()
    while True:
        ready, _, _ = select.select([control_number, alarm.reader], [], [])
        if alarm.reader in ready:
            alarm.clear()
            _reap(minders)
        if control_number in ready:
            data, files, _, _ = socket.recv_fds(control, 1, _FILES_OF_A_CONTAINER)
            if not data:
                return
            _fork(control, alarm, files, minders)


def _fork(control: socket.socket, alarm: minder.ChildAlarm, files: list[int], minders: set[int]) -> None:
    with suppress(OSError):  # out of processes: closing the files tells the executor
        if len(files) == _FILES_OF_A_CONTAINER:
            child = os.fork()
            if child == 0:
                _become_minder(control, alarm, files)
            minders.add(child)
    for number in files:
        os.close(number)


def _become_minder(control: socket.socket, alarm: minder.ChildAlarm, files: list[int]) -> NoReturn:
    try:
        control.close()
        alarm.close()
        minder.mind(socket.socket(fileno=files[0]), files[1], files[2])
    finally:
        os._exit(0)


def _reap(minders: set[int]) -> None:
    """Collect what ended; when a minder was killed, end what it minded (with namespaces, the kernel has done so already)."""
    killed = False
    for child, status in minder.ended_children().items():
        killed |= child in minders and os.WIFSIGNALED(status)
        minders.discard(child)
    if killed:
        ours = _command_line(os.getpid())
        for child in minder.children_of(os.getpid()):
            if child not in minders and _command_line(child) != ours:
                with suppress(OSError):
                    os.kill(child, signal.SIGKILL)


def _command_line(process: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes()
    return b""
