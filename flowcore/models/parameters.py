"""Parameters, and the three lists that hold them: what is passed, declared and produced."""

from __future__ import annotations

from flowcore.models.artifacts import Artifact
from flowcore.models.base import AnyString, Bool, FreeObject, FreeValue, IntOrString, Model, empty_list

Item = FreeValue
"""One element of ``withItems``: any JSON value."""


class ConfigMapKeySelector(Model):
    """One key of a ConfigMap."""

    name: str = ""
    key: str = ""
    optional: Bool | None = None


class ValueFrom(Model):
    """Where the value of a parameter comes from, and what it is when there is nothing."""

    path: str = ""
    json_path: str = ""
    jq_filter: str = ""
    event: str = ""
    parameter: str = ""
    expression: str = ""
    supplied: FreeObject | None = None
    config_map_key_ref: ConfigMapKeySelector | None = None
    default: AnyString | None = None


class Parameter(Model):
    """A named text. Numbers and bools of the document are their text."""

    name: str = ""
    default: AnyString | None = None
    value: AnyString | None = None
    value_from: ValueFrom | None = None
    global_name: str = ""
    enum: list[AnyString] = empty_list()
    description: AnyString | None = None


class _Bindings(Model):
    parameters: list[Parameter] = empty_list()
    artifacts: list[Artifact] = empty_list()

    def parameter(self, name: str) -> Parameter | None:
        """The parameter called ``name``."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def artifact(self, name: str) -> Artifact | None:
        """The artifact called ``name``."""
        return next((artifact for artifact in self.artifacts if artifact.name == name), None)


class Arguments(_Bindings):
    """What is passed to a workflow, template or hook."""


class Inputs(_Bindings):
    """What a template declares that it takes."""


class Outputs(_Bindings):
    """What a template declares that it produces, and what a node produced."""

    result: str | None = None
    exit_code: str | None = None


class Sequence(Model):
    """Numbers to loop over: ``count`` of them, or up to ``end``, from ``start``, written with a printf ``format``."""

    count: IntOrString | None = None
    start: IntOrString | None = None
    end: IntOrString | None = None
    format: str = ""
