"""Lint: everything that is wrong with a document, and what may well be meant otherwise; its rules, its formats and what it can mend.

``flowcore lint`` and the pytest plugin call this. Problems of documents that Argo refuses come from ``flowcore.plan.validate``.
"""

from __future__ import annotations

from flowcore.lint.checking import lint_document
from flowcore.lint.fixing import fixed
from flowcore.lint.formats import Format, formatted
from flowcore.lint.rules import RULES

__all__ = ["RULES", "Format", "fixed", "formatted", "lint_document"]
