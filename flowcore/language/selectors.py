"""Label selectors as Kubernetes reads them: ``app=web,tier in (a, b),!old``.

Called for label queries over runs, for the success and failure conditions of resource templates, and by the status commands. The rules and
messages are those of apimachinery's ``labels.Parse``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import JsonObject, object_of, objects_of, strings_of, text_of

MAX_TEXT = 64 * 1024

_TOKEN = re.compile(r"[ \t\r\n]*(?:(==|!=|[=!(),<>])|([^=!(),<> \t\r\n\0]+)|(\Z|\0))")
_OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_WORDS = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
_NAME_RULE = f"{_WORDS} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
_VALUE_RULE = (
    f"a valid label must be an empty string or {_WORDS.removeprefix('must ')} "
    f"(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '({_NAME})?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. ``operator`` is ``in``, ``notin``, ``=``, ``==``, ``!=``, ``gt``, ``lt``, ``exists`` or ``!``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil it. A label that is not there fulfils ``!``, ``!=`` and ``notin`` only."""
        value = labels.get(self.key)
        if value is None:
            return self.operator in ("!", "!=", "notin")
        match self.operator:
            case "in" | "=" | "==":
                return value in self.values
            case "notin" | "!=":
                return value not in self.values
            case "gt" | "lt":
                return self._orders(value)
        return self.operator == "exists"

    def _orders(self, text: str) -> bool:
        number, bound = _whole_number(text), _whole_number(self.values[0])
        if number is None or bound is None:
            return False
        return number > bound if self.operator == "gt" else number < bound

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
        sign = {"gt": ">", "lt": "<"}.get(self.operator, self.operator)
        return f"{self.key}{sign}{self.values[0]}"


@dataclass(frozen=True, slots=True)
class Selector:
    """Conditions that must all be fulfilled, ordered by key; ``str()`` gives the canonical text."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil every condition; the empty selector takes all."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


@lru_cache(maxsize=256)
def parse_selector(text: str) -> Selector:
    """Read a selector; raises ExpressionError(stage="compile") with Kubernetes' message."""
    if len(text) > MAX_TEXT:
        raise LimitExceeded(f"the selector has more than {MAX_TEXT} characters", source=text[:200], stage="compile")
    requirements = _Parser(text).selector()
    return Selector(tuple(sorted(requirements, key=lambda requirement: requirement.key)))


def matches(text: str, labels: Mapping[str, str]) -> bool:
    """Whether the labels fulfil the selector text."""
    return parse_selector(text).matches(labels)


_WRITTEN_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def label_selector(document: JsonObject) -> Selector:
    """The selector that Kubernetes' objects write as ``matchLabels`` and ``matchExpressions``. Raises ExpressionError for an unknown operator."""
    found = [Requirement(key, "=", (str(value),)) for key, value in object_of(document, "matchLabels").items()]
    for expression in objects_of(document, "matchExpressions"):
        operator = _WRITTEN_OPERATORS.get(text_of(expression, "operator"))
        if operator is None:
            raise ExpressionError(f'"{text_of(expression, "operator")}" is not a valid label selector operator', stage="compile")
        found.append(Requirement(text_of(expression, "key"), operator, tuple(strings_of(expression, "values"))))
    return Selector(tuple(found))


def canonical(text: str) -> str:
    """The selector printed again: conditions and values in order, no superfluous space."""
    return str(parse_selector(text))


