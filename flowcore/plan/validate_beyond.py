"""What Argo finds out only while it runs, found early: durations, limits, expressions, hooks without a template, needless surprises.

These are errors where nothing good can come of it, unless the validation is to be like Argo's own; then all of them are warnings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject
from flowcore.language.depends import parse_depends, syntax_problem
from flowcore.language.expressions import compile_expression
from flowcore.language.quantities import parse_duration, parse_go_duration
from flowcore.language.tags import ExpressionTag, has_tags, tag_names, tags_in
from flowcore.language.when import evaluate_when
from flowcore.models import DAGTask, Metrics, RetryStrategy, Sequence, Synchronization, Template, TemplateCall, WorkflowSpec
from flowcore.plan.validate_names import is_placeholder
from flowcore.plan.validate_report import Report

if TYPE_CHECKING:
    from flowcore.plan.validate_documents import Base
    from flowcore.plan.validate_walk import Walk

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def _known(text: str) -> bool:
    """Whether ``text`` is there and says all by itself."""
    return bool(text) and not has_tags(text) and not is_placeholder(text)


def check_duration(report: Report, text: str, path: str, *, bare: bool = True) -> None:
    """A length of time; ``bare``: a whole number of seconds will do."""
    if not _known(text):
        return
    try:
        length = parse_duration(text) if bare else parse_go_duration(text)
    except ExpressionError as error:
        remedy = "write for instance 30s, 1m30s or 2h" + (", or whole seconds" if bare else "") + "; there is no unit for days"
        report.beyond(f"{_last(path)}: {error.message}", path, remedy=remedy, rule="duration")
        return
    if length.total_seconds() < 0:
        report.beyond(f"{_last(path)}: a length of time cannot be negative: {text}", path, rule="duration")


def check_limit(report: Report, value: int | str | None, path: str, *, least: int = 0) -> None:
    """A whole number that is not below ``least``."""
    if value is None or (isinstance(value, str) and not _known(value)):
        return
    number = value if isinstance(value, int) else int(value) if _INTEGER.fullmatch(value) else None
    if number is None:
        report.beyond(f"{_last(path)}: '{value}' is no whole number", path, rule="limit")
    elif number < least:
        report.beyond(f"{_last(path)} must be at least {least}, got {number}", path, rule="limit")


def check_expression(report: Report, text: str, path: str) -> None:
    """An expression that can at least be read."""
    if not _known(text):
        return
    try:
        compile_expression(text)
    except ExpressionError as error:
        report.beyond(f"{_last(path)}: {error.message}", path, rule="expression")


def _last(path: str) -> str:
    """The field at the end of a path, to name it in a message."""
    return path.rpartition(".")[2]


def _check_choice(report: Report, value: str, choices: tuple[str, ...], path: str) -> None:
    if _known(value) and value not in choices:
        report.beyond(f"{_last(path)}: '{value}' is unknown", path, remedy=f"one of: {', '.join(choices)}", rule="choice")


def check_retry(report: Report, retry: RetryStrategy | None, path: str) -> None:
    """A retry strategy: numbers, durations and the expression."""
    if retry is None:
        return
    check_limit(report, retry.limit, f"{path}.limit")
    check_expression(report, retry.expression, f"{path}.expression")
    if retry.backoff is not None:
        backoff, place = retry.backoff, f"{path}.backoff"
        if not backoff.duration:
            report.beyond("backoff needs a duration", place, rule="duration")
        check_duration(report, backoff.duration, f"{place}.duration")
        check_duration(report, backoff.max_duration, f"{place}.maxDuration")
        check_duration(report, backoff.cap, f"{place}.cap")
        check_limit(report, backoff.factor, f"{place}.factor")


def check_locks(report: Report, locks: Synchronization | None, path: str) -> None:
    """Locks that have a name."""
    for index, mutex in enumerate(locks.mutexes if locks else ()):
        if not mutex.name:
            report.beyond("the mutex has no name", f"{path}.mutexes[{index}]", rule="lock")
    for index, semaphore in enumerate(locks.semaphores if locks else ()):
        if semaphore.config_map_key_ref is None and semaphore.database is None:
            remedy = "give it configMapKeyRef or database"
            report.beyond("the semaphore does not say where its limit is", f"{path}.semaphores[{index}]", remedy=remedy, rule="lock")


def check_metric_kinds(report: Report, metrics: Metrics | None, path: str) -> None:
    """Metrics of exactly one kind, whose conditions can be read."""
    for index, metric in enumerate(metrics.prometheus if metrics else ()):
        place = f"{path}.prometheus[{index}]"
        kinds = [kind for kind in ("gauge", "histogram", "counter") if getattr(metric, kind) is not None]
        if len(kinds) != 1:
            report.warn(
                f"the metric '{metric.name}' has {len(kinds)} kinds; it needs one of gauge, histogram, counter", place, rule="metric"
            )


def check_template(report: Report, template: Template, path: str) -> None:
    """A template by itself, whatever its type."""
    check_retry(report, template.retry_strategy, f"{path}.retryStrategy")
    check_locks(report, template.synchronization, f"{path}.synchronization")
    check_metric_kinds(report, template.metrics, f"{path}.metrics")
    if not _INTEGER.fullmatch(template.timeout):
        check_duration(report, template.timeout, f"{path}.timeout")
    check_duration(report, template.pending_timeout, f"{path}.pendingTimeout")
    if template.is_leaf is False:
        check_limit(report, template.parallelism, f"{path}.parallelism", least=1)
    if template.suspend is not None:
        check_duration(report, template.suspend.duration, f"{path}.suspend.duration")
    _check_memoize(report, template, f"{path}.memoize")
    _check_members(report, template, path)
    _check_sources(report, template, path)
    _check_expression_tags(report, template, path)
    _check_daemon(report, template, path)


def _check_memoize(report: Report, template: Template, path: str) -> None:
    memoize = template.memoize
    if memoize is None:
        return
    check_duration(report, memoize.max_age, f"{path}.maxAge", bare=False)
    if not memoize.key:
        report.beyond("memoize needs a key", path, rule="memoize")
    if memoize.cache is None or memoize.cache.config_map is None or not memoize.cache.config_map.name:
        report.beyond("memoize needs a cache", path, remedy="cache: {configMap: {name: ...}}", rule="memoize")


def _check_members(report: Report, template: Template, path: str) -> None:
    members = template.container_set
    if members is not None and members.retry_strategy is not None:
        check_limit(report, members.retry_strategy.retries, f"{path}.containerSet.retryStrategy.retries")
        check_duration(report, members.retry_strategy.duration, f"{path}.containerSet.retryStrategy.duration", bare=False)
    if template.http is not None and not template.http.url:
        report.beyond("the request has no url", f"{path}.http", rule="http")
    if template.http is not None:
        check_expression(report, template.http.success_condition, f"{path}.http.successCondition")


def _check_sources(report: Report, template: Template, path: str) -> None:
    for index, parameter in enumerate(template.outputs.parameters):
        if parameter.value_from is not None:
            check_expression(report, parameter.value_from.expression, f"{path}.outputs.parameters[{index}].valueFrom.expression")
    for kind in ("inputs", "outputs"):
        for index, artifact in enumerate(getattr(template, kind).artifacts):
            places = [name for name in artifact.SEARCH_ORDER if getattr(artifact, name) is not None]
            if len(places) > 1:
                text = f"the artifact '{artifact.name}' is in several places: {', '.join(places)}"
                report.beyond(text, f"{path}.{kind}.artifacts[{index}]", remedy="keep one of them", rule="artifact-location")
    for index, artifact in enumerate(template.outputs.artifacts):
        check_expression(report, artifact.from_expression, f"{path}.outputs.artifacts[{index}].fromExpression")
    for index, change in enumerate(template.data.transformation if template.data else ()):
        check_expression(report, change.expression, f"{path}.data.transformation[{index}].expression")


def _check_expression_tags(report: Report, template: Template, path: str) -> None:
    """Expressions in tags that cannot be read: they would stay in the text as they are."""
    for tag in tags_in(template.to_json()):
        if isinstance(tag, ExpressionTag) and not tag.angled:
            try:
                compile_expression(tag.source)
            except ExpressionError as error:
                report.warn(f"{tag.whole}: {error.message}", path, rule="expression")


def _check_daemon(report: Report, template: Template, path: str) -> None:
    if template.daemon and not template.is_pod:
        report.warn(f"only pods can be daemons; {template.template_type} is none", f"{path}.daemon", rule="daemon")


# --- calls ------------------------------------------------------------------------------------------------------------------------


def check_call(walk: Walk, base: Base, call: TemplateCall, document: JsonObject, path: str) -> None:
    """A step or task (``document`` as JSON): its condition, its loop, and the templates of its hooks."""
    report = walk.report
    _check_when(report, call.when, f"{path}.when")
    _check_loop(report, call, path)
    for name, hook in call.hooks.items():
        place = f"{path}.hooks.{name}"
        check_expression(report, hook.expression, f"{place}.expression")
        _check_exists(walk, base, hook.template, place)
    _check_exists(walk, base, call.on_exit, f"{path}.onExit")
    if isinstance(call, DAGTask) and call.depends:
        _check_depends(report, call.depends, f"{path}.depends")
    texts: list[Json] = [document.get("when"), document.get("arguments")]
    if not call.has_loop and any(tag.whole in ("{{item}}", "<<item>>") for tag in tags_in(texts)):
        report.warn("{{item}} is used, but there is no loop", path, remedy="add withItems, withParam or withSequence", rule="item")
    if isinstance(call, DAGTask):
        _check_own_outputs(report, call, document, path)


def _check_own_outputs(report: Report, task: DAGTask, document: JsonObject, path: str) -> None:
    """Argo's validator knows a task's own outputs because of its hooks; anywhere else they never have a value in time."""
    own = f"tasks.{task.name}.outputs."
    rest: JsonObject = {key: value for key, value in document.items() if key != "hooks"}
    for name in sorted(name for name in tag_names(rest) if name.startswith(own) and not name.startswith(f"{own}artifacts.")):
        remedy = "refer to another task; only its hooks come after it"
        report.warn(
            f"task {task.name} refers to its own {name}, which has no value before it ends", path, remedy=remedy, rule="unresolved-tag"
        )


def _check_exists(walk: Walk, base: Base, template: str, path: str) -> None:
    if _known(template) and template not in base.places:
        walk.report.beyond(f"template name '{template}' undefined", path, rule="template-reference")


def _check_when(report: Report, text: str, path: str) -> None:
    if not _known(text):
        return
    try:
        evaluate_when(text)
    except ExpressionError as error:
        report.beyond(error.message, path, rule="when")


def _check_depends(report: Report, text: str, path: str) -> None:
    try:
        fault = syntax_problem(parse_depends(text))
    except ExpressionError:
        return  # told already
    if fault:
        report.beyond(fault, path, rule="depends")


def _check_loop(report: Report, call: TemplateCall, path: str) -> None:
    if _known(call.with_param):
        try:
            items = json.loads(call.with_param)
        except (ValueError, RecursionError):
            items = None
        if not isinstance(items, list):
            report.beyond("withParam is no JSON list", f"{path}.withParam", remedy="""write for instance '["a", "b"]'""", rule="loop")
    if call.with_sequence is not None:
        _check_sequence(report, call.with_sequence, f"{path}.withSequence")


def _check_sequence(report: Report, sequence: Sequence, path: str) -> None:
    if sequence.count is None and sequence.end is None:
        report.beyond("must have end or count in withSequence", path, rule="loop")
    for name in ("count", "start", "end"):
        check_limit(report, getattr(sequence, name), f"{path}.{name}", least=-(2**63))


# --- specs ------------------------------------------------------------------------------------------------------------------------


def check_spec(walk: Walk, base: Base) -> None:
    """The spec of a workflow or template: its limits, and what it names."""
    report, spec, path = walk.report, base.spec, base.path
    for name, value, least in _limits(spec):
        check_limit(report, value, f"{path}.{name}", least=least)
    _check_choice(report, spec.shutdown, ("Stop", "Terminate"), f"{path}.shutdown")
    if spec.pod_gc is not None:
        check_duration(report, spec.pod_gc.delete_delay_duration, f"{path}.podGC.deleteDelayDuration")
    if spec.volume_claim_gc is not None:
        _check_choice(
            report, spec.volume_claim_gc.strategy, ("OnWorkflowSuccess", "OnWorkflowCompletion"), f"{path}.volumeClaimGC.strategy"
        )
    if spec.artifact_gc is not None:
        choices = ("OnWorkflowCompletion", "OnWorkflowDeletion", "Never")
        _check_choice(report, spec.artifact_gc.strategy, choices, f"{path}.artifactGC.strategy")
    check_retry(report, spec.retry_strategy, f"{path}.retryStrategy")
    check_locks(report, spec.synchronization, f"{path}.synchronization")
    check_metric_kinds(report, spec.metrics, f"{path}.metrics")
    for name, hook in spec.hooks.items():
        check_expression(report, hook.expression, f"{path}.hooks.{name}.expression")
        if spec.workflow_template_ref is None:
            _check_exists(walk, base, hook.template, f"{path}.hooks.{name}")


def _limits(spec: WorkflowSpec) -> Iterator[tuple[str, int | None, int]]:
    yield "parallelism", spec.parallelism, 1
    yield "activeDeadlineSeconds", spec.active_deadline_seconds, 0
    if spec.ttl_strategy is not None:
        yield "ttlStrategy.secondsAfterCompletion", spec.ttl_strategy.seconds_after_completion, 0
        yield "ttlStrategy.secondsAfterSuccess", spec.ttl_strategy.seconds_after_success, 0
        yield "ttlStrategy.secondsAfterFailure", spec.ttl_strategy.seconds_after_failure, 0
