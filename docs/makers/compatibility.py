"""Makes argo-compatibility.md from compatibility.yaml and the models: every feature with what shows it, every field that not all backends use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flowcore.models
from flowcore import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BACKENDS = ("fake", "local", "docker", "kubernetes")
FEATURES, DIFFERENCES, AMBIGUITIES, FIELDS = "features", "differences", "ambiguities", "fields"

HEAD = """# Compatibility with Argo Workflows

This page is for readers who know Argo Workflows. It compares with version 4.1, and is made of data that the tests check: `docs/makers/compatibility.yaml`.

"The same" means: names, ids, pod names, phases, messages, outputs and the shape of the tree are those that Argo's controller gives.
Times are not compared.
Progress is counted in the same way but reported as it happens, where Argo reports it once in a pass.
"""

BEYOND = """
## What belongs to a cluster

Fields that a backend cannot honour are kept in the document and do no harm; `flowcore lint --backend docker` names them.
Of each object the fields that are not listed are used by the engine, or by every backend that runs something.

"""

ODD = """
## What looks odd and is Argo's

A workflow that ended early may hold nodes that still say Running: a Retry node whose attempt was cut short by `failFast`, or a step group after a daemon died.
A daemon that runs a script shows `Failed` with exit code 143 after its scope has ended it; one that runs a container shows `Succeeded`.
A hook that finds no free place under `parallelism` is an error and does not wait, also one that runs already when the last place is taken.
A retried node that ends while one of its hooks, or something else beneath it, still runs is attempted once more, though nothing waits for that attempt.
A hook that is itself retried counts as the last attempt of the retried node it belongs to: the node ends as the hook does.

## Not compared

Where Argo's own answer depends on its timing, such as which item of a loop writes a global output last, flowcore gives one of the answers that Argo could give.
"""


def data() -> dict[str, Any]:
    """The data of the page. Raises ValueError where it speaks of what there is not."""
    read: Any = yaml.read((HERE / "compatibility.yaml").read_text())[0].json
    wrong = [*_missing_evidence(read), *_unknown_fields(read)]
    if wrong:
        raise ValueError(f"compatibility.yaml: {'; '.join(wrong)}")
    return dict(read)


def page() -> str:
    """The text of the page."""
    read = data()
    parts = [HEAD]
    for group in read[FEATURES]:
        parts.append(f"\n## {group['title']}\n\n{''.join(_features(group['rows']))}")
    parts += [BEYOND, *_fields(read[FIELDS])]
    parts += ["\n## Deliberate differences\n\n| Argo | flowcore | why |\n|---|---|---|\n"]
    parts += [f"| {row['argo']} | {row['flowcore']} | {row['why']} |\n" for row in read[DIFFERENCES]]
    parts += ["\n## Where Argo's documents and its program disagree\n\n| topic | Argo | flowcore's choice |\n|---|---|---|\n"]
    parts += [f"| {row['topic']} | {row['argo']} | {row['choice']} |\n" for row in read[AMBIGUITIES]]
    return "".join([*parts, ODD])


def _features(rows: list[dict[str, Any]]) -> Iterator[str]:
    apart = any(isinstance(row["status"], dict) for row in rows)
    names = ("fake", "local", "Docker", "Kubernetes")
    yield f"| what | {' | '.join(names)} |\n|---|---|---|---|---|\n" if apart else "| what | status |\n|---|---|\n"
    for row in rows:
        status = row["status"]
        told = [status[name] if isinstance(status, dict) else status for name in BACKENDS] if apart else [status]
        yield f"| {row['what']} | {' | '.join(told)} |\n"


def _fields(read: dict[str, Any]) -> Iterator[str]:
    yield "| object | used by | fields |\n|---|---|---|\n"
    for name, uses in read.items():
        for use, fields in uses.items():
            yield f"| {name} | {'nobody' if use == 'kept' else use} | {', '.join(f'`{field}`' for field in fields)} |\n"


def _missing_evidence(read: dict[str, Any]) -> Iterator[str]:
    for group in read[FEATURES]:
        for row in group["rows"]:
            if not row["seen"]:
                yield f"{row['what']}: nothing shows it"
            yield from (f"{row['what']}: there is no {path}" for path in row["seen"] if not (ROOT / path).exists())


def _unknown_fields(read: dict[str, Any]) -> Iterator[str]:
    for name, uses in read[FIELDS].items():
        model = getattr(flowcore.models, name)
        known = {field.alias or key for key, field in model.model_fields.items()}
        listed = [field for fields in uses.values() for field in fields]
        yield from (f"{name} has no field {field}" for field in listed if field not in known)
        yield from (f"{name}.{field} is listed twice" for field in set(listed) if listed.count(field) > 1)
