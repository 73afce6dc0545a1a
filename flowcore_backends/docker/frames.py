"""The engine's log stream, in which stdout and stderr come in frames: eight bytes of header, then as many bytes as it says. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

Stream: TypeAlias = Literal["stdout", "stderr"]

_HEADER = 8
_STREAMS: dict[int, Stream] = {0: "stdout", 1: "stdout", 2: "stderr"}


class Frames:
    """Takes a log stream apart as it comes. Nothing is kept but a header that is not complete, so that no frame is too large."""

    def __init__(self, *, framed: bool = True) -> None:
        self._framed, self._header, self._left = framed, b"", 0
        self._stream: Stream = "stdout"

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """The pieces of output in the next bytes of the stream. A container with a terminal has no frames: all is stdout."""
        if not self._framed:
            yield "stdout", data
            return
        while data:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                yield self._stream, piece
                continue
            missing = _HEADER - len(self._header)
            self._header, data = self._header + data[:missing], data[missing:]
            if len(self._header) == _HEADER:
                self._stream = _STREAMS.get(self._header[0], "stderr")
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""
