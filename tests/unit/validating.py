"""Small documents to validate, and the ways to look at what is found. Used by the tests of the validator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flowcore import yaml
from flowcore.errors import Problem
from flowcore.models import Workflow
from flowcore.plan.validate import validate

LEAF = """
name: echo
inputs: {parameters: [{name: text}]}
outputs: {parameters: [{name: out, valueFrom: {path: /tmp/out}}], artifacts: [{name: file, path: /tmp/file}]}
container: {image: alpine, args: ["{{inputs.parameters.text}}"]}
"""
PLAIN = "{name: plain, container: {image: alpine}}"


class Catalog:
    """Documents by kind and name."""

    def __init__(self, *texts: str) -> None:
        documents = [parsed.json for text in texts for parsed in yaml.read(text)]
        self.documents = {(d["kind"], d["metadata"]["name"]): d for d in documents}

    def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
        return self.documents.get((kind, name))


def workflow(*templates: str, spec: str = "{}", metadata: str = "{name: w}") -> Workflow:
    """A workflow of these templates (YAML); the first one is where it begins."""
    parsed = [yaml.read(text)[0].json for text in templates]
    whole = {"templates": parsed, **({"entrypoint": parsed[0].get("name", "")} if parsed else {}), **yaml.read(spec)[0].json}
    return Workflow.model_validate({"metadata": yaml.read(metadata)[0].json, "spec": whole})


def problems(*templates: str, spec: str = "{}", **options: Any) -> list[Problem]:
    """What is found in such a workflow."""
    return validate(workflow(*templates, spec=spec), **options)


def errors(found: Iterable[Problem]) -> list[str]:
    """The messages of errors."""
    return [problem.message for problem in found if problem.severity == "error"]


def warnings(found: Iterable[Problem]) -> list[str]:
    """The messages of warnings."""
    return [problem.message for problem in found if problem.severity == "warning"]
