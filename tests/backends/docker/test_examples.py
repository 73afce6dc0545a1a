"""The examples on a real engine leave the trees that they leave on the fake and on the local backend."""

from __future__ import annotations

import pytest

from flowcore_backends.docker import DockerExecutor
from tests.scenarios.test_examples import NAMES, NOT_LOCAL, compare, run

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_LOCAL])
async def test_on_docker(engine: str, name: str) -> None:
    compare(name, await run(name, DockerExecutor(host=engine)))
