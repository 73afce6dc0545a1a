"""``python -m tests.conformance FOLDER``: play a corpus folder and print the scoreboard."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.conformance import on_local
from tests.conformance.corpus import Case, load
from tests.conformance.floors import raise_floors
from tests.conformance.playing import LIMIT_SECONDS, play_all
from tests.conformance.scope import load_rules
from tests.conformance.scoreboard import Scoreboard


def main(arguments: list[str] | None = None) -> int:
    """Play, print, and return 0; 1 when something failed, 2 when the folder holds no cases."""
    options = _options(arguments)
    cases = [case for case in load(options.folder) if _wanted(case, options)]
    cases = [case for case in cases if case.id in (options.case or ())] or cases  # an id in full means that case alone
    if options.backend == "local":
        cases = [case for case in cases if case.kind == "e2e"]
    if not cases:
        print(f"{options.folder}: no cases of a known format (that match)", file=sys.stderr)
        return 2
    board = Scoreboard()
    played = play_all(cases[: options.limit], load_rules(), jobs=options.jobs, limit=options.time_limit, backend=options.backend)
    for case, verdict in played:
        board.add(case, verdict)
    _print(board, options)
    if options.json:
        options.json.write_text(json.dumps(board.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.raise_floors:
        print(f"floors raised: {raise_floors(board.rates())}")
    return 1 if board.failed_cases() else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description="Play a conformance corpus and print the scoreboard.")
    parser.add_argument("folder", type=Path, help="a corpus folder: conformance, language tables, or oracle runs")
    parser.add_argument("--section", action="append", help="only this section (may be given several times)")
    parser.add_argument("--case", action="append", help="only this case id, or all ids that contain this text")
    parser.add_argument("--json", type=Path, help="write the result as JSON to this file")
    parser.add_argument("-v", "--verbose", action="store_true", help="print failures in full, and the reasons for what is out of scope")
    parser.add_argument("-q", "--quiet", action="store_true", help="print the board only")
    parser.add_argument(
        "--raise-floors", action="store_true", help="record the rates of whole sections as their new floors, where they are higher"
    )
    parser.add_argument("--limit", type=int, help="play only so many cases")
    parser.add_argument("--backend", choices=("fake", "local"), default="fake", help="local: the e2e section in real time, as processes")
    parser.add_argument("--patience", type=float, help="with --backend local: seconds until what is still under way is left out")
    parser.add_argument("--level", help="print only the failures of this level")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="processes")
    parser.add_argument(
        "--time-limit", type=float, help=f"seconds that one case may take ({LIMIT_SECONDS:.0f}; on local four times the patience)"
    )
    options = parser.parse_args(arguments)
    if options.patience:
        on_local.PATIENCE = options.patience
    options.time_limit = options.time_limit or (4 * on_local.PATIENCE if options.backend == "local" else LIMIT_SECONDS)
    return options


def _wanted(case: Case, options: argparse.Namespace) -> bool:
    if options.section and case.section not in options.section:
        return False
    return not options.case or any(wanted in case.id for wanted in options.case)


def _print(board: Scoreboard, options: argparse.Namespace) -> None:
    if not options.quiet:
        shown = Scoreboard({id_: pair for id_, pair in board.verdicts.items() if not options.level or pair[1].level == options.level})
        if failures := shown.failures(verbose=options.verbose):
            print(failures, end="\n\n")
    for title, text in (("out of scope:", board.reasons()), ("failures by level:", board.levels()), ("counted apart:", board.apart())):
        if text:
            print(f"{title}\n{text}\n")
    print(board.table())


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BrokenPipeError:  # the reader went away, for instance `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
