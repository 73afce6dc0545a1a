"""Reads the members of a tar stream that nobody vouches for: ustar, pax and GNU long names, each part bounded before it is read.

Used by ``archive.py``. The standard library's reader is not used for reading: it takes header parts into memory whatever their size, and decides
about links itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from flowcore.errors import ArtifactError, UnsafeArchive

BLOCK = 512
_LONGEST_HEADER = 1 << 20
_LARGEST_SIZE = 1 << 60
_TEXT_ERRORS = "surrogateescape"

MemberKind: TypeAlias = Literal["file", "folder", "symlink", "hardlink"]
_KINDS: dict[bytes, MemberKind] = {b"0": "file", b"\0": "file", b"7": "file", b"1": "hardlink", b"2": "symlink", b"5": "folder"}
_REFUSED = {b"3": "a character device", b"4": "a block device", b"6": "a named pipe", b"S": "a sparse file"}


class Source(Protocol):
    """Something bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, and none only at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive; ``target`` is what a link points to."""

    name: str
    kind: MemberKind
    size: int = 0
    mode: int = 0o644
    modified: int = 0
    target: str = ""


class TarReader:
    """Iterates over the members; the content of the last one can be read with ``read`` until the next is asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = 0  # of the current member's content
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        extra: dict[str, str] = {}
        while (header := self._header()) is not None:
            flag, size = header[156:157], _number(header[124:136])
            if flag in (b"x", b"g", b"L", b"K"):
                extra |= self._extra(flag, size)
                continue
            yield self._member(header, flag, size, extra)
            extra = {}
            self._skip()

    def read(self, size: int, /) -> bytes:
        """The next bytes of the current member's content; none at its end."""
        data = self._source.read(min(size, self._left))
        if self._left and not data:
            raise ArtifactError("the archive ends in the middle of a file")
        self._left -= len(data)
        return data

    def _header(self) -> bytes | None:
        header = self._exactly(BLOCK, may_end=True)
        if not header.strip(b"\0"):
            return None
        stored = _number(header[148:156])
        plain = header[:148] + b" " * 8 + header[156:]
        signed = sum(byte - 256 if byte > 127 else byte for byte in plain)
        if stored not in (sum(plain), signed):
            raise ArtifactError("this is no tar archive, or a damaged one")
        return header

    def _exactly(self, size: int, *, may_end: bool = False) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._source.read(size - len(data))
            if not piece:
                if may_end and not data:
                    return b""
                raise ArtifactError("the archive ends too early")
            data += piece
        return data

    def _extra(self, flag: bytes, size: int) -> dict[str, str]:
        if size > _LONGEST_HEADER:
            raise UnsafeArchive(f"the archive has a header of {size} bytes; at most {_LONGEST_HEADER} are read")
        data = self._exactly(size)
        self._exactly(-size % BLOCK)
        if flag == b"g":
            return {}
        if flag == b"x":
            return _pax_records(data)
        return {"path" if flag == b"L" else "linkpath": data.split(b"\0", 1)[0].decode("utf-8", _TEXT_ERRORS)}

    def _member(self, header: bytes, flag: bytes, size: int, extra: dict[str, str]) -> Member:
        name = extra.get("path") or _name(header)
        if flag in _REFUSED or any(key.startswith("GNU.sparse") for key in extra):
            raise UnsafeArchive(f"{name!r} is {_REFUSED.get(flag, 'a sparse file')}; only files, folders and links are unpacked")
        kind = _KINDS.get(flag)
        if kind is None:
            raise UnsafeArchive(f"{name!r} is of the unknown type {flag!r}")
        if kind == "file" and name.endswith("/"):
            kind = "folder"
        if "size" in extra:
            size = _decimal(extra["size"])
        content = size if flag in (b"0", b"\0", b"7") else 0
        self._left, self._padding = content, -content % BLOCK
        target = extra.get("linkpath") or _text(header[157:257])
        return Member(name, kind, content, _number(header[100:108]) & 0o777, _number(header[136:148]), target)

    def _skip(self) -> None:
        while self._left:
            self.read(min(self._left, 1 << 16))
        self._exactly(self._padding)
        self._padding = 0


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", _TEXT_ERRORS)


def _name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _number(field: bytes) -> int:
    if field[:1] >= b"\x80":
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] == 0xFF or value > _LARGEST_SIZE:
            raise ArtifactError("the archive has a number that makes no sense")
        return value
    digits = field.split(b"\0", 1)[0].strip()
    if any(digit not in b"01234567" for digit in digits):
        raise ArtifactError("this is no tar archive, or a damaged one")
    return int(digits or b"0", 8)


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise ArtifactError("the archive has a size that makes no sense")
    return int(text)


def _pax_records(data: bytes) -> dict[str, str]:
    """The records ``LENGTH KEY=VALUE`` of a pax header that we need."""
    records: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if (
            not length.isdigit()
            or len(length) > 7
            or not len(length) + 3 <= int(length) <= len(data)
            or data[int(length) - 1 : int(length)] != b"\n"
        ):
            raise ArtifactError("the archive has a damaged extended header")
        key, _, value = data[len(length) + 1 : int(length) - 1].partition(b"=")
        name = key.decode("utf-8", _TEXT_ERRORS)
        if name in ("path", "linkpath", "size") or name.startswith("GNU.sparse"):
            records[name] = value.decode("utf-8", _TEXT_ERRORS)
        data = data[int(length) :]
    return records
