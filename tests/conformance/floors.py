"""The floors: what share of each section must pass. They only rise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).with_name("floors.json")


def load_floors() -> dict[str, float]:
    """The recorded floor of each section, in per cent of the cases that are played."""
    return {name: float(rate) for name, rate in json.loads(FILE.read_text(encoding="utf-8")).items()}


def raise_floors(rates: Mapping[str, float]) -> dict[str, float]:
    """Record ``rates`` where they are higher than what is recorded; returns those."""
    floors = load_floors()
    raised = {name: rate for name, rate in rates.items() if rate > floors.get(name, -1.0)}
    FILE.write_text(json.dumps(dict(sorted({**floors, **raised}.items())), indent=1) + "\n", encoding="utf-8")
    return raised
