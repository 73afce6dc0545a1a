"""``@flowcore.template``: a function becomes a template whose inputs and outputs are those of its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar, overload

from pydantic import PrivateAttr

from flowcore.errors import UsageError
from flowcore.functions.values import annotations_of, fields_of, is_path, text_from
from flowcore.models import Artifact, Inputs, Outputs, Parameter, Template, ValueFrom
from flowcore.ports import Invocation

P = ParamSpec("P")
R = TypeVar("R")
PLUGIN = "python"  # the plugin under which Python functions stand in documents
RESULT = "result"  # what the artifact of a function that returns a bare path is called


class FunctionTemplate(Template, Generic[P, R]):
    """A template whose work a Python function of this process does. Calling it calls the function.

    Written as a document it is a ``plugin`` template called ``python`` that names the function; only a run that is given the function can do it.
    """

    _function: Callable[P, R] = PrivateAttr()
    _in_thread: bool = PrivateAttr(default=True)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, as if it were none but a function."""
        return self._function(*args, **kwargs)

    @property
    def function(self) -> Callable[P, R]:
        """The function."""
        return self._function

    @property
    def in_thread(self) -> bool:
        """Whether the function runs in a worker thread, so that it may block."""
        return self._in_thread

    @property
    def key(self) -> str:
        """What documents call the function."""
        return key_of(self._function)


@overload
def template(function: Callable[P, R], /) -> FunctionTemplate[P, R]: ...


@overload
def template(*, name: str = "", in_thread: bool = True, **settings: Any) -> Callable[[Callable[P, R]], FunctionTemplate[P, R]]: ...


def template(
    function: Callable[P, R] | None = None, /, *, name: str = "", in_thread: bool = True, **settings: Any
) -> FunctionTemplate[P, R] | Callable[[Callable[P, R]], FunctionTemplate[P, R]]:
    """Make a template of a function, sync or async::

        @flowcore.template
        def square(number: int) -> int:
            return number ** 2

    Arguments are input parameters, read as their annotations say (by pydantic, so dataclasses and models too); those annotated with ``Path``
    are input artifacts; one annotated with ``Invocation`` is told what is asked. The value is the result; of a dataclass, named tuple, typed
    dictionary or model each field is an output parameter, or an output artifact if it is a ``Path``. What it raises is a failure. Functions that are not
    async run in a worker thread, unless ``in_thread`` is false. ``settings`` are other fields of the Template (``retry_strategy``, ``timeout``).
    Raises UsageError for signatures that cannot be a template's.
    """

    def made(function: Callable[P, R]) -> FunctionTemplate[P, R]:
        title = name or getattr(function, "__name__", "").strip("_").replace("_", "-")
        if not title or "<" in title:
            raise UsageError(f"{function!r} has no name that a template could have: give name=...")
        interface = {name: part for name, part in (("inputs", _inputs(function)), ("outputs", _outputs(function))) if part.to_json()}
        fields: dict[str, Any] = {"name": title, **interface, "plugin": {PLUGIN: {"function": key_of(function)}}, **settings}
        whole: FunctionTemplate[P, R] = FunctionTemplate(**fields)
        whole._function = function  # noqa: SLF001 - this is its constructor
        whole._in_thread = in_thread and not inspect.iscoroutinefunction(function)  # noqa: SLF001 - the same
        return whole

    return made if function is None else made(function)


def key_of(function: Callable[..., object]) -> str:
    """The function by module and name."""
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"


def _inputs(function: Callable[..., object]) -> Inputs:
    parameters, artifacts = [], []
    kinds = annotations_of(function)
    for one in inspect.signature(function).parameters.values():
        kind = kinds.get(one.name, str)
        if one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL, one.POSITIONAL_ONLY):
            raise UsageError(f"{key_of(function)}: {one} cannot be an input of a template; name every input")
        if kind is Invocation:
            continue
        optional = one.default is not one.empty
        if is_path(kind):
            artifacts.append(Artifact(name=one.name, path=f"/inputs/{one.name}", **({"optional": True} if optional else {})))
        elif optional:
            parameters.append(Parameter(name=one.name, default=text_from(one.default)))
        else:
            parameters.append(Parameter(name=one.name))
    return Inputs(**_given(parameters=parameters, artifacts=artifacts))


def _outputs(function: Callable[..., object]) -> Outputs:
    kind = annotations_of(function).get("return")
    if is_path(kind):
        return Outputs(artifacts=[_output_artifact(RESULT)])
    fields = fields_of(kind)
    parameters = [Parameter(name=name, value_from=ValueFrom(path=f"/outputs/{name}")) for name, each in fields.items() if not is_path(each)]
    artifacts = [_output_artifact(name) for name, each in fields.items() if is_path(each)]
    return Outputs(**_given(parameters=parameters, artifacts=artifacts))


def _output_artifact(name: str) -> Artifact:
    return Artifact(name=name, path=f"/outputs/{name}")


def _given(**lists: list[Any]) -> Mapping[str, Any]:
    """Without the empty ones, which a document would not write."""
    return {name: items for name, items in lists.items() if items}


__all__ = ["PLUGIN", "RESULT", "FunctionTemplate", "key_of", "template"]
