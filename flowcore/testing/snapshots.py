"""Drawn trees kept beside the test files that made them: ``__snapshots__/test_deploy/test_it_rolls_back.txt``."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from flowcore.testing.checks import FlowResult
from flowcore.testing.drawing import snapshot_text

__tracebackhide__ = True  # a failing comparison is shown where the test made it
_UNSAFE = re.compile(r"[^\w.\-]+")
_LONGEST = 120


class Snapshots:
    """The snapshots of one test. With ``update`` the present trees are kept instead of being compared."""

    def __init__(self, test_file: Path, test_name: str, *, update: bool) -> None:
        self._folder = test_file.parent / "__snapshots__" / test_file.stem
        self._test, self._update = test_name, update

    def path(self, name: str = "") -> Path:
        """The file of the snapshot called ``name``."""
        whole = f"{self._test}-{name}" if name else self._test
        return self._folder / f"{_UNSAFE.sub('_', whole)[:_LONGEST].strip('_')}.txt"

    def compare(self, result: FlowResult, name: str = "") -> None:
        """Raises AssertionError, with the difference, if the tree is not the one that was kept; or if none was."""
        path, now = self.path(name), snapshot_text(result.run)
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(now, encoding="utf-8")
            return
        if not path.is_file():
            raise AssertionError(f"there is no snapshot {path} yet; pytest --flowcore-update keeps this one:\n\n{now}")
        kept = path.read_text(encoding="utf-8")
        if kept != now:
            lines = difflib.unified_diff(kept.splitlines(), now.splitlines(), "kept", "now", n=30, lineterm="")
            raise AssertionError(f"the tree is not the one in {path}; pytest --flowcore-update keeps the new one:\n\n" + "\n".join(lines))


__all__ = ["Snapshots"]
