"""The pages for those who test: their code runs under pytest as it stands, and the failure that they quote is the one that is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import flowcore.testing.snapshots  # noqa: F401 - imported once: pytester forgets after each run what that run imported first
import flowcore_backends.fake  # noqa: F401 - the same

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "testing-your-workflows.md").read_text()
BLOCKS = re.findall(
    r"<!-- flow -->\n```python\n(.*?)```",
    PAGE + (ROOT / "README.md").read_text() + (ROOT / "docs" / "quickstart.md").read_text(),
    re.DOTALL,
)
QUIET = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:hypothesispytest",
    "-o",
    "asyncio_mode=auto",
    "-o",
    "asyncio_default_fixture_loop_scope=function",
)


def test_the_code_of_the_page_passes(pytester: pytest.Pytester) -> None:
    (pytester.path / "docs").symlink_to(ROOT / "docs")
    for number, block in enumerate(BLOCKS):
        (pytester.path / f"test_block_{number}.py").write_text(block)
    pytester.runpytest_inprocess(*QUIET).assert_outcomes(passed=sum(block.count("def test_") for block in BLOCKS))


def test_the_failures_that_are_quoted_are_those_that_are_shown(pytester: pytest.Pytester) -> None:
    (pytester.path / "docs").symlink_to(ROOT / "docs")
    (pytester.path / "test_it.py").write_text(
        "def test_it(flow):\n"
        '    flow.load("docs/examples/exit-handler.yaml").when("fail-on-porpoise").fails()\n'
        '    result = flow.run()\n    assert result.phase == "Failed"\n'
        'def test_that(flow):\n    flow.load("docs/examples/conditionals.yaml")\n'
        "    flow.run().succeeded()\n"
    )
    shown = pytester.runpytest_inprocess(*QUIET).stdout.str()
    quoted = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert len(quoted) == 2
    assert "anyio" not in shown
    told = " ".join(shown.split())
    for line in filter(None, map(str.split, "\n".join(quoted).splitlines())):
        assert " ".join(line).strip("-") in told
