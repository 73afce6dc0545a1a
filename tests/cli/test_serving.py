"""``flowcore serve`` with several backends: what they are called, whose options are whose, and which runs what."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flowcore.cli.backends import executors_named, host_among
from flowcore.errors import UsageError
from flowcore_backends.fake import FakeExecutor
from tests.cli.test_commands import flowcore

WORKFLOW = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  templates:
    - {name: main, steps: [[{name: plain, template: plain}, {name: marked, template: marked}]]}
    - {name: plain, container: {image: i, command: [echo, said by plain]}}
    - {name: marked, metadata: {annotations: {flowcore.dev/executor: big}}, container: {image: i, command: [echo, said by marked]}}
"""


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLOWCORE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("FLOWCORE_STORE", str(tmp_path / "runs.db"))


def test_backends_may_be_called_otherwise() -> None:
    made = executors_named(["local", "big=fake"], ["local:isolation=off", "big:record=true"])
    assert list(made) == ["local", "big"]
    assert isinstance(made["big"], FakeExecutor)
    assert host_among(made) is made["local"]
    assert list(executors_named(["fake"], ["record=true"])) == ["fake"]


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["fake", "fake"], [], "--backend fake: there is one called 'fake' already; give this one another name: --backend NAME=fake"),
        (["a="], [], "--backend a=: write the name of a backend, or NAME=BACKEND"),
        (["a=fake", "fake"], ["x=1"], "--backend-option x=1: say whose it is: a:x=1 or fake:x=1"),
        (["a=fake", "fake"], ["a:x"], "--backend-option x: write --backend-option name=value"),
        (["a=fake", "fake"], ["a:no-such=1"], "the backend 'fake' does not take this"),
    ],
)
def test_what_cannot_be_meant(names: list[str], options: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        executors_named(names, options)


def test_one_bad_backend_is_one_line() -> None:
    told = flowcore("serve", "--backend", "fake", "--backend", "big=none")
    assert (told.exit_code, len(told.stderr.splitlines())) == (2, 1)
    assert "there is no backend 'none'" in told.stderr


@pytest.mark.timeout(120)
def test_a_service_of_two_backends(tmp_path: Path) -> None:
    """The real command: what is marked runs on the backend of that name, all else on the first; it ends when the system asks."""
    (tmp_path / "workflow.yaml").write_text(WORKFLOW)
    assert flowcore("submit", str(tmp_path / "workflow.yaml")).exit_code == 0
    command = [sys.executable, "-m", "flowcore.cli", "serve", "--backend", "local", "--backend", "big=fake"]
    with subprocess.Popen([*command, "--backend-option", "local:isolation=off"], stderr=subprocess.PIPE, text=True) as service:
        try:
            assert flowcore("wait", "wf").stdout.startswith("wf Succeeded")
            service.send_signal(signal.SIGTERM)
            told = service.communicate(timeout=60)[1]
        finally:
            service.kill()
    assert service.returncode == 0
    assert "serving the default store on local, big; Ctrl-C ends it" in told
    assert "ending (SIGTERM); what is under way goes on with the next serve" in told
    lines = [line.partition(": ") for line in flowcore("logs", "wf").stdout.splitlines()]
    assert [text for _, _, text in lines] == ["said by plain"]
