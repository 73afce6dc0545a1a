"""What a run gives back: its phase, its nodes and its outputs, as they stand when it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from flowcore.errors import WorkflowFailed
from flowcore.jsontypes import Json, JsonObject, objects_of, text_of
from flowcore.models.workflows import Workflow
from flowcore.nodes import Node, NodeId, RunRow, WorkflowPhase
from flowcore.secrecy import NOTHING, Mask
from flowcore.status import workflow_with_status


@dataclass(frozen=True, slots=True)
class Outputs:
    """Global outputs of a run: ``parameters`` by name, ``artifacts`` by name with their locations."""

    parameters: Mapping[str, str]
    artifacts: Mapping[str, JsonObject]

    @staticmethod
    def of(outputs: JsonObject | None) -> Outputs:
        """The outputs that a row holds."""
        whole = outputs or {}
        return Outputs(
            {text_of(item, "name"): _text(item.get("value")) for item in objects_of(whole, "parameters")},
            {text_of(item, "name"): item for item in objects_of(whole, "artifacts")},
        )


def _text(value: Json) -> str:
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True, repr=False)
class RunResult:
    """A run at its end (or at the moment it was looked at): ``row`` is its own row, ``nodes`` are its nodes by id.

    Both hold sensitive values as they are, for programs that need them; what is made to be shown (``shown``, ``to_json``, errors) masks them.
    """

    row: RunRow
    nodes: Mapping[NodeId, Node]
    manifest: JsonObject
    mask: Mask = NOTHING

    def __repr__(self) -> str:
        return f"<RunResult {self.name} {self.phase}: {len(self.nodes)} nodes>"

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def phase(self) -> WorkflowPhase:
        return self.row.phase

    @property
    def message(self) -> str:
        return self.row.message

    @property
    def outputs(self) -> Outputs:
        """The global outputs of the run."""
        return Outputs.of(self.row.outputs)

    @property
    def duration(self) -> timedelta | None:
        """How long the run took, if it has ended."""
        if self.row.started_at is None or self.row.finished_at is None:
            return None
        return self.row.finished_at - self.row.started_at

    def node(self, name: str) -> Node:
        """The node of this id, name, name below the run's own (``.build`` or ``[0].build``), or display name, if there is one such node.

        Raises KeyError, with the names that there are.
        """
        by_id = self.nodes.get(NodeId(name))
        if by_id is not None:
            return by_id
        found = [node for node in self.nodes.values() if name in (node.name, node.name.removeprefix(self.row.name))]
        found = found or [node for node in self.nodes.values() if node.display_name == name]
        found = found or [node for node in self.nodes.values() if node.name.endswith(f".{name}")]
        if len(found) == 1:
            return found[0]
        if found:
            raise KeyError(f"{len(found)} nodes are called {name!r}: {', '.join(node.name for node in found[:10])}")
        names = sorted(node.name for node in self.nodes.values())
        raise KeyError(f"no node is called {name!r}; there are: {', '.join(names[:30])}{' ...' if len(names) > 30 else ''}")

    def to_json(self) -> JsonObject:
        """The Workflow object with its status, as Argo writes it; sensitive values are masked."""
        shown = self.shown()
        return workflow_with_status(shown.manifest, shown.row, shown.nodes.values())

    def shown(self) -> RunResult:
        """The result as it may be printed: with marks in place of values of Secrets and of sensitive parameters."""
        mask = self.mask
        if not mask:
            return self
        nodes = {id_: mask.row(node) for id_, node in self.nodes.items()}
        return replace(self, row=mask.run(self.row), nodes=nodes, manifest=mask.json(self.manifest))

    def to_workflow(self) -> Workflow:
        """The Workflow model with its status, as Argo writes it."""
        return Workflow.model_validate(self.to_json())

    def raise_for_phase(self) -> RunResult:
        """The result itself; raises WorkflowFailed if the run did not succeed."""
        if self.phase is not WorkflowPhase.SUCCEEDED:
            raise WorkflowFailed(self.name, str(self.phase), self.mask.text(self.message))
        return self
