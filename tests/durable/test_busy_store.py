"""A store that another process keeps busy for too long stops the run cleanly; nothing is lost, and it goes on when the store is free."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

import flowcore
from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import StoreError
from flowcore.nodes import Phase
from flowcore.ports import Reporter, RunContext
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.stores import sqlite
from flowcore_backends.stores.sqlite import SqliteStore

WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
    - {name: main, steps: [[{name: a, template: work}], [{name: b, template: work}]]}
    - {name: work, container: {image: any, command: [c]}}
"""


class Busy:
    """An executor during whose work somebody else begins to write, and does not end."""

    def __init__(self, file: Path) -> None:
        self.other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        if invocation.display_name == "b":
            self.other.execute("BEGIN IMMEDIATE")
        return Outcome(phase=Phase.SUCCEEDED, exit_code=0)

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Nothing runs."""

    async def close(self, context: RunContext) -> None:
        """Nothing is kept."""


async def test_a_database_that_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))
    monkeypatch.setattr(sqlite, "_WAITS", 0.05)
    store = SqliteStore(tmp_path / "runs.db", lease=timedelta(0))
    await store.runs()
    busy = Busy(tmp_path / "runs.db")
    with pytest.raises(StoreError, match="database is locked: another process keeps it busy; try again"):
        await flowcore.run(WORKFLOW, executor=busy, store=store)
    busy.other.rollback()
    busy.other.close()
    stored = await store.load("wf", "default")
    assert stored is not None
    assert {row.name: str(row.phase) for row in stored.nodes}["wf[0].a"] == "Succeeded"
    fake = FakeExecutor(record=True)
    result = await flowcore.resume("wf", store=store, executor=fake)
    assert (result.phase, [invocation.display_name for invocation in fake.calls()]) == ("Succeeded", ["b"])
    await store.close()
