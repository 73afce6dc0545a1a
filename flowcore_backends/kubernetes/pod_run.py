"""One invocation from its inputs to its outcome: make the pod or adopt it, follow it, take its outputs, judge. Made by ``KubernetesExecutor.run``."""

from __future__ import annotations

import asyncio
import math
from datetime import timedelta
from pathlib import Path

from flowcore.artifacts import staging
from flowcore.engine.messages import Invocation, Outcome, Progressed, Ready, Started
from flowcore.errors import ExecutorError, FlowError
from flowcore.jsontypes import JsonObject, object_of
from flowcore.nodes import Phase
from flowcore.ports import Reporter, RunContext
from flowcore_backends.kubernetes import capture, outputs
from flowcore_backends.kubernetes.api import ApiError, pods_path
from flowcore_backends.kubernetes.cluster import Cluster
from flowcore_backends.kubernetes.ended_pods import delete_pod
from flowcore_backends.kubernetes.inputs import PackedInputs, Scratch, pack_inputs, pack_late
from flowcore_backends.kubernetes.labels import NODE_ID, RUN
from flowcore_backends.kubernetes.logs import relay_log
from flowcore_backends.kubernetes.outputs import Collected
from flowcore_backends.kubernetes.pods import PodParts, pod_manifest
from flowcore_backends.kubernetes.status import PodView, Verdict, is_transient
from flowcore_backends.kubernetes.straight import download_straight, upload_straight
from flowcore_backends.kubernetes.url_secret import UrlSecret, delete_secret, give_urls, stored_outputs
from flowcore_backends.kubernetes.watch import Followed
from flowcore_backends.output import LineReporter, Tail

_DELETED = Verdict(Phase.ERROR, "pod deleted")
_ON_THE_WAY = ("ContainerCreating", "PodInitializing")  # every pod is, for a moment
_MOMENT = 1.0  # seconds
_LEAST_GRACE = 1  # second, for containers that had their time
_SECONDS_FOR_NOTE, _MORE_SECONDS_FOR_NOTE = 1.0, 2.0  # the holder's end comes with main's, or a second later
_SECONDS_TO_UPLOAD = 3600.0
_SECONDS_FOR_PHASE = 5.0
_SECONDS_FOR_DOOM = 60.0  # a pod that the kubelet has given up is told to be Failed when all of it has ended
_SECONDS_FOR_LOGS = 5.0
_QUOTA_PAUSE, _LONGEST_QUOTA_PAUSE = 0.5, 15.0


