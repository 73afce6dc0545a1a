"""``validate``: everything that is wrong with a document, before anything runs.

The rules and messages are those of Argo's own validator, in its order, so that the first error is what Argo would say; where
Argo stops, this goes on. What Argo finds out only while it runs is added. Each concern has a room of its own beside this one
(``validate_walk``, ``validate_calls``, ``validate_leaves``, ``validate_arguments``, ``validate_names``, ``validate_beyond``).
"""

from __future__ import annotations

from collections.abc import Iterable

from flowcore.errors import ExpressionError, Problem
from flowcore.jsontypes import JsonObject
from flowcore.language.cron import parse_schedule
from flowcore.language.selectors import parse_selector
from flowcore.language.zones import load_zone
from flowcore.models import (
    AnyDocument,
    Arguments,
    ClusterWorkflowTemplate,
    CronWorkflow,
    LabelSelector,
    ObjectMeta,
    PodGC,
    Step,
    TemplateRef,
    Workflow,
    WorkflowEventBinding,
    WorkflowSpec,
)
from flowcore.plan.documents import Documents
from flowcore.plan.merge import apply_workflow_defaults
from flowcore.plan.validate_arguments import check_arguments
from flowcore.plan.validate_beyond import check_expression, check_limit, check_spec
from flowcore.plan.validate_calls import check_hooks
from flowcore.plan.validate_documents import Base, ReferredTemplates
from flowcore.plan.validate_leaves import check_pod_resources
from flowcore.plan.validate_names import is_parameter, name_faults
from flowcore.plan.validate_report import Report
from flowcore.plan.validate_walk import Walk

_LONGEST_NAME, _LONGEST_CRON_NAME = 63, 52
_POD_GC = ("", "OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess")
_SELECTOR_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_CONCURRENCY = ("Allow", "Forbid", "Replace", "")


def validate(
    model: AnyDocument,
    *,
    catalog: Documents | None = None,
    lint: bool = False,
    workflow_defaults: JsonObject | Workflow | None = None,
    like_argo: bool = False,
) -> list[Problem]:
    """Every problem of a document; none of severity ``error`` means that it can be run.

    ``catalog`` holds what it refers to. With ``lint``, arguments of the workflow may still be without value. ``workflow_defaults`` are merged
    beneath a Workflow first. ``like_argo`` makes only that an error which Argo's own validator refuses; without it, what surely fails later
    is an error too. ``file`` of a problem is set for documents of the catalog only; ``Document.placed`` adds file and line to the others.
    """
    report = Report(like_argo=like_argo)
    defaults = workflow_defaults.to_json() if isinstance(workflow_defaults, Workflow) else workflow_defaults
    namespace = model.metadata.namespace or "default"
    if isinstance(model, CronWorkflow):
        _check_cron(report, model, ReferredTemplates(report, catalog, namespace))
    elif isinstance(model, WorkflowEventBinding):
        _check_binding(report, model)
    elif isinstance(model, Workflow):
        if defaults and model.spec.workflow_template_ref is None:
            model = Workflow.model_validate(apply_workflow_defaults(model.to_json(), defaults))
        check = _SpecCheck(report, ReferredTemplates(report, catalog, namespace), model.spec, model.metadata, defaults=defaults, lint=lint)
        check.run("workflow", "spec")
    else:
        check = _SpecCheck(report, ReferredTemplates(report, catalog, namespace), model.spec, model.metadata, defaults=defaults, lint=lint)
        check.template_only = True
        check.run("cluster workflow template" if isinstance(model, ClusterWorkflowTemplate) else "workflow template", "spec")
    return report.problems


def _check_name(report: Report, what: str, name: str, longest: int = _LONGEST_NAME) -> None:
    size = len(name.encode())
    if size > longest:
        text = f'{what} name "{name}" must not be more than {longest} characters long (currently {size})'
        report.add(text, "metadata.name", rule="name")


