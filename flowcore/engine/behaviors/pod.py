"""Leaves: nodes whose work an executor does (container, script, containerSet, resource, data, http, plugin).

``begin`` makes the node and asks for its start; ``ended`` judges the outcome that came back.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from flowcore.engine import gates, outputs, times
from flowcore.engine.calls import Call, CallFailed
from flowcore.engine.execute import display_name_of, name_of_pod
from flowcore.engine.frames import DagFrame, Frame, LeafFrame, StepsFrame
from flowcore.engine.messages import Invocation, MemberOutcome, Outcome, Start
from flowcore.engine.turn import Turn
from flowcore.jsontypes import JsonObject, object_of, objects_of, text_of
from flowcore.language.scope import Scope
from flowcore.language.tags import substitute
from flowcore.nodes import Node, NodeId, NodeType, Phase, Shutdown, changed, step_name_of
from flowcore.plan.arguments import Processed
from flowcore.plan.artifacts import KEY_FIELDS, placed
from flowcore.plan.templates import Base

ANNOTATION_PROGRESS = "workflows.argoproj.io/progress"
_PROGRESS = re.compile(r"(\d{1,18})/(\d{1,18})")
_PLACEMENT = ("nodeSelector", "affinity", "tolerations")


def begin(turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None) -> Node:
    """Make the node, Pending, and ask for its start; under a shutdown it fails without one."""
    entry = processed.entry
    if node is None:
        node = turn.create(call, entry.node_type, Phase.PENDING, inputs=processed.inputs, display_name=display_name_of(processed.body))
        _keep_memoization(turn, node, processed)
        _keep_progress(turn, node, processed)
    elif node.id in turn.state.unopened:
        return _take_up(turn, call, base, processed, node)
    refusal = _refusal(turn, call, entry.is_pod)
    if refusal:
        return turn.mark(node.id, Phase.FAILED, refusal)
    problem = turn.plan.volume_problem(processed.body) or turn.plan.driver_problem(processed.body)
    if problem and entry.is_pod:
        raise CallFailed(problem)
    invocation = make_invocation(turn, call, processed, turn.row(node.id))
    slim = _slim(processed)
    if slim.body or call.until is not None:  # the others' rows say all that is needed
        turn.state.frames[node.id] = LeafFrame(node=node.id, call=call, processed=slim, base=base, begun=True)
    if node.phase is Phase.PENDING:
        times.watch_pending(turn, turn.row(node.id), processed.body)
    _make_members(turn, call, processed, node)
    turn.commands.append(Start(invocation))
    return turn.row(node.id)


def _take_up(turn: Turn, call: Call, base: Base, processed: Processed, node: Node) -> Node:
    """A recorded leaf that was under way: have its executor adopt the work, and end it if that was ordered."""
    turn.state.frames[node.id] = LeafFrame(node=node.id, call=call, processed=_slim(processed), base=base, begun=True)
    turn.commands.append(Start(make_invocation(turn, call, processed, node)))
    if times.is_to_end(turn, node):
        times.stop(turn, node)
    return node


def _slim(processed: Processed) -> Processed:
    """What is needed when the work ends; the rest of the body need not be kept."""
    kept: JsonObject = {key: processed.body[key] for key in _KEPT if key in processed.body}
    return Processed(processed.entry, kept or _NOTHING, None, _NO_SCOPE)


_KEPT = ("outputs", "daemon", "activeDeadlineSeconds", "timeout", "pendingTimeout")
_NOTHING: JsonObject = {}
_NO_SCOPE = Scope()


def _keep_memoization(turn: Turn, node: Node, processed: Processed) -> None:
    memoize = object_of(processed.body, "memoize")
    if memoize and node.memoization is None:
        turn.put(replace(node, memoization=gates.memoization(memoize)))


def _keep_progress(turn: Turn, node: Node, processed: Processed) -> None:
    """A template can say how much there will be to do; what its work reports goes before that."""
    if "metadata" not in processed.body:
        return
    match = _PROGRESS.fullmatch(text_of(object_of(object_of(processed.body, "metadata"), "annotations"), ANNOTATION_PROGRESS))
    if match is not None and int(match[1]) <= int(match[2]) > 0:
        turn.put(changed(turn.row(node.id), progress=match[0]))


def _refusal(turn: Turn, call: Call, is_pod: bool) -> str:
    """Why the work is not started, if so."""
    shutdown = turn.run.shutdown
    if shutdown is Shutdown.TERMINATE or (shutdown is Shutdown.STOP and not call.on_exit):
        return f"workflow shutdown with strategy: {shutdown}" if is_pod else f"Stopped with strategy '{shutdown}'"
    deadline = times.run_deadline(turn)
    if deadline is not None and not call.on_exit and turn.now >= deadline:
        return times.DEADLINE
    return ""


def make_invocation(turn: Turn, call: Call, processed: Processed, node: Node) -> Invocation:
    """The template with every input filled in, ready for an executor."""
    entry, run = processed.entry, turn.run
    pod = name_of_pod(turn, node.name, entry)
    body = processed.body
    archive_logs = entry.is_pod and turn.plan.archives_logs(body)
    if archive_logs or "artifacts" in object_of(body, "outputs"):
        body = placed(body, _location(turn, pod), archive_logs=archive_logs)
    body = _in_its_place(turn, call, body)
    return Invocation(
        node=node.id,
        node_name=node.name,
        display_name=node.display_name,
        node_type=node.type,
        pod_name=pod,
        workflow=run.name,
        namespace=run.namespace,
        uid=run.uid,
        template_name=entry.name,
        body=body,
        inputs=processed.inputs,
        attempt=_attempt(node) if call.retried else 0,
        capture_result=_captures(turn, call, entry.kind, node),
        daemon=bool(body.get("daemon")),
        on_exit=call.on_exit,
        step_name=call.holder.caller_name,
        volumes=_volumes(turn, processed),
    )


def _in_its_place(turn: Turn, call: Call, body: JsonObject) -> JsonObject:
    """The template with the placement rules of the Steps or DAG template that calls it, where it has none of its own."""
    frame = turn.state.frames.get(call.boundary) if call.boundary is not None else None
    if not isinstance(frame, StepsFrame | DagFrame):
        return body
    around = frame.processed.body
    lent = {field: around[field] for field in _PLACEMENT if around.get(field) and not body.get(field)}
    return {**body, **lent} if lent else body


def _location(turn: Turn, pod: str) -> JsonObject:
    """The default repository, with the key that this pod's files are beneath."""
    key = substitute(turn.plan.key_format(), turn.state.globals.child({"pod.name": pod}))
    kind = turn.plan.repository_kind()
    repository = {name: value for name, value in object_of(turn.plan.options.artifact_repository, kind).items() if name != "keyFormat"}
    return {kind: {**repository, KEY_FIELDS[kind]: key}}


