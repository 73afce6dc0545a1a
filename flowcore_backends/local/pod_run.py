"""One invocation from its inputs to its outcome: stage, init containers, main containers and sidecars side by side, outputs.

Made by ``LocalExecutor.run``; how the ends of the containers make an outcome says ``pod_judgement.py``.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
from anyio import to_thread

from flowcore.artifacts import staging
from flowcore.engine.messages import Invocation, Outcome, Progressed, Ready, Started
from flowcore.ports import Reporter, RunContext
from flowcore_backends.local import shared_paths
from flowcore_backends.local.collect import collect, collect_logs
from flowcore_backends.local.options import LocalOptions
from flowcore_backends.local.placing import place_in_volume, see_what_came
from flowcore_backends.local.pod import ContainerPlan, PodPlan, plan_pod, progress_file
from flowcore_backends.local.readiness import wait_ready
from flowcore_backends.local.running import RunningContainer, Surroundings
from flowcore_backends.main_containers import MAIN, retries_of
from flowcore_backends.pod_judgement import DEPENDENCY_FAILED, TERMINATED, Collected, Ended, judge, stopped_outcome
from flowcore_backends.under_way import StopOrder

_PROGRESS_SECONDS = 1.0
_LONGEST_PROGRESS = 64
_POD_IP = "127.0.0.1"


class PodRun:
    """One run of one invocation in the scratch folder ``folder``."""

    def __init__(
        self,
        invocation: Invocation,
        context: RunContext,
        report: Reporter,
        options: LocalOptions,
        surroundings: Surroundings,
        folder: Path,
        run_folder: Path,
    ) -> None:
        self._invocation, self._context, self._report = invocation, context, report
        self._options, self._surroundings = options, surroundings
        self._folder, self._run_folder = folder, run_folder
        self._running: dict[str, RunningContainer] = {}
        self._ended: dict[str, Ended] = {}
        self._begun: dict[str, anyio.Event] = {}
        self._over: dict[str, anyio.Event] = {}
        self._stop = StopOrder()
        self._waiting = anyio.CancelScope()  # for a slot
        self._staging = anyio.CancelScope()  # of inputs
        self._progress: str | None = None
        self._told = False

    def stop(self, grace: timedelta) -> None:
        """Have all containers end, at the latest after ``grace``; asked again, the earlier end counts."""
        self._stop.give(grace)
        self._waiting.cancel()
        self._staging.cancel()

    async def run(self, slots: anyio.CapacityLimiter | None) -> Outcome:
        """Wait for one of ``slots`` and run to the end.

        Raises ExecutorError and ArtifactError for what is not the commands' fault, perhaps in an ExceptionGroup.
        """
        if slots is None:
            return await self._run_stoppable()
        with self._waiting:
            await slots.acquire_on_behalf_of(self)
        if self._waiting.cancelled_caught:
            return stopped_outcome()
        try:
            return await self._run_stoppable()
        finally:
            slots.release_on_behalf_of(self)

    async def _run_stoppable(self) -> Outcome:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stop_when_asked)
                outcome = await self._run()
                tasks.cancel_scope.cancel()
            return outcome
        finally:
            for container in self._running.values():
                container.close()

    async def _run(self) -> Outcome:
        pod = None
        with self._staging:
            pod = await to_thread.run_sync(self._plan)
            await self._load_inputs(pod)
        if pod is None or self._stop.is_set():
            return stopped_outcome()
        with shared_paths.shown(pod, isolated=self._surroundings.isolated):
            for plan in pod.of_role("init"):
                if (await self._run_container(plan)).code != 0:
                    return self._outcome(pod, Collected())
            if self._stop.is_set():
                return stopped_outcome()
            return await self._run_pod(pod)

    def _plan(self) -> PodPlan:
        isolated = self._surroundings.isolated
        pod = plan_pod(self._invocation, self._context, self._options, self._folder, self._run_folder, isolated=isolated)
        if not isolated:
            shared_paths.check(pod, self._options)
        return pod

    async def _load_inputs(self, pod: PodPlan) -> None:
        missing = set()
        for artifact, place in pod.inputs:
            await to_thread.run_sync(place.parent.mkdir, 0o755, True)
            if not await staging.place_input(artifact, place, self._context):
                missing.add(place)
        for place, folder, path in pod.in_volumes:
            if place not in missing:
                await to_thread.run_sync(place_in_volume, place, Path(folder), path)
        await to_thread.run_sync(see_what_came, pod)

    async def _run_pod(self, pod: PodPlan) -> Outcome:
        mains, sidecars = pod.of_role("main"), pod.of_role("sidecar")
        self._over = {plan.name: anyio.Event() for plan in mains}
        self._begun = {plan.name: anyio.Event() for plan in (*mains, *sidecars)}
        async with anyio.create_task_group() as around:
            around.start_soon(self._watch_progress)
            async with anyio.create_task_group() as beside:
                for plan in sidecars:
                    beside.start_soon(self._run_container, plan)
                async with anyio.create_task_group() as work:
                    for plan in mains:
                        work.start_soon(self._run_main, plan)
                    if self._invocation.daemon:
                        around.start_soon(self._report_ready, [*mains, *sidecars])
                collected = await self._collect(pod)
                await self._end_sidecars(sidecars)
            around.cancel_scope.cancel()
        self._read_progress()
        return self._outcome(pod, collected)

    def _outcome(self, pod: PodPlan, collected: Collected) -> Outcome:
        main = self._running.get(MAIN)
        return judge(
            pod.containers,
            self._ended,
            collected,
            members=self._invocation.template.container_set is not None,
            result=main.result.text if main is not None and main.result is not None else None,
            progress=self._progress,
        )

    async def _run_main(self, plan: ContainerPlan) -> None:
        """A main container: after those it depends on, and again as often as its set allows."""
        for name in plan.dependencies:
            await self._over[name].wait()
        if any(self._ended[name].code != 0 for name in plan.dependencies):
            self._ended[plan.name] = Ended(plan.name, TERMINATED if self._stop.is_set() else DEPENDENCY_FAILED)
        else:
            retries, pause = retries_of(self._invocation.template)
            for attempt in range(retries + 1):
                if (await self._run_container(plan)).code == 0 or self._stop.is_set() or attempt == retries:
                    break
                await anyio.sleep(pause.total_seconds())
        self._over[plan.name].set()

    async def _run_container(self, plan: ContainerPlan) -> Ended:
        begun = datetime.now(UTC)
        if self._stop.is_set():
            ended = Ended(plan.name, TERMINATED)
        else:
            keep = self._invocation.capture_result and plan.name == MAIN
            container = RunningContainer(plan, self._surroundings, self._invocation.node, self._report, keep_result=keep)
            if plan.role == "main":
                container.when_started = self._report_started
            if (earlier := self._running.get(plan.name)) is not None:
                earlier.close()
            self._running[plan.name] = container
            if plan.name in self._begun:
                self._begun[plan.name].set()
            ended = await container.run()
        self._ended[plan.name] = replace(ended, begun=begun, over=datetime.now(UTC))
        return ended

    async def _collect(self, pod: PodPlan) -> Collected:
        found = Collected()
        main = self._running.get(MAIN)
        if main is not None and main.process is not None and main.process.exit is not None and not main.process.exit.refused:
            await collect(main.process, self._invocation, self._context, self._folder, found)
        logs = {plan.name: plan.log for plan in pod.of_role("main") if plan.keep_log}
        await collect_logs(logs, self._invocation, self._context, found)
        return found

    def _report_started(self) -> None:
        """A main container runs: said once."""
        if not self._told:
            self._told = True
            self._report(Started(self._invocation.node))

    async def _report_ready(self, plans: list[ContainerPlan]) -> None:
        for plan in plans:
            await self._begun[plan.name].wait()
            await wait_ready(self._running[plan.name])
        self._report(Ready(self._invocation.node, pod_ip=_POD_IP))

    # --- ending ---------------------------------------------------------------------------------------------------------------------

    async def _stop_when_asked(self) -> None:
        await self._stop.wait()
        for container in self._running.values():
            await container.signal(signal.SIGTERM)
        await self._stop.grace_is_over()
        for container in self._running.values():
            await container.signal(signal.SIGKILL)

    async def _end_sidecars(self, sidecars: list[ContainerPlan]) -> None:
        """Ask the sidecars to end, and end those that have not after their grace."""
        running = [self._running[plan.name] for plan in sidecars if plan.name in self._running]
        for container in running:
            await container.signal(signal.SIGTERM)
        with anyio.move_on_after(self._options.sidecar_grace.total_seconds()):
            for container in running:
                await container.ended.wait()
            return
        for container in running:
            await container.signal(signal.SIGKILL)

    # --- progress -------------------------------------------------------------------------------------------------------------------

    async def _watch_progress(self) -> None:
        while True:
            await anyio.sleep(_PROGRESS_SECONDS)
            if self._read_progress():
                self._report(Progressed(self._invocation.node, progress=self._progress))

    def _read_progress(self) -> bool:
        """Read what the main container says of its progress (``N/M``); whether it is news."""
        with suppress(OSError, ValueError), progress_file(self._folder).open("rb") as file:
            *_, last = file.read(_LONGEST_PROGRESS).decode().strip().split("\n")
            done, _, total = last.partition("/")
            if 0 <= int(done) <= int(total) and last != self._progress:
                self._progress = last
                return True
        return False
