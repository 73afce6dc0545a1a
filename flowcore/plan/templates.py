"""Templates by name: where a step's template is looked up, and what is known of it before it runs.

A *base* is the object whose template list is searched: the workflow itself, a WorkflowTemplate or a ClusterWorkflowTemplate. A
``templateRef`` switches the base, so plain names inside the referenced template are looked up beside it.
Called by the engine for each node; an entry is made once for each template.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from flowcore.errors import FlowError
from flowcore.jsontypes import Json, JsonObject, compact, object_of, objects_of, text_of
from flowcore.language.tags import Compiled, compile_tree, has_tags
from flowcore.nodes import NodeType
from flowcore.plan.merge import merge_template_defaults

POD_KINDS = ("container", "containerSet", "script", "resource", "data")
KINDS = ("container", "containerSet", "steps", "script", "resource", "dag", "suspend", "data", "http", "plugin")

_NODE_TYPES = {"steps": NodeType.STEPS, "dag": NodeType.DAG, "suspend": NodeType.SUSPEND, "http": NodeType.HTTP, "plugin": NodeType.PLUGIN}


class TemplateNotFound(FlowError):
    """A step names a template that does not exist where it is looked up."""


@dataclass(frozen=True, slots=True)
class Base:
    """The object whose templates plain names refer to; ``kind`` is local, namespaced or cluster."""

    kind: str
    name: str

    @property
    def scope(self) -> str:
        """The text that nodes record as their ``templateScope``."""
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Holder:
    """What names a template at a call site: a name, a reference, or the template itself (inline).

    ``caller`` is ``steps`` or ``tasks`` with ``caller_name`` the expanded name of the step or task; hooks and entrypoints are anonymous steps.
    """

    template: str = ""
    ref: JsonObject | None = None
    inline: JsonObject | None = None
    caller: str = "steps"
    caller_name: str = ""

    @staticmethod
    def of(call: JsonObject, *, caller: str = "steps") -> Holder:
        """The holder that a step, task or hook is."""
        ref, inline = call.get("templateRef"), call.get("inline")
        return Holder(
            template=text_of(call, "template"),
            ref={key: value for key, value in ref.items() if value} if isinstance(ref, dict) and ref else None,
            inline=inline if isinstance(inline, dict) else None,
            caller=caller,
            caller_name=text_of(call, "name"),
        )


@dataclass(slots=True)
class Entry:
    """One template, with the workflow's templateDefaults merged in."""

    json: JsonObject
    kind: str
    name: str
    body: Compiled[JsonObject]  # all of it but the inputs and the calls
    calls: Compiled[Json] | None  # what a Steps or DAG template calls
    tagged: bool
    _captured: frozenset[str] | None = None
    _text: str | None = None

    @property
    def node_type(self) -> NodeType:
        """The type of a node that runs this template, without the Retry node that may be around it."""
        return _NODE_TYPES.get(self.kind, NodeType.POD)

    @property
    def is_pod(self) -> bool:
        return self.kind in POD_KINDS

    @property
    def text(self) -> str:
        """The template as JSON text."""
        if self._text is None:
            self._text = compact(self.json)
        return self._text

    def refers_to_result(self, name: str) -> bool:
        """Whether the text of this Steps or DAG template names the result of its step or task ``name``."""
        if self._captured is None:
            prefix = {"dag": "tasks", "steps": "steps"}.get(self.kind)
            found = _RESULTS[prefix].finditer(self.text) if prefix else ()
            self._captured = frozenset(match[1] or match[2] for match in found)
        return name in self._captured


# The name is looked ahead for, so that one that is found does not hide the next.
_RESULTS = {
    prefix: re.compile(rf"""{prefix}(?=\.([^.]+)\.outputs\.result|\[(?:'|\\?")([^'"\\]+)(?:'|\\?")\]\.outputs.result)""")
    for prefix in ("tasks", "steps")
}


def kind_of(template: JsonObject) -> str:
    """The template's kind; of several that slipped through, the one that Argo would take. Empty if there is none."""
    for kind in KINDS:
        if template.get(kind) is not None:
            return kind
    return ""


def make_entry(template: JsonObject, defaults: JsonObject | None) -> Entry:
    """Merge ``defaults`` beneath ``template`` and prepare it for substitution. Raises TemplateNotFound when it has no kind."""
    merged = merge_template_defaults(defaults, template) if defaults else template
    kind = kind_of(merged)
    if not kind:
        raise TemplateNotFound(f"template '{text_of(template, 'name')}' type is unknown")
    calls = compile_tree(merged[kind]) if kind in ("steps", "dag") else None
    apart = ("inputs", kind) if calls is not None else ("inputs",)
    rest: JsonObject = {key: value for key, value in merged.items() if key not in apart}
    return Entry(json=merged, kind=kind, name=text_of(merged, "name"), body=compile_tree(rest), calls=calls, tagged=has_tags(merged))


