"""A service with several executors, and what it leaves behind when it dies."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from flowcore.catalogs import MemoryCatalog
from flowcore.clocks import RealClock, SharedVirtualClock
from flowcore.errors import UsageError
from flowcore.service import Service
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.stores.sqlite import SqliteStore
from tests.backends.contract import until

WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
    - name: main
      dag:
        tasks: [{name: plain, template: plain}, {name: gpu, template: gpu}, {name: web, template: web}, {name: wrong, template: wrong}]
    - {name: plain, container: {image: i, command: [c]}}
    - {name: gpu, metadata: {annotations: {flowcore.dev/executor: big}}, container: {image: i, command: [c]}}
    - {name: wrong, metadata: {annotations: {flowcore.dev/executor: huge}}, container: {image: i, command: [c]}}
    - {name: web, http: {url: "http://localhost/"}}
"""
LOCKED = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: NAME}
spec:
  entrypoint: main
  synchronization: {mutexes: [{name: m}]}
  templates: [{name: main, container: {image: i, command: [c]}}]
"""


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path))


async def test_templates_choose_their_executor() -> None:
    executors = {"small": FakeExecutor(record=True), "big": FakeExecutor(record=True), "http": FakeExecutor(record=True)}
    service = Service(SqliteStore(":memory:"), executors, clock=SharedVirtualClock())
    async with service.start():
        await service.submit(WORKFLOW)
        row = await service.wait("wf")
        stored = await service.get("wf")
    ran = {name: [invocation.template_name for invocation in fake.calls()] for name, fake in executors.items()}
    assert ran == {"small": ["plain"], "big": ["gpu"], "http": ["web"]}
    assert row.phase == "Error" or row.phase == "Failed"
    wrong = next(node for node in stored.nodes if node.display_name == "wrong")
    assert (wrong.phase, wrong.message) == (
        "Error",
        "template wrong wants the executor 'huge' (flowcore.dev/executor); there are: small, big, http",
    )
    with pytest.raises(UsageError, match="needs an executor"):
        Service(SqliteStore(":memory:"), {})


async def test_a_lock_is_held_across_the_death_of_a_service() -> None:
    """The run that held it has it again, whoever asks first; the other one still waits."""
    store = SqliteStore(":memory:")
    fake = FakeExecutor(record=True)
    fake.when().hangs()
    first = Service(store, fake, MemoryCatalog(), clock=RealClock())
    async with first.start():
        await first.submit(LOCKED.replace("NAME", "holder"))
        await until(lambda: bool(fake.calls()))
        await first.submit(LOCKED.replace("NAME", "waiter"))
        with anyio.fail_after(20):
            while (await first.get("waiter")).run.phase != "Pending":
                await anyio.sleep(0.001)
    assert await store.held_locks() == [("default/Mutex/m", "default/holder")]
    again = FakeExecutor(record=True)
    second = Service(store, again, MemoryCatalog(), clock=SharedVirtualClock())
    async with second.start():
        for name in ("waiter", "holder"):
            assert (await second.wait(name)).phase == "Succeeded"
    assert [invocation.workflow for invocation in again.calls()] == ["holder", "waiter"]
    assert await store.held_locks() == []
