"""The e2e section: actions on live runs whose containers are really run, in simulated time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from typing import Any

from flowcore.engine.messages import ResumeRequested, ShutdownRequested, SuspendRequested
from flowcore.errors import FlowError, UsageError
from flowcore.nodes import Shutdown
from tests.conformance.corpus import Case
from tests.conformance.crons import Crons
from tests.conformance.driving import World
from tests.conformance.fixtures import cluster_documents
from tests.conformance.inspecting import check_items, node_line
from tests.conformance.live import Cluster, LiveRun
from tests.conformance.matchers import MISSING, check, look_up, matches
from tests.conformance.podviews import pod_of
from tests.conformance.simulation import selects
from tests.conformance.submission import SUFFIX, PlainCatalog, documents_of, submitted
from tests.conformance.verdicts import Mismatch, OutOfScope, PartMissing, check_error, differ, shown

LONGEST_NAME = 63
STARTED = ("Pending", "Running", "Succeeded", "Failed", "Error")


def play(case: Case) -> None:
    """Play the actions of a case."""
    EndToEnd(case).play()


class EndToEnd:
    """A cluster with the documents of a case, and the run that the actions speak of."""

    def __init__(self, case: Case, cluster: Any = None) -> None:
        self.case = case
        self.cluster = cluster or Cluster(World(PlainCatalog(cluster_documents())))
        self.files = dict(case.data.get("workflows") or {})
        if case.data.get("workflow"):
            self.files[""] = case.data["workflow"]
        self.used = next(iter(self.files), "")
        for setup in case.data.get("setup") or ():
            for document in documents_of(case.text(setup["file"]), kind=setup["kind"]):
                self.cluster.world.catalog.add(document)
        self.crons = Crons(self.cluster, self.submit)

    def play(self) -> None:
        """Play to the end, or to the first mismatch."""
        for position, action in enumerate(self.case.data["actions"], 1):
            word = next(key for key in action if key not in ("of", "n", "error"))
            if word not in _ACTIONS:
                raise PartMissing(f"no player for the action {word}")
            try:
                _ACTIONS[word](self, action[word] or {}, action)
            except Mismatch as mismatch:
                mismatch.where = f"action {position} {shown(action)[:160]}: {mismatch.where}"
                raise

    def current(self) -> LiveRun:
        """The run that is spoken of."""
        if not self.cluster.runs:
            self._from_cron()
        return self.cluster.runs[-1]

    def _from_cron(self) -> None:
        """Without a submission, the runs come from a CronWorkflow that fires."""
        if not self.crons.documents_now():
            raise OutOfScope("the run is made by a call (of an HTTP API, or of `argo retry` before) that is not part of the case")
        self.cluster.go_on_until(lambda: bool(self.cluster.runs))

    def apply(self, file: str) -> None:
        """Put the documents of a file into the cluster; a Workflow is run."""
        if not (self.case.folder / "e2e" / file).is_file():
            raise OutOfScope("the document that is applied is not in this corpus folder")
        for document in documents_of(self.case.text(f"e2e/{file}")):
            if document["kind"] == "Workflow":
                self.submit(document)
            else:
                self.cluster.world.catalog.add(document)

    def submit(self, document: Mapping[str, Any]) -> LiveRun:
        """Start a run, under a name that is still free."""
        made = submitted(document)
        made["metadata"]["name"] = _fitting(made["metadata"]["name"], SUFFIX)
        made["metadata"]["name"] = self._free(made["metadata"]["name"], fixed=bool(document.get("metadata", {}).get("name")))
        made["metadata"]["uid"] = f"00000000-0000-0000-0000-{len(self.cluster.runs) + 1:012d}"
        return self.cluster.submit(made)

    def _free(self, name: str, *, fixed: bool) -> str:
        """The name, or one made from it if it was generated and another run has it."""
        taken = {run.name for run in self.cluster.runs}
        return name if fixed or name not in taken else next(f"{name}{number}" for number in count(2) if f"{name}{number}" not in taken)


def _fitting(name: str, suffix: str) -> str:
    """A generated name as a cluster makes it: what is before the suffix is cut off where it gets too long."""
    return name[: LONGEST_NAME - len(suffix)] + suffix if len(name) > LONGEST_NAME and name.endswith(suffix) else name


def _submit(case: EndToEnd, arguments: Mapping[str, Any], action: Mapping[str, Any]) -> None:
    if arguments.get("from"):
        kind = arguments["from"]
        named = next((one for one in case.cluster.world.catalog.documents if one["kind"] == kind), None)
        if named is None:
            raise OutOfScope(f"the {kind} that is submitted is not part of the case")
        document = named
    else:
        (document,) = documents_of(case.case.text(case.files[action.get("of", case.used)]), kind="Workflow")
        document = {**document, "kind": "Workflow"}  # upstream reads any document here as a Workflow
    case.submit(document)


def _workflow(case: EndToEnd, arguments: Mapping[str, Any], _action: Mapping[str, Any]) -> None:
    case.used = arguments["use"]


def _sleep(case: EndToEnd, arguments: Mapping[str, Any], _action: Mapping[str, Any]) -> None:
    case.cluster.pass_time(timedelta(seconds=arguments["seconds"]))


def _shut_down(strategy: Shutdown) -> Callable[[EndToEnd, Mapping[str, Any], Mapping[str, Any]], None]:
    def order(case: EndToEnd, _arguments: Mapping[str, Any], _action: Mapping[str, Any]) -> None:
        case.current().tell(ShutdownRequested(strategy))

    return order


def _delete_config_map(case: EndToEnd, arguments: Mapping[str, Any], _action: Mapping[str, Any]) -> None:
    case.cluster.world.catalog.remove("ConfigMap", arguments["name"])


def _nothing(case: EndToEnd, _arguments: Mapping[str, Any], _action: Mapping[str, Any]) -> None:
    """Nothing in a run depends on it."""


# --- waiting ----------------------------------------------------------------------------------------------------------------------

_UNTIL: dict[str, Callable[[LiveRun], bool]] = {
    "succeeded": lambda run: run.phase == "Succeeded",
    "failed": lambda run: run.phase == "Failed",
    "errored": lambda run: run.phase == "Error",
    "running": lambda run: run.is_running(),
    "start": lambda run: run.phase in STARTED,
    "phase": lambda run: run.phase in STARTED,
    "done": lambda run: run.completed,
    "completed": lambda run: run.completed,
    "archived": lambda run: run.completed,
    "runningPod": lambda run: run.has_running_pod(),
    "waitingOnAMutex": lambda run: run.waits_for_lock(),
}


def _wait(case: EndToEnd, arguments: Mapping[str, Any], _action: Mapping[str, Any]) -> None:
    until, run = arguments["until"], case.current()
    condition = _UNTIL[until] if isinstance(until, str) else _condition(until)
    if not case.cluster.go_on_until(lambda: condition(case.current())):
        nodes = [node_line(node) for node in run.nodes()]
        differ({"until": until}, f"{run.phase} ({run.message}) with {nodes}", "it never comes to that")


def _condition(until: Mapping[str, Any]) -> Callable[[LiveRun], bool]:
    if "conditions" in until:
        return lambda run: all(_holds(run, condition) for condition in until["conditions"])
    if "workflows" in until:
        return lambda run: until["count"] in (len(run.cluster.runs), sum(not one.completed for one in run.cluster.runs))
    if "pod" in until:
        return lambda run: bool(run.invocations)
    raise PartMissing(f"no player for waiting until {shown(until)}")


def _holds(run: LiveRun, condition: Mapping[str, Any]) -> bool:
    document = run.document()
    matcher = {key: value for key, value in condition.items() if key not in ("node", "path")}
    if "node" not in condition:
        return matches(look_up(document, condition["path"]), matcher)
    select = _named(condition["node"], run)
    return any(selects(node, select) and matches(look_up(node, condition["path"]), matcher) for node in run.nodes())


# --- looking ----------------------------------------------------------------------------------------------------------------------


def _named(matcher: Any, run: LiveRun) -> Any:
    if isinstance(matcher, str):
        return matcher.replace("$(workflow.name)", run.name)
    if isinstance(matcher, list):
        return [_named(item, run) for item in matcher]
    if isinstance(matcher, Mapping):
        return {key: _named(value, run) for key, value in matcher.items()}
    return matcher


def _expect(case: EndToEnd, expect: Mapping[str, Any], _action: Mapping[str, Any]) -> None:
    for path, matcher in (expect.get("result") or {}).items():
        check(look_up(_result(case, path), path), matcher, f"result {path}")
    if not {"workflow", "nodes", "pods"}.intersection(expect):
        return
    run = case.current()
    wanted = _named(expect, run)
    document, nodes = run.document(), run.nodes()
    for path, matcher in (wanted.get("workflow") or {}).items():
        value = len(nodes) if path == "nodes.count" else look_up(document, path)
        if path == "document":
            value = MISSING if run.deleted else document
        check(value, matcher, f"{path} (message: {(document.get('status') or {}).get('message')}; {[node_line(node) for node in nodes]})")
    for one in wanted.get("nodes") or ():
        check_items(nodes, one, "nodes", node_line)
    if "pods" in wanted:
        _expect_pods(run, nodes, wanted["pods"])


def _result(case: EndToEnd, path: str) -> dict[str, Any]:
    crons = case.crons.documents_now()
    if not path.startswith("cron") or not crons:
        raise PartMissing(f"nothing gives the result {path}")
    return {"cron": {**crons[0], "labels": crons[0]["metadata"].get("labels") or {}}, "cronWorkflows": {"items": crons}}


def _cron_suspended(on: bool) -> Callable[[EndToEnd, Mapping[str, Any], Mapping[str, Any]], None]:
    def change(case: EndToEnd, _arguments: Mapping[str, Any], _action: Mapping[str, Any]) -> None:
        for document in case.crons.documents_now():
            case.cluster.world.catalog.add({**document, "spec": {**document["spec"], "suspend": on}})

    return change


def _wait_for_cron(path: str, matcher: Any) -> Callable[[EndToEnd, Mapping[str, Any], Mapping[str, Any]], None]:
    def wait(case: EndToEnd, _arguments: Mapping[str, Any], _action: Mapping[str, Any]) -> None:
        if not case.cluster.go_on_until(lambda: all(matches(look_up(document, path), matcher) for document in case.crons.documents_now())):
            differ({path: matcher}, case.crons.documents_now(), "it never comes to that")

    return wait


def _expect_pods(run: LiveRun, nodes: list[dict[str, Any]], wanted: Mapping[str, Any]) -> None:
    if run.refusal:
        differ("pods", run.refusal)
    spec = run.merged_spec()
    by_id = {node["id"]: node for node in nodes}
    pods = [{**pod_of(invocation, spec), "node": by_id.get(invocation.node, {})} for invocation in run.starts()]
    if "count" in wanted:
        check(len(pods), wanted["count"], "number of pods")
    if len(pods) < wanted.get("min_count", 0):
        differ({"at least": wanted["min_count"]}, len(pods), "number of pods")
    for one in wanted.get("items") or ():
        check_items(pods, one, "pods", lambda pod: str(look_up(pod, "metadata.name")))


def _command(case: EndToEnd, arguments: Mapping[str, Any], action: Mapping[str, Any]) -> None:
    """A command line: documents that are applied, or one of Argo's verbs as the order that it gives."""
    tool, words = arguments["tool"], arguments["args"]
    if tool.endswith(".yaml"):
        _told(action, lambda: case.apply(tool))
    elif tool != "argo":
        raise OutOfScope("runs a program of the test's machine that looks into a pod")
    elif words and words[0] in _VERBS:
        _told(action, lambda: _VERBS[words[0]](case, words[1:]))
    else:
        raise PartMissing(f"no player for the command argo {' '.join(words)}")


