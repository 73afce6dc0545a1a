"""``DataExecutor``: ``data`` templates, which list the artifacts below a key and transform the list, in this process."""

from __future__ import annotations

from typing import cast

from flowcore.artifacts import locations
from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import ArtifactError, ExpressionError
from flowcore.jsontypes import Json, json_text, object_of
from flowcore.language.expressions import compile_expression
from flowcore.models.templates import TransformationStep
from flowcore.nodes import Phase
from flowcore.ports import Reporter, RunContext
from flowcore_backends.in_process import InProcessExecutor

_FAILED = 64  # the exit code of Argo's own program


class DataExecutor(InProcessExecutor):
    """Runs ``data`` templates over the run's artifact store, or over a store that an artifact driver reaches."""

    async def work(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """List the keys, transform them, give the list as result."""
        data = invocation.template.data
        assert data is not None
        source = object_of(object_of(object_of(invocation.body, "data"), "source"), "artifactPaths")
        try:
            if not source:
                raise ArtifactError("unable to process data source: no valid source is used for data template")
            keys = await locations.list_keys(source, context)
            result = transform(cast("list[Json]", keys), data.transformation)
        except (ArtifactError, ExpressionError) as error:
            message = f"main: Error (exit code {_FAILED}): unable to process data template: {error}"
            return Outcome(phase=Phase.FAILED, message=message, exit_code=_FAILED)
        return Outcome(phase=Phase.SUCCEEDED, exit_code=0, result=json_text(result))


def transform(keys: list[Json], steps: list[TransformationStep]) -> Json:
    """``keys`` through each expression, which sees what the one before left as ``data``. Raises ExpressionError naming the step."""
    value: Json = keys
    for number, step in enumerate(steps):
        if not step.expression:
            continue
        try:
            value = cast("Json", compile_expression(step.expression).evaluate({"data": value}))
            json_text(value)
        except ExpressionError as error:
            text = f"unable to process data transformation: error processing data step {number}: {error}"
            raise type(error)(text, source=error.source, at=error.at, stage=error.stage) from error
        except (TypeError, ValueError) as error:
            text = f"unable to process data transformation: step {number} gives something that is no JSON: {error}"
            raise ExpressionError(text, source=step.expression) from error
    return value
