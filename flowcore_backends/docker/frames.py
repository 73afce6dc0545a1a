"""The engine's log stream, in which stdout and stderr come in frames: eight bytes of header, then as many bytes as it says. Pure."""

from __future__ import annotations

from typing import Literal, TypeAlias

Stream: TypeAlias = Literal["stdout", "stderr"]

_HEADER = 8
_STREAMS: dict[int, Stream] = {0: "stdout", 1: "stdout", 2: "stderr"}


class Frames:
    """Takes a log stream apart as it comes. Nothing is kept but a header that is not complete, so that no frame is too large."""

    def __init__(self, *, framed: bool = True) -> None:
        self._framed, self._header, self._left = framed, b"", 0
        self._stream: Stream = "stdout"

    def feed(self, data: bytes) -> list[tuple[Stream, bytes]]:
        """The output in the next bytes of the stream, neighbouring frames of one stream together: the engine makes a frame of every line.

        A container with a terminal has no frames: all is stdout.
        """
        if not self._framed:
            return [("stdout", data)]
        pieces: list[tuple[Stream, list[bytes]]] = []
        at, end = 0, len(data)
        while at < end:
            if self._left:
                stop = min(end, at + self._left)
                if not pieces or pieces[-1][0] != self._stream:
                    pieces.append((self._stream, []))
                pieces[-1][1].append(data[at:stop])
                self._left -= stop - at
                at = stop
                continue
            stop = min(end, at + _HEADER - len(self._header))
            self._header += data[at:stop]
            at = stop
            if len(self._header) == _HEADER:
                self._stream = _STREAMS.get(self._header[0], "stderr")
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""
        return [(stream, b"".join(parts)) for stream, parts in pieces]
