"""The ``flags`` of ``resource`` templates: those of kubectl's that mean something to the API. Pure; called by ``resources.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from flowcore.errors import ExecutorError

_VALUED = {"-n": "namespace", "--namespace": "namespace", "--grace-period": "grace", "--cascade": "cascade", "--dry-run": "dry_run"}
_VALUED |= {
    "-l": "selector",
    "--selector": "selector",
    "--field-manager": "manager",
    "--validate": "validate",
    "--subresource": "subresource",
}
_PLAIN = {"--ignore-not-found": "ignore", "--force": "force", "--server-side": "server_side", "--force-conflicts": "force_conflicts"}
_PLAIN |= {f"--{name}": name for name in ("save-config", "wait", "overwrite", "record", "timeout")}
_CASCADES = {"background": "Background", "foreground": "Foreground", "orphan": "Orphan", "true": "Background", "false": "Orphan"}
_VALIDATIONS = {"strict": "Strict", "true": "Strict", "warn": "Warn", "ignore": "Ignore", "false": "Ignore"}


@dataclass(frozen=True, slots=True)
class Flags:
    """What flags say. ``type`` and ``name`` are those of the object that is named on the command line."""

    type: str = ""
    name: str = ""
    given: dict[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return self.given.get("namespace", "")

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query parameters of a changing request."""
        found = []
        if self.given.get("dry_run", "none") not in ("none", "false"):
            found.append(("dryRun", "All"))
        if "validate" in self.given:
            found.append(("fieldValidation", _choice("--validate", self.given["validate"], _VALIDATIONS)))
        return found

    @property
    def deletion(self) -> list[tuple[str, str]]:
        """The query parameters of a deletion."""
        found = [("propagationPolicy", _choice("--cascade", self.given.get("cascade", "background"), _CASCADES))]
        if "grace" in self.given:
            found.append(("gracePeriodSeconds", self.given["grace"]))
        return found + self.query[:1] if self.query and self.query[0][0] == "dryRun" else found


def read_flags(words: Sequence[str]) -> Flags:
    """Read flags. Raises ExecutorError for one that is not known, naming those that are."""
    given: dict[str, str] = {}
    named: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        flag, equals, value = word.partition("=")
        if not word.startswith("-"):
            named.append(word)
        elif flag in _VALUED:
            if not equals and not left and flag != "--dry-run":
                raise ExecutorError(f"the flag {flag} needs a value")
            given[_VALUED[flag]] = value if equals else "server" if flag == "--dry-run" else left.pop(0)
        elif flag in _PLAIN:
            given[_PLAIN[flag]] = value or "true"
        else:
            raise ExecutorError(
                f"the flag {word} is not known here; known are {', '.join(sorted([*_VALUED, *_PLAIN]))}, TYPE/NAME and TYPE NAME"
            )
    kind, name = (named[0], "") if "selector" in given and len(named) == 1 and "/" not in named[0] else _named(named)
    return Flags(kind, name, given)


def _named(words: list[str]) -> tuple[str, str]:
    if not words:
        return "", ""
    if "/" in words[0]:
        kind, _, name = words[0].partition("/")
        extra = words[1:]
    else:
        kind, name, extra = words[0], words[1] if len(words) > 1 else "", words[2:]
    if extra or not name:
        raise ExecutorError(f"flags name one object, as TYPE/NAME or TYPE NAME, not {' '.join(words)!r}")
    return kind, name


def _choice(flag: str, value: str, choices: dict[str, str]) -> str:
    if value not in choices:
        raise ExecutorError(f"{flag}={value} is not known; it is one of {', '.join(choices)}")
    return choices[value]
