"""One node of a run that a test looks at: what it was given, what it was told to do, how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flowcore.jsontypes import JsonObject, objects_of, text_of
from flowcore.nodes import Node, NodeType, Phase
from flowcore.ports import Invocation


@dataclass(frozen=True, slots=True, repr=False)
class NodeView:
    """A node with its attempts and what its executor was asked to do. ``row`` is all that is recorded of it."""

    row: Node
    attempts: tuple[NodeView, ...] = ()
    invocation: Invocation | None = None

    def __repr__(self) -> str:
        told = f" ({self.message})" if self.message else ""
        return f"<{self.name}: {self.phase}{told}>"

    @property
    def name(self) -> str:
        """The full name, as Argo has it."""
        return self.row.name

    @property
    def display_name(self) -> str:
        """The name in the tree."""
        return self.row.display_name

    @property
    def type(self) -> NodeType:
        return self.row.type

    @property
    def template(self) -> str:
        """The name of its template."""
        return self.row.template_name

    @property
    def phase(self) -> Phase:
        return self.row.phase

    @property
    def message(self) -> str:
        return self.row.message

    @property
    def started_at(self) -> datetime | None:
        return self.row.started_at

    @property
    def finished_at(self) -> datetime | None:
        return self.row.finished_at

    @property
    def duration(self) -> timedelta:
        """How long it took; nothing for a node that has not run or not ended."""
        if self.row.started_at is None or self.row.finished_at is None:
            return timedelta(0)
        return self.row.finished_at - self.row.started_at

    @property
    def inputs(self) -> dict[str, str]:
        """The values of its input parameters by name."""
        return _values(self.row.inputs)

    @property
    def outputs(self) -> dict[str, str]:
        """The values of its output parameters by name."""
        return _values(self.row.outputs)

    @property
    def result(self) -> str | None:
        """What it printed, where the workflow uses that."""
        value = (self.row.outputs or {}).get("result")
        return value if isinstance(value, str) else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of its main container."""
        code = (self.row.outputs or {}).get("exitCode")
        return int(code) if isinstance(code, str) and code.isdigit() else None

    @property
    def command(self) -> list[str]:
        """Command and arguments of its container or script as they would have been run, all tags replaced. Empty if it ran none."""
        if self.invocation is None:
            return []
        template = self.invocation.template
        container = template.container or template.script
        return [*(container.command or ()), *(container.args or ())] if container else []

    @property
    def source(self) -> str:
        """The source of its script, all tags replaced."""
        script = self.invocation.template.script if self.invocation else None
        return script.source if script else ""

    @property
    def env(self) -> dict[str, str]:
        """The environment that its container was given by value."""
        template = self.invocation.template if self.invocation else None
        container = (template.container or template.script) if template else None
        body = container.to_json() if container else {}
        return {text_of(item, "name"): text_of(item, "value") for item in objects_of(body, "env")}


def _values(holder: JsonObject | None) -> dict[str, str]:
    return {text_of(item, "name"): str(item["value"]) for item in objects_of(holder or {}, "parameters") if item.get("value") is not None}


__all__ = ["NodeView"]
