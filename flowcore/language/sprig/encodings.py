"""Sprig: base64, base32 and checksums. What cannot be decoded gives Go's error text as the result."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib

from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import bounded_text, from_bytes, to_bytes

_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
_BASE32 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_PADDED_BASE32 = re.compile(rb"(?:[A-Z2-7]{8})*(?:[A-Z2-7]{2}={6}|[A-Z2-7]{4}={4}|[A-Z2-7]{5}={3}|[A-Z2-7]{7}=)?")


@sprig("b64enc")
def b64enc(text: str) -> str:
    bounded_text(len(text) * 2)
    return base64.b64encode(to_bytes(text)).decode()


@sprig("b64dec")
def b64dec(text: str) -> str:
    try:
        return from_bytes(decode_base64(text))
    except ValueError as error:
        return str(error)


def decode_base64(text: str) -> bytes:
    """The bytes of padded standard base64 (line breaks are skipped); raises ValueError with Go's text."""
    data = to_bytes(text)
    end = _base64_fault(data)
    if end >= 0:
        raise ValueError(f"illegal base64 data at input byte {end}")
    return base64.b64decode(data)


def _base64_fault(data: bytes) -> int:
    """The position at which Go gives up, or -1."""
    position = 0
    while True:
        position, fault, finished = _base64_group(data, position)
        if fault >= 0 or finished:
            return fault


def _base64_group(data: bytes, position: int) -> tuple[int, int, bool]:
    """Read four characters: the position behind them, the position of a fault or -1, and whether this was the end."""
    read = 0
    while read < 4:
        if position == len(data):
            return position, position - read if read else -1, True
        byte = data[position]
        position += 1
        if byte in _BASE64:
            read += 1
        elif byte == ord("="):
            return position, _padding_fault(data, position, read), True
        elif byte not in b"\r\n":
            return position, position - 1, True
    return position, -1, False


def _padding_fault(data: bytes, position: int, read: int) -> int:
    if read < 2:
        return position - 1
    position = _behind_breaks(data, position)
    if read == 2:
        if position == len(data):
            return position
        if data[position] != ord("="):
            return position - 1
        position = _behind_breaks(data, position + 1)
    return position if position < len(data) else -1


def _behind_breaks(data: bytes, position: int) -> int:
    while position < len(data) and data[position] in b"\r\n":
        position += 1
    return position


@sprig("b32enc")
def b32enc(text: str) -> str:
    bounded_text(len(text) * 2)
    return base64.b32encode(to_bytes(text)).decode()


@sprig("b32dec")
def b32dec(text: str) -> str:
    data = to_bytes(text).replace(b"\r", b"").replace(b"\n", b"")
    if _PADDED_BASE32.fullmatch(data):
        return from_bytes(base64.b32decode(data))
    fault = next((index for index, byte in enumerate(data) if byte not in _BASE32), len(data))
    return f"illegal base32 data at input byte {fault}"


@sprig("sha1sum")
def sha1sum(text: str) -> str:
    return hashlib.sha1(to_bytes(text), usedforsecurity=False).hexdigest()


@sprig("sha256sum")
def sha256sum(text: str) -> str:
    return hashlib.sha256(to_bytes(text)).hexdigest()


@sprig("sha512sum")
def sha512sum(text: str) -> str:
    return hashlib.sha512(to_bytes(text)).hexdigest()


@sprig("adler32sum")
def adler32sum(text: str) -> str:
    return str(zlib.adler32(to_bytes(text)))
