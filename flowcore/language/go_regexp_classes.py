"""Sets of characters for regular expressions: Perl, POSIX and Unicode classes, negation, case folding. Called by ``go_regexp_syntax``."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
_GENERAL = frozenset(
    [
        "Lu",
        "Ll",
        "Lt",
        "Lm",
        "Lo",
        "Mn",
        "Mc",
        "Me",
        "Nd",
        "Nl",
        "No",
        "Pc",
        "Pd",
        "Ps",
        "Pe",
        "Pi",
        "Pf",
        "Po",
        "Sm",
        "Sc",
        "Sk",
        "So",
        "Zs",
        "Zl",
        "Zp",
        "Cc",
        "Cf",
        "Co",
        "Cs",
    ]
)


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same characters in order, without overlap."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def negate_ranges(ranges: Ranges) -> Ranges:
    """Every other character."""
    others: list[tuple[int, int]] = []
    following = 0
    for low, high in merge_ranges(ranges):
        if low > following:
            others.append((following, low - 1))
        following = high + 1
    if following <= LAST:
        others.append((following, LAST))
    return tuple(others)


def _set(text: str) -> Ranges:
    """Ranges written as pairs of characters."""
    return merge_ranges((ord(text[index]), ord(text[index + 1])) for index in range(0, len(text), 2))


_DIGIT, _SPACE, _WORD = _set("09"), _set("\t\n\f\r  "), _set("09AZaz__")
PERL_CLASSES: dict[str, Ranges] = {
    "d": _DIGIT,
    "D": negate_ranges(_DIGIT),
    "s": _SPACE,
    "S": negate_ranges(_SPACE),
    "w": _WORD,
    "W": negate_ranges(_WORD),
}
POSIX_CLASSES: dict[str, Ranges] = {
    "alnum": _set("09AZaz"),
    "alpha": _set("AZaz"),
    "ascii": _set("\x00\x7f"),
    "blank": _set("\t\t  "),
    "cntrl": _set("\x00\x1f\x7f\x7f"),
    "digit": _DIGIT,
    "graph": _set("!~"),
    "lower": _set("az"),
    "print": _set(" ~"),
    "punct": _set("!/:@[`{~"),
    "space": _set("\t\r  "),
    "upper": _set("AZ"),
    "word": _WORD,
    "xdigit": _set("09AFaf"),
}


_SCRIPTS = frozenset(
    [
        "Arabic",
        "Armenian",
        "Balinese",
        "Bengali",
        "Bopomofo",
        "Braille",
        "Buginese",
        "Cherokee",
        "Coptic",
        "Cyrillic",
        "Deseret",
        "Devanagari",
        "Ethiopic",
        "Georgian",
        "Glagolitic",
        "Gothic",
        "Greek",
        "Gujarati",
        "Gurmukhi",
        "Hangul",
        "Hanunoo",
        "Hebrew",
        "Hiragana",
        "Javanese",
        "Kannada",
        "Katakana",
        "Khmer",
        "Lao",
        "Latin",
        "Limbu",
        "Malayalam",
        "Mongolian",
        "Myanmar",
        "Ogham",
        "Oriya",
        "Runic",
        "Sinhala",
        "Sundanese",
        "Syriac",
        "Tagalog",
        "Tamil",
        "Telugu",
        "Thaana",
        "Thai",
        "Tibetan",
        "Tifinagh",
        "Yi",
    ]
)


@lru_cache(maxsize=64)
def unicode_class(name: str) -> Ranges | None:
    """The characters of a general category (``L``, ``Lu``), of ``Any``, or of a script; None when there is no such class.

    A script's characters are those whose Unicode name begins with it.
    """
    if name == "Any":
        return ((0, LAST),)
    if name in _GENERAL or any(name == category[0] for category in _GENERAL):
        return _where(lambda character: unicodedata.category(character).startswith(name))
    if name == "Han":
        return _where(lambda character: unicodedata.name(character, "").startswith(("CJK UNIFIED", "CJK COMPAT", "CJK RADICAL", "KANGXI")))
    if name in _SCRIPTS:
        return _where(lambda character: unicodedata.name(character, "").startswith(f"{name.upper()} "))
    return None


def _where(belongs: Callable[[str], bool]) -> Ranges:
    ranges: list[tuple[int, int]] = []
    for code in range(LAST + 1):
        if belongs(chr(code)):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1] = (ranges[-1][0], code)
            else:
                ranges.append((code, code))
    return tuple(ranges)


def fold_ranges(ranges: Ranges) -> Ranges:
    """The characters and all that differ from them in case only."""
    more = [
        (ord(other), ord(other))
        for character, others in _case_partners().items()
        if any(low <= ord(character) <= high for low, high in ranges)
        for other in others
    ]
    return merge_ranges([*ranges, *more])


@lru_cache(maxsize=1)
def _case_partners() -> dict[str, frozenset[str]]:
    """Each character with case, and all characters that are the same but for case (three for k: k, K and the Kelvin sign)."""
    alike: dict[str, set[str]] = {}
    for code in range(0x1F000):
        character = chr(code)
        lowered = character.lower()
        lowered = lowered.upper().lower() if len(lowered.upper()) == 1 else lowered
        if len(lowered) == 1 and (lowered != character or character.upper() != character):
            alike.setdefault(lowered, set()).add(character)
    return {character: frozenset(group) for group in alike.values() if len(group) > 1 for character in group}
