"""A script: all facts together, and what they say of one invocation.

Of each thing that can be said (how it ends, how long it takes, each output) the latest fact that speaks of it decides, so general lines
come first and exceptions after them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from flowcore.ports import ForeseenResume, Invocation
from flowcore_backends.fake.facts import Chance, Daemon, Ending, Fact, Said
from flowcore_backends.fake.matching import Matcher


@dataclass(slots=True)
class Decision:
    """What the facts say of one invocation. ``ending`` is None where no fact says how it ends."""

    ending: Ending | None = None
    said: Said = field(default_factory=Said)
    daemoned: Daemon | None = None


NOTHING_SAID = Decision()


class Script:
    """Facts in the order in which they were written, and which invocations of each run the counting ones have seen."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.facts: list[Fact] = []
        self._seen: dict[str, dict[int, dict[str, int]]] = {}  # run, fact, node: the how manieth it was

    def add(self, matcher: Matcher) -> Fact:
        """A new fact about what ``matcher`` matches."""
        fact = Fact(matcher)
        self.facts.append(fact)
        return fact

    def decide(self, invocation: Invocation) -> Decision:
        """What is said of ``invocation``; asking again for the same node of the same run gives the same answer."""
        if not self.facts:
            return NOTHING_SAID
        decision = Decision()
        for fact in reversed(self.facts):
            if not fact.matcher.matches(invocation):
                continue
            if decision.ending is None and (ending := self._ending(fact, invocation)) is not None:
                decision.ending = ending
                _add(decision.said, ending.said)
            decision.daemoned = decision.daemoned or fact.daemoned
            _add(decision.said, fact.said)
        return decision

    def resumption(self, invocation: Invocation) -> ForeseenResume | None:
        """When and how somebody resumes this suspend node."""
        for fact in reversed(self.facts):
            if not fact.matcher.matches(invocation):
                continue
            if fact.resumption is not None:
                return fact.resumption
            ending = self._ending(fact, invocation)
            if ending is not None and ending.kind in ("fails", "errors"):
                return ForeseenResume(ending.said.after or fact.said.after or timedelta(0), failed=True, message=ending.message)
        return None

    def forget(self, run: str) -> None:
        """Forget what was counted for a run that has ended."""
        self._seen.pop(run, None)

    def _ending(self, fact: Fact, invocation: Invocation) -> Ending | None:
        if fact.chance is not None and self._happens(fact.chance, invocation):
            return fact.chance.ending
        return fact.ending(self._number(fact, invocation))

    def _number(self, fact: Fact, invocation: Invocation) -> int:
        if not fact.counts:
            return 0
        seen = self._seen.setdefault(run_key(invocation.uid, invocation.workflow), {}).setdefault(id(fact), {})
        return seen.setdefault(invocation.node, len(seen))

    def _happens(self, chance: Chance, invocation: Invocation) -> bool:
        """What chance says: the same for the same seed and node, whatever the run is called."""
        place = invocation.node_name.removeprefix(invocation.workflow)
        return Random(f"{self.seed} {place} {invocation.template_name}").random() < chance.probability


def run_key(uid: str, name: str) -> str:
    """What tells one run from another."""
    return uid or name


def _add(said: Said, more: Said) -> None:
    """Take over what has not been said yet."""
    if said.after is None:
        said.after = more.after
    if said.result is None:
        said.result = more.result
    said.parameters = more.parameters | said.parameters
    said.artifacts = more.artifacts | said.artifacts


__all__ = ["NOTHING_SAID", "Decision", "Script", "run_key"]
