"""The ``flowcore`` command: run, lint and look at workflows in a terminal. No rule of workflows lives here.

``main`` is what the installed command calls. It needs the extra ``cli`` and says so when that is missing.
"""

from __future__ import annotations

import sys

_EXTRA = frozenset({"typer", "rich", "click"})


def main() -> None:
    """Carry out the command line of this process, and exit with its status."""
    try:
        from flowcore.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.stderr.write(f"flowcore: the command line needs {error.name}: pip install 'flowcore[cli]'\n")
        sys.exit(2)
    app()


__all__ = ["main"]
