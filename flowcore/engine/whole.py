"""The run as a whole: its start, its entrypoint, its hooks and exit handler, its end.

``operate`` is one pass: it walks down from the root to what changed, as Argo's controller walks over everything. The engine calls it until
a pass changes nothing.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

from flowcore.engine import control, daemons, gates, hooks, limits, rules, times
from flowcore.engine.calls import Call, CallFailed, NotNow, TooDeep
from flowcore.engine.execute import Executing
from flowcore.engine.messages import Acquire, Release, Wake
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expressions import compile_expression
from flowcore.language.tags import substitute
from flowcore.nodes import POD_NAME_FORMAT, Node, NodeType, Phase, Shutdown, WorkflowPhase, pod_name, pod_name_version
from flowcore.plan.locking import locks_of
from flowcore.plan.scopes import failures_text, global_artifacts, global_parameters, global_variables, scope_with
from flowcore.plan.templates import Holder

LABEL_PHASE = "workflows.argoproj.io/phase"
LABEL_COMPLETED = "workflows.argoproj.io/completed"
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LONGEST_LABEL = 63


def prepare(turn: Turn) -> None:
    """Make the globals of the run, and fill them into the spec; done whenever the run is opened."""
    plan, state = turn.plan, turn.state
    scope_with(state.globals, global_variables(plan.spec, turn.run, plan.parameters))
    scope_with(state.globals, global_parameters(turn.run.outputs))
    scope_with(state.shared, global_artifacts(turn.run.outputs))
    _fill_in(turn)


def _fill_in(turn: Turn) -> None:
    """Put the globals into the spec, all but its templates; the parameters that the run was given may refer to others."""
    plan, state = turn.plan, turn.state
    templates = plan.spec.get("templates")
    spec = substitute({key: value for key, value in plan.spec.items() if key != "templates"}, state.globals)
    arguments = object_of(spec, "arguments")
    listed = arguments.get("parameters")
    for parameter in listed if isinstance(listed, list) else ():
        if isinstance(parameter, dict) and parameter.get("value") is not None:
            state.globals.set(f"workflow.parameters.{text_of(parameter, 'name')}", str(parameter["value"]))
    plan.spec = {**spec, "templates": templates} if templates is not None else spec


def start(turn: Turn) -> None:
    """Begin a new run: its metadata, its first phase, its deadline."""
    if turn.plan.problem:
        finish(turn, WorkflowPhase.FAILED, turn.plan.problem)
        return
    try:
        label(turn)
    except ExpressionError as error:
        finish(turn, WorkflowPhase.ERROR, str(error))
        return
    problem = turn.plan.repository_problem()
    if problem:
        finish(turn, WorkflowPhase.ERROR, problem)
        return
    locks = locks_of(object_of(turn.plan.spec, "synchronization"))
    if locks:
        turn.commands.append(Acquire(None, locks))
        turn.update_run(replace(turn.run, phase=WorkflowPhase.PENDING))
        return
    begin_running(turn)


def begin_running(turn: Turn) -> None:
    """The run is Running from now on."""
    annotations = {POD_NAME_FORMAT: turn.plan.options.pod_name_version, **(turn.run.annotations or {})}
    started = turn.run.started_at or turn.now
    turn.update_run(replace(turn.run, phase=WorkflowPhase.RUNNING, message="", started_at=started, annotations=annotations))
    deadline = times.run_deadline(turn)
    if deadline is not None:
        turn.commands.append(Wake(None, deadline))
    turn.state.root_dirty = True


def end_if_pending(turn: Turn) -> None:
    """A run that is terminated while it waits for its locks has failed: it never began."""
    if turn.run.shutdown is Shutdown.TERMINATE and turn.run.phase is WorkflowPhase.PENDING:
        finish(turn, WorkflowPhase.FAILED, f"Stopped with strategy '{turn.run.shutdown}'")


def label(turn: Turn) -> None:
    """Put the labels and annotations of ``workflowMetadata`` on the run, and into its spec. Raises ExpressionError."""
    metadata = object_of(turn.plan.spec, "workflowMetadata")
    if not metadata:
        return
    labels = {name: str(value) for name, value in object_of(metadata, "labels").items()}
    annotations = {name: str(value) for name, value in object_of(metadata, "annotations").items()}
    for name, source in object_of(metadata, "labelsFrom").items():
        labels[name] = _label_from(turn, name, text_of(source, "expression") if isinstance(source, dict) else "")
    for name, value in labels.items():
        _check_label(name, value)
        turn.state.globals.set(f"workflow.labels.{name}", value)
    for name, value in annotations.items():
        turn.state.globals.set(f"workflow.annotations.{name}", value)
    run = turn.run
    turn.update_run(replace(run, labels={**(run.labels or {}), **labels}, annotations={**(run.annotations or {}), **annotations}))
    _fill_in(turn)


def _check_label(name: str, value: str) -> None:
    if len(value) > _LONGEST_LABEL or not _LABEL_VALUE.fullmatch(value):
        rule = f"at most {_LONGEST_LABEL} letters, digits, '-', '_' and '.', with a letter or digit at both ends"
        raise ExpressionError(f'invalid label value "{value[:100]}" for label "{name}": it must have {rule}')


def _label_from(turn: Turn, name: str, source: str) -> str:
    try:
        value = compile_expression(source).evaluate(turn.state.globals.environment(), functions=ARGO_FUNCTIONS)
    except ExpressionError as error:
        what = "compile function for expression" if error.stage == "compile" else f'evaluate label "{name}" expression'
        raise ExpressionError(f'failed to {what} "{source}": {error}') from None
    if not isinstance(value, str):
        kind = type(value).__name__
        raise ExpressionError(f'failed to evaluate label "{name}" expression "{source}" evaluted to {kind} but must be a string')
    return value


def operate(executing: Executing, turn: Turn) -> None:
    """One pass over what changed."""
    turn.state.root_dirty = False
    if turn.run.phase.completed or turn.run.phase is WorkflowPhase.PENDING or turn.run.suspended:
        return
    if turn.run.shutdown is not Shutdown.NONE:
        control.fail_idle_retries(turn)
    _refresh_globals(turn)
    limits.wake_blocked(turn)
    root = _execute_entrypoint(executing, turn)
    if root is None:
        return
    status = rules.WORKFLOW_PHASE[root.phase]
    turn.state.current.set("workflow.status", str(status))
    _note_failures(turn)
    try:
        if not _run_hooks(executing, turn, root):
            return
    except CallFailed as error:
        root = turn.mark(root.id, Phase.ERROR, error.message)
        status = WorkflowPhase.ERROR
    if not root.fulfilled:
        return
    handler = _run_exit_handler(executing, turn)
    if handler is _WAITING:
        return
    _conclude(turn, root, status, handler if isinstance(handler, Node) else None)


def meet_all(executing: Executing, turn: Turn) -> None:
    """Walk over a recorded run, so that all that is under way is met once. Called with ``Turn.frozen``."""
    _refresh_globals(turn)
    with suppress(NotNow):
        _execute_entrypoint(executing, turn)
    root = turn.by_name(turn.plan.name)
    if root is None:
        return
    turn.state.current.set("workflow.status", str(rules.WORKFLOW_PHASE[root.phase]))
    _note_failures(turn)
    with suppress(CallFailed, NotNow):
        _run_hooks(executing, turn, root)
    if turn.by_name(hooks.exit_name(turn.run.name)) is not None:
        with suppress(NotNow):
            _run_exit_handler(executing, turn)


def _refresh_globals(turn: Turn) -> None:
    values = turn.state.current
    values.set("workflow.status", str(turn.run.phase) if turn.state.nodes else "")
    if turn.state.nodes:
        values.set(f"workflow.labels.{LABEL_PHASE}", str(turn.run.phase))
        values.set(f"workflow.labels.{LABEL_COMPLETED}", "false")
    if turn.plan.mentions("workflow.duration") and turn.run.started_at is not None:
        values.set("workflow.duration", f"{(turn.now - turn.run.started_at).total_seconds():f}")


def _execute_entrypoint(executing: Executing, turn: Turn) -> Node | None:
    """The root, moved on as far as it goes; None if this pass ends here."""
    plan, state = turn.plan, turn.state
    begun = turn.by_name(plan.name) is not None
    call = Call(
        name=plan.name,
        holder=Holder(template=text_of(plan.spec, "entrypoint")),
        arguments={} if begun else state.arguments(),
        base=plan.templates.local,
    )
    try:
        return executing.execute(turn, call)
    except NotNow:
        if turn.by_name(call.name) is not None:
            limits.block(turn, turn.id_of(call.name))
        state.wait_for_slot = True
        return None
    except TooDeep as error:
        message = error.message
    except CallFailed as error:
        message = error.message
    finish(turn, WorkflowPhase.ERROR, f"error in entry template execution: {message}")
    return None


def _note_failures(turn: Turn) -> None:
    if not turn.plan.mentions("workflow.failures"):
        return
    failed = [node for node in turn.state.nodes.values() if node.phase.failed_or_error]
    version = pod_name_version(turn.run)
    names = {
        node.id: pod_name(turn.run.name, node.name, node.template_name or text_of(node.template_ref or {}, "template"), version=version)
        for node in failed
    }
    turn.state.current.set("workflow.failures", failures_text(failed, names))


def _run_hooks(executing: Executing, turn: Turn, root: Node) -> bool:
    """Run the hooks of the workflow; whether all that were started are fulfilled. Raises CallFailed."""
    spec = turn.plan.spec
    started: list[Node] = []
    for name, hook in object_of(spec, "hooks").items():
        if name == hooks.EXIT or not isinstance(hook, dict):
            continue
        node_name = hooks.hook_name(turn.run.name, name)
        hooked = turn.by_name(node_name)
        if hooked is None and not hooks.holds(hook, turn.state.current, node_name):
            continue
        if hooked is not None and hooked.phase.fulfilled:
            continue
        call = Call(
            name=node_name,
            holder=Holder.of(hook),
            arguments=substitute(object_of(hook, "arguments"), turn.state.current),
            base=turn.plan.templates.local,
            hooked=True,
        )
        started.append(hooks.run_hooked(executing, turn, call, root))
    return all(turn.row(hooked.id).fulfilled for hooked in started)


_WAITING = object()


def _run_exit_handler(executing: Executing, turn: Turn) -> object:
    """The node of the exit handler when it is fulfilled, None if there is none, or ``_WAITING``."""
    hook = _exit_hook(turn)
    if hook is None:
        return None
    name = hooks.exit_name(turn.run.name)
    made = turn.by_name(name)
    if made is None and turn.run.shutdown is Shutdown.TERMINATE:
        return None
    if made is not None and made.fulfilled and made.phase.fulfilled:
        return made
    call = Call(
        name=name,
        holder=Holder.of(hook),
        arguments=object_of(hook, "arguments"),
        base=turn.plan.templates.local,
        hooked=True,
        on_exit=True,
    )
    try:
        made = executing.execute(turn, call)
    except NotNow:
        turn.state.wait_for_slot = True
        return _WAITING
    except (TooDeep, CallFailed) as error:
        finish(turn, WorkflowPhase.ERROR, f"error in exit template execution : {error.message}")
        return _WAITING
    return turn.row(made.id) if turn.row(made.id).fulfilled else _WAITING


def _exit_hook(turn: Turn) -> JsonObject | None:
    spec = turn.plan.spec
    call: JsonObject = {"onExit": spec.get("onExit"), "hooks": spec.get("hooks")}
    hook = hooks.exit_hook(call, turn.state.arguments())
    if hook is None:
        return None
    return {**hook, "arguments": substitute(object_of(hook, "arguments"), turn.state.current)}


def _conclude(turn: Turn, root: Node, status: WorkflowPhase, handler: Node | None) -> None:
    """Give the run its last phase, from its root and its exit handler."""
    if status is WorkflowPhase.RUNNING:  # a daemon as entrypoint: it is up, and that is all that was asked for
        status = WorkflowPhase.SUCCEEDED
    message = root.message
    if root.phase.failed_or_error and turn.run.shutdown is not Shutdown.NONE:
        message = f"Stopped with strategy '{turn.run.shutdown}'"
    if status is not WorkflowPhase.SUCCEEDED:
        finish(turn, status, message)
    elif handler is not None and handler.phase.failed_or_error:
        finish(turn, rules.WORKFLOW_PHASE[handler.phase], handler.message)
    else:
        finish(turn, WorkflowPhase.SUCCEEDED, "")


def finish(turn: Turn, phase: WorkflowPhase, message: str) -> None:
    """End the run, unless work is still under way: then it ends when that has."""
    daemons.end_beneath(turn, None)
    root = turn.get(turn.id_of(turn.run.name))
    if root is not None and (turn.state.late or (turn.state.open_leaves and _pods_at_work(turn))):
        return
    if phase is WorkflowPhase.ERROR and root is not None and root.phase is Phase.RUNNING:
        turn.mark(root.id, Phase.ERROR, "Workflow operation error")
    labels = {**(turn.run.labels or {}), LABEL_PHASE: str(phase), LABEL_COMPLETED: "true"}
    turn.update_run(
        replace(turn.run, phase=phase, message=message, started_at=turn.run.started_at or turn.now, finished_at=turn.now, labels=labels)
    )
    if locks_of(object_of(turn.plan.spec, "synchronization")):
        turn.commands.append(Release(None))


def _pods_at_work(turn: Turn) -> bool:
    return any(
        node.type is NodeType.POD and not node.phase.fulfilled and not node.daemoned and node.waiting is None
        for node in turn.state.nodes.values()
    )


def fail_if_stuck(turn: Turn) -> bool:
    """End a run in which nothing runs, nothing waits and nothing can start; Argo would wait for ever. Whether it was so."""
    if not is_idle(turn) or gates.waiters(turn):
        return False
    message = "nothing runs and nothing can start any more"
    if turn.state.blocked or turn.state.wait_for_slot:
        message += ": parallelism leaves no room for what is left"
    end_stuck(turn, message)
    return True


def is_idle(turn: Turn) -> bool:
    """Whether nothing runs and no time is waited for: only an answer from outside, if there is one to come, gets the run on."""
    state, run = turn.state, turn.run
    if run.phase is not WorkflowPhase.RUNNING or run.suspended or state.open_leaves or state.timers or state.late:
        return False
    return times.run_deadline(turn) is None or times.deadline_passed(turn)


def end_stuck(turn: Turn, message: str) -> None:
    """End a run that cannot get on."""
    state = turn.state
    root = turn.get(turn.id_of(turn.run.name))
    if root is not None and not root.phase.fulfilled:
        turn.mark(root.id, Phase.ERROR, message)
    daemons.end_beneath(turn, None)
    for id_ in list(state.daemons):
        times.stop(turn, turn.row(id_))
    finish(turn, WorkflowPhase.ERROR, message)


__all__ = ["begin_running", "fail_if_stuck", "finish", "label", "operate", "prepare", "start"]
