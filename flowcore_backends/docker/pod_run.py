"""One invocation from its inputs to its outcome: get ready, init containers, main containers and sidecars side by side, outputs.

Or, where an earlier process began: take over what still runs or has ended. Made by ``DockerExecutor.run``; how the ends of the containers make
an outcome says ``pod_judgement.py``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from flowcore.engine.messages import Invocation, Outcome, Progressed, Ready, Started
from flowcore.errors import ArtifactError
from flowcore.jsontypes import JsonObject, object_of, strings_of, text_of
from flowcore.ports import Reporter, RunContext
from flowcore_backends.docker import labels
from flowcore_backends.docker.api import Api
from flowcore_backends.docker.outputs import Outputs, keep_log
from flowcore_backends.docker.pod import HOLDER, PROGRESS_VARIABLE, TERMINATION_LOG, ContainerPlan, PodPlan, plan_pod
from flowcore_backends.docker.probing import Prober
from flowcore_backends.docker.run_objects import RunObjects
from flowcore_backends.docker.running import RunningContainer, deleted
from flowcore_backends.docker.settings import PodSettings, container_body
from flowcore_backends.docker.starting import PodStart, Surroundings, earlier_containers, envoy_of
from flowcore_backends.docker.states import has_ended, has_started
from flowcore_backends.main_containers import MAIN, retries_of
from flowcore_backends.pod_judgement import DEPENDENCY_FAILED, START_ERROR, TERMINATED, Collected, Ended, judge, stopped_outcome
from flowcore_backends.under_way import StopOrder

_FIRST_PROGRESS_SECONDS = 3.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0  # before a native sidecar is started again


class PodRun:
    """One run of one invocation; ``scratch`` is a folder of this machine for what goes in and comes out."""

    def __init__(
        self, invocation: Invocation, context: RunContext, report: Reporter, around: Surroundings, run: RunObjects, api: Api, scratch: Path
    ) -> None:
        self._invocation, self._context, self._report = invocation, context, report
        self._around, self._run_objects, self._api, self._scratch = around, run, api, scratch
        self._pod: PodPlan = plan_pod(invocation, context, around.options, around.host)
        self._settings: PodSettings | None = None
        self._prober = Prober(api, self._pod.holder_name if self._pod.shared else None, envoy_of(around, api, self._pod))
        self._running: dict[str, RunningContainer] = {}
        self._ended: dict[str, Ended] = {}
        mains = self._pod.of_role("main")
        self._begun = {plan.name: anyio.Event() for plan in (*mains, *self._pod.of_role("sidecar"))}
        self._over = {plan.name: anyio.Event() for plan in mains}
        self._mains_over = anyio.Event()
        self._stop = StopOrder()
        self._waiting, self._preparing, self._starting = anyio.CancelScope(), anyio.CancelScope(), anyio.CancelScope()
        self._progress: str | None = None
        self._told = False

    def stop(self, grace: timedelta) -> None:
        """Have all containers end, at the latest after ``grace``; asked again, the earlier end counts."""
        self._stop.give(grace)
        self._waiting.cancel()
        self._preparing.cancel()
        self._starting.cancel()
        self._mains_over.set()

    async def run(self, slots: anyio.CapacityLimiter | None) -> Outcome:
        """Wait for one of ``slots``, unless the pod runs already, and run to the end. Raises ExecutorError, perhaps in an ExceptionGroup."""
        mains = [plan.name for plan in self._pod.of_role("main")]
        found = await earlier_containers(self._api, self._invocation, mains)
        if slots is None or found:
            return await self._run_stoppable(found)
        with self._waiting:
            await slots.acquire_on_behalf_of(self)
        if self._waiting.cancelled_caught:
            return stopped_outcome()
        try:
            return await self._run_stoppable(found)
        finally:
            slots.release_on_behalf_of(self)

    async def _run_stoppable(self, found: dict[str, JsonObject]) -> Outcome:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._stop_when_asked)
                outcome = await (self._take_over(found) if found else self._run())
                tasks.cancel_scope.cancel()
            return outcome
        except Exception:
            await self._give_up()
            raise

    async def _give_up(self) -> None:
        """Something went wrong that is no container's end: end them all."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(30):
            filters = labels.label_filters(run=self._invocation.uid, pod=self._invocation.pod_name)
            for one in await self._api.containers(filters):
                await self._api.kill(text_of(one, "Id"), "SIGKILL")

    # --- from the beginning ---------------------------------------------------------------------------------------------------------

    async def _run(self) -> Outcome:
        start = PodStart(self._invocation, self._context, self._pod, self._around, self._run_objects, self._api, self._scratch)
        with self._preparing:
            await self._prepare(start)
        if self._stop.is_set() or self._settings is None:
            await self._remove_holder()
            return stopped_outcome()
        async with anyio.create_task_group() as beside:
            await self._run_starters(start, beside)
            begins = self._starters_are_done and not self._stop.is_set()
            collected = await self._run_pod(start) if begins else Collected()
            await self._end_natives()
        inits = [self._ended[plan.name] for plan in self._pod.of_role("init") if plan.name in self._ended]
        if self._stop.is_set() and not begins and all(end.code == 0 for end in inits):
            await self._remove_holder()
            return stopped_outcome()
        return await self._outcome(collected)

    async def _run_starters(self, start: PodStart, beside: TaskGroup) -> None:
        """Init containers to their ends, and native sidecars up to their start, in their order; the first that fails ends that."""
        for plan in self._pod.starters:
            if plan.native:
                beside.start_soon(self._run_native, plan, start)
                await self._begun[plan.name].wait()
                if plan.name in self._ended and self._ended[plan.name].code == START_ERROR:
                    return
                with anyio.CancelScope() as self._starting:
                    if self._stop.is_set():
                        self._starting.cancel()
                    await self._prober.wait_started(self._running[plan.name])
            elif self._stop.is_set() or (await self._run_container(plan, start)).code != 0:
                return
        self._starters_are_done = True

    _starters_are_done = False

    async def _run_native(self, plan: ContainerPlan, start: PodStart) -> None:
        """A native sidecar: started again whenever it ends, until the main containers are over."""
        ended, pause = await self._run_container(plan, start), _FIRST_PAUSE
        while not self._mains_over.is_set() and ended.code != START_ERROR:
            with anyio.move_on_after(pause):
                await self._mains_over.wait()
                return
            pause = min(pause * 2, _LONGEST_PAUSE)
            ended = self._ended[plan.name] = await self._running[plan.name].start_again(self._around.starts)

    async def _end_natives(self) -> None:
        """The main containers are over: native sidecars end, the last that was started first."""
        self._mains_over.set()
        for plan in reversed(self._pod.starters):
            if plan.native:
                await self._end_sidecars([plan])

    async def _prepare(self, start: PodStart) -> None:
        images = await start.fetch_images(self._report)
        await start.load_inputs()
        start.leave_out_missing()
        start.do_without_folder(images)
        mountpoints = await start.make_volumes() if self._pod.volumes else {}
        settings = await start.settings(mountpoints=mountpoints)
        if self._pod.holder:
            async with self._around.starts:
                await start.hold(settings)
        self._settings = settings

    async def _take_over(self, found: dict[str, JsonObject]) -> Outcome:
        """Go on where an earlier process was."""
        start = PodStart(self._invocation, self._context, self._pod, self._around, self._run_objects, self._api, self._scratch)
        for plan in self._pod.containers:
            if plan.name in found:
                container = self._container(plan)
                container.adopt(text_of(found[plan.name], "Id"), found[plan.name])
        if (HOLDER in found and not has_ended(found[HOLDER])) or not self._pod.shared:
            self._settings = await start.settings()
        for plan in self._pod.of_role("sidecar"):
            if plan.name not in found:
                raise deleted()
        if MAIN not in found or not has_started(found[MAIN]):
            await start.load_inputs()
        async with anyio.create_task_group() as beside:
            for plan in self._pod.starters:
                if plan.native:
                    beside.start_soon(self._run_native, plan, start)
            collected = await self._run_pod(start)
            await self._end_natives()
        return await self._outcome(collected)

    # --- containers -----------------------------------------------------------------------------------------------------------------

    async def _run_pod(self, start: PodStart) -> Collected:
        mains, sidecars = self._pod.of_role("main"), self._pod.sidecars
        async with anyio.create_task_group() as around:
            around.start_soon(self._watch_progress)
            async with anyio.create_task_group() as beside:
                for plan in sidecars:
                    beside.start_soon(self._run_container, plan, start)
                for plan in sidecars:
                    await self._begun[plan.name].wait()
                async with anyio.create_task_group() as work:
                    for plan in mains:
                        work.start_soon(self._run_main, plan, start)
                    if self._invocation.daemon:
                        around.start_soon(self._report_ready, [*mains, *self._pod.of_role("sidecar")])
                collected = await self._collect()
                await self._end_sidecars(sidecars)
            around.cancel_scope.cancel()
        return collected

    async def _outcome(self, collected: Collected) -> Outcome:
        await self._remove_holder()
        main = self._running.get(MAIN)
        return judge(
            self._pod.containers,
            self._ended,
            collected,
            members=self._invocation.template.container_set is not None,
            result=main.result.text if main is not None and main.result is not None else None,
            progress=self._progress,
            host_node_name=self._around.host,
            tolerated=self._pod.natives(),
        )

    async def _run_main(self, plan: ContainerPlan, start: PodStart) -> None:
        """A main container: after those it depends on, and again as often as its set allows."""
        for name in plan.dependencies:
            await self._over[name].wait()
        if any(self._ended[name].code != 0 for name in plan.dependencies):
            self._ended[plan.name] = Ended(plan.name, TERMINATED if self._stop.is_set() else DEPENDENCY_FAILED)
        else:
            retries, pause = retries_of(self._invocation.template)
            ended = await self._run_container(plan, start)
            while ended.code != 0 and retries and not self._stop.is_set():
                retries -= 1
                await anyio.sleep(pause.total_seconds())
                ended = self._ended[plan.name] = await self._running[plan.name].start_again(self._around.starts)
        self._over[plan.name].set()

    async def _run_container(self, plan: ContainerPlan, start: PodStart) -> Ended:
        container = self._running.get(plan.name) or self._container(plan)
        if self._stop.is_set() and container.identity is None:
            ended = Ended(plan.name, TERMINATED)
        else:
            if self._settings is None and not has_started(container.shown):
                raise deleted()  # what held the pod together is gone
            body = container_body(plan, self._pod, self._settings) if self._settings is not None else {}
            ended = await self._watched(container, body, start)
        if plan.name in self._begun:
            self._begun[plan.name].set()
        self._ended[plan.name] = ended
        return ended

    def _container(self, plan: ContainerPlan) -> RunningContainer:
        archived = plan.role == "main" and bool(object_of(self._invocation.body, "archiveLocation").get("archiveLogs"))
        container = RunningContainer(
            plan,
            self._api,
            self._invocation.node,
            self._report,
            keep_result=self._invocation.capture_result and plan.name == MAIN,
            log=self._scratch / f"{plan.name}.log" if archived else None,
        )
        container.when_started = lambda: self._report_started(plan)
        container.before_end = lambda running: self._prober.hook(running, "preStop")
        self._running[plan.name] = container
        return container

    async def _watched(self, container: RunningContainer, body: JsonObject, start: PodStart) -> Ended:
        """Run a container with its hooks and its liveness probe, and add its termination message."""

        async def prepare(identity: str) -> None:
            if container.plan.name == MAIN and container.plan.role == "main":
                await start.fill_main(identity)

        async with anyio.create_task_group() as tasks:
            if container.plan.model.lifecycle:
                tasks.start_soon(self._after_start, container)
            if container.plan.model.liveness_probe:
                tasks.start_soon(self._prober.keep_alive, container)
            ended = await container.run(body, prepare, self._around.starts)
            tasks.cancel_scope.cancel()
        if ended.code == 0 or ended.code == START_ERROR or container.identity is None:
            return ended
        path = container.plan.model.termination_message_path or TERMINATION_LOG
        mounted = any(mount.path == path for mount in container.plan.mounts)
        note = await self._outputs(container).note(path) if mounted or not path.startswith("/dev/") else ""
        return replace(ended, note=note or container.last_words)

    async def _after_start(self, container: RunningContainer) -> None:
        await container.started.wait()
        await self._prober.hook(container, "postStart")

    def _outputs(self, container: RunningContainer) -> Outputs:
        return Outputs(self._api, container.identity or "", container.plan.working_dir, self._scratch)

    # --- outputs --------------------------------------------------------------------------------------------------------------------

    async def _collect(self) -> Collected:
        main, collected = self._running.get(MAIN), Collected()
        if main is not None and main.identity is not None and has_started(main.shown):
            outputs = self._outputs(main)
            collected = await outputs.collect(self._invocation, self._context)
            if self._progress is not None or PROGRESS_VARIABLE in str(self._invocation.body):
                self._progress = await outputs.progress(self._progress_path()) or self._progress
        for container in self._running.values():
            if (file := container.log_file) is not None and await anyio.Path(file).exists():
                await self._keep_log(container.plan.name, file, collected)
        return collected

    async def _keep_log(self, name: str, file: Path, collected: Collected) -> None:
        try:
            collected.artifacts[f"{name}-logs"] = await keep_log(name, file, self._invocation, self._context)
        except ArtifactError as error:
            collected.problem = collected.problem or str(error)

    def _report_started(self, plan: ContainerPlan) -> None:
        """A main container runs: said once."""
        if plan.name in self._begun:
            self._begun[plan.name].set()
        if plan.role == "main" and not self._told:
            self._told = True
            self._report(Started(self._invocation.node))

    async def _report_ready(self, plans: list[ContainerPlan]) -> None:
        for plan in plans:
            await self._begun[plan.name].wait()
            await self._prober.wait_ready(self._running[plan.name])
        address = await self._prober.address(self._running[plans[0].name])
        self._report(Ready(self._invocation.node, pod_ip=address))

    def _progress_path(self) -> str:
        """Where the main container reports its progress: as it was told, perhaps by an earlier process."""
        main = self._running[MAIN]
        told = strings_of(object_of(main.shown, "Config"), "Env")
        prefix = f"{PROGRESS_VARIABLE}="
        return next((text.removeprefix(prefix) for text in told if text.startswith(prefix)), main.plan.environment[PROGRESS_VARIABLE])

    async def _watch_progress(self) -> None:
        """Read the file in which the main container may report its progress, every now and then."""
        pause = self._around.options.progress_every
        if pause is None or MAIN not in self._begun:
            return
        await self._begun[MAIN].wait()
        await anyio.sleep(min(_FIRST_PROGRESS_SECONDS, pause.total_seconds()))
        while True:
            main = self._running[MAIN]
            if main.identity is not None and (news := await self._outputs(main).progress(self._progress_path())) not in (
                None,
                self._progress,
            ):
                self._progress = news
                self._report(Progressed(self._invocation.node, progress=news))
            await anyio.sleep(pause.total_seconds())

    # --- ending ---------------------------------------------------------------------------------------------------------------------

    async def _stop_when_asked(self) -> None:
        await self._stop.wait()
        await self._signal(list(self._running.values()), "SIGTERM")
        await self._stop.grace_is_over()
        await self._signal(list(self._running.values()), "SIGKILL")

    async def _end_sidecars(self, sidecars: list[ContainerPlan]) -> None:
        """Ask the sidecars to end, and end those that have not after their grace."""
        running = [self._running[plan.name] for plan in sidecars if plan.name in self._running]
        await self._signal(running, "SIGTERM")
        with anyio.move_on_after(self._around.options.sidecar_grace.total_seconds()):
            for container in running:
                await container.ended.wait()
            return
        await self._signal(running, "SIGKILL")

    async def _signal(self, containers: list[RunningContainer], name: str) -> None:
        async with anyio.create_task_group() as tasks:
            for container in containers:
                tasks.start_soon(container.signal, name)

    async def _remove_holder(self) -> None:
        """Nothing holds on to network and volumes any more; what they held has been collected."""
        if self._pod.holder and not self._around.options.keep_containers:
            async with self._around.starts:
                await self._api.remove(self._pod.holder_name)
