"""The e2e section on the local backend, in real time: a service drives the runs, and their commands are processes of this machine.

What the actions of a case want of a cluster (``live.Cluster`` in simulated time) is asked of the service here, so that both are held against
the same expectations. Artifacts at places of their own are kept in the run's store, as in ``containers``; ``argosay`` is a small shell script.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from flowcore.audience import NodeChanged, RunChanged
from flowcore.engine.messages import Event, Outcome, ResumeRequested, ShutdownRequested, SuspendRequested
from flowcore.errors import InvalidWorkflow
from flowcore.models import Workflow
from flowcore.nodes import Node, NodeId, NodeType, Phase, RunRow, Shutdown
from flowcore.ports import StoredRun
from tests.conformance.answers import part
from tests.conformance.containers import Claims, at_home, back_in_place, beyond_processes, part_of_backends
from tests.conformance.corpus import Case
from tests.conformance.endtoend import EndToEnd
from tests.conformance.fixtures import POWERLESS_ACCOUNTS, cluster_documents
from tests.conformance.images import COMMANDS, install_real
from tests.conformance.live import CONFIGURATION
from tests.conformance.podviews import pod_of
from tests.conformance.submission import NAMESPACE, PlainCatalog
from tests.conformance.verdicts import Mismatch, OutOfScope

PATIENCE = 45.0  # seconds until it is said that something never comes, or takes too long to be waited for
LOOKED_EVERY = 0.05
TOO_LONG = "takes longer than there is patience for, in real time; it is played in simulated time"


def play(case: Case) -> None:
    """Play the actions of a case on a service of its own."""
    with ExitStack() as stack:
        cluster = LocalCluster(stack)
        try:
            EndToEnd(case, cluster).play()
        except Mismatch:
            if cluster.beyond:
                raise OutOfScope(cluster.beyond) from None
            raise


class LocalWorld:
    """What runs share: documents, and the time of this machine."""

    def __init__(self) -> None:
        self.catalog = PlainCatalog(cluster_documents())

    @property
    def now(self) -> datetime:
        """The time."""
        return datetime.now(UTC)


class LocalRun:
    """One run of the service. It has what the actions of a case ask of ``live.LiveRun``."""

    def __init__(self, cluster: LocalCluster, document: Mapping[str, Any]) -> None:
        self.cluster, self.manifest, self.refusal = cluster, document, ""
        self.name, self._namespace = str(document["metadata"]["name"]), str(document["metadata"]["namespace"])
        try:
            cluster.ask(cluster.service.submit, Workflow.model_validate(document))
        except InvalidWorkflow as error:
            self.refusal = error.problems[0].message

    def _stored(self) -> StoredRun | None:
        stored: StoredRun | None = self.cluster.ask(self.cluster.service.store.load, self.name, self._namespace)
        return stored

    @property
    def deleted(self) -> bool:
        """Whether the run has been forgotten."""
        return not self.refusal and self._stored() is None

    def document(self) -> dict[str, Any]:
        """The Workflow object, as it was last if it is forgotten."""
        stored, seen = self._stored(), self.cluster.witness.runs.get(self.name)
        if stored is None and seen is not None and seen.row is not None:
            stored = StoredRun(seen.row, tuple(seen.nodes.values()), dict(self.manifest))
        if stored is not None:
            return dict(part("status", "workflow_with_status")(stored.manifest, stored.run, stored.nodes))
        missing = "not found" in self.refusal
        status = {"phase": "Error" if missing else "Failed", "message": self.refusal if missing else f"invalid spec: {self.refusal}"}
        return {**self.manifest, "status": status if self.refusal else {}}

    @property
    def phase(self) -> str:
        """The run's phase."""
        return str((self.document().get("status") or {}).get("phase", ""))

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

    @property
    def invocations(self) -> list[Any]:
        """The pods that have begun."""
        return self.cluster.executor.begun.get(self.name, [])

    def starts(self) -> list[Any]:
        """The same; there is no other record."""
        return self.invocations

    def merged_spec(self) -> Mapping[str, Any]:
        """The spec with what it refers to."""
        stored = self._stored()
        spec: Any = (self.manifest if stored is None else stored.manifest)["spec"]
        return spec if isinstance(spec, Mapping) else {}

    def tell(self, event: Event) -> None:
        """Give an order."""
        service = self.cluster.service
        if isinstance(event, ShutdownRequested):
            self.cluster.ask(service.stop if event.strategy is Shutdown.STOP else service.terminate, self.name, self._namespace)
        elif isinstance(event, ResumeRequested):
            self.cluster.ask(service.resume, self.name, self._namespace)
        elif isinstance(event, SuspendRequested):
            self.cluster.ask(service.suspend, self.name, self._namespace)

    def retry(self) -> None:
        """What ``argo retry`` does, when all that is to be done at the end of a run has been done."""
        self.cluster.ask(self.cluster.service.wait, self.name, self._namespace)
        self.cluster.ask(self.cluster.service.retry, self.name, self._namespace)

    def is_running(self) -> bool:
        """Whether it runs, or has run since somebody looked last."""
        return "Running" in self.cluster.witness.of(self.name).phases

    def has_running_pod(self) -> bool:
        """Whether some pod runs, or has run since somebody looked last."""
        return self.cluster.witness.of(self.name).pod_ran

    def is_under_way(self) -> bool:
        """Whether a command runs or is about to, or the next attempt is waited for."""
        return any(
            (node["type"] == "Pod" and node["phase"] in ("Pending", "Running")) or str(node.get("message", "")).startswith("Backoff")
            for node in self.nodes()
        )

    def waits_for_lock(self) -> bool:
        """Whether the run or one of its nodes waits for a lock."""
        stored = self._stored()
        if stored is None:
            return False
        waiting = any("waiting" in (lock or {}) for lock in (stored.run.synchronization or {}).values() if isinstance(lock, Mapping))
        return waiting or any(row.waiting for row in stored.nodes)


