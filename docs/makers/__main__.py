"""Makes the pages that are read off the program: ``python docs/makers`` writes them, ``python docs/makers --check`` tells which are stale."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import commands
import compatibility
import drawings
import expressions
import phases

DOCS = Path(__file__).resolve().parent.parent
MADE: dict[str, Callable[[], str]] = {
    "argo-compatibility.md": compatibility.page,
    "commands.md": commands.page,
    "expressions.md": expressions.page,
    "phases.md": phases.page,
    "images/phases.svg": phases.picture,
    "images/exit-handler.svg": drawings.exit_handler,
    "images/release.svg": drawings.release,
}


def main(arguments: list[str]) -> int:
    """Write what is stale; with ``--check`` only say so, and fail."""
    stale = {name: text for name, text in ((name, make()) for name, make in MADE.items()) if _kept(name) != text}
    for name, text in stale.items():
        if "--check" in arguments:
            print(f"docs/{name} is stale: run `python docs/makers`")
        else:
            (DOCS / name).write_text(text)
            print(f"docs/{name} written")
    return 1 if stale and "--check" in arguments else 0


def _kept(name: str) -> str:
    file = DOCS / name
    return file.read_text() if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
