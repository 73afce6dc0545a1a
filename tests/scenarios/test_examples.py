"""Every example runs on the fake and on the local backend, and leaves the tree that is written down beside it: the same on both.

The expected trees are made anew with ``FLOWCORE_GOLDEN=write pytest tests/scenarios/test_examples.py -k fake``; read the difference before it is kept.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import flowcore
from flowcore.clocks import VirtualClock
from flowcore.ports import Executor
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.local import LocalExecutor
from tests.scenarios.documents import EXAMPLES, split
from tests.scenarios.trees import table
from tests.scenarios.worlds import EXAMPLES as WORLDS

NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
# The examples for which the local backend lacks something: a Kubernetes API.
NOT_LOCAL = {"resource"}


def compare(name: str, found: str) -> None:
    """The tree is the one in ``expected``; asked to, it is written there instead."""
    file = EXAMPLES / "expected" / f"{name}.txt"
    if os.environ.get("FLOWCORE_GOLDEN") == "write":
        file.write_text(found)
    assert found == file.read_text(), name


async def run(name: str, executor: Executor, **options: object) -> str:
    workflow, catalog = split(EXAMPLES / f"{name}.yaml")
    result = await flowcore.run(flowcore.load_workflow(workflow), executor=executor, catalog=catalog, name=name, **options)
    verdict = f"{result.phase}" + (f": {result.message}" if result.message else "") + "\n\n"
    return verdict + table(name, result.nodes)


def test_every_example_has_a_world_and_a_tree() -> None:
    assert sorted(WORLDS) == NAMES
    assert sorted(path.stem for path in (EXAMPLES / "expected").glob("*.txt")) == NAMES


@pytest.mark.parametrize("name", NAMES)
async def test_on_the_fake_backend(name: str) -> None:
    fake = FakeExecutor()
    WORLDS[name](fake)
    compare(name, await run(name, fake, clock=VirtualClock()))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_LOCAL])
async def test_on_the_local_backend(name: str, tmp_path: Path) -> None:
    compare(name, await run(name, LocalExecutor()))
