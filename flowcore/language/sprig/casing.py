"""Sprig: upper and lower case, camel, snake and kebab case, initials."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.texts import SPACES
from flowcore.language.sprig.values import to_bytes


@sprig("upper")
def upper(text: str) -> str:
    return "".join(map(_upper, text))


@sprig("lower")
def lower(text: str) -> str:
    return "".join(map(_lower, text))


def _upper(character: str) -> str:
    raised = character.upper()
    return raised if len(raised) == 1 else character


def _lower(character: str) -> str:
    return character.lower()[:1]


def _title(character: str) -> str:
    raised = character.title()
    return raised if len(raised) == 1 else character


def _is_upper(character: str) -> bool:
    return unicodedata.category(character) == "Lu"


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] == "L"


def _is_number(character: str) -> bool:
    return unicodedata.category(character)[0] == "N"


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] == "P"


@sprig("title")
def title(text: str) -> str:
    """A capital at the begin of each word."""
    built: list[str] = []
    previous = " "
    for character in text:
        built.append(_title(character) if _separates(previous) else character)
        previous = character
    return "".join(built)


def _separates(character: str) -> bool:
    if character.isascii():
        return not (character.isalnum() or character == "_")
    return character in SPACES and not (_is_letter(character) or _is_number(character))


@sprig("untitle")
def untitle(text: str) -> str:
    return _at_word_begins(text, _lower)


def _at_word_begins(text: str, change: Callable[[str], str]) -> str:
    built: list[str] = []
    begins = True
    for character in text:
        space = character in SPACES
        built.append(change(character) if begins and not space else character)
        begins = space
    return "".join(built)


@sprig("initials")
def initials(text: str) -> str:
    """The first letter of each word. Go takes each byte for a character; so does this."""
    found: list[str] = []
    begins = True
    for character in map(chr, to_bytes(text)):
        space = character in SPACES
        if begins and not space:
            found.append(character)
        begins = space
    return "".join(found)


@sprig("swapcase")
def swapcase(text: str) -> str:
    built: list[str] = []
    begins = True
    for character in text:
        category = unicodedata.category(character)
        if category in ("Lu", "Lt"):
            built.append(_lower(character))
            begins = False
        elif category == "Ll":
            built.append(_title(character) if begins else _upper(character))
            begins = False
        else:
            built.append(character)
            begins = character in SPACES
    return "".join(built)


# -- words within names -----------------------------------------------------------------------------------------------------------


@sprig("camelcase")
def camelcase(text: str) -> str:
    """Words run together, each with a capital; connectors before the first word stay, of others in a row all but one do; a text of nothing else gains one."""
    body = text.lstrip("-_" + SPACES)
    leading = text[: len(text) - len(body)]
    if not body:
        return text + text[-1:]
    built = [_upper(body[0])]
    pending = ""
    for character in body[1:]:
        if _is_connector(character):
            if pending:
                built.append(pending)
            pending = character
        else:
            built.append(_upper(character) if pending else character)
            pending = ""
    return leading + "".join(built) + pending


@sprig("snakecase")
def snakecase(text: str) -> str:
    return _connected(text, "_")


@sprig("kebabcase")
def kebabcase(text: str) -> str:
    return _connected(text, "-")


def _is_connector(character: str) -> bool:
    return character in "-_" or character in SPACES


_Word = tuple[str, str]
_END: _Word = ("end", "")


def _words(text: str) -> list[_Word]:
    """Runs of characters of one kind: ``connector punctuation upper letters number other``; a capital begins its word."""
    words: list[_Word] = []
    begin = 0
    while begin < len(text):
        kind = _kind(text[begin])
        end = begin + 1
        if kind == "upper":
            end = _upper_word_end(text, begin)
        else:
            while end < len(text) and _continues(kind, text[end]):
                end += 1
        words.append((kind, text[begin:end]))
        begin = end
    return words


def _upper_word_end(text: str, begin: int) -> int:
    """The end of a word that begins with a capital: ``HTTP`` in ``HTTPServer``, ``First`` in ``FirstName``."""
    end = begin + 1
    if end < len(text) and _is_upper(text[end]):
        while end < len(text) and _is_upper(text[end]):
            end += 1
        return end - 1 if end < len(text) and _is_alphabetic(text[end]) else end
    while end < len(text) and _is_alphabetic(text[end]) and not _is_upper(text[end]):
        end += 1
    return end


def _is_alphabetic(character: str) -> bool:
    """Letters but for Chinese, Japanese and Korean signs, which are no part of words."""
    signs = "\u3400" <= character <= "\u4d85" or "\u4e00" <= character <= "\u9fcc" or "\U00020000" <= character <= "\U0002b81d"
    return _is_letter(character) and not signs


def _kind(character: str) -> str:
    if _is_connector(character):
        return "connector"
    if _is_punctuation(character):
        return "punctuation"
    if _is_upper(character):
        return "upper"
    if _is_alphabetic(character):
        return "letters"
    return "number" if _is_number(character) else "other"


def _continues(kind: str, character: str) -> bool:
    return _kind(character) == kind


def _connected(text: str, connector: str) -> str:
    """Lower-case words with a connector between them; numbers stay with the word they follow, unless lower-case letters follow them."""
    words = [*_words(text), _END, _END]
    built: list[str] = []
    index = 0
    while words[index] != _END:
        kind, word = words[index]
        built.append(connector * len(word) if kind == "connector" else _lowered(kind, word))
        index += 1
        if kind == "number":
            index = _take_letters(words, index, built, connector)
        elif kind not in ("connector", "punctuation"):
            index = _behind_word(words, index, built, connector)
    return "".join(built)


def _lowered(kind: str, word: str) -> str:
    return "".join(_lower(character) if _is_upper(character) else character for character in word) if kind == "upper" else word


def _joins(word: _Word) -> bool:
    return word[0] not in ("end", "connector", "punctuation")


def _take_letters(words: list[_Word], index: int, built: list[str], connector: str) -> int:
    """Letters and numbers that follow a number belong to it."""
    while words[index][0] in ("letters", "number"):
        built.append(words[index][1])
        index += 1
    if _joins(words[index]):
        built.append(connector)
    return index


def _behind_word(words: list[_Word], index: int, built: list[str], connector: str) -> int:
    following = words[index]
    if following[0] != "number":
        if _joins(following):
            built.append(connector)
        return index
    if words[index + 1] == _END:
        return index
    if words[index + 1][0] == "letters":
        built += [connector, following[1]]
        return _take_letters(words, index + 1, built, connector)
    built.append(following[1])
    if _joins(words[index + 1]):
        built.append(connector)
    return index + 1