class PodRun:
    """One run of one invocation; files go through ``scratch``."""

    def __init__(self, invocation: Invocation, context: RunContext, report: Reporter, cluster: Cluster, scratch: Scratch) -> None:
        self._invocation, self._context, self._report = invocation, context, report
        self._cluster, self._options, self._scratch = cluster, cluster.options, scratch
        self._namespace = cluster.options.namespace or invocation.namespace
        self._layout = capture.layout_of(invocation, cluster.options)
        self._objects = cluster.run_objects(context)
        self._watch = cluster.watch(self._namespace)
        self._followed: Followed | None = None
        self._stop = asyncio.Event()
        self._grace = 0
        self._started = self._ready = self._uploaded = False
        self._message: str | None = None
        self._waits = ""  # what a pending pod waits for
        self._seen_going = False  # deleted while its main containers had not ended
        self._logs: dict[str, asyncio.Task[None]] = {}
        self._result: Tail | None = None
        self._stored: dict[str, JsonObject] = {}  # artifacts that the pod itself has stored
        self._urls = UrlSecret()
        self._missing = ""  # inputs that the pod could not fetch
        self._view = PodView({}, self._layout.mains, self._layout.native)

    @property
    def _folder(self) -> Path:
        return self._scratch.folder

    async def run(self) -> Outcome:
        """Run to the end. Raises ExecutorError and ArtifactError for what is not the commands' fault."""
        name = self._invocation.pod_name
        self._followed = self._watch.follow(name)
        try:
            packed = await pack_inputs(self._invocation, self._context, self._options, self._scratch, self._cluster.unreachable)
            if not await self._create(packed):
                await self._forget_urls()
                return Outcome(phase=Phase.FAILED)  # the engine knows why it was stopped
            outcome = await self._judge(await self._wait(packed))
            self._objects.ended(self._invocation, outcome.phase, self._view.host, self._view.pod)
            await self._forget_urls()
            return outcome
        finally:
            self._watch.forget(name)
            for task in self._logs.values():
                task.cancel()

    # --- making it ------------------------------------------------------------------------------------------------------------------

    async def _create(self, packed: PackedInputs) -> bool:
        """Make the pod, or adopt the one that this node has already; false if the work was stopped before."""
        await self._objects.ensure()
        api, owner = self._cluster.api, self._objects.owner
        self._urls = urls = await give_urls(
            api, self._namespace, self._invocation, self._context, self._layout, packed.straight, owner, self._options
        )
        parts = PodParts(
            owner=owner,
            claims=self._objects.claims,
            inputs=packed.placed,
            inline=packed.inline,
            upload=packed.awaited and self._options.exec,
            tasks=urls.tasks,
            secret=urls.name,
            avoid_hosts=self._objects.avoided(self._invocation),
        )
        manifest = pod_manifest(self._invocation, self._context.spec, self._options, parts, self._layout)
        waited, pause = 0.0, _QUOTA_PAUSE
        while not self._stop.is_set():
            try:
                await self._cluster.api.send("POST", pods_path(self._namespace), body=manifest)
                if self._followed is not None:
                    self._followed.expect()  # the watch shows it
                return True
            except ApiError as error:
                if error.reason == "AlreadyExists":
                    if await self._adopt(error):
                        return True
                elif is_transient({**error.body, "code": error.status}) and waited < self._options.patience.total_seconds():
                    self._pending(error.message)
                else:
                    await self._forget_urls()
                    raise ExecutorError(f"template {self._invocation.template_name}: {error.message}") from error
            waited += pause
            await self._stopped_within(pause)
            pause = min(_LONGEST_QUOTA_PAUSE, pause * 2)
        return False

    async def _forget_urls(self) -> None:
        if self._urls.tasks:
            await delete_secret(self._cluster.api, self._namespace, self._invocation)

    async def _adopt(self, error: ApiError) -> bool:
        """Take the pod of this name if it is ours; false if it is going away and the name will be free."""
        try:
            pod = await self._cluster.api.request("GET", pods_path(self._namespace, self._invocation.pod_name))
        except ApiError as gone:
            if gone.status == 404:
                return False
            raise
        annotations = object_of(object_of(pod, "metadata"), "annotations")
        if annotations.get(RUN) == self._invocation.uid and annotations.get(NODE_ID) == self._invocation.node:
            self._known(pod)
            return True
        if PodView(pod).terminating:
            return False
        raise ExecutorError(f"{error.message} in namespace {self._namespace}, and is not of this run; delete it or name the run otherwise")

    def _known(self, pod: JsonObject) -> None:
        assert self._followed is not None
        if self._followed.pod is None:
            self._followed.show(pod)

    async def _stopped_within(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    # --- following it ---------------------------------------------------------------------------------------------------------------

    async def _wait(self, packed: PackedInputs) -> PodView:
        """Report what happens until the main containers have ended or the pod is gone."""
        assert self._followed is not None
        while True:
            self._look()
            view = self._view
            if view.main_ended or view.final or view.odd or self._followed.gone:
                return view
            if view.awaits_inputs and not self._uploaded and packed.awaited:
                self._uploaded = True
                await self._bring_inputs(packed)
            if self._stop.is_set():
                await self._delete()
            if not await self._followed.change(_MOMENT if self._waits in _ON_THE_WAY else None):
                self._pending(self._waits)  # it lasts

    async def _bring_inputs(self, packed: PackedInputs) -> None:
        """Bring the inputs, or have the pod fetch them; a pod that cannot get them would wait for ever."""
        cluster, name = self._cluster, self._invocation.pod_name
        files = [packed.file] if packed.file is not None else []
        try:
            if left := await download_straight(cluster.api, self._namespace, name, packed.straight, cluster.unreachable):
                files.append(await pack_late(left, self._context, self._folder))
            await outputs.upload(cluster.api, self._namespace, name, files)
        except FlowError:
            await delete_pod(cluster.api, self._namespace, self._view.metadata)
            raise

    def _look(self) -> None:
        """Take the pod's latest object, and report what is new in it."""
        assert self._followed is not None
        if self._followed.pod is None or self._followed.pod is self._view.pod:
            return
        view = self._view = PodView(self._followed.pod, self._layout.mains, self._layout.native)
        started = view.started
        if view.terminating and not view.main_ended and not view.final:
            self._seen_going = True
        is_pending = view.phase == "Pending" and not started
        self._waits = view.pending_reason if is_pending else ""
        if is_pending and self._waits not in _ON_THE_WAY:
            self._pending(self._waits)
        if not started:
            return
        if not self._started:
            self._started = True
            self._report(Started(self._invocation.node, view.host))
        self._begin_logs(view)
        if self._invocation.daemon and not self._ready and view.ready:
            self._ready = True
            self._report(Ready(self._invocation.node, view.address))

    def _pending(self, message: str) -> None:
        if message != (self._message or ""):
            self._message = message
            self._report(Progressed(self._invocation.node, message=message))

    # --- stopping it ----------------------------------------------------------------------------------------------------------------

    def stop(self, grace: timedelta) -> None:
        """Have the pod end, at the latest after ``grace``."""
        self._grace = max(1, math.ceil(grace.total_seconds()))
        self._stop.set()
        if self._followed is not None:
            self._followed.poke()

    async def _delete(self) -> None:
        """Delete the pod once; what never started needs no grace, but the kubelet's word that it is gone."""
        if self._view.uid and not self._view.terminating:
            grace = self._grace if self._view.started else _LEAST_GRACE
            await delete_pod(self._cluster.api, self._namespace, self._view.metadata, grace, must=True)

    # --- its end --------------------------------------------------------------------------------------------------------------------

    async def _judge(self, view: PodView) -> Outcome:
        found = await self._outputs()
        verdict = await self._verdict()
        await self._end_logs(found)
        view = self._view
        if self._missing:
            verdict = Verdict(Phase.ERROR, self._missing)
        if verdict.phase is Phase.SUCCEEDED and found.problem:
            verdict = Verdict(Phase.ERROR, found.problem)
        return Outcome(
            phase=verdict.phase,
            message=verdict.message,
            exit_code=view.exit_code,
            result=found.result,
            parameters=found.parameters,
            artifacts=found.artifacts,
            members=view.members() if "containerSet" in self._invocation.body else {},
            host_node_name=view.host,
            progress=found.progress,
        )

    async def _verdict(self) -> Verdict:
        """The verdict as soon as it is certain: a failure waits for the phase, which tells of deadlines and evictions."""
        assert self._followed is not None
        if self._view.odd:
            return self._view.verdict()
        grace = self._options.sidecar_grace.total_seconds()
        await self._await(lambda view: view.regular_ended, grace + _SECONDS_FOR_PHASE)
        view = self._view
        verdict = view.judged_by_containers() if view.main_ended else Verdict(Phase.FAILED)
        if verdict.phase is not Phase.SUCCEEDED or view.doomed:
            await self._await(lambda view: view.final, _SECONDS_FOR_DOOM if view.doomed else _SECONDS_FOR_PHASE)
            view = self._view
            verdict = view.verdict() if view.final else verdict
        if not view.regular_ended and not self._followed.gone:
            await delete_pod(self._cluster.api, self._namespace, view.metadata, _LEAST_GRACE)
        if self._stop.is_set():
            return verdict if view.started else Verdict(Phase.FAILED)
        return _DELETED if self._was_taken() else verdict

    def _was_taken(self) -> bool:
        """Whether somebody deleted the pod before its main containers had ended; what the cluster itself takes away is judged by its end."""
        assert self._followed is not None
        view = self._view
        if self._followed.gone and not view.main_ended and not view.final:
            return True  # nobody will ever know its end
        if view.disrupted or not (view.terminating or self._followed.gone):
            return False
        if self._seen_going:
            return True
        if not view.main_ended or not view.terminating:
            return False
        return view.ended_after_deletion

    async def _await(self, condition: object, seconds: float) -> None:
        """Wait until the pod fulfils ``condition`` or is gone, within bounds."""
        assert self._followed is not None
        assert callable(condition)
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not condition(self._view) and not self._followed.gone and (left := end - loop.time()) > 0:
            await self._followed.change(left)
            self._look()

    async def _outputs(self) -> Collected:
        """Take what the pod hands over; what cannot be taken is a problem of its own only where the work succeeded."""
        found = Collected()
        if self._view.main_ended and self._layout.wrapped:
            try:
                found = await self._handed_over()
            except ExecutorError as error:
                found = Collected(problem=str(error))
        return found

    async def _handed_over(self) -> Collected:
        api, name = self._cluster.api, self._invocation.pod_name
        if self._layout.hands_over or self._urls.tasks:
            seconds = _SECONDS_TO_UPLOAD if self._urls.tasks else _SECONDS_FOR_NOTE
            await self._await(lambda view: view.note() is not None or not view.holder_runs, seconds)
        note = self._view.note()
        self._missing = outputs.said(note, "missing")
        if note is not None and "lost" in note:
            raise ExecutorError(f"outputs lost: above 4 KB, and not all of them could be uploaded: {outputs.said(note, 'lost')}")
        if not self._layout.hands_over:
            return Collected(progress=outputs.progress_of((note or {}).get("progress", b"")))
        if note is not None:
            outputs.keep(note, self._folder)
            if numbers := outputs.said(note, "stored"):
                self._stored = await stored_outputs(self._invocation, self._context, self._layout, numbers)
        elif not self._view.holder_runs:
            raise ExecutorError("outputs lost: the container that held them is gone")
        else:
            note = await self._fetched()
        found = await outputs.collect(self._folder, self._invocation, self._context, self._layout, self._stored)
        if note is None:
            await outputs.release(api, self._namespace, name)
        return found

    async def _fetched(self) -> dict[str, bytes] | None:
        """Bring what the holder has by exec; where that fails, its note may only have been late."""
        try:
            if not self._options.exec:
                raise ExecutorError("outputs lost: above 4 KB they travel by exec, which is switched off")
            await self._upload_straight()
            await outputs.fetch(self._cluster.api, self._namespace, self._invocation.pod_name, self._folder)
            return None
        except ExecutorError:
            await self._await(lambda view: view.note() is not None or not view.holder_runs, _MORE_SECONDS_FOR_NOTE)
            if (note := self._view.note()) is None:
                raise
            outputs.keep(note, self._folder)
            return note

    async def _upload_straight(self) -> None:
        if self._options.direct_uploads:
            cluster, invocation = self._cluster, self._invocation
            self._stored = await upload_straight(
                cluster.api, self._namespace, invocation.pod_name, invocation, self._context, self._layout, cluster.unreachable
            )

    # --- logs -----------------------------------------------------------------------------------------------------------------------

    def _begin_logs(self, view: PodView) -> None:
        by_log = self._invocation.capture_result and not self._layout.capture
        wanted = self._options.logs != "none" or by_log or staging.log_artifact(self._invocation, capture.MAIN) is not None
        for name in self._layout.mains if wanted else ():
            ended = view.end_of(name) is not None
            runs = "running" in object_of(view.container(name), "state")
            if name not in self._logs and (ended or (runs and self._options.logs == "follow" and not self._cluster.followed_logs.locked())):
                keep = Tail() if by_log and name == capture.MAIN else None
                self._result = keep or self._result
                self._logs[name] = asyncio.get_running_loop().create_task(self._relay(name, keep, follow=not ended))

    async def _relay(self, container: str, keep: Tail | None, *, follow: bool) -> None:
        lines = LineReporter(self._invocation.node, container, "stdout", self._report)
        file = None
        if staging.log_artifact(self._invocation, container) is not None:
            file = (self._folder / f"log-{container}").open("wb")

        def feed(data: bytes) -> None:
            lines.feed(data)
            if keep is not None:
                keep.feed(data)
            if file is not None:
                file.write(data)

        try:
            async with self._cluster.followed_logs:
                await relay_log(self._cluster.api, self._namespace, self._invocation.pod_name, container, feed, follow=follow)
        finally:
            lines.end()
            if file is not None:
                file.close()

    async def _end_logs(self, found: Collected) -> None:
        """Wait for the last of the output, within bounds."""
        self._begin_logs(self._view)
        if self._logs:
            await asyncio.wait(self._logs.values(), timeout=_SECONDS_FOR_LOGS)
        if self._result is not None:
            found.result = self._result.text
        for container in self._logs if self._scratch.made is not None else ():
            await outputs.collect_log(self._folder / f"log-{container}", container, self._invocation, self._context, found)
