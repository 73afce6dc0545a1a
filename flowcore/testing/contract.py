"""What every executor must do, as tests. A backend is done when a subclass of ``ExecutorContract`` passes; importable by third parties.

::

    from flowcore.testing.contract import ExecutorContract, loop  # noqa: F401 - a fixture

    class TestMine(ExecutorContract):
        def executor(self):
            return MyExecutor()

Works are known by the name of their template, so that a backend that runs commands takes ``COMMANDS`` and one that runs nothing is scripted.
Needs pytest.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from flowcore.artifacts import FolderArtifacts
from flowcore.catalogs import MemoryCatalog
from flowcore.jsontypes import JsonObject
from flowcore.nodes import NodeId, NodeType, Phase
from flowcore.ports import Executor, Invocation, Logged, Outcome, Ready, Report, RunContext, Started

COMMANDS: dict[str, list[str]] = {
    "succeeds": ["true"],
    "fails": ["sh", "-c", "exit 1"],
    "prints": ["sh", "-c", "echo one; echo two"],
    "lasts": ["sleep", "300"],
    "stubborn": ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"],
    "serves": ["sleep", "300"],
}
_SOON = 20.0  # seconds; far more than any of it takes
_numbers = count()
UID = f"uid-of-wf-{os.getpid()}"  # workers may share an engine


def invocation(work: str, body: JsonObject | None = None, **more: Any) -> Invocation:
    """An invocation of ``work`` under a name of its own."""
    number = next(_numbers)
    given: dict[str, Any] = {
        "node": NodeId(f"wf-{number}"),
        "node_name": f"wf.{work}-{number}",
        "display_name": f"{work}-{number}",
        "node_type": NodeType.POD,
        "pod_name": f"wf-{work}-{number}",
        "workflow": "wf",
        "namespace": "default",
        "uid": UID,
        "template_name": work,
        "body": {"name": work, **(body or {"container": {"image": "alpine:latest", "command": list(COMMANDS[work])}})},
    }
    return Invocation(**(given | more))


def run_context(folder: Path, *documents: JsonObject, **more: Any) -> RunContext:
    """A run whose artifacts lie in ``folder`` and whose catalog holds ``documents``."""
    given: dict[str, Any] = {
        "name": "wf",
        "namespace": "default",
        "uid": UID,
        "catalog": MemoryCatalog(documents),
        "artifacts": FolderArtifacts(folder / "artifacts"),
        "folder": folder / "run",
    }
    return RunContext(**(given | more))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that must come soon."""
    with anyio.fail_after(_SOON):
        while not condition():  # noqa: ASYNC110 - the condition is anybody's
            await anyio.sleep(0.005)


@pytest.fixture(params=["asyncio", "trio"])
def loop(request: pytest.FixtureRequest) -> str:
    """Every executor works on both event loops."""
    return str(request.param)


