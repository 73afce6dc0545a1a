"""Which cases are out of scope, and why: the rules of ``out_of_scope.toml``.

A rule speaks of a section, a scope tag, a feature or a function, never of a single case, and always gives its reason.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.corpus import Case

LIST = Path(__file__).with_name("out_of_scope.toml")


@dataclass(frozen=True)
class Rule:
    """All that is given must hold for the rule to speak of a case."""

    reason: str
    section: str | None = None
    scope: str | None = None
    feature: str | None = None
    function: str | None = None
    event: str | None = None  # a word of the script: what is done, or which part of the world is looked at
    folder: str | None = None  # where the case's document lies
    setting: str | None = None  # a setting of the controller or a variable of its environment that the script makes
    looks_at: str | None = None  # a path that an expectation looks at

    def holds(self, case: Case) -> bool:
        """Whether this rule puts ``case`` out of scope."""
        data = case.data
        return (
            (self.section is None or self.section == case.section)
            and (self.scope is None or self.scope == data.get("scope"))
            and (self.feature is None or self.feature in data.get("features", ()))
            and (self.function is None or self.function == data.get("fn", data.get("function")))
            and (self.event is None or self.event in _words(data.get("script", data.get("actions", ()))))
            and (self.folder is None or str(data.get("file", "")).startswith(self.folder))
            and (self.setting is None or self.setting in _settings(data.get("script", ())))
            and (self.looks_at is None or self.looks_at in _paths(data.get("script", data.get("actions", ()))))
        )


def _words(script: Iterable[dict[str, Any]]) -> set[str]:
    words: set[str] = set()
    for item in script:
        words.update(item)
        if isinstance(item.get("expect"), dict):
            words.update(item["expect"])
    return words


def _settings(script: Iterable[dict[str, Any]]) -> set[str]:
    return {name for item in script for word in ("config", "env") for name in item.get(word) or ()}


def _paths(value: Any) -> set[str]:
    """Every key of every mapping: the paths are among them."""
    if isinstance(value, dict):
        return {*value, *(path for inner in value.values() for path in _paths(inner))}
    return {path for inner in value for path in _paths(inner)} if isinstance(value, list) else set()


def load_rules(path: Path = LIST) -> tuple[Rule, ...]:
    """The project's list."""
    return tuple(Rule(**rule) for rule in tomllib.loads(path.read_text(encoding="utf-8")).get("rule", ()))


def reason_for(case: Case, rules: Iterable[Rule]) -> str | None:
    """Why ``case`` is out of scope, or None when it is to be played."""
    return next((rule.reason for rule in rules if rule.holds(case)), None)
