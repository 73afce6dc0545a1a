"""The walk from template to template: finding what a call names, binding its arguments, and looking at each template once.

The order is Argo's, so that the first problem is the one that Argo reports. Values that only a run knows are placeholders; what they are put
into is checked as it will be run.
"""

from __future__ import annotations

import difflib
import itertools
import re

from pydantic import ValidationError

from flowcore.errors import ExpressionError
from flowcore.jsontypes import Json, JsonObject, compact
from flowcore.language.scope import PLACEHOLDER_PREFIX, Scope
from flowcore.language.tags import compile_tree, has_tags, substitute, substitute_text
from flowcore.models import Arguments, Parameter, Template, TemplateCall
from flowcore.plan.validate_arguments import check_inputs, check_location, check_output_names, check_outputs, type_name
from flowcore.plan.validate_beyond import check_template
from flowcore.plan.validate_calls import check_dag, check_steps
from flowcore.plan.validate_documents import Base, Found, ReferredTemplates
from flowcore.plan.validate_leaves import check_leaf, check_metrics, check_template_resources
from flowcore.plan.validate_names import Names, is_parameter, unresolved
from flowcore.plan.validate_report import Report

_DEEPEST = 40
_RETRY_POLICIES = ("Always", "OnError", "OnFailure", "OnTransientError", "")
_RETRY_NAMES = ("retries", "lastRetry.exitCode", "lastRetry.status", "lastRetry.duration", "lastRetry.message")
_INTEGER = re.compile(r"[+-]?[0-9]+")


