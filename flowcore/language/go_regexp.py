"""Regular expressions with Go's (RE2's) meaning on Python's engine. Called wherever a pattern from a document is used."""

from __future__ import annotations

import re
from functools import lru_cache

from flowcore.errors import ExpressionError


class Regexp:
    """A compiled pattern."""

    def __init__(self, source: str) -> None:
        self.source = source
        try:
            self._pattern = re.compile(source)
        except re.error as error:
            raise ExpressionError(f"error parsing regexp: {error}: `{source}`", source=source, stage="compile") from None

    def matches(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text."""
        return self._pattern.search(text) is not None


@lru_cache(maxsize=512)
def compile_regexp(source: str) -> Regexp:
    """Compile a pattern; raises ExpressionError(stage="compile")."""
    return Regexp(source)