@dataclass
class Seen:
    """What somebody who looks all the time has seen of a run."""

    row: RunRow | None = None
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    phases: set[str] = field(default_factory=set)
    pod_ran: bool = False


class Witness:
    """An observer of the service: what is over in a moment is seen all the same."""

    def __init__(self) -> None:
        self.runs: dict[str, Seen] = {}

    def of(self, name: str) -> Seen:
        """What was seen of a run."""
        return self.runs.setdefault(name, Seen())

    def watch(self, run: Any) -> Callable[[Any], None]:
        """A run begins, or is driven on."""
        seen = self.runs[run.row.name] = Seen(run.row)

        def tell(change: Any) -> None:
            if isinstance(change, NodeChanged):
                seen.nodes[change.node.id] = change.node
                seen.pod_ran = seen.pod_ran or (change.node.type is NodeType.POD and change.node.phase is Phase.RUNNING)
            elif isinstance(change, RunChanged):
                seen.row = change.run
                seen.phases.add(str(change.run.phase))

        return tell


class LocalCluster:
    """A service over the local backend, and the runs that a case has submitted to it."""

    def __init__(self, stack: ExitStack) -> None:
        logging.getLogger("flowcore").setLevel(logging.CRITICAL)
        self.world, self.runs, self.watchers = LocalWorld(), list[LocalRun](), list[Callable[[Any], None]]()
        self.beyond, self.witness = "", Witness()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conformance-local-")))
        self._portal = _shared_portal()
        self._orders = folder / "orders"
        self._orders.touch()
        self.executor = _executor(folder, self._orders, self._found_beyond)
        self.service = part("service", "Service")(
            part("stores", "open_store")(f"sqlite:///{folder}/runs.db"),
            self.executor,
            self.world.catalog,
            artifacts=part("artifacts.folder", "FolderArtifacts")(folder / "store"),
            folder=folder / "runs",
            options=part("plan.plan", "PlanOptions")(**CONFIGURATION),
            observers=[self.witness],
        )
        stack.callback(self.ask, self.service.store.close)
        stack.enter_context(self._portal.wrap_async_context_manager(self.service.start()))

    def ask(self, deed: Callable[..., Any], *arguments: Any) -> Any:
        """Have the service's loop do something."""
        return self._portal.call(deed, *arguments)

    def _found_beyond(self, reason: str) -> None:
        self.beyond = reason

    def submit(self, document: Mapping[str, Any], **_options: Any) -> LocalRun:
        """A new run."""
        run = LocalRun(self, document)
        self.runs.append(run)
        return run

    def find(self, name: str) -> LocalRun | None:
        """The run of that name."""
        return next((run for run in self.runs if run.name == name), None)

    def call_at(self, call: Callable[[], None], at: datetime) -> None:
        """Nothing is done later: schedules are left out here."""

    def go_on_until(self, condition: Callable[[], bool]) -> bool:
        """Wait until ``condition`` holds; False when patience ends, or when all have ended without it."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if not self.runs:
                raise OutOfScope("waits for the next minute of a schedule")
            self._obey()
            if all(run.completed for run in self.runs):
                return condition()
            if time.monotonic() > end:
                if any(run.is_under_way() for run in self.runs):
                    raise OutOfScope(TOO_LONG)
                return condition()
            time.sleep(LOOKED_EVERY)
        return True

    def _obey(self) -> None:
        """Do what Argo's command line was told in a container: ``stop`` or ``delete`` the runs with some labels."""
        orders = self._orders.read_text(encoding="utf-8")
        if not orders.endswith("\n"):
            return
        self._orders.write_text("", encoding="utf-8")
        for words in (line.split() for line in orders.splitlines()):
            wanted = part("language.selectors", "parse_selector")(words[words.index("-l") + 1])
            for run in [run for run in self.runs if wanted.matches(run.document()["metadata"].get("labels") or {})]:
                if words[0] == "stop":
                    run.tell(ShutdownRequested(Shutdown.STOP))
                elif words[0] == "delete":
                    self.ask(self.service.delete, run.name, NAMESPACE)

    def pass_time(self, span: timedelta) -> None:
        """Let so much time pass."""
        if span.total_seconds() > PATIENCE:
            raise OutOfScope(TOO_LONG)
        time.sleep(span.total_seconds())


