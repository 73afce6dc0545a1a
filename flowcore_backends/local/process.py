"""The executor's side of the launcher: start it, and hold one ``Container`` for each process group that it minds.

Nothing here belongs to an event loop except what happens inside an ``await``, so one launcher serves runs of several loops.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path

import anyio

from flowcore.errors import ArtifactError, ExecutorError
from flowcore_backends.local.wire import Decoder, Message, encode

_START = "import sys; sys.path.insert(0, sys.argv[2]); from flowcore_backends.local.launcher import main; main(int(sys.argv[1]))"
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_SECONDS_TO_END = 5.0


class Launcher:
    """A running launcher process; it ends with ``close``, with this object and with this process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, str(theirs.fileno()), str(_PACKAGE_ROOT)],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        ours.setblocking(False)
        self._control = ours
        self.close = weakref.finalize(self, _end, ours, self._process)

    @property
    def alive(self) -> bool:
        """Whether containers can be started."""
        return self.close.alive and self._process.poll() is None

    async def start(self, order: Message, stdout: int, stderr: int) -> Container:
        """Have ``order`` (see ``minder``) carried out; ``stdout`` and ``stderr`` are open files. Raises ExecutorError."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        container = Container(ours)
        try:
            with theirs:
                await self._hand_over([theirs.fileno(), stdout, stderr])
            await container.send(order)
        except BaseException:
            container.close()
            raise
        return container

    async def _hand_over(self, files: list[int]) -> None:
        while True:
            try:
                socket.send_fds(self._control, [b"."], files)
                return
            except BlockingIOError:
                await anyio.wait_writable(self._control)
            except OSError as error:
                raise ExecutorError(f"the launcher of local processes is gone: {error}") from error


_shared: Launcher | None = None
_sharing = threading.Lock()


def shared_launcher() -> Launcher:
    """The launcher that all executors of this process use: started when first needed, and again should it have died."""
    global _shared
    with _sharing:
        if _shared is None or not _shared.alive:
            _shared = Launcher()
        return _shared


def _forget_shared() -> None:
    global _shared
    _shared = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_shared)


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container's command ended: ``code`` as shells count; ``refused`` is why it never started, in a container runtime's words."""

    code: int
    refused: str = ""
    out_of_memory: bool = False


class Container:
    """One container as its executor sees it: a conversation with its minder."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._decoder = Decoder()
        self._probes: dict[int, tuple[anyio.Event, list[int]]] = {}
        self._probe_count = 0
        self.exit: Exit | None = None

    def close(self) -> None:
        """End the conversation, and with it all processes of the container."""
        self._decoder.close()
        self._connection.close()

    async def send(self, message: Message) -> None:
        """Send a message to the minder; that it is gone shows when its answer is read."""
        data = memoryview(encode(message))
        while data:
            try:
                data = data[self._connection.send(data) :]
            except BlockingIOError:
                await anyio.wait_writable(self._connection)
            except OSError:
                return

    async def _receive(self) -> tuple[Message, list[int]]:
        while (found := self._decoder.next()) is None:
            try:
                if not self._decoder.receive(self._connection):
                    raise ExecutorError("the process that minds this container is gone")
            except BlockingIOError:
                await anyio.wait_readable(self._connection)
            except OSError as error:
                raise ExecutorError(f"the process that minds this container is gone: {error}") from error
        return found

    async def wait_started(self) -> None:
        """Wait until the command runs or is known not to (``exit`` is set then). Raises ExecutorError when the view could not be made."""
        message, _ = await self._receive()
        if "failed" in message:
            raise ExecutorError(f"the local backend could not set up the container: {message['failed']}")
        if "refused" in message:
            self.exit = Exit(128, refused=str(message["refused"]))

    async def wait(self) -> Exit:
        """Wait for the command's end, serving probes meanwhile."""
        while self.exit is None:
            message, _ = await self._receive()
            if "exited" in message:
                code = message["exited"]
                assert isinstance(code, int)
                self.exit = Exit(code, out_of_memory=bool(message["out_of_memory"]))
            elif "probed" in message:
                self._probed(message)
        for answered, _ in self._probes.values():
            answered.set()
        return self.exit

    def _probed(self, message: Message) -> None:
        number, code = message["probed"], message["code"]
        assert isinstance(number, int) and isinstance(code, int)
        if (waiting := self._probes.pop(number, None)) is not None:
            waiting[1].append(code)
            waiting[0].set()

    async def probe(self, argv: list[str], seconds: float) -> bool:
        """Run ``argv`` beside the command, while somebody awaits ``wait``: whether it ended with 0 within ``seconds``."""
        self._probe_count += 1
        number, answered, codes = self._probe_count, anyio.Event(), list[int]()
        self._probes[number] = (answered, codes)
        await self.send({"probe": number, "argv": argv})
        with anyio.move_on_after(seconds):
            await answered.wait()
        if not codes:
            self._probes.pop(number, None)
            await self.send({"end_probe": number})
        return codes == [0]

    async def signal(self, number: int) -> None:
        """Send a signal to the command and what shares its process group."""
        await self.send({"signal": int(number)})

    async def kill(self) -> None:
        """End all processes of the container at once."""
        await self.signal(signal.SIGKILL)

    async def open(self, path: str) -> int | None:
        """The file or folder ``path`` as the ended command saw it, opened for reading; None if there is none. Raises ArtifactError."""
        await self.send({"open": path})
        while True:
            message, files = await self._receive()
            if "opened" not in message:
                continue
            if files:
                return files[0]
            if message["missing"]:
                return None
            raise ArtifactError(str(message["error"]))
