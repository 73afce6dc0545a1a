"""What some commands print: the schema, a test from a past run, the completion of a shell."""

from __future__ import annotations

import json
from pathlib import Path

from typer._completion_shared import get_completion_script

from flowcore.cli.inputs import saved_workflow
from flowcore.cli.operating import with_runs
from flowcore.errors import UsageError
from flowcore.jsontypes import JsonObject
from flowcore.models import DOCUMENT_TYPES
from flowcore.operations import export_run
from flowcore.schema import json_schema
from flowcore.service import Runs
from flowcore.testing.testgen import written_test


def schema_text(kind: str | None) -> str:
    """The schema as JSON. Raises UsageError."""
    if kind is not None and kind not in DOCUMENT_TYPES:
        raise UsageError(f"--kind {kind}: there are {', '.join(DOCUMENT_TYPES)}")
    return json.dumps(json_schema(kind), indent=2, ensure_ascii=False) + "\n"


def test_file(run: str, workflow: str, *, namespace: str | None, store: str | None) -> str:
    """A test that plays a run again: a recorded one, or that of a file with a workflow and its status. Raises InvalidWorkflow, UsageError."""
    if run == "-" or Path(run).exists() or Path(run).suffix:
        return written_test(saved_workflow(run), workflow)

    async def exported(runs: Runs) -> JsonObject:
        return export_run(await runs.get(run, namespace))

    return written_test(with_runs(store, exported), workflow)


def completion_script(shell: str) -> str:
    """The script that makes a shell complete."""
    return get_completion_script(prog_name="flowcore", complete_var="_FLOWCORE_COMPLETE", shell=shell)


__all__ = ["completion_script", "schema_text", "test_file"]
