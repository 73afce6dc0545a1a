"""``python -m flowcore.cli``: the same as the installed command."""

from __future__ import annotations

from flowcore.cli import main

if __name__ == "__main__":
    main()
