"""Finding the template that a call names: beside it, in a document of the catalog, or inline. Used by the walk of the validator."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from flowcore.errors import InvalidWorkflow
from flowcore.jsontypes import object_of, text_of
from flowcore.language.scope import PLACEHOLDER_PREFIX
from flowcore.language.tags import SimpleTag, tags_in
from flowcore.manifests import read_mapping
from flowcore.models import (
    ClusterWorkflowTemplate,
    LifecycleHook,
    Template,
    TemplateCall,
    TemplateRef,
    WorkflowSpec,
    WorkflowTemplate,
    WorkflowTemplateRef,
)
from flowcore.plan.documents import Documents
from flowcore.plan.validate_report import Report

_SHOWN_NAMES = 5


@dataclass(slots=True, eq=False)
class Base:
    """A document whose templates plain names refer to. ``path`` is where its spec stands, ``file`` names it if it is not the one asked about."""

    scope: str
    spec: WorkflowSpec
    path: str
    file: str | None = None
    places: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, template in enumerate(self.spec.templates):
            self.places.setdefault(template.name, index)

    def find(self, name: str) -> Found | None:
        """The template called ``name``, with the pod metadata of its document."""
        index = self.places.get(name)
        if index is None:
            return None
        template, shared = self.spec.templates[index], self.spec.pod_metadata
        if shared is not None:
            own = template.metadata
            labels = {**(shared.labels or {}), **(own.labels or {})}
            annotations = {**(shared.annotations or {}), **(own.annotations or {})}
            metadata = type(own)(labels=labels or None, annotations=annotations or None)
            template = template.model_copy(update={"metadata": metadata})
        return Found(self, template, f"{self.path}.templates[{index}]")


@dataclass(slots=True, eq=False)
class Found:
    """A template and where it stands."""

    base: Base
    template: Template
    path: str
    inline: bool = False


class ReferredTemplates:
    """The documents that can be referred to, each read once."""

    def __init__(self, report: Report, catalog: Documents | None, namespace: str | None) -> None:
        self._report, self._catalog, self._namespace = report, catalog, namespace
        self._bases: dict[tuple[bool, str], Base | None] = {}
        self._found: dict[tuple[str, str], Found] = {}

    def document(self, reference: TemplateRef | WorkflowTemplateRef) -> Base | None:
        """The document that is referred to; one that cannot be read is told, and counts as empty."""
        key = (reference.cluster_scope, reference.name)
        if key not in self._bases:
            self._bases[key] = self._read(reference.name, cluster=reference.cluster_scope)
        return self._bases[key]

    def _read(self, name: str, *, cluster: bool) -> Base | None:
        kind = "ClusterWorkflowTemplate" if cluster else "WorkflowTemplate"
        manifest = self._catalog.get(kind, name, None if cluster else self._namespace) if self._catalog else None
        if manifest is None:
            return None
        file, spec = f"{kind}/{name}", WorkflowSpec()
        try:
            model = read_mapping({**manifest, "kind": kind}, allow_unknown=True).model
        except InvalidWorkflow as error:
            with self._report.in_document(file):
                for problem in error.problems:
                    self._report.beyond(problem.message, problem.path, remedy=problem.remedy, rule=problem.rule)
        else:
            if isinstance(model, (WorkflowTemplate, ClusterWorkflowTemplate)):
                spec = model.spec
        return Base(("cluster/" if cluster else "namespaced/") + name, spec, "spec", file)

    def remedy(self, reference: TemplateRef | WorkflowTemplateRef) -> str:
        """What to do about a reference that leads nowhere."""
        base = self.document(reference)
        if base is None or not isinstance(reference, TemplateRef):
            return missing_remedy(self._catalog, reference.name, self._namespace, cluster=reference.cluster_scope)
        close = difflib.get_close_matches(reference.template, base.places, n=1)
        names = list(base.places)[:_SHOWN_NAMES]
        has = f"it has {', '.join(names)}" if names else "it has no templates"
        return f"did you mean {close[0]}?" if close else f"{base.file} has no such template; {has}"

    def find(self, call: TemplateCall | LifecycleHook, base: Base, path: str) -> Found | str | None:
        """The template that ``call`` names, or why there is none, or None when only a run can tell (rules 8 to 10)."""
        reference = call.template_ref
        inline = call.inline if isinstance(call, TemplateCall) else None
        if reference is not None:
            fault = _reference_fault(call.template, reference)
            if fault or any(isinstance(tag, SimpleTag) and not tag.angled for tag in tags_in(reference.to_json())):
                return fault
        elif call.template and call.template not in base.places:
            return f"template name '{call.template}' undefined"
        if inline is not None:
            return Found(base, inline, f"{path}.inline", inline=True)
        if reference is not None:
            return self._referenced(reference)
        return self._named(base, call.template) if call.template else "failed to get a template"

    def _named(self, base: Base, name: str) -> Found | None:
        key = (base.scope, name)
        if key not in self._found and (found := base.find(name)):
            self._found[key] = found
        return self._found.get(key)

    def _referenced(self, reference: TemplateRef) -> Found | str | None:
        base = self.document(reference)
        found = self._named(base, reference.template) if base else None
        if found is None and PLACEHOLDER_PREFIX in reference.template:
            return None
        return found or f"template reference {reference.name}.{reference.template} not found"


def missing_remedy(catalog: Documents | None, name: str, namespace: str | None, *, cluster: bool) -> str:
    """Where a template document of that name is after all, and else how to bring it."""
    kinds = ("ClusterWorkflowTemplate", "WorkflowTemplate")
    kind, other = kinds if cluster else kinds[::-1]
    elsewhere = catalog.get(kind, name) if catalog and not cluster else None
    if elsewhere is not None:
        home = text_of(object_of(elsewhere, "metadata"), "namespace")
        return f"there is one in namespace {home}, and this is namespace {namespace or 'default'}"
    if catalog and catalog.get(other, name, None if not cluster else namespace):
        return f"there is a {other} of that name: {'leave clusterScope out' if cluster else 'add clusterScope: true'}"
    return "give the file it is in to the catalog (--template)"


def _reference_fault(template: str, reference: TemplateRef) -> str | None:
    if template:
        return "template name cannot be specified with templateRef"
    if not reference.name:
        return "resource name is required"
    return None if reference.template else "template name is required"
