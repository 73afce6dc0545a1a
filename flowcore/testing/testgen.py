"""A test written from a past run: what every leaf did becomes a fact, what came of it becomes assertions. ``flowcore testgen`` prints it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

from flowcore import yaml
from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.nodes import Node, NodeType, Phase, RunRow
from flowcore.status import rows_from_status

_WORK = frozenset({NodeType.POD, NodeType.HTTP, NodeType.PLUGIN})
_SHOWN = frozenset(
    {NodeType.POD, NodeType.HTTP, NodeType.PLUGIN, NodeType.SUSPEND, NodeType.STEPS, NodeType.DAG, NodeType.SKIPPED, NodeType.RETRY}
)


def written_test(document: JsonObject, path: str = "") -> str:
    """The source of a test file for the flow fixture; it loads ``path``, or a text of its own without one.

    Raises UsageError for a document without status, or of a run that has not ended.
    """
    if not object_of(document, "status"):
        raise UsageError("the workflow has no status: give the output of a run (flowcore run FILE --output json > run.json)")
    run, rows = rows_from_status(document)
    if not run.phase.completed:
        raise UsageError(f"run {run.name} has not ended ({run.phase or 'new'}); a test is written of what was")
    rows = sorted(rows, key=lambda row: row.seq)
    name = re.sub(r"\W+", "_", text_of(object_of(document, "metadata"), "generateName").rstrip("-") or run.name).strip("_")
    lines = [
        f'"""Plays run {run.name} again, as it was recorded."""',
        "",
        *_text(document, path),
        "",
        f"def test_{name}(flow):",
        *_load(path),
    ]
    lines += [f"    flow.{fact}" for fact in _facts(run, rows)]
    lines += ["", "    result = flow.run()", "", f"    assert result.phase == {str(run.phase)!r}"]
    if run.message and not _speaks_of_ids(run.message, run):
        lines.append(f"    assert result.message == {run.message!r}")
    lines += [f"    assert result.node({_place(row, run)!r}).phase == {str(row.phase)!r}" for row in rows if _is_told(row, run)]
    for one in objects_of(run.outputs or {}, "parameters"):
        lines.append(f"    assert result.outputs.parameters[{text_of(one, 'name')!r}] == {one.get('value')!r}")
    return "\n".join(lines) + "\n"


def _text(document: JsonObject, path: str) -> list[str]:
    """The workflow without its status and what a cluster adds, as a text of the test file."""
    if path:
        return []
    metadata = {
        key: value for key, value in object_of(document, "metadata").items() if key in ("name", "generateName", "labels", "annotations")
    }
    plain: JsonObject = {**{key: document[key] for key in ("apiVersion", "kind") if key in document}, "metadata": metadata}
    plain.setdefault("apiVersion", "argoproj.io/v1alpha1")
    plain.setdefault("kind", "Workflow")
    plain["spec"] = object_of(document, "spec")
    source = yaml.write(plain)
    quoted = repr(source) if '"""' in source or source.endswith("\\") else f'r"""{source}"""'
    return [f"WORKFLOW = {quoted}", ""]


def _load(path: str) -> list[str]:
    return [f"    flow.load({path!r})" if path else "    flow.load(WORKFLOW)"]


def _place(row: Node, run: RunRow) -> str:
    """The node's name below the run's own, which generated names leave alone."""
    below = row.name.removeprefix(run.name)
    return below or row.template_name or row.name


def _is_told(row: Node, run: RunRow) -> bool:
    return row.type in _SHOWN and row.name != run.name and not row.name.endswith(".onExit") and row.phase.fulfilled


def _speaks_of_ids(message: str, run: RunRow) -> bool:
    return run.name in message


def _facts(run: RunRow, rows: Sequence[Node]) -> Iterator[str]:
    """One line for each leaf; those of a template that always did the same share one."""
    lines: dict[str, list[tuple[Node, str]]] = {}
    for row in rows:
        said = _said(row)
        if row.type in _WORK:
            lines.setdefault(row.template_name, []).append((row, said))
        elif row.type is NodeType.SUSPEND and said:
            yield f"when(node={'*' + _place(row, run)!r}){said}"
    for template, told in lines.items():
        sayings = {said for _, said in told}
        if len(sayings) == 1 and template:
            said = next(iter(sayings))
            if said:
                yield f"when({template!r}){said}"
            continue
        yield from (f"when(node={'*' + _place(row, run)!r}){said}" for row, said in told if said)


def _said(row: Node) -> str:
    """How the node ended, how long it took, what it left; nothing for plain success at once."""
    outputs = row.outputs or {}
    parameters = {text_of(one, "name"): one["value"] for one in objects_of(outputs, "parameters") if one.get("value") is not None}
    if row.type is NodeType.SUSPEND:
        given = f", parameters={parameters!r}" if parameters else ""
        return f".resumes(after={_seconds(row)}{given})" if row.phase.completed else ""
    told = ""
    if row.phase is Phase.FAILED:
        code = outputs.get("exitCode")
        message = _own_message(row.message)
        said = f", message={message!r}" if message else ""
        told = f".fails(exit_code={int(code) if isinstance(code, str) and code.isdigit() and code != '0' else 1}{said})"
    elif row.phase is Phase.ERROR:
        told = f".errors({row.message!r})"
    result = outputs.get("result")
    if isinstance(result, str):
        told += f".returns({result!r})" if not told else f".outputs(result={result!r})"
    if parameters:
        told += f".outputs(parameters={json.loads(json.dumps(parameters))!r})"
    return told + (f".takes({_seconds(row)})" if _seconds(row) else "")


def _own_message(message: str) -> str:
    """What the work itself said: what stands behind the code."""
    match = re.fullmatch(r"[\w-]+: Error \(exit code \d+\)(?:: (.*))?", message, re.DOTALL)
    return (match[1] or "") if match else ""


def _seconds(row: Node) -> int:
    if row.started_at is None or row.finished_at is None:
        return 0
    return max(0, int((row.finished_at - row.started_at) / timedelta(seconds=1)))


__all__ = ["written_test"]
