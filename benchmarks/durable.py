"""What it costs to record runs: the same workflows without a store and over SQLite, beside DBOS doing as many steps that do nothing over SQLite.

Each measurement has a process of its own. DBOS is no dependency of flowcore: ``pip install dbos`` to see it, else its rows are left out.
Run it with ``python benchmarks/durable.py``, or ``--sizes 1000 10000 --shapes fan-out --json``.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from shapes import SHAPES

SIZES = (1_000, 10_000)
KINDS = ("memory", "sqlite", "dbos")
# What DBOS is given to do: steps one after the other, as in a chain, or all at once, as in a fan-out.
SHAPES_MEASURED = ("fan-out", "chain")


def measure_flowcore(shape: str, size: int, kind: str) -> float:
    """Microseconds a node."""
    import flowcore
    from flowcore.clocks import RealClock
    from flowcore_backends.fake import FakeExecutor

    with tempfile.TemporaryDirectory() as folder:
        os.environ["FLOWCORE_STATE"] = folder
        workflow = flowcore.load_workflow(SHAPES[shape].document(size))
        store = flowcore.open_store(f"sqlite:///{folder}/runs.db") if kind == "sqlite" else None
        started = time.perf_counter()
        result = asyncio.run(flowcore.run(workflow, executor=FakeExecutor(), clock=RealClock(), name="bench", store=store))
        seconds = time.perf_counter() - started
    if result.phase != "Succeeded":
        raise SystemExit(f"{shape} of {size} ended {result.phase}: {result.message}")
    return seconds / len(result.nodes) * 1e6


def measure_dbos(shape: str, size: int) -> float:
    """Microseconds a step of a DBOS workflow over SQLite."""
    from dbos import DBOS

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{folder}/dbos.db"})

        @DBOS.step()
        async def nothing(number: int) -> int:
            return number

        @DBOS.workflow()
        async def one_by_one(count: int) -> int:
            for number in range(count):
                await nothing(number)
            return count

        @DBOS.workflow()
        async def all_at_once(count: int) -> int:
            await asyncio.gather(*(nothing(number) for number in range(count)))
            return count

        DBOS.launch()
        work = one_by_one if shape == "chain" else all_at_once
        started = time.perf_counter()
        asyncio.run(work(size))
        seconds = time.perf_counter() - started
        DBOS.destroy()
    return seconds / size * 1e6


def measure(shape: str, size: int, kind: str) -> float:
    """Microseconds a node or step, here."""
    return measure_dbos(shape, size) if kind == "dbos" else measure_flowcore(shape, size, kind)


def measure_apart(shape: str, size: int, kind: str, repeat: int) -> float:
    """The same in fresh processes; the best of so many."""
    command = [sys.executable, __file__, "--here", kind, "--shapes", shape, "--sizes", str(size)]
    found = []
    for _ in range(repeat):
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise SystemExit(f"{kind}, {shape} of {size} failed:\n{answer.stdout[-2000:]}{answer.stderr[-2000:]}")
        found.append(float(answer.stdout.split()[-1]))
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES_MEASURED, default=list(SHAPES_MEASURED))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="about how many leaves, or steps")
    parser.add_argument("--repeat", type=int, default=1, help="take the fastest of so many")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--here", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(measure(options.shapes[0], options.sizes[0], options.here))
        return
    has_dbos = importlib.util.find_spec("dbos") is not None
    rows: list[dict[str, Any]] = []
    if not options.json:
        print(f"{'shape':<10}{'nodes':>8}{'memory µs':>12}{'SQLite µs':>12}{'ratio':>8}{'DBOS µs/step':>15}{'of DBOS':>10}")
    for shape in options.shapes:
        for size in sorted(options.sizes):
            kinds = [kind for kind in KINDS if kind != "dbos" or has_dbos]
            row: dict[str, Any] = {
                "shape": shape,
                "size": size,
                **{kind: measure_apart(shape, size, kind, options.repeat) for kind in kinds},
            }
            rows.append(row)
            if not options.json:
                beside = f"{row['dbos']:>15.1f}{row['dbos'] / row['sqlite']:>9.1f}x" if has_dbos else f"{'-':>15}{'-':>10}"
                print(
                    f"{shape:<10}{size:>8,}{row['memory']:>12.1f}{row['sqlite']:>12.1f}{row['sqlite'] / row['memory']:>7.2f}x{beside}",
                    flush=True,
                )
    if not has_dbos:
        print("DBOS is not installed, so it is not measured: pip install dbos", file=sys.stderr)
    if options.json:
        machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
