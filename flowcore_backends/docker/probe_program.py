"""A program of some two hundred bytes that asks one probe from inside a pod's network: connect, perhaps ask, end with 0 or 1.

For engines whose containers this machine cannot reach. Like ``pause.py`` it is made on the spot, so no image has to hold a client; address, port and
request are written into it. Pure; used by ``probing.py``.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from flowcore.errors import ExecutorError

_BASE, _HEADERS = 0x400000, 64 + 56
_X86_64, _AARCH64 = 62, 183
_ENOUGH = 10  # bytes of a status line up to the first digit of its status
_WAIT_ALL = 0x100


def program(architecture: str, address: str, port: int, request: bytes = b"") -> bytes:
    """The program. Without a request a connection is enough; else the answer's status must begin with 2 or 3. Raises ExecutorError."""
    made = _MAKERS.get(architecture)
    if made is None:
        raise ExecutorError(
            f"probes over the network cannot be asked on {architecture}, whose containers are out of reach; use exec probes"
        )
    machine, code_of = made
    code = code_of(struct.pack("<H", socket.AF_INET) + struct.pack(">H", port) + socket.inet_aton(address) + bytes(8), request)
    size = _HEADERS + len(code)
    header = struct.pack("<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def _x86_64(address: bytes, request: bytes) -> bytes:
    """socket, connect, write, recvfrom, exit."""
    connect_to = (
        b"\xb8\x29\0\0\0\xbf\x02\0\0\0\xbe\x01\0\0\0\x31\xd2\x0f\x05"  # eax = socket(AF_INET, SOCK_STREAM, 0)
        b"\x89\xc5\x89\xef\x48\x8d\x35ADDR\xba\x10\0\0\0\xb8\x2a\0\0\0\x0f\x05"  # eax = connect(ebp = it, ADDR, 16)
        b"\x85\xc0\x75F"  # if that failed: fail
    )
    ask = (
        (
            b"\x89\xef\x48\x8d\x35TEXT\xba" + struct.pack("<I", len(request)) + b"\xb8\x01\0\0\0\x0f\x05"  # write(ebp, TEXT, length)
            b"\x89\xef\x48\x83\xec\x20\x48\x89\xe6\xba" + struct.pack("<I", _ENOUGH) + b"\x41\xba" + struct.pack("<I", _WAIT_ALL)
        )
        + (
            b"\x45\x31\xc0\x45\x31\xc9\xb8\x2d\0\0\0\x0f\x05"  # eax = recvfrom(ebp, rsp, 10, MSG_WAITALL, 0, 0)
            b"\x83\xf8\x0a\x75F\x8a\x44\x24\x09\x3c\x32\x72F\x3c\x33\x77F"  # fail unless there are ten, the last of them 2 or 3
        )
    )
    end = b"\x31\xff\xeb\x05" + b"\xbf\x01\0\0\0" + b"\xb8\x3c\0\0\0\x0f\x05"  # exit(0), with fail: exit(1)
    code = bytearray(connect_to + (ask if request else b"") + end)
    fail = len(code) - len(end) + 4
    for jump in (b"\x75F", b"\x72F", b"\x77F"):
        while (at := code.find(jump)) >= 0:
            code[at + 1] = fail - (at + 2)
    for name, place in ((b"ADDR", len(code)), (b"TEXT", len(code) + len(address))):
        if (at := code.find(name)) >= 0:
            code[at : at + 4] = struct.pack("<i", place - (at + 4))
    return bytes(code) + address + request


def _aarch64(address: bytes, request: bytes) -> bytes:
    """The same; labels become distances in words once all instructions are known."""
    words: list[int | tuple[str, str]] = [
        *_set(0, 2), *_set(1, 1), *_set(2, 0), *_call(198),  # socket
        0xAA0003F3, ("adr1", "address"), *_set(2, 16), *_call(203),  # x19 = it; connect
        ("cbnz0", "fail"),
    ]  # fmt: skip
    if request:
        words += [0xAA1303E0, ("adr1", "request"), *_set(2, len(request)), *_call(64)]  # write
        words += [
            0xAA1303E0,
            0xD10083FF,
            0x910003E1,
            *_set(2, _ENOUGH),
            *_set(3, _WAIT_ALL),
            *_set(4, 0),
            *_set(5, 0),
            *_call(207),
        ]  # recvfrom
        words += [0xF100281F, ("bne", "fail"), 0x394027E0, 0x5100C800, 0x7100041F, ("bhi", "fail")]  # ten bytes, the last of them 2 or 3
    words += [*_set(0, 0), ("b", "exit")]
    labels = {"fail": len(words)}
    words += [*_set(0, 1)]
    labels["exit"] = len(words)
    words += _call(93)
    labels |= {"address": len(words), "request": len(words) + len(address) // 4}
    made = [_placed(word, place, labels) for place, word in enumerate(words)]
    return struct.pack(f"<{len(made)}I", *made) + address + request


def _set(register: int, value: int) -> list[int]:
    return [0xD2800000 | value << 5 | register]


def _call(number: int) -> list[int]:
    return [*_set(8, number), 0xD4000001]


def _placed(word: int | tuple[str, str], place: int, labels: dict[str, int]) -> int:
    if isinstance(word, int):
        return word
    distance = labels[word[1]] - place  # in words
    match word[0]:
        case "adr1":
            return 0x10000001 | (distance & 0x7FFFF) << 5
        case "cbnz0":
            return 0xB5000000 | (distance & 0x7FFFF) << 5
        case "bne":
            return 0x54000001 | (distance & 0x7FFFF) << 5
        case "bhi":
            return 0x54000008 | (distance & 0x7FFFF) << 5
        case _:
            return 0x14000000 | (distance & 0x3FFFFFF)


_MAKERS: dict[str, tuple[int, Callable[[bytes, bytes], bytes]]] = {
    "x86_64": (_X86_64, _x86_64),
    "amd64": (_X86_64, _x86_64),
    "aarch64": (_AARCH64, _aarch64),
    "arm64": (_AARCH64, _aarch64),
}

__all__ = ["program"]