def _attempt(node: Node) -> int:
    number = node.name.rpartition("(")[2].rstrip(")")
    return int(number) if number.isdigit() else 0


def _volumes(turn: Turn, processed: Processed) -> tuple[JsonObject, ...]:
    volumes = objects_of(turn.plan.spec, "volumes")
    return tuple(substitute(volumes, processed.scope)) if volumes else ()


def _captures(turn: Turn, call: Call, kind: str, node: Node) -> bool:
    """Whether stdout is wanted: only where the text of the template around the node names it."""
    if kind == "data" or turn.plan.options.capture_results:
        return True
    if call.boundary is None or kind == "resource":
        return False
    frame: Frame | None = turn.state.frames.get(call.boundary)
    if not isinstance(frame, StepsFrame | DagFrame) or frame.call.holder.inline is not None:
        return False
    if turn.row(call.boundary).type is NodeType.RETRY:
        return False  # a hook in whose name these steps are carried on: Argo reads the hook's template
    return frame.processed.entry.refers_to_result(step_name_of(node.name))


def _make_members(turn: Turn, call: Call, processed: Processed, node: Node) -> None:
    """The nodes of a containerSet's containers: they hang below each other as they depend on each other."""
    if processed.entry.kind != "containerSet":
        return
    containers = objects_of(object_of(processed.body, "containerSet"), "containers")
    for container in containers:
        member = replace(call, name=f"{node.name}.{text_of(container, 'name')}", boundary=node.id, owner=node.id, parents=())
        if turn.by_name(member.name) is None:
            turn.create(member, NodeType.CONTAINER, Phase.PENDING)
    for container in containers:
        id_ = turn.id_of(f"{node.name}.{text_of(container, 'name')}")
        names = container.get("dependencies")
        parents = [turn.id_of(f"{node.name}.{name}") for name in names] if isinstance(names, list) and names else [node.id]
        turn.connect_all(parents, id_)


