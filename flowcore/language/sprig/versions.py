"""Sprig: semantic versions and constraints on them, such as ``^1.2`` or ``>=1.0 <2 || 3.x``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering

from flowcore.errors import ExpressionError
from flowcore.language.expr.quoting import go_quote
from flowcore.language.sprig.registry import sprig
from flowcore.language.sprig.values import bounded_text

_EXTRA = r"(-([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?"
_VERSION = re.compile(rf"v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?{_EXTRA}", re.ASCII)
_PATTERN = rf"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?{_EXTRA}"
_UNGROUPED = _PATTERN.replace("(-(", "(?:-(?:").replace(r"(\+(", r"(?:\+(?:").replace("([", "(?:[").replace(r"(\.", r"(?:\.")
_OPERATORS = r"!=|>=|=>|<=|=<|~>|=|>|<|~|\^|"
_CONSTRAINT = re.compile(rf"\s*({_OPERATORS})\s*({_PATTERN})\s*", re.ASCII)
_FIND = re.compile(rf"(?:{_OPERATORS})\s*{_UNGROUPED}", re.ASCII)
_GAP = re.compile(r"\s*,?\s*", re.ASCII)
_RANGE = re.compile(rf"\s*({_UNGROUPED})\s+-\s+({_UNGROUPED})\s*", re.ASCII)
_WILD = ("x", "X", "*")
_LONGEST = 1_000


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A semantic version; missing parts count as 0. Metadata behind a plus sign does not count in comparisons."""

    numbers: tuple[int, int, int]
    prerelease: str = ""
    metadata: str = ""
    original: str = ""

    go_type = "*semver.Version"

    def __str__(self) -> str:
        text = ".".join(map(str, self.numbers))
        text += f"-{self.prerelease}" if self.prerelease else ""
        return text + (f"+{self.metadata}" if self.metadata else "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._order() == other._order()

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def __hash__(self) -> int:
        return hash(self._order())

    def _order(self) -> tuple[tuple[int, int, int], bool, tuple[tuple[int, int, str], ...]]:
        """A release stands above its pre-releases; among their parts numbers stand below words."""
        return self.numbers, not self.prerelease, prerelease_order(self.prerelease)


def prerelease_order(text: str) -> tuple[tuple[int, int, str], ...]:
    """The parts of a pre-release in a form that compares as the parts do."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in text.split(".") if part)


@sprig("semver")
def semver(text: str) -> object:
    return parse_version(text)


@sprig("semverCompare")
def semver_compare(constraint: str, version: str) -> bool:
    bounded_text(len(constraint))
    alternatives = _parse_constraints(constraint)
    found = parse_version(version)
    return any(_all_hold(alternative, found) for alternative in alternatives)


def parse_version(text: str) -> Version:
    """Read a version; raises ExpressionError with Go's message."""
    match = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ExpressionError("invalid semantic version")
    major, minor, patch, _, prerelease, _, metadata = match.groups()
    numbers = [int((part or "0").removeprefix(".")) for part in (major, minor, patch)]
    for number in numbers:
        if number >= 1 << 64:
            reason = f'strconv.ParseUint: parsing "{number}": value out of range'
            raise ExpressionError(f"error parsing version segment: {reason}")
    for part in (prerelease or "").split("."):
        if len(part) > 1 and part[0] == "0" and part.isdecimal():
            raise ExpressionError("version segment starts with 0")
    return Version((numbers[0], numbers[1], numbers[2]), prerelease or "", metadata or "", text)


@dataclass(frozen=True, slots=True)
class _Constraint:
    """One comparison. ``given`` is how many of the three numbers the text names; the others stand for any."""

    operator: str
    version: Version
    given: int


def _parse_constraints(text: str) -> list[list[_Constraint]]:
    if len(text) > _LONGEST:
        raise ExpressionError(f"improper constraint: {go_quote(text[:_LONGEST])}")
    text = _RANGE.sub(lambda match: f">= {match.group(1)}, <= {match.group(2)} ", text)
    return [_parse_alternative(part) for part in text.split("||")]


def _parse_alternative(text: str) -> list[_Constraint]:
    """The comparisons of one alternative, with spaces or commas between them."""
    found: list[_Constraint] = []
    position = len(text) - len(text.lstrip())
    while position < len(text):
        match = _FIND.match(text, position)
        separated = not found or text[position - 1] in " \t\r\n\f\v,"
        if match is None or not separated:
            raise ExpressionError(f"improper constraint: {go_quote(text)}")
        found.append(_parse_constraint(match.group()))
        gap = _GAP.match(text, match.end())
        assert gap is not None
        position = gap.end()
    if not found or text.rstrip().endswith(","):
        raise ExpressionError(f"improper constraint: {go_quote(text)}")
    return found


def _parse_constraint(text: str) -> _Constraint:
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise ExpressionError(f"improper constraint: {go_quote(text)}")
    operator, _, *parts = match.groups()
    numbers: list[str] = []
    for part in parts[:3]:
        digits = (part or "").removeprefix(".")
        if not digits or digits in _WILD:
            break
        numbers.append(digits)
    try:
        version = parse_version(".".join([*numbers, "0", "0", "0"][:3]) + (parts[3] or ""))
    except ExpressionError:
        raise ExpressionError("constraint parser error") from None
    return _Constraint(operator, version, len(numbers))


def _all_hold(constraints: list[_Constraint], version: Version) -> bool:
    with_prereleases = any(constraint.version.prerelease for constraint in constraints)
    if version.prerelease and not with_prereleases:
        return False
    return all(_holds(constraint, version) for constraint in constraints)


def _holds(constraint: _Constraint, version: Version) -> bool:
    match constraint.operator:
        case "" | "=":
            return version == constraint.version if constraint.given == 3 else _within_tilde(constraint, version)
        case "!=":
            return _differs(constraint, version)
        case ">":
            return _above(constraint, version)
        case "<":
            return version < constraint.version
        case ">=" | "=>":
            return version >= constraint.version
        case "<=" | "=<":
            return _not_above(constraint, version)
        case "^":
            return _within_caret(constraint, version)
    return _within_tilde(constraint, version)


def _differs(constraint: _Constraint, version: Version) -> bool:
    given = constraint.given
    if given == 3:
        return version != constraint.version
    if version.numbers[0] != constraint.version.numbers[0]:
        return True
    if version.numbers[:given] != constraint.version.numbers[:given]:
        return True
    if given == 2 and (version.prerelease or constraint.version.prerelease):
        return prerelease_order(version.prerelease) != prerelease_order(constraint.version.prerelease)
    return given == 0 and version != constraint.version


def _above(constraint: _Constraint, version: Version) -> bool:
    if constraint.given in (1, 2):
        return version.numbers[: constraint.given] > constraint.version.numbers[: constraint.given]
    return version > constraint.version


def _not_above(constraint: _Constraint, version: Version) -> bool:
    if constraint.given == 3:
        return version <= constraint.version
    compared = 1 if constraint.given == 1 else 2
    return version.numbers[:compared] <= constraint.version.numbers[:compared]


def _within_tilde(constraint: _Constraint, version: Version) -> bool:
    """Not below it, and the same major and, where given, minor number; ``~0.0.0`` takes all."""
    if version < constraint.version:
        return False
    if constraint.version.numbers == (0, 0, 0) and constraint.given not in (1, 2):
        return True
    compared = 1 if constraint.given == 1 else 2
    return version.numbers[:compared] == constraint.version.numbers[:compared]


def _within_caret(constraint: _Constraint, version: Version) -> bool:
    """Not below it, and the same up to the first number that is not 0."""
    if version < constraint.version:
        return False
    major, minor, _ = constraint.version.numbers
    if major or constraint.given == 1:
        return version.numbers[0] == major
    if minor or constraint.given == 2:
        return version.numbers[:2] == (major, minor)
    return version.numbers == constraint.version.numbers
