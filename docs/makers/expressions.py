"""The page of all functions of expressions: names from the tables that the evaluator uses, values by evaluating the examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expr.signatures import BUILTIN_NAMES
from flowcore.language.expressions import compile_expression, go_text, to_text
from flowcore.language.sources import sources
from flowcore.language.sprig import SPRIG

HEAD = """\
# Functions of expressions

`{{=...}}` tags and fields called `expression` hold expressions: the language of [expr-lang](https://expr-lang.org), with Argo's functions and those
of [sprig](https://masterminds.github.io/sprig/). This page lists every function. Each value is what flowcore's evaluator gave for the
example while the page was made; `now()` was 12:00 UTC on 17 May 2024.

sprig's `env`, `expandenv` and `getHostByName` are left out: documents come from strangers. Where sprig has a `must...` beside a function, that one
reports errors, and the plain one gives a zero value. Functions for passwords and certificates need the extra `crypto`.

`startsWith`, `endsWith`, `contains`, `matches`, `in` and `..` are operators: `"v1" startsWith "v"`, `2 in [1, 2]`, `1..3`.
"""
_JSON = (bool, int, float, list, dict, type(None))
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
ENTRIES = Path(__file__).with_name("functions.txt")


def page() -> str:
    """The page as Markdown. Raises ValueError if the tables hold a function without an example, or an example names none."""
    lines, described, prefix = [HEAD], set(), ""
    for line in ENTRIES.read_text().splitlines():
        if line.startswith("# "):
            prefix = "sprig." if line.startswith("# sprig") else ""
            lines += [f"## {line[2:]}", "", "| function | example | value | |", "|---|---|---|---|"]
        elif line:
            names, example, told = line.split(" | ")
            described |= {prefix + name for name in names.split(", ")}
            lines.append(_row(names, example, told))
        else:
            lines.append("")
    if described != set(_known()):
        raise ValueError(f"docs/makers/functions.txt: without an example or unknown: {sorted(described ^ set(_known()))}")
    return "\n".join(lines) + "\n"


def _known() -> Iterator[str]:
    """Every function there is, those of sprig with their prefix."""
    yield from BUILTIN_NAMES
    yield from (name for name in ARGO_FUNCTIONS if name != "sprig")
    yield from (f"sprig.{name}" for name in SPRIG)


def _row(names: str, example: str, told: str) -> str:
    with sources(clock=lambda: NOON):
        value = compile_expression(example).evaluate({}, functions=ARGO_FUNCTIONS)
    shown = (
        json.dumps(value, ensure_ascii=False) if isinstance(value, str) else to_text(value) if isinstance(value, _JSON) else go_text(value)
    )
    called = ", ".join(f"`{name}`" for name in names.split(", "))
    return f"| {called} | {_code(example)} | {_code(shown)} | {told} |"


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")
