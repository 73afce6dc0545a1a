"""Sprig: taking URLs apart and putting them together, as Go's ``net/url`` does."""

from __future__ import annotations

import re

from flowcore.errors import ExpressionError
from flowcore.language.expr.quoting import go_quote
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import NIL_POINTER, Map, bounded_text, from_bytes, kind_name, to_bytes

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
_KEPT = {
    "path": "$&+,/:;=@",
    "fragment": "$&+,/:;=?@!()*",
    "host": "!$&'()*+,;=:[]<>\"",
    "zone": "!$&'()*+,;=:[]<>\"",
    "user": "$&+,;=",
}


@sprig("urlParse")
def url_parse(text: str) -> Map:
    bounded_text(len(text))
    try:
        return _parsed(text)
    except _Malformed as fault:
        raise ExpressionError(f"unable to parse url: parse {go_quote(text)}: {fault}") from None


@sprig("urlJoin")
def url_join(parts: Map) -> str:
    found = {name: _member(parts, name) for name in ("scheme", "host", "path", "query", "opaque", "fragment", "userinfo")}
    bounded_text(sum(map(len, found.values())) * 3)
    user = ""
    if found["userinfo"]:
        address = f"proto://{found['userinfo']}@host"
        try:
            user = str(_parsed(address)["userinfo"])
        except _Malformed as fault:
            raise ExpressionError(f"unable to parse userinfo in dict: parse {go_quote(address)}: {fault}") from None
    return _joined(found, user)


def _member(parts: Map, name: str) -> str:
    value = parts.get(name, "")
    if value is None:
        raise ExpressionError(NIL_POINTER)
    if not isinstance(value, str):
        raise ExpressionError(f"unable to parse {name} key, must be of type string, but {kind_name(value)} found")
    return value


def _joined(parts: dict[str, str], user: str) -> str:
    scheme, host, path = parts["scheme"], parts["host"], parts["path"]
    built = f"{scheme}:" if scheme else ""
    if parts["opaque"]:
        built += parts["opaque"]
    else:
        if host or user or (scheme and path.startswith("//")):
            built += "//" + (f"{user}@" if user else "") + _escaped(host, "host")
        escaped = "*" if path == "*" else _escaped(path, "path")
        if escaped and not escaped.startswith("/") and host:
            built += "/"
        if not built and ":" in escaped.partition("/")[0]:
            built += "./"
        built += escaped
    built += f"?{parts['query']}" if parts["query"] else ""
    return built + (f"#{_escaped(parts['fragment'], 'fragment')}" if parts["fragment"] else "")


class _Malformed(Exception):
    """What is wrong with a URL, in Go's words."""


def _parsed(text: str) -> Map:
    if any(character < " " or character == "\x7f" for character in text):
        raise _Malformed("net/url: invalid control character in URL")
    rest, _, raw_fragment = text.partition("#")
    found: Map = dict.fromkeys(("fragment", "host", "hostname", "opaque", "path", "query", "scheme", "userinfo"), "")
    found["fragment"] = _unescaped(raw_fragment, "fragment")
    if rest == "*":
        return {**found, "path": "*"}
    scheme, rest = _split_scheme(rest)
    found["scheme"] = scheme.lower()
    rest, _, found["query"] = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return {**found, "opaque": rest}
        if ":" in rest.partition("/")[0]:
            raise _Malformed("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        found["userinfo"], found["host"] = _authority(authority)
        found["hostname"] = _hostname(str(found["host"]))
        rest = slash + path
    found["path"] = _unescaped(rest, "path")
    return found


def _split_scheme(text: str) -> tuple[str, str]:
    match = _SCHEME.match(text)
    if match is not None:
        return match.group(1), text[match.end() :]
    if text.startswith(":"):
        raise _Malformed("missing protocol scheme")
    return "", text


def _authority(text: str) -> tuple[str, str]:
    user_text, at, host_text = text.rpartition("@")
    host = _host(host_text)
    if not at:
        return "", host
    if not _USER.fullmatch(user_text):
        raise _Malformed("net/url: invalid userinfo")
    name, colon, password = user_text.partition(":")
    user = _escaped(_unescaped(name, "user"), "user")
    return (f"{user}:{_escaped(_unescaped(password, 'user'), 'user')}" if colon else user), host


def _host(text: str) -> str:
    if text.startswith("["):
        closing = text.rfind("]")
        if closing < 0:
            raise _Malformed("missing ']' in host")
        port = text[closing + 1 :]
    else:
        port = text[text.rfind(":") :] if ":" in text else ""
    if port and not re.fullmatch(r":[0-9]*", port):
        raise _Malformed(f"invalid port {go_quote(port)} after host")
    return _unescaped(text, "host")


def _hostname(host: str) -> str:
    name = host[: host.rfind(":")] if re.search(r":[0-9]*\Z", host) and not host.endswith("]") else host
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def _unescaped(text: str, part: str) -> str:
    built: list[bytes] = []
    position = 0
    while position < len(text):
        character = text[position]
        if character != "%":
            if part == "host" and character.isascii() and character not in _UNRESERVED + _KEPT["host"]:
                raise _Malformed(f"invalid character {go_quote(character)} in host name")
            built.append(to_bytes(character))
            position += 1
            continue
        code = text[position + 1 : position + 3]
        if not re.fullmatch("[0-9a-fA-F]{2}", code) or (part == "host" and int(code[0], 16) < 8 and code != "25"):
            raise _Malformed(f"invalid URL escape {go_quote(text[position : position + 3])}")
        built.append(bytes([int(code, 16)]))
        position += 3
    return from_bytes(b"".join(built))


def _escaped(text: str, part: str) -> str:
    kept = (_UNRESERVED + _KEPT[part]).encode()
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in to_bytes(text))
