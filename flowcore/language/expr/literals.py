"""What the escapes in string and bytes literals, and the digits of numbers, stand for. Called by ``tokens`` and ``parser``."""

from __future__ import annotations

import re

from flowcore.language.expr.quoting import go_quote


class BadEscape(ValueError):
    """An escape that the lexer let pass but that means nothing."""


class BadNumber(ValueError):
    """Digits that make no number; the text is Go's."""


_ESCAPE = re.compile(
    r"\\(?:u\{(?P<braced>[0-9a-fA-F]{1,6})\}|[xX](?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<octal>[0-3][0-7]{2})|(?P<char>.))",
    re.DOTALL,
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?"}
_LONGEST_NUMBER = 400


def unescape_text(body: str) -> str:
    """A string literal without its quotes; line ends become single newlines."""
    body = body.replace("\r\n", "\n").replace("\r", "\n")
    if "\\" not in body:
        return body
    return _ESCAPE.sub(_character, body)


def _character(match: re.Match[str]) -> str:
    digits = match["braced"] or match["x"] or match["u"] or match["U"]
    if digits is not None:
        code = int(digits, 16)
        if code > 0x10FFFF:
            raise BadEscape("unable to unescape string")
        return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)
    if match["octal"] is not None:
        return chr(int(match["octal"], 8))
    if match["char"] not in _SIMPLE:
        octal = match["char"] in "0123"
        raise BadEscape("unable to unescape octal sequence in string" if octal else "unable to unescape string")
    return _SIMPLE[match["char"]]


def unescape_bytes(body: str) -> bytes:
    """A bytes literal without its quotes: hexadecimal and octal escapes are single bytes, other characters are UTF-8."""
    body = body.replace("\r\n", "\n").replace("\r", "\n")
    parts, position = [], 0
    for match in _ESCAPE.finditer(body):
        parts += [body[position : match.start()].encode("utf-8", "surrogateescape"), _byte(match)]
        position = match.end()
    parts.append(body[position:].encode("utf-8", "surrogateescape"))
    return b"".join(parts)


def _byte(match: re.Match[str]) -> bytes:
    code = (
        int(match["x"], 16) if match["x"] else int(match["octal"], 8) if match["octal"] else ord(_SIMPLE.get(match["char"] or "", "\u0100"))
    )
    if code > 255:
        raise BadEscape("unable to unescape string")
    return bytes([code])


def read_number(text: str) -> int | float:
    """The number that a Number token stands for; raises BadNumber with Go's words."""
    digits = text.replace("_", "")
    lower = digits.lower()
    if lower.startswith("0x"):
        return _read_integer(digits, 16, "hex", r"0[xX][0-9a-fA-F]+")
    if "." in lower or "e" in lower:
        return _read_float(digits)
    if lower.startswith("0b"):
        return _read_integer(digits, 2, "binary", r"0[bB][01]+")
    if lower.startswith("0o"):
        return _read_integer(digits, 8, "octal", r"0[oO][0-7]+")
    return _read_integer(digits, 10, "integer", r"[0-9]+")


def _read_integer(digits: str, base: int, kind: str, shape: str) -> int:
    if len(digits) > _LONGEST_NUMBER or re.fullmatch(shape, digits) is None:
        problem = "value out of range" if re.fullmatch(shape, digits) else "invalid syntax"
        raise BadNumber(f"invalid {kind} literal: strconv.ParseInt: parsing {go_quote(digits)}: {problem}")
    number = int(digits, base)
    if number >= 1 << 63:
        raise BadNumber(f"invalid {kind} literal: strconv.ParseInt: parsing {go_quote(digits)}: value out of range")
    return number


def _read_float(digits: str) -> float:
    if re.fullmatch(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", digits) is None:
        raise BadNumber(f"invalid float literal: strconv.ParseFloat: parsing {go_quote(digits)}: invalid syntax")
    number = float(digits)
    if number == float("inf"):
        raise BadNumber(f"invalid float literal: strconv.ParseFloat: parsing {go_quote(digits)}: value out of range")
    return number