def _executor(folder: Path, orders: Path, beyond: Callable[[str], None]) -> Any:
    """The local backend, with the programs that images of the corpus bring along."""
    base: Any = part_of_backends("local", "LocalExecutor")

    class AtHome(base):  # type: ignore[misc]
        """Keeps artifacts in the run's store, and notes what has begun."""

        begun: dict[str, list[Any]] = {}

        async def run(self, invocation: Any, context: Any, report: Any) -> Outcome:
            self.begun.setdefault(invocation.workflow, []).append(invocation)
            if reason := _beyond(invocation, context.spec):
                beyond(reason)
            local = replace(invocation, body=at_home(invocation.body), inputs=at_home({"inputs": invocation.inputs or {}})["inputs"])
            outcome: Outcome = await super().run(local, context, report)
            return back_in_place(outcome, invocation.body) or outcome

    programs = install_real(folder)
    executor = AtHome(
        environment={"PATH": f"{programs}:{os.environ.get('PATH', os.defpath)}", "ORDERS": str(orders)},
        commands=COMMANDS,
        visible=[folder],
        claims=Claims(folder / "claims"),
    )
    executor.begun = {}
    return executor


def _beyond(invocation: Any, spec: Mapping[str, Any]) -> str:
    """What a pod wants that a machine has not; empty if nothing."""
    if invocation.node_type is NodeType.HTTP:
        return "asks servers on the internet"
    if beyond_processes(invocation.body) and invocation.node_type is not NodeType.PLUGIN:
        return "needs a terminal, a repository on the internet, or a Kubernetes API"
    if (invocation.body.get("serviceAccountName") or spec.get("serviceAccountName")) in POWERLESS_ACCOUNTS:
        return "a cluster's service account decides what becomes of its pods"
    if pod_of(invocation, spec)["spec"].get("nodeSelector"):
        return "which machine a pod runs on is decided by a cluster"
    if (invocation.body.get("container") or {}).get("imagePullPolicy") == "Always":
        return "counts on the time that it takes to fetch an image"
    return ""


_portals: list[BlockingPortal] = []
_open = ExitStack()  # kept, or the event loop would end


def _shared_portal() -> BlockingPortal:
    """The event loop of this process, made when first asked for."""
    if not _portals:
        _portals.append(_open.enter_context(start_blocking_portal()))
    return _portals[0]


__all__ = ["play"]
