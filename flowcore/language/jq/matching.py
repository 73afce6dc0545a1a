"""jq: regular expressions, with Go's meaning. Part of ``natives``."""

from __future__ import annotations

from collections.abc import Callable

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.expr.quoting import go_quote
from flowcore.language.go_regexp import Regexp, compile_regexp
from flowcore.language.go_regexp_machine import Slots
from flowcore.language.jq.failures import JqFailure, not_applicable
from flowcore.language.jq.meter import meter, spend
from flowcore.language.jq.values import add, bounded_text


def _match(value: Json, pattern: Json, flags: Json, testing: Json) -> Json:
    name = "test" if testing is True else "match"
    if not isinstance(value, str) or not isinstance(pattern, str) or not (flags is None or isinstance(flags, str)):
        raise not_applicable(name, value, pattern, flags)
    regexp = _regexp(pattern, flags or "")
    spend(len(value) >> 2)
    if testing is True:
        return regexp.matches(value)
    found: list[Json] = []
    for slots in regexp.find_all(value, -1 if "g" in (flags or "") else 1):
        spend(10)
        meter().occupy(400 * (len(regexp.group_names) + 1))
        found.append(_found(regexp, value, slots))
    return found


def _regexp(pattern: str, flags: str) -> Regexp:
    if set(flags) - set("gim"):
        raise JqFailure(f"unsupported regular expression flag: {go_quote(flags)}")
    pattern = ("(?s)" if "m" in flags else "") + ("(?i)" if "i" in flags else "") + pattern
    try:
        return compile_regexp(pattern)
    except LimitExceeded:
        raise
    except ExpressionError as error:
        raise JqFailure(f"invalid regular expression {go_quote(pattern)}: {error.message}") from None


def _found(regexp: Regexp, text: str, slots: Slots) -> Json:
    captures: list[Json] = []
    for number, name in enumerate(regexp.group_names[1:], 1):
        begin, end = slots[2 * number], slots[2 * number + 1]
        captures.append({"name": name or None, **_span(text, begin, end)})
    return {**_span(text, slots[0], slots[1]), "captures": captures}


def _span(text: str, begin: int, end: int) -> dict[str, Json]:
    if begin < 0:
        return {"offset": -1, "length": 0, "string": None}
    return {"offset": begin, "length": end - begin, "string": text[begin:end]}


def _captured(value: Json) -> Json:
    """The named groups of a match."""
    captures = value.get("captures") if isinstance(value, dict) else None
    named: dict[str, Json] = {}
    for capture in captures if isinstance(captures, list) else []:
        if isinstance(capture, dict) and isinstance(name := capture.get("name"), str):
            named[name] = capture.get("string")
    return named


def _edges(matches: Json) -> list[tuple[int, int]]:
    """Begin and end of matches."""
    edges: list[tuple[int, int]] = []
    for match in matches if isinstance(matches, list) else []:
        assert isinstance(match, dict)
        begin, length = match["offset"], match["length"]
        assert isinstance(begin, int)
        assert isinstance(length, int)
        edges.append((begin, begin + length))
    return edges


def _pieces(value: Json, matches: Json) -> Json:
    """The text between matches."""
    if not isinstance(value, str):
        raise not_applicable("split", value)
    pieces: list[Json] = []
    position = 0
    for begin, end in _edges(matches):
        pieces.append(value[position:begin])
        position = end
    return [*pieces, value[position:]]


def _replaced(value: Json, matches: Json, replacements: Json) -> Json:
    """The text with matches replaced, once for each of the several replacements that every match has."""
    assert isinstance(value, str)
    assert isinstance(replacements, list)
    built: list[list[str]] = []
    position = 0
    for (begin, end), options in zip(_edges(matches), replacements, strict=True):
        assert isinstance(options, list)
        for number, replacement in enumerate(options):
            if number == len(built):
                built.append([])
            piece = add(value[position:begin], replacement)
            assert isinstance(piece, str)
            built[number].append(piece)
            meter().occupy(len(piece) + 50)
        position = end
    return [bounded_text("".join([*pieces, value[position:]])) for pieces in built] or [value]


MATCHING: dict[tuple[str, int], Callable[..., Json]] = {
    ("_match", 3): _match,
    ("_captured", 0): _captured,
    ("_pieces", 1): _pieces,
    ("_replaced", 2): _replaced,
}
"""The functions by name and number of arguments."""
