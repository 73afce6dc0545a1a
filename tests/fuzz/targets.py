"""One target for each way in for texts and files of strangers: called with anything, it answers or raises an error of flowcore's own.

``python -m tests.fuzz SECONDS [TARGET...]`` feeds them mutations of real documents for as long as one likes; the tests do so for a moment.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from flowcore.artifacts.archive import Limits, unpack
from flowcore.errors import FlowError, MissingBackend
from flowcore.jsontypes import JsonObject
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.cron import parse_schedule
from flowcore.language.depends import parse_depends
from flowcore.language.expressions import compile_expression, to_text
from flowcore.language.scope import Scope
from flowcore.language.tags import substitute_text
from flowcore.language.when import evaluate_when
from flowcore.lint import lint_document
from flowcore.manifests import load_documents
from flowcore.status import rows_from_status

SCOPE = Scope(
    {
        "inputs.parameters.a": "3",
        "inputs.parameters.list": '["x", {"y": 1}]',
        "workflow.name": "wf",
        "workflow.parameters.text": 'it\'s "quoted"\n{{workflow.name}}',
        "steps.one.outputs.result": "{}",
        "item": "i",
    }
)


def documents(text: str) -> None:
    """Reading and checking documents."""
    for document in load_documents(text, file="fuzz"):
        lint_document(document)


def lenient_documents(text: str) -> None:
    """Reading documents as a cluster does that has them already."""
    load_documents(text, file="fuzz", allow_unknown=True)


def tags(text: str) -> None:
    """Filling in tags."""
    substitute_text(text, SCOPE)


def expressions(text: str) -> None:
    """Evaluating an expression and writing its value."""
    to_text(compile_expression(text).evaluate(SCOPE.environment(), functions=ARGO_FUNCTIONS))


def conditions(text: str) -> None:
    """Evaluating ``when``."""
    evaluate_when(text)


def dependencies(text: str) -> None:
    """Reading ``depends``."""
    parse_depends(text)


def schedules(text: str) -> None:
    """Reading a schedule of a CronWorkflow."""
    parse_schedule(text)


def statuses(text: str) -> None:
    """Reading what ``kubectl get workflow -o json`` printed."""
    try:
        workflow = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(workflow, dict):
        made: JsonObject = workflow
        rows_from_status(made)


def archives(data: bytes) -> None:
    """Unpacking; nothing may appear beside the folder that is unpacked into."""
    with tempfile.TemporaryDirectory() as around:
        source, target = Path(around, "source"), Path(around, "inside", "target")
        source.write_bytes(data)
        target.parent.mkdir()
        try:
            unpack(source, target, None, Limits(total=1 << 20, members=100))
        finally:
            beside = [path for path in Path(around).rglob("*") if path != source and path != target.parent and target not in path.parents]
            assert [path for path in beside if path != target] == []


TEXTS: Mapping[str, Callable[[str], None]] = {
    target.__name__: target for target in (documents, lenient_documents, tags, expressions, conditions, dependencies, schedules, statuses)
}
EXPECTED = (FlowError,)
NEVER = (MissingBackend,)


def feed(name: str, data: bytes | str) -> None:
    """Give ``data`` to a target. Raises whatever is no error of flowcore's own."""
    try:
        if name == "archives":
            archives(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
        else:
            TEXTS[name](data if isinstance(data, str) else data.decode("utf-8", "replace"))
    except NEVER:
        raise
    except EXPECTED:
        pass


def tarball(names: list[str], *, links: Mapping[str, str], sizes: int = 10) -> bytes:
    """An archive with files and links of these names."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = sizes
            tar.addfile(member, io.BytesIO(b"x" * sizes))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return held.getvalue()
