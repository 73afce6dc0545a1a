"""Runs that live: work takes simulated time, and the run goes on until a condition holds or nothing is left to happen."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from flowcore.engine.messages import (
    Command,
    Event,
    Finished,
    Opened,
    Outcome,
    Progressed,
    Ready,
    ShutdownRequested,
    Start,
    Started,
    Stop,
    Wake,
    Woken,
)
from flowcore.errors import InvalidWorkflow
from flowcore.nodes import NodeId, NodeType, Phase, Shutdown
from tests.conformance.answers import part
from tests.conformance.containers import Work, beyond_processes, shared_containers
from tests.conformance.driving import Drive, World, open_run
from tests.conformance.fixtures import ARTIFACT_DRIVERS, POWERLESS_ACCOUNTS, WORKFLOW_DEFAULTS
from tests.conformance.outcomes import Rules, killed, outcome_of
from tests.conformance.podviews import AGENT_TYPES, pod_of

SECOND = timedelta(seconds=1)
LONGEST = timedelta(hours=12)
_ARCHITECTURES = ("amd64", "arm64")
_SYSTEMS = ("linux", "windows")
CONFIGURATION: dict[str, Any] = {  # of the cluster's controller
    "artifact_drivers": frozenset(ARTIFACT_DRIVERS),
    "artifact_repository": {"s3": {}},  # that of its ConfigMaps holds
    "workflow_defaults": WORKFLOW_DEFAULTS,
}
HOST = "k3d-e2e-server-0"  # the name of the machine that pods run on
MACHINES = {  # the labels of the cluster's machines
    "kubernetes.io/arch": _ARCHITECTURES,
    "kubernetes.io/os": _SYSTEMS,
    "beta.kubernetes.io/arch": _ARCHITECTURES,
    "beta.kubernetes.io/os": _SYSTEMS,
}


class LiveRun:
    """One run in a cluster."""

    def __init__(self, cluster: Cluster, document: Mapping[str, Any], **options: Any) -> None:
        self.cluster, self.manifest = cluster, document
        self.refusal = ""
        self.ended = self.deleted = self.homeless = self.beyond = False
        self.invocations: dict[NodeId, Any] = {}
        self.stopping: set[NodeId] = set()
        self.wakes: dict[NodeId | None, datetime] = {}
        self.drive: Drive | None = None
        try:
            self.drive = open_run(document, cluster.world, one_pass=False, **CONFIGURATION, **options)
        except InvalidWorkflow as error:
            self.refusal = error.problems[0].message
        else:
            self.tell(Opened())

    # --- what happens ---

    def tell(self, event: Event, after: timedelta = timedelta(0)) -> None:
        """Let an event come to the run."""
        self.cluster.schedule(self, event, self.cluster.world.now + after)

    def handle(self, event: Event) -> None:
        """An event has come."""
        assert self.drive is not None
        if isinstance(event, Woken) and self.wakes.get(event.node) != self.cluster.world.now:
            return  # a later wake-up took its place
        if isinstance(event, Finished):
            if event.node not in self.invocations:
                return
            self.invocations.pop(event.node)
        for command in self.drive.handle([event]):
            self._carry_out(command)
        if self.drive.engine.run.phase.completed and not self.ended:
            self._end()

    def _end(self) -> None:
        """Others may have its locks now, and its time to live begins."""
        assert self.drive is not None
        self.ended = True
        self.cluster.nudge()
        expiry = part("service.expiry", "expires_at")(self.drive.engine.run, self.drive.engine.plan.spec)
        if expiry is not None:
            self.cluster.call_at(self._expire, expiry)

    def _expire(self) -> None:
        self.deleted = True

    def _carry_out(self, command: Command) -> None:
        if isinstance(command, Start):
            self._start(command.invocation)
        elif isinstance(command, Stop) and command.node in self.invocations:
            self._stop(command.node)
        elif isinstance(command, Wake):
            self.wakes[command.node] = command.at
            self.cluster.schedule(self, Woken(command.node), command.at)

    def _start(self, invocation: Any) -> None:
        node = invocation.node
        self.invocations[node] = invocation
        if not self._finds_a_machine(invocation):
            self.homeless = True
            return
        self.tell(Started(node, HOST), SECOND)
        if invocation.daemon:
            self.tell(Ready(node, "10.0.0.1"), 2 * SECOND)
        work = self._work(invocation)
        self.beyond = self.beyond or beyond_processes(invocation.body)
        for seconds, progress in work.progress:
            self.tell(Progressed(node, progress=progress), timedelta(seconds=1 + seconds))
        for words in work.orders:
            self.cluster.call_at(partial(self.cluster.obey, words), self.cluster.world.now + timedelta(seconds=work.seconds))
        if work.outcome is not None:
            self.tell(Finished(node, work.outcome), timedelta(seconds=1 + work.seconds))

    def _finds_a_machine(self, invocation: Any) -> bool:
        """Whether the cluster has a machine as the pod demands it; otherwise it stays Pending."""
        assert self.drive is not None
        wanted = pod_of(invocation, self.drive.engine.plan.spec)["spec"].get("nodeSelector") or {}
        return all(value in MACHINES.get(label, ()) for label, value in wanted.items())

    def _work(self, invocation: Any) -> Work:
        if invocation.node_type in AGENT_TYPES:
            return Work(outcome_of(invocation, Rules(())))
        assert self.drive is not None
        if (invocation.body.get("serviceAccountName") or self.drive.engine.plan.spec.get("serviceAccountName")) in POWERLESS_ACCOUNTS:
            return Work(Outcome(phase=Phase.ERROR, message="wait: Error (exit code 64): its results cannot be reported: forbidden"))
        work = shared_containers().run(invocation, self.cluster.world.catalog, self.drive.engine.plan.spec)
        if invocation.daemon and work.outcome is not None and work.outcome.phase is Phase.SUCCEEDED:
            work.outcome = None  # the stand-in for a server ends at once; the server would not
        return work

    def _stop(self, node: NodeId) -> None:
        if node not in self.stopping:
            self.stopping.add(node)
            self.tell(Finished(node, killed(self.invocations[node])), SECOND)

    # --- what can be looked at ---

    def document(self) -> dict[str, Any]:
        """The Workflow object."""
        if self.drive is None:
            missing = "not found" in self.refusal
            status = {"phase": "Error" if missing else "Failed", "message": self.refusal if missing else f"invalid spec: {self.refusal}"}
            return {**self.manifest, "status": status}
        engine = self.drive.engine
        return dict(part("status", "workflow_with_status")(dict(self.drive.plan.manifest), engine.run, engine.nodes.values()))

    def starts(self) -> list[Any]:
        """The invocations that were begun, in their order."""
        return [] if self.drive is None else [command.invocation for _, command in self.drive.log if isinstance(command, Start)]

    def merged_spec(self) -> Mapping[str, Any]:
        """The spec with what it refers to."""
        return {} if self.drive is None else self.drive.engine.plan.spec

    def retry(self) -> None:
        """What ``argo retry`` does: the run begins anew where it went wrong."""
        stored = part("operations", "import_run")(self.document())
        made = part("operations", "retry")(stored.run, stored.nodes, stored.manifest, now=self.cluster.world.now)
        self.cluster.runs.remove(self)
        self.cluster.submit(made.manifest, run=made.run, rows=made.nodes)

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def phase(self) -> str:
        """The run's phase."""
        return str(self.document().get("status", {}).get("phase", ""))

    @property
    def message(self) -> str:
        """The run's message."""
        return str((self.document().get("status") or {}).get("message", ""))

    def nodes(self) -> list[dict[str, Any]]:
        """The node table."""
        return list(((self.document().get("status") or {}).get("nodes") or {}).values())

    @property
    def completed(self) -> bool:
        """Whether it ended."""
        return self.phase in ("Succeeded", "Failed", "Error")

    def is_running(self) -> bool:
        """Whether it runs."""
        return self.phase == "Running"

    def has_running_pod(self) -> bool:
        """Whether some pod runs."""
        return self.drive is not None and any(
            row.type is NodeType.POD and row.phase is Phase.RUNNING for row in self.drive.engine.nodes.values()
        )

    def waits_for_lock(self) -> bool:
        """Whether the run or one of its nodes waits for a lock."""
        if self.drive is None:
            return False
        return bool(self.drive.waiting) or any(row.waiting for row in self.drive.engine.nodes.values())


