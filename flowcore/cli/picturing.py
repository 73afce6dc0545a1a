"""Carrying out ``flowcore graph``."""

from __future__ import annotations

from enum import StrEnum

from flowcore.cli.inputs import documents_of
from flowcore.errors import UsageError
from flowcore.graphs import dot, graph_of, mermaid, svg
from flowcore.models import ClusterWorkflowTemplate, CronWorkflow, Workflow, WorkflowTemplate


class Notation(StrEnum):
    """How a graph is written down."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


def picture(file: str, notation: Notation, entrypoint: str) -> str:
    """The graph of the first workflow (or template) of a file. Raises UsageError, InvalidWorkflow."""
    models = [document.model for document in documents_of([file])]
    drawable = (Workflow, WorkflowTemplate, ClusterWorkflowTemplate, CronWorkflow)
    model = next((model for model in models if isinstance(model, drawable)), None)
    if model is None:
        raise UsageError(f"{file}: there is no workflow to draw")
    spec = model.spec.workflow_spec if isinstance(model, CronWorkflow) else model.spec
    if entrypoint and spec.template(entrypoint) is None:
        raise UsageError(f"--entrypoint {entrypoint}: there is no such template")
    graph = graph_of(spec, entrypoint)
    if notation is Notation.SVG:
        return svg(graph, model.metadata.name or model.metadata.generate_name.rstrip("-") or "workflow")
    return mermaid(graph) if notation is Notation.MERMAID else dot(graph)


__all__ = ["Notation", "picture"]