class _SpecCheck:
    """The walk over one spec, in Argo's order."""

    def __init__(
        self,
        report: Report,
        templates: ReferredTemplates,
        spec: WorkflowSpec,
        metadata: ObjectMeta,
        *,
        defaults: JsonObject | None,
        lint: bool,
    ) -> None:
        self.report, self.templates, self.spec, self.metadata = report, templates, spec, metadata
        self.defaults, self.lint = defaults, lint
        self.template_only = False

    def run(self, what: str, path: str) -> None:
        """Check everything below ``path``, where the spec stands."""
        report, spec = self.report, self.spec
        _check_name(report, what, self.metadata.name)
        self.walk = Walk(report, self.templates, template_only=self.template_only)
        self.base = Base(f"local/{self.metadata.name}", spec, path)
        referred = self._referred(path)
        for index, fault in name_faults([template.name for template in spec.templates]):
            report.add(f"spec.templates{fault}", f"{path}.templates[{index}].name", rule="name")
        _check_executor_plugins(report, spec, path)
        arguments = _merged_arguments(spec, referred)
        check_arguments(report, "spec.arguments.", arguments, f"{path}.arguments", may_be_empty=self.lint or self.template_only)
        self._add_globals(arguments, referred)
        entrypoint = spec.entrypoint or (referred.spec.entrypoint if referred else "")
        self._check_entrypoint(entrypoint, arguments, referred, path)
        self._check_exit(referred, path)
        check_hooks(report, "hooks", spec.hooks, path)
        _check_pod_gc(report, spec.pod_gc, f"{path}.podGC")
        check_pod_resources(report, "spec.podResources", spec.pod_resources, f"{path}.podResources")
        self._check_templates(referred, path)
        self.walk.finish()
        check_spec(self.walk, self.base)

    def _referred(self, path: str) -> Base | None:
        """The document of ``workflowTemplateRef``."""
        reference = self.spec.workflow_template_ref
        if reference is None:
            return None
        if self.spec.templates:
            text = "Templates is invalid field in spec if workflow referred WorkflowTemplate reference"
            self.report.add(text, f"{path}.templates", rule="template-reference")
        referred = self.templates.document(reference)
        if referred is None:
            kind = "clusterworkflowtemplates" if reference.cluster_scope else "workflowtemplates"
            text = f'{kind}.argoproj.io "{reference.name}" not found'
            self.report.add(text, f"{path}.workflowTemplateRef", remedy=self.templates.remedy(reference), rule="template-reference")
        return referred

    def _add_globals(self, arguments: Arguments, referred: Base | None) -> None:
        """The names that are known everywhere."""
        walk = self.walk
        for name in ("name", "namespace", "mainEntrypoint", "serviceAccountName", "uid", "status"):
            walk.add_global(f"workflow.{name}")
        for parameter in arguments.parameters:
            walk.add_global(f"workflow.parameters.{parameter.name}", parameter.value)
        if arguments.parameters:
            walk.add_global("workflow.parameters")
            walk.add_global("workflow.parameters.json")
        for kind in ("annotations", "labels"):
            for key in self._metadata_keys(kind, referred):
                walk.add_global(f"workflow.{kind}.{key}")
            walk.add_global(f"workflow.{kind}")
            walk.add_global(f"workflow.{kind}.json")
        if self.spec.priority is not None:
            walk.add_global("workflow.priority", str(self.spec.priority))

    def _metadata_keys(self, kind: str, referred: Base | None) -> Iterable[str]:
        """The labels or annotations that the run will have."""
        yield from getattr(self.metadata, kind) or ()
        specs = [self.spec, WorkflowSpec.model_validate((self.defaults or {}).get("spec") or {})]
        for spec in [*specs, *([referred.spec] if referred else [])]:
            if spec.workflow_metadata is not None:
                yield from getattr(spec.workflow_metadata, kind) or ()
                if kind == "labels":
                    yield from spec.workflow_metadata.labels_from

    def _check_entrypoint(self, entrypoint: str, arguments: Arguments, referred: Base | None, path: str) -> None:
        if not entrypoint:
            if not self.template_only and (referred or self.spec.workflow_template_ref is None):
                remedy = "name the template to begin with"
                self.report.add("spec.entrypoint is required", f"{path}.entrypoint", remedy=remedy, rule="entrypoint")
            return
        self._visit(entrypoint, None if self.template_only else arguments, referred, f"{path}.entrypoint")

    def _visit(self, template: str, given: Arguments | None, referred: Base | None, path: str) -> None:
        """Check the template called ``template``, beside the spec or in the document it refers to."""
        reference = self.spec.workflow_template_ref
        if reference is None:
            self.walk.visit(Step(template=template), self.base, given, path)
        elif referred is not None:
            call = Step(template_ref=TemplateRef(name=reference.name, template=template, cluster_scope=reference.cluster_scope))
            self.walk.visit(call, self.base, given, path)

    def _check_exit(self, referred: Base | None, path: str) -> None:
        name = self.spec.on_exit or (referred.spec.on_exit if referred else "")
        if not name:
            return
        self.walk.add_global("workflow.failures")
        templates = [*self.spec.templates, *(referred.spec.templates if referred else ())]
        if any(is_parameter(artifact.global_name) for template in templates for artifact in template.outputs.artifacts):
            self.walk.global_names.open.add("workflow.outputs.artifacts.")
        self._visit(name, self.spec.arguments, referred, f"{path}.onExit")

    def _check_templates(self, referred: Base | None, path: str) -> None:
        """Each template by itself, whoever may call it."""
        base = referred or self.base
        for index, template in enumerate(base.spec.templates):
            with self.report.within(f"templates.{template.name}"):
                self._visit(template.name, None, referred, f"{path}.templates[{index}]")


def _merged_arguments(spec: WorkflowSpec, referred: Base | None) -> Arguments:
    """The arguments of the workflow, and those of what it refers to that it does not have."""
    if referred is None:
        return spec.arguments
    own, others = spec.arguments, referred.spec.arguments
    return Arguments(
        parameters=[*own.parameters, *(other for other in others.parameters if own.parameter(other.name) is None)],
        artifacts=[*own.artifacts, *(other for other in others.artifacts if own.artifact(other.name) is None)],
    )


