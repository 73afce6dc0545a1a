"""The pages that are made from the program: complete, and no older than it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import flowcore

DOCS = Path(__file__).resolve().parent.parent / "docs"


def maker(name: str) -> ModuleType:
    """A module of docs/makers."""
    spec = importlib.util.spec_from_file_location(f"maker_of_{name}", DOCS / "makers" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_function_of_expressions_has_an_example_that_is_true() -> None:
    """The maker refuses a function without an example, and its values are those of the evaluator."""
    pytest.importorskip("bcrypt")
    pytest.importorskip("cryptography")
    assert (DOCS / "expressions.md").read_text() == maker("expressions").page(), "run `python docs/makers`"


def test_what_is_said_of_compatibility_is_shown_somewhere_and_speaks_of_fields_that_there_are() -> None:
    """The maker refuses a row that names no test or example, or one that is not there, and fields that no model has."""
    assert (DOCS / "argo-compatibility.md").read_text() == maker("compatibility").page(), "run `python docs/makers`"


def test_the_page_of_commands_can_be_made() -> None:
    pytest.importorskip("typer")
    page = maker("commands").page()
    assert "| `-p`, `--parameter NAME=VALUE` | A parameter of the workflow; may be repeated. |" in page
    assert "## flowcore cron backfill" in page


def test_the_page_of_commands_knows_all_commands_and_no_others() -> None:
    """``make docs`` makes it anew, with what options there are by then; what is gone must not stand in it."""
    pytest.importorskip("typer")
    kept, made = (rows_by_command(text) for text in ((DOCS / "commands.md").read_text(), maker("commands").page()))
    assert list(kept) == list(made), "run `python docs/makers`"
    assert {name: rows - made[name] for name, rows in kept.items() if rows - made[name]} == {}, "run `python docs/makers`"


def rows_by_command(page: str) -> dict[str, set[str]]:
    """The arguments and options that a page lists for each command."""
    sections = [section.partition("\n") for section in page.split("\n## ")[1:]]
    return {name: set(re.findall(r"^\| (`.*?) \|", body, re.MULTILINE)) for name, _, body in sections}


def test_the_drawings_are_as_they_would_be_drawn_now() -> None:
    pytest.importorskip("typer")
    drawings = maker("drawings")
    assert (DOCS / "images" / "exit-handler.svg").read_text() == drawings.exit_handler(), "run `python docs/makers`"
    assert (DOCS / "images" / "release.svg").read_text() == drawings.release(), "run `python docs/makers`"


def test_the_picture_of_a_run_asks_no_server() -> None:
    """It is taken anew by docs/makers/terminal.py, from a run."""
    picture = (DOCS / "images" / "terminal.svg").read_text()
    assert set(re.findall(r"https?://[^\s\"<]+", picture)) <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
    assert "release&#160;1.4:&#160;Succeeded" in picture


def test_every_public_name_is_on_the_page_of_the_api() -> None:
    page = (DOCS / "api.md").read_text()
    named = set(re.findall(r"^\.\. auto\w+:: (\w+)$", page, re.MULTILINE))
    assert named == set(flowcore.__all__)


def test_the_index_shows_the_same_pages_twice() -> None:
    """What its tables name is in the site's menu, and the other way round."""
    text = (DOCS / "index.md").read_text()
    listed = set(re.findall(r"\((\S+)\.md\)", text))
    in_menu = {
        name for tree in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL) for name in tree.split() if not name.startswith(":")
    }
    assert listed == in_menu - {"Use", "Test", "and", "embed", "Run", "Judge"}
    assert all((DOCS / f"{name}.md").exists() for name in listed)
