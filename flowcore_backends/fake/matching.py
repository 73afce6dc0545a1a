"""What a fact applies to: invocations by template, node, step, image, attempt, inputs, or whatever a function says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from flowcore.errors import UsageError
from flowcore.jsontypes import object_of, objects_of, text_of
from flowcore.ports import Invocation

Pattern: TypeAlias = "str | re.Pattern[str]"
Predicate: TypeAlias = Callable[[Invocation], bool]
InputPattern: TypeAlias = "Pattern | int | float | bool | Callable[[str], bool]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """The conditions of one fact; all that are given must hold.

    Texts are compared whole, with ``*`` and ``?`` as wildcards (brackets mean themselves, since node names have them); compiled regular
    expressions are searched for. ``what`` is compared with the template's name, the node's name, its display name and its step.
    """

    what: Pattern | None = None
    template: Pattern | None = None
    node: Pattern | None = None
    step: Pattern | None = None
    image: Pattern | None = None
    attempt: int | None = None
    where: Predicate | None = None
    inputs: Mapping[str, InputPattern] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("what", "template", "node", "step", "image"):
            if not isinstance(getattr(self, name), (str, re.Pattern, type(None))):
                raise UsageError(f"when({name}=...) takes a text or a compiled regular expression, not {getattr(self, name)!r}")
        if self.attempt is not None and (isinstance(self.attempt, bool) or not isinstance(self.attempt, int)):
            raise UsageError(f"when(attempt=...) takes a number, counted from 0, not {self.attempt!r}")

    def matches(self, invocation: Invocation) -> bool:
        """Whether the fact speaks of this invocation."""
        return (
            (self.what is None or self._is_called(invocation, self.what))
            and (self.template is None or fits(self.template, invocation.template_name))
            and (self.node is None or fits(self.node, invocation.node_name) or fits(self.node, invocation.display_name))
            and (self.step is None or fits(self.step, invocation.step_name))
            and (self.attempt is None or self.attempt == invocation.attempt)
            and (self.image is None or fits(self.image, image_of(invocation)))
            and (not self.inputs or self._has_inputs(invocation))
            and (self.where is None or bool(self.where(invocation)))
        )

    @staticmethod
    def _is_called(invocation: Invocation, what: Pattern) -> bool:
        names = (invocation.template_name, invocation.node_name, invocation.display_name, invocation.step_name)
        return any(fits(what, name) for name in names)

    def _has_inputs(self, invocation: Invocation) -> bool:
        given = parameters_of(invocation)
        return all(_input_fits(pattern, _named(given, name)) for name, pattern in self.inputs.items())

    def __str__(self) -> str:
        """The call that made it, for messages."""
        parts = [repr(self.what)] if self.what is not None else []
        parts += [
            f"{name}={value!r}" for name in ("template", "node", "step", "image", "attempt") if (value := getattr(self, name)) is not None
        ]
        parts += [f"{name}={value!r}" for name, value in self.inputs.items()]
        parts += ["where=..."] if self.where is not None else []
        return f"when({', '.join(parts)})"


def fits(pattern: Pattern, text: str) -> bool:
    """Whether ``pattern`` (a text with wildcards, or a regular expression) fits ``text``."""
    if isinstance(pattern, re.Pattern):
        return pattern.search(text) is not None
    if pattern == text:
        return True
    return ("*" in pattern or "?" in pattern) and _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in glob), re.DOTALL)


def image_of(invocation: Invocation) -> str:
    """The image of the container or script that is run, or nothing."""
    return text_of(object_of(invocation.body, "container"), "image") or text_of(object_of(invocation.body, "script"), "image")


def parameters_of(invocation: Invocation) -> dict[str, str]:
    """The values of the input parameters by name."""
    return {
        text_of(parameter, "name"): str(parameter["value"])
        for parameter in objects_of(invocation.inputs or {}, "parameters")
        if parameter.get("value") is not None
    }


def python_name(name: str) -> str:
    """What an input is called as an argument in Python: ``my-input`` is ``my_input``."""
    return re.sub(r"\W", "_", name)


def _named(given: Mapping[str, str], name: str) -> str | None:
    if name in given:
        return given[name]
    return next((value for key, value in given.items() if python_name(key) == name), None)


def _input_fits(pattern: InputPattern, value: str | None) -> bool:
    if value is None:
        return False
    if isinstance(pattern, bool):
        return value == ("true" if pattern else "false")
    if isinstance(pattern, (int, float)):
        return value == str(pattern)
    if isinstance(pattern, (str, re.Pattern)):
        return fits(pattern, value)
    return bool(pattern(value))


__all__ = ["InputPattern", "Matcher", "Pattern", "Predicate", "fits", "image_of", "parameters_of", "python_name"]
