"""Sprig: regular expressions. The ``must`` functions say what is wrong with a pattern; the others panic with it, as Go does."""

from __future__ import annotations

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.expr.quoting import go_quote
from flowcore.language.expr.values import TextList
from flowcore.language.go_regexp import Regexp, compile_regexp, quote_meta
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import bounded_items, bounded_text


def _pattern(source: str, *, must: bool) -> Regexp:
    try:
        return compile_regexp(source)
    except LimitExceeded:
        raise
    except ExpressionError as error:
        quoted = f"`{source}`" if "`" not in source else go_quote(source)
        raise ExpressionError(error.message if must else f"regexp: Compile({quoted}): {error.message}") from None


@sprig("regexMatch")
def regex_match(pattern: str, text: str) -> bool:
    try:
        return _pattern(pattern, must=True).matches(text)
    except LimitExceeded:
        raise
    except ExpressionError:
        return False


@sprig("mustRegexMatch")
def must_regex_match(pattern: str, text: str) -> bool:
    return _pattern(pattern, must=True).matches(text)


def _find(regexp: Regexp, text: str) -> str:
    slots = regexp.search(text)
    return text[slots[0] : slots[1]] if slots else ""


@sprig("regexFind")
def regex_find(pattern: str, text: str) -> str:
    return _find(_pattern(pattern, must=False), text)


@sprig("mustRegexFind")
def must_regex_find(pattern: str, text: str) -> str:
    return _find(_pattern(pattern, must=True), text)


def _find_all(regexp: Regexp, text: str, count: int) -> TextList:
    found = TextList()
    for slots in regexp.find_all(text, count):
        found.append(text[slots[0] : slots[1]])
        bounded_items(len(found))
    return found


@sprig("regexFindAll")
def regex_find_all(pattern: str, text: str, count: int) -> object:
    return _find_all(_pattern(pattern, must=False), text, count)


@sprig("mustRegexFindAll")
def must_regex_find_all(pattern: str, text: str, count: int) -> object:
    return _find_all(_pattern(pattern, must=True), text, count)


def _replaced(regexp: Regexp, text: str, template: str, *, literal: bool) -> str:
    made = regexp.replace_literal(text, template) if literal else regexp.replace(text, template)
    bounded_text(len(made))
    return made


@sprig("regexReplaceAll")
def regex_replace_all(pattern: str, text: str, template: str) -> str:
    return _replaced(_pattern(pattern, must=False), text, template, literal=False)


@sprig("mustRegexReplaceAll")
def must_regex_replace_all(pattern: str, text: str, template: str) -> str:
    return _replaced(_pattern(pattern, must=True), text, template, literal=False)


@sprig("regexReplaceAllLiteral")
def regex_replace_all_literal(pattern: str, text: str, replacement: str) -> str:
    return _replaced(_pattern(pattern, must=False), text, replacement, literal=True)


@sprig("mustRegexReplaceAllLiteral")
def must_regex_replace_all_literal(pattern: str, text: str, replacement: str) -> str:
    return _replaced(_pattern(pattern, must=True), text, replacement, literal=True)


@sprig("regexSplit")
def regex_split(pattern: str, text: str, count: int) -> object:
    return TextList(_pattern(pattern, must=False).split(text, count))


@sprig("mustRegexSplit")
def must_regex_split(pattern: str, text: str, count: int) -> object:
    return TextList(_pattern(pattern, must=True).split(text, count))


@sprig("regexQuoteMeta")
def regex_quote_meta(text: str) -> str:
    return quote_meta(text)
