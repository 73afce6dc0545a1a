"""The public surface: a list that is kept on purpose, every name of it documented and annotated."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import flowcore

DOCS = Path(__file__).resolve().parent.parent / "docs"
MOST = 40  # above this a reader stops holding them in mind


def test_the_list_is_complete_and_short() -> None:
    assert sorted(set(flowcore.__all__)) == sorted(flowcore.__all__)
    assert len(flowcore.__all__) <= MOST
    for name in flowcore.__all__:
        assert hasattr(flowcore, name), name


@pytest.mark.parametrize("name", flowcore.__all__)
def test_a_public_name_is_documented(name: str) -> None:
    """Classes and functions say what they promise; so do the public methods of classes that are written here."""
    value = getattr(flowcore, name)
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return
    assert inspect.getdoc(value), f"flowcore.{name} has no docstring"
    if inspect.isroutine(value):
        assert "return" in value.__annotations__, f"flowcore.{name} does not say what it returns"


@pytest.mark.parametrize("name", [name for name in flowcore.__all__ if inspect.isclass(getattr(flowcore, name))])
def test_public_methods_are_documented(name: str) -> None:
    owner = getattr(flowcore, name)
    for method, value in vars(owner).items():
        if method.startswith("_") or not inspect.isfunction(value):
            continue
        if owner.__module__.startswith("flowcore.") and not owner.__module__.startswith("flowcore.models"):
            assert inspect.getdoc(getattr(owner, method)), f"flowcore.{name}.{method} has no docstring"


def test_the_pages_use_names_that_exist() -> None:
    for page in sorted(DOCS.glob("*.md")):
        for name in re.findall(r"\bflowcore\.([a-zA-Z_]+)\(", page.read_text()):
            assert name in flowcore.__all__, f"{page.name} uses flowcore.{name}"