def _told(action: Mapping[str, Any], step: Callable[[], None]) -> None:
    error: FlowError | None = None
    try:
        step()
    except FlowError as refused:
        error = refused
    check_error(True if action.get("error") else None, error)


def _argo_submit(case: EndToEnd, words: list[str]) -> None:
    if "--from" in words:
        kind, _, name = words[words.index("--from") + 1].partition("/")
        kinds = {"workflowtemplate": "WorkflowTemplate", "clusterworkflowtemplate": "ClusterWorkflowTemplate", "cronwf": "CronWorkflow"}
        document = case.cluster.world.catalog.get(kinds[kind.lower()], name)
        if document is None:
            raise UsageError(f"{kind} {name} not found")
        case.submit(document)
    else:
        case.apply(words[0])


def _argo_retry(case: EndToEnd, _words: list[str]) -> None:
    run = case.current()
    if not run.completed:
        raise UsageError(f"workflow {run.name} has not ended")
    run.retry()


_VERBS: dict[str, Callable[[EndToEnd, list[str]], None]] = {
    "get": lambda _case, _words: None,
    "logs": lambda _case, _words: None,
    "retry": _argo_retry,
    "resume": lambda case, _words: case.current().tell(ResumeRequested()),
    "stop": lambda case, _words: case.current().tell(ShutdownRequested(Shutdown.STOP)),
    "submit": _argo_submit,
    "suspend": lambda case, _words: case.current().tell(SuspendRequested()),
    "terminate": lambda case, _words: case.current().tell(ShutdownRequested(Shutdown.TERMINATE)),
    "watch": lambda _case, _words: None,
}

_ACTIONS: dict[str, Callable[[EndToEnd, Any, Mapping[str, Any]], None]] = {
    "cli": _command,
    "clear_d_b_semaphore_state": _nothing,
    "cluster": _nothing,
    "delete_configmap": _delete_config_map,
    "expect": _expect,
    "resume_cron_workflow": _cron_suspended(on=False),
    "sleep": _sleep,
    "stop": _shut_down(Shutdown.STOP),
    "submit": _submit,
    "suspend_cron_workflow": _cron_suspended(on=True),
    "terminate": _shut_down(Shutdown.TERMINATE),
    "wait": _wait,
    "wait_for_cron_workflow": _wait_for_cron("status.lastScheduledTime", {"present": True}),
    "wait_for_cron_workflow_completed": _wait_for_cron("status.phase", "Stopped"),
    "workflow": _workflow,
}
