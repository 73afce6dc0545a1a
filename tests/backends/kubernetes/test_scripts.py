"""The scripts of a pod, run as plain processes: the volume is a folder, busybox is this machine's."""

from __future__ import annotations

import base64
import gzip
import io
import os
import shutil
import signal
import stat
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from flowcore_backends.kubernetes.scripts import HOLD, RUN
from flowcore_backends.kubernetes.status import unpack_note

BUSYBOX = shutil.which("busybox")
pytestmark = pytest.mark.skipif(BUSYBOX is None, reason="needs busybox on this machine")


class Pod:
    """A holder and the containers around it."""

    def __init__(self, folder: Path) -> None:
        self.root, self.note = folder / "volume", folder / "note"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment}, start_new_session=True
        )
        self.processes.append(process)
        return process

    def hold(self, *names: str, limit: int = 4000, inputs: str = "") -> subprocess.Popen[bytes]:
        words = ["busybox", "sh", "-c", HOLD, "flowcore", str(self.root), str(self.note), str(limit), *names]
        holder = self.start(*words, FLOWCORE_RUN=RUN, FLOWCORE_INPUTS=inputs)
        self.await_file(self.root / "ctl" / "installed")
        return holder

    def run(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        bin_ = self.root / "bin"
        return self.start(str(bin_ / "busybox"), "sh", str(bin_ / "run.sh"), name, *words)

    def await_file(self, path: Path) -> None:
        deadline = time.monotonic() + 10
        while not path.exists():
            assert time.monotonic() < deadline, f"{path} did not appear"
            time.sleep(0.01)

    def handed_over(self) -> dict[str, bytes]:
        """The files in the termination message."""
        found = unpack_note(self.note.read_text())
        assert found is not None
        return found


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    made = Pod(tmp_path)
    yield made
    for process in made.processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def inside(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        return {m.name: f.read() for m in opened if m.isfile() and (f := opened.extractfile(m)) is not None}


def test_stdout_exit_code_files_and_folders_are_handed_over(pod: Pod, tmp_path: Path) -> None:
    file, folder = tmp_path / "a file", tmp_path / "folder"
    holder = pod.hold("main")
    main = pod.run("main", "-c", "-o", str(file), "-o", str(folder), "-o", "/no/such", "--", "sh", "-c",
                   f"echo one; echo two; echo x > '{file}'; mkdir {folder}; echo y > {folder}/y; exit 7")  # fmt: skip
    assert main.communicate(timeout=10)[0] == b"one\ntwo\n"
    assert (main.returncode, holder.wait(10)) == (7, 0)
    found = pod.handed_over()
    assert (found["result"], found["rc"]) == (b"one\ntwo\n", b"7\n")
    assert inside(found["0.tar"]) == {"./a file": b"x\n"}
    assert inside(found["1.tar"]) == {"./folder/y": b"y\n"}
    assert "2.tar" not in found


@pytest.mark.parametrize(("words", "code"), [(["no-such-command"], 127), (["/no/such/file"], 127), (["/etc/passwd"], 126), (["true"], 0)])
def test_commands_that_cannot_be_run_have_the_codes_of_shells(pod: Pod, words: list[str], code: int) -> None:
    pod.hold("main")
    assert pod.run("main", "--", *words).wait(10) == code


def test_a_signal_is_passed_on_and_what_the_command_then_writes_is_captured(pod: Pod, tmp_path: Path) -> None:
    ready, file = tmp_path / "ready", tmp_path / "late"
    holder = pod.hold("main")
    script = f"trap 'echo late > {file}; exit 143' TERM; : > {ready}; while :; do sleep 0.05; done"
    main = pod.run("main", "-o", str(file), "--", "sh", "-c", script)
    pod.await_file(ready)
    main.terminate()
    assert (main.wait(10), holder.wait(10)) == (143, 0)
    assert inside(pod.handed_over()["0.tar"]) == {"./late": b"late\n"}


def test_a_wrapper_that_is_killed_ends_the_waiting_of_the_holder(pod: Pod, tmp_path: Path) -> None:
    holder = pod.hold("main")
    main = pod.run("main", "--", "sh", "-c", f": > {tmp_path}/ready; sleep 60")
    pod.await_file(tmp_path / "ready")
    main.kill()
    assert holder.wait(10) == 0
    assert "rc" not in pod.handed_over()


def test_large_outputs_are_held_until_they_are_released(pod: Pod, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(os.urandom(20_000))
    holder = pod.hold("main")
    assert pod.run("main", "-o", str(file), "--", "true").wait(10) == 0
    pod.await_file(pod.root / "ctl" / "held")
    holder.terminate()
    time.sleep(0.05)
    assert holder.poll() is None
    assert inside((pod.root / "out" / "0.tar").read_bytes())["./large"] == file.read_bytes()
    (pod.root / "ctl" / "release").touch()
    assert holder.wait(10) == 0


def test_inputs_are_in_place_before_anything_runs(pod: Pod, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("0")
        member.size, member.mode = 5, 0o600
        tar.addfile(member, io.BytesIO(b"hello"))
    pod.hold("main", inputs=base64.b64encode(gzip.compress(packed.getvalue())).decode())
    target = tmp_path / "volume of the user" / "greeting"
    main = pod.run("main", "-i", "0", str(target), "--", "cat", str(target))
    assert main.communicate(timeout=10)[0] == b"hello"


def test_containers_of_a_set_wait_for_each_other_and_do_not_run_after_failures(pod: Pod) -> None:
    holder = pod.hold("a", "b", "main")
    main, b, a = (
        pod.run("main", "-n", "b", "--", "echo", "ran"),
        pod.run("b", "-n", "a", "--", "false"),
        pod.run("a", "--", "true"),
    )
    assert [each.wait(10) for each in (a, b, main)] == [0, 1, 64]
    assert holder.wait(10) == 0


def test_a_container_of_a_set_is_run_again(pod: Pod, tmp_path: Path) -> None:
    pod.hold("main")
    count = tmp_path / "count"
    main = pod.run("main", "-r", "3", "-p", "0", "--", "sh", "-c", f"echo x >> {count}; [ $(wc -l < {count}) = 3 ]")
    assert main.wait(10) == 0
    assert count.read_text() == "x\n" * 3


def test_sidecars_end_after_the_main_container(pod: Pod, tmp_path: Path) -> None:
    pod.hold("main")
    sidecar = pod.run("helper", "-s", "5", "--", "sh", "-c", f": > {tmp_path}/up; exec sleep 60")
    pod.await_file(tmp_path / "up")
    assert sidecar.poll() is None
    assert pod.run("main", "--", "true").wait(10) == 0
    assert sidecar.wait(10) == 143


def test_what_is_handed_over_can_be_read_by_others(pod: Pod, tmp_path: Path) -> None:
    """Whatever mask the command runs with: the holder may be another user."""
    file = tmp_path / "file"
    file.write_bytes(os.urandom(20_000))
    pod.hold("main")
    mask = os.umask(0o077)
    try:
        assert pod.run("main", "-c", "-o", str(file), "--", "echo", "said").wait(10) == 0
    finally:
        os.umask(mask)
    assert [stat.S_IMODE((pod.root / "out" / name).stat().st_mode) for name in ("0.tar", "result", "rc")] == [0o644] * 3


def test_progress_is_handed_over(pod: Pod) -> None:
    holder = pod.hold("main")
    assert pod.run("main", "--", "sh", "-c", f"echo 1/4 > {pod.root}/ctl/progress; echo 3/4 >> {pod.root}/ctl/progress").wait(10) == 0
    assert holder.wait(10) == 0
    assert pod.handed_over()["progress"] == b"3/4\n"


def test_a_background_process_that_keeps_stdout_open_does_not_keep_the_pod(pod: Pod) -> None:
    pod.hold("main")
    began = time.monotonic()
    main = pod.run("main", "-c", "--", "sh", "-c", "sleep 30 & echo done")
    assert main.stdout is not None
    assert main.stdout.readline() == b"done\n"
    assert main.wait(10) == 0
    assert time.monotonic() - began < 8
