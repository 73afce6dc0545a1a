"""The parts of a text with tags, and what each tag turns into.

``parse_text`` cuts a text into literal pieces, simple tags (``{{inputs.parameters.a}}``) and expression tags (``{{=asInt(item) + 1}}``), each
in either pair of delimiters. Only ``language.tags`` calls this; everybody else uses what is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final, TypeAlias

from flowcore.errors import AbsentOptional, ExpressionError, LimitExceeded, UnresolvedTag
from flowcore.language.delimited import cut
from flowcore.language.expressions import Expression, compile_expression, to_text
from flowcore.language.scope import ABSENT, MISSING, Scope

LONGEST_TEXT: Final = 64 * 1024 * 1024
"""Texts longer than this, in characters, are not made."""

Functions: TypeAlias = Mapping[str, Callable[..., object] | Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Strictness:
    """Which names must have a value: everything, those below ``prefixes``, or (the default) none. Others stay in the text as tags."""

    everything: bool = False
    prefixes: tuple[str, ...] = ()

    LENIENT: ClassVar[Strictness]
    ALL: ClassVar[Strictness]
    STEPS_AND_TASKS: ClassVar[Strictness]

    @property
    def lenient(self) -> bool:
        """Whether nothing at all is demanded."""
        return not self.everything and not self.prefixes

    def demands(self, name: str) -> bool:
        """Whether an expression may not do without ``name``."""
        return self.everything or _base(name) in self.prefixes

    def demands_tag(self, key: str) -> bool:
        """Whether a simple tag for ``key`` must have a value; artifacts of steps and tasks are found by other means."""
        return self.everything or (_base(key) in self.prefixes and ".outputs.artifacts." not in key)


LENIENT: Final = Strictness()
ALL: Final = Strictness(everything=True)
STEPS_AND_TASKS: Final = Strictness(prefixes=("steps", "tasks"))
Strictness.LENIENT, Strictness.ALL, Strictness.STEPS_AND_TASKS = LENIENT, ALL, STEPS_AND_TASKS


@dataclass(frozen=True, slots=True)
class Rendering:
    """How one substitution is done: what is demanded, and what expressions may call."""

    strict: Strictness
    functions: Functions


_VARIABLE: Final = re.compile(
    r"item(\..+)?|retries|lastRetry\.\w+|(pod|node|steps|tasks)\.name"
    r"|(steps|tasks)\.[\w-]+\.(id|ip|status|exitCode|startedAt|finishedAt|hostNodeName|outputs\..+)"
    r"|(inputs|outputs)\.(parameters|artifacts)(\..+)?|workflow\.[a-z]\w*(\..+)?"
)
"""Names that Argo's variables can have. Between angle brackets only these are ever demanded: all else may be somebody's shell or C++."""


class SimpleTag:
    """A tag that names one variable. ``source`` is the text between the delimiters, ``key`` the same without blanks around it."""

    __slots__ = ("angled", "key", "source", "whole")

    def __init__(self, source: str, whole: str) -> None:
        self.source, self.whole = source, whole
        self.key = source.strip()
        self.angled = whole.startswith("<<")

    def names(self) -> tuple[str, ...]:
        return (self.key,)

    def render(self, scope: Scope, rendering: Rendering) -> str:
        """The variable's value, or the tag itself where it has none and none is demanded."""
        value = scope.lookup(self.key)
        if isinstance(value, str):
            return value
        if value is MISSING:
            return self._missing(scope, rendering)
        if value is ABSENT or value is None:
            raise AbsentOptional(
                f"unable to substitute {self.whole}: output is an absent optional (skipped/omitted node with no default)", source=self.whole
            )
        raise UnresolvedTag(f"failed to resolve {self.whole} to string", source=self.whole)

    def _missing(self, scope: Scope, rendering: Rendering) -> str:
        completed = self._complete(scope, rendering)
        if completed is not None:
            return completed
        if rendering.strict.demands_tag(self.key) and (not self.angled or _is_variable(self.key)):
            raise UnresolvedTag(f"failed to resolve {self.whole}", source=self.whole)
        return self.whole

    def _complete(self, scope: Scope, rendering: Rendering) -> str | None:
        """The text with a tag inside the tag replaced, for the next pass to resolve: ``{{inputs.parameters.{{item}}`` and its like."""
        outer, opening, inner = self.source.rpartition("{{")
        if opening and outer:
            value = scope.lookup(inner)
            if value is ABSENT or value is None:
                raise AbsentOptional(f'unable to substitute nested tag {self.whole}: "{inner}" is an absent optional', source=self.whole)
            if isinstance(value, str):
                return "{{" + outer + value
        if "<<" in self.source:
            text = parse_text(self.source)
            rendered = text.render(scope, rendering) if text is not None else self.source
            if rendered != self.source:
                return "{{" + rendered + "}}"
        return None


