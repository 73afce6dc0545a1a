"""Sprig: passwords and encryption. bcrypt and AES need the packages of the extra ``crypto``; without them the functions say so."""

from __future__ import annotations

import base64
import hashlib
import hmac
from importlib import import_module
from types import ModuleType
from typing import TypeAlias

from flowcore.errors import ExpressionError
from flowcore.language.sources import chance
from flowcore.language.sprig.encodings import decode_base64
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import bounded_text, from_bytes, to_bytes

Uint32: TypeAlias = int
HashAlgorithm: TypeAlias = str

_BLOCK = 16
_CONSONANTS, _VOWELS, _DIGITS = "BCDFGHJKLMNPQRSTVWXYZ", "AEIOU", "0123456789"
_LETTERS = _VOWELS + _VOWELS.lower() + _CONSONANTS + _CONSONANTS.lower()
_CHARACTERS = {
    "V": _VOWELS,
    "C": _CONSONANTS,
    "v": _VOWELS.lower(),
    "c": _CONSONANTS.lower(),
    "A": _VOWELS + _CONSONANTS,
    "a": _LETTERS,
    "n": _DIGITS,
    "o": "@&%?,=[]_:-+*$#!'^~;()/.",
    "x": _LETTERS + _DIGITS + "!@#$%^&*()",
}
_PASSWORD_FORMS: dict[str, tuple[str, ...]] = {
    "maximum": ("anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"),
    "long": (
        "CvcvnoCvcvCvcv",
        "CvcvCvcvnoCvcv",
        "CvcvCvcvCvcvno",
        "CvccnoCvcvCvcv",
        "CvccCvcvnoCvcv",
        "CvccCvcvCvcvno",
        "CvcvnoCvccCvcv",
        "CvcvCvccnoCvcv",
        "CvcvCvccCvcvno",
        "CvcvnoCvcvCvcc",
        "CvcvCvcvnoCvcc",
        "CvcvCvcvCvccno",
        "CvccnoCvccCvcv",
        "CvccCvccnoCvcv",
        "CvccCvccCvcvno",
        "CvcvnoCvccCvcc",
        "CvcvCvccnoCvcc",
        "CvcvCvccCvccno",
        "CvccnoCvcvCvcc",
        "CvccCvcvnoCvcc",
        "CvccCvcvCvccno",
    ),
    "medium": ("CvcnoCvc", "CvcCvcno"),
    "short": ("Cvcn",),
    "basic": ("aaanaaan", "aannaaan", "aaannaaa"),
    "pin": ("nnnn",),
}
_SEED = b"com.lyndir.masterpassword"


def optional_package(name: str, function: str) -> ModuleType:
    """A module of the extra ``crypto``; raises ExpressionError naming the function and the extra when it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise ExpressionError(f"sprig.{function} needs the package {package}: install flowcore[crypto]") from None


@sprig("bcrypt")
def bcrypt(password: str) -> str:
    return _bcrypt_hash(password)


def _bcrypt_hash(password: str) -> str:
    library = optional_package("bcrypt", "bcrypt")
    data = to_bytes(password)
    if len(data) > 72:
        return "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes"
    hashed: bytes = library.hashpw(data, library.gensalt(10, b"2a"))
    return hashed.decode()


@sprig("htpasswd")
def htpasswd(user: str, password: str, algorithm: HashAlgorithm) -> str:
    """A line of a password file. Go's reflection never turns a text into the algorithm's type, so it can only be left out (nil)."""
    if ":" in user:
        return f"invalid username: {user}"
    if algorithm == "sha":
        digest = hashlib.sha1(to_bytes(password), usedforsecurity=False).digest()
        return f"{user}:{{SHA}}{base64.b64encode(digest).decode()}"
    return f"{user}:{_bcrypt_hash(password)}"


@sprig("derivePassword")
def derive_password(counter: Uint32, form: str, password: str, user: str, site: str) -> str:
    """The password that a master password gives for a site. Go's reflection never turns an int into the counter's type: only nil fits."""
    forms = _PASSWORD_FORMS.get(form)
    if forms is None:
        return f"cannot find password template {form}"
    bounded_text(len(password) + len(user) + len(site))
    salt = _SEED + _measured(user)
    key = hashlib.scrypt(to_bytes(password), salt=salt, n=32768, r=8, p=2, maxmem=128 * 1024 * 1024, dklen=64)
    seed = hmac.new(key, _SEED + _measured(site) + counter.to_bytes(4, "big"), hashlib.sha256).digest()
    letters = forms[seed[0] % len(forms)]
    return "".join(_CHARACTERS[letter][byte % len(_CHARACTERS[letter])] for letter, byte in zip(letters, seed[1:], strict=False))


def _measured(text: str) -> bytes:
    """A text behind its length."""
    data = to_bytes(text)
    return len(data).to_bytes(4, "big") + data


# -- AES in CBC mode, the key being the password's first 32 bytes -----------------------------------------------------------------


@sprig("encryptAES")
def encrypt_aes(password: str, text: str) -> str:
    if not text:
        return ""
    bounded_text(len(text) * 2)
    data = to_bytes(text)
    padding = _BLOCK - len(data) % _BLOCK
    start = chance().randbytes(_BLOCK)
    return base64.b64encode(start + _aes(password, start, data + bytes([padding]) * padding, "encryptAES")).decode()


@sprig("decryptAES")
def decrypt_aes(password: str, text: str) -> str:
    if not text:
        return ""
    try:
        data = decode_base64(text)
    except ValueError as error:
        raise ExpressionError(str(error)) from None
    if len(data) < 2 * _BLOCK or len(data) % _BLOCK:
        raise ExpressionError("crypto/cipher: input not full blocks")
    plain = _aes(password, data[:_BLOCK], data[_BLOCK:], "decryptAES")
    if plain[-1] > len(plain):
        raise ExpressionError("runtime error: slice bounds out of range")
    return from_bytes(plain[: len(plain) - plain[-1]])


def _aes(password: str, start: bytes, data: bytes, function: str) -> bytes:
    ciphers = optional_package("cryptography.hazmat.primitives.ciphers", function)
    modes = optional_package("cryptography.hazmat.primitives.ciphers.modes", function)
    algorithms = optional_package("cryptography.hazmat.primitives.ciphers.algorithms", function)
    cipher = ciphers.Cipher(algorithms.AES(to_bytes(password)[:32].ljust(32, b"\0")), modes.CBC(start))
    work = cipher.encryptor() if function == "encryptAES" else cipher.decryptor()
    made: bytes = work.update(data) + work.finalize()
    return made
