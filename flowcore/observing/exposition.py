"""Counters, gauges and histograms with labels, and the text in which Prometheus reads them (exposition format 0.0.4)."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from flowcore.errors import UsageError

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Labels: TypeAlias = tuple[tuple[str, str], ...]
# A family with more label sets than this takes no new ones: labels come from workflows, and each set stays for ever.
MOST_SERIES = 10_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


@dataclass(slots=True)
class Series:
    """The values of one label set: a number, or a function that gives it when it is read, or the buckets of a histogram."""

    value: float = 0.0
    function: Callable[[], float] | None = None
    counts: list[int] = field(default_factory=list)
    observed: int = 0

    def read(self) -> float:
        """The number as it stands."""
        return self.value if self.function is None else self.function()


@dataclass(slots=True)
class Family:
    """All series of one name."""

    name: str
    help: str
    kind: Kind
    bounds: tuple[float, ...] = ()
    series: dict[Labels, Series] = field(default_factory=dict)

    def labelled(self, labels: Mapping[str, str]) -> Series:
        """The series of these labels, made when it is asked for first. Raises UsageError when there are too many."""
        key = tuple(sorted(labels.items()))
        found = self.series.get(key)
        if found is None:
            if len(self.series) >= MOST_SERIES:
                raise UsageError(f"metric {self.name} has {MOST_SERIES} label sets already: label it with less")
            found = self.series[key] = Series(counts=[0] * (len(self.bounds) + 1) if self.kind == "histogram" else [])
        return found

    def observe(self, labels: Mapping[str, str], value: float) -> None:
        """Count ``value`` in the buckets of a histogram."""
        series = self.labelled(labels)
        series.counts[bisect_left(self.bounds, value)] += 1
        series.observed += 1
        series.value += value

    def lines(self) -> Iterator[str]:
        """The family in Prometheus' text format."""
        yield f"# HELP {self.name} {self.help.translate(_HELP_ESCAPES)}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, series in list(self.series.items()):
            if self.kind == "histogram":
                yield from self._histogram(labels, series)
            else:
                yield f"{self.name}{_braced(labels)} {_number(series.read())}"

    def _histogram(self, labels: Labels, series: Series) -> Iterator[str]:
        total = 0
        for bound, count in zip((*self.bounds, math.inf), series.counts, strict=True):
            total += count
            yield f"{self.name}_bucket{_braced((*labels, ('le', _number(bound))))} {total}"
        yield f"{self.name}_sum{_braced(labels)} {_number(series.value)}"
        yield f"{self.name}_count{_braced(labels)} {series.observed}"


class Registry:
    """Families by name."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}

    def family(self, name: str, help_text: str, kind: Kind, bounds: Sequence[float] = ()) -> Family:
        """The family called ``name``. Raises UsageError if there is another of that name with other help or of another kind."""
        found = self._families.get(name)
        if found is None:
            found = self._families[name] = Family(name, help_text, kind, tuple(sorted(set(bounds) - {math.inf})))
        if found.kind != kind:
            raise UsageError(f"metric {name} is a {found.kind} already; it cannot become a {kind}")
        if found.help != help_text:
            raise UsageError(f"help for metric {name} is already set to {found.help!r}; it cannot be changed")
        return found

    def text(self) -> str:
        """Everything in Prometheus' text format, families by name."""
        return "".join(f"{line}\n" for name in sorted(self._families) for line in self._families[name].lines())


def _braced(labels: Labels) -> str:
    listed = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)
    return f"{{{listed}}}" if listed else ""


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


__all__ = ["CONTENT_TYPE", "MOST_SERIES", "Family", "Kind", "Registry", "Series"]
