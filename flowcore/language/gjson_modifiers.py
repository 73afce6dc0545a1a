"""The modifiers of GJSON paths (``@reverse``, ``@flatten``, ``@pretty``...): from JSON text and argument to JSON text. Called by ``gjson``."""

from __future__ import annotations

import re
from collections.abc import Callable

from flowcore.errors import LimitExceeded
from flowcore.language.gjson_paths import MODIFIERS
from flowcore.language.gjson_scan import Result, is_valid, members, parse, quote, squash, unescape

MAX_DEPTH = 200
_SPACE = "".join(map(chr, range(33)))
_WORDS = {"t": "true", "f": "false", "n": "null"}
_STRING_OR_SPACE = re.compile(r'("[^"\\]*+(?:\\.[^"\\]*+)*+"?)|[\x00-\x20]+', re.DOTALL)


def split_modifier(path: str) -> tuple[str, str, str] | None:
    """Name, argument and rest of a path that begins with a modifier; None when there is no such modifier."""
    end = min((at for at in (path.find(sign, 1) for sign in ":|.") if at >= 0), default=len(path))
    name, rest = path[1:end], path[end:]
    if name not in MODIFIERS:
        return None
    if not rest.startswith(":"):
        return name, "", rest
    rest = rest[1:]
    size = _argument_size(rest)
    return name, rest[:size], rest[size:]


def _argument_size(rest: str) -> int:
    """A JSON argument ends with its bracket or quote, any other at the next bar."""
    if rest[:1] in ("{", "[", '"') and parse(rest).exists:
        return len(squash(rest))
    index = 0
    while index < len(rest) and rest[index] != "|":
        index += len(squash(rest[index:])) if rest[index] in '{["(' else 1
    return min(index, len(rest))


def option(argument: str, name: str) -> Result | None:
    """A member of a modifier's JSON argument."""
    found: Result | None = None
    for key, value in members(parse(argument)):
        if key_text(key) == name:
            found = value
    return found


def key_text(raw: str) -> str:
    """The text of a raw key."""
    return unescape(raw[1:-1])


def truth(value: Result | None) -> bool:
    """A value as bool: true, numbers but 0, and texts that say true."""
    if value is None:
        return False
    if value.kind == "String":
        return value.text.lower() in ("1", "t", "true")
    return value.kind == "True" or (value.kind == "Number" and value.number != 0)


def _this(text: str, _argument: str) -> str:
    return text


def _valid(text: str, _argument: str) -> str:
    return text if is_valid(text) else ""


def ugly(text: str, _argument: str = "") -> str:
    """The text without white space outside of strings."""
    return _STRING_OR_SPACE.sub(lambda match: match.group(1) or "", text)


def _reverse(text: str, _argument: str) -> str:
    value = parse(text)
    if value.is_list:
        return "[" + ",".join(item.raw for _, item in reversed(list(members(value)))) + "]"
    if value.is_object:
        return "{" + ",".join(f"{key}:{item.raw}" for key, item in reversed(list(members(value)))) + "}"
    return text


def _flatten(text: str, argument: str, depth: int = 0) -> str:
    value = parse(text)
    if not value.is_list:
        return text
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"@flatten on lists nested more than {MAX_DEPTH} deep")
    deep = bool(argument) and truth(option(argument, "deep"))
    parts: list[str] = []
    for _, item in members(value):
        raw = item.raw
        if item.is_list:
            raw = _unwrapped(_flatten(raw, argument, depth + 1) if deep else raw)
        parts.append(raw.strip())
    return "[" + ",".join(part for part in parts if part) + "]"


def _unwrapped(text: str) -> str:
    text = text.strip(_SPACE)
    return text[1:-1] if len(text) >= 2 and text[0] in "[{" else text


def _join(text: str, argument: str) -> str:
    value = parse(text)
    if not value.is_list:
        return text
    objects = [item for _, item in members(value) if item.is_object]
    if argument and truth(option(argument, "preserve")):
        return "{" + ",".join(_unwrapped(item.raw) for item in objects) + "}"
    keys: dict[str, str] = {}
    values: dict[str, str] = {}
    for item in objects:
        for key, member in members(item):
            name = key_text(key)
            keys.setdefault(name, key)
            values[name] = member.raw
    return "{" + ",".join(f"{raw_key}:{values[name]}" for name, raw_key in keys.items()) + "}"


