"""Plays scripts: one event after the other on simulated workflows, with expectations in between."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from flowcore.errors import FlowError
from tests.conformance.actions import ACTIONS
from tests.conformance.corpus import Case
from tests.conformance.driving import World
from tests.conformance.inspecting import inspect
from tests.conformance.simulation import Settings, Simulated
from tests.conformance.submission import PlainCatalog, documents_of, submitted
from tests.conformance.values import read_time
from tests.conformance.verdicts import Mismatch, PartMissing, check_error, shown

_NOW = re.compile(r"\$\(now([+-]\d+)\)")


class Script:
    """The state of a script being played."""

    def __init__(self, case: Case) -> None:
        self.case, self.settings = case, Settings()
        self.world = World(PlainCatalog())
        self.snapshots: list[dict[str, dict[str, Any]]] = []
        self.result: dict[str, Any] = {}
        for setup in case.data.get("setup") or ():
            self.create(setup["file"], setup["kind"])
        files = case.data.get("workflows") or ({"": case.data["workflow"]} if "workflow" in case.data else {})
        self.workflows = {name: Simulated(self._document(file), self.world, self.settings) for name, file in files.items()}

    def create(self, file: str, kind: str | None = None) -> None:
        """Put the documents of a file into the catalog."""
        for document in documents_of(self._with_times(self.case.text(file)), kind=kind):
            self.world.catalog.add(document)

    def _document(self, file: str) -> dict[str, Any]:
        (document,) = documents_of(self._with_times(self.case.text(file)), kind="Workflow")
        return submitted(document)

    def _with_times(self, text: str) -> str:
        return _NOW.sub(lambda match: self.at(int(match[1])), text)

    def at(self, seconds: float) -> str:
        """The time so many seconds from now, as Kubernetes writes it."""
        return (self.world.now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def of(self, item: Mapping[str, Any]) -> Simulated:
        """The workflow that an item means."""
        name = item.get("of")
        if name is None:
            return next(iter(self.workflows.values()))
        return self.workflows[name] if name in self.workflows else self.workflows[""]

    def play(self) -> None:
        """Play to the end, or to the first mismatch."""
        self._keep()
        for position, item in enumerate(self.case.data["script"], 1):
            if "expect" in item:
                self._told(position, item, lambda item=item: inspect(self, item["expect"]))
            else:
                self._told(position, item, lambda item=item: self._do(item))
                self._keep()

    def _told(self, position: int, item: Mapping[str, Any], step: Callable[[], None]) -> None:
        try:
            step()
        except Mismatch as mismatch:
            done = ", ".join(self._short(before) for before in self.case.data["script"][: position - 1] if "expect" not in before)
            mismatch.where = f"item {position} {shown(item)[:200]} (after {done}): {mismatch.where}"
            raise

    def _short(self, item: Mapping[str, Any]) -> str:
        return next(f"{word} {shown(value)}" if value else word for word, value in item.items())

    def _do(self, item: Mapping[str, Any]) -> None:
        word = next(key for key in item if key not in ("of", "n", "error"))
        error: FlowError | None = None
        try:
            self._perform(word, item[word] if item[word] is not None else {}, item)
        except FlowError as refused:
            error = refused
        wanted = item.get("error")
        if wanted is True and error is None and self.of(item).refusal:
            return
        check_error(wanted, error, word)

    def _perform(self, word: str, arguments: Any, item: Mapping[str, Any]) -> None:
        if word == "restore":
            self._restore(arguments["after"])
        elif word in ("create", "update"):
            self.create(arguments["file"] if isinstance(arguments, Mapping) else arguments)
        elif word == "load":
            self.of(item).load(self._document(arguments["file"]))
        elif word in ACTIONS:
            ACTIONS[word](self, self.of(item), arguments)
        else:
            raise PartMissing(f"no player for the event {word}")

    def _keep(self) -> None:
        self.snapshots.append({name: copy.deepcopy(workflow.document()) for name, workflow in self.workflows.items()})

    def _restore(self, after: int) -> None:
        for name, document in self.snapshots[after].items():
            self.workflows[name].load(document)

    def resolve(self, matcher: Any, workflow: Simulated) -> Any:
        """A matcher with ``$(workflow.name)``, ``$now`` and ``$idOf`` filled in."""
        if isinstance(matcher, str):
            return self._with_times(matcher.replace("$(workflow.name)", workflow.document()["metadata"]["name"]))
        if isinstance(matcher, list):
            return [self.resolve(item, workflow) for item in matcher]
        if not isinstance(matcher, Mapping):
            return matcher
        if "$now" in matcher:
            return self.at(matcher["$now"])
        if "$idOf" in matcher:
            return self._id_of(matcher["$idOf"], workflow)
        return {key: self.resolve(item, workflow) for key, item in matcher.items()}

    def _id_of(self, wanted: Mapping[str, Any], workflow: Simulated) -> str:
        from tests.conformance.simulation import selects

        name = next(name for name, other in self.workflows.items() if other is workflow)
        nodes = (self.snapshots[wanted["after"]][name].get("status") or {}).get("nodes", {}).values()
        return str(next((node["id"] for node in nodes if selects(node, wanted["select"])), "(none)"))


def play_script(case: Case) -> None:
    """Play the script of a case."""
    Script(case).play()


__all__ = ["Script", "play_script", "read_time"]
