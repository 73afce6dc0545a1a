"""Tags: putting values for ``{{name}}`` and ``{{=expression}}`` into texts and JSON trees.

Argo replaces tags in the JSON text of an object; here each text and each mapping key of the tree is replaced by itself, which gives the
same for every object that Argo could decode again afterwards. ``<<name>>`` and ``<<=expression>>`` mean the same as the braces, but text
between angle brackets that is no variable and no expression over variables is left alone.

``substitute`` is for values that are seen once; ``compile_tree`` for a template that is rendered for every node. Called by the plan, and by
the engine for every node.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeAlias, TypeVar, cast

from flowcore.errors import LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.scope import Scope
from flowcore.language.tag_parts import (
    ALL,
    LENIENT,
    STEPS_AND_TASKS,
    ExpressionTag,
    Functions,
    Rendering,
    SimpleTag,
    Strictness,
    Tag,
    Text,
    parse_text,
)

T = TypeVar("T")

DEEPEST_TREE: Final = 200
"""Trees nested deeper than this are refused."""

__all__ = [
    "ALL",
    "LENIENT",
    "STEPS_AND_TASKS",
    "Compiled",
    "ExpressionTag",
    "SimpleTag",
    "Strictness",
    "Tag",
    "compile_tree",
    "has_tags",
    "pure_reference",
    "substitute",
    "substitute_text",
    "tag_names",
    "tags_in",
    "unclosed_tag",
]

_LENIENT: Final = Rendering(LENIENT, ARGO_FUNCTIONS)
_STEPS_AND_TASKS: Final = Rendering(STEPS_AND_TASKS, ARGO_FUNCTIONS)


def _rendering(strict: Strictness, functions: Functions) -> Rendering:
    if functions is ARGO_FUNCTIONS:
        if strict is LENIENT:
            return _LENIENT
        if strict is STEPS_AND_TASKS:
            return _STEPS_AND_TASKS
    return Rendering(strict, functions)


def substitute_text(text: str, scope: Scope, *, strict: Strictness = LENIENT, functions: Functions = ARGO_FUNCTIONS) -> str:
    """``text`` with its tags replaced. Raises UnresolvedTag, AbsentOptional or another ExpressionError; see ``substitute``."""
    parsed = parse_text(text)
    return text if parsed is None else parsed.render(scope, _rendering(strict, functions))


def substitute(value: T, scope: Scope, *, strict: Strictness = LENIENT, functions: Functions = ARGO_FUNCTIONS) -> T:
    """A JSON tree with the tags in its texts and mapping keys replaced; ``value`` itself when nothing changed, never changed in place.

    Raises UnresolvedTag for a name without value that ``strict`` demands, AbsentOptional for a simple tag whose value is an absent
    optional, and ExpressionError for an expression that cannot work. Values are inserted as they are, tags in them included.
    """
    if isinstance(value, str):
        parsed = parse_text(value)
        return value if parsed is None else cast("T", parsed.render(scope, _rendering(strict, functions)))
    return compile_tree(value).render(scope, strict=strict, functions=functions)


class Compiled(Generic[T]):
    """A JSON tree in which the places with tags are known; made once, rendered for many scopes."""

    __slots__ = ("_spot", "value")

    def __init__(self, value: T, spot: _Spot | None) -> None:
        self.value, self._spot = value, spot

    @property
    def has_tags(self) -> bool:
        return self._spot is not None

    def render(self, scope: Scope, *, strict: Strictness = LENIENT, functions: Functions = ARGO_FUNCTIONS) -> T:
        """What ``substitute`` gives for the tree. Parts without changes are shared with it, so treat the result as read-only."""
        if self._spot is None:
            return self.value
        return cast("T", self._spot.render(scope, _rendering(strict, functions)))


def compile_tree(value: T) -> Compiled[T]:
    """Find the tags of a JSON tree. Later changes to the tree itself are not noticed."""
    return Compiled(value, _find(value, 0))


class _ListSpot:
    """A list with tags somewhere below."""

    __slots__ = ("spots", "value")

    def __init__(self, value: list[object], spots: list[tuple[int, _Spot]]) -> None:
        self.value, self.spots = value, spots

    def render(self, scope: Scope, rendering: Rendering) -> list[object]:
        value = self.value
        changed: list[object] | None = None
        for index, spot in self.spots:
            new = spot.render(scope, rendering)
            if new is not value[index]:
                if changed is None:
                    changed = value.copy()
                changed[index] = new
        return value if changed is None else changed


class _MapSpot:
    """A mapping with tags somewhere below, but not in its keys."""

    __slots__ = ("spots", "value")

    def __init__(self, value: dict[str, object], spots: list[tuple[str, _Spot]]) -> None:
        self.value, self.spots = value, spots

    def render(self, scope: Scope, rendering: Rendering) -> dict[str, object]:
        value = self.value
        changed: dict[str, object] | None = None
        for key, spot in self.spots:
            new = spot.render(scope, rendering)
            if new is not value[key]:
                if changed is None:
                    changed = value.copy()
                changed[key] = new
        return value if changed is None else changed


class _KeyedSpot:
    """A mapping with tags in its keys. Of keys that become equal the last one wins, as in JSON text."""

    __slots__ = ("entries", "value")

    def __init__(self, value: dict[str, object], spots: dict[str, _Spot]) -> None:
        self.value = value
        self.entries = [(key, parse_text(key), item, spots.get(key)) for key, item in value.items()]

    def render(self, scope: Scope, rendering: Rendering) -> dict[str, object]:
        result: dict[str, object] = {}
        same = True
        for key, parsed, item, spot in self.entries:
            new_key = key if parsed is None else parsed.render(scope, rendering)
            result[new_key] = new = item if spot is None else spot.render(scope, rendering)
            same = same and new is item and new_key is key
        return self.value if same else result


_Spot: TypeAlias = Text | _ListSpot | _MapSpot | _KeyedSpot


def _find(value: object, depth: int) -> _Spot | None:
    if isinstance(value, str):
        return parse_text(value)
    if not isinstance(value, dict | list):
        return None
    if depth >= DEEPEST_TREE:
        raise LimitExceeded(f"a value is nested more than {DEEPEST_TREE} levels deep")
    if isinstance(value, list):
        indexed = [(index, spot) for index, item in enumerate(value) if (spot := _find(item, depth + 1)) is not None]
        return _ListSpot(value, indexed) if indexed else None
    spots = [(key, spot) for key, item in value.items() if (spot := _find(item, depth + 1)) is not None]
    if any(parse_text(key) is not None for key in value):
        return _KeyedSpot(value, dict(spots))
    return _MapSpot(value, spots) if spots else None


def has_tags(value: object) -> bool:
    """Whether a text or JSON tree has any tag."""
    return _find(value, 0) is not None


def tags_in(value: Json) -> Iterator[Tag]:
    """Every tag of a text or JSON tree, keys included, in order of appearance."""
    if isinstance(value, str):
        parsed = parse_text(value)
        if parsed is not None:
            yield from parsed.tags()
    elif isinstance(value, list):
        for item in value:
            yield from tags_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from tags_in(key)
            yield from tags_in(item)


def tag_names(value: Json) -> frozenset[str]:
    """The names that the tags of a text or JSON tree read: keys of simple tags and dotted paths of expressions."""
    return frozenset(name for tag in tags_in(value) for name in tag.names())


def pure_reference(text: str) -> str | None:
    """The name in a text that is exactly one simple tag and nothing more, else None."""
    parsed = parse_text(text)
    if parsed is None or len(parsed.parts) != 1:
        return None
    tag = parsed.parts[0]
    return tag.key if isinstance(tag, SimpleTag) and "{{" not in tag.source else None


def unclosed_tag(text: str) -> int | None:
    """Where a ``{{`` that no ``}}`` follows stands in ``text``; Argo refuses such a text, here it is left as it is."""
    end = text.rfind("}}")
    start = text.find("{{", end + 2 if end >= 0 else 0)
    return start if start >= 0 else None