def _check_executor_plugins(report: Report, spec: WorkflowSpec, path: str) -> None:
    for index, plugin in enumerate(spec.executor_plugins or ()):
        container = plugin.spec.sidecar.container
        resources = container.resources or {}
        faults = (
            (not plugin.metadata.name, "executor plugin metadata name is mandatory"),
            (not container.ports, "at least one port is mandatory"),
            (resources.get("requests") is None, "resources requests are mandatory"),
            (resources.get("limits") is None, "resources limits are mandatory"),
            (container.security_context is None, "security context is mandatory"),
        )
        for fault, text in faults:
            if fault:
                report.add(f"spec.executorPlugins: {text}", f"{path}.executorPlugins[{index}]", rule="executor-plugin")


def _check_pod_gc(report: Report, gc: PodGC | None, path: str) -> None:
    if gc is None:
        return
    if gc.strategy not in _POD_GC:
        remedy = f"one of: {', '.join(_POD_GC[1:])}"
        report.add(f"podGC.strategy unknown strategy '{gc.strategy}'", f"{path}.strategy", remedy=remedy, rule="choice")
    fault = _selector_fault(gc.label_selector) if gc.label_selector else ""
    if fault:
        report.add(f"podGC.labelSelector invalid: {fault}", f"{path}.labelSelector", rule="selector")


def _selector_fault(selector: LabelSelector) -> str:
    for condition in selector.match_expressions:
        if condition.operator not in _SELECTOR_OPERATORS:
            return f'"{condition.operator}" is not a valid label selector operator'
    parts = [f"{key}={value}" for key, value in (selector.match_labels or {}).items()]
    for condition in selector.match_expressions:
        values = f"({','.join(condition.values)})"
        texts = {"In": f"{condition.key} in {values}", "NotIn": f"{condition.key} notin {values}", "Exists": condition.key}
        parts.append(texts.get(condition.operator, f"!{condition.key}"))
    try:
        for part in parts:
            parse_selector(part)
    except ExpressionError as error:
        return error.message
    return ""


def _check_cron(report: Report, cron: CronWorkflow, templates: ReferredTemplates) -> None:
    """A CronWorkflow and the workflow in it (rules 1, 69 and 70)."""
    spec = cron.spec
    _check_name(report, "cron workflow", cron.metadata.name, _LONGEST_CRON_NAME)
    if not spec.schedules:
        report.add("cron workflow must have at least one schedule", "spec.schedules", rule="cron")
    for index, schedule in enumerate(spec.schedules):
        try:
            parse_schedule(schedule)
        except ExpressionError as error:
            remedy = "write minute, hour, day of month, month and day of week, for instance 30 6 * * 1-5"
            text = f"cron schedule {schedule} is malformed: {error.message}"
            report.add(text, f"spec.schedules[{index}]", remedy=remedy, rule="cron")
    if spec.timezone and not _is_timezone(spec.timezone):
        text = f'invalid timezone "{spec.timezone}": unknown time zone {spec.timezone}'
        report.add(text, "spec.timezone", remedy="write for instance Europe/Berlin", rule="cron")
    if spec.concurrency_policy not in _CONCURRENCY:
        remedy = f"one of: {', '.join(_CONCURRENCY[:-1])}"
        text = f"'{spec.concurrency_policy}' is not a valid concurrencyPolicy"
        report.add(text, "spec.concurrencyPolicy", remedy=remedy, rule="cron")
    if spec.starting_deadline_seconds is not None and spec.starting_deadline_seconds < 0:
        report.add("startingDeadlineSeconds must be positive", "spec.startingDeadlineSeconds", rule="cron")
    metadata = ObjectMeta(generate_name=f"{cron.metadata.name}-", annotations={"workflows.argoproj.io/scheduled-time": ""})
    if spec.workflow_metadata is not None:
        more = spec.workflow_metadata
        annotations = {**(metadata.annotations or {}), **(more.annotations or {})}
        metadata = ObjectMeta(generate_name=metadata.generate_name, labels=more.labels, annotations=annotations)
    with report.within("cannot validate Workflow:"):
        _SpecCheck(report, templates, spec.workflow_spec, metadata, defaults=None, lint=False).run("workflow", "spec.workflowSpec")
    check_expression(report, spec.when if not is_parameter(spec.when) else "", "spec.when")
    if spec.stop_strategy is not None:
        check_expression(report, spec.stop_strategy.expression, "spec.stopStrategy.expression")
    check_limit(report, spec.successful_jobs_history_limit, "spec.successfulJobsHistoryLimit")
    check_limit(report, spec.failed_jobs_history_limit, "spec.failedJobsHistoryLimit")


def _is_timezone(name: str) -> bool:
    return name == "Local" or load_zone(name) is not None


def _check_binding(report: Report, binding: WorkflowEventBinding) -> None:
    """An event binding: an expression, and something to submit."""
    if not binding.spec.event.selector:
        report.beyond("the event has no selector", "spec.event", rule="event")
    check_expression(report, binding.spec.event.selector, "spec.event.selector")
    if binding.spec.submit is not None and not binding.spec.submit.workflow_template_ref.name:
        report.beyond("there is nothing to submit", "spec.submit.workflowTemplateRef", remedy="name a WorkflowTemplate", rule="event")
