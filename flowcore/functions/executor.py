"""``FunctionExecutor``: does the work of Python functions in this process and gives all other work to another executor. Itself an executor."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, cast

from anyio import to_thread

from flowcore.artifacts import staging
from flowcore.errors import ArtifactError, ExecutorError, UsageError
from flowcore.functions.declared import PLUGIN, RESULT, FunctionTemplate
from flowcore.functions.values import annotations_of, fields_in, fields_of, is_path, text_from, value_from
from flowcore.in_process import WorkInProcess
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.nodes import Phase
from flowcore.ports import (
    Executor,
    ForeseeingExecutor,
    Foreseen,
    ForeseenResume,
    Invocation,
    Logged,
    Outcome,
    Reporter,
    RunContext,
)


class Work(Protocol):
    """A Python function that does the work of a template; how it gets its inputs and gives its outputs is its own business."""

    async def do(self, invocation: Invocation, context: RunContext, folder: Path) -> Outcome:
        """Do the work; ``folder`` is its own and is removed afterwards. What it raises is a failure."""
        ...


class FunctionExecutor:
    """Runs ``works`` (by the key of their function, or by template name) itself; ``other`` runs the rest.

    Where ``other`` can be scripted and a fact speaks of the work, the fact decides.
    """

    def __init__(self, works: Mapping[str, Work], other: Executor) -> None:
        self._works, self._other = dict(works), other
        self._under_way = WorkInProcess()

    def __getattr__(self, name: str) -> Any:
        """What else the other executor has: its clock, for instance."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._other, name)

    def _work(self, invocation: Invocation) -> Work | None:
        settings = object_of(object_of(invocation.body, "plugin"), PLUGIN)
        work = self._works.get(text_of(settings, "function") if settings else invocation.template_name)
        if work is None and settings:
            raise ExecutorError(
                f"template {invocation.template_name}: nobody gave the function {text_of(settings, 'function')!r} to this run"
            )
        return None if work is not None and self._is_scripted(invocation) else work

    def _is_scripted(self, invocation: Invocation) -> bool:
        speaks = cast("Callable[[Invocation], bool] | None", getattr(self._other, "speaks_of", None))
        return speaks is not None and speaks(invocation)

    # --- the port -------------------------------------------------------------------------------------------------------------------

    def foresee(self, invocation: Invocation) -> Foreseen | None:
        """What the other executor foresees of its own work."""
        other = self._other
        try:
            mine = self._work(invocation) is not None
        except ExecutorError:
            mine = True
        return None if mine or not isinstance(other, ForeseeingExecutor) else other.foresee(invocation)

    def foresee_resume(self, invocation: Invocation) -> ForeseenResume | None:
        """What the other executor foresees."""
        other = self._other
        return other.foresee_resume(invocation) if isinstance(other, ForeseeingExecutor) else None

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Call the function, or let the other executor run it."""
        work = self._work(invocation)
        if work is None:
            return await self._other.run(invocation, context, report)
        return await self._under_way.run(invocation, report, partial(_done, work, invocation, context, report))

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Cancel the function, which needs no grace; a thread that it blocks is left to itself."""
        if not self._under_way.stop(invocation):
            await self._other.stop(invocation, grace)

    async def close(self, context: RunContext) -> None:
        """Close the other executor's part."""
        await self._other.close(context)


