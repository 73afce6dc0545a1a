"""DAG nodes: a task starts when its ``depends`` holds, and is omitted when it does not.

``advance`` looks at the tasks that changed and at those whose dependencies are done, dependencies first. A task is *settled* when it and all
that belongs to it (hooks, exit handlers) are fulfilled; only then are its dependents looked at. When nothing is open any more
``rules.dag_phase`` gives the verdict. Loops are in ``fanout.py``.
"""

from __future__ import annotations

from dataclasses import replace

from flowcore.engine import daemons, gates, hooks, limits, outputs, rules
from flowcore.engine.behaviors import fanout
from flowcore.engine.calls import Call, CallFailed, LimitReached, NotNow, TooDeep, continues_on, resolve_call
from flowcore.engine.dag_scope import build_frame, check_ancestors, check_loop, scope_of_outputs, scope_of_task
from flowcore.engine.execute import Executing, display_name_of
from flowcore.engine.frames import DagFrame, Frame
from flowcore.engine.outbound import outbound_nodes
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import JsonObject, object_of, text_of
from flowcore.language.depends import TaskResults
from flowcore.language.when import evaluate_when
from flowcore.nodes import Node, NodeId, NodeType, Phase, Shutdown
from flowcore.plan.arguments import Processed
from flowcore.plan.expansion import is_loop
from flowcore.plan.templates import Base, Holder

OMITTED = "omitted: depends condition not met"


