"""``when`` conditions of steps, tasks and metrics. Called by the engine after the tags of the text were filled in."""

from __future__ import annotations

from functools import lru_cache

from flowcore.errors import ExpressionError, LimitExceeded
from flowcore.language.go_format import go_text
from flowcore.language.govaluate import Govaluate, compile_govaluate

_HINT = ' (hint: try wrapping the affected expression in quotes ("))'


def evaluate_when(text: str) -> bool:
    """Whether the step or task runs: every bare word stands for its own text, and the result must be true or false.

    The empty text is true. Raises ExpressionError with the messages that Argo gives to the node (workflow/controller/steps.go).
    """
    if not text:
        return True
    condition = compile_when(text)
    try:
        result = condition.evaluate({})
    except LimitExceeded:
        raise
    except ExpressionError as error:
        raise type(error)(f"Failed to evaluate 'when' expresion '{text}': {error.message}", source=text) from None
    return _checked(result, text)


@lru_cache(maxsize=1024)
def compile_when(text: str) -> Govaluate:
    """Read a condition without evaluating it; raises ExpressionError(stage="compile") with Argo's message."""
    try:
        condition = compile_govaluate(text)
    except LimitExceeded:
        raise
    except ExpressionError as error:
        hint = _HINT if "Invalid token" in error.message else ""
        message = f"Invalid 'when' expression '{text}': {error.message}{hint}"
        raise type(error)(message, source=text, at=error.at, stage="compile") from None
    try:
        return condition.with_words_as_texts()
    except ExpressionError as error:
        message = f"Failed to parse 'when' expression '{text}': {error.message}"
        raise type(error)(message, source=text, at=error.at, stage="compile") from None


def _checked(result: object, text: str) -> bool:
    if isinstance(result, bool):
        return result
    raise ExpressionError(f"Expected boolean evaluation for '{text}'. Got {go_text(result)}", source=text)