async def _done(work: Work, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
    """The outcome of the work, whatever it raises."""
    try:
        with TemporaryDirectory(prefix="flowcore-function-") as folder:
            return await work.do(invocation, context, Path(folder))
    except ExecutorError:
        raise
    except (UsageError, ArtifactError) as error:
        return Outcome(phase=Phase.ERROR, message=str(error))
    except SystemExit as error:
        ended = error.code in (None, 0)
        return Outcome(phase=Phase.SUCCEEDED) if ended else Outcome(phase=Phase.FAILED, message=f"exit status {error.code}")
    except Exception as error:  # noqa: BLE001 - whatever the function raises is how the work failed
        story = "".join(traceback.format_exception(error)).rstrip("\n")
        report(Logged(invocation.node, "main", "stderr", story, datetime.now(UTC)))
        return Outcome(phase=Phase.FAILED, message=f"{type(error).__name__}: {error}")


class FunctionWork:
    """The work of a ``FunctionTemplate``."""

    def __init__(self, template: FunctionTemplate[..., object]) -> None:
        self._template = template

    async def do(self, invocation: Invocation, context: RunContext, folder: Path) -> Outcome:
        """Call the function with typed inputs, and read its value as outputs. Raises UsageError for inputs of the wrong type."""
        function = self._template.function
        arguments = await self._arguments(invocation, context, folder)
        value = await call(function, arguments, in_thread=self._template.in_thread)
        return await self._outcome(value, invocation, context, folder)

    async def _arguments(self, invocation: Invocation, context: RunContext, folder: Path) -> dict[str, object]:
        kinds = annotations_of(self._template.function)
        found: dict[str, object] = {name: invocation for name, kind in kinds.items() if kind is Invocation and name != "return"}
        for parameter in objects_of(invocation.inputs or {}, "parameters"):
            name = text_of(parameter, "name")
            if parameter.get("value") is not None:
                found[name] = self._read(name, str(parameter["value"]), kinds.get(name, str))
        found.update(await placed_artifacts(invocation, context, folder))
        return found

    def _read(self, name: str, text: str, kind: object) -> object:
        try:
            return value_from(text, kind)
        except UsageError as error:
            raise UsageError(f"{self._template.name}: input {name!r}: {error}") from None

    async def _outcome(self, value: object, invocation: Invocation, context: RunContext, folder: Path) -> Outcome:
        kind = annotations_of(self._template.function).get("return")
        if is_path(kind):
            return Outcome(phase=Phase.SUCCEEDED, artifacts=await kept_artifacts(invocation, {RESULT: value}, context, folder))
        kinds = fields_of(kind)
        if not kinds:
            return Outcome(phase=Phase.SUCCEEDED, result=None if value is None else text_from(value))
        fields = fields_in(value)
        parameters = {name: text_from(fields[name]) for name, each in kinds.items() if name in fields and not is_path(each)}
        files = {name: fields[name] for name, each in kinds.items() if is_path(each) and fields.get(name) is not None}
        return Outcome(phase=Phase.SUCCEEDED, parameters=parameters, artifacts=await kept_artifacts(invocation, files, context, folder))


async def call(function: Callable[..., object], arguments: Mapping[str, object], *, in_thread: bool) -> object:
    """The value of the function, awaited if it must be; in a worker thread if it may block."""
    value = await to_thread.run_sync(lambda: function(**arguments), abandon_on_cancel=True) if in_thread else function(**arguments)
    return await value if inspect.isawaitable(value) else value


async def placed_artifacts(invocation: Invocation, context: RunContext, folder: Path) -> dict[str, Path]:
    """The input artifacts as files or folders below ``folder``, by name; optional ones that are not there are left out. Raises ArtifactError."""
    found = {}
    for number, artifact in enumerate(staging.input_artifacts(invocation)):
        target = folder / f"input-{number}" / (Path(artifact.path).name or artifact.name)
        target.parent.mkdir()
        if await staging.place_input(artifact, target, context):
            found[artifact.name] = target
    return found


async def kept_artifacts(invocation: Invocation, files: Mapping[str, object], context: RunContext, folder: Path) -> dict[str, JsonObject]:
    """Store files and folders as the declared output artifacts of these names; where each is stored. Raises ArtifactError."""
    stored = {}
    for artifact in staging.output_artifacts(invocation):
        source = files.get(artifact.name)
        if source is None:
            continue
        if not isinstance(source, Path) or not source.exists():
            raise ArtifactError(f"artifact {artifact.name}: there is no file {source}")
        stored[artifact.name] = await staging.keep_output(artifact, source, context, staging.default_key(invocation, artifact), folder)
    return stored


__all__ = ["FunctionExecutor", "FunctionWork", "Work", "call", "kept_artifacts", "placed_artifacts"]
