"""Python scripts of templates, run in this process: what Hera makes of its script functions, where nothing else is run.

The script runs as its container would run it: the source with all tags replaced, its inputs and outputs at the declared paths, what it prints
is its result. Output, arguments and environment belong to the whole process, so one script runs at a time.
"""

from __future__ import annotations

import io
import os
import re
import runpy
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from anyio import to_thread

from flowcore.artifacts.staging import begun_by
from flowcore.functions.executor import kept_artifacts, placed_artifacts
from flowcore.jsontypes import JsonObject, object_of, objects_of, strings_of, text_of
from flowcore.nodes import Phase
from flowcore.ports import Invocation, Outcome, RunContext

_ALONE = Lock()
_PYTHON = re.compile(r"(.*/)?python[\d.]*")


def is_python_script(template: JsonObject) -> bool:
    """Whether the template is a script that Python runs and that comes to an end."""
    script = object_of(template, "script")
    command = strings_of(script, "command")
    return bool(command) and not template.get("daemon") and _PYTHON.fullmatch(command[0]) is not None


@dataclass
class _Place:
    """Where the script finds its inputs and leaves its outputs: declared path, and the file that is ours."""

    inputs: dict[Path, Path] = field(default_factory=dict)
    outputs: dict[Path, Path] = field(default_factory=dict)


class ScriptWork:
    """The work of one Python script template."""

    async def do(self, invocation: Invocation, context: RunContext, folder: Path) -> Outcome:
        """Run the script. A script that raises or exits with another status than 0 fails, as its container would."""
        placed = await placed_artifacts(invocation, context, folder)
        place = _Place()
        for artifact in objects_of(object_of(invocation.body, "inputs"), "artifacts"):
            if text_of(artifact, "name") in placed:
                place.inputs[Path(text_of(artifact, "path"))] = placed[text_of(artifact, "name")]
        for number, path in enumerate(_output_paths(invocation.body)):
            place.outputs[path] = folder / f"output-{number}"
        printed = await to_thread.run_sync(_run, invocation.body, place, folder / "source.py")
        return await self._outcome(printed, invocation, place, context, folder)

    async def _outcome(self, printed: str | Outcome, invocation: Invocation, place: _Place, context: RunContext, folder: Path) -> Outcome:
        if isinstance(printed, Outcome):
            return printed
        outputs = object_of(invocation.body, "outputs")
        parameters = {}
        for parameter in objects_of(outputs, "parameters"):
            file = place.outputs.get(Path(text_of(object_of(parameter, "valueFrom"), "path")))
            if file is not None and file.is_file():
                parameters[text_of(parameter, "name")] = file.read_text().removesuffix("\n")
        files = {
            text_of(one, "name"): place.outputs[Path(text_of(one, "path"))] for one in objects_of(outputs, "artifacts") if one.get("path")
        }
        there: dict[str, object] = {name: file for name, file in files.items() if file.exists()}
        return Outcome(
            phase=Phase.SUCCEEDED,
            exit_code=0,
            result=printed.rstrip("\n") if invocation.capture_result else None,
            parameters=parameters,
            artifacts=await kept_artifacts(invocation, there, context, folder),
        )


def _output_paths(body: JsonObject) -> Iterator[Path]:
    outputs = object_of(body, "outputs")
    for parameter in objects_of(outputs, "parameters"):
        path = text_of(object_of(parameter, "valueFrom"), "path")
        if path:
            yield Path(path)
    for artifact in objects_of(outputs, "artifacts"):
        if text_of(artifact, "path"):
            yield Path(text_of(artifact, "path"))


def _run(body: JsonObject, place: _Place, source: Path) -> str | Outcome:
    """Run the script while nobody else runs one: what it printed, or how it failed."""
    script = object_of(body, "script")
    source.write_text(text_of(script, "source"))
    words = [*strings_of(script, "command"), *strings_of(script, "args"), str(source)][1:]
    printed = io.StringIO()
    with _ALONE, ExitStack() as around:
        around.enter_context(_files(place, text_of(script, "source")))
        around.enter_context(_environment(script, words))
        around.enter_context(redirect_stdout(printed))
        try:
            _start(words)
        except SystemExit as error:
            if error.code not in (None, 0):
                return _failed(error.code if isinstance(error.code, int) else 1, "" if isinstance(error.code, int) else str(error.code))
        except Exception as error:  # noqa: BLE001 - whatever the script raises is how it failed
            return _failed(1, f"{type(error).__name__}: {error}")
        return printed.getvalue()


def _start(words: list[str]) -> None:
    """What ``python WORDS`` does, for files and for ``-m module``."""
    while words and words[0].startswith("-") and words[0] != "-m":
        words = words[1:]  # options of the interpreter, such as -u
    if words[0] == "-m":
        sys.argv = [words[1], *words[2:]]
        runpy.run_module(words[1], run_name="__main__", alter_sys=False)
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")


def _failed(code: int, message: str) -> Outcome:
    text = f"main: Error (exit code {code})" + (f": {message}" if message else "")
    return Outcome(phase=Phase.FAILED, exit_code=code, message=text)


@contextmanager
def _environment(script: JsonObject, words: list[str]) -> Iterator[None]:
    """The script's variables and arguments; those of this process come back afterwards."""
    given = {text_of(item, "name"): text_of(item, "value") for item in objects_of(script, "env") if isinstance(item.get("value"), str)}
    before, argv, path = dict(os.environ), sys.argv, list(sys.path)
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.argv, sys.path[:] = argv, path


@contextmanager
def _files(place: _Place, source: str) -> Iterator[None]:
    """Inputs at their declared paths; outputs are taken from theirs. What was there before is put back, what was made is taken away."""
    with ExitStack() as around:
        for path in (*place.inputs, *place.outputs):
            around.enter_context(_cleared(path))
        for path, file in place.inputs.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, path)
        for path in place.outputs:
            Path(begun_by(source, str(path))).parent.mkdir(parents=True, exist_ok=True)
        yield
        for path, file in place.outputs.items():
            if path.exists():
                shutil.move(path, file)


@contextmanager
def _cleared(path: Path) -> Iterator[None]:
    """Nothing at ``path``; folders around it that were not there before are taken away afterwards, if nothing else is in them."""
    made = [folder for folder in path.parents if not folder.exists()]
    aside = path.with_name(f".{path.name}.aside")
    if path.exists():
        path.rename(aside)
    try:
        yield
    finally:
        _remove(path)
        if aside.exists():
            aside.rename(path)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


__all__ = ["ScriptWork", "is_python_script"]
