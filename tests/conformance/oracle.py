"""Plays a case of the oracle: the run is driven pass by pass in Argo's rhythm, and compared with what the real controller answered.

Runs in which Argo itself hangs, panics or differs from run to run are counted apart. Of a run that Argo never ends although nothing runs any
more, or in which it panics, all that Argo did finish must agree, and ours must end it, or the node that it waits for, with a clear Error or
Failed. Of a run that differs, what both of Argo's answers share must agree. What Argo ends with an error before it makes a node we may refuse
at once, if the reason is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flowcore.errors import InvalidWorkflow
from tests.conformance.comparing import Answer, Difference, answer_of, differences
from tests.conformance.corpus import Case
from tests.conformance.driving import World, open_run
from tests.conformance.outcomes import Rules
from tests.conformance.pods import Life
from tests.conformance.rows import nodes_of, pods_of, tasks_of, workflow_of
from tests.conformance.submission import PlainCatalog, documents_of, submitted
from tests.conformance.verdicts import Verdict

PANICS = ("Workflow operation error", "could not find node named", "nil pointer")


def play(case: Case) -> Verdict:
    """Play and compare."""
    expected = case.data["expected"]
    try:
        life = run_of(case.data)
    except InvalidWorkflow as error:
        return _refused(expected, error)
    if expected.get("parse_error"):
        return Verdict("failed", f"expected: does not parse: {expected['parse_error']}\n     got: it does", "validity")
    return _judged(case.data, life)


def run_of(data: Mapping[str, Any]) -> Life:
    """Drive the run of a case to its end; raises InvalidWorkflow."""
    (document,) = documents_of(data["workflow"])
    catalog = PlainCatalog(_setup(data))
    if document.get("kind") != "Workflow":
        catalog.add(document)
    world = World(catalog)
    drive = open_run(submitted(document), world, at_once=True)
    life = Life(drive, Rules(data.get("rules") or ()), data.get("actions") or (), auto_resume=not data.get("no_auto_resume"))
    life.play()
    return life


def _setup(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The documents that exist beforehand; one that does not parse does not exist."""
    documents = []
    for text in data.get("setup") or ():
        try:
            documents += documents_of(text)
        except InvalidWorkflow:
            continue
    return documents


def _refused(expected: Mapping[str, Any], error: InvalidWorkflow) -> Verdict:
    if expected.get("parse_error"):
        return Verdict("passed")
    wanted = expected.get("validation_error")
    texts = [problem.message for problem in error.problems]
    if wanted in texts or _is_the_reason(expected, texts):
        return Verdict("passed")
    return Verdict("failed", f"expected: {'invalid: ' + wanted if wanted else 'a valid workflow'}\n     got: {error}", "validity")


def _is_the_reason(expected: Mapping[str, Any], texts: list[str]) -> bool:
    """Whether Argo took the workflow and ended it in Error before it made a node, because of the very thing that we refuse it for."""
    status = expected.get("workflow") or {}
    named = re.findall('"[^"]+"', status.get("message") or "")
    never_begun = status.get("phase") == "Error" and not expected.get("nodes")
    return never_begun and bool(named) and any(all(name in text for name in named) for text in texts)


def _judged(data: Mapping[str, Any], life: Life) -> Verdict:
    expected = data["expected"]
    kind = kind_of(data)
    engine = life.drive.engine
    got = Answer(workflow_of(engine.run), nodes_of(engine.nodes), pods_of(life.drive.log), tasks_of(life.drive.log))
    alternative = answer_of(data["expected_alt"]) if data.get("expected_alt") else None
    if kind in ("hangs", "panics"):
        return _verdict(_against_defect(expected, got, kind, alternative), kind)
    return _verdict(differences(answer_of(expected), got, alternative=alternative), kind)


def kind_of(data: Mapping[str, Any]) -> str:
    """Whether Argo answers clearly, or hangs with nothing left that runs, panics, or differs from run to run."""
    expected = data["expected"]
    if expected.get("stuck") and not _waits_rightly(data):
        return "hangs"
    if data.get("nondeterministic"):
        return "differs from run to run"
    texts = [str((expected.get("workflow") or {}).get("message")), *(str(node.get("message")) for node in expected.get("nodes") or ())]
    return "panics" if any(panic in text for text in texts for panic in PANICS) else ""


def _waits_rightly(data: Mapping[str, Any]) -> bool:
    """Some work of the case never ends by itself, so waiting for it is right."""
    rules = Rules(data.get("rules") or ())
    nodes = {node["name"]: node for node in data["expected"].get("nodes") or ()}
    for pod in data["expected"].get("pods") or ():
        node = nodes.get(pod["node"], {})
        running = (pod.get("outcome") or {}).get("phase", "Running") == "Running"
        if running and any(
            rules.find(pod["node"], node.get("templateName", ""), attempt).get("phase") == "Running" for attempt in range(3)
        ):
            return True
    return "200 passes" in data["expected"]["stuck"]


def _against_defect(expected: Mapping[str, Any], got: Answer, kind: str, alternative: Answer | None) -> list[Difference]:
    """All that Argo finished before its defect must agree, and ours must end with an error that says why, of the run or of a node that Argo never
    finished (which may take nodes that Argo never made).
    """
    found = []
    told = [node for node in got.nodes.values() if node["phase"] in ("Error", "Failed") and node["message"]]
    finished = {node["name"] for node in expected.get("nodes") or () if node["phase"] not in ("Pending", "Running")}
    if got.workflow["phase"] == "Succeeded" and any(node["name"] not in finished for node in told):
        pass  # what Argo waits for is in error, and the workflow goes on in spite of it
    elif got.workflow["phase"] not in ("Error", "Failed"):
        found.append(Difference("phase", f"workflow.phase (Argo {kind})", "Error or Failed", got.workflow["phase"]))
    elif not got.workflow["message"] and not told:
        found.append(Difference("workflow", f"workflow.message (Argo {kind})", "it, or a node in error, says why", ""))
    sound = [node for node in expected.get("nodes") or () if not any(panic in str(node.get("message")) for panic in PANICS)]
    known = {node["name"] for node in expected.get("nodes") or ()}
    ours = _without_others(got, known)
    return [*found, *differences(answer_of({**expected, "nodes": sound}), ours, alternative=alternative, finished_only=True)]


def _without_others(got: Answer, known: set[str]) -> Answer:
    """Our answer without the links to nodes that Argo never made."""
    linked = ("children", "outboundNodes")
    nodes = {
        name: {**node, **{field: [other for other in node[field] if other in known] for field in linked}}
        for name, node in got.nodes.items()
    }
    return replace(got, nodes=nodes)


def _verdict(found: list[Difference], kind: str) -> Verdict:
    if not found:
        return Verdict("passed", apart=kind)
    return Verdict("failed", "\n".join(str(difference) for difference in found), found[0].level, apart=kind)