_LATE_BOUND: Final = frozenset(
    {
        "item",
        "retries",
        "lastRetry.exitCode",
        "lastRetry.status",
        "lastRetry.duration",
        "lastRetry.message",
        "workflow.status",
        "workflow.failures",
    }
)
"""Names that get their values after the first passes: an expression over one of them waits for it."""


class ExpressionTag:
    """A tag that holds an expression. ``source`` is the expression's text."""

    __slots__ = ("_compiled", "_required", "angled", "source", "whole")

    def __init__(self, source: str, whole: str) -> None:
        self.source, self.whole = source, whole
        self.angled = whole.startswith("<<")
        self._compiled: Expression | ExpressionError | None = None
        self._required: tuple[tuple[str, list[str]], ...] = ()

    def names(self) -> tuple[str, ...]:
        """The dotted names that the expression reads; none if it cannot be parsed."""
        compiled = self._compile()
        return () if isinstance(compiled, ExpressionError) else tuple(".".join(reference.path) for reference in compiled.references)

    def _compile(self) -> Expression | ExpressionError:
        if self._compiled is None:
            try:
                self._compiled = compile_expression(self.source)
                self._required = tuple((name, name.split(".")) for name in required_names(self._compiled))
            except ExpressionError as error:
                self._compiled = error
        return self._compiled

    def render(self, scope: Scope, rendering: Rendering) -> str:
        """The expression's value as text, or the tag itself where it has to wait."""
        compiled = self._compile()
        if isinstance(compiled, ExpressionError):
            if self.angled or scope.has_placeholders():
                return self.whole
            raise _failed(compiled, self.source)
        environment = scope.environment()
        if self.angled and not self._over_known_names(environment, rendering):
            return self.whole
        missing = [name for name, path in self._required if not _leads_somewhere(path, environment, rendering.functions)]
        for name in missing:
            if rendering.strict.demands(name):
                raise UnresolvedTag(f"failed to evaluate expression: {name} is missing", source=self.source)
        tolerant = bool(missing) or rendering.strict.lenient
        if tolerant and not _LATE_BOUND.isdisjoint(missing):
            return self.whole
        return self._evaluate(compiled, environment, scope, rendering, tolerant)

    def _evaluate(self, compiled: Expression, environment: Mapping[str, object], scope: Scope, rendering: Rendering, tolerant: bool) -> str:
        try:
            value = compiled.evaluate(environment, functions=rendering.functions)
            if value is not None:
                return to_text(value)
        except LimitExceeded:
            raise
        except ExpressionError as error:
            unknown = _UNKNOWN_NAME.match(error.message)
            if unknown is not None and rendering.strict.demands(unknown[1]):
                raise UnresolvedTag(f"failed to evaluate expression: {unknown[1]} is missing", source=self.source) from error
            if tolerant or unknown is not None or scope.has_placeholders():
                return self.whole
            raise _failed(error, self.source) from error
        if tolerant or scope.has_placeholders():
            return self.whole
        raise ExpressionError(f'failed to evaluate expression "{self.source}"', source=self.source)

    def _over_known_names(self, environment: Mapping[str, object], rendering: Rendering) -> bool:
        """Whether this is an expression and not, say, a shift: it reads or calls something, and only reads what there is or will be."""
        names = self.names()
        return bool(names or _CALL.search(self.source)) and all(
            _is_variable(name) or _base(name) in environment or _base(name) in rendering.functions for name in names
        )


