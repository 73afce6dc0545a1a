"""Documents: text, files and mappings to typed models and back, with every problem told at once and where it stands.

``load_workflow`` is for the one workflow that somebody wants to run, ``load_documents`` for whatever a file holds.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from flowcore import yaml
from flowcore.errors import InvalidWorkflow, Problem, UsageError
from flowcore.jsontypes import Json, JsonObject
from flowcore.manifest_problems import mended, respelt, unknown_fields
from flowcore.manifest_renames import renewed
from flowcore.models import DOCUMENT_TYPES, AnyDocument, Workflow
from flowcore.models.base import Model
from flowcore.yaml import Limits, Parsed

Source: TypeAlias = str | bytes | Path


@dataclass
class Document:
    """One document: ``json`` as it was read, but with new names for old fields, ``model`` if its kind is one of Argo's, ``problems`` that are only warnings."""

    json: JsonObject
    model: AnyDocument | None
    problems: list[Problem] = field(default_factory=list)
    file: str | None = None
    _parsed: Parsed | None = field(default=None, repr=False)

    @property
    def kind(self) -> str:
        """The document's ``kind``."""
        return str(self.json.get("kind", ""))

    def locate(self, path: str | tuple[str | int, ...]) -> tuple[int, int] | None:
        """Line and column, from 1, of the value at ``path`` (``spec.templates[0]``) or of what is nearest around it."""
        return self._parsed.locate(path) if self._parsed else None

    def placed(self, problem: Problem) -> Problem:
        """``problem`` with this document's file, and line and column of its path; one of another document as it is."""
        if problem.file not in (None, self.file):
            return problem
        place = self.locate(problem.path) if problem.line is None else None
        line, column = place or (problem.line, problem.column)
        return replace(problem, file=self.file, line=line, column=column)


def load_documents(
    source: Source,
    *,
    file: str | None = None,
    strict: bool = False,
    allow_unknown: bool = False,
    kind: str | None = None,
    limits: Limits | None = None,
) -> list[Document]:
    """Read every document of a text (``str`` or ``bytes``) or file (``Path``), YAML or JSON.

    ``file`` is what messages call the text. ``strict`` makes duplicate keys and old names errors; ``allow_unknown`` is as lenient as Argo's controller: unknown
    fields pass, save in steps, and numbers may stand for texts. ``kind`` is assumed for documents that name none. Documents of kinds that are not
    Argo's (ConfigMaps, Secrets) come without a model, and the items of a List one by one. Raises InvalidWorkflow with every problem of every document.
    """
    text, file = _text(source, file, limits or Limits())
    given = [each for parsed in yaml.read(text, file=file, limits=limits) for each in _unrolled(parsed)]
    documents = [_document(parsed, file, allow_unknown=allow_unknown, kind=kind) for parsed in given]
    errors = []
    for document in documents:
        placed = [document.placed(_hardened(problem) if strict else problem) for problem in document.problems]
        document.problems = sorted(placed, key=lambda problem: (problem.line or 0, problem.column or 0))
        errors += [problem for problem in document.problems if problem.severity == "error"]
    if errors:
        raise InvalidWorkflow(errors)
    return documents


def load_workflow(source: str | Path | Mapping[str, Json], *, strict: bool = False, allow_unknown: bool = False) -> Workflow:
    """The one Workflow of a text, a file (a Path, or a str that is one line and no mapping) or a mapping.

    Raises InvalidWorkflow listing every problem with file, line, path and remedy; also when there is no Workflow or more than one.
    """
    if isinstance(source, Mapping):
        documents = [read_mapping(source, allow_unknown=allow_unknown)]
    else:
        given = Path(source) if isinstance(source, str) and _is_path(source) else source
        documents = load_documents(given, strict=strict, allow_unknown=allow_unknown, kind="Workflow" if allow_unknown else None)
    workflows = [document.model for document in documents if isinstance(document.model, Workflow)]
    if len(workflows) == 1:
        return workflows[0]
    found = ", ".join(document.kind for document in documents) or "nothing"
    remedy = "load_documents reads several documents and other kinds"
    raise InvalidWorkflow([Problem(f"expected one Workflow, found {found}", file=_name(source), remedy=remedy, rule="kind")])


