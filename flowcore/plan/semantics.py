"""Which version of Argo's rules a run follows: named switches for what changed between versions, and the presets.

Read by the plan and the engine where a rule differs, by ``flowcore compat`` and by ``run --semantics``. The facts are from Argo's upgrade notes and
from reports of what changed under its users' feet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flowcore.errors import InvalidWorkflow, Problem
from flowcore.jsontypes import JsonObject, object_of, text_of

ANNOTATION = "flowcore.dev/semantics"
"""Names the version that a Workflow wants; it stays with the run through resume, retry and resubmission."""

LATEST = "4.1"
PRESETS = ("3.6", "3.7", "4.0", "4.1")
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")
_NEWEST_PATCH = 10_000


@dataclass(frozen=True, slots=True)
class Semantics:
    """The rules of one version.

    ``singular_fields``: ``synchronization.mutex`` and ``.semaphore``, ``schedule`` of CronWorkflows and ``podPriority`` are read (until 4.0).
    ``waits_for_references``: a step or task whose references cannot be filled in is held back; before 3.7.11 and 4.0 it ran with the tags as text.
    ``absent_outputs``: outputs of skipped and omitted nodes are the producer's default or an absent optional (since 3.7.16 and 4.0.7); before,
    nothing was known of them.
    ``nil_outputs_fail``: an output parameter whose expression gives nil is an error (since 3.7.16 and 4.0.7); before, it was the text ``<nil>``.
    """

    version: str
    singular_fields: bool = False
    waits_for_references: bool = True
    absent_outputs: bool = True
    nil_outputs_fail: bool = True

    @classmethod
    def of(cls, version: str) -> Semantics:
        """The rules of ``version``: ``3.7`` is the newest release of that line, ``3.7.10`` that very one. Raises ValueError for one not known."""
        match = _VERSION.fullmatch(version.strip())
        if match is None:
            raise ValueError(f"{version!r} is no version: write one such as {', '.join(PRESETS)} or 3.7.10")
        major, minor, patch = int(match[1]), int(match[2]), int(match[3]) if match[3] else _NEWEST_PATCH
        if f"{major}.{minor}" not in PRESETS:
            raise ValueError(f"the rules of version {major}.{minor} are not known: there are {', '.join(PRESETS)}")
        release = (major, minor, patch)
        settled = release >= (4, 0, 7) or (3, 7, 16) <= release < (4, 0, 0)
        return cls(
            version=match[0].removeprefix("v"),
            singular_fields=major < 4,
            waits_for_references=release >= (3, 7, 11),
            absent_outputs=settled,
            nil_outputs_fail=settled,
        )


NEWEST = Semantics(LATEST)


def semantics_of(manifest: JsonObject, otherwise: Semantics = NEWEST) -> Semantics:
    """The rules that a document asks for by its annotation. Raises InvalidWorkflow."""
    wanted = text_of(object_of(object_of(manifest, "metadata"), "annotations"), ANNOTATION)
    if not wanted:
        return otherwise
    try:
        return Semantics.of(wanted)
    except ValueError as error:
        problem = Problem(str(error), f"metadata.annotations[{ANNOTATION!r}]", rule="semantics")
        raise InvalidWorkflow([problem]) from None


__all__ = ["ANNOTATION", "LATEST", "NEWEST", "PRESETS", "Semantics", "semantics_of"]
