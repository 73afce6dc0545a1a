"""Carrying out ``flowcore compat``: documents under the rules of two versions of Argo, read and run, and what differs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version as version_of
from pathlib import Path
from textwrap import shorten

import flowcore
from flowcore.cli.backends import executor_named
from flowcore.cli.inputs import Given, catalog_of, sources_of, text_of_file
from flowcore.errors import FlowError, InvalidWorkflow, Problem, UsageError
from flowcore.jsontypes import json_text, object_of, text_of
from flowcore.lint import Format, formatted
from flowcore.lint.converting import with_new_names
from flowcore.lint.upgrades import upgrade_changes
from flowcore.manifests import Document, load_documents
from flowcore.models import Workflow
from flowcore.nodes import Node, NodeType
from flowcore.plan.plan import PlanOptions
from flowcore.plan.semantics import Semantics
from flowcore.ports import Catalog
from flowcore.results import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the user asked for: two versions, and how runs are made."""

    before: str
    after: str
    parameters: Mapping[str, str]
    stubs: Path | None = None
    templates: Sequence[Path] = ()
    resources: Sequence[Path] = ()
    form: Format = Format.TEXT


def compare_files(files: Sequence[str], wanted: Comparison) -> int:
    """Tell what changes for the documents of ``files``: 1 if something does, else 0. Raises UsageError, InvalidWorkflow."""
    before, after = _known(wanted.before, "--from"), _known(wanted.after, "--to")
    sources = sources_of(files)
    written = [document for source in sources for document in _read(source)]
    playable = [document for source in sources for document in _read(source, renamed=True)]
    found = [problem for document in written for problem in upgrade_changes(document, before, after)]
    others = [document for document in playable if not isinstance(document.model, Workflow) and document.kind]
    catalog = catalog_of(Given([], others), wanted.templates, wanted.resources)
    for document in playable:
        if isinstance(document.model, Workflow):
            found += _runs_differ(document, catalog, wanted, before, after)
    names = [str(source) for source in sources if isinstance(source, Path)]
    text = formatted(found, names, wanted.form, version=version_of("flowcore"))
    sys.stdout.write(text)
    if wanted.form is Format.TEXT:
        count = f"{len(written)} document{'' if len(written) == 1 else 's'}"
        told = f"{len(found)} thing{'' if len(found) == 1 else 's'} may change" if found else "nothing changes that can be seen"
        sys.stdout.write(f"{count} from {before.version} to {after.version}: {told}\n")
    return 1 if found else 0


def _known(version: str, option: str) -> Semantics:
    try:
        return Semantics.of(version)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _read(source: Path | str, *, renamed: bool = False) -> list[Document]:
    """The documents of a source, as leniently as a cluster that has them already; ``renamed``: with the fields of today."""
    file = str(source) if isinstance(source, Path) else "standard input"
    text = text_of_file(source) if isinstance(source, Path) else source
    return load_documents(with_new_names(text, file=file) if renamed else text, file=file, allow_unknown=True)


def _runs_differ(document: Document, catalog: Catalog, wanted: Comparison, before: Semantics, after: Semantics) -> Iterator[Problem]:
    """What a run with placeholders, or with stubs, does differently. A document that cannot be run under either is no difference."""
    name = text_of(object_of(document.json, "metadata"), "name") or "the run"
    told = [_played(document, catalog, wanted, rules) for rules in (before, after)]
    if isinstance(told[0], str) or isinstance(told[1], str):
        if told[0] != told[1]:
            yield _difference(document, f"{name}: {before.version}: {_outcome(told[0])}; {after.version}: {_outcome(told[1])}")
        return
    for line in _differences(told[0], told[1]):
        yield _difference(document, f"{name}: {line}")


def _difference(document: Document, message: str) -> Problem:
    return Problem(message, file=document.file, severity="warning", rule="run-differs")


def _played(document: Document, catalog: Catalog, wanted: Comparison, rules: Semantics) -> RunResult | str:
    """The result of a simulated run, or why there is none."""
    executor = executor_named("fake", stubs=wanted.stubs, strict=False, seed=0)
    try:
        return flowcore.run_sync(
            Workflow.model_validate(document.json),
            executor=executor,
            catalog=catalog,
            parameters=wanted.parameters,
            options=PlanOptions(semantics=rules),
            seed=0,
        )
    except InvalidWorkflow as error:
        return "; ".join(str(replace(problem, file=None)) for problem in error.problems)
    except FlowError as error:
        return str(error)


def _outcome(told: RunResult | str) -> str:
    return f"cannot be run ({told})" if isinstance(told, str) else f"{told.phase}"


def _differences(before: RunResult, after: RunResult) -> Iterator[str]:
    if before.phase != after.phase:
        yield f"the run is {before.phase} before and {after.phase} after{f' ({after.message})' if after.message else ''}"
    old, new = _by_name(before.nodes.values()), _by_name(after.nodes.values())
    for name in dict.fromkeys([*old, *new]):
        if name not in new or name not in old:
            yield f"node {name}: {'is not there after' if name not in new else f'is new after, {new[name].phase}'}"
            continue
        was, becomes = old[name], new[name]
        if (was.phase, was.message) != (becomes.phase, becomes.message):
            yield f"node {name}: {_state(was)} becomes {_state(becomes)}"
            continue
        for field in ("inputs", "outputs"):
            one, other = getattr(was, field), getattr(becomes, field)
            if one != other:
                yield f"node {name}: {field} {_short(json_text(one))} become {_short(json_text(other))}"


def _by_name(nodes: Iterable[Node]) -> dict[str, Node]:
    return {node.name: node for node in nodes if node.type is not NodeType.STEP_GROUP}


def _short(text: str) -> str:
    return shorten(text, 120, placeholder=" ...")


def _state(node: Node) -> str:
    return f"{node.phase} ({node.message})" if node.message else f"{node.phase}"


__all__ = ["Comparison", "compare_files"]