def _keys(text: str, _argument: str) -> str:
    value = parse(text)
    return "[" + ",".join(key if value.is_object else "null" for key, _ in members(value)) + "]"


def _values(text: str, _argument: str) -> str:
    value = parse(text)
    return text if value.is_list else "[" + ",".join(item.raw for _, item in members(value)) + "]"


def _to_string(text: str, _argument: str) -> str:
    return quote(text)


def _from_string(text: str, _argument: str) -> str:
    return parse(text).string if is_valid(text) else ""


def _group(text: str, _argument: str) -> str:
    value = parse(text)
    if not value.is_object:
        return ""
    rows: list[list[str]] = []
    for key, column in members(value):
        if not column.is_list:
            continue
        for index, (_, item) in enumerate(members(column)):
            if index == len(rows):
                rows.append([])
            rows[index].append(f"{key}:{item.raw}")
    return "[" + ",".join("{" + ",".join(row) + "}" for row in rows) + "]"


def _pretty(text: str, argument: str) -> str:
    options = {name: option(argument, name) for name in ("sortKeys", "indent", "prefix", "width")} if argument else {}
    width = options.get("width")
    printer = _Printer(
        indent=_blanks(options.get("indent"), "  "),
        prefix=_blanks(options.get("prefix"), ""),
        width=int(width.number) if width and width.kind == "Number" else 80,
        sort_keys=truth(options.get("sortKeys")),
    )
    shown = printer.show(parse(text), 0, len(printer.prefix))
    return f"{printer.prefix}{shown}\n" if shown else ""


def _blanks(value: Result | None, default: str) -> str:
    """Only white space, and little of it, may indent."""
    return default if value is None else "".join(character for character in value.string if character in " \t\n\r")[:100]


class _Printer:
    """Prints JSON on many lines; a list without objects that fits on one line stays there."""

    def __init__(self, indent: str, prefix: str, width: int, sort_keys: bool) -> None:
        self.indent, self.prefix, self.width, self.sort_keys = indent, prefix, width, sort_keys

    def show(self, value: Result, depth: int, column: int) -> str:
        """The text of a value that begins at a column."""
        if value.kind != "JSON":
            return _scalar(value)
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"@pretty on values nested more than {MAX_DEPTH} deep")
        room = self.width - column
        if value.is_list and self.width > 0 and room > 3:
            line = _one_line(value, 0)
            if line is not None and len(line) <= room:
                return line
        return self._block(value, depth)

    def _block(self, value: Result, depth: int) -> str:
        opening, closing = ("[", "]") if value.is_list else ("{", "}")
        begin = "\n" + self.prefix + self.indent * (depth + 1)
        shown: list[tuple[str, str]] = []
        for key, item in members(value):
            label = f"{key}: " if key else ""
            shown.append((key, label + self.show(item, depth + 1, len(begin) + len(label))))
        if not shown:
            return opening + closing
        if self.sort_keys and value.is_object:
            shown.sort(key=lambda member: member[0])
        return opening + ",".join(begin + text for _, text in shown) + begin[: len(begin) - len(self.indent)] + closing


def _scalar(value: Result) -> str:
    """The text of a scalar; on text that is no JSON, a word is what its first letter says and a number ends at a colon."""
    if value.kind == "Number":
        return value.raw.partition(":")[0]
    return value.raw if value.kind == "String" else _WORDS.get(value.raw[:1], "")


def _one_line(value: Result, depth: int) -> str | None:
    """A list on one line, or None when an object is in it."""
    if not value.is_list:
        return None if value.is_object else _scalar(value)
    items = [_one_line(item, depth + 1) for _, item in members(value)] if depth < MAX_DEPTH else [None]
    return None if None in items else "[" + ", ".join(item for item in items if item is not None) + "]"


TEXT_MODIFIERS: dict[str, Callable[[str, str], str]] = {
    "this": _this,
    "valid": _valid,
    "ugly": ugly,
    "pretty": _pretty,
    "reverse": _reverse,
    "flatten": _flatten,
    "join": _join,
    "keys": _keys,
    "values": _values,
    "tostr": _to_string,
    "fromstr": _from_string,
    "group": _group,
}