class Walk:
    """One validation of one document.

    ``template_only`` says that the document is a template, so that what runs it may supply more. Where arguments are None, any may come.
    """

    def __init__(self, report: Report, templates: ReferredTemplates, *, template_only: bool) -> None:
        self.report, self.templates, self.template_only = report, templates, template_only
        self.globals = Scope()
        self.global_names = Names()
        self._waiting: list[tuple[TemplateCall, Base, str]] = []
        self._visited: set[tuple[str, str]] = set()
        self._declared: dict[int, Template] = {}
        self._looked_into: dict[int, Template] = {}
        self._numbers = itertools.count()
        self._hints = 10

    # --- names -------------------------------------------------------------------------------------------------------------------

    def placeholder(self) -> str:
        """A text that stands for a value only a run knows."""
        return f"{PLACEHOLDER_PREFIX}{next(self._numbers)}"

    def add_global(self, name: str, value: str | None = None) -> None:
        """A name that is known everywhere from here on."""
        if value is not None or name not in self.globals:
            self.globals.set(name, self.placeholder() if value is None else value)
            self.global_names.add(name)

    def add_outputs(self, names: Names, prefix: str, name: str, template: Template | None, *, aggregate: bool = False) -> None:
        """What a step or task offers to those after it, and what its ``globalName``s offer to everybody."""
        names.add_outputs(prefix, name, template, aggregate=aggregate)
        if template is None:
            return
        for kind, things in (("parameters", template.outputs.parameters), ("artifacts", template.outputs.artifacts)):
            for thing in things:
                if is_parameter(thing.global_name):
                    names.open.add(f"workflow.outputs.{kind}.")
                elif thing.global_name:
                    self.add_global(f"workflow.outputs.{kind}.{thing.global_name}")

    def require(self, value: Json, names: Names, before: str, path: str) -> None:
        """Every tag in ``value`` must have a value by the time it is needed; ``before`` begins the message."""
        for gap in unresolved(value, names, path, template_only=self.template_only):
            text = f"{before} failed to resolve {gap.whole}"
            if gap.angled:
                self.report.warn(text, gap.path, remedy="there is no such variable, so the text stays as it is", rule="unresolved-tag")
            else:
                remedy = self._near(gap.name, names) if gap.closed else "the tag is not closed: }} is missing"
                self.report.add(text, gap.path, remedy=remedy, rule="unresolved-tag")

    def _near(self, name: str, names: Names) -> str | None:
        """What was probably meant; looked for a few times only, as it takes long."""
        self._hints -= 1
        close = difflib.get_close_matches(name, names.all(), n=1, cutoff=0.8) if self._hints >= 0 else []
        return f"did you mean {close[0]}?" if close else None

    def _reference_remedy(self, call: TemplateCall, base: Base) -> str | None:
        reference = call.template_ref
        if reference is not None:
            return self.templates.remedy(reference) if reference.name and reference.template and not call.template else None
        close = difflib.get_close_matches(call.template, base.places, n=1)
        return f"did you mean {close[0]}?" if close else None

    # --- from call to template ---------------------------------------------------------------------------------------------------

    def visit(self, call: TemplateCall, base: Base, given: Arguments | None, path: str) -> Template | None:
        """Check what ``call`` names, called with ``given``; gives the template as it is written, if there is one."""
        found = self.templates.find(call, base, path)
        if isinstance(found, str):
            self.report.add(found, path, remedy=self._reference_remedy(call, base), rule="template-reference")
            return None
        if found is None:
            return None
        if self.report.depth > _DEEPEST:
            self._waiting.append((call, base, path))
            return found.template
        with self.report.in_document(found.base.file):
            self._check(found, given, path)
        return found.template

    def finish(self) -> None:
        """Look at the templates that were nested too deep to be looked at from their callers."""
        while self._waiting:
            call, base, path = self._waiting.pop()
            self.visit(call, base, None, path)

    def _check(self, found: Found, given: Arguments | None, caller: str) -> None:
        template, path = found.template, found.path
        if template.template_type is None:
            remedy = "give it one of container, script, steps, dag, suspend, ..."
            self.report.add(f"template '{template.name}' type is unknown", path, remedy=remedy, rule="template-type")
            return
        if id(template) not in self._declared:
            self._declared[id(template)] = template
            self._check_declaration(template, path)
        inputs = self._bind(template, given, caller)
        self._check_timeouts(template, inputs, path)
        self._look_into(found, inputs)

    def _check_declaration(self, template: Template, path: str) -> None:
        """What does not depend on the call (rules 17, 18, 24, 26, 28 to 32)."""
        report, retry = self.report, template.retry_strategy
        if retry is not None and retry.retry_policy not in _RETRY_POLICIES:
            text = f"{retry.retry_policy} is not a valid RetryPolicy"
            report.add(text, f"{path}.retryStrategy.retryPolicy", remedy=f"one of: {', '.join(_RETRY_POLICIES[:-1])}", rule="retry")
        if len(template.template_types) > 1:
            known = "container, containerSet, steps, script, resource, dag, suspend, template, template ref"
            text = f"templates.{template.name} multiple template types specified. choose one of: {known}"
            report.add(text, path, remedy=f"found {', '.join(template.template_types)}", rule="template-type")
        check_template_resources(report, template, path)
        check_inputs(report, template, path)
        for index, container in enumerate(template.init_containers):
            if not container.name:
                report.add("initContainers must all have container name", f"{path}.initContainers[{index}]", rule="container-name")

    def _bind(self, template: Template, given: Arguments | None, caller: str) -> JsonObject:
        """The inputs as the call fills them in; what it does not supply is told (rule 33)."""
        with self.report.within(f"templates.{template.name}"):
            parameters: list[Json] = [self._bound(parameter, given, caller) for parameter in template.inputs.parameters]
            artifacts: list[Json] = []
            for declared in template.inputs.artifacts:
                argument = given.artifact(declared.name) if given is not None else None
                if not (given is None or argument or declared.optional or declared.has_location or declared.has_key):
                    self.report.add(f"inputs.artifacts.{declared.name} was not supplied", caller, rule="missing-argument")
                kept = {key: value for key, value in declared.to_json().items() if key in ("name", "path", "mode", "recurseMode")}
                artifacts.append({**argument.to_json(), **kept} if argument else kept)
        return {"parameters": parameters, "artifacts": artifacts}

    def _bound(self, declared: Parameter, given: Arguments | None, caller: str) -> JsonObject:
        value = declared.default if declared.value is None else declared.value
        source = declared.value_from
        argument = given.parameter(declared.name) if given is not None else None
        if given is None:
            value, source = self.placeholder(), None
        elif argument is not None:
            value, source = argument.value, argument.value_from if argument.value is None else None
        bound = {key: item for key, item in declared.to_json().items() if key not in ("value", "valueFrom")}
        if value is not None:
            return {**bound, "value": value}
        if source is None or source.config_map_key_ref is None:
            remedy = "pass it in arguments, or give it a default"
            self.report.add(f"inputs.parameters.{declared.name} was not supplied", caller, remedy=remedy, rule="missing-argument")
        return bound

    def _check_timeouts(self, template: Template, inputs: JsonObject, path: str) -> None:
        """Claims and timeouts, which Argo looks at for each call (rules 19, 20, 25)."""
        report, kind = self.report, type_name(template)
        if template.resource_claims and not template.is_pod:
            text = f"templates.{template.name}.resourceClaims is not supported for {kind} templates, which do not create a pod"
            report.add(text, f"{path}.resourceClaims", rule="pod-resources")
        if template.timeout and not template.is_leaf:
            report.add(f"{kind} template doesn't support timeout field", f"{path}.timeout", rule="timeout")
        elif template.timeout:
            timeout = template.timeout
            if has_tags(timeout):
                timeout = substitute_text(timeout, self._scope(template, inputs, {}))
            if _INTEGER.fullmatch(timeout):
                text = f"{template.name} has invalid duration format in timeout"
                report.add(text, f"{path}.timeout", remedy=f"name the unit: {timeout}s", rule="timeout")
        if template.pending_timeout and not template.is_leaf:
            report.add(f"{kind} template doesn't support pendingTimeout field", f"{path}.pendingTimeout", rule="timeout")

    # --- into a template ---------------------------------------------------------------------------------------------------------

    def _look_into(self, found: Found, inputs: JsonObject) -> None:
        """Check the body, once for a template. Argo looks into one inline template of a document only: in the others all is a warning."""
        key, again = (found.base.scope, found.template.name), False
        if key in self._visited:
            again = found.inline and id(found.template) not in self._looked_into
            if not again:
                return
        self._visited.add(key)
        self._looked_into[id(found.template)] = found.template
        with self.report.softly(again):
            template = self._processed(found.template, inputs, found.path)
            self._check_body(found, template, self._names(found.template))
            check_template(self.report, found.template, found.path)

    def _names(self, template: Template) -> Names:
        """The names that a template's body may use whatever it is."""
        names = self.global_names.child()
        inputs, outputs = template.inputs, template.outputs
        names.add(*(f"inputs.parameters.{parameter.name}" for parameter in inputs.parameters))
        if inputs.parameters:
            names.add("inputs.parameters")
        names.add(*(f"inputs.artifacts.{artifact.name}" for artifact in inputs.artifacts))
        if template.is_pod:
            names.add("pod.name")
        if template.retry_strategy is not None:
            names.add(*_RETRY_NAMES)
        if template.is_leaf:
            names.add(*(f"inputs.artifacts.{artifact.name}.path" for artifact in inputs.artifacts))
            names.add(*(f"outputs.artifacts.{artifact.name}.path" for artifact in outputs.artifacts if artifact.path))
            names.add(*(f"outputs.parameters.{p.name}.path" for p in outputs.parameters if p.value_from and p.value_from.path))
        return names

    def _scope(self, template: Template, inputs: JsonObject, body: JsonObject) -> Scope:
        """What stands for the template's tags: globals, the inputs, and the paths that are declared."""
        known: dict[str, Json] = {"inputs.parameters": compact(inputs["parameters"])}
        for parameter in _objects(inputs, "parameters"):
            if isinstance(parameter.get("value"), str):
                known[f"inputs.parameters.{parameter.get('name')}"] = parameter["value"]
        for kind, holder in (("inputs", inputs), ("outputs", body.get("outputs"))):
            for artifact in _objects(holder, "artifacts"):
                if artifact.get("path"):
                    known[f"{kind}.artifacts.{artifact.get('name')}.path"] = artifact["path"]
        for parameter in _objects(body.get("outputs"), "parameters"):
            source = parameter.get("valueFrom")
            if isinstance(source, dict) and source.get("path"):
                known[f"outputs.parameters.{parameter.get('name')}.path"] = source["path"]
        return self._locals(template).child(known)

    def _locals(self, template: Template) -> Scope:
        local = [*(("pod.name",) if template.is_pod else ()), *(_RETRY_NAMES if template.retry_strategy else ())]
        return self.globals.child({name: self.placeholder() for name in local})

    def _processed(self, template: Template, inputs: JsonObject, path: str) -> Template:
        """The template with all that is known filled in, as the engine will do it."""
        body: JsonObject = {**template.to_json(), "inputs": inputs}
        compiled = compile_tree(body)
        if not compiled.has_tags:
            return template
        try:
            first = compiled.render(self._locals(template))
            known = first["inputs"] if isinstance(first["inputs"], dict) else {}
            return Template.model_validate(substitute(first, self._scope(template, known, first)))
        except ExpressionError as error:
            self.report.add(f"templates.{template.name} {error.message}", path, rule="tag")
        except ValidationError:
            self.report.beyond(f"templates.{template.name} is no template any more when its tags are filled in", path, rule="tag")
        return template

    def _check_body(self, found: Found, template: Template, names: Names) -> None:
        report, path, base = self.report, found.path, found.base
        if template.template_type == "steps":
            check_steps(self, found, template, names)
        elif template.template_type == "dag":
            check_dag(self, found, template, names)
        else:
            self.require(template.to_json(), names, f"templates.{template.name}:", path)
            check_leaf(report, template, path, defaults=base.spec.template_defaults if not base.scope.startswith("cluster/") else None)
        check_output_names(report, template, path)
        if not template.is_leaf:  # those of a leaf were looked at together with the rest of it
            self.require(template.outputs.to_json(), names, f"templates.{template.name}.outputs", f"{path}.outputs")
        check_outputs(report, template, path)
        if template.archive_location is not None:
            check_location(report, f"templates.{template.name}.archiveLocation", template.archive_location, f"{path}.archiveLocation")
        check_metrics(report, template, path)


def _objects(holder: Json, key: str) -> list[JsonObject]:
    things = holder.get(key) if isinstance(holder, dict) else None
    return [thing for thing in things if isinstance(thing, dict)] if isinstance(things, list) else []
