"""Carrying out ``flowcore convert``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from flowcore.cli.inputs import sources_of, text_of_file
from flowcore.errors import UsageError
from flowcore.lint.converting import Delimiters, converted


def convert_files(files: Sequence[str], *, to: Delimiters | None, write: bool) -> int:
    """Convert ``files`` and print them, or write them back. Nothing is written unless all of them can be. Raises UsageError, InvalidWorkflow."""
    sources = sources_of(files)
    if write and not all(isinstance(source, Path) for source in sources):
        raise UsageError("--write: standard input cannot be written back")
    texts = []
    for source in sources:
        text = text_of_file(source) if isinstance(source, Path) else source
        texts.append((source, text, converted(text, file=str(source) if isinstance(source, Path) else "standard input", to=to)))
    changed = 0
    for source, before, after in texts:
        if not write:
            sys.stdout.write(after)
        elif isinstance(source, Path) and after != before:
            source.write_text(after, encoding="utf-8")
            changed += 1
    if write:
        sys.stdout.write(f"{len(texts)} files: {changed} changed\n")
    return 0


__all__ = ["convert_files"]
