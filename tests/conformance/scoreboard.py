"""The score of a play: counts by section, the printed board, and the JSON form."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.corpus import Case
from tests.conformance.verdicts import Verdict, first_lines


@dataclass
class Scoreboard:
    """Collects verdicts."""

    verdicts: dict[str, tuple[Case, Verdict]] = field(default_factory=dict)

    def add(self, case: Case, verdict: Verdict) -> None:
        """Record how ``case`` ended."""
        self.verdicts[case.id] = (case, verdict)

    def counts(self) -> dict[str, Counter[str]]:
        """How many of each status, by section."""
        sections: dict[str, Counter[str]] = {}
        for case, verdict in self.verdicts.values():
            sections.setdefault(case.section, Counter())[verdict.status] += 1
        return sections

    def rates(self) -> dict[str, float]:
        """The share of passed among the played cases of each section, in per cent, rounded down to a tenth."""
        rates = {}
        for name, count in sorted(self.counts().items()):
            played = count["passed"] + count["failed"]
            rates[name] = count["passed"] * 1000 // played / 10 if played else 100.0
        return rates

    def failed_cases(self) -> list[tuple[Case, Verdict]]:
        """The failures, in the order of their ids."""
        return [pair for _, pair in sorted(self.verdicts.items()) if pair[1].status == "failed"]

    def to_json(self) -> dict[str, Any]:
        """``{"sections": {NAME: {passed, failed, out_of_scope}}, "cases": {ID: status}}``."""
        statuses = ("passed", "failed", "out_of_scope")
        return {
            "sections": {name: {status: count[status] for status in statuses} for name, count in sorted(self.counts().items())},
            "cases": {id_: verdict.status for id_, (_, verdict) in sorted(self.verdicts.items())},
        }

    # --- text ---

    def table(self) -> str:
        """The board: one line for each section."""
        lines = [f"{'section':<16}{'passed':>8}{'failed':>8}{'out of scope':>14}{'rate':>9}"]
        total: Counter[str] = Counter()
        for name, count in sorted(self.counts().items()):
            total.update(count)
            lines.append(_line(name, count))
        lines.append(_line("total", total))
        return "\n".join(lines)

    def failures(self, *, verbose: bool = False) -> str:
        """What was expected and what came, for each failure."""
        parts = []
        for case, verdict in self.failed_cases():
            level = f" [{verdict.level}]" if verdict.level else ""
            text = verdict.detail if verbose else first_lines(verdict.detail)
            parts.append(f"FAILED {case.section} {case.id}{level}\n" + _indented(text))
        return "\n".join(parts)

    def levels(self) -> str:
        """How many failures there are at each level, by section."""
        counted = Counter((case.section, verdict.level) for case, verdict in self.failed_cases() if verdict.level)
        return "\n".join(f"  {section:<16}{level:<24}{number:>6}" for (section, level), number in sorted(counted.items()))

    def reasons(self) -> str:
        """The reasons for which cases are out of scope, with their number."""
        counted = Counter((case.section, verdict.detail) for case, verdict in self.verdicts.values() if verdict.status == "out_of_scope")
        return "\n".join(f"  {section:<16}{number:>6}  {reason}" for (section, reason), number in sorted(counted.items()))

    def apart(self) -> str:
        """Kinds that are counted apart (they also count in their section)."""
        counted = Counter((case.section, verdict.apart, verdict.status) for case, verdict in self.verdicts.values() if verdict.apart)
        return "\n".join(f"  {section:<16}{kind:<24}{status:<14}{number:>6}" for (section, kind, status), number in sorted(counted.items()))


def _line(name: str, count: Counter[str]) -> str:
    played = count["passed"] + count["failed"]
    rate = f"{100 * count['passed'] / played:8.2f}%" if played else "        -"
    return f"{name:<16}{count['passed']:>8}{count['failed']:>8}{count['out_of_scope']:>14}{rate}"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
