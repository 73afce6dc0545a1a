"""How an executor and its launcher talk: JSON messages with a length in front, over a Unix socket, with open files attached.

Kept free of other imports, because the launcher starts with as little as it can.
"""

from __future__ import annotations

import array
import json
import os
import socket
from typing import TypeAlias

Message: TypeAlias = "dict[str, object]"

_LENGTH = 4
_MOST_FILES = 4
_LONGEST = 64 << 20
_CHUNK = 65536


def encode(message: Message) -> bytes:
    """The bytes of one message."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(_LENGTH, "big") + body


class Decoder:
    """Puts messages together from the pieces in which they arrive."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._files: list[int] = []

    def receive(self, connection: socket.socket) -> bool:
        """Take in what has arrived; false at the end of the conversation. Raises BlockingIOError when nothing has."""
        data, ancillary, _, _ = connection.recvmsg(_CHUNK, socket.CMSG_SPACE(_MOST_FILES * array.array("i").itemsize))
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                files = array.array("i")
                files.frombytes(content[: len(content) - len(content) % files.itemsize])
                self._files.extend(files)
        self._bytes += data
        return bool(data)

    def next(self) -> tuple[Message, list[int]] | None:
        """The next whole message and the files that came with it (its ``files`` says how many), or None."""
        if len(self._bytes) < _LENGTH:
            return None
        end = _LENGTH + int.from_bytes(self._bytes[:_LENGTH], "big")
        if end > _LONGEST:
            raise ValueError("a message to or from the launcher is too long")
        if len(self._bytes) < end:
            return None
        message: Message = json.loads(self._bytes[_LENGTH:end])
        del self._bytes[:end]
        count = message.get("files", 0)
        assert isinstance(count, int)
        files, self._files = self._files[:count], self._files[count:]
        return message, files

    def close(self) -> None:
        """Close files that nobody asked for."""
        for number in self._files:
            os.close(number)
        self._files.clear()
