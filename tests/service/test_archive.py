"""The archive: ended runs out of the way, but not gone. By hand, and by a service instead of deleting them; in virtual time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from flowcore.errors import UsageError
from flowcore.operations import export_run
from flowcore.service import Service
from tests.service.test_service import START, cron_workflow, service, state, workflow

__all__ = ["state"]
LABEL = "workflows.argoproj.io/workflow-archiving-status"


async def ended(one: Service, name: str, **spec: object) -> None:
    await one.wait((await one.submit(workflow(name, **spec))).name)


async def names(one: Service, *, archived: bool = False) -> list[str]:
    return [each.run.name for each in await one.list(archived=archived)]


@pytest.mark.parametrize(("days", "archived"), [(1, ["short"]), (40, [])])
async def test_a_service_archives_what_it_would_delete(days: int, archived: list[str]) -> None:
    """When ``ttlStrategy`` says so; the archive forgets after its own time."""
    one = service(archive_ttl=timedelta(days=30), until=START + timedelta(days=days))
    async with one.start():
        await ended(one, "short", ttlStrategy={"secondsAfterCompletion": 60})
        await ended(one, "long")
        await one.clock.reached_end()
    assert (await names(one), await names(one, archived=True)) == (["long"], archived)


async def test_only_ended_runs_are_archived() -> None:
    one = service()
    await one.submit(workflow("waits"))
    with pytest.raises(UsageError, match="run waits is Pending: only runs that have ended can be archived"):
        await one.archive("waits")


async def test_an_archived_run_is_told_as_argo_tells_it() -> None:
    """Until it is retried, which has it in the live list again; what was archived while it was driven waits for that."""
    one = service()
    async with one.start():
        row = await one.submit(workflow("wf", template={"container": {"image": "i", "command": ["c"]}}))
        await one.wait(row.name)
        await one.archive("wf")
        stored = await one.get("wf", archived=True)
        assert export_run(stored)["metadata"]["labels"][LABEL] == "Persisted"
        back = await one.retry("wf", archived=True, restart_successful=True, selector="displayName=wf")
        assert LABEL not in (back.labels or {})
        assert (await one.wait("wf")).phase == "Succeeded"
        assert await names(one, archived=True) == []


async def test_history_limits_of_a_schedule_fill_the_archive() -> None:
    one = service(archive=True, until=START + timedelta(minutes=5, seconds=30))
    await one.store.put_document("CronWorkflow", "nightly", "default", cron_workflow(schedules=["* * * * *"], successfulJobsHistoryLimit=0))
    async with one.start():
        await one.clock.reached_end()
    assert await names(one) == []
    assert len(await names(one, archived=True)) == 5
