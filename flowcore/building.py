"""Workflows written in Python: short ways to say what the models hold.

::

    from flowcore.building import container, dag, task, workflow

    @flowcore.template
    def double(number: int) -> int:
        return 2 * number

    first, second = task(double, name="first", number=4), task(double, name="second", after=["first"], number=output("first"))
    flowcore.run_sync(workflow("sums", dag("main", first, second), double))

What these give are plain models of ``flowcore.models``; everything else about them can be set afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flowcore.functions.values import text_from
from flowcore.models import (
    Arguments,
    Artifact,
    Container,
    DAGTask,
    DAGTemplate,
    Inputs,
    ObjectMeta,
    Outputs,
    Parameter,
    Script,
    Step,
    Template,
    ValueFrom,
    Workflow,
    WorkflowSpec,
)
from flowcore.models.workflows import API_VERSION


class Reference(str):
    """A tag that stands for an output; ``artifact`` if it is one of a file. As a text it is the tag itself."""

    artifact: bool

    def __new__(cls, text: str, *, artifact: bool = False) -> Reference:
        """The tag ``text``."""
        made = super().__new__(cls, text)
        made.artifact = artifact
        return made


def workflow(
    name: str, *templates: Template, entrypoint: str = "", parameters: Mapping[str, object] | None = None, **spec: Any
) -> Workflow:
    """A workflow of ``templates`` that begins with the first one, unless ``entrypoint`` names another.

    A ``name`` that ends in ``-`` gets letters of its own for each run. ``spec`` are other fields of the WorkflowSpec.
    """
    metadata = ObjectMeta(generate_name=name) if name.endswith("-") else ObjectMeta(name=name)
    if parameters:
        spec["arguments"] = Arguments(parameters=_parameters(parameters))
    begin = entrypoint or (templates[0].name if templates else "")
    return Workflow(
        api_version=API_VERSION, kind="Workflow", metadata=metadata, spec=WorkflowSpec(templates=list(templates), entrypoint=begin, **spec)
    )


def container(
    name: str,
    image: str,
    *command: str,
    inputs: Iterable[str] = (),
    outputs: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    **settings: Any,
) -> Template:
    """A template that runs ``command`` in a container; ``inputs`` are its parameters, ``outputs`` the files that hold its output parameters."""
    described = Container(image=image, command=list(command), **_env(env))
    return Template(name=name, container=described, **_interface(inputs, outputs), **settings)


def script(
    name: str,
    image: str,
    source: str,
    *,
    command: Iterable[str] = ("sh",),
    inputs: Iterable[str] = (),
    outputs: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    **settings: Any,
) -> Template:
    """A template that runs ``source`` with ``command`` in a container."""
    described = Script(image=image, command=list(command), source=source, **_env(env))
    return Template(name=name, script=described, **_interface(inputs, outputs), **settings)


def steps(name: str, *groups: Step | list[Step], **settings: Any) -> Template:
    """A template of steps, one after the other; those of a list run side by side."""
    return Template(name=name, steps=[group if isinstance(group, list) else [group] for group in groups], **settings)


def dag(name: str, *tasks: DAGTask, fail_fast: bool | None = None, **settings: Any) -> Template:
    """A template of tasks, each of which begins when what it depends on has ended."""
    described = DAGTemplate(tasks=list(tasks), **({} if fail_fast is None else {"fail_fast": fail_fast}))
    return Template(name=name, dag=described, **settings)


def step(template: Template | str, name: str = "", *, settings: Mapping[str, Any] | None = None, **arguments: object) -> Step:
    """A call of ``template`` as a step, named like the template unless ``name`` says otherwise.

    ``arguments`` are its inputs, ``settings`` other fields of the Step (``when``, ``with_items``, ``continue_on``).
    """
    called = _name_of(template)
    return Step(name=name or called, template=called, **_arguments(arguments), **dict(settings or {}))


def task(
    template: Template | str,
    name: str = "",
    *,
    after: Iterable[str | DAGTask] = (),
    settings: Mapping[str, Any] | None = None,
    **arguments: object,
) -> DAGTask:
    """A call of ``template`` as a task, begun when those in ``after`` have succeeded (``settings={"depends": ...}`` says more)."""
    called = _name_of(template)
    waits = [one if isinstance(one, str) else one.name for one in after]
    return DAGTask(
        name=name or called, template=called, **({"dependencies": waits} if waits else {}), **_arguments(arguments), **dict(settings or {})
    )


def output(of: Step | DAGTask | str, name: str = "") -> Reference:
    """The tag for an output parameter of a step or task, or for its result without ``name``. A bare text names a task."""
    return Reference(f"{{{{{_place(of)}.outputs.{f'parameters.{name}' if name else 'result'}}}}}")


def artifact(of: Step | DAGTask | str, name: str = "result") -> Reference:
    """The tag for an output artifact of a step or task. A bare text names a task."""
    return Reference(f"{{{{{_place(of)}.outputs.artifacts.{name}}}}}", artifact=True)


def given(name: str) -> Reference:
    """The tag for a parameter of the workflow."""
    return Reference(f"{{{{workflow.parameters.{name}}}}}")


def _place(of: Step | DAGTask | str) -> str:
    if isinstance(of, str):
        return f"tasks.{of}"
    return f"{'tasks' if isinstance(of, DAGTask) else 'steps'}.{of.name}"


def _name_of(template: Template | str) -> str:
    return template if isinstance(template, str) else template.name


def _parameters(values: Mapping[str, object]) -> list[Parameter]:
    return [Parameter(name=name, value=text_from(value) if not isinstance(value, str) else str(value)) for name, value in values.items()]


def _arguments(values: Mapping[str, object]) -> dict[str, Any]:
    if not values:
        return {}
    files = {name: value for name, value in values.items() if isinstance(value, Artifact) or getattr(value, "artifact", False)}
    lists: dict[str, Any] = {}
    if len(files) < len(values):
        lists["parameters"] = _parameters({name: value for name, value in values.items() if name not in files})
    if files:
        lists["artifacts"] = [_artifact_argument(name, value) for name, value in files.items()]
    return {"arguments": Arguments(**lists)}


def _artifact_argument(name: str, value: object) -> Artifact:
    return value.model_copy(update={"name": name}) if isinstance(value, Artifact) else Artifact(name=name, from_=str(value))


def _interface(inputs: Iterable[str], outputs: Mapping[str, str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names = list(inputs)
    if names:
        found["inputs"] = Inputs(parameters=[Parameter(name=name) for name in names])
    if outputs:
        found["outputs"] = Outputs(parameters=[Parameter(name=name, value_from=ValueFrom(path=path)) for name, path in outputs.items()])
    return found


def _env(values: Mapping[str, str] | None) -> dict[str, Any]:
    return {"env": [{"name": name, "value": value} for name, value in values.items()]} if values else {}


__all__ = ["Reference", "artifact", "container", "dag", "given", "output", "script", "step", "steps", "task", "workflow"]
