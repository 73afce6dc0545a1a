"""The names that tags may use at a place, as far as that is known before anything runs, and the names that things may have.

Argo checks simple tags only, and only those that begin like one of its own variables: everything else may be somebody's own syntax.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from flowcore.jsontypes import Json
from flowcore.language.scope import PLACEHOLDER_PREFIX
from flowcore.language.tags import SimpleTag, tags_in, unclosed_tag
from flowcore.models import ContainerNode, DAGTask, Template, TemplateCall

KNOWN_PREFIXES = ("item.", "steps.", "inputs.", "outputs.", "pod.", "workflow.", "tasks.")
_UNCHECKED_PREFIXES = (
    "outputs.",
    "workflow.creationTimestamp",
    "workflow.scheduledTime",
    "workflow.duration",
    "tasks.name",
    "steps.name",
    "node.name",
)
_PARAMETER = re.compile(r"\{\{[-a-zA-Z0-9]+(\.[-a-zA-Z0-9_]+)*\}\}")
_FIELD_NAME = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]*")
_LOOSE_NAME = re.compile(r"[-a-zA-Z0-9_]+")
_PLACEHOLDER = re.compile(re.escape(PLACEHOLDER_PREFIX) + r"\d+")
_LONGEST_NAME = 128
LOOSE_NAME_RULE = "Parameter/Artifact name must consist of alpha-numeric characters, '_' or '-' e.g. my_param_1, MY-PARAM-1"


class Names:
    """The names known at a place, over those of the place around it."""

    def __init__(self, parent: Names | None = None) -> None:
        self.parent = parent
        self.known: set[str] = set()
        self.open: set[str] = set()  # what begins so may be anything
        self.ancestors: Container[str] | None = None  # of a DAG task: its status may be asked

    def child(self) -> Names:
        """A place inside of this one."""
        return Names(self)

    def add(self, *names: str) -> None:
        """These names are known from here on."""
        self.known.update(names)

    def __contains__(self, name: str) -> bool:
        names: Names | None = self
        while names is not None:
            if name in names.known or names.is_open(name):
                return True
            names = names.parent
        return False

    def all(self) -> set[str]:
        """Every name that is known here."""
        return self.known | (self.parent.all() if self.parent else set())

    def is_open(self, name: str) -> bool:
        """Whether this place lets ``name`` pass without knowing it: it may be there in a run, or it is an ancestor's status."""
        if any(name.startswith(prefix) for prefix in self.open):
            return True
        if self.ancestors is None or not name.startswith("tasks.") or not name.endswith(".status"):
            return False
        return name[len("tasks.") : -len(".status")] in self.ancestors

    def add_items(self, call: TemplateCall) -> None:
        """What a loop puts in place of ``item``."""
        if call.with_items:
            for item in call.with_items:
                self._add_item(item)
        elif call.with_param:
            self.add("item")
            self.open.add("item.")
        elif call.with_sequence is not None:
            self.add("item")

    def _add_item(self, item: Json) -> None:
        if isinstance(item, list):
            self.add(*(f"item.[{index}]" for index in range(len(item))))
        elif isinstance(item, dict):
            self.add(*(f"item.{key}" for key in item))
        elif item is not None:
            self.add("item")

    def add_outputs(self, prefix: str, name: str, template: Template | None, *, aggregate: bool) -> None:
        """What a step or task offers to those after it; of a template that is not known, anything."""
        stem = f"{prefix}.{name}."
        self.add(*(stem + field for field in ("id", "startedAt", "finishedAt", "hostNodeName")))
        if template is None:
            return
        if template.daemon:
            self.add(stem + "ip")
        if has_result(template):
            self.add(stem + "outputs.result", stem + "exitCode")
        self.add(*(f"{stem}outputs.parameters.{parameter.name}" for parameter in template.outputs.parameters))
        self.add(*(f"{stem}outputs.artifacts.{artifact.name}" for artifact in template.outputs.artifacts))
        if aggregate:
            self.add(stem + "outputs.parameters")
            if template.template_type in ("script", "containerSet"):
                self.add(stem + "outputs.result", stem + "exitCode")


def has_result(template: Template) -> bool:
    """Whether a node of the template has a result and an exit code."""
    if template.container_set is not None and any(member.name == "main" for member in template.container_set.containers):
        return True
    return any(part is not None for part in (template.container, template.script, template.data, template.http, template.plugin))


@dataclass(frozen=True, slots=True)
class Gap:
    """A place in a document that nothing can fill in: the tag as it is written, its name, and where it stands."""

    whole: str
    name: str
    path: str
    angled: bool = False
    closed: bool = True


def unresolved(value: Json, names: Names, path: str, *, template_only: bool) -> Iterator[Gap]:
    """The simple tags in ``value`` that nothing can fill in. ``template_only``: workflow parameters may still come from elsewhere."""
    if isinstance(value, str):
        for tag in tags_in(value):
            if isinstance(tag, SimpleTag) and not _may_be(tag.key, names, template_only=template_only):
                yield Gap(tag.whole, tag.key, path, angled=tag.angled)
        if "{{" in value and (start := unclosed_tag(value)) is not None and value[start + 2 :].lstrip().startswith(KNOWN_PREFIXES):
            yield Gap(value[start : start + 60], "", path, closed=False)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unresolved(item, names, f"{path}[{index}]", template_only=template_only)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from unresolved(key, names, path, template_only=template_only)
            yield from unresolved(item, names, f"{path}.{key}" if "." not in key else path, template_only=template_only)


def _may_be(name: str, names: Names, *, template_only: bool) -> bool:
    if not name.startswith(KNOWN_PREFIXES) or name in names or name.startswith(_UNCHECKED_PREFIXES):
        return True
    return template_only and name.startswith("workflow.parameters")


def is_parameter(text: str) -> bool:
    """Whether there is a simple tag in ``text``."""
    return bool(_PARAMETER.search(text))


def is_placeholder(text: str) -> bool:
    """Whether ``text`` stands for something only a run can know."""
    return text.startswith(PLACEHOLDER_PREFIX)


def field_name_faults(name: str) -> str:
    """What is wrong with the name of a template, step, task or container, or an empty text."""
    faults = []
    if len(name.encode()) > _LONGEST_NAME:
        faults.append(f"must be no more than {_LONGEST_NAME} bytes")
    if not _FIELD_NAME.fullmatch(name):
        rule = "name must consist of alpha-numeric characters or '-', and must start with an alpha-numeric character"
        faults.append(f"{rule} (e.g. My-name1-2, 123-NAME)")
    return ";".join(faults)


def step_name_faults(name: str) -> str:
    """The same for a step, parts of whose name may only be known in a run."""
    return field_name_faults(_PLACEHOLDER.sub("x", name))


def loose_name_faults(name: str) -> str:
    """What is wrong with the name of a parameter or artifact, or an empty text."""
    return "" if _LOOSE_NAME.fullmatch(name) else LOOSE_NAME_RULE


def name_faults(names: Sequence[str], *, loose: bool = False) -> Iterator[tuple[int, str]]:
    """Index and text for each name in a list that is missing, invalid or there already."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        if not name:
            yield index, f"[{index}].name is required"
            continue
        faults = loose_name_faults(name) if loose else field_name_faults(name)
        if faults:
            yield index, f"[{index}].name: '{name}' is invalid: {faults}"
        elif name in seen:
            yield index, f"[{index}].name '{name}' is not unique"
        seen.add(name)


def names_of(things: Iterable[Template | DAGTask | ContainerNode]) -> list[str]:
    """The names of templates, tasks or containers."""
    return [thing.name for thing in things]
