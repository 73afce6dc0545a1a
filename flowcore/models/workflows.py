"""The documents: Workflow, WorkflowTemplate, ClusterWorkflowTemplate, CronWorkflow, WorkflowEventBinding, and their specs."""

from __future__ import annotations

from typing import TypeAlias

from pydantic import Field

from flowcore.models.artifacts import Metadata, WorkflowArtifactGC
from flowcore.models.base import Bool, FreeObject, Int32, Int64, Model, StringMap, alias, empty_list, empty_map
from flowcore.models.containers import Container
from flowcore.models.parameters import Arguments
from flowcore.models.policies import (
    ArtifactRepositoryRef,
    ExecutorConfig,
    Metrics,
    PodGC,
    RetryStrategy,
    Synchronization,
    TTLStrategy,
    VolumeClaimGC,
)
from flowcore.models.templates import LifecycleHook, Template

API_VERSION = "argoproj.io/v1alpha1"


class ObjectMeta(Model):
    """The name of a document and what is known about it. Times are RFC 3339 texts."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: Int64 | None = None
    self_link: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: Int64 | None = None
    labels: StringMap | None = None
    annotations: StringMap | None = None
    owner_references: list[FreeObject] = empty_list()
    finalizers: list[str] = empty_list()
    managed_fields: list[FreeObject] = empty_list()


class WorkflowTemplateRef(Model):
    """A whole spec, taken from a WorkflowTemplate, or from a ClusterWorkflowTemplate when ``cluster_scope``."""

    name: str = ""
    cluster_scope: Bool = False


class LabelValueFrom(Model):
    """The value of a label, as an expression."""

    expression: str = ""


class WorkflowMetadata(Model):
    """Labels and annotations that a run's own metadata gets at its start."""

    labels: StringMap | None = None
    annotations: StringMap | None = None
    labels_from: dict[str, LabelValueFrom] = empty_map()


class ExecutorPluginSidecar(Model):
    """The container of an executor plugin."""

    automount_service_account_token: Bool = False
    container: Container = Field(default_factory=Container)


class ExecutorPluginSpec(Model):
    """What an executor plugin is."""

    sidecar: ExecutorPluginSidecar = Field(default_factory=ExecutorPluginSidecar)


