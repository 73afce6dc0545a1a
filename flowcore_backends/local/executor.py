"""``LocalExecutor``: runs invocations as processes of this machine. Knows which runs and invocations there are; the work is ``pod_run.py``'s."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Unpack

import anyio
from anyio import to_thread
from anyio.lowlevel import RunVar

from flowcore.engine.messages import Invocation, Outcome
from flowcore.errors import ArtifactError, ExecutorError, FlowError, MissingBackend
from flowcore.jsontypes import object_of, text_of
from flowcore.nodes import WorkflowPhase
from flowcore.ports import Reporter, RunContext
from flowcore_backends.data import DataExecutor
from flowcore_backends.http import HttpExecutor
from flowcore_backends.local.folder_names import folder_name
from flowcore_backends.local.isolation import find_capability
from flowcore_backends.local.layout import ThisMachine
from flowcore_backends.local.options import LocalChoices, LocalOptions
from flowcore_backends.local.pod_run import PodRun
from flowcore_backends.local.process import shared_launcher
from flowcore_backends.local.running import Surroundings
from flowcore_backends.local.volumes import CLAIMS
from flowcore_backends.plugin import Plugin, PluginExecutor
from flowcore_backends.router import Kind, RouterExecutor, kind_of
from flowcore_backends.under_way import UnderWay

_log = logging.getLogger("flowcore.local")
_POD_KINDS = ("container", "script", "containerSet")
_ADVICE: Mapping[Kind, str] = {"resource": "resource templates need a Kubernetes API: use the kubernetes backend, or the fake one in tests"}


class LocalExecutor:
    """An ``Executor`` whose containers are processes of this machine; see ``LocalOptions`` for what can be chosen.

    ``http``, ``data`` and ``plugin`` templates run inside this process; ``plugins`` are callables by plugin name. Cancelling ``run`` ends the processes, which cannot outlive their executor. No image is used; that is said once for each run.
    """

    def __init__(
        self, options: LocalOptions | None = None, *, plugins: Mapping[str, Plugin] | None = None, **choices: Unpack[LocalChoices]
    ) -> None:
        self.options = options if options is not None else LocalOptions(**choices)
        self._others = RouterExecutor({"http": HttpExecutor(), "data": DataExecutor(), "plugin": PluginExecutor(plugins)}, advice=_ADVICE)
        self._machine = ThisMachine()
        self._said_shared = False
        self._pods = UnderWay[PodRun]()
        self._run_folders: dict[str, Path] = {}
        self._limiter: RunVar[anyio.CapacityLimiter] = RunVar(f"flowcore.local.{id(self)}")

    async def run(self, invocation: Invocation, context: RunContext, report: Reporter) -> Outcome:
        """Run the invocation to its end. Raises ExecutorError for what is not its commands' fault."""
        if kind_of(invocation) not in _POD_KINDS:
            return await self._others.run(invocation, context, report)
        run_folder = self._run_folder(context)
        surroundings = await self.surroundings()
        folder = run_folder / "nodes" / folder_name(invocation.pod_name)
        pod = PodRun(invocation, context, report, self.options, surroundings, folder, run_folder)
        with self._pods.known(invocation, pod):
            try:
                await to_thread.run_sync(_make_scratch, folder)
                return await pod.run(None if invocation.daemon else self._slots())
            except (ExceptionGroup, ArtifactError, MissingBackend, OSError, ValueError) as error:
                raise _as_executor_error(_first(error)) from error
            finally:
                if not self.options.keep_folders:
                    with anyio.CancelScope(shield=True):
                        await to_thread.run_sync(remove_tree, folder)

    async def stop(self, invocation: Invocation, grace: timedelta) -> None:
        """Ask the processes of the invocation to end, and end them after ``grace``."""
        if kind_of(invocation) not in _POD_KINDS:
            await self._others.stop(invocation, grace)
        pod = self._pods.get(invocation)
        if pod is not None:
            pod.stop(grace)

    async def close(self, context: RunContext) -> None:
        """Remove the run's folders, and its claims when its ``volumeClaimGC`` says so: a run that failed may be retried with them."""
        folder = self._run_folders.pop(context.uid, None)
        if folder is None or self.options.keep_folders:
            return
        if context.folder is not None and _keeps_claims(context):
            await to_thread.run_sync(_remove_all_but_claims, folder)
        else:
            await to_thread.run_sync(remove_tree, folder)

    def _run_folder(self, context: RunContext) -> Path:
        """The folder for what lives as long as the run; the first use of a run also says that images are not used."""
        if context.uid not in self._run_folders:
            _log.warning("run %s: the local backend uses no container images; commands run with the programs of this machine", context.name)
            if context.folder is not None:
                folder = Path(os.path.realpath(context.folder)) / "local"
            else:
                folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="flowcore-", dir=self.options.folder)))
            self._run_folders[context.uid] = folder
        return self._run_folders[context.uid]

    async def surroundings(self) -> Surroundings:
        """The launcher, started if need be, and whether views are private here. Raises ExecutorError where nothing can run."""
        if sys.platform == "win32":
            raise ExecutorError("the local backend needs a POSIX system; on Windows use the docker backend or run in WSL")
        launcher = shared_launcher()
        capability = await find_capability(launcher, self._machine, self.options.isolation)
        if not capability.isolated and not self._said_shared:
            self._said_shared = True
            _log.warning("nodes share the file system of this machine: %s", capability.why_not)
        visible = tuple(self.options.always_visible()) if capability.isolated else ()
        return Surroundings(launcher, self._machine, capability.isolated, capability.user_namespace, visible)

    def _slots(self) -> anyio.CapacityLimiter:
        limiter = self._limiter.get(None)
        if limiter is None:
            limiter = anyio.CapacityLimiter(self.options.parallelism)
            self._limiter.set(limiter)
        return limiter


def _as_executor_error(error: Exception) -> Exception:
    """What a backend reports: to the node, errors of artifacts and drivers, and those of the machine, are one with its own."""
    if isinstance(error, ArtifactError | MissingBackend):
        return ExecutorError(str(error))
    return ExecutorError(f"the local backend could not run this: {error}") if isinstance(error, OSError | ValueError) else error


def _first(given: Exception) -> Exception:
    """The error that an exception group is about: the first of ours, else the first."""
    leaves: list[Exception] = []
    waiting = [given]
    while waiting:
        error = waiting.pop(0)
        if isinstance(error, ExceptionGroup):
            waiting += error.exceptions
        else:
            leaves.append(error)
    return next((leaf for leaf in leaves if isinstance(leaf, FlowError)), leaves[0])


def _keeps_claims(context: RunContext) -> bool:
    """As in Argo, claims go with a run that succeeded; with others only where ``OnWorkflowCompletion`` is said."""
    strategy = text_of(object_of(context.spec, "volumeClaimGC"), "strategy")
    return context.phase not in (None, WorkflowPhase.SUCCEEDED) and strategy != "OnWorkflowCompletion"


def _remove_all_but_claims(folder: Path) -> None:
    for child in folder.iterdir() if folder.is_dir() else ():
        if child.name != CLAIMS:
            remove_tree(child)


def _make_scratch(folder: Path) -> None:
    if folder.exists():  # an earlier process of ours ended here without a chance to tidy up
        remove_tree(folder)
    folder.mkdir(parents=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that commands left in it, also what they locked against themselves."""
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        return
    folder.chmod(0o700)
    for around, names, _ in os.walk(folder):  # opens each folder before it looks into it
        for name in names:
            if not (below := Path(around, name)).is_symlink():
                below.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _log.warning("%s could not be removed", folder)
