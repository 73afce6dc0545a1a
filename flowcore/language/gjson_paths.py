"""The parts of a GJSON path: names with wildcards, list indexes, queries, pipes and multipaths. Called by ``gjson``."""

from __future__ import annotations

from dataclasses import dataclass

from flowcore.language.gjson_scan import squash, unescape

MODIFIERS = frozenset(
    ["pretty", "ugly", "reverse", "this", "flatten", "join", "valid", "keys", "values", "tostr", "fromstr", "group", "dig"]
)
_SPACE = "".join(map(chr, range(33)))


@dataclass(frozen=True, slots=True)
class NamePart:
    """One name of a path. What follows is ``rest`` (behind a dot, when ``more``) or ``pipe`` (behind a bar, else None)."""

    name: str
    wild: bool = False
    rest: str = ""
    more: bool = False
    pipe: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A condition ``path operator value`` on the items of a list; ``every`` takes all that fulfil it, not only the first."""

    path: str = ""
    operator: str = ""
    value: str = ""
    every: bool = False


@dataclass(frozen=True, slots=True)
class ListPart:
    """One part of a path as a list takes it: an index, ``#`` (with ``key``: that member of every item), or a query."""

    part: str
    rest: str = ""
    more: bool = False
    pipe: str | None = None
    hash: bool = False
    key: str | None = None
    query: Query | None = None


def name_part(path: str) -> NamePart:
    """Split the first name off a path; a backslash takes the next character as it is."""
    name: list[str] = []
    wild = False
    index = 0
    while index < len(path):
        character = path[index]
        if character == "|":
            return NamePart("".join(name), wild, pipe=path[index + 1 :])
        if character == ".":
            following = path[index + 1 :]
            if following and pipes(following):
                return NamePart("".join(name), wild, pipe=following)
            return NamePart("".join(name), wild, rest=following, more=True)
        if character == "\\":
            index += 1
            character = path[index : index + 1]
        elif character in "*?":
            wild = True
        name.append(character)
        index += 1
    return NamePart("".join(name), wild)


def list_part(path: str) -> ListPart:
    """Split the first part off a path as a list reads it."""
    has_hash = False
    key: str | None = None
    query: Query | None = None
    index = 0
    while index < len(path):
        character = path[index]
        if character == "|":
            return ListPart(path[:index], pipe=path[index + 1 :], hash=has_hash, key=key, query=query)
        if character == ".":
            following = path[index + 1 :]
            if not has_hash and following and pipes(following):
                return ListPart(path[:index], pipe=following)
            return ListPart(path[:index], rest=following, more=True, hash=has_hash, key=key, query=query)
        if character == "#":
            has_hash = True
            if not index and path[1:2] == ".":
                key = path[2:]
            elif not index and path[1:2] in ("[", "("):
                found = read_query(path)
                if found is None:
                    return ListPart(path, hash=True, query=Query())
                query, index = found
                continue
        index += 1
    return ListPart(path, hash=has_hash, key=key, query=query)


def pipes(path: str) -> bool:
    """Whether a part works on the value before it as a whole: a known modifier, or a multipath."""
    if path.startswith("@"):
        end = min((at for at in (path.find(sign, 1) for sign in ".|:") if at >= 0), default=len(path))
        return path[1:end] in MODIFIERS
    return path[:1] in ("[", "{")


def read_query(path: str) -> tuple[Query, int] | None:
    """The query ``#(...)`` at the begin of the path and the position behind it; None when its bracket never closes."""
    index, depth, operator_at, escaped = 2, 1, 0, False
    while index < len(path):
        character = path[index]
        if depth == 1 and not operator_at and character in "!=<>%":
            operator_at = index
        elif character == "\\":
            index += 1
        elif character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
            if not depth:
                break
        elif character == '"':
            index, found_escape = _skip_quoted(path, index)
            escaped = escaped or found_escape
        index += 1
    if depth:
        return None
    every = path[index + 1 : index + 2] == "#"
    if not operator_at:
        return Query(path[2:index].strip(_SPACE), every=every), index + 1
    operator, value = _split_operator(path[operator_at:index].strip(_SPACE))
    return Query(path[2:operator_at].strip(_SPACE), operator, _unquoted(value, escaped), every), index + 1


