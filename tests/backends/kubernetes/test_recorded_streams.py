"""All watch streams that a real cluster gave, replayed by ``FakeKube`` and followed by the executor to its outcome."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from flowcore.ports import Outcome
from tests.backends.contract import invocation
from tests.backends.kubernetes.scene import RECORDED
from tests.backends.kubernetes.test_executor import scene

pytest.importorskip("kubernetes_asyncio")

from flowcore_backends.kubernetes import pod_run
from flowcore_backends.kubernetes.status import PodView
from flowcore_backends.kubernetes.testing import replays

_FILE = RECORDED / "statuses" / "streams.jsonl"
_STREAMS: list[Any] = [json.loads(line) for line in _FILE.read_text().splitlines()] if _FILE.exists() else []
_AUX = ("argo-main-wait", "argo-main-wait-failed")


def _ends(events: list[Any]) -> bool:
    return events[-1][1] == "DELETED" or PodView({"status": events[-1][3]}).final


def test_the_recorded_streams_are_at_hand() -> None:
    if not _STREAMS:
        pytest.skip(f"no watch streams of a real cluster at {_FILE}")
    assert len(_STREAMS) >= 70


@pytest.mark.parametrize("stream", [one for one in _STREAMS if _ends(one["events"])], ids=lambda one: one["situation"])
async def test_a_recorded_life_comes_to_its_outcome(tmp_path: Path, stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_run, "_SECONDS_FOR_PHASE", 0.5)
    events = stream["events"]
    names = {one["name"] for _, _, _, status in events for one in status.get("containerStatuses", [])}
    sidecars: list[Any] = [{"name": name, "image": "i", "command": ["x"]} for name in sorted(names - {"main"})]
    body: Any = {"container": {"image": "i", "command": ["x"]}, "sidecars": sidecars}
    async with scene(tmp_path, life=replays(events, speed=2000), logs="none", owner=False, sidecar_grace=timedelta(0)) as it:
        ended: Outcome = await it.run(invocation("work", body))
    finals = [PodView({"metadata": {"name": "p"}, "status": status}) for _, _, _, status in events]
    final = next((view for view in finals if view.final), None)
    if any("deletionTimestamp" in metadata for _, _, metadata, _ in events) or events[-1][1] == "DELETED":
        assert ended.phase.value in ("Error", "Failed", "Succeeded")
        assert ended.message or ended.phase.value == "Succeeded"
    elif final is not None and "can't find" not in final.verdict().message:
        assert (ended.phase, ended.message) == (final.verdict().phase, final.verdict().message)
