"""One workflow of a script: its document, the engine over it, and the simulated pods that the script moves."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from flowcore.engine.messages import (
    Command,
    Event,
    Finished,
    Invocation,
    MemberOutcome,
    Opened,
    Outcome,
    Ready,
    Start,
    Started,
    Stop,
    Wake,
    Woken,
)
from flowcore.errors import InvalidWorkflow
from flowcore.nodes import NodeId, Phase, RunRow, WorkflowPhase
from tests.conformance.answers import part
from tests.conformance.driving import Drive, World, open_run
from tests.conformance.matchers import look_up, matches
from tests.conformance.outcomes import Rules, killed, outcome_of
from tests.conformance.podviews import AGENT_TYPES, pod_of
from tests.conformance.submission import NAMESPACE

TICK = timedelta(milliseconds=10)  # so that time passes between two reconciliations


@dataclass
class SimulatedPod:
    """A pod that the engine asked for."""

    invocation: Invocation
    phase: str = "Pending"
    deleted: bool = False
    stopped: bool = False


@dataclass
class Settings:
    """What ``config`` and ``env`` items have set."""

    config: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """The plan's options that they come to."""
        options: dict[str, Any] = {}
        if self.config.get("workflowDefaults"):
            options["workflow_defaults"] = self.config["workflowDefaults"]
        if self.env.get("POD_NAMES"):
            options["pod_name_version"] = self.env["POD_NAMES"]
        if self.config.get("maxStackDepth") and self.env.get("DISABLE_MAX_RECURSION") != "true":
            options["max_depth"] = self.config["maxStackDepth"]
        if self.env.get("TRANSIENT_ERROR_PATTERN"):
            options["transient_errors"] = self.env["TRANSIENT_ERROR_PATTERN"]
        if self.restriction() in ("Strict", "Secure"):
            options["must_refer"] = True
        return options

    def restriction(self) -> str:
        """How far workflows have to be made from templates."""
        return str(
            self.config.get("workflowRestrictions.templateReferencing")
            or (self.config.get("workflowRestrictions") or {}).get("templateReferencing")
            or ""
        )


