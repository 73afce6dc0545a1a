"""``Flow``: a workflow and the world around it, scripted line by line and run in virtual time. What the ``flow`` fixture gives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias, cast

import anyio

from flowcore.artifacts.memory import MemoryArtifacts
from flowcore.catalogs import MemoryCatalog
from flowcore.clocks import VirtualClock
from flowcore.errors import FlowError, InvalidWorkflow, UsageError
from flowcore.executors import executor_class
from flowcore.jsontypes import JsonObject
from flowcore.manifests import Document, load_documents
from flowcore.models import Workflow
from flowcore.ports import Executor, Invocation
from flowcore.results import RunResult
from flowcore.runner import Run
from flowcore.running import open_run
from flowcore.testing.checks import FlowResult
from flowcore.testing.drawing import drawn
from flowcore.testing.facts import Fact, InputPattern, Pattern, ScriptedExecutor
from flowcore.testing.sources import Loaded, Source, read_source, sort_documents

__tracebackhide__ = True  # what a run raises is shown where the test began it

_Told: TypeAlias = FlowResult | AssertionError | FlowError


class Flow:
    """A workflow and its scripted world.

    ::

        flow.load("deploy.yaml")
        flow.when("build").takes("10m")
        flow.when("deploy").fails(exit_code=2, times=2).succeeds()
        flow.run(parameters={"version": "1.2"}).succeeded()

    What no fact speaks of succeeds at once. ``strict``: an output that is used and that no fact gives is an error that shows the line to
    write. ``folders`` is where relative paths are looked for. ``seed`` decides names and chance, ``start`` is the time at which runs begin.
    """

    def __init__(
        self,
        *,
        strict: bool = True,
        seed: int = 0,
        start: datetime | None = None,
        folders: tuple[Path, ...] = (Path(),),
        keep: Callable[[FlowResult, str], None] | None = None,
    ) -> None:
        self.strict, self.seed, self.start = strict, seed, start
        self.artifacts = MemoryArtifacts()
        self._folders, self._keep = folders, keep
        self._executor: ScriptedExecutor | None = None
        self._loaded = Loaded()
        self.catalog = MemoryCatalog()
        self.last: RunResult | None = None

    # --- the world ------------------------------------------------------------------------------------------------------------------

    @property
    def executor(self) -> ScriptedExecutor:
        """The executor that the facts are told to; made by the fake backend when it is first needed."""
        if self._executor is None:
            make = executor_class("fake")
            self._executor = cast("ScriptedExecutor", make(strict=self.strict, seed=self.seed, record=True))
        return self._executor

    def when(
        self,
        what: Pattern | None = None,
        /,
        *,
        template: Pattern | None = None,
        node: Pattern | None = None,
        step: Pattern | None = None,
        image: Pattern | None = None,
        attempt: int | None = None,
        where: Callable[[Invocation], bool] | None = None,
        inputs: Mapping[str, InputPattern] | None = None,
        **parameters: InputPattern,
    ) -> Fact:
        """A new fact, about the work that fits all that is given: ``flow.when("deploy", version="1.2").fails(exit_code=2)``.

        ``what`` is a template, a step or task, or a node. Texts may hold ``*`` and ``?``. ``attempt`` counts from 0. Other keywords are input
        parameters and their values. Later facts win over earlier ones.
        """
        return self.executor.when(
            what, template=template, node=node, step=step, image=image, attempt=attempt, where=where, inputs=inputs, **parameters
        )

    def load(self, source: Source) -> Flow:
        """Take a workflow (a path, a text, a mapping, a model, or an object of Hera) and the documents beside it.

        Relative paths begin at the test's folder, else at pytest's root. A WorkflowTemplate or CronWorkflow alone is run as if it were submitted.
        Raises InvalidWorkflow with every problem.
        """
        sort_documents(read_source(source, self._folders), self._loaded)
        if not isinstance(source, (str, Path, Mapping)):
            self._loaded.given = source
        for manifest in self._loaded.others:
            self.catalog.add(manifest)
        return self

    def add(self, *sources: Source) -> Flow:
        """Take documents that the workflow refers to: shared templates, ConfigMaps, Secrets; folders are read whole."""
        for source in sources:
            for document in self._all_documents(source):
                if document.kind != "Workflow":
                    self.catalog.add(document.json)
        return self

    def _all_documents(self, source: Source) -> list[Document]:
        if isinstance(source, (str, Path)) and "\n" not in str(source):
            folder = next((place / source for place in self._folders if (place / source).is_dir()), None)
            if folder is not None:
                files = sorted(file for file in folder.rglob("*") if file.suffix in (".yaml", ".yml", ".json"))
                return [document for file in files for document in load_documents(file)]
        return read_source(source, self._folders)

    # --- running --------------------------------------------------------------------------------------------------------------------

    def run(
        self,
        source: Source | None = None,
        *,
        parameters: Mapping[str, object] | None = None,
        executor: Executor | None = None,
        **given: Any,
    ) -> FlowResult:
        """Run the workflow to its end; ``given`` are the other keywords of ``flowcore.open_run``. Works in async tests too (it blocks).

        A run that fails is a result. Raises AssertionError where strict and something was not scripted, UsageError for a run that waits for
        somebody, and InvalidWorkflow.
        """
        if source is not None:
            self.load(source)
        work = partial(self.run_async, parameters=parameters, executor=executor, **given)
        told = _outside_of_loops(lambda: anyio.run(_told, work))
        if isinstance(told, Exception):
            __tracebackhide__ = True  # what a test's author has to see is the line of his test
            raise told.with_traceback(None) from None
        return told

    async def run_async(
        self,
        source: Source | None = None,
        *,
        parameters: Mapping[str, object] | None = None,
        executor: Executor | None = None,
        **given: Any,
    ) -> FlowResult:
        """``run`` for async tests that do not want to block."""
        if source is not None:
            self.load(source)
        async with self.open(parameters=parameters, executor=executor, _closed=True, **given) as handle:
            run = await handle.result()
        return self._checked(run)

    @asynccontextmanager
    async def open(
        self, *, parameters: Mapping[str, object] | None = None, executor: Executor | None = None, **given: Any
    ) -> AsyncIterator[Run]:
        """The run itself, for tests that watch and steer it: ``async with flow.open() as run: await run.stop()``."""
        document = self._loaded.workflow
        if document is None:
            raise UsageError("there is no workflow yet: flow.load(...) it first")
        self.executor.unscripted.clear()
        world: dict[str, Any] = {"catalog": self.catalog, "artifacts": self.artifacts, "seed": self.seed, "clock": self._clock()}
        if executor is not None:
            world.pop("clock")
        handle: Run | None = None
        try:
            async with open_run(
                cast("Workflow", self._loaded.given or document.model),  # or whatever else could be loaded
                executor=executor or self.executor,
                parameters=parameters,
                **(world | given),
            ) as handle:
                yield handle
        except InvalidWorkflow as error:
            raise InvalidWorkflow([document.placed(problem) for problem in error.problems]) from None
        except UsageError as error:
            raise UsageError(str(error).replace("fake.when", "flow.when")) from None
        finally:
            self.last = handle.snapshot() if handle is not None else None

    def _clock(self) -> VirtualClock:
        return VirtualClock(self.start) if self.start else VirtualClock()

    def _checked(self, run: RunResult) -> FlowResult:
        lines = self.executor.unscripted
        if lines:
            asked = "\n".join(f"    flow.{line}" for line in lines)
            raise AssertionError(f"the workflow uses what nobody scripted; write\n\n{asked}\n\n{drawn(run)}")
        return FlowResult(run, [call for call in self.executor.calls() if call.uid == run.row.uid], self._keep)

    # --- the story of a failure -----------------------------------------------------------------------------------------------------

    def story(self, told: str = "") -> str:
        """What a reader of a failing test wants to see: the last run's tree, and the facts that fitted nothing. Empty before any run.

        ``told`` is what the reader sees anyhow; a tree in it is not drawn again.
        """
        if self.last is None:
            return ""
        tree = drawn(self.last)
        parts = [tree] if tree.splitlines()[-1].strip() not in told else []
        missed = self._executor.misses() if self._executor is not None else []
        if missed:
            parts.append("\n".join(f"flow.{miss}" for miss in missed))
        return "\n\n".join(parts)

    def manifest(self) -> JsonObject:
        """The workflow that was loaded, as JSON. Raises UsageError if there is none."""
        if self._loaded.workflow is None:
            raise UsageError("there is no workflow yet: flow.load(...) it first")
        return self._loaded.workflow.json


async def _told(work: Callable[[], Awaitable[FlowResult]]) -> _Told:
    """The result, or what is wrong with the test or its workflow, as a value: raised here it would drag the event loop into what pytest shows."""
    try:
        return await work()
    except (AssertionError, FlowError) as error:
        return error


def _outside_of_loops(work: Callable[[], _Told]) -> _Told:
    """Do ``work``, which makes an event loop; in a thread of its own where this one has a loop that runs."""
    if not _in_a_loop():
        return work()
    answers: list[_Told] = []
    errors: list[BaseException] = []

    def attempt() -> None:
        try:
            answers.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            errors.append(error)

    thread = Thread(target=attempt, name="flow.run")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


def _in_a_loop() -> bool:
    try:
        anyio.get_cancelled_exc_class()
    except RuntimeError:
        return False
    return True


__all__ = ["Flow"]
