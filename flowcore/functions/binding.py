"""What a run is made of when it is not just a document: workflows with Python functions in them, and objects that write themselves as documents.

Called by ``flowcore.running`` for every run, and by ``flowcore.testing`` when something is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from pydantic_core import to_jsonable_python

from flowcore.errors import InvalidWorkflow, Problem, UsageError
from flowcore.executors import EMBEDDED, executor_class
from flowcore.functions.declared import PLUGIN, FunctionTemplate
from flowcore.functions.executor import FunctionExecutor, FunctionWork, Work
from flowcore.functions.scripts import ScriptWork, is_python_script
from flowcore.jsontypes import Json, JsonObject, object_of, objects_of, text_of
from flowcore.manifests import load_workflow, read_mapping
from flowcore.models import AnyDocument, ClusterWorkflowTemplate, CronWorkflow, Template, TemplateCall, Workflow, WorkflowTemplate
from flowcore.models.base import Model
from flowcore.ports import Executor


@runtime_checkable
class Describes(Protocol):
    """An object that writes itself as a document; Hera's workflows do."""

    def to_dict(self) -> Any:
        """The document."""
        ...


def document_of(source: Describes) -> JsonObject:
    """The document of such an object, as plain JSON. Raises UsageError if it is none."""
    document = to_jsonable_python(source.to_dict(), exclude_none=True)
    if not isinstance(document, dict):
        raise UsageError(f"{type(source).__name__}.to_dict() gave a {type(document).__name__}, not a document")
    return document


def workflow_from(source: object, templates: Iterable[Template] = ()) -> Workflow:
    """The workflow to run, with ``templates`` added to its own. Templates and CronWorkflows are run as if they were submitted.

    Raises InvalidWorkflow.
    """
    model = _model_from(source)
    added = list(templates)
    if added:
        spec = model.spec.model_copy(update={"templates": [*model.spec.templates, *added]})
        spec.model_fields_set.add("templates")
        model = model.model_copy(update={"spec": spec})
    return model


def _model_from(source: object) -> Workflow:
    if isinstance(source, Workflow):
        return source
    if isinstance(source, Model):
        return submitted(cast("AnyDocument", source))
    if isinstance(source, (str, Path, Mapping)):
        return load_workflow(cast("str | Path | Mapping[str, Json]", source))
    if isinstance(source, Describes):
        model = read_mapping(document_of(source)).model
        if model is not None:
            return submitted(model)
    remedy = "give a model, a document, its text or path, or an object of Hera"
    raise InvalidWorkflow([Problem(f"a {type(source).__name__} is no workflow", remedy=remedy, rule="kind")])


def submitted(model: AnyDocument) -> Workflow:
    """The Workflow that submitting ``model`` makes. Raises InvalidWorkflow for what cannot be submitted."""
    if isinstance(model, Workflow):
        return model
    name = model.metadata.name or model.metadata.generate_name.rstrip("-")
    metadata: JsonObject = {"generateName": f"{name}-"}
    if model.metadata.namespace:
        metadata["namespace"] = model.metadata.namespace
    if isinstance(model, CronWorkflow):
        spec = model.spec.workflow_spec
    elif isinstance(model, (WorkflowTemplate, ClusterWorkflowTemplate)):
        spec = model.spec
    else:
        raise InvalidWorkflow([Problem(f"a {model.kind} cannot be run", rule="kind")])
    workflow = Workflow.model_validate({"metadata": metadata})
    return workflow.model_copy(update={"spec": spec})


def executor_for(workflow: Workflow, source: object, executor: Executor | None) -> Executor:
    """The executor of a run: the one that was given, or the embedded default, with the Python functions of the workflow in front of it."""
    other = executor or executor_class(EMBEDDED)()
    works: dict[str, Work] = dict(_functions(workflow))
    if isinstance(source, Describes) and not isinstance(source, Model) and getattr(other, "runs_nothing", False):
        works |= _scripts(workflow)
    return FunctionExecutor(works, other) if works or _names_functions(workflow) else other


def _functions(workflow: Workflow) -> dict[str, Work]:
    found: dict[str, Work] = {}
    owners: dict[str, object] = {}
    for template in _templates(workflow):
        if isinstance(template, FunctionTemplate):
            if owners.setdefault(template.key, template.function) is not template.function:
                raise UsageError(f"two functions of this workflow are called {template.key}; give one of them another name")
            found[template.key] = FunctionWork(template)
    return found


def _templates(workflow: Workflow) -> Iterable[Template]:
    """All templates, also those that stand in the steps and tasks that use them."""
    waiting = list(workflow.spec.templates)
    while waiting:
        template = waiting.pop()
        yield template
        calls: list[TemplateCall] = [step for group in template.steps or () for step in group]
        calls.extend(template.dag.tasks if template.dag else ())
        waiting += [call.inline for call in calls if call.inline is not None]


def _names_functions(workflow: Workflow) -> bool:
    return any(PLUGIN in (template.plugin or {}) for template in _templates(workflow))


def _scripts(workflow: Workflow) -> dict[str, Work]:
    templates = objects_of(object_of(workflow.to_json(), "spec"), "templates")
    return {text_of(template, "name"): ScriptWork() for template in templates if is_python_script(template)}


__all__ = ["Describes", "document_of", "executor_for", "submitted", "workflow_from"]
