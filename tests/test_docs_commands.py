"""The commands that the pages show run as they stand, page by page, in a folder that holds what they name."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flowcore.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"^\$ (flowcore .*?)(?:\s{2,}# .*)?$", re.MULTILINE)
# What is no business of this process: engines of containers, clusters, servers, another program at the end of a pipe.
ELSEWHERE = (
    "--backend docker",
    "--backend kubernetes",
    "--store postgresql",
    "cleanup",
    "flowcore serve",
    "flowcore watch",
    "flowcore wait",
    " | ",
)
# Where a command says what is wrong, by its exit status.
DOUBTFUL = {"compat": {0, 1}}
STUBS = (ROOT / "docs" / "command-line.md").read_text().partition("```yaml\n# stubs.yaml\n")[2].partition("```")[0]
FLIP = """\
kind: Workflow
metadata: {name: coinflip}
spec:
  entrypoint: main
  templates:
    - name: main
      steps: [[{name: flip, template: flip-coin}], [{name: deploy, template: deploy, when: "'{{steps.flip.outputs.result}}' == 'tails'"}]]
    - {name: flip-coin, container: {image: alpine, command: [flip]}}
    - {name: deploy, retryStrategy: {limit: 1}, container: {image: alpine, command: [deploy]}}
"""


def commands(page: Path) -> list[str]:
    return [line.strip() for line in COMMAND.findall(page.read_text()) if not any(word in line for word in ELSEWHERE)]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's documents, a folder of workflows, and a state folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FLOWCORE_STORE", f"sqlite:///{tmp_path}/runs.db")
    Path("docs").symlink_to(ROOT / "docs")
    Path("workflows").mkdir()
    for name in ("release.yaml", "workflows/release.yaml"):
        shutil.copy(EXAMPLES / "release.yaml", name)
    shutil.copy(EXAMPLES / "hello.yaml", "old.yaml")
    Path("coinflip.yaml").write_text(FLIP)
    Path("stubs.yaml").write_text(STUBS)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run(page: Path, place: Path) -> None:
    for line in commands(page):
        shown, _, target = line.partition(" > ")
        words = [name for word in shlex.split(shown)[1:] for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]
        if any(word.endswith(".yaml") and not Path(word).exists() for word in words):
            continue  # a file of the reader's own
        answer = CliRunner().invoke(app, words, catch_exceptions=False)
        assert answer.exit_code in DOUBTFUL.get(words[0], {0}), f"{line}\n{answer.output}"
        if target:
            (place / target.strip()).write_text(answer.stdout)


def test_the_pages_show_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 20
