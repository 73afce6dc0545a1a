"""The pytest plugin (extra ``test``): the fixture ``flow``, the options ``--flowcore-update`` and ``--flowcore-lint``.

pytest loads this in every run of the environment it is installed in, so flowcore itself is imported only when something of it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flowcore.testing import Flow

_SUFFIXES = frozenset({".yaml", ".yml"})
_KEY: pytest.StashKey[list[Flow]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of flowcore."""
    group = parser.getgroup("flowcore", "workflows (flowcore)")
    group.addoption("--flowcore-update", action="store_true", help="keep the present trees as snapshots instead of comparing them")
    group.addoption("--flowcore-lint", action="store_true", help="check every YAML file that holds a document of Argo")
    group.addoption("--flowcore-lint-strict", action="store_true", help="the same, and warnings are failures")


@pytest.fixture
def flow(make_flow: Callable[..., Flow]) -> Flow:
    """A workflow and its scripted world, in virtual time: load it, say what happens with flow.when(...), run it."""
    return make_flow()


@pytest.fixture
def make_flow(request: pytest.FixtureRequest) -> Callable[..., Flow]:
    """Makes flows with settings of their own: ``make_flow(strict=False, seed=7, start=datetime(...))``."""
    from flowcore.testing import Flow
    from flowcore.testing.snapshots import Snapshots

    file = Path(request.path)
    snapshots = Snapshots(file, request.node.name, update=request.config.getoption("--flowcore-update"))
    made = request.node.stash.setdefault(_KEY, [])

    def make(**settings: Any) -> Flow:
        folders = (file.parent, request.config.rootpath, Path.cwd())
        given: dict[str, Any] = {"folders": folders, "keep": snapshots.compare, **settings}
        flow = Flow(**given)
        made.append(flow)
        return flow

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test tells what happened in its runs, unless its message does so already."""
    report = yield
    if report.when == "call" and report.failed:
        for flow in item.stash.get(_KEY, []):
            story = flow.story(str(report.longrepr))
            if story:
                report.sections.append(("flow: what happened", story))
    return report


# --- lint -------------------------------------------------------------------------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Each YAML file with documents of Argo is a test, if asked for."""
    config = parent.config
    if not (config.getoption("--flowcore-lint") or config.getoption("--flowcore-lint-strict")):
        return None
    if file_path.suffix not in _SUFFIXES or not _speaks_of_argo(file_path):
        return None
    return LintFile.from_parent(parent, path=file_path)


def _speaks_of_argo(path: Path) -> bool:
    try:
        return b"argoproj.io/" in path.read_bytes()
    except OSError:
        return False


class LintFile(pytest.File):
    """A YAML file that holds workflows or templates."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test."""
        yield LintItem.from_parent(self, name="lint")


class LintFailed(Exception):
    """The problems of a file, as text."""


class LintItem(pytest.Item):
    """Checks one file. What it refers to may stand in any file that is checked in the same session."""

    def runtest(self) -> None:
        """Raises LintFailed."""
        from flowcore.testing.linting import problems_of

        files = tuple(sorted(item.path for item in self.session.items if isinstance(item, LintItem)))
        problems = problems_of(self.path, files)
        strict = self.config.getoption("--flowcore-lint-strict")
        errors = [problem for problem in problems if strict or problem.severity == "error"]
        if errors:
            raise LintFailed("\n".join(str(problem) for problem in errors))
        for problem in problems:
            self.add_report_section("call", "flowcore", f"warning: {problem}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The problems alone, without the way through the code."""
        return str(excinfo.value) if isinstance(excinfo.value, LintFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """How the test is called."""
        return self.path, 0, f"lint {self.path.name}"