class _Parser:
    """Reads tokens in order; the empty one is the end of the text."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._next = text, _tokens(text), 0

    def selector(self) -> list[Requirement]:
        found: list[Requirement] = []
        while word := self._peek():
            if not _is_word(word) and word != "!":
                raise self._problem(f"found '{word}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except _Unreadable as problem:
                raise self._problem(f"unable to parse requirement: {problem}") from None
            if not self._at_separator():
                break
        return found

    def _at_separator(self) -> bool:
        word = self._take()
        if word not in ("", ","):
            raise self._problem(f"found '{word}', expected: ',' or 'end of string'")
        following = self._peek()
        if word and not _is_word(following) and following != "!":
            raise self._problem(f"found '{following}', expected: identifier after ','")
        return bool(word)

    def _requirement(self) -> Requirement:
        negated = self._peek() == "!"
        if negated:
            self._take()
        key = self._take()
        if not _is_word(key):
            raise _Unreadable(f"found '{key}', expected: identifier")
        if problems := _key_problems(key):
            raise _Unreadable(f"<nil>: Invalid value: {_quote(key)}: {'; '.join(problems)}")
        if negated or self._peek() in ("", ","):
            return Requirement(key, "!" if negated else "exists")
        operator = self._operator()
        values = self._values() if operator in ("in", "notin") else self._value()
        _check_values(key, operator, values)
        return Requirement(key, operator, values)

    def _operator(self) -> str:
        word = {">": "gt", "<": "lt"}.get(shown := self._take(), shown)
        if word not in _OPERATORS or shown in ("gt", "lt"):
            raise _Unreadable(f"found '{shown}', expected: {', '.join(_OPERATORS)}")
        return word

    def _value(self) -> tuple[str, ...]:
        if self._peek() in ("", ","):
            return ("",)
        word = self._take()
        if not _is_word(word):
            raise _Unreadable(f"found '{word}', expected: identifier")
        return (word,)

    def _values(self) -> tuple[str, ...]:
        word = self._take()
        if word != "(":
            raise _Unreadable(f"found '{word}' expected: '('")
        word = self._peek()
        if word == ")":
            self._take()
            return ("",)
        if word != "," and not _is_word(word):
            raise _Unreadable(f"found '{word}', expected: ',', ')' or identifier")
        values = self._value_list()
        self._take()
        return tuple(sorted(values))

    def _value_list(self) -> set[str]:
        """The values up to the closing bracket; nothing between two commas is the empty value."""
        values: set[str] = set()
        while True:
            word = self._take()
            following = self._peek()
            if _is_word(word):
                values.add(word)
                if following not in (",", ")"):
                    raise _Unreadable(f"found '{following}', expected: ',' or ')'")
            elif word != ",":
                raise _Unreadable(f"found '{word}', expected: ',', or identifier")
            elif not values or following in (",", ")"):
                values.add("")
            if following == ")":
                return values

    def _peek(self) -> str:
        return self._tokens[self._next]

    def _take(self) -> str:
        word = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return word

    def _problem(self, message: str) -> ExpressionError:
        return ExpressionError(message, source=self._text, stage="compile")


class _Unreadable(Exception):
    """What is wrong with one condition."""


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    while True:
        match = _TOKEN.match(text, position)
        assert match is not None
        sign, word, _end = match.groups()
        position = match.end()
        tokens.append(sign or word or "")
        if not tokens[-1]:
            return tokens


def _is_word(token: str) -> bool:
    return bool(token) and token[0] not in "=!(),<>"


def _check_values(key: str, operator: str, values: tuple[str, ...]) -> None:
    problems: list[str] = []
    for index, value in enumerate(values):
        if operator in ("gt", "lt") and _whole_number(value) is None:
            problems.append(f"values[{index}]: Invalid value: {_quote(value)}: for 'Gt', 'Lt' operators, the value must be an integer")
    for index, value in enumerate(values):
        if found := _value_problems(value):
            problems.append(f"values[{index}][{key}]: Invalid value: {_quote(value)}: {'; '.join(found)}")
    if problems:
        raise _Unreadable(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")


def _key_problems(key: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return [f"a qualified name {_NAME_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    problems: list[str] = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif slash:
        if _size(prefix) > 253:
            problems.append("prefix part must be no more than 253 bytes")
        if not re.fullmatch(_SUBDOMAIN, prefix):
            problems.append(f"prefix part {_SUBDOMAIN_RULE}")
    if not name:
        problems.append("name part must be non-empty")
    elif _size(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if not re.fullmatch(_NAME, name):
        problems.append(f"name part {_NAME_RULE}")
    return problems


def _value_problems(value: str) -> list[str]:
    problems: list[str] = []
    if _size(value) > 63:
        problems.append("must be no more than 63 bytes")
    if not re.fullmatch(f"({_NAME})?", value):
        problems.append(_VALUE_RULE)
    return problems


def _size(text: str) -> int:
    """The length in bytes, also of text that no encoding has, such as broken arguments of a command line."""
    return len(text.encode(errors="replace"))


def _whole_number(text: str) -> int | None:
    """A signed 64-bit decimal number, or None."""
    if not re.fullmatch(r"[+-]?[0-9]{1,40}", text):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
