"""What a validation has found so far: problems in the order of the walk, each once, with the chain of callers before its text.

Shared by the rooms of the validator; ``validate`` hands the list out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from flowcore.errors import Problem


class Report:
    """Collects problems.

    ``prefix`` is what Argo puts before a message for each caller on the way (``templates.main.steps[0].a``). With ``like_argo`` only what
    Argo's own validator refuses is an error, and what would go wrong later is a warning.
    """

    def __init__(self, *, like_argo: bool) -> None:
        self.like_argo = like_argo
        self.problems: list[Problem] = []
        self.file: str | None = None
        self._prefix: tuple[str, ...] = ()
        self._soft = 0
        self._seen: set[tuple[str | None, str, str]] = set()

    @property
    def depth(self) -> int:
        """How many callers there are on the way."""
        return len(self._prefix)

    def add(self, text: str, path: str, *, remedy: str | None = None, rule: str = "invalid") -> None:
        """Something that Argo's validator refuses, in its words."""
        self._append(text, path, remedy, rule, "warning" if self._soft else "error")

    def beyond(self, text: str, path: str, *, remedy: str | None = None, rule: str) -> None:
        """Something that Argo finds out only while it runs, but that cannot go well."""
        self._append(text, path, remedy, rule, "warning" if self.like_argo or self._soft else "error")

    def warn(self, text: str, path: str, *, remedy: str | None = None, rule: str) -> None:
        """Something that may well be meant otherwise."""
        self._append(text, path, remedy, rule, "warning")

    def _append(self, text: str, path: str, remedy: str | None, rule: str, severity: Literal["error", "warning"]) -> None:
        key = (self.file, path, text)
        if key not in self._seen:
            self._seen.add(key)
            message = " ".join((*self._prefix, text))
            self.problems.append(Problem(message, path, self.file, remedy=remedy, severity=severity, rule=rule))

    @contextmanager
    def within(self, *prefix: str) -> Iterator[None]:
        """Put ``prefix`` before the messages of what is looked at inside."""
        before = self._prefix
        self._prefix = (*before, *prefix)
        try:
            yield
        finally:
            self._prefix = before

    @contextmanager
    def in_document(self, file: str | None) -> Iterator[None]:
        """What is looked at inside stands in another document."""
        before, self.file = self.file, file
        try:
            yield
        finally:
            self.file = before

    @contextmanager
    def softly(self, soft: bool) -> Iterator[None]:
        """Everything found inside is a warning, if ``soft``."""
        self._soft += soft
        try:
            yield
        finally:
            self._soft -= soft
