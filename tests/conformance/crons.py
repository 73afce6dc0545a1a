"""CronWorkflows of a simulated cluster: the service's own schedules, over a store that is the cluster's catalog."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flowcore.engine.messages import ShutdownRequested
from flowcore.nodes import RunRow, Shutdown
from tests.conformance.answers import part
from tests.conformance.live import Cluster, LiveRun

KIND = "CronWorkflow"


class Crons:
    """Fires the CronWorkflows of a cluster when they are due."""

    def __init__(self, cluster: Cluster, submit: Callable[[dict[str, Any]], LiveRun]) -> None:
        self.cluster, self._submit = cluster, submit
        self.store, self.clock = self, self
        self._schedules = part("service.schedules", "Schedules")(self)
        self._told: set[str] = set()
        cluster.watchers.append(self._run_changed)
        self._look()

    def documents_now(self) -> list[dict[str, Any]]:
        """The CronWorkflows as they are."""
        return [document for document in self.cluster.world.catalog.documents if document["kind"] == KIND]

    def _look(self) -> None:
        following = [at for document in self.documents_now() if (at := finished(self._schedules._tend(document))) is not None]
        if following:
            self.cluster.call_at(self._look, min(following))

    def _run_changed(self, run: LiveRun) -> None:
        if run.completed and run.name not in self._told and run.drive is not None:
            self._told.add(run.name)
            finished(self._schedules.ended(run.drive.engine.run))

    # --- what the schedules want of a service and its store ---

    def now(self) -> datetime:
        return self.cluster.world.now

    async def documents(self, kind: str, *, name: str | None = None, namespace: str | None = None) -> list[dict[str, Any]]:
        return [
            document
            for document in self.cluster.world.catalog.documents
            if document["kind"] == kind and document["metadata"]["name"] in (name, name or document["metadata"]["name"])
        ]

    async def put_document(self, _kind: str, _name: str, _namespace: str, document: dict[str, Any]) -> None:
        self.cluster.world.catalog.add({"kind": KIND, **document})

    async def load(self, name: str, _namespace: str) -> LiveRun | None:
        return self.cluster.find(name)

    async def runs(self, _namespace: str, *, prefix: str = "") -> list[_Summary]:
        return [_Summary(row) for run in self.cluster.runs if run.name.startswith(prefix) and (row := _row(run)) is not None]

    async def delete(self, name: str, _namespace: str) -> None:
        self.cluster.runs = [run for run in self.cluster.runs if run.name != name]

    async def submit(self, child: dict[str, Any], *, namespace: str) -> RunRow:
        row = _row(self._submit(child))
        return row if row is not None else RunRow(name=child["metadata"]["name"], namespace=namespace)

    async def terminate(self, name: str, _namespace: str) -> None:
        run = self.cluster.find(name)
        if run is not None:
            run.tell(ShutdownRequested(Shutdown.TERMINATE))


@dataclass(frozen=True)
class _Summary:
    run: RunRow


def _row(run: LiveRun) -> RunRow | None:
    if run.drive is None:
        return None
    row: RunRow = run.drive.engine.run
    return replace(row, labels={**(run.manifest["metadata"].get("labels") or {}), **(row.labels or {})})


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine gives that never really waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits for something")
