"""Retry nodes: a wrapper around the attempts to run one template.

The wrapper is Running from its first attempt to its verdict; each attempt is a node of the template's own type, called ``NODE(0)``,
``NODE(1)`` and so on. When the last attempt is fulfilled ``rules.decide_retry`` says what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from flowcore.engine import gates, rules, times
from flowcore.engine.behaviors import hooked_attempts
from flowcore.engine.calls import Call, CallFailed
from flowcore.engine.execute import Executing, attempt_call, base_scope, display_name_of, make_error, name_of_pod, retry_strategy
from flowcore.engine.frames import Frame, RetryFrame
from flowcore.engine.turn import Turn
from flowcore.errors import ExpressionError
from flowcore.jsontypes import JsonObject
from flowcore.language.argo_functions import ARGO_FUNCTIONS
from flowcore.language.expressions import evaluate_bool
from flowcore.language.scope import Scope
from flowcore.nodes import Node, NodeId, NodeType, Phase, Shutdown
from flowcore.plan.arguments import Processed, substitute_again
from flowcore.plan.templates import Base


class Retrying:
    """The behavior of Retry nodes; it begins attempts through ``executing``."""

    def __init__(self, executing: Executing) -> None:
        self.executing = executing

    def begin(self, turn: Turn, call: Call, base: Base, processed: Processed, node: Node | None) -> Node:
        """Make the wrapper, and its first attempt."""
        if node is None:
            node = turn.create(call, NodeType.RETRY, Phase.RUNNING, inputs=processed.inputs, display_name=display_name_of(processed.body))
        elif node.phase is Phase.PENDING:
            phase = node.phase if gates.stays_pending(turn, node) else Phase.RUNNING
            node = turn.put(replace(node, type=NodeType.RETRY, phase=phase))
        frame = RetryFrame(node=node.id, call=call, processed=processed, base=base)
        if call.hooked:  # Argo's flags of a hook's wrapper and of its attempts are one object
            node = turn.put(replace(node, retried=True))
        turn.state.frames[node.id] = frame
        attempts = self._attempts(turn, frame)
        if len(attempts) > 1:
            frame.call = replace(call, until=rules.retried_until(self._strategy(turn, frame), attempts[0]))
        return self.advance(turn, frame)

    def advance(self, turn: Turn, frame: Frame) -> Node:
        """Move the last attempt on, or make the next one, until there is something to wait for."""
        assert isinstance(frame, RetryFrame)
        turn.state.dirty.pop(frame.node, None)
        while True:
            wrapper = turn.row(frame.node)
            if wrapper.phase.fulfilled:
                return self._close(turn, frame)
            attempts = self._attempts(turn, frame)
            last = attempts[-1] if attempts else None
            if last is not None and last.phase.fulfilled:
                if self._judge(turn, frame, wrapper, last):
                    return turn.row(frame.node)
                last = None
            elif last is not None and last.daemoned:
                turn.put(replace(wrapper, phase=last.phase, daemoned=True, finished_at=wrapper.finished_at or turn.now))
            attempt = self._attempt(turn, frame, last)
            if not attempt.phase.fulfilled:
                if attempt.daemoned:
                    wrapper = turn.row(frame.node)
                    turn.put(replace(wrapper, phase=attempt.phase, daemoned=True, finished_at=wrapper.finished_at or turn.now))
                return turn.row(frame.node)

    def _judge(self, turn: Turn, frame: RetryFrame, wrapper: Node, last: Node) -> bool:
        """Say what follows after the last attempt ended; False if another attempt is to be made now."""
        if not last.phase.failed_or_error:
            turn.put(replace(turn.mark(frame.node, Phase.SUCCEEDED), outputs=last.outputs))
            self._close(turn, frame)
            return True
        message = self._ended_from_outside(turn)
        if message:
            return self._give_up(turn, frame, last, message)
        strategy = self._strategy(turn, frame)
        attempts = self._attempts(turn, frame)
        try:
            verdict = rules.decide_retry(
                strategy, attempts, turn.now, lambda expression: _may_continue(expression, attempts), turn.plan.options.transient_errors
            )
        except ExpressionError as error:
            make_error(turn, frame.call, wrapper, str(error))
            gates.leave(turn, turn.row(frame.node))
            raise CallFailed(str(error)) from None
        match verdict:
            case rules.GiveUp(message):
                return self._give_up(turn, frame, last, message)
            case rules.WaitUntil(at, message):
                row = turn.put(replace(turn.row(frame.node), message=message))
                if row.wake_at != at:
                    times.set_timer(turn, row, at)
                return True
            case rules.TryAgain(until):
                turn.put(replace(turn.row(frame.node), message="", wake_at=None))
                if until is not None:
                    frame.call = replace(frame.call, until=until)
                return False

    def _ended_from_outside(self, turn: Turn) -> str:
        if turn.run.shutdown is not Shutdown.NONE:
            return f"Stopped with strategy '{turn.run.shutdown}'"
        if times.deadline_passed(turn):
            return f"retry exceeded workflow deadline {times.go_time(times.run_deadline(turn))}"
        return ""

    def _give_up(self, turn: Turn, frame: RetryFrame, last: Node, message: str) -> bool:
        # A wrapper that was a daemon stays one, as in Argo, and ends with its scope.
        turn.mark(frame.node, last.phase, message)
        self._close(turn, frame)
        return True

    def _close(self, turn: Turn, frame: RetryFrame) -> Node:
        """The wrapper is fulfilled: it has its last attempt's outputs, and gives back its locks."""
        wrapper = turn.row(frame.node)
        attempts = self._attempts(turn, frame)
        turn.state.frames.pop(frame.node, None)
        if attempts and not wrapper.daemoned and not rules.all_fulfilled_beneath(frame.node, turn.state.nodes, turn.children):
            self._once_more(turn, frame, attempts)
        elif attempts:
            shown = _type_at_the_end(wrapper, frame)
            wrapper = turn.put(replace(wrapper, outputs=attempts[-1].outputs, wake_at=None, type=shown))
        gates.remember(turn, wrapper)
        gates.leave(turn, wrapper)
        return turn.row(frame.node)

    def _once_more(self, turn: Turn, frame: RetryFrame, attempts: list[Node]) -> None:
        """Make one more attempt, of which nothing follows, beside what is still under way; as in Argo."""
        call = attempt_call(frame.call, len(attempts), turn.row(frame.node))
        if turn.by_name(call.name) is None:
            with suppress(CallFailed):
                self._dispatch(turn, frame, call, len(attempts), attempts[-1], None)
            turn.connect(frame.node, turn.id_of(call.name))

    def _attempts(self, turn: Turn, frame: RetryFrame) -> list[Node]:
        """The attempts so far. A hook that is retried itself counts as one, as in Argo."""
        return [row for row in map(turn.row, turn.children(frame.node)) if row.retried]

    def _strategy(self, turn: Turn, frame: RetryFrame) -> JsonObject:
        return retry_strategy(turn, frame.processed.body) or {}

    def _attempt(self, turn: Turn, frame: RetryFrame, last: Node | None) -> Node:
        """Move an attempt on that is under way, or make the next one. Its own failure is an outcome, if the policy covers it."""
        if last is not None and hooked_attempts.is_hook_of(last, turn.row(frame.node)):
            return self._in_the_name_of(turn, frame, last)
        if last is not None:
            known = turn.state.frames.get(last.id)
            if known is not None:
                return self._guarded(turn, frame, last.id, lambda: self.executing.go_on(turn, known, last))
            if last.id not in turn.state.unopened:
                return last
        attempts = self._attempts(turn, frame)
        number = len(attempts) - (1 if last is not None else 0)
        call = attempt_call(frame.call, number, turn.row(frame.node))
        previous = attempts[number - 1] if number else None
        id_ = turn.id_of(call.name)
        try:
            attempt = self._guarded(turn, frame, id_, lambda: self._dispatch(turn, frame, call, number, previous, last))
        finally:
            turn.state.unopened.discard(id_)
        turn.connect(frame.node, id_)
        return turn.row(attempt.id)

    def _in_the_name_of(self, turn: Turn, frame: RetryFrame, hook: Node) -> Node:
        """A hook that counts as the last attempt: only Steps and DAG templates do anything in its name."""
        if frame.processed.entry.kind in ("steps", "dag"):
            attempts = self._attempts(turn, frame)
            call = replace(frame.call, name=hook.name, owner=hook.owner, parents=hook.parents, retried=True)
            hooked_attempts.carry_on(
                turn,
                frame,
                hook,
                begin=lambda: self._guarded(turn, frame, hook.id, lambda: self._dispatch(turn, frame, call, len(attempts) - 1, hook, hook)),
                go_on=lambda known, node: self._guarded(turn, frame, hook.id, lambda: self.executing.go_on(turn, known, node)),
            )
        return turn.row(hook.id)

    def _dispatch(self, turn: Turn, frame: RetryFrame, call: Call, number: int, previous: Node | None, node: Node | None) -> Node:
        names = attempt_variables(number, previous)
        if frame.processed.entry.is_pod:
            names["pod.name"] = name_of_pod(turn, call.name, frame.processed.entry)
        try:
            processed = substitute_again(frame.processed, base_scope(turn, frame.processed.entry).child(names))
        except ExpressionError as error:
            make_error(turn, call, node, str(error))
            raise CallFailed(str(error)) from None
        return self.executing.dispatch(turn, call, frame.base, processed, node)

    def _guarded(self, turn: Turn, frame: RetryFrame, id_: NodeId, run: Callable[[], Node]) -> Node:
        """Run an attempt; an error in starting it counts as its outcome only under a policy that covers errors."""
        try:
            return run()
        except CallFailed:
            failed = turn.get(id_)
            if failed is None or rules.policy_of(self._strategy(turn, frame)) == "OnFailure":
                if failed is not None:
                    turn.connect(frame.node, failed.id)
                raise
            return failed


