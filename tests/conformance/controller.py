"""The controller section: scripts over workflows whose pods are simulated."""

from __future__ import annotations

from tests.conformance.corpus import Case
from tests.conformance.scripts import play_script


def play(case: Case) -> None:
    """Play one script."""
    play_script(case)
