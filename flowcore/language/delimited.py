"""Texts with delimited tags: cutting them at the delimiters, and filling in plain values.

The rules are fasttemplate's: scan from the left, a tag ends at the first end delimiter after its start, tags do not nest. ``language.tags``
builds on ``cut``; ``fill`` is for places where tags have nothing but a flat table of texts behind them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowcore.errors import ExpressionError


def cut(text: str, start: str, end: str) -> Iterator[tuple[str, str | None]]:
    """Pairs of a literal piece and the content of the tag after it; the last pair has no tag (None). Unclosed tags are literal."""
    position = 0
    while (opening := text.find(start, position)) >= 0:
        content = opening + len(start)
        closing = text.find(end, content)
        if closing < 0:
            break
        yield text[position:opening], text[content:closing]
        position = closing + len(end)
    yield text[position:], None


def fill(text: str, start: str, end: str, values: Mapping[str, object], *, keep_unknown: bool = True, strict: bool = False) -> str:
    """``text`` with each tag replaced by the string of its content in ``values``.

    Tags without a value stay as they are (``keep_unknown``) or vanish. Raises ExpressionError for an empty delimiter, for a value that is
    no string, and, when ``strict``, for a tag that is not closed.
    """
    for name, delimiter in (("start", start), ("end", end)):
        if not delimiter:
            raise ExpressionError(f"{name}Tag cannot be empty", source=text, stage="compile")
    pieces: list[str] = []
    for literal, tag in cut(text, start, end):
        pieces.append(literal)
        if tag is None:
            if strict and start in literal:
                raise _unclosed(text, end, literal.split(start, 1)[1])
        elif tag in values:
            pieces.append(_text(tag, values[tag]))
        elif keep_unknown:
            pieces.append(start + tag + end)
    return "".join(pieces)


def _text(tag: str, value: object) -> str:
    if not isinstance(value, str):
        raise ExpressionError(f'tag="{tag}" contains unexpected value type={value!r}: a string is needed')
    return value


def _unclosed(text: str, end: str, rest: str) -> ExpressionError:
    at = len(text) - len(rest)
    return ExpressionError(
        f'Cannot find end tag="{end}" in the template="{text}" starting from "{rest}"', source=text, at=at, stage="compile"
    )
