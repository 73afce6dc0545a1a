"""jq: the formats behind ``@``. Part of ``natives``."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from urllib.parse import quote_from_bytes, unquote_to_bytes

from flowcore.jsontypes import Json
from flowcore.language.jq.encoding import encode
from flowcore.language.jq.failures import JqFailure, not_applicable, not_applicable_because, shown
from flowcore.language.jq.values import bounded_text, to_text

_HTML = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&apos;", '"': "&quot;"})
_CSV = str.maketrans({'"': '""', "\0": "\\0"})
_TSV = str.maketrans({"\t": "\\t", "\r": "\\r", "\n": "\\n", "\\": "\\\\", "\0": "\\0"})
_SH = str.maketrans({"'": "'\\''", "\0": "\\0"})


def _html(value: Json) -> Json:
    return bounded_text(to_text(value).translate(_HTML))


def _uri(value: Json) -> Json:
    return bounded_text(quote_from_bytes(to_text(value).encode("utf-8", "replace"), safe="-_.~"))


def _from_uri(value: Json) -> Json:
    text = to_text(value)
    fault = re.search(r"%(?![0-9a-fA-F]{2}).{0,2}", text, re.DOTALL)
    if fault is not None:
        raise not_applicable_because("@urid", value, f'invalid URL escape "{fault.group()}"')
    return unquote_to_bytes(text).decode("utf-8", "replace")


def _row(name: str, value: Json, separator: str, shape: Callable[[str], str]) -> Json:
    """The items in one line; lists and objects have no place in it."""
    if not isinstance(value, list):
        raise not_applicable(f"@{name}", value)
    cells: list[str] = []
    for item in value:
        if isinstance(item, (list, dict)):
            raise JqFailure(f"@{name} cannot format an array including: {shown(item)}")
        text = shape(item) if isinstance(item, str) else encode(item)
        cells.append("" if text == "null" and name != "sh" and not isinstance(item, str) else text)
    return bounded_text(separator.join(cells))


def _csv(value: Json) -> Json:
    return _row("csv", value, ",", lambda text: f'"{text.translate(_CSV)}"')


def _tsv(value: Json) -> Json:
    return _row("tsv", value, "\t", lambda text: text.translate(_TSV))


def _sh(value: Json) -> Json:
    return _row("sh", value if isinstance(value, list) else [value], " ", lambda text: f"'{text.translate(_SH)}'")


def _base64(value: Json) -> Json:
    return base64.b64encode(bounded_text(to_text(value)).encode("utf-8", "replace")).decode()


def _from_base64(value: Json) -> Json:
    text = to_text(value).partition("=")[0].replace("\r", "").replace("\n", "")
    fault = re.search(r"[^A-Za-z0-9+/]", text)
    if fault is not None or len(text) % 4 == 1:
        at = fault.start() if fault else len(text) - 1
        raise not_applicable_because("@base64d", value, f"illegal base64 data at input byte {at}")
    return base64.b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "replace")


_BY_NAME: dict[str, Callable[[Json], Json]] = {
    "text": to_text,
    "json": encode,
    "html": _html,
    "uri": _uri,
    "urid": _from_uri,
    "csv": _csv,
    "tsv": _tsv,
    "sh": _sh,
    "base64": _base64,
    "base64d": _from_base64,
}


def _format(value: Json, name: Json) -> Json:
    if not isinstance(name, str):
        raise not_applicable("format", name)
    if name not in _BY_NAME:
        raise JqFailure(f"format not defined: @{name}")
    return _BY_NAME[name](value)


FORMATS: dict[tuple[str, int], Callable[..., Json]] = {
    ("format", 1): _format,
    **{(f"_to{name}", 0): function for name, function in _BY_NAME.items() if name not in ("text", "json")},
}
"""The functions by name and number of arguments."""
