"""jq programs, for ``valueFrom.jqFilter`` of resource templates. The language and its messages are gojq's, without modules and input.

Programs are untrusted: steps, time, depth and sizes are bounded, and nothing outside of the input can be reached.
"""

from __future__ import annotations

import json
from functools import lru_cache

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.jsontypes import Json
from flowcore.language.go_json import dump_json
from flowcore.language.jq.compiler import Compiler
from flowcore.language.jq.encoding import encode
from flowcore.language.jq.failures import JqFailure
from flowcore.language.jq.machine import Machine, Step
from flowcore.language.jq.meter import metered
from flowcore.language.jq.parser import parse_program
from flowcore.language.sprig.texts import SPACES

__all__ = ["MAX_RESULTS", "filter_text", "run"]

MAX_RESULTS = 100_000
MAX_TEXT = 8 * 1024 * 1024


def run(program: str, value: Json) -> list[Json]:
    """The results of a program for a value; raises ExpressionError with gojq's message, and LimitExceeded.

    What came before the failure is lost, as it is in Argo.
    """
    results: list[Json] = []
    try:
        with metered():
            for result in Machine().results(_compile(program), value):
                results.append(result)
                encode(result)  # refuses what is too large to be written
                if len(results) > MAX_RESULTS:
                    raise LimitExceeded(f"a jq program gives more than {MAX_RESULTS} results", source=program[:200])
    except JqFailure as failure:
        raise ExpressionError(str(failure), source=program) from None
    except RecursionError:
        raise LimitExceeded("a jq value is nested too deeply", source=program[:200]) from None
    return results


def filter_text(program: str, text: str) -> str:
    """What Argo makes of a program and a JSON text: the results one to a line, texts bare, without white space around them all."""
    if len(text) > MAX_TEXT:
        raise LimitExceeded(f"a JSON text of more than {MAX_TEXT} characters", source=program[:200])
    try:
        value: Json = json.loads(text, parse_int=float, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ExpressionError(f"the input is no JSON: {error}", source=text[:200]) from None
    lines: list[str] = []
    size = 0
    for result in run(program, value):
        lines.append(result if isinstance(result, str) else dump_json(result))
        size += len(lines[-1]) + 1
        if size > MAX_TEXT:
            raise LimitExceeded(f"a jq program makes a text of more than {MAX_TEXT} characters", source=program[:200])
    return "\n".join(lines).strip(SPACES)


def _refuse(name: str) -> Json:
    raise ValueError(f"{name} is no JSON value")


@lru_cache(maxsize=128)
def _compile(program: str) -> Step:
    try:
        return Compiler().program(parse_program(program))
    except LimitExceeded:
        raise
    except ExpressionError as error:
        raise ExpressionError(error.message, source=program, at=error.at, stage="compile") from None
    except RecursionError:
        raise LimitExceeded("a jq program is nested too deeply", source=program[:200], stage="compile") from None
