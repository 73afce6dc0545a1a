"""What containers print: reported by whole lines, the end of it kept as the result. Used by backends that read output as it comes."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from flowcore.nodes import NodeId
from flowcore.ports import Logged

LONGEST_LINE = 64 << 10  # characters; a longer line is reported in pieces
LONGEST_RESULT = 256 << 10  # bytes


class LineReporter:
    """Reports one stream of one container, whole lines at a time."""

    def __init__(self, node: NodeId, container: str, stream: Literal["stdout", "stderr"], report: Callable[[Logged], None]) -> None:
        self._node, self._container, self._stream, self._report = node, container, stream, report
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""  # of a line whose end has not come

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        text = self._begun + self._decoder.decode(data)
        whole, newline, self._begun = text.rpartition("\n")
        if newline:
            self._say(whole)
        while len(self._begun) > LONGEST_LINE:
            self._say(self._begun[:LONGEST_LINE])
            self._begun = self._begun[LONGEST_LINE:]

    def end(self) -> None:
        """The stream has ended: report a last line that has no end."""
        self._begun += self._decoder.decode(b"", final=True)
        if self._begun:
            self._say(self._begun)
            self._begun = ""

    def _say(self, text: str) -> None:
        self._report(Logged(self._node, self._container, self._stream, text, datetime.now(UTC)))


class Tail:
    """The last ``LONGEST_RESULT`` bytes of a stream."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._bytes += data
        if len(self._bytes) > 2 * LONGEST_RESULT:
            del self._bytes[:-LONGEST_RESULT]

    @property
    def text(self) -> str:
        """What is kept, without one line end."""
        return bytes(self._bytes[-LONGEST_RESULT:]).decode("utf-8", "replace").removesuffix("\n")
