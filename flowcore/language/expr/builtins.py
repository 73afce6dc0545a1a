"""All builtins by name. Called by ``evaluator``; each takes the budget first and then its arguments.

How many arguments there may be and of which kinds was checked before (``signatures``); what could not be known then is checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from flowcore.language.expr.builtins_dates import DATES
from flowcore.language.expr.builtins_lists import LISTS
from flowcore.language.expr.builtins_numbers import NUMBERS
from flowcore.language.expr.builtins_texts import TEXTS

BUILTINS: Mapping[str, Callable[..., object]] = {**TEXTS, **NUMBERS, **LISTS, **DATES}
