"""The minder of one container: sets up its view, starts its command, passes signals on, runs probes, hands out files, leaves nothing behind.

Runs in a fork of the launcher. With namespaces it is process 1 of its own process ids, so the kernel ends all that is left when it goes;
without, it adopts orphans and ends them itself. All it knows comes as messages (``wire.py``) from ``process.Container``:

=============  =======================================================================================================
first message  ``argv env cwd isolate user root view memory limits``: what to run and where
``signal``     send this signal to the command's process group; KILL also ends all other processes of the container
``probe``      run ``argv`` beside the command; answered by ``probed`` with its exit code
``end_probe``  kill the probe with that number
``open``       open ``path`` as the command saw it; answered by ``opened`` with the file, or an error
=============  =======================================================================================================

It says ``started``, ``refused`` (the command could not be started: text as of a container runtime), ``failed`` (we could not), ``exited``.
The end of the conversation ends the container.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import cast

from flowcore_backends.local import memory, namespaces, view
from flowcore_backends.local.starting import start
from flowcore_backends.local.wire import Decoder, Message, encode

_SECONDS_FOR_STRAYS = 2.0
_MEMORY_LOOK_SECONDS = 0.05
_SIGNAL_BASE = 128


class ChildAlarm:
    """A file that becomes readable when a child of this process ends."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self._writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def clear(self) -> None:
        """Take note of all that ended so far."""
        with suppress(BlockingIOError):
            os.read(self.reader, 65536)

    def close(self) -> None:
        """Forget about children."""
        signal.set_wakeup_fd(-1)
        os.close(self.reader)
        os.close(self._writer)


def ended_children() -> dict[int, int]:
    """The children that ended and were not collected yet: wait status by process id."""
    ended = {}
    with suppress(ChildProcessError):
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                break
            ended[child] = status
    return ended


