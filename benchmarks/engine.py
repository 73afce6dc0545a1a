"""What a node costs: workflows of several shapes and sizes on the fake backend in real time, beside the same shapes in bare asyncio.

Each measurement has a process of its own, so that neither memory nor warmed-up caches of one reach the next. Run it with ``make bench``, or
``python benchmarks/engine.py --shapes fan-out --sizes 1000 10000 --json``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from shapes import SHAPES

SIZES = (1_000, 10_000, 100_000)


def measure(shape: str, size: int) -> dict[str, Any]:
    """Run one shape and its bare twin here, and say what they took."""
    import flowcore
    from flowcore.clocks import RealClock
    from flowcore_backends.fake import FakeExecutor

    document = SHAPES[shape].document(size)
    started = time.perf_counter()
    workflow = flowcore.load_workflow(document)
    loaded = time.perf_counter()
    before = memory_now()
    result = asyncio.run(flowcore.run(workflow, executor=FakeExecutor(), clock=RealClock(), name="bench"))
    ended = time.perf_counter()
    memory = peak_memory() - before
    if result.phase != "Succeeded":
        raise SystemExit(f"{shape} of {size} ended {result.phase}: {result.message}")
    nodes = len(result.nodes)
    del result
    bare_started = time.perf_counter()
    asyncio.run(drive(shape, size))
    bare = time.perf_counter() - bare_started
    return {
        "shape": shape,
        "size": size,
        "nodes": nodes,
        "load_seconds": loaded - started,
        "seconds": ended - loaded,
        "microseconds_per_node": (ended - loaded) / nodes * 1e6,
        "bytes_per_node": memory / nodes,
        "bare_seconds": bare,
        "bare_microseconds_per_node": bare / nodes * 1e6,
        "ratio": (ended - loaded) / bare,
    }


async def drive(shape: str, size: int) -> None:
    await SHAPES[shape].bare(size)


def peak_memory() -> int:
    """The most memory this process has used so far, in bytes."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if platform.system() == "Darwin" else used * 1024


def memory_now() -> int:
    """The memory this process holds, in bytes; where the system does not tell, the most it has held."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * resource.getpagesize() if statm.exists() else peak_memory()


def measure_apart(shape: str, size: int) -> dict[str, Any]:
    """The same in a fresh process."""
    command = [sys.executable, __file__, "--here", "--shapes", shape, "--sizes", str(size), "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise SystemExit(f"{shape} of {size} failed:\n{answer.stdout}{answer.stderr}")
    row: dict[str, Any] = json.loads(answer.stdout)["rows"][0]
    return row


def best(shape: str, size: int, repeat: int, *, here: bool) -> dict[str, Any]:
    """The fastest of so many measurements: what disturbs one only ever slows it down."""
    rows = [measure(shape, size) if here else measure_apart(shape, size) for _ in range(repeat)]
    return min(rows, key=lambda row: float(row["seconds"]))


HEADER = f"{'shape':<10}{'leaves':>9}{'nodes':>9}{'seconds':>10}{'µs/node':>10}{'growth':>9}{'KiB/node':>10}{'bare µs':>10}{'ratio':>8}"


def line(row: dict[str, Any], smaller: dict[str, Any] | None) -> str:
    """One row of the table; growth compares the cost of a node with the next smaller size."""
    growth = f"{row['microseconds_per_node'] / smaller['microseconds_per_node'] - 1:+.0%}" if smaller else ""
    return (
        f"{row['shape']:<10}{row['size']:>9,}{row['nodes']:>9,}{row['seconds']:>10.3f}{row['microseconds_per_node']:>10.1f}{growth:>9}"
        f"{row['bytes_per_node'] / 1024:>10.2f}{row['bare_microseconds_per_node']:>10.2f}{row['ratio']:>7.1f}x"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=sorted(SHAPES), default=list(SHAPES))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="about how many leaves")
    parser.add_argument("--repeat", type=int, default=1, help="take the fastest of so many")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--here", action="store_true", help="measure in this process: quicker to start, but memory figures mix")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if not options.json:
        print(HEADER)
    for shape in options.shapes:
        smaller = None
        for size in sorted(options.sizes):
            row = best(shape, size, options.repeat, here=options.here)
            rows.append(row)
            if not options.json:
                print(line(row, smaller), flush=True)
            smaller = row
    if options.json:
        machine = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
