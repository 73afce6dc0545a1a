"""The contract of executors, kept on a real engine."""

from __future__ import annotations

import pytest

from flowcore.ports import Executor
from flowcore_backends.docker import DockerExecutor
from tests.backends.contract import ExecutorContract

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture(params=["asyncio"])
def loop(request: pytest.FixtureRequest) -> str:
    """aiodocker runs on asyncio alone."""
    return str(request.param)


class TestDocker(ExecutorContract):
    daemon_address = r"\d+\.\d+\.\d+\.\d+"

    @pytest.fixture(autouse=True)
    def _on(self, engine: str) -> None:
        self._engine = engine

    def executor(self) -> Executor:
        return DockerExecutor(host=self._engine)