_CALL: Final = re.compile(r"\b(?:asInt|asFloat|toJson|jsonpath|sprig\s*\.\s*\w+)\s*\(")
_UNKNOWN_NAME: Final = re.compile(r"unknown name (\w+)")


def _is_variable(name: str) -> bool:
    return _VARIABLE.fullmatch(name) is not None


def _base(name: str) -> str:
    return name.partition(".")[0]


def _failed(error: ExpressionError, source: str) -> ExpressionError:
    return ExpressionError(f"failed to evaluate expression: {error.message}", source=source, at=error.at, stage=error.stage)


def required_names(expression: Expression) -> tuple[str, ...]:
    """The dotted names an expression needs, and those that begin them: all of a path, or only its base where ``??`` or ``?.`` guards it."""
    names: dict[str, None] = {}
    for reference in expression.references:
        lengths = range(1, 2 if reference.guarded else len(reference.path) + 1)
        names.update((".".join(reference.path[:length]), None) for length in lengths)
    return tuple(names)


def _leads_somewhere(path: list[str], environment: Mapping[str, object], functions: Functions) -> bool:
    if path[0] not in environment:
        return path[0] in functions
    node: object = environment
    for part in path:
        if not isinstance(node, dict | Mapping) or part not in node:
            return False
        node = node[part]
    return True


Tag: TypeAlias = SimpleTag | ExpressionTag


class Text:
    """A text with at least one tag, cut into pieces."""

    __slots__ = ("parts", "text")

    def __init__(self, text: str, parts: tuple[str | Tag, ...]) -> None:
        self.text, self.parts = text, parts

    def tags(self) -> tuple[Tag, ...]:
        return tuple(part for part in self.parts if not isinstance(part, str))

    def render(self, scope: Scope, rendering: Rendering) -> str:
        """The text with its tags replaced; the very same text when nothing changed."""
        parts = self.parts
        if len(parts) == 1 and not isinstance(parts[0], str):
            result = parts[0].render(scope, rendering)
        else:
            pieces = [part if isinstance(part, str) else part.render(scope, rendering) for part in parts]
            if sum(map(len, pieces)) > LONGEST_TEXT:
                raise LimitExceeded(f"substitution would make a text longer than {LONGEST_TEXT} characters", source=self.text[:200])
            result = "".join(pieces)
        return self.text if result == self.text else result


_CACHED_LENGTH: Final = 4096


def parse_text(text: str) -> Text | None:
    """The parts of ``text``, or None when there is no tag in it. Delimiters without a partner are plain text."""
    if "{{" not in text and "<<" not in text:
        return None
    return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)


def _parse(text: str) -> Text | None:
    """Tags end at the first ``}}``; between them, text in angle brackets belongs to the innermost pair."""
    parts: list[str | Tag] = []
    for literal, source in cut(text, "{{", "}}"):
        _parse_angled(literal, parts)
        if source is not None:
            parts.append(_tag(source, "{{" + source + "}}"))
    return Text(text, tuple(parts)) if any(not isinstance(part, str) for part in parts) else None


_parse_cached = lru_cache(maxsize=16384)(_parse)


def _parse_angled(text: str, parts: list[str | Tag]) -> None:
    position = searched = 0
    while (end := text.find(">>", searched)) >= 0:
        start = text.rfind("<<", position, end)
        source = text[start + 2 : end]
        searched = end + 2 if start >= 0 else end + 1
        if start < 0 or not source.strip() or ("\n" in source and not source.startswith("=")):
            continue
        if start > position:
            parts.append(text[position:start])
        parts.append(_tag(source, text[start : end + 2]))
        position = searched
    if position < len(text):
        parts.append(text[position:])


def _tag(source: str, whole: str) -> Tag:
    return ExpressionTag(source[1:], whole) if source.startswith("=") else SimpleTag(source, whole)
