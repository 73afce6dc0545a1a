"""Sprig: texts. Positions and lengths count UTF-8 bytes, as in Go."""

from __future__ import annotations

from flowcore.errors import ExpressionError
from flowcore.language.expr.quoting import go_quote
from flowcore.language.expr.texts import go_text
from flowcore.language.expr.values import TextList
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import TextMap, bounded_items, bounded_text, from_bytes, text_of, to_bytes

SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


@sprig("trim")
def trim(text: str) -> str:
    return text.strip(SPACES)


@sprig("trimAll", "trimall")
def trim_all(characters: str, text: str) -> str:
    return text.strip(characters) if characters else text


@sprig("trimSuffix")
def trim_suffix(suffix: str, text: str) -> str:
    return text.removesuffix(suffix)


@sprig("trimPrefix")
def trim_prefix(prefix: str, text: str) -> str:
    return text.removeprefix(prefix)


@sprig("nospace")
def nospace(text: str) -> str:
    """Without white space. In a text that has some, Go takes each byte for a character; so does this."""
    data = to_bytes(text)
    kept = [chr(byte) for byte in data if chr(byte) not in SPACES]
    return text if len(kept) == len(data) else "".join(kept)


@sprig("contains")
def contains(part: str, text: str) -> bool:
    return part in text


@sprig("hasPrefix")
def has_prefix(prefix: str, text: str) -> bool:
    return text.startswith(prefix)


@sprig("hasSuffix")
def has_suffix(suffix: str, text: str) -> bool:
    return text.endswith(suffix)


@sprig("replace")
def replace(old: str, new: str, text: str) -> str:
    count = text.count(old)
    bounded_text(len(text) + count * len(new))
    return text.replace(old, new)


@sprig("repeat")
def repeat(count: int, text: str) -> str:
    if count < 0:
        raise ExpressionError("strings: negative Repeat count")
    bounded_text(count * len(text))
    return text * count


@sprig("indent")
def indent(spaces: int, text: str) -> str:
    if spaces < 0:
        raise ExpressionError("strings: negative Repeat count")
    bounded_text(len(text) + spaces * (text.count("\n") + 1))
    pad = " " * spaces
    return pad + text.replace("\n", f"\n{pad}")


@sprig("nindent")
def nindent(spaces: int, text: str) -> str:
    return "\n" + str(indent(spaces, text))


@sprig("trunc")
def trunc(count: int, text: str) -> str:
    """The first bytes, or the last ones for a negative count."""
    data = to_bytes(text)
    if count < 0:
        return from_bytes(data[count:]) if len(data) + count > 0 else text
    return from_bytes(data[:count])


@sprig("substr")
def substr(begin: int, end: int, text: str) -> str:
    data = to_bytes(text)
    begin_given, end_given = begin >= 0, 0 <= end <= len(data)
    if begin_given and not end_given:
        if begin > len(data):
            raise ExpressionError(f"runtime error: slice bounds out of range [{begin}:{len(data)}]")
        return from_bytes(data[begin:])
    if not end_given:
        length = f" with length {len(data)}" if end >= 0 else ""
        raise ExpressionError(f"runtime error: slice bounds out of range [:{end}]{length}")
    if begin > end:
        raise ExpressionError(f"runtime error: slice bounds out of range [{begin}:{end}]")
    return from_bytes(data[max(begin, 0) : end])


@sprig("abbrev")
def abbrev(width: int, text: str) -> str:
    return text if width < 4 else from_bytes(_abbreviated(to_bytes(text), 0, width))


@sprig("abbrevboth")
def abbrevboth(left: int, width: int, text: str) -> str:
    if width < 4 or (left > 0 and width < 7):
        return text
    return from_bytes(_abbreviated(to_bytes(text), left, width))


def _abbreviated(data: bytes, offset: int, width: int) -> bytes:
    """At most ``width`` bytes, with dots for what is left out; what stands at the offset stays."""
    if len(data) <= width:
        return data
    offset = min(offset, len(data))
    room = width - 3
    offset = min(offset, len(data) - room) if len(data) - offset < room else offset
    if offset <= 4:
        return data[:room] + b"..."
    if width < 7:
        return b""
    if offset + room < len(data):
        return b"..." + _abbreviated(data[offset:], 0, room)
    return b"..." + data[len(data) - room :]


@sprig("wrap")
def wrap(width: int, text: str) -> str:
    """Line breaks instead of spaces; longer words stay whole."""
    return _wrapped(text, width, "\n", break_words=False)


@sprig("wrapWith")
def wrap_with(width: int, separator: str, text: str) -> str:
    """The separator instead of spaces; longer words are broken."""
    return _wrapped(text, width, separator or "\n", break_words=True)


def _wrapped(text: str, width: int, separator: str, *, break_words: bool) -> str:
    data, width = to_bytes(text), max(width, 1)
    bounded_text(len(data) + (len(data) // width + data.count(b" ") + 1) * len(separator))
    lines: list[bytes] = []
    begin = 0
    while len(data) - begin > width:
        if data[begin : begin + 1] == b" ":
            begin += 1
            continue
        space = data.rfind(b" ", begin, begin + width + 1)
        following = space + 1
        if space < 0:
            space = begin + width if break_words else data.find(b" ", begin + width)
            if space < 0:
                break
            following = space if break_words else space + 1
        lines.append(data[begin:space])
        begin = following
    lines.append(data[begin:])
    return separator.join(map(from_bytes, lines))


@sprig("plural")
def plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


# -- joining and splitting --------------------------------------------------------------------------------------------------------


@sprig("cat")
def cat(*values: object) -> str:
    return " ".join(go_text(value) for value in values if value is not None)


@sprig("quote")
def quote(*values: object) -> str:
    return " ".join(go_quote(text_of(value)) for value in values if value is not None)


@sprig("squote")
def squote(*values: object) -> str:
    return " ".join(f"'{go_text(value)}'" for value in values if value is not None)


@sprig("toString")
def to_string(value: object) -> str:
    return text_of(value)


@sprig("splitList")
def split_list(separator: str, text: str) -> object:
    return TextList(_pieces(separator, text, -1))


@sprig("split")
def split(separator: str, text: str) -> object:
    return _numbered(_pieces(separator, text, -1))


@sprig("splitn")
def splitn(separator: str, count: int, text: str) -> object:
    return _numbered(_pieces(separator, text, count))


def _pieces(separator: str, text: str, count: int) -> list[str]:
    """The pieces between separators, at most ``count`` unless that is negative; no separator splits into characters."""
    bounded_items(text.count(separator) if separator else len(text))
    if not count:
        return []
    if separator:
        return text.split(separator, count - 1 if count > 0 else -1)
    if 0 < count < len(text):
        return [*text[: count - 1], text[count - 1 :]]
    return list(text)


def _numbered(pieces: list[str]) -> TextMap:
    return TextMap((f"_{index}", piece) for index, piece in enumerate(pieces))
