"""The pictures of examples that pages show, drawn as ``flowcore graph FILE -o svg`` draws them."""

from __future__ import annotations

from pathlib import Path

from flowcore.cli.picturing import Notation, picture

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def exit_handler() -> str:
    """The picture of the page on graphs."""
    return picture(str(EXAMPLES / "exit-handler.yaml"), Notation.SVG, "")


def release() -> str:
    """The picture of the first page."""
    return picture(str(EXAMPLES / "release.yaml"), Notation.SVG, "")
