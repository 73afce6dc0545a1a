"""The ways in which a jq program can fail on its input. Raised throughout this package; programs may catch all but ``Halt``."""

from __future__ import annotations

from flowcore.jsontypes import Json
from flowcore.language.jq.encoding import encode, preview, type_name


class JqFailure(Exception):
    """A failure with gojq's message, which is what ``try ... catch`` sees."""

    @property
    def caught(self) -> Json:
        """The value that a handler gets."""
        return str(self)


class ValueFailure(JqFailure):
    """The failure that a program raised itself, with any value."""

    def __init__(self, value: Json) -> None:
        self.value = value
        super().__init__("error: " + (value if isinstance(value, str) else encode(value)))

    @property
    def caught(self) -> Json:
        return self.value


class Halt(JqFailure):
    """The program ends itself; no handler sees it."""

    def __init__(self, value: Json) -> None:
        super().__init__("halt error: " + (value if isinstance(value, str) else encode(value)))


class Broken(JqFailure):
    """A ``break`` on its way to its label."""

    def __init__(self, label: int) -> None:
        self.label = label
        super().__init__("label not defined")


def shown(value: Json) -> str:
    """A value with its type, as messages show it."""
    return "null" if value is None else f"{type_name(value)} ({preview(value)})"


def not_applicable(name: str, value: Json, *arguments: Json) -> JqFailure:
    """A function got a value of a wrong type."""
    given = f"({'; '.join(map(preview, arguments))})" if arguments else ""
    return JqFailure(f"{name}{given} cannot be applied to: {shown(value)}")


def not_applicable_because(name: str, value: Json, reason: object, *arguments: Json) -> JqFailure:
    """A function failed within."""
    given = f"({'; '.join(map(preview, arguments))})" if arguments else ""
    return JqFailure(f"{name}{given} cannot be applied to {preview(value)}: {reason}")


def expected_object(value: Json) -> JqFailure:
    """Something has no members."""
    return JqFailure(f"expected an object but got: {shown(value)}")


def expected_array(value: Json) -> JqFailure:
    """Something has no items."""
    return JqFailure(f"expected an array but got: {shown(value)}")


def invalid_path(value: Json) -> JqFailure:
    """A path leads away from the input."""
    return JqFailure(f"invalid path against: {shown(value)}")
