"""GJSON paths such as ``status.conditions.#(type=="Ready").status``. Called by the conditions of resource templates.

The rules are those of tidwall/gjson, also on texts that are no JSON. Time, depth and the size of what a path builds are bounded.
"""

from __future__ import annotations

import re
from typing import TypeVar

from flowcore.errors import LimitExceeded
from flowcore.language.gjson_modifiers import TEXT_MODIFIERS, split_modifier
from flowcore.language.gjson_paths import (
    ListPart,
    Query,
    is_simple_name,
    last_name,
    list_part,
    multipath,
    name_part,
    split_pipe,
    wildcard_match,
)
from flowcore.language.gjson_scan import (
    NOTHING,
    Result,
    bracketed_end,
    is_valid,
    members,
    next_value,
    parse,
    quote,
    squash,
    string_end,
    unescape,
    value_begin,
)
from flowcore.language.go_numbers import parse_float

MAX_TEXT = 8 * 1024 * 1024
MAX_PATH = 8 * 1024
MAX_DEPTH = 60
MAX_STEPS = 2_000_000

_Ordered = TypeVar("_Ordered", str, float)
_KEY_OR_CLOSING = re.compile(r'["}]')
_ITEM_OR_CLOSING = re.compile(r'["{\[ntf+\-0-9iIN\]]')
_STATIC = ("true", "false", "null", "nan", "inf")


def get(text: str, path: str) -> Result:
    """What a path finds in a JSON text; ``NOTHING`` (which does not exist) when it finds nothing. Raises LimitExceeded only."""
    if len(text) > MAX_TEXT or len(path) > MAX_PATH:
        raise LimitExceeded(f"a JSON text over {MAX_TEXT} or a path over {MAX_PATH} characters", source=path[:200])
    return _Budget(path).get(text, path, 0)


