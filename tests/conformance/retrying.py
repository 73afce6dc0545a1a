"""Rows about retries: a Retry node with its attempts, put into the rows of a run that is opened and reconciled once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flowcore.errors import UsageError
from tests.conformance.answers import Answer, Args, part
from tests.conformance.driving import START, World, open_run
from tests.conformance.submission import PlainCatalog

_STAMP = START.strftime("%Y-%m-%dT%H:%M:%SZ")
_BACKOFF = re.compile(r"Backoff for (?:(\d+) hours? )?(?:(\d+) minutes? )?(\d+) seconds?")


def decide(args: Args) -> Answer:
    """What becomes of the parent of the attempts."""
    workflow = _workflow(args)
    run, rows = part("status", "rows_from_status")(workflow)
    transient = (args.get("env") or {}).get("TRANSIENT_ERROR_PATTERN", "")
    drive = open_run(workflow, World(PlainCatalog()), run=run, rows=rows, transient_errors=transient)
    drive.handle([part("engine.messages", "Opened")()])
    if drive.engine.run.message.startswith("error in entry template execution"):
        raise UsageError(drive.engine.run.message)
    node = drive.engine.nodes[args["retryNode"]["name"]]
    seconds = _BACKOFF.match(node.message)
    answer: Answer = {"retryNode": {"phase": str(node.phase), "message": _Message(node.message)}}
    if seconds:
        hours, minutes, rest = (int(part_ or 0) for part_ in seconds.groups())
        answer["retryNode"]["message"].seconds = hours * 3600 + minutes * 60 + rest
    return answer


class _Message(str):
    """The text, and the back-off that it announces."""

    seconds: int | None = None

    def get(self, key: str, default: Any = None) -> Any:
        return self.seconds if key == "backoffSeconds()" else default


def _workflow(args: Args) -> dict[str, Any]:
    name = args["retryNode"]["name"]
    template = {"name": "main", "container": {"image": "i", "command": ["c"]}, "retryStrategy": args["retryStrategy"]}
    spec: dict[str, Any] = {"entrypoint": "main", "templates": [template]}
    if args.get("shutdown"):
        spec["shutdown"] = args["shutdown"]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": "argo"},
        "spec": spec,
        "status": {"phase": "Running", "startedAt": _STAMP, "nodes": _nodes(name, args)},
    }


def _nodes(name: str, args: Args) -> dict[str, Any]:
    node_id = part("nodes", "node_id")
    ids = [node_id(name, child["name"]) for child in args["children"]]
    root = {**_common(name, args["retryNode"]), "id": name, "type": "Retry", "phase": "Running", "children": ids}
    children = {
        id_: {**_common(child["name"], child), **child, "id": id_, "nodeFlag": {"retried": True}, "finishedAt": _STAMP}
        for id_, child in zip(ids, args["children"], strict=True)
    }
    return {name: root, **children}


def _common(name: str, _node: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "displayName": name, "templateName": "main", "templateScope": "local/wf", "startedAt": _STAMP}