class Cluster:
    """The runs that share a world, and what is going to happen in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.runs: list[LiveRun] = []
        self.watchers: list[Callable[[LiveRun], None]] = []
        self._queue: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def submit(self, document: Mapping[str, Any], **options: Any) -> LiveRun:
        """A new run."""
        run = LiveRun(self, document, **options)
        self.runs.append(run)
        return run

    def find(self, name: str) -> LiveRun | None:
        """The run of that name."""
        return next((run for run in self.runs if run.name == name), None)

    def obey(self, words: list[str]) -> None:
        """Do what Argo's command line is told in a container: `stop` or `delete` the runs with some labels."""
        verb, selector = words[0], words[words.index("-l") + 1] if "-l" in words else ""
        wanted = part("language.selectors", "parse_selector")(selector)
        for run in self.runs:
            if not wanted.matches(run.document()["metadata"].get("labels") or {}):
                continue
            if verb == "stop":
                run.tell(ShutdownRequested(Shutdown.STOP))
            elif verb == "delete":
                run.deleted = True

    def call_at(self, call: Callable[[], None], at: datetime) -> None:
        """Let something be done at some time."""
        heapq.heappush(self._queue, (max(at, self.world.now), next(self._order), call))

    def schedule(self, run: LiveRun, event: Event, at: datetime) -> None:
        """Let ``event`` come to ``run`` at some time."""

        def come() -> None:
            run.handle(event)
            for watcher in self.watchers:
                watcher(run)

        self.call_at(come, at)

    def nudge(self) -> None:
        """A run ended: whoever waits for its locks may go on."""
        for run in self.runs:
            if run.drive is not None and run.drive.waiting:
                run.wakes[None] = self.world.now
                self.schedule(run, Woken(None), self.world.now)

    def step(self) -> bool:
        """Let the next thing happen; False when nothing will."""
        if not self._queue:
            return False
        at, _, call = heapq.heappop(self._queue)
        self.world.now = max(self.world.now, at)
        call()
        return True

    def go_on_until(self, condition: Callable[[], bool]) -> bool:
        """Let things happen until ``condition`` holds; False when it never does."""
        end = self.world.now + LONGEST
        while not condition():
            if self.world.now > end or not self.step():
                return condition()
        return True

    def pass_time(self, span: timedelta) -> None:
        """Let so much time pass."""
        end = self.world.now + span
        while self._queue and self._queue[0][0] <= end:
            self.step()
        self.world.now = end