class Templates:
    """All templates that a run can reach, by base; referenced ones are kept as they were when first used."""

    def __init__(self, local: Base, spec: JsonObject, find: Callable[[Base], JsonObject | None], defaults: JsonObject | None) -> None:
        self._local = local
        self._specs: dict[Base, JsonObject] = {local: spec}
        self._find = find
        self._defaults = defaults
        self._entries: dict[tuple[Base, str], Entry] = {}
        self._mentioned: dict[str, tuple[bool, int]] = {}
        self._inline: dict[tuple[Base, str], JsonObject] = {}
        self._inline_entries: dict[int, tuple[JsonObject, Entry]] = {}

    def mention(self, text: str) -> bool:
        """Whether ``text`` stands in a referenced template that was looked up so far."""
        known, size = self._mentioned.get(text, (False, 0))
        if not known and size != len(self._entries):
            known = any(text in entry.text for (base, _), entry in self._entries.items() if base != self._local)
            self._mentioned[text] = known, len(self._entries)
        return known

    @property
    def local(self) -> Base:
        return self._local

    def base_of(self, scope: str) -> Base:
        """The base that a node recorded as its ``templateScope``."""
        kind, _, name = scope.partition("/")
        return Base(kind, name) if kind in ("namespaced", "cluster") else self._local

    def resolve(self, base: Base, holder: Holder) -> tuple[Base, Entry]:
        """The template that ``holder`` names, seen from ``base``, and the base for plain names inside it. Raises TemplateNotFound."""
        if holder.inline is not None:
            return base, self._resolve_inline(base, holder)
        if holder.ref is not None:
            kind = "cluster" if holder.ref.get("clusterScope") else "namespaced"
            target = Base(kind, text_of(holder.ref, "name"))
            if self._spec(target) is None:
                raise TemplateNotFound(f"workflow template {target.name} not found")
            name = text_of(holder.ref, "template")
            return target, self._named(target, name, f"template {name} not found in workflow template {target.name}")
        if holder.template:
            return base, self._named(base, holder.template, f"template {holder.template} not found")
        raise TemplateNotFound("failed to get a template")

    def _spec(self, base: Base) -> JsonObject | None:
        spec = self._specs.get(base)
        if spec is None:
            spec = self._find(base)
            if spec is not None:
                self._specs[base] = spec
        return spec

    def _named(self, base: Base, name: str, missing: str) -> Entry:
        entry = self._entries.get((base, name))
        if entry is None:
            spec = self._spec(base) or {}
            found = next((template for template in objects_of(spec, "templates") if template.get("name") == name), None)
            if found is None:
                raise TemplateNotFound(missing)
            self._remember_inlines(base, found)
            entry = self._entries[base, name] = make_entry(_with_pod_metadata(found, object_of(spec, "podMetadata")), self._defaults)
        return entry

    def _remember_inlines(self, base: Base, template: JsonObject) -> None:
        # Inline templates of a referenced template are kept as they stand there, by the step's name alone (Argo's stored templates).
        if base.kind == "local":
            return
        for call in calls_of(template):
            inline = call.get("inline")
            if isinstance(inline, dict):
                self._inline.setdefault((base, text_of(call, "name")), inline)

    def _resolve_inline(self, base: Base, holder: Holder) -> Entry:
        template = holder.inline or {}
        if base.kind != "local":
            template = self._inline.get((base, holder.caller_name), template)
        known = self._inline_entries.get(id(template))
        if known is not None and known[0] is template:
            return known[1]
        entry = make_entry(template, self._defaults)
        if len(self._inline_entries) > 1000:
            self._inline_entries.clear()
        self._inline_entries[id(template)] = (template, entry)
        return entry


def calls_of(template: JsonObject) -> list[JsonObject]:
    """The steps or tasks of a template, in the order of the document."""
    groups = template.get("steps")
    if isinstance(groups, list):
        return [step for group in groups if isinstance(group, list) for step in group if isinstance(step, dict)]
    return objects_of(object_of(template, "dag"), "tasks")


def _with_pod_metadata(template: JsonObject, metadata: JsonObject) -> JsonObject:
    """``template`` with the labels and annotations of its base beneath its own."""
    if not metadata:
        return template
    own = object_of(template, "metadata")
    merged: JsonObject = dict(own)
    for part in ("labels", "annotations"):
        both: dict[str, Json] = {**object_of(metadata, part), **object_of(own, part)}
        if both:
            merged[part] = both
    return {**template, "metadata": merged}
