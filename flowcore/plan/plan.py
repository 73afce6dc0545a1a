"""What will be run: one self-contained workflow, made from the document, its references and the values given at submission.

``compile_plan`` is called once for each run; the plan it gives never changes, and everything that the engine asks of the world by name
(templates, ConfigMaps) it asks of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from flowcore.errors import ExpressionError, InvalidWorkflow, Problem, UsageError
from flowcore.jsontypes import Json, JsonObject, compact, object_of, objects_of, text_of
from flowcore.models.workflows import Workflow, WorkflowTemplate
from flowcore.nodes import RunRow, Shutdown
from flowcore.plan.artifacts import DEFAULT_KEY_FORMAT, KEY_FIELDS, key_format_of
from flowcore.plan.documents import Documents, NoDocuments
from flowcore.plan.merge import apply_workflow_defaults, merge_workflow_spec
from flowcore.plan.repository import repository_of
from flowcore.plan.restrictions import check_reference
from flowcore.plan.semantics import NEWEST, Semantics, semantics_of
from flowcore.plan.templates import Base, Templates
from flowcore.plan.validate_documents import missing_remedy

LABEL_TEMPLATE = "workflows.argoproj.io/workflow-template"
LABEL_CLUSTER_TEMPLATE = "workflows.argoproj.io/cluster-workflow-template"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What an Argo cluster has in its controller's configuration.

    ``artifact_repository`` is the default repository as Argo writes it; artifacts without a location of their own get their key from its
    ``keyFormat``. ``workflow_defaults`` is merged beneath every workflow. ``capture_results`` captures every stdout as result, not only those
    that are referred to. ``max_depth`` bounds the nesting of templates. With ``must_refer`` (Argo's templateReferencing Strict or Secure) only
    workflows with a ``workflowTemplateRef`` are run, which may set nothing but harmless fields beside it. ``transient_errors`` is a pattern
    of messages that tell of faults that may pass, for the retryPolicy OnTransientError. ``semantics`` is the version of Argo's rules for
    workflows that do not name one.
    """

    artifact_repository: JsonObject = field(default_factory=lambda: {"s3": {}})
    workflow_defaults: JsonObject | None = None
    capture_results: bool = False
    max_depth: int = 100
    must_refer: bool = False
    transient_errors: str = ""
    pod_name_version: str = "v2"
    semantics: Semantics = NEWEST
    artifact_drivers: frozenset[str] | None = None  # the names of driver plugins that there are; None: not known here


@dataclass(slots=True, kw_only=True)
class Plan:
    """A resolved workflow, ready to be run."""

    manifest: JsonObject  # the document as submitted, with its final name
    spec: JsonObject  # merged: workflow over template over defaults
    run: RunRow  # the first row of a new run
    templates: Templates
    documents: Documents
    options: PlanOptions
    parameters: dict[str, str]
    problem: str = ""  # why the run fails before it begins
    _mentioned: dict[str, bool] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.run.name

    def mentions(self, text: str) -> bool:
        """Whether ``text`` stands anywhere in the workflow's spec or in a template that it was seen to refer to."""
        known = self._mentioned.get(text)
        if known is None:
            known = self._mentioned[text] = text in compact(self.spec)
        return known or self.templates.mention(text)

    def read_config_map(self, name: str, key: str) -> str | ExpressionError:
        """The value of ``key`` in the ConfigMap ``name``, or the error that Argo would give."""
        manifest = self.documents.get("ConfigMap", name, self.run.namespace)
        if manifest is None:
            return ExpressionError(
                f"ConfigMap '{name}' does not exist. Please make sure it has the label workflows.argoproj.io/configmap-type: Parameter "
                "to be detectable by the controller"
            )
        labels = object_of(object_of(manifest, "metadata"), "labels")
        if labels.get("workflows.argoproj.io/configmap-type") != "Parameter":
            return ExpressionError(
                f"ConfigMap '{name}' needs to have the label workflows.argoproj.io/configmap-type: Parameter to load parameters"
            )
        value = object_of(manifest, "data").get(key)
        return ExpressionError(f"ConfigMap '{name}' does not have the key '{key}'") if value is None else str(value)

    def key_format(self) -> str:
        """How artifacts without a key are named in the default repository."""
        for kind in ("s3", "gcs", "oss", "azure", "hdfs", "artifactory"):
            if text := key_format_of(kind, object_of(self.options.artifact_repository, kind)):
                return text
        return DEFAULT_KEY_FORMAT

    def repository_kind(self) -> str:
        """The kind of the default artifact repository."""
        return next((kind for kind in self.options.artifact_repository if kind in KEY_FIELDS), "s3")

    def archives_logs(self, template: JsonObject) -> bool:
        """Whether the logs of a template's pods are kept as artifacts: the repository says so, else the template, else the workflow."""
        if self.options.artifact_repository.get("archiveLogs"):
            return True
        own = object_of(template, "archiveLocation").get("archiveLogs")
        return bool(self.spec.get("archiveLogs") if own is None else own)

    def volume_problem(self, template: JsonObject) -> str:
        """The text of Argo's error if a container mounts a volume that nobody declared; empty if all is well."""
        mounts = _mounts(template)
        if not mounts:
            return ""
        known = {text_of(volume, "name") for volume in [*objects_of(self.spec, "volumes"), *objects_of(template, "volumes")]}
        known |= {text_of(object_of(claim, "metadata"), "name") for claim in objects_of(self.spec, "volumeClaimTemplates")}
        for mount in mounts:
            if text_of(mount, "name") not in known:
                return f"volume '{text_of(mount, 'name')}' not found in workflow spec"
        return ""

    def driver_problem(self, template: JsonObject) -> str:
        """The text of Argo's error if an artifact, or the ``archiveLocation`` for those that name none, names a driver plugin that is not there;
        empty if all is well.
        """
        drivers = self.options.artifact_drivers
        if drivers is None:
            return ""
        general = text_of(object_of(object_of(template, "archiveLocation"), "plugin"), "name")
        for part in ("inputs", "outputs"):
            for artifact in objects_of(object_of(template, part), "artifacts"):
                name = text_of(object_of(artifact, "plugin"), "name") or general
                if name and name not in drivers:
                    return f"artifact driver {name} not found"
        return ""

    def repository_problem(self) -> str:
        """The text of Argo's error if the workflow names an artifact repository that is not there; empty if all is well."""
        reference = self.spec.get("artifactRepositoryRef")
        if not isinstance(reference, dict):
            return ""
        config, key = text_of(reference, "configMap") or "artifact-repositories", text_of(reference, "key")
        found = self.documents.get("ConfigMap", config, self.run.namespace)
        if found is not None and (not key or key in object_of(found, "data")):
            return ""
        name = f"{text_of(reference, 'configMap')}#{key}"
        return f'failed to resolve artifact repository: failed to find any artifact repository for artifact repository ref "{name}"'


