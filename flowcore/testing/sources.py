"""What a test may load: paths, texts, models, mappings and objects that write themselves as documents (Hera's, for instance)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, cast

from flowcore.errors import InvalidWorkflow, Problem
from flowcore.functions.binding import Describes, document_of
from flowcore.jsontypes import Json, JsonObject
from flowcore.manifests import Document, load_documents, read_mapping
from flowcore.models import CronWorkflow, Workflow, WorkflowTemplate
from flowcore.models.base import Model

Source: TypeAlias = "str | Path | Model | Mapping[str, Json] | object"


@dataclass
class Loaded:
    """The workflow to run, if there is one yet, and the documents beside it. ``given`` is the object that it came from, if it was no text."""

    workflow: Document | None = None
    given: object = None
    others: list[JsonObject] = field(default_factory=list)


def read_source(source: Source, folders: Iterable[Path]) -> list[Document]:
    """The documents of ``source``; relative paths are looked for in ``folders``. Raises InvalidWorkflow."""
    if isinstance(source, Model):
        return [read_mapping(source.to_json())]
    if isinstance(source, Mapping):
        return [read_mapping(cast("Mapping[str, Json]", source))]
    if isinstance(source, (str, Path)):
        path = _path(source, folders)
        return load_documents(path) if path is not None else load_documents(str(source))
    if isinstance(source, Describes):
        return [read_mapping(document_of(source))]
    raise InvalidWorkflow(
        [Problem(f"a {type(source).__name__} is no workflow", remedy="give a path, a text, a mapping, a model or a Hera object")]
    )


def _path(source: str | Path, folders: Iterable[Path]) -> Path | None:
    """The file that is meant; None for a text that is a document itself."""
    if isinstance(source, str) and ("\n" in source or ": " in source or source.lstrip().startswith("{")):
        return None
    places = [folder / source for folder in folders]
    return next((place for place in places if place.is_file()), places[0] if places else Path(source))


def sort_documents(documents: Iterable[Document], into: Loaded) -> None:
    """The first Workflow is what runs; without one a CronWorkflow or a WorkflowTemplate does, as if it were submitted."""
    for document in documents:
        if isinstance(document.model, Workflow):
            if into.workflow is not None and into.workflow.kind == "Workflow":
                problem = Problem("there are several workflows", file=document.file, remedy="load the others by themselves", rule="kind")
                raise InvalidWorkflow([problem])
            into.workflow = document
            continue
        into.others.append(document.json)
        if into.workflow is None and isinstance(document.model, (WorkflowTemplate, CronWorkflow)):
            into.workflow = document


__all__ = ["Loaded", "Source", "read_source", "sort_documents"]