def _type_at_the_end(wrapper: Node, frame: RetryFrame) -> NodeType:
    """A wrapper that was made to look into the cache has the type of its template, unless that has a retryStrategy of its own; as in Argo."""
    if wrapper.memoization is None or isinstance(frame.processed.body.get("retryStrategy"), dict):
        return wrapper.type
    return frame.processed.entry.node_type


def attempt_variables(number: int, previous: Node | None) -> dict[str, str]:
    """The variables of an attempt: how many came before, and how the last of them ended."""
    names = {"retries": str(number), "lastRetry.exitCode": "0", "lastRetry.status": "", "lastRetry.duration": "0", "lastRetry.message": ""}
    if previous is not None:
        names.update(_last_retry(previous, default_code="0"))
    return names


def _last_retry(previous: Node, default_code: str) -> dict[str, str]:
    code = (previous.outputs or {}).get("exitCode")
    return {
        "lastRetry.exitCode": default_code if code is None else str(code),
        "lastRetry.status": str(previous.phase),
        "lastRetry.duration": _seconds(previous),
        "lastRetry.message": previous.message,
    }


def _seconds(node: Node) -> str:
    """How long a node took, in whole seconds: Argo keeps times to the second, and ``asInt(lastRetry.duration)`` takes no fractions."""
    if node.started_at is None or node.finished_at is None:
        return "0"
    return str(int((node.finished_at.replace(microsecond=0) - node.started_at.replace(microsecond=0)).total_seconds()))


def _may_continue(expression: str, attempts: list[Node]) -> bool:
    scope = Scope({"retries": str(len(attempts) - 1), **_last_retry(attempts[-1], default_code="-1")})
    source = expression.strip()
    if source.startswith("{{=") and source.endswith("}}"):
        source = source[3:-2]
    return evaluate_bool(source, scope.environment(), functions=ARGO_FUNCTIONS)


__all__ = ["Retrying", "attempt_variables"]
