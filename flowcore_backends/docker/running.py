"""One container while it runs: create and start it or take it over, relay what it prints, wait for its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from aiodocker.exceptions import DockerError
from aiohttp import ClientError

from flowcore.errors import ExecutorError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.nodes import NodeId
from flowcore.ports import Reporter
from flowcore_backends.docker.api import NOT_FOUND, Api, passes, told
from flowcore_backends.docker.frames import Frames, Stream
from flowcore_backends.docker.pod import ContainerPlan
from flowcore_backends.docker.states import ended_of, has_ended, has_started
from flowcore_backends.output import LineReporter, Tail
from flowcore_backends.pod_judgement import START_ERROR, TERMINATED, Ended

_SECONDS_FOR_LAST_OUTPUT = 60.0  # without anything new; a busy engine is slow, and an ended container has an end of output
_SECONDS_TO_END = 2.0
_PAUSE = 0.5
_MUCH, _LAST_LINES = 16 << 20, 1 << 18
_TOO_MUCH_TO_READ_AGAIN = 64 << 20
_LONGEST_FALLBACK = 2048
_COMMANDS_FAULT = ("OCI runtime", "executable file not found", "exec format error", "permission denied", "no such file or directory")

Prepare = Callable[[str], Awaitable[None]]


def deleted() -> ExecutorError:
    """Somebody removed a container that was running for us."""
    return ExecutorError("pod deleted")


class RunningContainer:
    """Runs one ``ContainerPlan``; ``identity`` is there as soon as it was created or found."""

    def __init__(
        self, plan: ContainerPlan, api: Api, node: NodeId, report: Reporter, *, keep_result: bool, log: Path | None = None
    ) -> None:
        self.plan, self._api, self._node, self._report = plan, api, node, report
        self.identity: str | None = None
        self.shown: JsonObject = {}
        self.started, self.ended = anyio.Event(), anyio.Event()
        self.when_started: Callable[[], None] = lambda: None
        self.before_end: Callable[[RunningContainer], Awaitable[None]] | None = None
        self._asked: str | None = None  # the last signal that somebody wanted sent
        self.log_file = log
        self.result = Tail() if keep_result else None
        self._log = Tail() if plan.model.termination_message_policy == "FallbackToLogsOnError" else None

    def adopt(self, identity: str, shown: JsonObject) -> None:
        """Take over a container that an earlier process started."""
        self.identity, self.shown = identity, shown

    async def run(self, body: JsonObject, prepare: Prepare, starts: anyio.CapacityLimiter) -> Ended:
        """Create, start and wait, or just wait for one that was taken over. Raises ExecutorError for what is not the command's fault."""
        if self.identity is None or not has_started(self.shown):
            async with starts:
                refused = await self._start(body, prepare)
            if refused is not None:
                self.ended.set()
                return refused
        return await self.follow()

    async def start_again(self, starts: anyio.CapacityLimiter) -> Ended:
        """Run an ended container once more, with the files that it left."""
        assert self.identity is not None
        self.started, self.ended = anyio.Event(), anyio.Event()
        if self.result is not None:
            self.result = Tail()
        async with starts:
            await self._api.start(self.identity)
        return await self.follow(skip=True)

    async def _start(self, body: JsonObject, prepare: Prepare) -> Ended | None:
        """Start the container; how it ended if it cannot be started."""
        name = self.plan.name
        try:
            self.identity = self.identity or await self._api.create(self.plan.object_name, body)
            await prepare(self.identity)
        except DockerError as error:
            raise ExecutorError(f"Pod failed before {name} container starts due to CreateContainerError: {error.message}") from error
        if self._asked is not None:
            return Ended(name, TERMINATED)
        try:
            await self._api.start(self.identity)
        except DockerError as error:
            if any(words in error.message for words in _COMMANDS_FAULT):
                return Ended(name, START_ERROR, "StartError", error.message.strip())
            raise ExecutorError(f"Pod failed before {name} container starts due to RunContainerError: {error.message}") from error
        return None

    async def follow(self, *, skip: bool = False) -> Ended:
        """Wait for the end of a started container and relay its output; ``skip`` leaves out what it printed when it ran before."""
        self.started.set()
        self.when_started()
        if self._asked is not None:
            await self.signal(self._asked)
        over = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._relay, over, tasks.cancel_scope, self._printed if skip else 0)
            self.shown = await self._wait()
            over.set()
            tasks.cancel_scope.deadline = anyio.current_time() + _SECONDS_FOR_LAST_OUTPUT
        if self.result is not None and self._printed > _MUCH:
            self.result = await self._last_output()
        self.ended.set()
        return ended_of(self.plan.name, self.shown)

    async def _last_output(self) -> Tail:
        """The end of the output as the engine keeps it: where much was printed, it may have dropped some before it came to us."""
        frames, tail = Frames(framed=not self.plan.model.tty), Tail()
        async for data in self._api.last_output(self.identity or "", _LAST_LINES):
            for _, piece in frames.feed(data):
                tail.feed(piece)
        return tail

    async def signal(self, name: str) -> None:
        """Send a signal, at once or as soon as the container runs."""
        self._asked = name
        if self.identity is not None and not self.ended.is_set():
            if self.before_end is not None:
                before, self.before_end = self.before_end, None
                await before(self)
            await self._api.kill(self.identity, name)

    async def _wait(self) -> JsonObject:
        assert self.identity is not None
        while True:
            try:
                await self._api.wait(self.identity)
            except DockerError as error:
                if error.status != NOT_FOUND and not passes(error):
                    raise told(error, f"container {self.plan.name} could not be waited for") from error
            except (ClientError, OSError):  # the engine restarts; looking at the container asks patiently
                await anyio.sleep(_PAUSE)
            try:
                shown = await self._api.show(self.identity)
            except DockerError as error:
                if error.status == NOT_FOUND:
                    raise deleted() from error
                raise
            if has_ended(shown):
                return shown
            if text_of(object_of(shown, "State"), "Status") == "removing":
                raise deleted()
            await anyio.sleep(_PAUSE)

    # --- output ---------------------------------------------------------------------------------------------------------------------

    _printed = 0

    async def _relay(self, over: anyio.Event, scope: anyio.CancelScope, skip: int) -> None:
        """Hand on all output. A stream that breaks is asked for again from its beginning, and what was handed on is left out."""
        reporters = {
            "stdout": LineReporter(self._node, self.plan.name, "stdout", self._report),
            "stderr": LineReporter(self._node, self.plan.name, "stderr", self._report),
        }
        self._printed = skip
        file = self.log_file.open("ab") if self.log_file is not None else None
        try:
            write = file.write if file is not None else None
            while True:
                was_over = over.is_set()
                if await self._relay_once(reporters, over, scope, write):
                    break
                await anyio.sleep(_PAUSE)
            # engines let go of who follows when a container ends, at times too early
            if not was_over and self._printed <= _TOO_MUCH_TO_READ_AGAIN:
                await self._relay_once(reporters, over, scope, write, follow=False)
        finally:
            for reporter in reporters.values():
                reporter.end()
            if file is not None:
                file.close()

    async def _relay_once(
        self,
        reporters: dict[str, LineReporter],
        over: anyio.Event,
        scope: anyio.CancelScope,
        write: Callable[[bytes], object] | None,
        *,
        follow: bool = True,
    ) -> bool:
        """Whether that was all."""
        assert self.identity is not None
        frames, left_out = Frames(framed=not self.plan.model.tty), self._printed
        try:
            async for data in self._api.logs(self.identity, follow=follow):
                if over.is_set():
                    scope.deadline = anyio.current_time() + _SECONDS_FOR_LAST_OUTPUT
                for stream, piece in frames.feed(data):
                    known, left_out = piece[:left_out], max(0, left_out - len(piece))
                    if new := piece[len(known) :]:
                        self._hand_on(stream, new, reporters, write)
                await anyio.lowlevel.checkpoint()  # a flood must not keep others waiting
        except DockerError as error:
            return not passes(error)
        except (ClientError, OSError):
            return over.is_set()
        with anyio.move_on_after(_SECONDS_TO_END):
            await over.wait()
        return over.is_set()

    def _hand_on(self, stream: Stream, data: bytes, reporters: dict[str, LineReporter], write: Callable[[bytes], object] | None) -> None:
        self._printed += len(data)
        reporters[stream].feed(data)
        if stream == "stdout" and self.result is not None:
            self.result.feed(data)
        if self._log is not None:
            self._log.feed(data)
        if write is not None:
            write(data)

    @property
    def last_words(self) -> str:
        """The end of the output, where the template takes that for a termination message."""
        return self._log.text[-_LONGEST_FALLBACK:] if self._log is not None else ""
