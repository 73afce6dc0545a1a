"""Workflows by chance: up to three levels of steps and graphs over leaves of every kind, with what has to survive a crash."""

from __future__ import annotations

import json
from random import Random
from typing import Any

Document = dict[str, Any]
IMAGE = {"image": "any", "command": ["c"]}
OUT = {"parameters": [{"name": "o", "valueFrom": {"path": "/o"}}]}

LEAVES: dict[str, Document] = {
    "plain": {"container": IMAGE},
    "out": {"container": IMAGE, "outputs": OUT},
    "told": {"container": IMAGE, "outputs": {"parameters": [{"name": "o", "globalName": "g", "valueFrom": {"path": "/o"}}]}},
    "lister": {"script": {**IMAGE, "source": "x"}},
    "flaky": {"container": IMAGE, "retryStrategy": {"limit": 2, "backoff": {"duration": "3s", "factor": 2}}},
    "always": {"container": IMAGE, "outputs": OUT, "retryStrategy": {"limit": 2, "retryPolicy": "Always"}},
    "locked": {"container": IMAGE, "synchronization": {"mutexes": [{"name": "m"}]}},
    "twice": {"container": IMAGE, "synchronization": {"mutexes": [{"name": "m"}, {"name": "n"}]}},
    "counted": {"container": IMAGE, "synchronization": {"semaphores": [{"configMapKeyRef": {"name": "limits", "key": "two"}}]}},
    "cached": {"container": IMAGE, "outputs": OUT, "memoize": {"key": "k", "cache": {"configMap": {"name": "memo"}}}},
    "keyed": {
        "container": IMAGE,
        "inputs": {"parameters": [{"name": "p", "value": "own"}]},
        "outputs": OUT,
        "memoize": {"key": "{{inputs.parameters.p}}", "maxAge": "1h", "cache": {"configMap": {"name": "memo"}}},
    },
    "daemon": {"container": IMAGE, "daemon": True},
    "nap": {"suspend": {"duration": "20s"}},
    "gate": {"suspend": {}},
    "set": {"containerSet": {"containers": [{"name": "x", **IMAGE}, {"name": "y", **IMAGE, "dependencies": ["x"]}]}},
    "short": {"container": IMAGE, "activeDeadlineSeconds": 6},
    "web": {"http": {"url": "http://localhost/"}},
    "given": {"container": IMAGE, "inputs": {"parameters": [{"name": "p", "value": "own"}]}},
}
LIMITS: Document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limits"}, "data": {"two": "2"}}


def random_workflow(chance: Random) -> Document:
    """The workflow of a seed; equal chance gives equal workflows."""
    below = chance.sample(sorted(LEAVES), chance.randint(2, 5))
    composites: list[Document] = []
    for level in range(chance.randint(1, 3)):
        made = [_composite(chance, f"c{level}{number}", below) for number in range(chance.randint(1, 2))]
        composites += made
        below = [*below[-2:], *(template["name"] for template in made)]
    spec: Document = {"entrypoint": composites[-1]["name"], "templates": composites}
    if chance.random() < 0.3:
        spec["onExit"] = chance.choice(["plain", "flaky", "locked"])
    if chance.random() < 0.2:
        spec["parallelism"] = chance.randint(1, 3)
    if chance.random() < 0.15:
        spec["activeDeadlineSeconds"] = chance.randint(10, 60)
    if chance.random() < 0.2:
        spec["synchronization"] = {"mutexes": [{"name": "whole"}]}
    text = json.dumps(spec)
    if '"parallelism"' in text:  # a hook that finds no slot is an error, in Argo as here: then chance decides, not the workflow
        for call in _calls(composites):
            call.pop("hooks", None)
            if call["template"] == "daemon":  # it keeps its slot, perhaps the only one, until its step or task ends
                call["template"] = "plain"
    text = json.dumps(spec)
    used = [{"name": name, **body} for name, body in LEAVES.items() if f'"template": "{name}"' in text or spec.get("onExit") == name]
    spec["templates"] = [*composites, *used]
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "wf"}, "spec": spec}


def _composite(chance: Random, name: str, below: list[str]) -> Document:
    template: Document = {"name": name}
    if chance.random() < 0.5:
        before: list[Document] = []
        template["steps"] = []
        for index in range(chance.randint(1, 3)):
            group = [_call(chance, f"s{index}{place}", below, before, "steps") for place in range(chance.randint(1, 3))]
            template["steps"].append(group)
            before = before + group
    else:
        template["dag"] = _dag(chance, below)
    if chance.random() < 0.2:
        template["parallelism"] = chance.randint(1, 2)
        template["failFast"] = chance.random() < 0.5
    if chance.random() < 0.15:
        template["retryStrategy"] = {"limit": 1}
    if chance.random() < 0.1:
        template["synchronization"] = {"mutexes": [{"name": name}]}
    return template


def _dag(chance: Random, below: list[str]) -> Document:
    tasks: list[Document] = []
    for number in range(chance.randint(1, 4)):
        needed = [task for task in tasks if chance.random() < 0.5]
        task = _call(chance, f"t{number}", below, needed, "tasks")
        if needed:
            result = chance.choice(["", "", ".Succeeded", ".Failed", ".Skipped"])
            task["depends"] = chance.choice([" && ", " || "]).join(other["name"] + result for other in needed)
        tasks.append(task)
    return {"tasks": tasks} if chance.random() < 0.8 else {"tasks": tasks, "failFast": False}


def _call(chance: Random, name: str, below: list[str], before: list[Document], prefix: str) -> Document:
    made: Document = {"name": name, "template": chance.choice(below)}
    listers = [other["name"] for other in before if other["template"] == "lister" and not _loops(other)]
    match chance.choice(["", "", "", "items", "sequence", "param", "when", "continue", "hook", "exit"]):
        case "items":
            made["withItems"] = chance.choice([["u", "v"], ["u", 3, True], [{"a": 1}], []])
        case "sequence":
            made["withSequence"] = {"count": chance.randint(0, 3)}
        case "param" if listers:
            made["withParam"] = f"{{{{{prefix}.{listers[0]}.outputs.result}}}}"
        case "when":
            tests = ["1 == 1", "a == b"] + [
                f"{{{{{prefix}.{other['name']}.status}}}} == Succeeded" for other in before if not _loops(other)
            ]
            made["when"] = chance.choice(tests)
        case "continue":
            made["continueOn"] = {"failed": True, "error": chance.random() < 0.5}
        case "hook":
            phase = chance.choice(["Running", "Succeeded", "Failed"])
            made["hooks"] = {"h": {"expression": f'{prefix}["{name}"].status == "{phase}"', "template": "plain"}}
        case "exit":
            made["hooks"] = {"exit": {"template": chance.choice(["plain", "flaky"])}}
    if made["template"] in ("given", "keyed"):
        values = ["fixed", *(f"{{{{{prefix}.{other}.outputs.result}}}}" for other in listers)]
        made["arguments"] = {"parameters": [{"name": "p", "value": "{{item}}" if _loops(made) else chance.choice(values)}]}
    return made


def _calls(composites: list[Document]) -> list[Document]:
    """All steps and tasks."""
    steps = [call for template in composites for group in template.get("steps", []) for call in group]
    return steps + [task for template in composites for task in template.get("dag", {}).get("tasks", [])]


def _loops(made: Document) -> bool:
    return any(key in made for key in ("withItems", "withSequence", "withParam"))
