"""The installed command in processes of its own: on a terminal, in a pipe, and interrupted."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, "-m", "flowcore.cli"]
LIMIT = 60.0

SLEEPY = """\
kind: Workflow
metadata: {name: wf}
spec:
  entrypoint: main
  onExit: bye
  templates:
    - name: main
      container: {image: alpine, command: [sh, -c], args: ["trap 'echo asked; exit 3' TERM; echo ready; while : TOKEN; do sleep 0.05; done"]}
    - name: bye
      container: {image: alpine, command: [sh, -c], args: ["echo BYE"]}
"""


@pytest.fixture
def sleepy(tmp_path: Path) -> Path:
    file = tmp_path / "wf.yaml"
    file.write_text(SLEEPY.replace("TOKEN", token_of(file)))
    return file


def token_of(file: Path) -> str:
    """A word by which the processes of this run's nodes can be found."""
    return str(file.parent).replace("/", "-")


def processes(token: str) -> list[str]:
    """The command lines of this machine's processes that hold ``token``, without those of the command itself."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended while we looked
            continue
        if token in line and "flowcore.cli" not in line:
            found.append(line)
    return found


def when(stream: int, seen: Callable[[str], bool]) -> str:
    """Read from ``stream`` until ``seen`` says so, or until its end."""
    text, deadline = b"", time.monotonic() + LIMIT
    while not seen(text.decode(errors="replace")):
        assert time.monotonic() < deadline, text.decode(errors="replace")
        if not select.select([stream], [], [], 0.5)[0]:
            continue
        try:
            piece = os.read(stream, 65536)
        except OSError:  # the other side of a terminal was closed
            break
        if not piece:
            break
        text += piece
    return text.decode(errors="replace")


def on_a_terminal(*arguments: str) -> tuple[subprocess.Popen[bytes], int]:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env=environment,
        preexec_fn=_own_terminal,
    )
    os.close(theirs)
    return process, ours


def _own_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_on_a_terminal_the_tree_is_drawn_in_colour_and_ctrl_c_stops_the_run(sleepy: Path) -> None:
    process, terminal = on_a_terminal("run", str(sleepy), "--backend", "local")
    try:
        text = when(terminal, lambda text: "ready" in text and "●" in text)
        os.write(terminal, b"\x03")
        text += when(terminal, lambda _: False)
        assert process.wait(LIMIT) == 1
    finally:
        process.kill()
        os.close(terminal)
    assert "\x1b[36m●\x1b[0m wf" in text
    assert "wf  Running  0/1" in text
    assert "stopping: exit handlers still run" in text
    assert "BYE" in text
    assert "Stopped with strategy 'Stop'" in text
    assert "✔ \x1b[0mwf.onExit" in text.rpartition("STEP")[2]


def test_interrupting_once_stops_and_exit_handlers_run(sleepy: Path) -> None:
    with subprocess.Popen([*COMMAND, "run", str(sleepy), "--backend", "local", "-o", "json"], stdout=-1, stderr=-1) as process:
        assert process.stderr is not None
        when(process.stderr.fileno(), lambda text: "ready" in text)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 1
    status = json.loads(out)["status"]
    assert (status["phase"], status["message"]) == ("Failed", "Stopped with strategy 'Stop'")
    assert {node["displayName"]: node["phase"] for node in status["nodes"].values()} == {"wf": "Failed", "wf.onExit": "Succeeded"}


def test_interrupting_twice_ends_everything_and_leaves_no_process(sleepy: Path) -> None:
    sleepy.write_text(sleepy.read_text().replace("echo BYE", f"echo BYE; while : {token_of(sleepy)}; do sleep 0.05; done"))
    with subprocess.Popen([*COMMAND, "run", str(sleepy), "--backend", "local"], stdout=-1, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        when(process.stdout.fileno(), lambda text: "ready" in text)
        assert processes(token_of(sleepy))
        process.send_signal(signal.SIGINT)
        when(process.stdout.fileno(), lambda text: "BYE" in text)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 1
    assert b"ending everything at once" in out
    assert b"Stopped with strategy 'Terminate'" in out
    assert not processes(token_of(sleepy))


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "wf.yaml"
    file.write_text(
        "kind: Workflow\nmetadata: {name: wf}\nspec: {entrypoint: a, templates: [{name: a, container: {image: a, command: [b]}}]}\n"
    )
    process = subprocess.Popen([*COMMAND, "run", str(file), "--backend", "fake"], stdout=-1, stderr=-1)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(LIMIT) in (0, 1)
