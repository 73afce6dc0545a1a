"""Steps nodes: groups one after another, the steps of a group side by side.

``advance`` works on the current group until it must wait, then goes to the next. A step that fails lets its siblings run and keeps later
groups from starting. A group is looked at child by child: only those that changed, unless some child has hooks or an exit handler.
"""

from __future__ import annotations

from dataclasses import replace

from flowcore.engine import daemons, gates, hooks, limits, outputs, rules, times
from flowcore.engine.calls import Call, CallFailed, LimitReached, Loop, NotNow, TooDeep, continues_on, expand, has_hooks, resolve_call
from flowcore.engine.execute import Executing, display_name_of, make_error
from flowcore.engine.frames import Frame, GroupState, Item, StepsFrame
from flowcore.engine.outbound import outbound_nodes
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, object_of, text_of
from flowcore.language.when import evaluate_when
from flowcore.nodes import Node, NodeId, NodeType, Phase
from flowcore.plan.arguments import Processed
from flowcore.plan.expansion import is_loop
from flowcore.plan.scopes import (
    aggregate_variables,
    input_variables,
    node_variables,
    referenced_names,
    scope_with,
    skipped_variables,
)
from flowcore.plan.templates import Base, Entry, Holder, TemplateNotFound


class Stepping:
    """The behavior of Steps nodes; it executes steps through ``executing``."""

    def __init__(self, executing: Executing) -> None:
        self.executing = executing

    def begin(self, turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None) -> Node:
        """Make the node, and its first group."""
        if node is None:
            node = turn.create(call, NodeType.STEPS, Phase.RUNNING, inputs=processed.inputs, display_name=display_name_of(processed.body))
        frame = StepsFrame(
            node=node.id,
            call=call,
            processed=processed,
            base=base,
            scope=turn.state.shared.child(input_variables(processed.inputs)),
            groups=_groups(processed.body),
            referenced=referenced_names(processed.entry.text, "steps"),
        )
        turn.state.frames[node.id] = frame
        return self.advance(turn, frame)

    def advance(self, turn: Turn, frame: Frame) -> Node:
        """Go on until there is something to wait for, or the node is fulfilled."""
        assert isinstance(frame, StepsFrame)
        turn.state.dirty.pop(frame.node, None)
        earlier = self._reassess_daemons(turn, frame)
        if earlier is not None:
            return earlier
        while frame.index < len(frame.groups):
            group = self._group(turn, frame)
            try:
                if not (turn.frozen and self._is_over(turn, group)):
                    group = self._advance_group(turn, frame, group)
            except CallFailed as error:
                group = turn.mark(group.id, Phase.ERROR, error.message)
            if turn.row(frame.node).phase.fulfilled:  # failFast
                return self._finish(turn, frame)
            if not group.phase.fulfilled and not (turn.frozen and self._was_passed(turn, frame)):
                return turn.row(frame.node)
            if group.phase.failed_or_error:
                return self._fail(turn, frame, group)
            self._keep_outputs(turn, frame, group)
            frame.index += 1
        return self._succeed(turn, frame)

    def _is_over(self, turn: Turn, group: Node) -> bool:
        """Whether nothing of a recorded group is under way, not even a daemon, and no daemon of it died unseen."""
        children = [turn.row(child) for child in turn.children(group.id)]
        if any(child.id in turn.state.unopened for child in children):
            return False
        return group.phase.failed_or_error or (group.phase.fulfilled and not any(child.phase.failed_or_error for child in children))

    def _was_passed(self, turn: Turn, frame: StepsFrame) -> bool:
        """Whether the group after the current one was begun already: the current one runs again because of a daemon."""
        name = turn.row(frame.node).name
        children = turn.children(turn.id_of(f"{name}[{frame.index}]"))
        return turn.by_name(f"{name}[{frame.index + 1}]") is not None and any(turn.row(child).fulfilled for child in children)

    # --- groups -------------------------------------------------------------------------------------------------------------------

    def _group(self, turn: Turn, frame: StepsFrame) -> Node:
        """The node of the current group; a new one hangs below all that the group before it led to."""
        steps, index = turn.row(frame.node), frame.index
        name = f"{steps.name}[{index}]"
        group = turn.by_name(name)
        if group is not None:
            return group
        call = Call(name=name, holder=Holder(), arguments={}, base=frame.base, boundary=steps.id, owner=steps.id)
        group = turn.create(call, NodeType.STEP_GROUP, Phase.RUNNING)
        if index == 0:
            turn.connect(steps.id, group.id)
        else:
            before = turn.id_of(f"{steps.name}[{index - 1}]")
            children = turn.children(before)
            parents = [leaf for child in children for leaf in outbound_nodes(turn, child)] if children else [before]
            turn.connect_all(parents, group.id)
        return turn.row(group.id)

    def _advance_group(self, turn: Turn, frame: StepsFrame, group: Node) -> Node:
        state = frame.states.get(frame.index)
        if state is None:
            state = frame.states[frame.index] = GroupState()
        if not state.resolved:
            error = self._resolve(turn, frame, group, state)
            if error:
                return turn.mark(group.id, Phase.ERROR, error)
        changed = turn.take_dirty(group.id)
        for child in changed:
            if child in state.unsettled:
                self._move_on(turn, frame, group, child)
        if not turn.timed_out.isdisjoint(changed):
            return turn.mark(group.id, Phase.FAILED, times.TIMEOUT)
        error = self._start_waiting(turn, frame, group, state)
        if error:
            return turn.row(group.id) if error == _STOPPED else turn.mark(group.id, Phase.ERROR, error)
        self._settle_children(turn, frame, state, changed)
        if state.unsettled or state.waiting:
            return turn.row(group.id)
        return self._close_group(turn, group, state)

    def _resolve(self, turn: Turn, frame: StepsFrame, group: Node, state: GroupState) -> str:
        """Fill in and expand the steps of a group; the text of an error, if there is one."""
        resolved: list[JsonObject] = []
        try:
            for step in frame.groups[frame.index]:
                resolved.append(resolve_call(step, frame.scope, turn.plan.options.semantics))
        except ExpressionError as error:
            return f"failed to resolve references: {error}"
        try:
            for step in resolved:
                if not is_loop(step):
                    state.waiting.append(step)
                    continue
                loop = expand(step, frame.scope)
                if loop.items:
                    loop.at(0)
                    state.waiting.append(loop)
                else:
                    self._skip(turn, frame, group, step, "Skipped, empty params")
        except ExpressionError as error:
            return str(error)
        state.attentive = any(has_hooks(step) for step in resolved)
        state.resolved = True
        return ""

    def _start_waiting(self, turn: Turn, frame: StepsFrame, group: Node, state: GroupState) -> str:
        """Start the steps that were not started yet; the text of an error that ends the group, if there is one."""
        while state.waiting:
            head = state.waiting[0]
            try:
                if not isinstance(head, Loop):
                    self._start(turn, frame, group, state, head)
                else:
                    while head.next < len(head.items):
                        self._start(turn, frame, group, state, head.at(head.next), (head, head.next))
                        head.next += 1
            except NotNow:
                limits.block(turn, frame.node)
                limits.block(turn, group.id)
                return _STOPPED if turn.row(group.id).phase.fulfilled else ""
            except ExpressionError as error:
                return str(error)
            except CallFailed as error:
                return error.message
            state.waiting.popleft()
        return ""

    def _start(self, turn: Turn, frame: StepsFrame, group: Node, state: GroupState, step: JsonObject, item: Item | None = None) -> None:
        """Start one step, or skip it. Raises CallFailed for what ends the group."""
        call = self._call(frame, group, step)
        condition = text_of(step, "when")
        try:
            proceed = not condition or evaluate_when(condition)
        except ExpressionError as error:
            make_error(turn, call, turn.by_name(call.name), str(error))
            turn.connect(group.id, turn.id_of(call.name))
            raise CallFailed(str(error)) from None
        if not proceed:
            self._skip(turn, frame, group, step, f"when '{condition}' evaluated false")
            return
        try:
            child = self.executing.execute(turn, call)
        except (TooDeep, LimitReached):
            child = turn.row(turn.id_of(call.name))
        except CallFailed as error:
            turn.connect(group.id, turn.id_of(call.name))
            raise CallFailed(f"step group deemed errored due to child {call.name} error: {error.message}") from None
        turn.connect(group.id, child.id)
        self._attend(turn, state, child.id, step, item)

    def _attend(self, turn: Turn, state: GroupState, child: NodeId, step: JsonObject, item: Item | None) -> None:
        if has_hooks(step) or step.get("continueOn"):
            state.calls[child] = item or step
        if state.attentive or not turn.row(child).fulfilled:
            state.unsettled[child] = None

    def _call(self, frame: StepsFrame, group: Node, step: JsonObject) -> Call:
        return Call(
            name=f"{group.name}.{text_of(step, 'name')}",
            holder=Holder.of(step),
            arguments=object_of(step, "arguments"),
            base=frame.base,
            boundary=frame.node,
            owner=group.id,
            parents=(group.id,),
            on_exit=frame.call.on_exit,
        )

    def _skip(self, turn: Turn, frame: StepsFrame, group: Node, step: JsonObject, why: str) -> None:
        call = self._call(frame, group, step)
        if turn.by_name(call.name) is None:
            turn.create(call, NodeType.SKIPPED, Phase.SKIPPED, message=why)
            turn.connect(group.id, turn.id_of(call.name))

    # --- children -----------------------------------------------------------------------------------------------------------------

    def _settle_children(self, turn: Turn, frame: StepsFrame, state: GroupState, changed: list[NodeId]) -> None:
        """Find the children that are done; with hooks about, look at all that are not, until one has to wait for a hook."""
        if not state.attentive:
            for child in changed:
                if turn.row(child).fulfilled:
                    state.unsettled.pop(child, None)
            return
        state.unsettled.update(dict.fromkeys(changed))  # a daemon may have died since it was settled
        for child in [*state.unsettled]:
            step = step_of(state, child)
            place = self._place(frame, turn.row(child), step)
            if not hooks.run_hooks(self.executing, turn, step, turn.row(child), place):
                return
            node = turn.row(child)
            if not node.fulfilled:
                continue
            if node.phase.completed:
                handler = hooks.exit_hook(step, turn.state.arguments())
                if not hooks.run_exit_handler(self.executing, turn, handler, node, place):
                    continue
            del state.unsettled[child]

    def _move_on(self, turn: Turn, frame: StepsFrame, group: Node, child: NodeId) -> Node:
        """Move on a child that has begun."""
        node = turn.row(child)
        known = turn.state.frames.get(child)
        if node.phase.fulfilled or known is None:
            return node
        try:
            return self.executing.go_on_deeper(turn, known, node)
        except NotNow:
            limits.block(turn, child)
            return turn.row(child)
        except LimitReached:
            return turn.row(child)
        except CallFailed as error:
            raise CallFailed(f"step group deemed errored due to child {node.name} error: {error.message}") from None

    def _place(self, frame: StepsFrame, node: Node, step: JsonObject) -> hooks.Place:
        frame.scope.set(f"steps.{node.display_name}.status", str(node.phase))
        return hooks.Place(frame.node, frame.base, frame.scope, "steps", text_of(step, "name"))

    def _close_group(self, turn: Turn, group: Node, state: GroupState) -> Node:
        children = (turn.row(child) for child in turn.children(group.id))
        failed = rules.group_failure(children, lambda child: continues_on(step_of(state, child.id), child.phase))
        if failed is not None:
            return turn.mark(group.id, Phase.FAILED, f"child '{failed.id}' failed")
        return turn.mark(group.id, Phase.SUCCEEDED)

    def _reassess_daemons(self, turn: Turn, frame: StepsFrame) -> Node | None:
        """A daemon of an earlier group may have died: that group is judged again."""
        for index in [known for known in frame.states if known < frame.index]:
            state = frame.states[index]
            group = turn.by_name(f"{turn.row(frame.node).name}[{index}]")
            if group is None or group.id not in turn.state.dirty:
                continue
            for child in turn.take_dirty(group.id):
                self._move_on(turn, frame, group, child)
            children = [turn.row(child) for child in turn.children(group.id)]
            if not all(child.fulfilled for child in children):
                turn.put(replace(turn.row(group.id), phase=Phase.RUNNING))
                return turn.row(frame.node)
            closed = self._close_group(turn, group, state)
            if closed.phase.failed_or_error:
                return self._fail(turn, frame, closed)
        return None

    # --- ends ---------------------------------------------------------------------------------------------------------------------

    def _keep_outputs(self, turn: Turn, frame: StepsFrame, group: Node) -> None:
        """Put what the steps of a group left behind into scope, as far as anybody asks for it."""
        for step in frame.groups[frame.index]:
            name = text_of(step, "name")
            if step.get("inline") is not None and is_loop(step):
                self._require_template(turn, group, name)
            if frame.referenced is not None and name not in frame.referenced:
                continue
            child = turn.by_name(f"{group.name}.{name}")
            if child is not None:
                scope_with(frame.scope, node_variables("steps", name, hooks.last_attempt(turn, child)))
                scope_with(
                    frame.scope, skipped_variables("steps", name, child, self._entry(turn, frame, step), turn.plan.options.semantics)
                )
                continue
            prefix = f"{group.name}.{name}("
            items = [
                row for row in map(turn.row, turn.children(group.id)) if row.name.startswith(prefix) and row.type is not NodeType.SKIPPED
            ]
            if items:
                scope_with(frame.scope, aggregate_variables("steps", name, items))
            scope_with(frame.scope, node_variables("steps", name, group))
        state = frame.states.get(frame.index)
        if state is not None and not any(turn.row(child).daemoned for child in turn.children(group.id)):
            del frame.states[frame.index]

    def _entry(self, turn: Turn, frame: StepsFrame, step: JsonObject) -> Entry | None:
        try:
            return turn.plan.templates.resolve(frame.base, Holder.of(step))[1]
        except TemplateNotFound:
            return None

    def _require_template(self, turn: Turn, group: Node, name: str) -> None:
        # Argo looks the items' template up by what their nodes record; those of an inline template record none.
        if any(
            row.name.startswith(f"{group.name}.{name}(") and row.type is not NodeType.SKIPPED
            for row in map(turn.row, turn.children(group.id))
        ):
            raise ExpressionError("failed to get a template")

    def _fail(self, turn: Turn, frame: StepsFrame, group: Node) -> Node:
        self._set_outbound(turn, frame)
        turn.mark(frame.node, Phase.FAILED, group.message)
        return self._finish(turn, frame)

    def _succeed(self, turn: Turn, frame: StepsFrame) -> Node:
        self._set_outbound(turn, frame)
        made = outputs.of_template(frame.processed.body, frame.scope, turn.plan.options.semantics)
        if made is not None:
            turn.put(replace(turn.row(frame.node), outputs=made))
            outputs.export(turn, made)
        turn.mark(frame.node, Phase.SUCCEEDED)
        gates.remember(turn, turn.row(frame.node))
        return self._finish(turn, frame)

    def _set_outbound(self, turn: Turn, frame: StepsFrame) -> None:
        steps = turn.row(frame.node)
        for index in range(min(frame.index, len(frame.groups) - 1), -1, -1):
            group = turn.by_name(f"{steps.name}[{index}]")
            if group is not None:
                leaves = [leaf for child in turn.children(group.id) for leaf in outbound_nodes(turn, child)]
                turn.put(replace(steps, outbound=tuple(leaves)))
                return

    def _finish(self, turn: Turn, frame: StepsFrame) -> Node:
        daemons.end_beneath(turn, frame.node)
        turn.state.frames.pop(frame.node, None)
        return turn.row(frame.node)


def step_of(state: GroupState, child: NodeId) -> JsonObject:
    """The step of a child, if it says more than a template; a loop's is filled in anew, since what hooks name changes meanwhile."""
    known = state.calls.get(child, {})
    return known if isinstance(known, dict) else known[0].at(known[1])


_STOPPED = "\0stopped"


def _groups(body: JsonObject) -> list[list[JsonObject]]:
    listed: Json = body.get("steps")
    if not isinstance(listed, list):
        return []
    return [[step for step in group if isinstance(step, dict)] for group in listed if isinstance(group, list)]
