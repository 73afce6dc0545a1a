"""How Sphinx makes the site of these pages: ``make docs``. Nothing is fetched while it builds, and a warning is an error there."""

from __future__ import annotations

from importlib.metadata import version as version_of

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
autodoc_class_signature = "mixed"
autodoc_use_type_comments = False
autodoc_default_options = {"members": True, "show-inheritance": True}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
