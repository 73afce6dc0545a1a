"""Visible values for outputs that nobody scripted, in the form that their places need. Used by the fake executor unless it is strict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from flowcore.jsontypes import Json, JsonObject, compact
from flowcore.ports import Invocation, RunContext
from flowcore_backends.fake.matching import python_name
from flowcore_backends.fake.script import run_key
from flowcore_backends.fake.uses import RESULT, OutputKey, Shape, Wish, uses_of

_ITEMS = 2


class Fitting:
    """The made-up values of many runs: each run is surveyed once, and numbers count up in it, so that loops that wait for one end."""

    def __init__(self) -> None:
        self._uses: dict[str, Mapping[OutputKey, Wish]] = {}
        self._made: dict[str, Counter[OutputKey]] = {}

    def attend(self, context: RunContext) -> None:
        """Look at the workflow of a run that begins or goes on."""
        self._uses[run_key(context.uid, context.name)] = uses_of(context.spec, context.catalog)

    def forget(self, run: str) -> None:
        """The run has ended."""
        self._uses.pop(run, None)
        self._made.pop(run, None)

    def value(self, invocation: Invocation, output: str = RESULT) -> str:
        """What stands for an output parameter, or for the result, of an invocation."""
        run = run_key(invocation.uid, invocation.workflow)
        key = (invocation.template_name, invocation.step_name.partition("(")[0], output)
        wish = self._uses.get(run, {}).get(key)
        if output == RESULT:
            text = f"fake_result_of_{python_name(spoken_name(invocation))}"
        else:
            text = f"fake_value_of_{python_name(output)}"
        if wish is None:
            return text
        if wish.shape is Shape.NUMBER:
            made = self._made.setdefault(run, Counter())
            made[key] += 1
            return str(made[key])
        if wish.shape is Shape.MAPPING:
            return compact(_mapping(wish.keys, ""))
        items: list[Json] = [_mapping(wish.keys, f"_{index}") if wish.keys else f"{text}_{index}" for index in range(1, _ITEMS + 1)]
        return compact(items)


def spoken_name(invocation: Invocation) -> str:
    """What somebody who writes facts calls the invocation."""
    return invocation.template_name or invocation.step_name or invocation.display_name


def _mapping(keys: tuple[str, ...], ending: str) -> JsonObject:
    return {key: f"fake_{python_name(key)}{ending}" for key in keys}


__all__ = ["Fitting", "spoken_name"]