class ExecutorContract(ABC):
    """Subclass it and give ``executor``; the tests come with it.

    ``stubborn_work`` says whether work can resist being asked to end, ``daemon_address`` is a pattern of the addresses that daemons have.
    """

    stubborn_work = True
    daemon_address = r"127\.0\.0\.1"

    @abstractmethod
    def executor(self) -> Executor:
        """A fresh one, made for each test."""

    @pytest.fixture
    def play(self, loop: str, tmp_path: Path) -> Callable[[Callable[[Play], Awaitable[None]]], None]:
        """Plays a scene with a fresh executor and closes it."""

        def start(scene: Callable[[Play], Awaitable[None]]) -> None:
            async def within() -> None:
                executor, context = self.executor(), run_context(tmp_path)
                with anyio.fail_after(_SOON):
                    await scene(Play(executor, context))
                    await executor.close(context)

            anyio.run(within, backend=loop)

        return start

    def test_it_is_an_executor(self) -> None:
        assert isinstance(self.executor(), Executor)

    def test_success_is_reported_once_and_begun_before(self, play: Any) -> None:
        async def scene(play: Play) -> None:
            ended = await play.run(invocation("succeeds"))
            assert (ended.phase, ended.exit_code, ended.message) == (Phase.SUCCEEDED, 0, "")
            assert [type(report) for report in play.reports if not isinstance(report, Logged)] == [Started]

        play(scene)

    def test_failure_is_worded_as_kubernetes_and_argo_do(self, play: Any) -> None:
        async def scene(play: Play) -> None:
            ended = await play.run(invocation("fails"))
            assert (ended.phase, ended.exit_code, ended.message) == (Phase.FAILED, 1, "main: Error (exit code 1)")

        play(scene)

    def test_the_result_comes_when_it_is_asked_for(self, play: Any) -> None:
        async def scene(play: Play) -> None:
            assert (await play.run(invocation("prints", capture_result=True))).result == "one\ntwo"

        play(scene)

    def test_stop_ends_the_work_and_run_tells(self, play: Any) -> None:
        async def scene(play: Play) -> None:
            lasting = invocation("lasts")
            async with play.under_way(lasting):
                await play.executor.stop(lasting, timedelta(seconds=10))
                await play.executor.stop(lasting, timedelta(seconds=10))
            ended = play.outcomes[lasting.node]
            assert (ended.phase, ended.exit_code, ended.message) == (Phase.FAILED, 143, "main: Error (exit code 143)")

        play(scene)

    def test_what_does_not_end_when_asked_is_ended_after_its_grace(self, play: Any) -> None:
        if not self.stubborn_work:
            pytest.skip("nothing resists here")

        async def scene(play: Play) -> None:
            stubborn = invocation("stubborn")
            async with play.under_way(stubborn):
                await play.executor.stop(stubborn, timedelta(seconds=0.1))
            assert play.outcomes[stubborn.node].phase is Phase.FAILED

        play(scene)

    def test_stopping_what_does_not_run_is_harmless(self, play: Any) -> None:
        async def scene(play: Play) -> None:
            done = invocation("succeeds")
            await play.executor.stop(done, timedelta(0))
            await play.run(done)
            await play.executor.stop(done, timedelta(0))

        play(scene)

    def test_cancelled_it_looks_away_at_once_and_serves_on(self, play: Any) -> None:
        async def scene(play: Play) -> None:
            lasting = invocation("lasts")
            async with play.under_way(lasting) as tasks:
                tasks.cancel_scope.cancel()
            assert lasting.node not in play.outcomes
            assert (await play.run(invocation("succeeds"))).phase is Phase.SUCCEEDED

        play(scene)

    def test_many_at_once_keep_their_own_outcomes(self, play: Any) -> None:
        async def scene(play: Play) -> None:
            good, bad = [invocation("succeeds") for _ in range(4)], [invocation("fails") for _ in range(4)]
            async with anyio.create_task_group() as tasks:
                for each in (*good, *bad):
                    tasks.start_soon(play.run, each)
            assert {play.outcomes[each.node].phase for each in good} == {Phase.SUCCEEDED}
            assert {play.outcomes[each.node].phase for each in bad} == {Phase.FAILED}

        play(scene)

    def test_a_daemon_is_ready_and_goes_on_until_it_is_stopped(self, play: Any) -> None:
        async def scene(play: Play) -> None:
            daemon = invocation("serves", daemon=True)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(play.run, daemon)
                await until(lambda: any(isinstance(report, Ready) for report in play.reports))
                assert daemon.node not in play.outcomes
                (address,) = [report.pod_ip for report in play.reports if isinstance(report, Ready)]
                assert re.fullmatch(self.daemon_address, address or "")
                await play.executor.stop(daemon, timedelta(seconds=10))
            assert daemon.node in play.outcomes

        play(scene)

    def test_closing_a_run_twice_is_harmless_and_the_executor_serves_the_next(self, play: Any) -> None:
        async def scene(play: Play) -> None:
            await play.run(invocation("succeeds"))
            await play.executor.close(play.context)
            await play.executor.close(play.context)
            assert (await play.run(invocation("succeeds"))).phase is Phase.SUCCEEDED

        play(scene)


class Play:
    """One executor at work: what it reported, and how everything ended."""

    def __init__(self, executor: Executor, context: RunContext) -> None:
        self.executor, self.context = executor, context
        self.reports: list[Report] = []
        self.outcomes: dict[NodeId, Outcome] = {}

    async def run(self, asked: Invocation) -> Outcome:
        """Run it and remember how it ended."""
        ended = self.outcomes[asked.node] = await self.executor.run(asked, self.context, self.reports.append)
        return ended

    @asynccontextmanager
    async def under_way(self, asked: Invocation) -> AsyncIterator[TaskGroup]:
        """Enter the block when it is reported to run, in the task group that runs it; leaving waits for its end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.run, asked)
            await until(lambda: self.started(asked))
            yield tasks

    def started(self, asked: Invocation) -> bool:
        """Whether it was reported to run."""
        return Started(asked.node) in self.reports

    def printed(self, stream: str = "stdout", container: str = "main") -> str:
        """All that a container printed, line by line."""
        return "\n".join(r.text for r in self.reports if isinstance(r, Logged) and (r.stream, r.container) == (stream, container))
