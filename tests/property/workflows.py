"""Strategies for workflows: small trees of Steps and DAG templates over leaves of every kind, with all that may hang on a call."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

Document = dict[str, Any]

IMAGE: Document = {"image": "alpine", "command": ["true"]}
LEAVES: dict[str, Document] = {
    "plain": {"container": IMAGE},
    "flaky": {"container": IMAGE, "retryStrategy": {"limit": "1"}},
    "backed": {"container": IMAGE, "retryStrategy": {"limit": 2, "backoff": {"duration": "10", "factor": 2, "maxDuration": "5m"}}},
    "out": {"container": IMAGE, "outputs": {"parameters": [{"name": "o", "globalName": "g", "valueFrom": {"path": "/o", "default": "d"}}]}},
    "lister": {"script": {**IMAGE, "source": ""}},
    "pause": {"suspend": {"duration": "60"}},
    "ask": {"suspend": {}, "outputs": {"parameters": [{"name": "o", "valueFrom": {"supplied": {}, "default": "d"}}]}},
    "locked": {"container": IMAGE, "synchronization": {"mutexes": [{"name": "m"}]}},
    "cached": {
        "container": IMAGE,
        "memoize": {"key": "k", "cache": {"configMap": {"name": "c"}}},
        "outputs": {"parameters": [{"name": "o", "valueFrom": {"path": "/o", "default": "d"}}]},
    },
    "server": {"container": IMAGE, "daemon": True},
    "slow": {"container": IMAGE, "timeout": "40s", "activeDeadlineSeconds": 30},
    "set": {"containerSet": {"containers": [{"name": "x", **IMAGE}, {"name": "y", **IMAGE, "dependencies": ["x"]}]}},
    "given": {"container": IMAGE, "inputs": {"parameters": [{"name": "p", "value": "own"}]}},
    "web": {"http": {"url": "http://localhost/"}},
}
COMMON = ("plain", "plain", "flaky", "out", "given", "lister")
ALL = tuple(LEAVES)


@st.composite
def workflows(draw: st.DrawFn, *, leaves: tuple[str, ...] = ALL, orders: bool = False) -> Document:
    """A workflow called ``wf``: up to three levels of composite templates, the last of which is its entrypoint."""
    below = draw(st.lists(st.sampled_from(leaves), min_size=1, max_size=4))
    composites: list[Document] = []
    for level in range(draw(st.integers(1, 3))):
        made = [draw(composite(f"c{level}{number}", below)) for number in range(draw(st.integers(1, 2)))]
        composites += made
        below = [*below[-2:], *(template["name"] for template in made)]
    main = composites[-1]["name"]
    spec: Document = {"entrypoint": main, "templates": composites}
    if draw(st.integers(0, 3)) == 0:
        spec["onExit"] = draw(st.sampled_from(["plain", "flaky", "given"]))
    if draw(st.integers(0, 5)) == 0:
        spec["hooks"] = {"up": {"expression": 'workflow.status == "Running"', "template": "plain"}}
    if draw(st.integers(0, 4)) == 0:
        spec["parallelism"] = draw(st.integers(1, 3))
    if draw(st.integers(0, 6)) == 0:
        spec["activeDeadlineSeconds"] = draw(st.integers(20, 200))
    if draw(st.integers(0, 8)) == 0:
        spec["synchronization"] = {"mutexes": [{"name": "whole"}]}
    text = json.dumps(spec)
    spec["templates"] = [
        *composites,
        *({"name": name, **body} for name, body in LEAVES.items() if f'"template": "{name}"' in text or spec.get("onExit") == name),
    ]
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"name": "wf"}, "spec": spec}


@st.composite
def composite(draw: st.DrawFn, name: str, below: list[str]) -> Document:
    """A Steps or a DAG template that calls templates out of ``below``."""
    template: Document = {"name": name}
    if draw(st.booleans()):
        template["steps"] = draw(groups(below))
    else:
        template["dag"] = draw(dag(below))
    if draw(st.integers(0, 4)) == 0:
        template["parallelism"] = draw(st.integers(1, 2))
        template["failFast"] = draw(st.booleans())
    if draw(st.integers(0, 5)) == 0:
        template["retryStrategy"] = {"limit": 1}
    if draw(st.integers(0, 9)) == 0:
        template["synchronization"] = {"mutexes": [{"name": name}]}
    return template


@st.composite
def groups(draw: st.DrawFn, below: list[str]) -> list[list[Document]]:
    """Step groups; a step may look at those of earlier groups."""
    listed: list[list[Document]] = []
    before: list[Document] = []
    for index in range(draw(st.integers(1, 3))):
        group = [draw(call(f"s{index}{place}", below, before, "steps")) for place in range(draw(st.integers(1, 3)))]
        listed.append(group)
        before = [*before, *group]
    return listed


@st.composite
def dag(draw: st.DrawFn, below: list[str]) -> Document:
    """Tasks; each depends on some of those before it, by name or by how they ended."""
    tasks: list[Document] = []
    for number in range(draw(st.integers(1, 4))):
        needed = [task for task in tasks if draw(st.booleans())]
        task = draw(call(f"t{number}", below, needed, "tasks"))
        if needed:
            result = draw(st.sampled_from(["", "", ".Succeeded", ".Failed", ".Skipped", ".Daemoned"]))
            joint = draw(st.sampled_from([" && ", " || "]))
            task["depends"] = joint.join(other["name"] + result for other in needed)
        tasks.append(task)
    made: Document = {"tasks": tasks}
    if draw(st.integers(0, 4)) == 0:
        made["failFast"] = False
    return made


@st.composite
def call(draw: st.DrawFn, name: str, below: list[str], before: list[Document], prefix: str) -> Document:
    """A step or task; what it names of others is among ``before``."""
    made: Document = {"name": name, "template": draw(st.sampled_from(below))}
    listers = [other["name"] for other in before if other["template"] == "lister" and not loops(other)]
    extra = draw(st.sampled_from(["", "", "", "items", "sequence", "param", "when", "continue", "hook", "exit", "argument"]))
    match extra:
        case "items":
            made["withItems"] = draw(st.lists(st.sampled_from(["u", "v", 3]), min_size=0, max_size=3))
        case "sequence":
            made["withSequence"] = {"count": draw(st.integers(0, 3))}
        case "param" if listers:
            made["withParam"] = f"{{{{{prefix}.{listers[0]}.outputs.result}}}}"
        case "when":
            tests = ["1 == 1", "a == b"] + [f"{{{{{prefix}.{other['name']}.status}}}} == Succeeded" for other in before if not loops(other)]
            made["when"] = draw(st.sampled_from(tests))
        case "continue":
            made["continueOn"] = {"failed": draw(st.booleans()), "error": draw(st.booleans())}
        case "hook":
            phase = draw(st.sampled_from(["Running", "Succeeded", "Failed"]))
            made["hooks"] = {"h": {"expression": f'{prefix}["{name}"].status == "{phase}"', "template": "plain"}}
        case "exit":
            made["hooks"] = {"exit": {"template": draw(st.sampled_from(["plain", "flaky", "given"]))}}
    if loops(made) and draw(st.integers(0, 3)) == 0:
        made["hooks"] = {"exit": {"template": "plain"}}
    if made["template"] == "given":
        value = (
            "{{item}}"
            if loops(made)
            else draw(st.sampled_from(["fixed", *(f"{{{{{prefix}.{other}.outputs.result}}}}" for other in listers)]))
        )
        made["arguments"] = {"parameters": [{"name": "p", "value": value}]}
    return made


def loops(made: Document) -> bool:
    """Whether a step or task is a loop."""
    return any(key in made for key in ("withItems", "withSequence", "withParam"))
