"""Processes that are killed for real, at moments of chance, and continued: nothing is lost, and work is done once where it was seen to end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import flowcore
from flowcore.nodes import NodeType, Phase

ROOT = Path(__file__).parents[2]
WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: kill}
spec:
  entrypoint: main
  parallelism: 4
  templates:
    - name: main
      steps:
        - - {name: first, template: work, arguments: {parameters: [{name: item, value: "a{{item}}"}]}, withSequence: {count: "COUNT"}}
        - - {name: second, template: work, arguments: {parameters: [{name: item, value: "b{{item}}"}]}, withSequence: {count: "COUNT"}}
    - name: work
      inputs: {parameters: [{name: item}]}
      container:
        image: any
        command: [sh, -c, "echo {{inputs.parameters.item}} >> DONE"]
"""
# For a long look: FLOWCORE_KILLS=50 FLOWCORE_KILL_LEAVES=100; over PostgreSQL too where its programs are installed.
KILLS = int(os.environ.get("FLOWCORE_KILLS", "3"))
LEAVES = int(os.environ.get("FLOWCORE_KILL_LEAVES", "15"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_killed_at_moments_of_chance(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else f"sqlite:///{tmp_path / 'runs.db'}"
    workflow, done = tmp_path / "kill.yaml", tmp_path / "done"
    workflow.write_text(WORKFLOW.replace("COUNT", str(LEAVES)).replace("DONE", str(done)))
    kills = 0
    chance = random.Random(KILLS)
    while True:
        with subprocess.Popen([sys.executable, "-m", "tests.durable.drive_local", url, str(workflow)], cwd=ROOT) as process:
            if kills < KILLS and _reaches(process, done, _count(done) + chance.randint(0, max(LEAVES // KILLS, 1))):
                time.sleep(chance.random() / 20)
                process.send_signal(signal.SIGKILL)
            try:
                status = process.wait(timeout=60)
            finally:
                process.kill()
        if status != -signal.SIGKILL:
            break
        kills += 1
    assert status == 0
    assert kills > 0
    again = await _look(url, done, kills)
    print(f"{kind}: {2 * LEAVES} leaves, {kills} kills, {again} leaves run once more")  # shown by pytest -rP


async def _look(url: str, done: Path, kills: int) -> int:
    """Look at what is recorded and what was done; how often work was done again."""
    store = flowcore.open_store(url)
    stored = await store.load("kill", "default")
    assert stored is not None
    pods = [row for row in stored.nodes if row.type is NodeType.POD]
    assert len(pods) == 2 * LEAVES
    assert all(row.phase is Phase.SUCCEEDED for row in stored.nodes)
    times = Counter(done.read_text().split())
    assert len(times) == 2 * LEAVES
    # Only what was under way when the process was killed is done again.
    again = sum(times.values()) - len(times)
    assert again <= 4 * kills
    await store.delete("kill", "default")
    await store.close()
    return again


def _count(done: Path) -> int:
    return len(done.read_text().split()) if done.exists() else 0


def _reaches(process: subprocess.Popen[bytes], done: Path, count: int) -> bool:
    """Wait until so many leaves have run; whether the process is still there."""
    give_up = time.monotonic() + 30
    while _count(done) < count and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.002)
    return process.poll() is None