def compile_plan(
    workflow: Workflow | JsonObject,
    *,
    catalog: Documents | None = None,
    name: str | None = None,
    namespace: str | None = None,
    uid: str = "",
    created_at: datetime | None = None,
    parameters: Mapping[str, str] | None = None,
    entrypoint: str | None = None,
    options: PlanOptions | None = None,
) -> Plan:
    """Make the plan of one run of ``workflow``. Raises InvalidWorkflow where there is nothing that could be run."""
    options = options or PlanOptions()
    documents = catalog or NoDocuments()
    manifest = _submitted(workflow, name, namespace, entrypoint, parameters)
    if (semantics := semantics_of(manifest, options.semantics)) is not options.semantics:
        options = replace(options, semantics=semantics)
    metadata = object_of(manifest, "metadata")
    space = text_of(metadata, "namespace") or "default"
    manifest_spec = object_of(manifest, "spec")
    if options.must_refer:
        check_reference(manifest_spec)
    spec, labels = _merged(manifest, documents, options, space)
    options = _with_repository(options, spec, documents, space)
    run = RunRow(
        name=text_of(metadata, "name"),
        namespace=space,
        uid=uid or text_of(metadata, "uid"),
        created_at=created_at,
        suspended=bool(spec.get("suspend")),
        shutdown=_shutdown(spec),
        labels={**_texts(object_of(metadata, "labels")), **labels} or None,
        annotations=_texts(object_of(metadata, "annotations")) or None,
    )
    # Argo runs a merged spec under an object without a name, and nodes record that.
    local = Base("local", "" if object_of(manifest_spec, "workflowTemplateRef") else run.name)

    def find(base: Base) -> JsonObject | None:
        kind = "ClusterWorkflowTemplate" if base.kind == "cluster" else "WorkflowTemplate"
        return _template_spec(documents, kind, base.name, None if base.kind == "cluster" else space)

    defaults = spec.get("templateDefaults")
    templates = Templates(local, spec, find, defaults if isinstance(defaults, dict) else None)
    plan = Plan(manifest=manifest, spec=spec, run=run, templates=templates, documents=documents, options=options, parameters={})
    _read_parameters(plan)
    return plan


def _shutdown(spec: JsonObject) -> Shutdown:
    """The order to end that a workflow is submitted with."""
    given = text_of(spec, "shutdown")
    try:
        return Shutdown(given)
    except ValueError:
        known = " or ".join(strategy for strategy in Shutdown if strategy)
        raise InvalidWorkflow([Problem(f"shutdown must be {known}, not {given[:40]!r}", "spec.shutdown")]) from None


def _with_repository(options: PlanOptions, spec: JsonObject, documents: Documents, namespace: str) -> PlanOptions:
    """``options`` with the key format and the logs of the repository that the workflow or its namespace names, unless they name one themselves."""
    if any(options.artifact_repository.values()):
        return options
    try:
        repository = repository_of(spec, documents, namespace)
    except UsageError as error:
        raise InvalidWorkflow([Problem(str(error), "spec.artifactRepositoryRef", rule="artifact-location")]) from None
    kind = next((kind for kind in repository or {} if kind in KEY_FIELDS), None)
    if repository is None or kind is None:
        return options
    keys = key_format_of(kind, object_of(repository, kind))
    said: JsonObject = {kind: {"keyFormat": keys} if keys else {}}
    return replace(options, artifact_repository={**said, "archiveLogs": bool(repository.get("archiveLogs"))})


