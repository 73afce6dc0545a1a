"""Every section of the corpora stays above its recorded floor, and the runner itself does what it says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.conformance.corpus import Case, load, load_with_siblings
from tests.conformance.floors import load_floors
from tests.conformance.matchers import MISSING, look_up, matches
from tests.conformance.playing import judge, play_all
from tests.conformance.scope import Rule, load_rules
from tests.conformance.scoreboard import Scoreboard
from tests.conformance.values import decode, same

ROOT = Path(__file__).parents[2]
FLOORS = load_floors()


def corpus_folder() -> Path | None:
    """The folder from the environment, or the one beside the repository."""
    named = os.environ.get("FLOWCORE_CONFORMANCE")
    folder = Path(named) if named else ROOT.parent / "shared" / "conformance"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="module")
def board() -> Scoreboard:
    folder = corpus_folder()
    if folder is None:
        pytest.skip("no conformance corpus: set FLOWCORE_CONFORMANCE to a corpus folder to play it")
    board = Scoreboard()
    for case, verdict in play_all(load_with_siblings(folder), load_rules(), jobs=os.cpu_count() or 1):
        board.add(case, verdict)
    return board


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("section", sorted(FLOORS))
def test_section_stays_above_its_floor(board: Scoreboard, section: str) -> None:
    counts = board.counts().get(section)
    if counts is None:
        pytest.skip(f"the corpus has no section {section}")
    assert board.rates()[section] >= FLOORS[section], board.failures()


def test_every_rule_of_the_out_of_scope_list_gives_a_reason_and_speaks_of_a_kind() -> None:
    for rule in load_rules():
        assert len(rule.reason) > 20
        assert any((rule.section, rule.scope, rule.feature, rule.function, rule.event, rule.folder, rule.setting, rule.looks_at))


@pytest.mark.parametrize(
    ("value", "matcher", "agrees"),
    [
        (MISSING, "", True),
        (0, MISSING, True),
        ("3", 3, True),
        (True, "true", True),
        ("abc", {"contains": ["a", "c"]}, True),
        ({"a": 1}, {"contains": "a"}, True),
        ([1, 2], {"same_elements": [2, 1]}, True),
        ([1, 2], {"len_gt": 2}, False),
        ("w-agent", {"suffix": "-agent"}, True),
        (None, {"present": True}, False),
        ({"a": {"b": "x"}}, {"eq": {"a": {"b": "x", "c": ""}}}, True),
        ("5", {"$all": [{"gt": 4}, {"le": 5}]}, True),
        ({"k": "v"}, {"json_contains": '"k":"v"'}, True),
        ('{"a": 1}', {"json_eq": {"a": 1}}, True),
        ("x", {"in": ["y"]}, False),
    ],
)
def test_matchers(value: object, matcher: object, agrees: bool) -> None:
    assert matches(value, matcher) is agrees


def test_paths() -> None:
    document = {"a": {"b.c": [{"name": "x", "v": 1}, {"name": "y", "v": 2}]}}
    assert look_up(document, "a['b.c'][name=y].v") == 2
    assert look_up(document, "a['b.c'][0].name") == "x"
    assert look_up(document, "a['b.c'][5].name") is MISSING
    assert look_up(document, "a.z.q") is MISSING


def test_numbers_of_different_kinds_differ_only_where_that_is_asked() -> None:
    assert same(3, 3.0)
    assert not same(3, 3.0, strict=True)
    assert not same(True, 1)
    assert same(decode({"$map": [[1, "a"], [1.5, "b"]]}), {1.5: "b", 1: "a"}, strict=True)


def test_a_rule_speaks_of_what_it_names(tmp_path: Path) -> None:
    case = Case(
        "a", "controller", "controller", {"scope": "kubernetes", "features": ["http"], "script": [{"expect": {"pods": {}}}]}, tmp_path
    )
    assert Rule("because", scope="kubernetes", feature="http").holds(case)
    assert Rule("because", event="pods").holds(case)
    assert not Rule("because", section="e2e").holds(case)


def test_a_case_that_hangs_or_dies_is_a_failure_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "odd.json").write_text(json.dumps({"language": "odd", "rows": [{"id": "hang"}, {"id": "die"}, {"id": "fine"}]}))

    def play(case: Case) -> None:
        while case.id == "hang":
            pass
        if case.id == "die":
            os._exit(3)

    monkeypatch.setattr("tests.conformance.playing.player_for", lambda _case, _backend: play)
    verdicts = {case.id: verdict for case, verdict in play_all(load(tmp_path), [], jobs=1, limit=0.2)}
    assert (verdicts["hang"].status, verdicts["hang"].level) == ("failed", "hang")
    assert (verdicts["die"].status, verdicts["die"].level) == ("failed", "lost")
    assert verdicts["fine"].status == "passed"


def test_a_missing_part_fails_its_own_cases_only(tmp_path: Path) -> None:
    case = Case("x", "unheard-of", "language", {}, tmp_path)
    assert judge(case).level == "part missing"


def test_the_board_counts_by_section(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text(json.dumps({"language": "odd", "rows": [{"id": "a", "fn": "f"}, {"id": "b"}]}))
    board = Scoreboard()
    for case, verdict in play_all(load(tmp_path), [Rule("no such thing here", function="f")], jobs=2):
        board.add(case, verdict)
    assert board.to_json() == {
        "sections": {"odd": {"passed": 0, "failed": 1, "out_of_scope": 1}},
        "cases": {"a": "out_of_scope", "b": "failed"},
    }
