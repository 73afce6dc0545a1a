"""One container while it runs: start it in its view, relay what it prints, wait for its end, word that end as Kubernetes does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Literal

import anyio
from anyio import to_thread

from flowcore.nodes import NodeId
from flowcore.ports import Logged, Reporter
from flowcore_backends.local.layout import TERMINATION_LOG, Layout, Machine
from flowcore_backends.local.pipes import read_pipe
from flowcore_backends.local.pod import ContainerPlan
from flowcore_backends.local.process import Container, Exit, Launcher
from flowcore_backends.output import LineReporter, Tail
from flowcore_backends.pod_judgement import Ended

_SECONDS_FOR_LAST_OUTPUT = 5.0
_SECONDS_BETWEEN_LOOKS = 0.1
_LONGEST_TERMINATION_MESSAGE = 4096
_LONGEST_FALLBACK = 2048


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for all containers: the launcher, what is known of the machine, and whether views are private."""

    launcher: Launcher
    machine: Machine
    isolated: bool
    needs_user_namespace: bool
    visible: tuple[str, ...] = ()


class RunningContainer:
    """Runs one ``ContainerPlan``. Use ``run``; ``process`` is there from its start on, and stays open for outputs until ``close``."""

    def __init__(self, plan: ContainerPlan, surroundings: Surroundings, node: NodeId, report: Reporter, *, keep_result: bool) -> None:
        self.plan, self._surroundings, self._node, self._report = plan, surroundings, node, report
        self.process: Container | None = None
        self.started, self.ended = anyio.Event(), anyio.Event()
        self.when_started: Callable[[], None] = lambda: None
        self._asked: int | None = None  # the last signal that somebody wanted sent
        self.result = Tail() if keep_result else None
        self._log = Tail() if plan.model.termination_message_policy == "FallbackToLogsOnError" else None

    def close(self) -> None:
        """End all that still runs and give up the container's view."""
        if self.process is not None:
            self.process.close()
            self.process = None

    async def run(self) -> Ended:
        """Start the container and wait for its end. Raises ExecutorError for what is not the command's fault."""
        await self._pause("before")
        with _pipe() as (out_reader, out_writer), _pipe() as (err_reader, err_writer):
            self.process = await self._surroundings.launcher.start(self._order(), out_writer.number, err_writer.number)
            out_writer.close()
            err_writer.close()
            if self._asked is not None:
                await self.process.signal(self._asked)
            await self.process.wait_started()
            self.started.set()
            self.when_started()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._relay, out_reader.number, "stdout")
                tasks.start_soon(self._relay, err_reader.number, "stderr")
                ended = await self.process.wait()
                tasks.cancel_scope.deadline = anyio.current_time() + _SECONDS_FOR_LAST_OUTPUT
        await self._pause("after")
        described = await self._describe(ended)
        self.ended.set()
        return described

    async def _pause(self, moment: Literal["before", "after"]) -> None:
        """Where a main container's ``ARGO_DEBUG_PAUSE_BEFORE`` or ``_AFTER`` is ``true``: wait for a file, as Argo does, or for the order to end."""
        if self.plan.role != "main" or self.plan.environment.get(f"ARGO_DEBUG_PAUSE_{moment.upper()}") != "true":
            return
        self.when_started()
        marker = self.plan.folder / moment
        await to_thread.run_sync(partial(self.plan.folder.mkdir, parents=True, exist_ok=True))
        text = f"paused {moment} the command; it goes on when there is a file {marker}"
        self._report(Logged(self._node, self.plan.name, "stderr", text, datetime.now(UTC)))
        while self._asked is None and not await to_thread.run_sync(marker.exists):  # noqa: ASYNC110 - a file tells nobody
            await anyio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def signal(self, number: int) -> None:
        """Send a signal, at once or as soon as the command runs."""
        self._asked = number
        if self.process is not None:
            await self.process.signal(number)

    def _order(self) -> dict[str, object]:
        plan, isolated = self.plan, self._surroundings.isolated
        root = plan.folder / "root"
        root.mkdir(parents=True, exist_ok=True)
        view = []
        if isolated:
            layout = Layout(
                self._surroundings.machine,
                plan.folder / "over",
                mounts=plan.mounts,
                outputs=plan.outputs,
                folders=[plan.working_dir],
                visible=self._surroundings.visible,
            )
            view = layout.draw()
        return {
            "argv": plan.argv,
            "env": plan.environment,
            "cwd": plan.working_dir,
            "isolate": isolated,
            "user": self._surroundings.needs_user_namespace,
            "root": str(root),
            "view": view,
            "memory": plan.memory,
        }

    async def _relay(self, number: int, stream: str) -> None:
        lines = LineReporter(self._node, self.plan.name, "stdout" if stream == "stdout" else "stderr", self._report)
        sinks: list[Callable[[bytes], object]] = [lines.feed]
        if stream == "stdout" and self.result is not None:
            sinks.append(self.result.feed)
        if self._log is not None:
            sinks.append(self._log.feed)
        with ExitStack() as files:
            if self.plan.keep_log:
                sinks.append(files.enter_context(self.plan.log.open("ab", buffering=0)).write)
            try:
                await read_pipe(number, *sinks)
            finally:
                lines.end()

    async def _describe(self, ended: Exit) -> Ended:
        if ended.refused:
            return Ended(self.plan.name, ended.code, "StartError", f"unable to start container process: {ended.refused}")
        note = await self._termination_message() if ended.code else ""
        return Ended(self.plan.name, ended.code, "OOMKilled" if ended.out_of_memory else "Error", note)

    async def _termination_message(self) -> str:
        path = self.plan.model.termination_message_path
        assert self.process is not None
        if not path and any(mount.path == TERMINATION_LOG for mount in self.plan.mounts):
            path = TERMINATION_LOG
        if path and (number := await self.process.open(path)) is not None:
            with os.fdopen(number, "rb") as file:
                text = file.read(_LONGEST_TERMINATION_MESSAGE).decode("utf-8", "replace")
            if text:
                return text
        return self._log.text[-_LONGEST_FALLBACK:] if self._log is not None else ""


class _End:
    """One end of a pipe, closed once."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._open = True

    def close(self) -> None:
        if self._open:
            self._open = False
            os.close(self.number)


@contextmanager
def _pipe() -> Iterator[tuple[_End, _End]]:
    reader, writer = map(_End, os.pipe())
    os.set_blocking(reader.number, False)
    try:
        yield reader, writer
    finally:
        reader.close()
        writer.close()
