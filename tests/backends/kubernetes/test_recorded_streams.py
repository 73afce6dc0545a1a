"""All watch streams that a real cluster gave, replayed by ``FakeKube`` and followed by the executor to its outcome."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowcore.nodes import Phase
from flowcore.ports import Invocation, Outcome, Progressed
from tests.backends.contract import invocation
from tests.backends.kubernetes.scene import RECORDED
from tests.backends.kubernetes.test_executor import Scene, scene, until

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes import pod_run
from flowcore_backends.kubernetes.status import PodView
from flowcore_backends.kubernetes.testing import replays

_FILE = RECORDED / "statuses" / "streams.jsonl"
_STREAMS: list[Any] = [json.loads(line) for line in _FILE.read_text().splitlines()] if _FILE.exists() else []


def _ends(events: list[Any]) -> bool:
    return events[-1][1] == "DELETED" or PodView({"status": events[-1][3]}).final


def test_the_recorded_streams_are_at_hand() -> None:
    if not _STREAMS:
        pytest.skip(f"no watch streams of a real cluster at {_FILE}")
    assert len(_STREAMS) >= 70


def expected_end(events: list[Any]) -> tuple[str, str]:
    """What a node has at its end: what Argo makes of the pod's last state, but an error if somebody deleted the pod while it worked."""
    views = [PodView({"metadata": {"name": "p", **metadata}, "status": status}) for _, _, metadata, status in events]
    final = next((view for view in views if view.final), None)
    taken = next((view for view in views if view.terminating), None)
    if final is None or (taken is not None and not taken.main_ended and not taken.final and not any(view.disrupted for view in views)):
        return ("Error", "pod deleted")
    verdict = final.verdict()
    return (verdict.phase.value, verdict.message)


@asynccontextmanager
async def replayed(folder: Path, events: list[Any]) -> AsyncIterator[tuple[Scene, Invocation]]:
    names = {one["name"] for _, _, _, status in events for one in status.get("containerStatuses", [])}
    sidecars: list[Any] = [{"name": name, "image": "i", "command": ["x"]} for name in sorted(names - {"main"})]
    body: Any = {"container": {"image": "i", "command": ["x"]}, "sidecars": sidecars}
    async with scene(folder, life=replays(events, speed=2000), logs="none", owner=False, sidecar_grace=timedelta(0)) as it:
        yield it, invocation("work", body)


@pytest.mark.parametrize("stream", [one for one in _STREAMS if _ends(one["events"])], ids=lambda one: one["situation"])
async def test_a_recorded_life_comes_to_its_outcome(tmp_path: Path, stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_run, "_SECONDS_FOR_PHASE", 0.5)
    async with replayed(tmp_path, stream["events"]) as (it, asked):
        ended: Outcome = await it.run(asked)
    phase, message = expected_end(stream["events"])
    given = message.replace("for pod p namespace ", f"for pod {asked.pod_name} namespace default")
    assert (ended.phase.value, ended.message) == (phase, given)


@pytest.mark.parametrize("stream", [one for one in _STREAMS if not _ends(one["events"])], ids=lambda one: one["situation"])
async def test_a_recorded_life_without_an_end_is_told_and_waited_for(tmp_path: Path, stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_run, "_MOMENT", 0.01)
    last = PodView({"status": stream["events"][-1][3]})
    async with replayed(tmp_path, stream["events"]) as (it, asked):
        task = it.begin(asked)
        if last.phase == "Running":
            await until(lambda: it.started(asked))
        elif last.pending_reason:
            await until(lambda: last.pending_reason in [report.message for report in it.reported(Progressed)])
        else:
            await until(lambda: it.names("pods"))
        assert not task.done()
        await it.executor.stop(asked, timedelta(seconds=1))
        assert (await task).phase is Phase.FAILED
