"""Facts that fitted nothing: what they ask for, and what they would have fitted. For whoever reads a failing test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches

from flowcore.ports import Invocation
from flowcore_backends.fake.matching import Matcher, image_of, parameters_of

_SHOWN = 8


def misses(matchers: Iterable[Matcher], invocations: Sequence[Invocation]) -> list[str]:
    """One sentence for each of ``matchers`` that fits none of ``invocations``."""
    return [_miss(matcher, invocations) for matcher in matchers if not any(matcher.matches(one) for one in invocations)]


def _miss(matcher: Matcher, invocations: Sequence[Invocation]) -> str:
    if not invocations:
        return f"{matcher} fitted nothing: nothing was started"
    near = [one for one in invocations if replace(matcher, inputs={}, attempt=None, where=None).matches(one)]
    if near:
        return f"{matcher} fitted nothing: {_seen(matcher, near)}"
    return f"{matcher} fitted nothing{_meant(matcher, invocations)}"


def _seen(matcher: Matcher, near: Sequence[Invocation]) -> str:
    """What the invocations had that fit by their names alone."""
    if matcher.inputs:
        had = {", ".join(f"{name}={value!r}" for name, value in parameters_of(one).items()) or "no inputs" for one in near}
        return f"{near[0].template_name} was started with " + _listed(sorted(had), " and ")
    if matcher.attempt is not None:
        return f"the attempts were {_listed(sorted({str(one.attempt) for one in near}))}"
    return f"where=... was true for none of {_listed([one.display_name for one in near])}"


def _meant(matcher: Matcher, invocations: Sequence[Invocation]) -> str:
    """What was probably meant, and what there was."""
    kinds = {
        "template": [one.template_name for one in invocations],
        "step": [one.step_name for one in invocations],
        "node": [one.node_name for one in invocations],
        "image": [image_of(one) for one in invocations],
    }
    asked = next((name for name in kinds if getattr(matcher, name) is not None), "what")
    pattern = getattr(matcher, asked)
    wanted = pattern.pattern if isinstance(pattern, re.Pattern) else str(pattern)
    there = _once(kinds[asked] if asked in kinds else [*kinds["template"], *kinds["step"]])
    close = get_close_matches(wanted, there, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    noun = "templates and steps" if asked == "what" else f"{asked}s"
    return f"{hint or ';'} {noun} that were started: {_listed([repr(name) for name in there])}"


def _once(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name]


def _listed(names: Sequence[str], sign: str = ", ") -> str:
    return sign.join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


__all__ = ["misses"]
