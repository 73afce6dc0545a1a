"""How Sphinx makes the site of these pages: ``make docs``. Nothing is fetched while it builds, and a warning is an error there."""

from __future__ import annotations

import re
from importlib.metadata import version as version_of
from typing import Any

project = "flowcore"
author = "the authors of flowcore"
release = version = version_of("flowcore")
copyright = "the authors of flowcore, Apache-2.0"  # noqa: A001 - Sphinx's name for it

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["makers", "examples/expected"]
html_theme = "furo"
html_title = f"flowcore {release}"
html_copy_source = False

suppress_warnings = ["toc.not_included"]  # a test says which page the index forgets
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("Json", "JsonObject", "Source", "Change", "Mode")}  # else they are spelled out
autodoc_class_signature = "mixed"
autodoc_use_type_comments = False
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100


def named(_app: object, _what: str, _name: str, _object: object, _options: object, *texts: str | None) -> tuple[str | None, ...]:
    """Names of types that stand for others are shown as names; Sphinx shows its own mark around them."""
    return tuple(text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text) for text in texts)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", named)