def read_mapping(source: Mapping[str, Json], *, allow_unknown: bool = False) -> Document:
    """A document that is data already. The mapping is not changed, nor kept. Raises InvalidWorkflow and UsageError (no JSON data)."""
    try:
        data: JsonObject = json.loads(json.dumps(source, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the mapping is no plain JSON data: {error}") from None
    yaml.check_data(data, Limits())
    document = _document(Parsed(data, "", [], {}), None, allow_unknown=allow_unknown, kind=None)
    errors = [problem for problem in document.problems if problem.severity == "error"]
    if errors:
        raise InvalidWorkflow(errors)
    return document


def dump_workflow(model: Model) -> str:
    """The document as YAML; reading it gives an equal model."""
    return yaml.write(model.to_json())


# --- reading ----------------------------------------------------------------------------------------------------------------------


def _is_path(text: str) -> bool:
    return text.isprintable() and len(text) < 1000 and ": " not in text and not text.lstrip().startswith("{")


def _name(source: object) -> str | None:
    return str(source) if isinstance(source, Path) or (isinstance(source, str) and _is_path(source)) else None


def _text(source: Source, file: str | None, limits: Limits) -> tuple[str, str | None]:
    """The text, and what to call it. Reads no more than the limits allow."""
    if isinstance(source, Path):
        file = file or str(source)
        try:
            with source.open("rb") as stream:
                source = stream.read(limits.json_size + 1)
        except OSError as error:
            raise InvalidWorkflow([Problem(f"cannot be read: {error.strerror}", file=file, rule="file")]) from None
    if isinstance(source, str):
        return source, file
    wide = source.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return source.decode("utf-16" if wide else "utf-8-sig"), file
    except UnicodeDecodeError as error:
        message = f"not text in {'UTF-16' if wide else 'UTF-8'} (byte {error.start})"
        raise InvalidWorkflow([Problem(message, file=file, rule="yaml")]) from None


def _hardened(problem: Problem) -> Problem:
    return replace(problem, severity="error") if problem.rule in ("duplicate-key", "old-name") else problem


def _unrolled(parsed: Parsed) -> Iterator[Parsed]:
    """The document, or those of a list, as ``kubectl get -o yaml`` writes it."""
    kind = parsed.json.get("kind") if isinstance(parsed.json, dict) else None
    listed = kind.removesuffix("List") if isinstance(kind, str) and kind.endswith("List") else None
    if listed == "" or listed in DOCUMENT_TYPES:
        yield from parsed.items(listed)
    else:
        yield parsed


def _document(parsed: Parsed, file: str | None, *, allow_unknown: bool, kind: str | None) -> Document:
    """The document with every problem of its form."""
    data = parsed.json
    if not isinstance(data, dict):
        remedy = "begin with apiVersion, kind, metadata and spec"
        return Document({}, None, [Problem("a document is a mapping", remedy=remedy, rule="kind")], file, parsed)
    document = Document(data, None, list(parsed.problems), file, parsed)
    named = data.get("kind", kind)
    if not isinstance(named, str) or not named:
        document.problems.append(Problem("kind is missing", remedy="add for instance kind: Workflow", rule="kind"))
        return document
    model = DOCUMENT_TYPES.get(named)
    if model is None:
        document.problems += _misspelt(named, data)
        return document
    document.problems += _wrong_version(data)
    document.model, problems = _validated(model, data, lenient=allow_unknown)
    if document.model is not None and not allow_unknown:
        document.json, old = renewed(data, document.model)
        if old:
            document.model, problems = _validated(model, document.json, lenient=False)
            problems = [*problems, *old]
    document.problems += problems
    if document.model is not None:
        document.problems += unknown_fields(document.model, only_steps=allow_unknown)
    return document


def _misspelt(kind: str, data: JsonObject) -> list[Problem]:
    """Kinds of other projects are none of ours; one of ours in the wrong case is a slip."""
    meant = next((known for known in DOCUMENT_TYPES if known.lower() == kind.lower()), None)
    if meant is None or not str(data.get("apiVersion", "argoproj.io/")).startswith("argoproj.io/"):
        return []
    return [Problem(f'there is no kind "{kind}"', "kind", remedy=f"did you mean {meant}?", rule="kind")]


def _wrong_version(data: JsonObject) -> list[Problem]:
    version = data.get("apiVersion", "argoproj.io/v1alpha1")
    if version == "argoproj.io/v1alpha1" or not isinstance(version, str):
        return []
    message = f'apiVersion is "{version}", known is "argoproj.io/v1alpha1"'
    return [Problem(message, "apiVersion", severity="warning", rule="api-version")]


def _validated(model: type[AnyDocument], data: JsonObject, *, lenient: bool) -> tuple[AnyDocument | None, list[Problem]]:
    """The model and what stands against it; the model is None only where no sense can be made of the document."""
    problems: list[Problem] = []
    for _ in range(3):
        try:
            document = model.model_validate(data, by_alias=True, by_name=False)
            if lenient and (spelt := respelt(data, document)) is not None:
                document = model.model_validate(spelt, by_alias=True, by_name=False)
            return document, problems
        except ValidationError as error:
            data, unmended = mended(data, error, lenient=lenient)
            problems += unmended
    return None, problems