def _skip_quoted(path: str, index: int) -> tuple[int, bool]:
    """The position of the closing quote, and whether a backslash stands before it."""
    escaped = False
    index += 1
    while index < len(path) and path[index] != '"':
        if path[index] == "\\":
            escaped = True
            index += 1
        index += 1
    return index, escaped


def _split_operator(condition: str) -> tuple[str, str]:
    for operator in ("!=", "!%", "<=", ">="):
        if condition.startswith(operator) and len(condition) > 1:
            return operator, condition[2:].strip(_SPACE)
    if condition.startswith("==") and len(condition) > 1:
        return "=", condition[2:].strip(_SPACE)
    size = 1 if condition[:1] in ("<", ">", "=", "%") or len(condition) == 1 else 0
    return condition[:size], condition[size:].strip(_SPACE)


def _unquoted(value: str, escaped: bool) -> str:
    if len(value) >= 2 and value[0] == '"' == value[-1]:
        return unescape(value[1:-1]) if escaped else value[1:-1]
    return value


def split_pipe(path: str) -> tuple[str, str] | None:
    """Split a path at its first bar that stands outside of a query, or None."""
    if "|" not in path:
        return None
    if path.startswith("{"):
        end = len(squash(path[1:])) + 1
        return (path[:end], path[end + 1 :]) if path[end : end + 1] == "|" else None
    index = 0
    while index < len(path):
        character = path[index]
        if character == "\\":
            index += 1
        elif character == "|":
            return path[:index], path[index + 1 :]
        elif character == "." and path[index + 1 : index + 2] == "#":
            index += 2
            if path[index : index + 1] in ("[", "("):
                index = _skip_query(path, index)
            elif index >= len(path):
                return None
        elif character == "." and index == len(path) - 1:
            return None
        index += 1
    return None


def _skip_query(path: str, index: int) -> int:
    opening = path[index]
    closing = "]" if opening == "[" else ")"
    depth = 0
    while index < len(path):
        character = path[index]
        if character == "\\":
            index += 1
        elif character == '"':
            index = _skip_quoted(path, index)[0]
        elif character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
            if not depth:
                return index
        index += 1
    return index


def multipath(path: str) -> tuple[list[tuple[str, str]], str] | None:
    """The ``(name, path)`` pairs of a multipath and what stands behind it; None when its bracket never closes."""
    pairs: list[tuple[str, str]] = []
    index, start, depth = 1, 1, 1
    colon = 0
    in_modifier = False

    def finish() -> None:
        pairs.append((path[start:colon], path[colon + 1 : index]) if colon else ("", path[start:index]))

    while index < len(path):
        character = path[index]
        if character == "\\":
            index += 1
        elif character == "@" and path[index - 1] in ".|":
            in_modifier = True
        elif character == ":" and not in_modifier and not colon and depth == 1:
            colon = index
        elif character == "," and depth == 1:
            finish()
            colon, start, in_modifier = 0, index + 1, False
        elif character == '"':
            index = _skip_quoted(path, index)[0]
        elif character in "[({":
            depth += 1
        elif character in "])}":
            depth -= 1
            if not depth:
                finish()
                return pairs, path[index + 1 :]
        index += 1
    return None


def last_name(path: str) -> str:
    """The last component of a path, by which a member of a multipath is called."""
    for index in range(len(path) - 1, -1, -1):
        if path[index] in "|." and not (index and path[index - 1] == "\\"):
            return path[index + 1 :]
    return path


def is_simple_name(name: str) -> bool:
    """Whether a component can serve as a member's name."""
    return not any(character < " " or character in "[]{}()#|!" for character in name)


def wildcard_match(text: str, pattern: str) -> bool:
    """Whether a text fits a pattern of ``*`` (anything), ``?`` (one character) and backslash escapes; time is text times pattern."""
    at = in_pattern = 0
    star, resume = -1, 0
    while at < len(text):
        sign = pattern[in_pattern : in_pattern + 1]
        plain = pattern[in_pattern + 1 : in_pattern + 2] if sign == "\\" else sign
        if sign == "*":
            star, resume = in_pattern, at
            in_pattern += 1
        elif sign and (sign == "?" or plain == text[at]):
            in_pattern += 2 if sign == "\\" else 1
            at += 1
        elif star >= 0:
            resume += 1
            at, in_pattern = resume, star + 1
        else:
            return False
    return not pattern[in_pattern:].strip("*")
