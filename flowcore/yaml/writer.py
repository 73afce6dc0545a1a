"""JSON data to YAML text that reads back as the same data, here and in Kubernetes' tools; texts of several lines as blocks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from flowcore.jsontypes import Json
from flowcore.yaml import scalars

_PLAIN = re.compile(r"[A-Za-z0-9_./<(+][A-Za-z0-9_ ./<>()=+@*%$^~;|!?&'\"\\{}-]*")
_UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")


def write(value: Json) -> str:
    """``value`` in block style, two blanks for a level."""
    return "".join(_lines(value, "", "")) or f"{_scalar(value)}\n"


def _lines(value: Json, indent: str, lead: str) -> Iterator[str]:
    """The lines of a mapping or list that is not empty; ``lead`` stands for the indent of the first line."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _entry(f"{lead}{_text(key)}:", item, indent, nested=indent + "  ")
            lead = indent
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, (dict, list)) and item:
                yield from _lines(item, indent + "  ", f"{lead}- ")
            else:
                yield from _entry(f"{lead}-", item, indent, nested=indent + "  ")
            lead = indent


def _entry(head: str, item: Json, indent: str, *, nested: str) -> Iterator[str]:
    """One key or dash with its value."""
    if isinstance(item, (dict, list)) and item:
        yield f"{head}\n"
        inner = indent if isinstance(item, list) else nested
        yield from _lines(item, inner, inner)
    elif isinstance(item, str) and _fits_block(item):
        yield f"{head} |{_chomping(item)}\n"
        yield from (f"{nested}{line}\n" if line else "\n" for line in item.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_scalar(item)}\n"


def _fits_block(text: str) -> bool:
    """Whether a literal block gives back exactly ``text``."""
    if "\n" not in text.strip("\n") or text.startswith(("\n", " ")) or text.endswith("\n\n"):
        return False
    return not _UNPRINTABLE.search(text) and all(char.isprintable() or char in "\n\t" for char in text)


def _chomping(text: str) -> str:
    return "" if text.endswith("\n") else "-"


def _scalar(value: Json) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    return json.dumps(value)


def _text(text: str) -> str:
    """A text on one line: bare where it can be, quoted where it would be read as something else."""
    bare = _PLAIN.fullmatch(text) and not text.endswith(" ") and text != "<<" and not text.startswith("...")
    if bare and isinstance(_read(text), str):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _read(text: str) -> Json:
    try:
        return scalars.plain(text)
    except scalars.NotFinite:
        return None
