"""Node field selectors over the rows of a run that has ended: ``displayName=build,phase!=Succeeded``."""

from __future__ import annotations

from collections.abc import Iterable

from flowcore.engine.control import read_selector
from flowcore.errors import UsageError
from flowcore.jsontypes import named, text_of
from flowcore.nodes import Node

_FIELDS = "id, name, displayName, templateName, phase, templateRef.name, templateRef.template, inputs.parameters.NAME.value"


def selected(nodes: Iterable[Node], selector: str) -> list[Node]:
    """The nodes that ``selector`` matches. Raises UsageError for a selector that cannot be read."""
    terms = read_selector(selector)
    return [node for node in nodes if all((_field(node, field) == value) is equal for field, equal, value in terms)]


def _field(node: Node, field: str) -> str | None:
    plain = {
        "id": node.id,
        "name": node.name,
        "displayName": node.display_name,
        "templateName": node.template_name,
        "phase": str(node.phase),
    }
    if field in plain:
        return plain[field]
    match field.split("."):
        case ["templateRef", part]:
            return text_of(node.template_ref or {}, part)
        case ["inputs", "parameters", name, "value"]:
            parameter = named(node.inputs or {}, "parameters", name)
            return None if parameter is None else text_of(parameter, "value")
    raise UsageError(f"nodes cannot be selected by {field!r}, only by {_FIELDS}")


__all__ = ["selected"]
