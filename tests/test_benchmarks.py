"""The benchmarks run. What they measure is never judged here: machines differ, and tests must not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_shape_is_measured_at_a_small_size() -> None:
    command = [sys.executable, "benchmarks/engine.py", "--here", "--sizes", "20", "--json"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert answer.returncode == 0, answer.stderr
    rows = json.loads(answer.stdout)["rows"]
    assert {row["shape"] for row in rows} == {"fan-out", "chain", "layered", "nested"}
    assert all(row["nodes"] >= 20 for row in rows)


def test_recorded_runs_are_measured_too() -> None:
    command = [sys.executable, "benchmarks/durable.py", "--here", "sqlite", "--shapes", "chain", "--sizes", "20"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert answer.returncode == 0, answer.stderr
    assert float(answer.stdout) > 0
