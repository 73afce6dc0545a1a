"""Sprig: random texts, bytes and ids."""

from __future__ import annotations

import base64
import string
import uuid

from flowcore.errors import ExpressionError
from flowcore.language.sources import chance
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import bounded_text


def _random_text(count: int, characters: str) -> str:
    if count <= 0:
        return ""
    bounded_text(count * 10)
    return "".join(chance().choices(characters, k=count))


@sprig("randAlphaNum")
def rand_alpha_num(count: int) -> str:
    return _random_text(count, string.ascii_letters + string.digits)


@sprig("randAlpha")
def rand_alpha(count: int) -> str:
    return _random_text(count, string.ascii_letters)


@sprig("randNumeric")
def rand_numeric(count: int) -> str:
    return _random_text(count, string.digits)


@sprig("randAscii")
def rand_ascii(count: int) -> str:
    return _random_text(count, "".join(map(chr, range(32, 127))))


@sprig("randBytes")
def rand_bytes(count: int) -> str:
    if count < 0:
        raise ExpressionError("runtime error: makeslice: len out of range")
    bounded_text(count * 2)
    return base64.b64encode(chance().randbytes(count)).decode()


@sprig("shuffle")
def shuffle(text: str) -> str:
    return "".join(chance().sample(text, len(text)))


@sprig("uuidv4")
def uuidv4() -> str:
    return str(uuid.UUID(int=chance().getrandbits(128), version=4))
