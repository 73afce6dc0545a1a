"""What nodes leave behind: outputs of work that ended, outputs of Steps and DAG templates, and outputs of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from flowcore.engine.messages import Outcome
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, json_text, object_of, objects_of, text_of
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expressions import compile_expression, go_text
from flowcore.language.scope import ABSENT, Scope
from flowcore.nodes import Phase
from flowcore.plan.artifacts import resolve_artifact, resolve_variable, unwrap
from flowcore.plan.scopes import global_artifacts, global_parameters, scope_with
from flowcore.plan.semantics import NEWEST, Semantics

_EXIT_CODE_0: JsonObject = {"exitCode": "0"}  # shared by most rows there are; rows are never changed in place


def of_outcome(declared: JsonObject, outcome: Outcome) -> tuple[JsonObject | None, str]:
    """The outputs of a node whose work ended so, and what is missing (empty if nothing is).

    Declared parameters that were not reported take their default; one without default, or a required artifact that was not stored, is
    missing, which matters only if the work succeeded.
    """
    if outcome.outputs is not None:
        return outcome.outputs, ""
    if not declared and outcome.exit_code == 0 and outcome.result is None and not outcome.artifacts:
        return _EXIT_CODE_0, ""
    outputs: JsonObject = {}
    missing = ""
    parameters, missing = _parameters(objects_of(declared, "parameters"), outcome)
    if parameters:
        outputs["parameters"] = parameters
    artifacts, absent = _artifacts(objects_of(declared, "artifacts"), outcome.artifacts)
    if artifacts:
        outputs["artifacts"] = artifacts
    if outcome.result is not None:
        outputs["result"] = outcome.result
    if outcome.exit_code is not None:
        outputs["exitCode"] = str(outcome.exit_code)
    return outputs or None, missing or absent


def _parameters(declared: list[JsonObject], outcome: Outcome) -> tuple[list[Json], str]:
    found: list[Json] = []
    missing = ""
    for parameter in declared:
        name = text_of(parameter, "name")
        source = object_of(parameter, "valueFrom")
        if name in outcome.parameters:
            value: Json = outcome.parameters[name]
        elif source.get("default") is not None and (outcome.phase is Phase.SUCCEEDED or outcome.parameters):
            # A failed pod reports what it has; once it reports anything, defaults are among it.
            value = str(source["default"]).removesuffix("\n")
        elif source or parameter.get("value") is None or not (outcome.phase is Phase.SUCCEEDED or outcome.parameters):
            missing = (
                missing or f"output parameter {name!r} was not found at {text_of(source, 'path') or 'its source'}, and it has no default"
            )
            continue
        else:
            value = parameter.get("value")
        found.append({**parameter, "value": value})
    return found, missing


def _artifacts(declared: list[JsonObject], stored: Mapping[str, JsonObject]) -> tuple[list[Json], str]:
    found: list[Json] = []
    missing = ""
    known = set()
    for artifact in declared:
        name = text_of(artifact, "name")
        known.add(name)
        if name in stored:
            found.append({**artifact, **stored[name]})
        elif not artifact.get("optional"):
            missing = (
                missing or f"output artifact {name!r} was not found at {text_of(artifact, 'path') or 'its path'}, and it is not optional"
            )
    found.extend({**location, "name": name} for name, location in stored.items() if name not in known)
    return found, missing


def of_template(template: JsonObject, scope: Scope, semantics: Semantics = NEWEST) -> JsonObject | None:
    """The outputs of a Steps or DAG template, from what its steps or tasks left behind. Raises ExpressionError."""
    declared = object_of(template, "outputs")
    parameters, artifacts = objects_of(declared, "parameters"), objects_of(declared, "artifacts")
    if not parameters and not artifacts:
        return None
    outputs: JsonObject = {}
    if parameters:
        outputs["parameters"] = [_template_parameter(parameter, scope, semantics) for parameter in parameters]
    if artifacts:
        outputs["artifacts"] = _template_artifacts(artifacts, scope)
    return outputs


def _template_parameter(parameter: JsonObject, scope: Scope, semantics: Semantics) -> Json:
    source = parameter.get("valueFrom")
    if not isinstance(source, dict):
        raise ExpressionError("output parameters must have a valueFrom specified")
    default = source.get("default")
    try:
        value = _resolve(source, scope, semantics)
    except ExpressionError:
        if default is None:
            raise
        value = default
    if value is None:
        value = default
    if value is None:
        name, origin = text_of(parameter, "name"), text_of(source, "parameter")
        raise ExpressionError(
            f"output parameter {json_text(name)}: {json_text(origin)} is an absent optional (skipped/omitted node output with no default)"
        )
    return {**{key: item for key, item in parameter.items() if key != "valueFrom"}, "value": _as_text(value)}


def _resolve(source: JsonObject, scope: Scope, semantics: Semantics) -> Json:
    expression = text_of(source, "expression")
    if expression:
        value = compile_expression(expression).evaluate(scope.environment(), functions=ARGO_FUNCTIONS)
        if value is None and not semantics.nil_outputs_fail:
            return "<nil>"
        if value is None:
            raise ExpressionError(f"failed to evaluate expression {json_text(expression)}")
        return cast("Json", value)
    reference = text_of(source, "parameter")
    if not reference:
        return ""
    if scope.lookup(unwrap(reference)) is ABSENT:
        return None
    return resolve_variable(reference, scope)


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else go_text(value)


def _template_artifacts(artifacts: list[JsonObject], scope: Scope) -> list[Json]:
    resolved: list[Json] = []
    for artifact in artifacts:
        if not artifact.get("from") and not artifact.get("fromExpression"):
            continue
        try:
            found = resolve_artifact(artifact, scope)
        except ExpressionError as error:
            if "Unable to resolve" in str(error) and artifact.get("optional"):
                continue
            raise ExpressionError(f"unable to resolve outputs from scope: {error}") from None
        resolved.append({**found, "name": text_of(artifact, "name")})
    return resolved


def export(turn: Turn, outputs: JsonObject | None) -> None:
    """Add outputs that have a ``globalName`` to the outputs of the run; the last writer wins."""
    if not outputs:
        return
    changed = False
    whole = dict(turn.run.outputs or {})
    for part in ("parameters", "artifacts"):
        for item in objects_of(outputs, part):
            name = text_of(item, "globalName")
            if name and (part == "artifacts" or item.get("value") is not None):
                whole[part] = _with(objects_of(whole, part), _global(item, name, part))
                changed = True
    if changed:
        turn.update_run(replace(turn.run, outputs=whole))
        scope_with(turn.state.globals, global_parameters(turn.run.outputs))
        scope_with(turn.state.shared, global_artifacts(turn.run.outputs))


def _global(item: JsonObject, name: str, part: str) -> JsonObject:
    if part == "parameters":
        return {"name": name, "value": item["value"]}
    return {**{key: value for key, value in item.items() if key not in ("globalName", "path")}, "name": name}


def _with(items: list[JsonObject], item: JsonObject) -> list[Json]:
    names = [text_of(known, "name") for known in items]
    if item["name"] in names:
        return [item if text_of(known, "name") == item["name"] else known for known in items]
    return [*items, item]
