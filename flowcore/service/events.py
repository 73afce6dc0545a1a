"""What WorkflowEventBindings make of an event: the workflows to submit, as functions of bindings and payload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, json_text, object_of, objects_of, text_of
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expressions import compile_expression


@dataclass(frozen=True, slots=True)
class Submission:
    """A workflow that a binding wants submitted, or why it cannot be."""

    binding: str
    workflow: JsonObject | None
    problem: str = ""


def submissions(
    bindings: Iterable[JsonObject], payload: Json, *, namespace: str, discriminator: str = "", metadata: Mapping[str, Json] | None = None
) -> list[Submission]:
    """What the bindings of ``namespace`` make of an event. A binding that fails does not keep others from theirs."""
    environment: dict[str, Json] = {
        "payload": payload,
        "namespace": namespace,
        "discriminator": discriminator,
        "metadata": {key.lower(): value for key, value in (metadata or {}).items()},
    }
    found: list[Submission] = []
    for binding in bindings:
        own = text_of(object_of(binding, "metadata"), "namespace")
        if own and own != namespace:
            continue
        name = text_of(object_of(binding, "metadata"), "name")
        try:
            workflow = _workflow(object_of(binding, "spec"), environment, namespace)
        except ExpressionError as error:
            found.append(Submission(name, None, str(error)))
            continue
        if workflow is not None:
            found.append(Submission(name, workflow))
    return found


def _workflow(spec: JsonObject, environment: dict[str, Json], namespace: str) -> JsonObject | None:
    selector = text_of(object_of(spec, "event"), "selector")
    matches = _evaluated(selector, environment)
    if not isinstance(matches, bool):
        raise ExpressionError(f"malformed workflow template expression: the selector must be true or false, not {matches}", source=selector)
    submit = object_of(spec, "submit")
    reference = object_of(submit, "workflowTemplateRef")
    if not matches or not reference:
        return None
    parameters: list[Json] = []
    for parameter in objects_of(object_of(submit, "arguments"), "parameters"):
        expression = text_of(object_of(parameter, "valueFrom"), "event")
        value = _evaluated(expression, environment) if expression else parameter.get("value")
        parameters.append({"name": text_of(parameter, "name"), "value": value if isinstance(value, str) else json_text(value)})
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": _metadata(object_of(submit, "metadata"), environment, namespace, text_of(reference, "name")),
        "spec": {"workflowTemplateRef": reference, "arguments": {**object_of(submit, "arguments"), "parameters": parameters}},
    }


def _metadata(given: JsonObject, environment: dict[str, Json], namespace: str, template: str) -> JsonObject:
    """Names, labels and annotations are expressions, all of which must give texts."""
    made: JsonObject = {"namespace": namespace}
    for key in ("name", "generateName"):
        if text_of(given, key):
            made[key] = _text(text_of(given, key), environment)
    if "name" not in made and "generateName" not in made:
        made["generateName"] = f"{template}-"
    for key in ("labels", "annotations"):
        if object_of(given, key):
            made[key] = {name: _text(str(value), environment) for name, value in object_of(given, key).items()}
    return made


def _text(expression: str, environment: dict[str, Json]) -> str:
    value = _evaluated(expression, environment)
    if not isinstance(value, str):
        raise ExpressionError(f"workflow metadata expression must evaluate to a string, not {value}", source=expression)
    return value


def _evaluated(expression: str, environment: dict[str, Json]) -> Json:
    return cast("Json", compile_expression(expression).evaluate(environment, functions=ARGO_FUNCTIONS))


__all__ = ["Submission", "submissions"]