def _submitted(
    workflow: Workflow | JsonObject, name: str | None, namespace: str | None, entrypoint: str | None, parameters: Mapping[str, str] | None
) -> JsonObject:
    """The document with what was said at its submission."""
    model = workflow if isinstance(workflow, Workflow) else Workflow.model_validate(workflow)
    manifest = model.to_json()
    metadata: JsonObject = dict(object_of(manifest, "metadata"))
    spec: JsonObject = dict(object_of(manifest, "spec"))
    if name:
        metadata["name"] = name
    if namespace:
        metadata["namespace"] = namespace
    if not text_of(metadata, "name"):
        raise InvalidWorkflow([Problem("the workflow has no name", "metadata.name", remedy="set metadata.name or metadata.generateName")])
    if entrypoint:
        spec["entrypoint"] = entrypoint
    if parameters:
        spec["arguments"] = _with_parameters(object_of(spec, "arguments"), parameters)
    return {**manifest, "metadata": metadata, "spec": spec}


def _with_parameters(arguments: JsonObject, parameters: Mapping[str, str]) -> JsonObject:
    """``arguments`` with the values of ``parameters`` in place of those of the same name, and the others after them."""
    listed: list[Json] = []
    for parameter in objects_of(arguments, "parameters"):
        given = parameters.get(text_of(parameter, "name"))
        if given is None:
            listed.append(parameter)
        else:
            kept = {key: value for key, value in parameter.items() if key != "valueFrom"}
            listed.append({**kept, "value": given})
    known = {text_of(parameter, "name") for parameter in objects_of(arguments, "parameters")}
    listed.extend({"name": key, "value": value} for key, value in parameters.items() if key not in known)
    return {**arguments, "parameters": listed}


def _merged(manifest: JsonObject, documents: Documents, options: PlanOptions, namespace: str) -> tuple[JsonObject, dict[str, str]]:
    """The spec to run, and the labels that it got from where it came from."""
    spec = object_of(manifest, "spec")
    reference = object_of(spec, "workflowTemplateRef")
    defaults = options.workflow_defaults
    if not reference:
        whole = apply_workflow_defaults(manifest, defaults) if defaults else manifest
        return object_of(whole, "spec"), {}
    name, cluster = text_of(reference, "name"), bool(reference.get("clusterScope"))
    kind = "ClusterWorkflowTemplate" if cluster else "WorkflowTemplate"
    template = _template_spec(documents, kind, name, None if cluster else namespace)
    if template is None:
        remedy = missing_remedy(documents, name, namespace, cluster=cluster)
        raise InvalidWorkflow([Problem(f'{kind} "{name}" not found', "spec.workflowTemplateRef", remedy=remedy)])
    merged = merge_workflow_spec(spec, template, object_of(defaults, "spec") if defaults else None)
    return merged, {LABEL_CLUSTER_TEMPLATE if cluster else LABEL_TEMPLATE: name}


def _template_spec(documents: Documents, kind: str, name: str, namespace: str | None) -> JsonObject | None:
    """The spec of a referenced document, its scalars in Argo's canonical form."""
    found = documents.get(kind, name, namespace)
    return object_of(WorkflowTemplate.model_validate(found).to_json(), "spec") if found is not None else None


def _mounts(template: JsonObject) -> list[JsonObject]:
    """The volume mounts of all containers of a template."""
    containers = [object_of(template, kind) for kind in ("container", "script", "containerSet") if kind in template]
    if "containerSet" in template:
        containers += objects_of(object_of(template, "containerSet"), "containers")
    for kind in ("initContainers", "sidecars"):
        if kind in template:
            containers += objects_of(template, kind)
    return [mount for container in containers for mount in objects_of(container, "volumeMounts")]


def _texts(values: JsonObject) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value is not None}


def _read_parameters(plan: Plan) -> None:
    """The values of ``spec.arguments``; one without a value is the run's problem, as in Argo, and not an exception."""
    for parameter in objects_of(object_of(plan.spec, "arguments"), "parameters"):
        name = text_of(parameter, "name")
        value_from = object_of(parameter, "valueFrom")
        reference = object_of(value_from, "configMapKeyRef")
        if parameter.get("value") is not None:
            plan.parameters[name] = str(parameter["value"])
        elif reference:
            value = plan.read_config_map(text_of(reference, "name"), text_of(reference, "key"))
            if not isinstance(value, ExpressionError):
                plan.parameters[name] = value
            elif value_from.get("default") is not None:
                plan.parameters[name] = str(value_from["default"])
            else:
                where = f"name {text_of(reference, 'name')} and key {text_of(reference, 'key')}"
                plan.problem = (
                    f"failed to set global parameters: failed to set global parameter {name} from configmap with {where}: {value}"
                )
                return
        else:
            plan.problem = (
                f"failed to set global parameters: either value or valueFrom must be specified in order to set global parameter {name}"
            )
            return


__all__ = ["Documents", "Plan", "PlanOptions", "compile_plan"]
