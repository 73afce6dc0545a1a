"""Stub files: the facts of a ``FakeExecutor`` as YAML, for the command line.

::

    seed: 7                       # decides what is left to chance
    strict: true                  # an output that nobody scripted is an error
    facts:                        # later ones win over earlier ones
    - when: flip-coin             # a template, node or step; * and ? are wildcards
      returns: heads              # a list: one for each invocation, in order
    - when: {template: train, inputs: {epochs: 10}}   # also node, step, image, attempt
      takes: 2h
      outputs: {parameters: {accuracy: 0.93}, artifacts: {model: some text}}
    - when: deploy
      fails: {exitCode: 2, message: no space, times: 2}
    - when: server
      daemon: {readyAfter: 5s}
    - when: approve
      resumes: {after: 1h, parameters: {approved: true}}

One fact has at most one of ``succeeds``, ``returns``, ``fails``, ``errors`` and ``hangs``; ``outcomes`` takes a list of them, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from flowcore import yaml
from flowcore.errors import InvalidWorkflow, Problem, UsageError
from flowcore.jsontypes import Json, JsonObject
from flowcore_backends.fake.facts import Fact

if TYPE_CHECKING:
    from flowcore_backends.fake.executor import FakeExecutor

Make: TypeAlias = "Callable[..., FakeExecutor]"

_CONDITIONS = frozenset({"what", "template", "node", "step", "image", "attempt", "inputs"})
# What each word of a fact may be given: the keys in YAML and the arguments in Python; the first one is what a plain value stands for.
_WORDS: Mapping[str, Mapping[str, str]] = {
    "succeeds": {"times": "times"},
    "fails": {"exitCode": "exit_code", "message": "message", "times": "times", "container": "container"},
    "errors": {"message": "message", "times": "times"},
    "hangs": {"times": "times"},
    "takes": {"length": "length"},
    "outputs": {"parameters": "parameters", "artifacts": "artifacts", "result": "result"},
    "daemon": {"readyAfter": "ready_after", "podIP": "pod_ip"},
    "flaky": {"probability": "probability", "exitCode": "exit_code", "message": "message"},
    "resumes": {"after": "after", "parameters": "parameters", "failed": "failed", "message": "message"},
}
_NEEDED: Mapping[str, str] = {"errors": "message", "takes": "length", "flaky": "probability"}
_NEUTRAL: Mapping[str, object] = {"message": "", "length": 0, "probability": 0}
_OUTCOMES = ("succeeds", "returns", "fails", "errors", "hangs")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "times": (int,),
    "exit_code": (int,),
    "message": (str,),
    "container": (str,),
    "length": (str, int, float),
    "ready_after": (str, int, float),
    "after": (str, int, float),
    "probability": (int, float),
    "failed": (bool,),
    "pod_ip": (str,),
    "parameters": (dict,),
    "artifacts": (dict,),
}


def from_stubs(make: Make, source: str | Path, *, file: str | None = None, **given: object) -> FakeExecutor:
    """The executor that a stub file (text, or a Path) describes; ``given`` wins over the file. Raises InvalidWorkflow with every problem."""
    if isinstance(source, Path):
        file = file or str(source)
        source = _text(source)
    documents = yaml.read(source, file=file)
    if len(documents) != 1 or not isinstance(documents[0].json, dict):
        raise InvalidWorkflow([Problem("a stub file holds one mapping", file=file, remedy="with a list of facts")])
    reader = _Reader(documents[0], file)
    executor = reader.executor(make, documents[0].json, given)
    if reader.problems:
        raise InvalidWorkflow(reader.problems)
    return executor


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(yaml.Limits().yaml_size + 1).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidWorkflow([Problem(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=str(path))]) from None


class _Reader:
    """Reads one stub file, and gathers a problem with its place for everything that makes no sense."""

    def __init__(self, parsed: yaml.Parsed, file: str | None) -> None:
        self._parsed, self._file = parsed, file
        self.problems: list[Problem] = []

    def wrong(self, path: str, message: str, remedy: str | None = None) -> None:
        line, column = self._parsed.locate(path) or (None, None)
        self.problems.append(Problem(message, path, self._file, line, column, remedy, rule="stubs"))

    def executor(self, make: Make, document: JsonObject, given: Mapping[str, object]) -> FakeExecutor:
        self._only(document, ("seed", "strict", "facts"), "")
        settings: dict[str, object] = {key: document[key] for key in ("seed", "strict") if key in document}
        for key, kind in (("seed", int), ("strict", bool)):
            if key in settings and type(settings[key]) is not kind:
                self.wrong(key, "must be a whole number" if kind is int else "must be true or false")
        executor = make(**(settings | dict(given)))
        facts = document.get("facts")
        if not isinstance(facts, list):
            self.wrong("facts", "must be a list of facts")
            return executor
        for number, fact in enumerate(facts):
            path = f"facts[{number}]"
            if not isinstance(fact, dict):
                self.wrong(path, "must be a mapping", "for instance {when: flip-coin, returns: heads}")
                continue
            try:
                self._fact(executor, fact, path)
            except UsageError as error:
                self.wrong(path, str(error))
        return executor

    def _fact(self, executor: FakeExecutor, given: JsonObject, path: str) -> None:
        self._only(given, ("when", "outcomes", "returns", *_WORDS), path)
        fact = self._when(executor, given.get("when"), f"{path}.when")
        named = [word for word in (*_OUTCOMES, "outcomes") if word in given]
        if len(named) > 1:
            self.wrong(path, f"has {' and '.join(named)}", "write them under outcomes, in order")
        for word in ("takes", "outputs", "flaky", "daemon", "resumes", *_OUTCOMES):
            if word in given:
                self._say(fact, word, given[word], f"{path}.{word}")
        self._outcomes(fact, given.get("outcomes"), f"{path}.outcomes")

    def _outcomes(self, fact: Fact, given: Json, path: str) -> None:
        if given is None:
            return
        for number, outcome in enumerate(given if isinstance(given, list) else [given]):
            here = f"{path}[{number}]"
            words = [word for word in outcome if word in _OUTCOMES] if isinstance(outcome, dict) else []
            if not isinstance(outcome, dict) or len(words) != 1:
                self.wrong(here, f"must have one of {', '.join(_OUTCOMES)}")
                continue
            self._only(outcome, (*_OUTCOMES, "takes", "outputs"), here)
            for word in (*words, "takes", "outputs"):
                if word in outcome:
                    self._say(fact, word, outcome[word], f"{here}.{word}")

    def _when(self, executor: FakeExecutor, given: Json, path: str) -> Fact:
        if given is None or isinstance(given, str):
            return executor.when(given)
        if not isinstance(given, dict):
            self.wrong(path, "must be a name or a mapping of conditions")
            return executor.when("")
        self._only(given, _CONDITIONS, path)
        inputs = given.get("inputs") or {}
        if not isinstance(inputs, dict) or any(isinstance(value, (dict, list, type(None))) for value in inputs.values()):
            self.wrong(f"{path}.inputs", "must be a mapping of input parameters to values")
            inputs = {}
        conditions: dict[str, Any] = {key: given[key] for key in given if key in _CONDITIONS - {"what", "inputs"}}
        return executor.when(cast("str | None", given.get("what")), inputs=cast("dict[str, str]", inputs), **conditions)

    def _say(self, fact: Fact, word: str, given: Json, path: str) -> None:
        if word == "returns":
            fact.returns(*(given if isinstance(given, list) and given else [given]))
            return
        getattr(fact, word)(**self._arguments(word, given, path))

    def _arguments(self, word: str, given: Json, path: str) -> dict[str, object]:
        """What the method ``word`` is called with; what has the wrong type is told and left out."""
        known = _WORDS[word]
        if given is None or given is True:
            given = {}
        elif not isinstance(given, dict):
            given = {next(iter(known)): given}
        self._only(given, known, path)
        right: dict[str, object] = {
            known[key]: value for key, value in given.items() if key in known and self._is_right(word, known[key], value, path)
        }
        needed = _NEEDED.get(word)
        if needed and needed not in right:
            if needed not in given:
                self.wrong(path, f"{word} needs {needed}")
            right[needed] = _NEUTRAL[needed]
        return right

    def _is_right(self, word: str, name: str, value: Json, path: str) -> bool:
        wanted = _TYPES.get(name, (object,))
        right = isinstance(value, wanted) and (not isinstance(value, bool) or bool in wanted or object in wanted)
        if not right:
            self.wrong(path, f"{word}: {name.replace('_', ' ')} cannot be {value!r:.60}")
        return right

    def _only(self, given: JsonObject, known: object, path: str) -> None:
        words = sorted(cast("list[str]", known))
        for key in given:
            if key not in words:
                self.wrong(f"{path}.{key}" if path else key, f"unknown word {key!r}", f"known are {', '.join(words)}")


__all__ = ["from_stubs"]
