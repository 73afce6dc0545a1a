"""A matching engine whose time grows with pattern times text and never worse. Called by ``go_regexp`` where backtracking could explode.

The tree becomes a small program; all its threads advance through the text together, in order of preference (Pike's construction). A budget
of steps bounds even that.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from flowcore.errors import LimitExceeded
from flowcore.language.go_regexp_syntax import Assertion, Chars, Choice, Group, Node, Repeat, Sequence

MAX_PROGRAM = 20_000
MAX_STEPS = 3_000_000

Slots = tuple[int, ...]


@dataclass(slots=True)
class _Instruction:
    """``chars`` takes one character, ``assert`` checks the position, ``save`` notes it, ``split`` goes two ways, ``match`` ends."""

    kind: str
    following: int = 0
    other: int = 0
    ranges: tuple[tuple[int, int], ...] = ()
    lows: tuple[int, ...] = ()
    assertion: str = ""
    slot: int = 0


class Machine:
    """A compiled pattern; searching it twice gives the same answer."""

    def __init__(self, tree: Node, groups: int, source: str) -> None:
        self._source = source
        self._program: list[_Instruction] = []
        self._slots = 2 * groups
        self._emit_save(0)
        self._emit(tree)
        self._emit_save(1)
        self._add(_Instruction("match"))

    # -- compiling ----------------------------------------------------------------------------------------------------------------

    def _add(self, instruction: _Instruction) -> _Instruction:
        if len(self._program) >= MAX_PROGRAM:
            raise LimitExceeded("error parsing regexp: expression too large", source=self._source[:200], stage="compile")
        instruction.following = len(self._program) + 1
        self._program.append(instruction)
        return instruction

    def _emit_save(self, slot: int) -> None:
        self._add(_Instruction("save", slot=slot))

    def _emit(self, node: Node) -> None:
        match node:
            case Chars():
                self._add(_Instruction("chars", ranges=node.ranges, lows=tuple(low for low, _ in node.ranges)))
            case Assertion():
                self._add(_Instruction("assert", assertion=node.kind))
            case Group():
                self._emit_save(2 * node.number)
                self._emit(node.body)
                self._emit_save(2 * node.number + 1)
            case Sequence():
                for part in node.parts:
                    self._emit(part)
            case Choice():
                self._emit_choice(node)
            case Repeat():
                self._emit_repeat(node)

    def _emit_choice(self, node: Choice) -> None:
        ends: list[_Instruction] = []
        for option in node.options[:-1]:
            split = self._add(_Instruction("split"))
            self._emit(option)
            ends.append(self._add(_Instruction("jump")))
            split.other = len(self._program)
        self._emit(node.options[-1])
        for end in ends:
            end.following = len(self._program)

    def _emit_repeat(self, node: Repeat) -> None:
        for _ in range(node.least):
            self._emit(node.body)
        if node.most is None:
            self._emit_loop(node)
            return
        splits: list[_Instruction] = []
        for _ in range(node.most - node.least):
            splits.append(self._add(_Instruction("split")))
            self._emit(node.body)
        for split in splits:
            self._aim(split, split.following, len(self._program), greedy=node.greedy)

    def _emit_loop(self, node: Repeat) -> None:
        begin = len(self._program)
        split = self._add(_Instruction("split"))
        self._emit(node.body)
        self._add(_Instruction("jump")).following = begin
        self._aim(split, begin + 1, len(self._program), greedy=node.greedy)

    @staticmethod
    def _aim(split: _Instruction, body: int, behind: int, *, greedy: bool) -> None:
        split.following, split.other = (body, behind) if greedy else (behind, body)

    # -- running ------------------------------------------------------------------------------------------------------------------

    def search(self, text: str, begin: int = 0) -> Slots | None:
        """The positions of the leftmost match and its groups at or behind ``begin`` (-1: no part of it), or None.

        Raises LimitExceeded when text and pattern together are too large.
        """
        threads: list[tuple[int, Slots]] = []
        found: Slots | None = None
        empty = (-1,) * self._slots
        budget = MAX_STEPS
        for position in range(begin, len(text) + 1):
            if found is None:
                self._follow(0, empty, text, position, threads, {index for index, _ in threads})
            if not threads:
                if found is not None:
                    break
                continue
            budget -= len(threads) + 1
            if budget < 0:
                raise LimitExceeded("a regular expression takes too long on this text", source=self._source[:200])
            threads, ended = self._step(threads, text, position)
            found = ended or found
        return found

    def _step(self, threads: list[tuple[int, Slots]], text: str, position: int) -> tuple[list[tuple[int, Slots]], Slots | None]:
        """Advance all threads by one character; a thread that ends cuts off those of less preference."""
        program = self._program
        code = ord(text[position]) if position < len(text) else -1
        following: list[tuple[int, Slots]] = []
        seen: set[int] = set()
        for index, slots in threads:
            instruction = program[index]
            if instruction.kind == "match":
                return following, slots
            at = bisect_right(instruction.lows, code) - 1
            if at >= 0 and code <= instruction.ranges[at][1]:
                self._follow(instruction.following, slots, text, position + 1, following, seen)
        return following, None

    def _follow(self, index: int, slots: Slots, text: str, position: int, threads: list[tuple[int, Slots]], seen: set[int]) -> None:
        """Add the threads that can be reached from ``index`` without taking a character, the preferred first."""
        pending = [(index, slots)]
        while pending:
            index, slots = pending.pop()
            if index in seen:
                continue
            seen.add(index)
            instruction = self._program[index]
            match instruction.kind:
                case "chars" | "match":
                    threads.append((index, slots))
                    continue
                case "split":
                    pending.append((instruction.other, slots))
                case "save":
                    slots = (*slots[: instruction.slot], position, *slots[instruction.slot + 1 :])
                case "assert" if not holds(instruction.assertion, text, position):
                    continue
            pending.append((instruction.following, slots))


def holds(assertion: str, text: str, position: int) -> bool:
    """Whether a condition on a position is fulfilled."""
    match assertion:
        case "begin_text":
            return position == 0
        case "end_text":
            return position == len(text)
        case "begin_line":
            return position == 0 or text[position - 1] == "\n"
        case "end_line":
            return position == len(text) or text[position] == "\n"
    at_boundary = _is_word(text, position - 1) != _is_word(text, position)
    return at_boundary == (assertion == "word_boundary")


def _is_word(text: str, position: int) -> bool:
    character = text[position] if 0 <= position < len(text) else ""
    return character == "_" or (character.isascii() and character.isalnum())