def started(turn: Turn, node: Node, host: str | None) -> None:
    """The work began: the node is Running, and its deadline counts from now."""
    message = "" if node.phase is Phase.PENDING else node.message
    row = changed(node, phase=Phase.RUNNING, message=message, host_node_name=host or node.host_node_name)
    turn.put(row, quietly=not turn.plan.mentions('"hooks":'))  # only hooks ask whether something runs
    for member in turn.children(node.id):
        row = turn.row(member)
        if row.type is NodeType.CONTAINER and row.phase is Phase.PENDING:
            turn.mark(member, Phase.RUNNING)
    frame = turn.state.frames.get(node.id)
    if isinstance(frame, LeafFrame):
        times.watch_running(turn, turn.row(node.id), frame.processed.body, frame.call.until)


def ready(turn: Turn, node: Node, pod_ip: str | None) -> None:
    """All containers are ready: a daemon is fulfilled by that, once."""
    frame = turn.state.frames.get(node.id)
    if node.daemoned or not isinstance(frame, LeafFrame) or not frame.processed.body.get("daemon"):
        return
    finished = node.finished_at or turn.now
    turn.put(replace(node, phase=Phase.RUNNING, message="", daemoned=True, pod_ip=pod_ip or node.pod_ip, finished_at=finished))


def ended(turn: Turn, node: Node, outcome: Outcome) -> None:
    """The work ended: judge it, keep its outputs, and tell the run of global ones."""
    frame = turn.state.frames.pop(node.id, None)
    body = frame.processed.body if isinstance(frame, LeafFrame) else {}
    made, missing = outputs.of_outcome(object_of(body, "outputs"), outcome)
    phase, message = _judge(turn, node, outcome, missing, daemon=bool(body.get("daemon")))
    if node.type is NodeType.HTTP and made is not None:
        made = {key: value for key, value in made.items() if key != "exitCode"}
    progress = outcome.progress or node.progress
    turn.put(
        changed(
            node,
            phase=phase,
            message=message,
            outputs=made,
            daemoned=False,
            finished_at=_end_of(node, turn.now),
            wake_at=None,
            progress=progress,
            host_node_name=outcome.host_node_name or node.host_node_name,
        )
    )
    turn.state.stopping.discard(node.id)
    _end_members(turn, node.id, outcome, message)
    outputs.export(turn, made)
    gates.remember(turn, turn.row(node.id))
    gates.leave(turn, turn.row(node.id))


def ended_late(turn: Turn, node: Node, outcome: Outcome) -> None:
    """The work of a daemon that was ended with its scope is over: its own end is what the node shows, as in Argo."""
    turn.state.stopping.discard(node.id)
    if node.id not in turn.state.late:
        return
    turn.state.late.discard(node.id)
    turn.state.root_dirty = True  # the run may have waited for this
    if node.phase is Phase.SUCCEEDED and outcome.phase.failed_or_error:
        outputs_made: JsonObject | None = {"exitCode": str(outcome.exit_code)} if outcome.exit_code is not None else node.outputs
        turn.put(replace(node, phase=outcome.phase, message=outcome.message, outputs=outputs_made))


def _end_of(node: Node, now: datetime) -> datetime:
    return now if node.finished_at is None or node.daemoned else node.finished_at


def _judge(turn: Turn, node: Node, outcome: Outcome, missing: str, *, daemon: bool) -> tuple[Phase, str]:
    if node.message == times.POD_DEADLINE:
        return Phase.FAILED, times.POD_DEADLINE
    if outcome.phase is Phase.SUCCEEDED:
        if missing:
            return Phase.ERROR, missing
        return (Phase.FAILED if daemon else Phase.SUCCEEDED), outcome.message
    fallback = node.message if node.id in turn.state.stopping else ""
    return outcome.phase, outcome.message or fallback


def _end_members(turn: Turn, pod: NodeId, outcome: Outcome, message: str) -> None:
    for member in list(turn.children(pod)):
        _end_member(turn, member, outcome, message)


def _end_member(turn: Turn, member: NodeId, outcome: Outcome, message: str) -> None:
    row = turn.get(member)
    if row is None or row.type is not NodeType.CONTAINER or row.phase.fulfilled:
        return
    name = row.name.rpartition(".")[2]
    known = outcome.members.get(name)
    if known is None:
        done = outcome.phase is Phase.SUCCEEDED
        known = MemberOutcome(phase=Phase.SUCCEEDED if done else Phase.FAILED, message="" if done else message)
    turn.mark(member, known.phase, known.message)
    for below in list(turn.children(member)):
        _end_member(turn, below, outcome, message)