class ExecutorPlugin(Model):
    """An executor plugin that a workflow brings with it."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: ExecutorPluginSpec = Field(default_factory=ExecutorPluginSpec)


class WorkflowSpec(Model):
    """What a workflow is: its templates, where it begins, and the rules for all of it."""

    templates: list[Template] = empty_list()
    entrypoint: str = ""
    arguments: Arguments = Field(default_factory=Arguments)
    workflow_template_ref: WorkflowTemplateRef | None = None
    on_exit: str = ""
    hooks: dict[str, LifecycleHook] = empty_map()
    template_defaults: Template | None = None
    active_deadline_seconds: Int64 | None = None
    parallelism: Int64 | None = None
    suspend: Bool | None = None
    shutdown: str = ""
    retry_strategy: RetryStrategy | None = None
    synchronization: Synchronization | None = None
    metrics: Metrics | None = None
    priority: Int32 | None = None
    ttl_strategy: TTLStrategy | None = None
    pod_gc: PodGC | None = alias("podGC")
    artifact_gc: WorkflowArtifactGC | None = alias("artifactGC")
    artifact_repository_ref: ArtifactRepositoryRef | None = None
    archive_logs: Bool | None = None
    volume_claim_templates: list[FreeObject] = empty_list()
    volume_claim_gc: VolumeClaimGC | None = alias("volumeClaimGC")
    workflow_metadata: WorkflowMetadata | None = None
    pod_metadata: Metadata | None = None
    pod_spec_patch: str = ""
    volumes: list[FreeObject] = empty_list()

    service_account_name: str = ""
    automount_service_account_token: Bool | None = None
    executor: ExecutorConfig | None = None
    node_selector: StringMap | None = None
    affinity: FreeObject | None = None
    tolerations: list[FreeObject] = empty_list()
    image_pull_secrets: list[FreeObject] = empty_list()
    host_network: Bool | None = None
    dns_policy: str | None = None
    dns_config: FreeObject | None = None
    host_aliases: list[FreeObject] = empty_list()
    scheduler_name: str = ""
    pod_priority_class_name: str = ""
    security_context: FreeObject | None = None
    pod_disruption_budget: FreeObject | None = None
    executor_plugins: list[ExecutorPlugin] | None = None
    pod_resources: FreeObject | None = None
    resource_claims: list[FreeObject] = empty_list()

    def template(self, name: str) -> Template | None:
        """The template called ``name``; of several, the first."""
        return next((template for template in self.templates if template.name == name), None)

    @property
    def exit_hook(self) -> LifecycleHook | None:
        """What runs when the workflow has ended: ``onExit``, else the hook called ``exit``."""
        if self.on_exit:
            return LifecycleHook(template=self.on_exit)
        return self.hooks.get("exit")


class _Document(Model):
    api_version: str = API_VERSION
    kind: str = ""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)


class Workflow(_Document):
    """A workflow to run, with the status of its run when it has one."""

    kind: str = "Workflow"
    spec: WorkflowSpec = Field(default_factory=WorkflowSpec)
    status: FreeObject | None = None


class WorkflowTemplate(_Document):
    """A workflow that others refer to and that can be submitted."""

    kind: str = "WorkflowTemplate"
    spec: WorkflowSpec = Field(default_factory=WorkflowSpec)


class ClusterWorkflowTemplate(_Document):
    """The same, for all namespaces."""

    kind: str = "ClusterWorkflowTemplate"
    spec: WorkflowSpec = Field(default_factory=WorkflowSpec)


class StopStrategy(Model):
    """When a CronWorkflow stops scheduling for good."""

    expression: str = ""


class CronWorkflowSpec(Model):
    """When a workflow is run, and which."""

    workflow_spec: WorkflowSpec = Field(default_factory=WorkflowSpec)
    schedules: list[str] = empty_list()
    timezone: str = ""
    when: str = ""
    concurrency_policy: str = ""
    suspend: Bool = False
    starting_deadline_seconds: Int64 | None = None
    stop_strategy: StopStrategy | None = None
    successful_jobs_history_limit: Int32 | None = None
    failed_jobs_history_limit: Int32 | None = None
    workflow_metadata: ObjectMeta | None = None


class CronWorkflow(_Document):
    """A workflow that runs by the clock."""

    kind: str = "CronWorkflow"
    spec: CronWorkflowSpec = Field(default_factory=CronWorkflowSpec)
    status: FreeObject | None = None


class Event(Model):
    """Which events are meant: an expression over the payload."""

    selector: str = ""


class Submit(Model):
    """What is submitted for an event."""

    workflow_template_ref: WorkflowTemplateRef = Field(default_factory=WorkflowTemplateRef)
    metadata: ObjectMeta | None = None
    arguments: Arguments | None = None


class WorkflowEventBindingSpec(Model):
    """An event and what it submits."""

    event: Event = Field(default_factory=Event)
    submit: Submit | None = None


class WorkflowEventBinding(_Document):
    """Submits a workflow when an event comes."""

    kind: str = "WorkflowEventBinding"
    spec: WorkflowEventBindingSpec = Field(default_factory=WorkflowEventBindingSpec)


AnyDocument: TypeAlias = Workflow | WorkflowTemplate | ClusterWorkflowTemplate | CronWorkflow | WorkflowEventBinding

DOCUMENT_TYPES: dict[str, type[AnyDocument]] = {
    "Workflow": Workflow,
    "WorkflowTemplate": WorkflowTemplate,
    "ClusterWorkflowTemplate": ClusterWorkflowTemplate,
    "CronWorkflow": CronWorkflow,
    "WorkflowEventBinding": WorkflowEventBinding,
}