class _Budget:
    """What one call may still spend; every step below passes through it."""

    def __init__(self, path: str) -> None:
        self._path, self._steps = path, MAX_STEPS

    def spend(self, steps: int, depth: int = 0) -> None:
        """Count work; raises LimitExceeded when there is too much."""
        self._steps -= steps
        if self._steps < 0 or depth > MAX_DEPTH:
            raise LimitExceeded("the path asks for too much work", source=self._path[:200])

    def get(self, text: str, path: str, depth: int) -> Result:
        """One path on one text; pipes, modifiers and multipaths come back here."""
        self.spend(1 + len(text) // 1000, depth)
        if len(text) > MAX_TEXT:
            raise LimitExceeded(f"the path builds a text of more than {MAX_TEXT} characters", source=self._path[:200])
        if len(path) > 1:
            changed = self._modified(text, path, depth) if path[0] in "@!" else None
            if changed is not None:
                made, rest = changed
                return self.get(made, rest[1:], depth + 1) if rest[:1] in ("|", ".") else parse(made)
            if path[0] in "[{" and (found := self._multipath(text, path, depth)) is not None:
                return found
        return self._walked(text, path, depth)

    def _modified(self, text: str, path: str, depth: int) -> tuple[str, str] | None:
        """The text that a modifier or a static value gives, and the rest of the path."""
        if path[0] == "!":
            return _static(path)
        split = split_modifier(path)
        if split is None:
            return None
        name, argument, rest = split
        self.spend(1 + len(text) // 20)
        if name != "dig":
            return TEXT_MODIFIERS[name](text, argument), rest
        found: list[str] = []
        self._dig(parse(text), argument, found, depth)
        return f"[{','.join(found)}]", rest

    def _dig(self, value: Result, path: str, found: list[str], depth: int) -> None:
        result = self.get(value.raw, path, depth)
        if result.exists:
            found.append(result.raw)
        if value.kind == "JSON":
            for _, item in members(value):
                self._dig(item, path, found, depth + 1)

    def _multipath(self, text: str, path: str, depth: int) -> Result | None:
        parsed = multipath(path)
        if parsed is None or parsed[1][:1] not in ("", "|", "."):
            return None
        pairs, rest = parsed
        parts: list[str] = []
        size = 0
        for name, member_path in pairs:
            result = self.get(text, member_path, depth + 1)
            if result.exists:
                label = f"{_member_label(name, member_path)}:" if path[0] == "{" else ""
                parts.append(label + (result.raw or result.string or "null"))
                size += len(parts[-1])
                self.spend(len(parts[-1]) // 100)
            if size > MAX_TEXT:
                raise LimitExceeded(f"the path builds a text of more than {MAX_TEXT} characters", source=self._path[:200])
        made = path[0] + ",".join(parts) + ("}" if path[0] == "{" else "]")
        return self.get(made, rest[1:], depth + 1) if rest else Result("JSON", made)

    def _walked(self, text: str, path: str, depth: int) -> Result:
        walk = _Walk(self, text, depth)
        if path.startswith(".."):
            walk.list(0, path[2:], depth)
        else:
            begin = min((at for at in (text.find("{"), text.find("[")) if at >= 0), default=-1)
            if begin >= 0:
                (walk.object if text[begin] == "{" else walk.list)(begin + 1, path, depth)
        return walk.value if walk.pipe is None else self.get(walk.value.raw, walk.pipe, depth + 1)


def _static(path: str) -> tuple[str, str] | None:
    """A value that the path itself writes, as in ``!"text"`` or ``!true``."""
    following = path[1:]
    if following[0] in '{["+-0123456789':
        raw = squash(following) if following[0] == '"' else following[: bracketed_end(following, 0)]
        return raw, following[len(raw) :]
    end = min((at for at in (path.find("|"), path.find(".")) if at >= 0), default=len(path))
    return (path[1:end], path[end:]) if path[1:end].lower() in _STATIC else None


def _member_label(name: str, path: str) -> str:
    if name:
        return name if name.startswith('"') and is_valid(name) else quote(name)
    last = last_name(path)
    return quote(last if is_simple_name(last) else "_")


class _Walk:
    """One pass over a text: how far a path leads down, what it found, and which path is piped behind."""

    def __init__(self, budget: _Budget, text: str, depth: int) -> None:
        self.budget, self.text, self.depth = budget, text, depth
        self.value = NOTHING
        self.pipe: str | None = None

    # Both walkers begin behind the opening bracket, and return the position they reached and whether the path was found.

    def object(self, position: int, path: str, depth: int) -> tuple[int, bool]:
        """Walk the members of an object."""
        part = name_part(path)
        if part.pipe is not None:
            self.pipe = part.pipe
        text = self.text
        while position < len(text):
            self.budget.spend(1, depth)
            key_at, closing = text.find('"', position), text.find("}", position)
            if closing >= 0 and not 0 <= key_at < closing:
                return closing + 1, False
            end = string_end(text, key_at) if key_at >= 0 else -1
            if end < 0:
                return len(text), False
            key = text[key_at + 1 : end - 1]
            key = unescape(key) if "\\" in key else key
            matched = wildcard_match(key, part.name) if part.wild else key == part.name
            position, found = self._member(end, matched, part.rest if part.more else None, depth)
            if found or position < 0:
                return abs(position), found
        return position, False

    def _member(self, position: int, matched: bool, rest: str | None, depth: int) -> tuple[int, bool]:
        """Pass over the next value, take it or go into it; a negative position ends the walk."""
        begin = value_begin(self.text, position)
        if begin < 0:
            return len(self.text), False
        if matched and rest is not None and self.text[begin] in "{[":
            return (self.object if self.text[begin] == "{" else self.list)(begin + 1, rest, depth + 1)
        found = next_value(self.text, begin)
        if found is None:
            return -len(self.text), False
        if matched and rest is None:
            self.value = found[1]
            return found[0], True
        return found[0], False

    def list(self, position: int, path: str, depth: int) -> tuple[int, bool]:
        """Walk the items of a list; the end of the text closes it too."""
        part = list_part(path)
        if part.pipe is not None:
            self.pipe = part.pipe
        if part.hash:
            return _Items(self, part, depth).walk(position)
        index = int(part.part) if part.part.isascii() and part.part.isdecimal() and len(part.part) < 10 else -1
        count = 0
        while (begin := self.item_begin(position)) >= 0:
            self.budget.spend(1, depth)
            position, found = self._member(begin, count == index, part.rest if part.more else None, depth)
            count += 1
            if found or position < 0:
                return abs(position), found
        return self.closing(position), False

    def item_begin(self, position: int) -> int:
        """Where the next item begins, or -1 when the closing bracket or the end comes first."""
        match = _ITEM_OR_CLOSING.search(self.text, position)
        return match.start() if match and match.group() != "]" else -1

    def closing(self, position: int) -> int:
        """The position behind the closing bracket."""
        closing = self.text.find("]", position)
        return closing + 1 if closing >= 0 else len(self.text) + 1


class _Items:
    """A list part with ``#``: the number of items, a member of each, or those that fulfil a query."""

    def __init__(self, walk: _Walk, part: ListPart, depth: int) -> None:
        self._walk, self._part, self._depth = walk, part, depth
        self._rest = part.rest
        self._taken: list[str] = []

    def walk(self, position: int) -> tuple[int, bool]:
        """Go through the items; see ``_Walk``."""
        walk, count = self._walk, 0
        begins: list[int] = []
        while True:
            begins.append(position)
            begin = walk.item_begin(position)
            if begin < 0:
                break
            walk.budget.spend(1, self._depth)
            found = next_value(walk.text, begin)
            if found is None:
                return len(walk.text), False
            position, count = found[0], count + 1
            if self._part.query is not None and self._ask(self._part.query, found[1]):
                return position, True
        return walk.closing(position), self._finish(count, begins)

    def _finish(self, count: int, begins: list[int]) -> bool:
        walk, query = self._walk, self._part.query
        if self._part.part == "#":
            walk.value = Result("Number", str(count), number=float(count)) if self._part.key is None else self._member_of_each(begins)
            return True
        if query is not None and query.every and not walk.value.exists:
            walk.value = Result("JSON", f"[{','.join(self._taken)}]")
        return False

    def _member_of_each(self, begins: list[int]) -> Result:
        walk, key = self._walk, self._part.key or ""
        if (split := split_pipe(key)) is not None:
            key, walk.pipe = split
        raws: list[str] = []
        for position in begins:
            begin = walk.item_begin(position)
            found = next_value(walk.text, begin) if begin >= 0 else None
            if found is not None and (result := walk.budget.get(found[1].raw, key, self._depth + 1)).exists:
                raws.append(result.raw or result.string)
        return Result("JSON", f"[{','.join(raws)}]")

    def _ask(self, query: Query, item: Result) -> bool:
        """Take the item if it fulfils the query; True when the walk is over."""
        budget = self._walk.budget
        if item.kind != "JSON" and query.path:
            return False
        asked = budget.get(item.raw, query.path, self._depth + 1) if item.kind == "JSON" else item
        budget.spend(len(asked.text) // 100)
        if not _fulfils(query, asked):
            return False
        result = item
        if self._part.more:
            if (split := split_pipe(self._rest)) is not None:
                self._rest, self._walk.pipe = split
            result = budget.get(item.raw, self._rest, self._depth + 1)
        if not query.every:
            self._walk.value = result
            return True
        if raw := result.raw or result.string:
            self._taken.append(raw)
        return False


def _fulfils(query: Query, value: Result) -> bool:
    wanted = query.value
    if wanted.startswith("~"):
        truth = _loosely(wanted[1:], value)
        wanted, value = ("true", Result("True" if truth else "False", "x")) if truth is not None else ("", NOTHING)
    if not value.exists:
        return False
    if not query.operator:
        return True
    match value.kind:
        case "String":
            return _compare_texts(query.operator, value.text, wanted)
        case "Number":
            return _ordered(query.operator, value.number, parse_float(wanted) or 0.0)
        case "True" | "False":
            return _compare_bools(query.operator, value.kind == "True", wanted)
    return False


def _loosely(word: str, value: Result) -> bool | None:
    """``~true``, ``~false``, ``~null`` and ``~*`` ask what a value is like."""
    said = value.text.lower() if value.kind == "String" else ""
    match word:
        case "*":
            return value.exists
        case "null":
            return value.kind == "Null"
        case "true":
            return value.kind == "True" or said in ("1", "t", "true") or (value.kind == "Number" and value.number != 0)
        case "false":
            return value.kind in ("Null", "False") or said in ("0", "f", "false") or (value.kind == "Number" and value.number == 0)
    return None


def _compare_texts(operator: str, text: str, wanted: str) -> bool:
    if operator in ("%", "!%"):
        return wildcard_match(text, wanted) == (operator == "%")
    return _ordered(operator, text, wanted)


def _compare_bools(operator: str, value: bool, wanted: str) -> bool:
    if operator in ("=", "!="):
        return (wanted == str(value).lower()) == (operator == "=")
    strict, loose = (">", ">=") if value else ("<", "<=")
    return operator == loose or (operator == strict and wanted == str(not value).lower())


def _ordered(operator: str, left: _Ordered, right: _Ordered) -> bool:
    match operator:
        case "=":
            return left == right
        case "!=":
            return left != right
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right
    return False
