"""Python functions that stand for templates: how they get their inputs, and what becomes of what they return or raise."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import anyio.to_thread

from flowcore.errors import ExecutorError
from flowcore.jsontypes import Json, object_of, objects_of, text_of
from flowcore.ports import Invocation, Outcome, RunContext
from flowcore_backends.fake.deliveries import placed
from flowcore_backends.fake.facts import Ending, Function, Said, as_text
from flowcore_backends.fake.matching import parameters_of, python_name
from flowcore_backends.fake.outcomes import failed

_INVOCATION = "invocation"


async def called(ending: Ending, invocation: Invocation, context: RunContext, log: Callable[[str], None]) -> Said | Outcome:
    """Call the function of ``ending``: what it says the work leaves, or how it failed; the story of a failure goes to ``log``.

    Raises ExecutorError if the function wants an input that is not there, and whatever ExecutorError it raises itself.
    """
    function = ending.function
    assert function is not None
    with TemporaryDirectory(prefix="flowcore-fake-") as folder:
        wanted = _artifacts_wanted(function, invocation)
        files = await placed(invocation, wanted, Path(folder), context) if wanted else {}
        return await _called(ending, invocation, arguments_for(function, invocation, files), log)


async def _called(ending: Ending, invocation: Invocation, arguments: Mapping[str, object], log: Callable[[str], None]) -> Said | Outcome:
    function = ending.function
    assert function is not None
    try:
        if ending.in_thread:
            value = await anyio.to_thread.run_sync(lambda: function(**arguments), abandon_on_cancel=True)
        else:
            value = function(**arguments)
        if inspect.isawaitable(value):
            value = await value
    except ExecutorError:
        raise
    except SystemExit as error:
        return _exited(error, invocation)
    except Exception as error:  # noqa: BLE001 - whatever the function raises is how the work failed
        log("".join(traceback.format_exception(error)).rstrip("\n"))
        return failed(invocation, Ending("fails", exit_code=1, message=f"{type(error).__name__}: {error}"))
    return value if isinstance(value, Outcome) else said_by(value, invocation)


def arguments_for(function: Function, invocation: Invocation, files: Mapping[str, Path] | None = None) -> dict[str, object]:
    """The inputs that ``function`` takes, by their names in Python: parameters as texts, artifacts as paths, the Invocation as ``invocation``."""
    inputs: dict[str, object] = {**parameters_of(invocation), **(files or {})}
    given = {python_name(name): value for name, value in inputs.items()}
    wanted = _wanted(function)
    if any(one.kind is one.VAR_KEYWORD for one in wanted):
        return given
    arguments: dict[str, object] = {}
    for one in wanted:
        if one.name == _INVOCATION and _INVOCATION not in given:
            arguments[one.name] = invocation
        elif one.name in given:
            arguments[one.name] = given[one.name]
        elif one.default is one.empty and one.kind is not one.VAR_POSITIONAL:
            called_by = getattr(function, "__name__", repr(function))
            raise ExecutorError(f"{called_by}() wants {one.name!r}, but template {invocation.template_name!r} has no such input")
    return arguments


def _wanted(function: Function) -> Sequence[inspect.Parameter]:
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-in functions do not say what they take
        return (inspect.Parameter("inputs", inspect.Parameter.VAR_KEYWORD),)


def _artifacts_wanted(function: Function, invocation: Invocation) -> set[str]:
    """The input artifacts that ``function`` takes."""
    names = {one.name for one in _wanted(function)}
    everything = any(one.kind is one.VAR_KEYWORD for one in _wanted(function))
    declared = (text_of(artifact, "name") for artifact in objects_of(object_of(invocation.body, "inputs"), "artifacts"))
    return {name for name in declared if everything or python_name(name) in names}


def said_by(value: object, invocation: Invocation) -> Said:
    """What a function's value says: outputs by name, or the result, which is also the output parameter where there is only one."""
    outputs = object_of(invocation.body, "outputs")
    parameters = [text_of(parameter, "name") for parameter in objects_of(outputs, "parameters")]
    artifacts = [text_of(artifact, "name") for artifact in objects_of(outputs, "artifacts")]
    if value is None:
        return Said()
    if isinstance(value, Mapping) and value and set(value) <= {*parameters, *artifacts, "result"}:
        said = Said(parameters={name: _text(value[name]) for name in parameters if name in value})
        said.artifacts = {name: value[name] for name in artifacts if isinstance(value.get(name), (str, bytes, Path))}
        return replace(said, result=_text(value["result"]) if "result" in value else None)
    text = _text(value)
    return Said(result=text, parameters={parameters[0]: text} if len(parameters) == 1 else {})


def _text(value: object) -> str:
    try:
        return as_text(cast("Json", value))
    except (TypeError, ValueError):
        return str(value)


def _exited(error: SystemExit, invocation: Invocation) -> Said | Outcome:
    code = error.code
    if code is None or code == 0:
        return Said()
    if isinstance(code, int):
        return failed(invocation, Ending("fails", exit_code=code & 0xFF or 1))
    return failed(invocation, Ending("fails", exit_code=1, message=str(code)))


__all__ = ["arguments_for", "called", "said_by"]
