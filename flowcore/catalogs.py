"""Catalogs: where a run finds WorkflowTemplates, ClusterWorkflowTemplates, ConfigMaps, Secrets and CronWorkflows without a cluster.

``MemoryCatalog`` holds documents that the caller has, ``FolderCatalog`` reads them from files and folders. Both answer at once, by kind and
name, and may hold any other kind that somebody asks for (volume claims, for instance). Values of Secrets never show in ``repr``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from flowcore.errors import InvalidWorkflow, Problem
from flowcore.jsontypes import Json, JsonObject
from flowcore.manifests import load_documents

CLUSTER_KINDS = frozenset({"ClusterWorkflowTemplate"})
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_MAX_ENTRIES = 100_000
_MAX_BYTES = 10 << 20


@runtime_checkable
class ToJson(Protocol):
    """A model that can be written as a document."""

    def to_json(self) -> JsonObject:
        """The document as plain JSON."""
        ...


CatalogDocument: TypeAlias = "JsonObject | ToJson"
_Key: TypeAlias = tuple[str, str]  # kind and name


class MemoryCatalog:
    """Documents held in memory, found by kind, name and namespace.

    A document without ``metadata.namespace`` is found from every namespace; one with a namespace only from there, or when none is asked
    for. A later document replaces an earlier one of the same kind, name and namespace. Raises InvalidWorkflow for documents without kind or
    name and for Secrets whose ``data`` is not base64.
    """

    def __init__(self, documents: Iterable[CatalogDocument] = ()) -> None:
        self._documents: dict[_Key, dict[str, JsonObject]] = {}
        for document in documents:
            self.add(document)

    def add(self, document: CatalogDocument) -> None:
        """Hold ``document`` too; the ``items`` of a List one by one."""
        manifest = document.to_json() if isinstance(document, ToJson) else document
        items = manifest.get("items")
        if str(manifest.get("kind", "")).endswith("List") and isinstance(items, list):
            for item in items:
                self.add(item if isinstance(item, dict) else {})
            return
        kind, name, namespace = _identity(manifest)
        held = _secret(manifest) if kind == "Secret" else manifest
        self._documents.setdefault((kind, name), {})[namespace] = held

    def get(self, kind: str, name: str, namespace: str | None = None) -> JsonObject | None:
        """The manifest of ``kind`` called ``name``, or None. Cluster-wide kinds take no namespace."""
        found = self._documents.get((kind, name))
        if not found:
            return None
        if kind in CLUSTER_KINDS or namespace is None:
            return found.get("") or next(iter(found.values()))
        return found.get(namespace) or found.get("")

    def names(self, kind: str) -> list[str]:
        """The names of all documents of ``kind``, sorted."""
        return sorted({name for held, name in self._documents if held == kind})

    def __iter__(self) -> Iterator[JsonObject]:
        """All documents, in the order in which they came."""
        for documents in self._documents.values():
            yield from documents.values()

    def __len__(self) -> int:
        return sum(len(documents) for documents in self._documents.values())

    def __repr__(self) -> str:
        held = ", ".join(f"{kind}/{name}" for kind, name in self._documents)
        return f"{type(self).__name__}({held})"


class FolderCatalog(MemoryCatalog):
    """Documents from YAML and JSON files, and from folders of them, read once when the catalog is made.

    Folders are read with all that is below them, in order of their names; hidden files and folders are passed over, and so are Workflows,
    which belong to nobody's catalog. Raises InvalidWorkflow for files that cannot be read, with file and line.
    """

    def __init__(self, paths: Iterable[str | Path] | str | Path) -> None:
        super().__init__()
        self.paths = tuple(Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths))
        problems: list[Problem] = []
        for file in _files(self.paths):
            problems += self._read(file)
        if problems:
            raise InvalidWorkflow(problems)

    def _read(self, file: Path) -> list[Problem]:
        try:
            if file.stat().st_size > _MAX_BYTES:
                return [Problem(f"the file is larger than {_MAX_BYTES >> 20} MiB", file=str(file))]
            for document in load_documents(file):
                if document.json.get("kind") != "Workflow":
                    self.add(document.json)
        except InvalidWorkflow as error:
            return [problem if problem.file else Problem(problem.message, path=problem.path, file=str(file)) for problem in error.problems]
        except OSError as error:
            return [Problem(f"cannot be read: {error.strerror or error}", file=str(file))]
        return []


def values_of(manifest: JsonObject) -> dict[str, bytes]:
    """The values of a ConfigMap or Secret by key, decoded: ``data`` (base64 in a Secret), ``stringData`` and ``binaryData``."""
    plain, encoded = ("stringData", "data") if manifest.get("kind") == "Secret" else ("data", "binaryData")
    values = {key: base64.b64decode(value) for key, value in _texts(manifest.get(encoded)).items()}
    return values | {key: value.encode() for key, value in _texts(manifest.get(plain)).items()}


def _texts(value: Json) -> dict[str, str]:
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}


def _identity(manifest: Mapping[str, Json]) -> tuple[str, str, str]:
    metadata = manifest.get("metadata")
    kind, name = manifest.get("kind"), metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(kind, str) or not kind:
        raise InvalidWorkflow([Problem("a document of a catalog needs a kind", path="kind", remedy="for instance kind: ConfigMap")])
    if not isinstance(name, str) or not name:
        raise InvalidWorkflow([Problem(f"this {kind} needs a name", path="metadata.name")])
    namespace = metadata.get("namespace") if isinstance(metadata, dict) and kind not in CLUSTER_KINDS else None
    return kind, name, namespace if isinstance(namespace, str) else ""


def _secret(manifest: JsonObject) -> JsonObject:
    """The Secret with ``stringData`` also in ``data``, as a cluster would give it back."""
    _, name, _ = _identity(manifest)
    for field in ("data", "stringData"):
        given = manifest.get(field)
        if given is not None and not (isinstance(given, dict) and all(isinstance(value, str) for value in given.values())):
            raise InvalidWorkflow([Problem(f"Secret {name}: values must be strings", path=field)])
    data = _texts(manifest.get("data"))
    for key, value in data.items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            place = f"data.{key}"
            raise InvalidWorkflow([Problem(f"Secret {name}: not base64", path=place, remedy="plain text goes to stringData")]) from None
    plain = {key: base64.b64encode(value.encode()).decode() for key, value in _texts(manifest.get("stringData")).items()}
    return {**manifest, "data": {**data, **plain}}


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for file in _entries(path) if file.suffix in _SUFFIXES and file.is_file())
        else:
            yield path


def _entries(folder: Path) -> list[Path]:
    """What is below ``folder`` and not hidden, in order of name."""
    entries = list(islice(folder.rglob("*"), _MAX_ENTRIES + 1))
    if len(entries) > _MAX_ENTRIES:
        message = f"has more than {_MAX_ENTRIES} files and folders"
        raise InvalidWorkflow([Problem(message, file=str(folder), remedy="name the folder that holds the templates")])
    return sorted(entry for entry in entries if not any(part.startswith(".") for part in entry.relative_to(folder).parts))


__all__ = ["CatalogDocument", "FolderCatalog", "MemoryCatalog", "values_of"]
