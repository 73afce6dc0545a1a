"""Every error that flowcore raises: one tree, told apart by who can mend it.

The user mends the document (``InvalidWorkflow``), an expression (``ExpressionError``) or the call (``UsageError``); the operator
mends a backend (``ExecutorError``) or a store (``StoreError``); we mend ``InternalError``. That a workflow ended Failed is a value
(the phase of its run), and becomes ``WorkflowFailed`` only where a caller asks for an exception.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class FlowError(Exception):
    """The base of all errors that flowcore raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or doubtful, in a document: where it stands, what it is, and how to mend it.

    ``path`` is dotted as in ``spec.templates[2].container.image``; ``line`` and ``column`` count from 1 and are absent for documents that
    were never text. ``rule`` is a short stable id for tools.
    """

    message: str
    path: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None
    remedy: str | None = None
    severity: Literal["error", "warning"] = "error"
    rule: str = "invalid"

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}" if place else f"line {self.line}"
            if self.column is not None and self.file:
                place += f":{self.column}"
        where = ": ".join(part for part in (place, self.path) if part)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} ({self.remedy})" if self.remedy else text


class InvalidWorkflow(FlowError):
    """A document that cannot be run; raised by loading, by validation and by ``run``, always with every problem found."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        if isinstance(problems, str):
            problems = (Problem(problems),)
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ExpressionError(FlowError):
    """An expression, tag or condition that cannot be read or evaluated.

    ``source`` is its text; ``at`` is the offset (0-based, in characters) at which it went wrong, when that is known; ``stage`` tells a text
    that can never work (``compile``) from one that failed on these values (``run``).
    """

    def __init__(self, message: str, *, source: str = "", at: int | None = None, stage: Literal["compile", "run"] = "run") -> None:
        self.message, self.source, self.at, self.stage = message, source, at, stage
        super().__init__(message)


class LimitExceeded(ExpressionError):
    """An expression asked for more steps, memory or time than an untrusted text may have."""


class UnresolvedTag(ExpressionError):
    """A tag names a variable that has no value here, in a place where that is not allowed."""


class AbsentOptional(ExpressionError):
    """A tag names an output of a node that was skipped, and nothing says what to take instead."""


class UsageError(FlowError):
    """A call that cannot be carried out as it was made, for instance resuming a run that has ended."""


class ExecutorError(FlowError):
    """A backend could not do what was asked of it; the node that asked ends in phase Error with this text."""


class TransientExecutorError(ExecutorError):
    """The same, for a fault that passes; it was already tried again within the backend's bounds."""


class MissingBackend(FlowError):
    """No executor, store or driver of that name is installed; the message names the extra to install."""


class ArtifactError(FlowError):
    """An artifact could not be read, written, packed or unpacked."""


class MissingArtifact(ArtifactError):
    """Nothing is stored where an artifact should be; an optional input is then left out."""


class UnsafeArchive(ArtifactError):
    """An archive that tries to leave its folder, holds links or devices, or is larger than its bounds."""


class StoreError(FlowError):
    """Rows could not be read or written: the run stops where it is, and nothing that was recorded is lost."""


class WorkflowFailed(FlowError):
    """Raised by ``raise_for_phase`` when a run ended Failed or Error; ``phase`` and ``message`` are the run's."""

    def __init__(self, name: str, phase: str, message: str) -> None:
        self.name, self.phase, self.message = name, phase, message
        super().__init__(f"workflow {name} ended {phase}" + (f": {message}" if message else ""))


class InternalError(FlowError):
    """A bug in flowcore. Carries the node it happened to and that node's story, so that it can be reported and replayed."""

    def __init__(self, message: str, *, node: str | None = None, story: Sequence[str] = ()) -> None:
        self.node, self.story = node, tuple(story)
        super().__init__(message if not story else message + "\n" + "\n".join(story))