class DagRunning:
    """The behavior of DAG nodes; it executes tasks through ``executing``."""

    def __init__(self, executing: Executing) -> None:
        self.executing = executing

    def begin(self, turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None) -> Node:
        """Make the node, and start the tasks that depend on nothing."""
        if node is None:
            node = turn.create(call, NodeType.DAG, Phase.RUNNING, inputs=processed.inputs, display_name=display_name_of(processed.body))
        frame = build_frame(turn, call, base, processed, node)
        turn.state.frames[node.id] = frame
        for name in frame.order:
            if turn.get(frame.ids[name]) is not None:
                self._note(frame, name, frame.ids[name])
                self._nominate(frame, name)
            elif not frame.dependencies[name]:
                self._nominate(frame, name)
        return self.advance(turn, frame)

    def advance(self, turn: Turn, frame: Frame) -> Node:
        """Look at what changed, then start what may start; give the verdict when nothing is open."""
        assert isinstance(frame, DagFrame)
        for child in turn.state.dirty.pop(frame.node, {}):
            name = frame.task_of.get(child)
            if name is not None and not self._is_working(turn, frame, name, child):
                self._nominate(frame, name)
        try:
            blocked = self._visit(turn, frame)
        except CallFailed as error:
            turn.mark(frame.node, Phase.ERROR, error.message)
            self._finish(turn, frame)
            raise
        if turn.row(frame.node).phase.fulfilled:  # failFast
            return self._finish(turn, frame)
        if blocked:
            limits.block(turn, frame.node)
        return self._assess(turn, frame)

    def _is_working(self, turn: Turn, frame: DagFrame, name: str, child: NodeId) -> bool:
        """Whether a task is a leaf that its executor works on and nothing else: there is nothing to be done about it."""
        row = turn.row(child)
        return not row.fulfilled and child not in turn.state.frames and not row.type.composite and "hooks" not in frame.tasks[name]

    def _visit(self, turn: Turn, frame: DagFrame) -> bool:
        """Look at each candidate, dependencies first; whether some wait for a free slot."""
        blocked: list[str] = []
        while frame.candidates:
            name = frame.candidates.pop()
            try:
                self._look_at(turn, frame, name)
            except NotNow:
                blocked.append(name)
        blocked += frame.postponed
        frame.postponed.clear()
        for name in blocked:
            self._nominate(frame, name)
        return bool(blocked)

    def _nominate(self, frame: DagFrame, name: str) -> None:
        if name in frame.order:
            frame.candidates.add(name, frame.order[name])

    def _look_at(self, turn: Turn, frame: DagFrame, name: str) -> None:
        """Visit one task, in the order of Argo: its hooks, then the task itself, then its exit handler; a target's hooks once more."""
        node = turn.get(frame.ids[name])
        if node is None:
            self._consider(turn, frame, name)
            node = turn.get(frame.ids[name])
            if node is None:
                return
        else:
            self._visit_existing(turn, frame, name, node)
        if frame.broken_loops and name in frame.targets:
            try:
                check_ancestors(frame, name)
            except ExpressionError as error:
                raise CallFailed(str(error)) from None
        if name in frame.targets and object_of(frame.tasks[name], "hooks"):
            self._run_hooks(turn, frame, name, turn.row(node.id))
        self._settle(turn, frame, name, node.id)

    def _visit_existing(self, turn: Turn, frame: DagFrame, name: str, node: Node) -> None:
        if node.fulfilled or node.phase is Phase.RUNNING:
            try:
                if not self._run_hooks(turn, frame, name, node) and not turn.frozen:
                    return
            except CallFailed as error:
                turn.mark(node.id, Phase.ERROR, error.message)
                return
        node = turn.row(node.id)
        if node.phase.fulfilled:
            if turn.frozen and node.type is NodeType.TASK_GROUP and any(child in turn.state.unopened for child in turn.children(node.id)):
                self._move_on(turn, frame, name, node)
            self._run_exit_handler(turn, frame, name, node)
        elif self._move_on(turn, frame, name, node):
            self._run_exit_handler(turn, frame, name, turn.row(node.id))

    def _settle(self, turn: Turn, frame: DagFrame, name: str, id_: NodeId) -> None:
        """A task is settled when it and all that belongs to it are fulfilled: then its dependents are looked at."""
        node = turn.row(id_)
        if not node.fulfilled or not self._belongings_fulfilled(turn, node):
            frame.unsettled[id_] = None
        elif id_ in frame.unsettled:
            del frame.unsettled[id_]
            check_loop(turn, frame, name, node)
            for dependent in frame.dependents[name]:
                self._nominate(frame, dependent)

    # --- one task -----------------------------------------------------------------------------------------------------------------

    def _note(self, frame: DagFrame, name: str, node: NodeId) -> None:
        frame.task_of[node] = name
        frame.unsettled[node] = None

    def _consider(self, turn: Turn, frame: DagFrame, name: str) -> None:
        """Start, omit or leave alone a task that has no node yet."""
        try:
            proceed = self._depends(turn, frame, name)
        except ExpressionError as error:
            self._make(turn, frame, name, Phase.ERROR, str(error))
            return
        if proceed is None:
            return
        if not proceed:
            self._make(turn, frame, name, Phase.OMITTED, OMITTED)
            return
        try:
            scope = scope_of_task(turn, frame, name)
            task = resolve_call(frame.tasks[name], scope, turn.plan.options.semantics)
            if is_loop(task):
                group = fanout.begin(turn, frame, task, scope)
                if group is None:
                    self._make(turn, frame, name, Phase.SKIPPED, "Skipped, empty params")
                else:
                    self._note(frame, name, group)
                    turn.connect_all(self._parents(turn, frame, name), group)
                    self._expand(turn, frame, name, group)
                return
        except ExpressionError as error:
            self._make(turn, frame, name, Phase.ERROR, str(error))
            return
        self._start(turn, frame, name, task)

    def _depends(self, turn: Turn, frame: DagFrame, name: str) -> bool | None:
        """Whether the task's ``depends`` holds; None while a dependency is not done. Raises ExpressionError."""
        logic = frame.logic[name]
        if logic is None:
            return True
        results: dict[str, TaskResults] = {}
        for dependency in frame.dependencies[name]:
            node = turn.get(frame.ids[dependency])
            if node is None or node.id in frame.unsettled:
                return None
            results[dependency] = _results(turn, node)
        return logic.evaluate(results)

    def _belongings_fulfilled(self, turn: Turn, node: Node) -> bool:
        children = map(turn.get, turn.children(node.id))
        return all(child.fulfilled for child in children if child is not None and child.hooked and child.owner == node.id)

    def _make(self, turn: Turn, frame: DagFrame, name: str, phase: Phase, message: str) -> None:
        """Make the node of a task that does not run."""
        node = turn.create(self._call(turn, frame, name, frame.tasks[name]), NodeType.SKIPPED, phase, message=message)
        self._note(frame, name, node.id)

    def _call(self, turn: Turn, frame: DagFrame, name: str, task: JsonObject) -> Call:
        return Call(
            name=f"{turn.row(frame.node).name}.{name}",
            holder=Holder.of(task, caller="tasks"),
            arguments=object_of(task, "arguments"),
            base=frame.base,
            boundary=frame.node,
            owner=frame.node,
            parents=self._parents(turn, frame, name),
            on_exit=frame.call.on_exit,
        )

    def _parents(self, turn: Turn, frame: DagFrame, name: str) -> tuple[NodeId, ...]:
        """What a task hangs below: the DAG, or where its dependencies led to."""
        names = frame.dependencies[name]
        if not names:
            return (frame.node,)
        known = [frame.ids[dependency] for dependency in names if turn.get(frame.ids[dependency]) is not None]
        return tuple(dict.fromkeys(leaf for parent in known for leaf in outbound_nodes(turn, parent)))

    def _start(self, turn: Turn, frame: DagFrame, name: str, task: JsonObject) -> None:
        condition = text_of(task, "when")
        try:
            proceed = not condition or evaluate_when(condition)
        except ExpressionError as error:
            self._make(turn, frame, name, Phase.ERROR, str(error))
            return
        if not proceed:
            self._make(turn, frame, name, Phase.SKIPPED, f"when '{condition}' evaluated false")
            return
        call = self._call(turn, frame, name, task)
        clean = True
        try:
            self.executing.execute(turn, call)
        except (TooDeep, LimitReached):
            pass
        except CallFailed as error:
            turn.mark(turn.id_of(call.name), Phase.ERROR, f"task '{call.name}' errored: {error.message}")
            clean = False
        node = turn.row(frame.ids[name])
        self._note(frame, name, node.id)
        if clean:
            self._run_exit_handler(turn, frame, name, turn.row(node.id))

    def _move_on(self, turn: Turn, frame: DagFrame, name: str, node: Node) -> bool:
        """Move on a task that has begun; False if that put it in phase Error."""
        if node.type is NodeType.TASK_GROUP:
            if name not in frame.loops:
                self._reopen_loop(turn, frame, name, node)
            self._expand(turn, frame, name, node.id)
            return False
        known = turn.state.frames.get(node.id)
        try:
            if known is not None:
                self.executing.go_on_deeper(turn, known, node)
            elif node.id in turn.state.unopened:
                task = resolve_call(frame.tasks[name], scope_of_task(turn, frame, name), turn.plan.options.semantics)
                self.executing.execute(turn, self._call(turn, frame, name, task))
        except LimitReached:
            pass
        except (CallFailed, ExpressionError) as error:
            message = error.message if isinstance(error, CallFailed) else str(error)
            turn.mark(node.id, Phase.ERROR, f"task '{node.name}' errored: {message}")
            return False
        except TooDeep:
            pass
        return True

    def _reopen_loop(self, turn: Turn, frame: DagFrame, name: str, node: Node) -> None:
        scope = scope_of_task(turn, frame, name)
        try:
            fanout.begin(turn, frame, resolve_call(frame.tasks[name], scope, turn.plan.options.semantics), scope)
        except ExpressionError as error:
            turn.mark(node.id, Phase.ERROR, str(error))

    def _expand(self, turn: Turn, frame: DagFrame, name: str, group: NodeId) -> None:
        fanout.advance(self.executing, turn, frame, name, group, lambda: self._place(turn, frame, name, turn.row(group)))

    # --- hooks --------------------------------------------------------------------------------------------------------------------

    def _place(self, turn: Turn, frame: DagFrame, name: str, node: Node) -> hooks.Place:
        scope = scope_of_task(turn, frame, name).child({f"tasks.{name}.status": str(node.phase)})
        return hooks.Place(frame.node, frame.base, scope, "tasks", name)

    def _run_hooks(self, turn: Turn, frame: DagFrame, name: str, node: Node) -> bool:
        """Run the lifecycle hooks of a task; whether all that were started are fulfilled. Raises CallFailed."""
        task = frame.tasks[name]
        if not object_of(task, "hooks"):
            return True
        try:
            return hooks.run_hooks(self.executing, turn, task, node, self._place(turn, frame, name, node))
        except ExpressionError as error:
            raise CallFailed(str(error)) from None

    def _run_exit_handler(self, turn: Turn, frame: DagFrame, name: str, node: Node) -> None:
        """Run the exit handler of a task that completed. What goes wrong in starting it is the handler's own affair."""
        task = frame.tasks[name]
        if not node.phase.completed or not (text_of(task, "onExit") or object_of(task, "hooks")):
            return
        try:
            handler = hooks.exit_hook(task, turn.state.arguments())
            hooks.run_exit_handler(self.executing, turn, handler, node, self._place(turn, frame, name, node))
        except LimitReached:
            frame.postponed.append(name)
        except CallFailed:
            return
        except ExpressionError as error:
            turn.mark(node.id, Phase.ERROR, str(error))

    # --- ends ---------------------------------------------------------------------------------------------------------------------

    def _assess(self, turn: Turn, frame: DagFrame) -> Node:
        shutdown = turn.run.shutdown is not Shutdown.NONE and not frame.call.on_exit
        if shutdown and not self._exit_handlers_running(turn, frame):
            phase = Phase.FAILED
        elif frame.unsettled and not any(state.attentive for state in frame.loops.values()):
            return turn.row(frame.node)
        else:
            phase = self._verdict(turn, frame)
        match phase:
            case Phase.RUNNING:
                return turn.row(frame.node)
            case Phase.SUCCEEDED:
                return self._succeed(turn, frame)
        self._set_outbound(turn, frame)
        turn.mark(frame.node, phase)
        return self._finish(turn, frame)

    def _exit_handlers_running(self, turn: Turn, frame: DagFrame) -> bool:
        for name in frame.targets:
            handler = turn.by_name(hooks.exit_name(f"{turn.row(frame.node).name}.{name}"))
            if handler is not None and not handler.fulfilled:
                return True
        return False

    def _verdict(self, turn: Turn, frame: DagFrame) -> Phase:
        dag = object_of(frame.processed.body, "dag")
        groups: dict[NodeId, Phase] = {}
        ids = {frame.ids[name]: name for name in frame.targets}
        phase = rules.dag_phase(
            turn.children(frame.node),
            list(ids),
            turn.state.nodes,
            turn.children,
            fail_fast=dag.get("failFast") is not False,
            continues=lambda node, phase: continues_on(frame.tasks.get(ids[node], {}), phase),
            completed_groups=groups,
            waiting_groups={frame.ids[name] for name, state in frame.loops.items() if state.refused},
        )
        for group, group_phase in groups.items():
            turn.mark(group, group_phase)
            frame.loops.pop(frame.task_of.get(group, ""), None)
        return phase

    def _succeed(self, turn: Turn, frame: DagFrame) -> Node:
        scope = scope_of_outputs(turn, frame)
        for name in frame.tasks:
            node = turn.get(frame.ids[name])
            if node is not None:
                outputs.export(turn, node.outputs)
        made = outputs.of_template(frame.processed.body, scope, turn.plan.options.semantics)
        if made is not None:
            turn.put(replace(turn.row(frame.node), outputs=made))
        self._set_outbound(turn, frame)
        turn.mark(frame.node, Phase.SUCCEEDED)
        gates.remember(turn, turn.row(frame.node))
        return self._finish(turn, frame)

    def _set_outbound(self, turn: Turn, frame: DagFrame) -> None:
        nodes = (turn.get(frame.ids[name]) for name in frame.targets)
        leaves = [leaf for node in nodes if node is not None for leaf in outbound_nodes(turn, node.id)]
        turn.put(replace(turn.row(frame.node), outbound=tuple(leaves)))

    def _finish(self, turn: Turn, frame: DagFrame) -> Node:
        daemons.end_beneath(turn, frame.node)
        turn.state.frames.pop(frame.node, None)
        return turn.row(frame.node)


def _results(turn: Turn, node: Node) -> TaskResults:
    any_succeeded = all_failed = False
    if node.type is NodeType.TASK_GROUP:
        phases = [turn.row(child).phase for child in turn.children(node.id)]
        any_succeeded = Phase.SUCCEEDED in phases
        all_failed = bool(phases) and all(phase is Phase.FAILED for phase in phases)
    return TaskResults(
        Succeeded=node.phase is Phase.SUCCEEDED,
        Failed=node.phase is Phase.FAILED,
        Errored=node.phase is Phase.ERROR,
        Skipped=node.phase is Phase.SKIPPED,
        Omitted=node.phase is Phase.OMITTED,
        Daemoned=node.daemoned and node.phase is not Phase.PENDING,
        AnySucceeded=any_succeeded,
        AllFailed=all_failed,
    )


__all__ = ["DagRunning"]
