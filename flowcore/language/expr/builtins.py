"""All builtins by name. Called by ``evaluator``; each takes the budget first and then its arguments.

How many arguments there may be and of which kinds was checked before (``signatures``); what could not be known then is checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature

from flowcore.language.expr.builtins_dates import DATES
from flowcore.language.expr.builtins_lists import LISTS
from flowcore.language.expr.builtins_numbers import NUMBERS
from flowcore.language.expr.builtins_texts import TEXTS

BUILTINS: Mapping[str, Callable[..., object]] = {**TEXTS, **NUMBERS, **LISTS, **DATES}


def _arity(call: Callable[..., object]) -> tuple[int, int]:
    """The fewest and the most arguments, without the budget."""
    parameters = [parameter for parameter in signature(call).parameters.values() if parameter.kind is not Parameter.KEYWORD_ONLY]
    if any(parameter.kind is Parameter.VAR_POSITIONAL for parameter in parameters):
        return 1, 1_000_000
    least = sum(parameter.default is Parameter.empty for parameter in parameters)
    return least - 1, len(parameters) - 1


ARITY: Mapping[str, tuple[int, int]] = {name: _arity(call) for name, call in BUILTINS.items()}

TAKES_LAST = frozenset({"len", "type", "abs", "ceil", "floor", "round", "int", "float", "string", "upper", "lower"})
"""Given too many arguments unchecked, expr-lang calls these with the last one, all others with the first ones."""
