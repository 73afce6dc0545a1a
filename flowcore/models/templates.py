"""``Template`` and what it is made of: steps, tasks, hooks and the kinds of work a leaf can do."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from flowcore.models.artifacts import Artifact, ArtifactLocation, Metadata
from flowcore.models.base import (
    Bool,
    FreeObject,
    Int64,
    IntOrString,
    Model,
    SingleKeyObject,
    StringMap,
    empty_list,
    empty_map,
)
from flowcore.models.containers import Container, ContainerSet, Script, UserContainer
from flowcore.models.parameters import Arguments, Inputs, Item, Outputs, Sequence
from flowcore.models.policies import ContinueOn, ExecutorConfig, Memoize, Metrics, RetryStrategy, Synchronization

TemplateType: TypeAlias = Literal["container", "containerSet", "steps", "dag", "script", "resource", "data", "suspend", "http", "plugin"]

_TYPES: tuple[tuple[str, TemplateType], ...] = (
    ("container", "container"),
    ("container_set", "containerSet"),
    ("steps", "steps"),
    ("dag", "dag"),
    ("script", "script"),
    ("resource", "resource"),
    ("data", "data"),
    ("suspend", "suspend"),
    ("http", "http"),
    ("plugin", "plugin"),
)
POD_TYPES = frozenset({"container", "containerSet", "script", "resource", "data"})
LEAF_TYPES = POD_TYPES | {"http", "plugin"}

Plugin: TypeAlias = SingleKeyObject
"""The name of a plugin and whatever it is configured with."""


class TemplateRef(Model):
    """A template of a WorkflowTemplate, or of a ClusterWorkflowTemplate when ``cluster_scope``."""

    name: str = ""
    template: str = ""
    cluster_scope: Bool = False


class LifecycleHook(Model):
    """A template that runs when ``expression`` becomes true; the hook called ``exit`` runs at the end."""

    template: str = ""
    arguments: Arguments = Field(default_factory=Arguments)
    template_ref: TemplateRef | None = None
    expression: str = ""


class TemplateCall(Model):
    """What steps and tasks share: which template they run, how often, with what, and what happens around it."""

    name: str = ""
    template: str = ""
    inline: Template | None = None
    arguments: Arguments = Field(default_factory=Arguments)
    template_ref: TemplateRef | None = None
    with_items: list[Item] | None = None
    with_param: str = ""
    with_sequence: Sequence | None = None
    when: str = ""
    continue_on: ContinueOn | None = None
    on_exit: str = ""
    hooks: dict[str, LifecycleHook] = empty_map()

    @property
    def has_loop(self) -> bool:
        """Whether the call is expanded into items."""
        return bool(self.with_items) or bool(self.with_param) or self.with_sequence is not None


class Step(TemplateCall):
    """One of the steps that run side by side in a group."""


class DAGTask(TemplateCall):
    """A task of a DAG, started when what it depends on has ended so."""

    dependencies: list[str] = empty_list()
    depends: str = ""


class DAGTemplate(Model):
    """Tasks and their dependencies; ``target`` names those that matter, else it is the tasks nothing depends on."""

    tasks: list[DAGTask] = empty_list()
    target: str = ""
    fail_fast: Bool | None = None


class Suspend(Model):
    """Waits for somebody, or for ``duration``."""

    duration: str = ""


class ManifestFrom(Model):
    """A manifest that is an artifact."""

    artifact: Artifact | None = None


class Resource(Model):
    """One action on a Kubernetes object, and when that counts as done."""

    action: str = ""
    merge_strategy: str = ""
    manifest: str = ""
    manifest_from: ManifestFrom | None = None
    set_owner_reference: Bool = False
    success_condition: str = ""
    failure_condition: str = ""
    flags: list[str] = empty_list()


class DataSource(Model):
    """What a data template reads."""

    artifact_paths: Artifact | None = None


class TransformationStep(Model):
    """One expression over the data that the step before left."""

    expression: str = ""


class Data(Model):
    """Lists artifacts and transforms the list."""

    source: DataSource = Field(default_factory=DataSource)
    transformation: list[TransformationStep] = empty_list()


class HTTPHeader(Model):
    """A header of a request; its value may come from a Secret."""

    name: str = ""
    value: str = ""
    value_from: FreeObject | None = None


class HTTPBodySource(Model):
    """A body in base64."""

    bytes: str = ""


class HTTP(Model):
    """One HTTP request."""

    method: str = ""
    url: str = ""
    headers: list[HTTPHeader] = empty_list()
    timeout_seconds: Int64 | None = None
    success_condition: str = ""
    body: str = ""
    body_from: HTTPBodySource | None = None
    insecure_skip_verify: Bool = False


class Template(Model):
    """A reusable piece of work: exactly one of the types, what it takes and produces, and how it is run.

    The fields stand in the order in which Argo writes them: the first unresolved tag of a template is the first in this order.
    """

    name: str = ""
    inputs: Inputs = Field(default_factory=Inputs)
    outputs: Outputs = Field(default_factory=Outputs)
    node_selector: StringMap | None = None
    affinity: FreeObject | None = None
    metadata: Metadata = Field(default_factory=Metadata)
    daemon: Bool | None = None

    steps: list[list[Step]] | None = None
    container: Container | None = None
    container_set: ContainerSet | None = None
    script: Script | None = None
    resource: Resource | None = None
    dag: DAGTemplate | None = None
    suspend: Suspend | None = None
    data: Data | None = None
    http: HTTP | None = None
    plugin: Plugin | None = None

    volumes: list[FreeObject] = empty_list()
    init_containers: list[UserContainer] = empty_list()
    sidecars: list[UserContainer] = empty_list()
    archive_location: ArtifactLocation | None = None
    active_deadline_seconds: IntOrString | None = None
    retry_strategy: RetryStrategy | None = None
    parallelism: Int64 | None = None
    fail_fast: Bool | None = None
    tolerations: list[FreeObject] = empty_list()
    scheduler_name: str = ""
    priority_class_name: str = ""
    service_account_name: str = ""
    automount_service_account_token: Bool | None = None
    executor: ExecutorConfig | None = None
    host_aliases: list[FreeObject] = empty_list()
    security_context: FreeObject | None = None
    pod_spec_patch: str = ""
    metrics: Metrics | None = None
    synchronization: Synchronization | None = None
    memoize: Memoize | None = None
    timeout: str = ""
    annotations: StringMap | None = None
    pending_timeout: str = ""
    pod_resources: FreeObject | None = None
    resource_claims: list[FreeObject] = empty_list()

    @property
    def template_types(self) -> tuple[TemplateType, ...]:
        """All types that are given, in the order that decides when there are several."""
        return tuple(name for field, name in _TYPES if getattr(self, field) is not None)

    @property
    def template_type(self) -> TemplateType | None:
        """What kind of work this is; None for a template that says nothing."""
        return next((name for field, name in _TYPES if getattr(self, field) is not None), None)

    @property
    def is_pod(self) -> bool:
        """Whether a pod does the work."""
        return self.template_type in POD_TYPES

    @property
    def is_leaf(self) -> bool:
        """Whether an executor does the work: pods, HTTP requests and plugins. Suspending is no work."""
        return self.template_type in LEAF_TYPES


for _model in (TemplateCall, Step, DAGTask):
    _model.model_rebuild()
