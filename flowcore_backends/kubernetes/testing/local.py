"""Pods of a ``FakeKube`` whose containers are processes of this machine, so that whole workflows run end to end without a cluster.

Volumes are folders (``local_volumes.py``); a path below a mount is rewritten to its folder wherever it appears in commands, arguments, variables
and scripts. Images are not used: commands must exist here. Nothing is isolated; for tests only.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from flowcore.jsontypes import JsonObject, object_of, objects_of, strings_of, text_of
from flowcore_backends.kubernetes.capture import MAIN, SCRIPT
from flowcore_backends.kubernetes.testing.lives import FakePod, Life, LogReader, running, terminated, waiting
from flowcore_backends.kubernetes.testing.local_volumes import Absent, environment, volume_folder
from flowcore_backends.probes import answers, connects, port_number

_NOTE = "/dev/termination-log"
_SIGNAL_BASE = 128
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")
_SECONDS_FOR_SIDECARS = 5.0
_SECONDS_BETWEEN_PROBES = 0.05
_SECONDS_TO_DIE = 5.0


def local_processes(folder: Path) -> Life:
    """The life of pods whose containers run here; their volumes lie below ``folder``."""

    async def life(pod: FakePod) -> None:
        kubelet = _Kubelet(pod, folder / pod.uid)
        try:
            await kubelet.run()
        finally:
            kubelet.kill()
            await kubelet.reap()

    return life


@dataclass(slots=True)
class _Kubelet:
    pod: FakePod
    folder: Path
    states: dict[str, JsonObject] = field(default_factory=dict)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    begun: dict[str, asyncio.Event] = field(default_factory=dict)
    probes: list[asyncio.Task[None]] = field(default_factory=list)

    async def run(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pod.exec = self._exec
        sidecars: list[asyncio.Task[int]] = []
        mains: list[asyncio.Task[int]] = []
        deletion = asyncio.ensure_future(self._end_when_deleted())
        try:
            for container in objects_of(self.pod.spec, "initContainers"):
                ended = asyncio.ensure_future(self._run(container))
                if container.get("restartPolicy") == "Always":
                    sidecars.append(ended)
                    await self._post_start(container)
                elif await ended != 0:
                    self._show("Failed")
                    return
            mains += [asyncio.ensure_future(self._run(container)) for container in objects_of(self.pod.spec, "containers")]
            codes = await asyncio.gather(*mains)
            self._show("Running")
            await self._end_sidecars(sidecars)
            self._show("Failed" if any(codes) else "Succeeded")
        finally:
            for task in (deletion, *sidecars, *mains, *self.probes):
                task.cancel()

    def _show(self, phase: str) -> None:
        self.pod.show(phase, self.states)

    def kill(self) -> None:
        """End whatever is left."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    async def reap(self) -> None:
        """Wait until all of them are gone: what is killed is."""
        for process in self.processes.values():
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _SECONDS_TO_DIE)

    # --- containers -----------------------------------------------------------------------------------------------------------------

    async def _run(self, container: JsonObject) -> int:
        name = text_of(container, "name")
        try:
            self._prepare(container)
        except Absent as missing:
            self.states[name] = waiting("CreateContainerConfigError", str(missing))
            self._show("Pending")
            await self.pod.deleted.wait()
            return _SIGNAL_BASE
        with (self.folder / f"log-{name}").open("wb") as log:
            words = self._words(container, [*strings_of(container, "command"), *strings_of(container, "args")])
            try:
                process = await asyncio.create_subprocess_exec(
                    *words,
                    stdout=log,
                    stderr=log,
                    stdin=asyncio.subprocess.DEVNULL,
                    env=self._environment(container),
                    start_new_session=True,
                )
            except OSError as error:
                self.states[name] = terminated(_SIGNAL_BASE, "StartError", str(error))
                self._show("Pending")
                return _SIGNAL_BASE
        self.processes[name] = process
        probe = object_of(container, "readinessProbe")
        self.states[name] = {**running(), "unready": bool(probe)}
        if probe:
            self.probes.append(asyncio.ensure_future(self._become_ready(container, probe)))
        self.begun.setdefault(name, asyncio.Event()).set()
        self.pod.logs[name] = self._reader(name)
        self._show("Running" if self._all_begun() else "Pending")
        if self.pod.deleted.is_set():
            process.terminate()
        code = await process.wait()
        code = code if code >= 0 else _SIGNAL_BASE - code
        note = self.folder / f"note-{name}"
        self.states[name] = terminated(code, message=note.read_text(errors="replace")[-4096:] if note.exists() else "")
        self._show("Running" if self._all_begun() else "Pending")
        return code

    async def _become_ready(self, container: JsonObject, probe: JsonObject) -> None:
        """Ask until the answer is good, more often than a real kubelet does."""
        name = text_of(container, "name")
        while True:
            if await self._passes(container, probe):
                break
            await asyncio.sleep(_SECONDS_BETWEEN_PROBES)
        if "running" in self.states[name]:
            self.states[name] = running()
            self._show("Running" if self._all_begun() else "Pending")

    async def _passes(self, container: JsonObject, probe: JsonObject) -> bool:
        if command := strings_of(object_of(probe, "exec"), "command"):
            process = await self._exec(text_of(container, "name"), command)
            await process.communicate()
            return process.returncode == 0
        settings = object_of(probe, "httpGet") or object_of(probe, "tcpSocket")
        port = port_number(settings.get("port"), objects_of(container, "ports"))
        return await (answers("127.0.0.1", port, settings) if "httpGet" in probe else connects("127.0.0.1", port))

    def _all_begun(self) -> bool:
        return all(text_of(one, "name") in self.states for one in objects_of(self.pod.spec, "containers"))

    async def _post_start(self, container: JsonObject) -> None:
        hook = object_of(object_of(object_of(container, "lifecycle"), "postStart"), "exec")
        await self.begun.setdefault(text_of(container, "name"), asyncio.Event()).wait()
        if hook:
            process = await self._exec(text_of(container, "name"), strings_of(hook, "command"))
            await process.communicate()

    async def _end_sidecars(self, tasks: Sequence[asyncio.Task[int]]) -> None:
        for container in objects_of(self.pod.spec, "initContainers"):
            process = self.processes.get(text_of(container, "name"))
            if process is not None and process.returncode is None:
                process.terminate()
        if tasks:
            grace = object_of(self.pod.object, "spec").get("terminationGracePeriodSeconds")
            _, late = await asyncio.wait(tasks, timeout=float(grace) if isinstance(grace, int) else _SECONDS_FOR_SIDECARS)
            if late:
                self.kill()

    async def _end_when_deleted(self) -> None:
        await self.pod.deleted.wait()
        names = [text_of(one, "name") for one in objects_of(self.pod.spec, "containers")]
        for name in names:
            if (process := self.processes.get(name)) is not None and process.returncode is None:
                process.terminate()
        await asyncio.sleep(self.pod.grace)
        self.kill()

    async def _exec(self, container: str, command: Sequence[str]) -> asyncio.subprocess.Process:
        every = (*objects_of(self.pod.spec, "containers"), *objects_of(self.pod.spec, "initContainers"))
        found = next((one for one in every if one.get("name") == container), None)
        if found is None or container not in self.processes or self.processes[container].returncode is not None:
            raise OSError(f"container {container} is not running")
        pipe = asyncio.subprocess.PIPE
        words = self._words(found, command)
        return await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment(found))

    def _reader(self, name: str) -> LogReader:
        file = self.folder / f"log-{name}"

        def read() -> tuple[bytes, bool]:
            ended = "terminated" in self.states.get(name, waiting())
            return file.read_bytes(), ended

        return read

    # --- paths ----------------------------------------------------------------------------------------------------------------------

    def _prepare(self, container: JsonObject) -> None:
        """Have the container's volumes and scripts in place. Raises Absent for what it refers to and what is not there."""
        self._environment(container)
        for mount in objects_of(container, "volumeMounts"):
            self._place(mount)
            script = self._place(mount) / "in" / SCRIPT
            if script.is_file() and text_of(container, "name") == MAIN:
                script.write_text(self._rewritten(container, script.read_text()))

    def _place(self, mount: JsonObject) -> Path:
        return volume_folder(self.pod, text_of(mount, "name"), self.folder)

    def _environment(self, container: JsonObject) -> dict[str, str]:
        given = environment(self.pod, container)
        return {**os.environ, **{name: self._rewritten(container, value) for name, value in given.items()}}

    def _words(self, container: JsonObject, words: Sequence[str]) -> list[str]:
        return [self._rewritten(container, word) for word in words]

    def _rewritten(self, container: JsonObject, text: str) -> str:
        places = {_NOTE: self.folder / f"note-{text_of(container, 'name')}"}
        for mount in objects_of(container, "volumeMounts"):
            places[text_of(mount, "mountPath")] = self._place(mount) / text_of(mount, "subPath")
        longest = sorted(places, key=len, reverse=True)
        pattern = "|".join(re.escape(path) for path in longest)
        made = re.sub(f"(?<![\\w/.])({pattern})(?![\\w-])", lambda found: str(places[found[1]]), text)
        given = environment(self.pod, container)
        return _REFERENCE.sub(lambda found: "$" if found[0] == "$$" else given.get(found[1], found[0]), made)
