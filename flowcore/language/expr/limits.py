"""What an untrusted expression may use: sizes of the text and tree, steps, memory and time of one evaluation.

``Budget`` is the base of the evaluator; every builtin gets it as its first argument and pays for what it makes and walks.
"""

from __future__ import annotations

import time
from typing import Final

from flowcore.errors import LimitExceeded

LONGEST_SOURCE: Final = 65_536
MOST_NODES: Final = 10_000
MOST_DEPTH: Final = 200
"""How deep operators, brackets and pipes may nest; the walk must fit into Python's stack below any caller."""

MOST_STEPS: Final = 2_000_000
MOST_ELEMENTS: Final = 1_000_000
"""List elements and map entries made in one evaluation; expr-lang's own memory budget."""
LONGEST_TEXT: Final = 4_000_000
MOST_TEXT: Final = 16_000_000
MOST_SECONDS: Final = 2.0
_CHUNK: Final = 4096


class Panic(Exception):
    """A run-time error on its way to the evaluator, which knows the place; the text is Go's."""

    at: int | None = None


class Budget:
    """What is left of one evaluation's allowance. Time is that of the processor, from its making, and is looked at every few thousand steps."""

    __slots__ = ("_chunks", "_deadline", "elements", "fuel", "text")

    def __init__(self) -> None:
        self.fuel = _CHUNK
        self.elements = MOST_ELEMENTS
        self.text = MOST_TEXT
        self._chunks = MOST_STEPS // _CHUNK
        self._deadline = time.thread_time() + MOST_SECONDS

    def refuel(self) -> None:
        """Begin the next few thousand steps, if there are any left and there is time."""
        spent, self.fuel = -self.fuel, _CHUNK
        self._chunks -= 1 + spent // _CHUNK
        if self._chunks <= 0:
            raise LimitExceeded(f"the expression takes more than {MOST_STEPS} steps")
        self.tick()

    def tick(self) -> None:
        """Look at the time: after work whose length cannot be told beforehand."""
        if time.thread_time() > self._deadline:
            raise LimitExceeded(f"the expression takes longer than {MOST_SECONDS:g} seconds")

    def spend(self, steps: int) -> None:
        """Pay for work that grows with its input."""
        self.fuel -= steps
        if self.fuel < 0:
            self.refuel()

    def grow(self, elements: int) -> None:
        """Pay for a list or map of that many elements, before it is made."""
        self.elements -= elements
        if self.elements <= 0:
            raise LimitExceeded("memory budget exceeded")
        self.spend(elements >> 3)

    def write(self, characters: int) -> None:
        """Pay for a text of that length, before it is made."""
        self.text -= characters
        if characters > LONGEST_TEXT or self.text < 0:
            raise LimitExceeded("memory budget exceeded")
        self.spend(characters >> 6)
