"""What a retry begins anew is not taken up from a backend whose work outlives its process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

import flowcore
from flowcore.catalogs import MemoryCatalog
from flowcore.clocks import RealClock
from flowcore.engine.messages import Invocation, Outcome
from flowcore.nodes import Phase
from flowcore.ports import ForgettingExecutor, Reporter, RunContext
from flowcore.service import Runs
from flowcore_backends.kubernetes import KubernetesExecutor
from flowcore_backends.kubernetes.testing import FakeKube
from flowcore_backends.kubernetes.testing.local import local_processes
from flowcore_backends.router import RouterExecutor
from flowcore_backends.stores.sqlite import SqliteStore

WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
    - name: main
      dag: {tasks: [{name: a, template: good}, {name: b, template: bad, depends: a}]}
    - {name: good, container: {image: any, command: ['true']}}
    - {name: bad, container: {image: any, command: [sh, -c, "test -e MARK"]}}
"""


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))


class Lasting:
    """A backend that remembers how each pod ended, and answers so for ever."""

    def __init__(self) -> None:
        self.ended: dict[str, Outcome] = {}
        self.healthy = False

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        fails = invocation.template_name == "bad" and not self.healthy
        return self.ended.setdefault(invocation.pod_name, Outcome(phase=Phase.FAILED if fails else Phase.SUCCEEDED, exit_code=int(fails)))

    async def forget(self, pods: Sequence[str], context: RunContext) -> None:
        for pod in pods:
            self.ended.pop(pod, None)

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Nothing runs."""

    async def close(self, context: RunContext) -> None:
        """All is kept."""


async def test_a_retry_does_not_take_up_the_pods_that_failed() -> None:
    store, lasting = SqliteStore(":memory:"), Lasting()
    executor = RouterExecutor({}, lasting)
    assert isinstance(executor, ForgettingExecutor)
    runs = Runs(store, None, RealClock())
    assert (await flowcore.run(WORKFLOW, executor=executor, store=store)).phase == "Failed"
    lasting.healthy = True
    good = {name for name, outcome in lasting.ended.items() if outcome.phase is Phase.SUCCEEDED}
    await runs.retry("wf")
    result = await flowcore.resume("wf", store=store, executor=executor)
    assert result.phase == "Succeeded"
    assert good < lasting.ended.keys()
    assert await store.documents("RunPods") == []


async def test_pods_of_a_cluster_are_deleted_and_made_anew(tmp_path: Path) -> None:
    workflow = WORKFLOW.replace("MARK", str(tmp_path / "mark"))
    store = SqliteStore(":memory:")
    async with FakeKube(default=local_processes(tmp_path / "pods")) as kube:
        executor = KubernetesExecutor(api_server=kube.url)
        assert (await flowcore.run(workflow, executor=executor, store=store)).phase == "Failed"
        (tmp_path / "mark").touch()
        await Runs(store, MemoryCatalog(), RealClock()).retry("wf")
        result = await flowcore.resume("wf", store=store, executor=KubernetesExecutor(api_server=kube.url))
        assert result.phase == "Succeeded", result.message
