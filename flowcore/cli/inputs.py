"""What the user gave on the command line, read: documents from files and standard input, parameters, artifacts and the catalog.

Everything that is wrong becomes a FlowError; ``flowcore.cli.app`` prints it and exits with status 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from flowcore import yaml
from flowcore.catalogs import FolderCatalog, MemoryCatalog
from flowcore.errors import InvalidWorkflow, Problem, UsageError
from flowcore.jsontypes import Json, json_text, object_of, text_of
from flowcore.manifests import Document, load_documents, read_mapping
from flowcore.models import ClusterWorkflowTemplate, CronWorkflow, Workflow, WorkflowTemplate
from flowcore.service.submission import workflow_from_cron, workflow_from_template

_STDIN = "-"
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})


@dataclass
class Given:
    """The documents of some files: workflows to run, and all else, which goes to the catalog."""

    workflows: list[Document] = field(default_factory=list)
    others: list[Document] = field(default_factory=list)

    @property
    def warnings(self) -> list[Problem]:
        """What is doubtful in the documents, each with its place."""
        return [document.placed(problem) for document in (*self.workflows, *self.others) for problem in document.problems]


def documents_of(files: Iterable[str], *, strict: bool = False) -> list[Document]:
    """Every document of ``files`` (``-`` is standard input; folders with all that is below them). Raises InvalidWorkflow for all at once."""
    found: list[Document] = []
    problems: list[Problem] = []
    for name in files:
        for source in _sources(name):
            try:
                given = source if isinstance(source, Path) else _standard_input()
                found += load_documents(given, file=None if isinstance(source, Path) else "standard input", strict=strict)
            except InvalidWorkflow as error:
                problems += error.problems
    if problems:
        raise InvalidWorkflow(problems)
    return found


def given_by(files: Sequence[str], *, strict: bool = False, templates_too: bool = False) -> Given:
    """The documents of ``files``, sorted by what is done with them. Raises InvalidWorkflow if there is nothing to run.

    With ``templates_too``, a template or CronWorkflow that stands for itself is run as if it were submitted.
    """
    given = Given()
    for document in documents_of(files, strict=strict):
        (given.workflows if isinstance(document.model, Workflow) else given.others).append(document)
    alone = _standing_alone(given.others) if templates_too and not given.workflows else []
    if len(alone) == 1:
        given.workflows.append(_submitted(alone[0]))
    if not given.workflows:
        kinds = ", ".join(sorted({document.kind for document in given.others})) or "nothing"
        names = ", ".join("standard input" if name == _STDIN else name for name in files)
        remedy = "run one by one those that have an entrypoint, and give the others with --template" if alone else None
        raise InvalidWorkflow([Problem(f"there is no Workflow to run: found {kinds}", file=names, remedy=remedy, rule="kind")])
    return given


def _standing_alone(documents: Iterable[Document]) -> list[Document]:
    """What can be submitted: if several can, only those that say where they begin."""
    able = [document for document in documents if isinstance(document.model, (WorkflowTemplate, ClusterWorkflowTemplate, CronWorkflow))]
    begin = [document for document in able if isinstance(document.model, CronWorkflow) or _has_entrypoint(document)]
    return begin if len(able) > 1 and begin else able


def _has_entrypoint(document: Document) -> bool:
    return bool(object_of(document.json, "spec").get("entrypoint"))


def _submitted(document: Document) -> Document:
    """The Workflow that submitting a template or CronWorkflow makes, in the namespace where that stands."""
    made = workflow_from_cron(document.json) if isinstance(document.model, CronWorkflow) else workflow_from_template(document.json)
    namespace = text_of(object_of(document.json, "metadata"), "namespace")
    metadata = {**object_of(made, "metadata"), **({"namespace": namespace} if namespace else {})}
    return replace(read_mapping({**made, "metadata": metadata}), file=document.file)


def catalog_of(given: Given, templates: Iterable[Path], resources: Iterable[Path]) -> MemoryCatalog:
    """What runs may refer to: documents beside the workflows, and those of the files and folders given for it."""
    catalog = FolderCatalog([*templates, *resources])
    for document in given.others:
        catalog.add(document.json)
    return catalog


def parameters_of(assignments: Iterable[str], file: str | None) -> dict[str, str]:
    """The parameters of a file and of ``name=value`` texts, which win. Raises UsageError."""
    return (_parameters_in(file) if file is not None else {}) | dict(assignment(text, "-p") for text in assignments)


def artifacts_of(assignments: Iterable[str]) -> dict[str, Path]:
    """The files and folders of ``name=path`` texts. Raises UsageError for what is not there."""
    found = {name: Path(path) for name, path in (assignment(text, "--artifact") for text in assignments)}
    for name, path in found.items():
        if not path.exists():
            raise UsageError(f"--artifact {name}={path}: there is no such file or folder")
    return found


def options_of(assignments: Iterable[str]) -> dict[str, Json]:
    """Options of a backend from ``name=value`` texts; lists and mappings are YAML, and ``claims.data=/srv`` is one entry of a mapping. Raises UsageError."""
    options: dict[str, Json] = {}
    for text in assignments:
        name, value = assignment(text, "--backend-option")
        name, dot, entry = name.partition(".")
        known = options.setdefault(name.replace("-", "_"), {} if dot else None)
        if not dot:
            options[name.replace("-", "_")] = _value(value)
        elif isinstance(known, dict):
            known[entry] = _value(value)
    return options


def _value(text: str) -> Json:
    """Lists and mappings as YAML, numbers and truth values as JSON, all else as text: ``off`` is a word here."""
    if text[:1] in ("[", "{"):
        return next((document.json for document in yaml.read(text, file="--backend-option")), "")
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value


def assignment(text: str, option: str) -> tuple[str, str]:
    """The two sides of ``name=value``; the value may hold more of those signs. Raises UsageError."""
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise UsageError(f"{option} {text}: write {option} name=value")
    return name, value


def _parameters_in(name: str) -> dict[str, str]:
    """A mapping of names to values, YAML or JSON; what is no text is written as JSON."""
    label = "standard input" if name == _STDIN else name
    text = _standard_input() if name == _STDIN else text_of_file(Path(name))
    documents = yaml.read(text, file=label)
    values = documents[0].json if len(documents) == 1 else None
    if not isinstance(values, dict):
        raise UsageError(f"--parameter-file {label}: must hold one mapping of names to values")
    return {key: _as_text(value) for key, value in values.items()}


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json_text(value)


def _sources(name: str) -> list[Path | str]:
    path = Path(name)
    if name == _STDIN or not path.is_dir():
        return [_STDIN] if name == _STDIN else [path]
    return sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())


def sources_of(names: Iterable[str]) -> list[Path | str]:
    """The files that are meant, folders with all that is below them; standard input as its text."""
    found = [source for name in names for source in _sources(name)]
    return [source if isinstance(source, Path) else _standard_input() for source in found]


def text_of_file(path: Path) -> str:
    """The text of a file, within bounds. Raises InvalidWorkflow."""
    try:
        with path.open("rb") as stream:
            return _decoded(stream.read(yaml.Limits().json_size + 1), str(path))
    except OSError as error:
        raise InvalidWorkflow([Problem(f"cannot be read: {error.strerror}", file=str(path), rule="file")]) from None


def _standard_input() -> str:
    return _decoded(sys.stdin.buffer.read(yaml.Limits().json_size + 1), "standard input")


def _decoded(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidWorkflow([Problem(f"not text in UTF-8 (byte {error.start})", file=file, rule="yaml")]) from None


def saved_workflow(name: str) -> dict[str, Json]:
    """A Workflow object with its status from a file, which may be far larger than what people write. Raises InvalidWorkflow."""
    label = "standard input" if name == _STDIN else name
    text = _standard_input() if name == _STDIN else text_of_file(Path(name))
    try:
        document = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        document = None
    if document is None:
        documents = yaml.read(text, file=label)
        document = documents[0].json if len(documents) == 1 else None
    if not isinstance(document, dict) or document.get("kind", "Workflow") != "Workflow":
        raise InvalidWorkflow([Problem("must hold one Workflow with its status", file=label, rule="kind")])
    return document


__all__ = [
    "Given",
    "artifacts_of",
    "assignment",
    "catalog_of",
    "documents_of",
    "given_by",
    "options_of",
    "parameters_of",
    "saved_workflow",
    "sources_of",
    "text_of_file",
]
