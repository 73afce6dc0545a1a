"""The e2e section on the local backend, in real time: real commands come to the same ends as simulated ones.

Left out are schedules (the next minute of a clock), what a cluster, a server on the internet or Argo's own command line decides, and what takes
longer than four seconds of real time (backoffs and sleeps); ``python -m tests.conformance FOLDER --backend local -v`` tells each with its reason.
"""

from __future__ import annotations

import shutil

import pytest

from tests.conformance import on_local
from tests.conformance.corpus import load
from tests.conformance.playing import play_all
from tests.conformance.scope import load_rules
from tests.conformance.scoreboard import Scoreboard
from tests.conformance.test_conformance import corpus_folder

FLOOR = 95.0  # per cent of the cases that are played; a busy machine may be too late for one with a deadline
AT_ONCE = 12  # most of the time they sleep
PATIENCE = 4.0
FEWEST = 0.3  # of all cases, that they are played at all


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_cases_end_on_local_as_they_do_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = corpus_folder()
    cases = [case for case in load(folder) if case.kind == "e2e"] if folder is not None else []
    if not cases:
        pytest.skip("no conformance corpus with an e2e section: set FLOWCORE_CONFORMANCE to a corpus folder to play it")
    if shutil.which("bash") is None:
        pytest.skip("needs bash, as images of the corpus have it")
    monkeypatch.setattr(on_local, "PATIENCE", PATIENCE)
    board = Scoreboard()
    for case, verdict in play_all(cases, load_rules(), jobs=AT_ONCE, limit=10 * PATIENCE, backend="local"):
        board.add(case, verdict)
    counts = board.counts()["e2e"]
    assert board.rates()["e2e"] >= FLOOR, board.failures()
    assert counts["passed"] >= FEWEST * len(cases), board.reasons()