class Simulated:
    """A workflow that is reconciled when the script says so."""

    def __init__(self, document: dict[str, Any], world: World, settings: Settings) -> None:
        self.world, self.settings = world, settings
        self.pods: dict[NodeId, SimulatedPod] = {}
        self.wakes: dict[NodeId | None, datetime] = {}
        self.withheld: set[str] = set()
        self.pending: list[Event] = []
        self.pods_are_there = False
        self.load(document)

    def load(self, document: Mapping[str, Any]) -> None:
        """The workflow is now this document, status included; pods stay."""
        self._document = copy.deepcopy(dict(document))
        self.wakes = {}
        self.drive: Drive | None = None
        self.refusal, self.refused_as, self._kept = "", ("", ""), ""

    # --- reconciliation ---

    def operate(self) -> None:
        """One reconciliation: what happened to pods and what time brought comes in as one batch."""
        self.world.now += TICK
        for pod in self.pods.values():
            pod.deleted = pod.deleted and (pod.phase != "Pending" or pod.stopped)
        opened = self.drive is None
        if opened and self._is_over():
            self._give_back_locks()
        if opened and not self._open():
            return
        events: list[Event] = [Opened()] if opened else []
        held = [event for event in self.pending if isinstance(event, Finished) and event.node in self.withheld]
        events += [event for event in self.pending if event not in held]
        self.pending = held
        self._handle([*events, *self._woken()], opened=opened)
        if woken := self._woken():  # what was due already when the workflow was loaded
            self._handle(woken, opened=False)

    def _is_over(self) -> bool:
        return (self._document.get("status") or {}).get("phase") in ("Succeeded", "Failed", "Error")

    def _give_back_locks(self) -> None:
        """Somebody ended the workflow by editing it: what it held is free again."""
        self._document["status"].pop("synchronization", None)
        metadata = self._document["metadata"]
        for holder in self.world.lock_table().held_by(f"{metadata.get('namespace', NAMESPACE)}/{metadata['name']}"):
            self.world.let_go(holder)

    def _woken(self) -> list[Event]:
        due = [node for node, at in self.wakes.items() if at <= self.world.now]
        for node in due:
            del self.wakes[node]
        return [Woken(node) for node in due]

    def _handle(self, events: list[Event], *, opened: bool) -> None:
        """Give events to the engine and carry out what it wants; pods that a loaded status speaks of but that are not there were deleted."""
        assert self.drive is not None
        loaded = {id_: row.phase for id_, row in self.drive.engine.nodes.items()} if opened else {}
        lost: list[Event] = []
        for command in self.drive.handle(events):
            lost += self._carry_out(command, loaded)
        if lost:
            self._handle(lost, opened=False)

    def ensure_open(self) -> None:
        """Put an engine over the document, without reconciling anything."""
        if self.drive is None and not self._open():
            raise InvalidWorkflow(self.refusal)

    def prepare(self) -> None:
        """Merge and resolve; make no nodes."""
        self.ensure_open()
        assert self.drive is not None
        turn = part("engine.turn", "Turn")(self.drive.engine._state, self.world.now)
        part("engine.whole", "prepare")(turn)
        if self.drive.engine.run.phase is WorkflowPhase.UNKNOWN:
            part("engine.whole", "label")(turn)

    def order(self, event: Event) -> None:
        """Give an order of a user to the run, which carries it out at once."""
        first = self.drive is None
        self.ensure_open()
        self._handle([Opened(), event] if first else [event], opened=first)

    def absorb(self) -> None:
        """Take over what pods did so far, so that it shows in the document."""
        if self.pending:
            self.operate()

    def _open(self) -> bool:
        manifest, run, rows = self._document, None, ()
        status = self._document.get("status") or {}
        if status.get("phase") or status.get("nodes"):
            stored = part("operations", "import_run")(self._document)
            manifest, run, rows = stored.manifest, self._as_operated(stored.run), stored.nodes
        try:
            options = self.settings.options()
            if run is not None:
                options.pop("must_refer", None)  # that was seen to when it was submitted
            self.drive = open_run(manifest, self.world, run=run, rows=rows, **options)
        except InvalidWorkflow as error:
            self.refusal = error.problems[0].message
            compiled = "not found" in self.refusal or error.problems[0].rule == "restricted"
            self.refused_as = ("Error", self.refusal) if compiled else ("Failed", f"invalid spec: {self.refusal}")
            return False
        return True

    def _as_operated(self, run: RunRow) -> RunRow:
        """Argo's controller goes on with whatever is not labelled as completed, and leaves the phase as it is until it finds another."""
        if run.phase.completed and part("status.writing", "COMPLETED_LABEL") not in (run.labels or {}):
            self._kept = str(run.phase)
            return replace(run, phase=WorkflowPhase.RUNNING)
        return run

    def _carry_out(self, command: Command, loaded: Mapping[NodeId, Phase]) -> list[Event]:
        if isinstance(command, Start):
            return self._start(command.invocation, loaded)
        if isinstance(command, Stop) and command.node in self.pods:
            self._stop(self.pods[command.node])
        elif isinstance(command, Wake):
            self.wakes[command.node] = command.at
        return []

    def _start(self, invocation: Invocation, loaded: Mapping[NodeId, Phase]) -> list[Event]:
        if invocation.node in self.pods:
            return []
        if loaded.get(invocation.node) is Phase.RUNNING and invocation.node_type not in AGENT_TYPES and not self.pods_are_there:
            return [Finished(invocation.node, _deleted(invocation))]
        phase = "Running" if loaded.get(invocation.node) is Phase.RUNNING else "Pending"
        self.pods[invocation.node] = SimulatedPod(invocation, phase)
        return []

    def _stop(self, pod: SimulatedPod) -> None:
        """A pod that is stopped ends by the next reconciliation; one that never ran is deleted."""
        if pod.phase in ("Pending", "Running") and not pod.stopped:
            pod.stopped = True
            pod.deleted = pod.phase == "Pending"
            self.pending.append(Finished(pod.invocation.node, killed(pod.invocation)))

    # --- pods ---

    def create_pods_for_running_nodes(self) -> None:
        """The pods that the loaded status speaks of are there."""
        self.pods_are_there = True

    def live_pods(self) -> list[SimulatedPod]:
        """Pods that were created and not deleted; all HTTP and plugin nodes share one agent pod."""
        pods = [pod for pod in self.pods.values() if not pod.deleted]
        agents = [pod for pod in pods if pod.invocation.node_type in AGENT_TYPES]
        return [pod for pod in pods if pod not in agents[1:]]

    def pod_documents(self) -> list[dict[str, Any]]:
        """The pods as JSON."""
        spec = self.spec()
        return [pod_of(pod.invocation, spec) for pod in self.live_pods()]

    def change_pods(self, change: Mapping[str, Any]) -> None:
        """Move pods to another phase."""
        for pod in self._selected(change["select"]):
            phase = change.get("phase")
            if phase is None or pod.phase == phase:
                continue
            pod.phase = phase
            self.pending += self._events(pod, change)

    def _selected(self, select: Any) -> list[SimulatedPod]:
        pods = self.live_pods()
        if select == "all":
            return pods
        if "index" in select:
            return pods[select["index"] : select["index"] + 1]
        return [pod for pod in pods if pod.invocation.pod_name == select["podName"]]

    def delete_pods(self, select: Any) -> None:
        """Pods vanish under the workflow; one that never began to run is made again when the workflow is next looked at."""
        for pod in self._selected(select):
            pod.deleted = True
            if pod.phase != "Pending":
                self.pending.append(Finished(pod.invocation.node, _deleted(pod.invocation)))

    def _events(self, pod: SimulatedPod, change: Mapping[str, Any]) -> list[Event]:
        node = pod.invocation.node
        if pod.phase == "Running":
            return [Started(node, change.get("nodeName")), Ready(node)]
        if pod.phase == "Succeeded":
            return [Finished(node, _succeeded(pod.invocation, change.get("outputs")))]
        if pod.phase in ("Failed", "Error"):
            message = change.get("message", "")
            outcome = Outcome(
                phase=Phase(pod.phase), message=message, exit_code=change.get("exitCode"), host_node_name=change.get("nodeName")
            )
            return [Finished(node, outcome)]
        return []

    # --- what can be looked at ---

    def document(self) -> dict[str, Any]:
        """The Workflow object, with the status of the run."""
        if self.drive is None:
            document = copy.deepcopy(self._document)
            if self.refusal:
                phase, message = self.refused_as
                document["status"] = {"phase": phase, "message": message, "conditions": [{"type": "Completed", "status": "True"}]}
            return document
        engine = self.drive.engine
        document = dict(part("status", "workflow_with_status")(dict(self.drive.plan.manifest), engine.run, engine.nodes.values()))
        if self._kept and not engine.run.phase.completed:
            document["status"]["phase"] = self._kept
        if reference := (self._document.get("spec") or {}).get("workflowTemplateRef"):
            document["spec"] = {**document["spec"], "workflowTemplateRef": reference}
        defaults = self.settings.config.get("workflowDefaults")
        if defaults:  # Argo writes them into the object
            document = {**document, **part("plan.merge", "apply_workflow_defaults")(document, defaults)}
        if document["spec"].get("workflowTemplateRef"):  # Argo keeps the merged spec in the status; ours is the plan's
            stored = {**self.spec(), **{key: document["spec"][key] for key in ("shutdown", "suspend") if key in document["spec"]}}
            document["status"] = {**document["status"], "storedWorkflowTemplateSpec": stored}
        return document

    def nodes(self) -> list[dict[str, Any]]:
        """The node table."""
        nodes = (self.document().get("status") or {}).get("nodes") or {}
        return [{**node, "id": node.get("id") or id_} for id_, node in nodes.items()]

    def spec(self) -> dict[str, Any]:
        """The merged spec."""
        return dict(self.drive.engine.plan.spec) if self.drive is not None else dict(self._document.get("spec") or {})

    def merged_spec(self) -> dict[str, Any]:
        """The merged spec of a workflow that is not run, if it can be merged."""
        compile_plan = part("plan.plan", "compile_plan")
        try:
            return dict(compile_plan(self._document, catalog=self.world.catalog, options=part("plan.plan", "PlanOptions")()).spec)
        except InvalidWorkflow:
            return self.spec()

    def is_suspended(self) -> bool:
        """Whether somebody has to resume it."""
        document = self.document()
        waiting = any(node["type"] == "Suspend" and node["phase"] == "Running" for node in self.nodes())
        return waiting or bool(document["spec"].get("suspend"))

    def node_matching(self, select: Mapping[str, Any]) -> dict[str, Any]:
        """The first node that ``select`` matches."""
        return next(node for node in self.nodes() if selects(node, select))


def selects(node: Mapping[str, Any], select: Mapping[str, Any]) -> bool:
    """Whether a node matches every path of ``select``."""
    return all(matches(look_up(node, path), matcher) for path, matcher in select.items())


def _deleted(invocation: Invocation) -> Outcome:
    contained: Any = invocation.body.get("containerSet") or {}
    member = MemberOutcome(phase=Phase.ERROR, message="container deleted")
    members = {container["name"]: member for container in contained.get("containers") or ()}
    return Outcome(phase=Phase.ERROR, message="pod deleted", members=members)


def _succeeded(invocation: Invocation, outputs: Mapping[str, Any] | None) -> Outcome:
    if outputs is None:
        outcome = outcome_of(invocation, Rules(()))
        assert outcome is not None
        return outcome
    return Outcome(
        phase=Phase.SUCCEEDED,
        exit_code=int(outputs.get("exitCode", 0)),
        result=outputs.get("result"),
        parameters={parameter["name"]: parameter.get("value", "") for parameter in outputs.get("parameters") or ()},
        artifacts={artifact["name"]: artifact for artifact in outputs.get("artifacts") or ()},
    )