def children_of(process: int) -> list[int]:
    """The children of a process, as far as the machine tells."""
    try:
        return [int(text) for text in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def mind(connection: socket.socket, stdout: int, stderr: int) -> None:
    """Run one container from its first message to the end of the conversation."""
    try:
        decoder = Decoder()
        order = _first_message(connection, decoder)
        if order is None:
            return
        if order["isolate"]:
            namespaces.separate(user=bool(order["user"]))
            if os.fork():
                return
            view.enter(str(order["root"]), cast("list[list[str]]", order["view"]))
        elif namespaces.available:
            namespaces.adopt_orphans()
    except Exception as error:  # noqa: BLE001 - whatever it was, the executor must hear of it
        _say(connection, {"failed": f"{type(error).__name__}: {error}"})
        return
    _Minder(connection, decoder, order).run(stdout, stderr)


def _first_message(connection: socket.socket, decoder: Decoder) -> Message | None:
    while decoder.receive(connection):
        if (found := decoder.next()) is not None:
            return found[0]
    return None


def _say(connection: socket.socket, message: Message, files: list[int] | None = None) -> None:
    with suppress(OSError):
        if files:
            message["files"] = len(files)
            data = encode(message)
            socket.send_fds(connection, [data], files)
        else:
            connection.sendall(encode(message))


class _Minder:
    def __init__(self, connection: socket.socket, decoder: Decoder, order: Message) -> None:
        self.connection, self.decoder, self.order = connection, decoder, order
        self.isolated = bool(order["isolate"])
        self.command: int | None = None
        self.probes: dict[int, object] = {}  # process id -> number given by the executor
        self.memory = cast("int | None", order.get("memory"))
        self.out_of_memory = False

    def run(self, stdout: int, stderr: int) -> None:
        if not self.order["argv"]:  # a trial of the view alone
            _say(self.connection, {"started": 0})
            return
        alarm = ChildAlarm()
        self.command, problem = start(self.order, stdout, stderr)
        os.close(stdout)
        os.close(stderr)
        if problem:
            _say(self.connection, {"refused": problem})
            return
        _say(self.connection, {"started": self.command})
        self._obey_waiting()  # what came together with the order
        while self._serve(alarm):
            pass
        self._end_all()

    def _serve(self, alarm: ChildAlarm) -> bool:
        watching = self.memory is not None and self.command is not None
        ready = _readable([self.connection.fileno(), alarm.reader], _MEMORY_LOOK_SECONDS if watching else None)
        if alarm.reader in ready:
            alarm.clear()
            self._collect(ended_children())
        if watching and self.command is not None and memory.used_by(self._processes()) > (self.memory or 0):
            self.out_of_memory = True
            self._signal(signal.SIGKILL)
        if self.connection.fileno() in ready:
            return self._listen()
        return True

    def _listen(self) -> bool:
        if not self.decoder.receive(self.connection):
            return False
        self._obey_waiting()
        return True

    def _obey_waiting(self) -> None:
        while (found := self.decoder.next()) is not None:
            self._obey(found[0])

    def _obey(self, message: Message) -> None:
        if "signal" in message:
            self._signal(cast("int", message["signal"]))
        elif "open" in message:
            self._open(str(message["open"]))
        elif "probe" in message:
            self._probe(message)
        elif "end_probe" in message:
            for process, number in self.probes.items():
                if number == message["end_probe"]:
                    _kill_group(process, signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.command is None:
            return
        _kill_group(self.command, number)
        if number == signal.SIGKILL:
            self._kill_others()

    def _collect(self, ended: dict[int, int]) -> None:
        for process in ended.keys() & self.probes.keys():
            _say(self.connection, {"probed": self.probes.pop(process), "code": exit_code(ended[process])})
        if self.command not in ended:
            return
        status = ended[self.command]
        _kill_group(self.command, signal.SIGKILL)
        self.command = None
        self._end_all()
        _say(self.connection, {"exited": exit_code(status), "signalled": os.WIFSIGNALED(status), "out_of_memory": self.out_of_memory})

    def _end_all(self) -> None:
        """End every process of the container but this one, and wait for that within bounds."""
        deadline = time.monotonic() + _SECONDS_FOR_STRAYS
        if self.command is not None:
            _kill_group(self.command, signal.SIGKILL)
        while time.monotonic() < deadline:
            self._kill_others()
            with suppress(ChildProcessError):
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.001)
                continue
            return

    def _kill_others(self) -> None:
        with suppress(OSError):
            if self.isolated:
                os.kill(-1, signal.SIGKILL)  # all of this process namespace but process 1, which this is
                return
        if not self.isolated:
            for process in self._processes():
                with suppress(OSError):
                    os.kill(process, signal.SIGKILL)

    def _processes(self) -> list[int]:
        """All processes of the container but this one."""
        if self.isolated:
            return [int(name) for name in os.listdir("/proc") if name.isdecimal() and name != "1"]  # noqa: PTH208 - no Path per process
        found: list[int] = []
        waiting = children_of(os.getpid())
        while waiting:
            process = waiting.pop()
            found.append(process)
            waiting += children_of(process)
        return found

    def _probe(self, message: Message) -> None:
        null = os.open(os.devnull, os.O_WRONLY)
        process, problem = start({**self.order, "argv": message["argv"]}, null, null)
        os.close(null)
        if process is None or problem:
            _say(self.connection, {"probed": message["probe"], "code": _SIGNAL_BASE})
        else:
            self.probes[process] = message["probe"]

    def _open(self, path: str) -> None:
        try:
            number = os.open(Path(str(self.order["cwd"]), path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            _say(
                self.connection, {"opened": path, "missing": isinstance(error, FileNotFoundError | NotADirectoryError), "error": str(error)}
            )
            return
        kind = os.fstat(number).st_mode
        if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
            _say(self.connection, {"opened": path}, [number])
        else:
            _say(self.connection, {"opened": path, "missing": False, "error": f"{path} is not a regular file or directory"})
        os.close(number)


def _readable(files: list[int], seconds: float | None) -> list[int]:
    return select.select(files, [], [], seconds)[0]


def _kill_group(leader: int, number: int) -> None:
    with suppress(OSError):
        os.killpg(leader, number)


def exit_code(status: int) -> int:
    """The exit code of a wait status as shells and container runtimes count: 128 and the signal's number for a killed process."""
    return _SIGNAL_BASE + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
