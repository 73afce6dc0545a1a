"""Metrics as text: what Prometheus reads."""

from __future__ import annotations

import pytest

from flowcore.errors import UsageError
from flowcore.observing import exposition
from flowcore.observing.exposition import Registry
from flowcore.observing.serving import address_of


def test_families_as_text() -> None:
    registry = Registry()
    registry.family("b_total", "Counts\nthings \\ here.", "counter").labelled({"z": 'say "x"\n', "a": "1"}).value += 2
    registry.family("a", "A number.", "gauge").labelled({}).function = lambda: 1.5
    seconds = registry.family("c", "How long.", "histogram", (1, 0.5))
    for value in (0.5, 0.7, 3):
        seconds.observe({"k": "v"}, value)
    assert registry.text() == (
        "# HELP a A number.\n# TYPE a gauge\na 1.5\n"
        '# HELP b_total Counts\\nthings \\\\ here.\n# TYPE b_total counter\nb_total{a="1",z="say \\"x\\"\\n"} 2\n'
        "# HELP c How long.\n# TYPE c histogram\n"
        'c_bucket{k="v",le="0.5"} 1\nc_bucket{k="v",le="1"} 2\nc_bucket{k="v",le="+Inf"} 3\nc_sum{k="v"} 4.2\nc_count{k="v"} 3\n'
    )


@pytest.mark.parametrize(("value", "text"), [(float("inf"), "+Inf"), (float("-inf"), "-Inf"), (float("nan"), "NaN"), (1e300, "1e+300")])
def test_numbers_as_prometheus_writes_them(value: float, text: str) -> None:
    registry = Registry()
    registry.family("a", "A.", "gauge").labelled({}).value = value
    assert registry.text().splitlines()[-1] == f"a {text}"


def test_a_name_keeps_its_kind_and_help() -> None:
    registry = Registry()
    registry.family("a", "A.", "gauge")
    with pytest.raises(UsageError, match="is a gauge already"):
        registry.family("a", "A.", "counter")
    with pytest.raises(UsageError, match="help for metric a is already set"):
        registry.family("a", "B.", "gauge")


def test_label_sets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "MOST_SERIES", 2)
    family = Registry().family("a", "A.", "gauge")
    family.labelled({"x": "1"})
    family.labelled({"x": "2"})
    family.labelled({"x": "1"}).value = 1
    with pytest.raises(UsageError, match="label it with less"):
        family.labelled({"x": "3"})


def test_addresses() -> None:
    assert address_of("9090") == ("127.0.0.1", 9090)
    assert address_of(":9090") == ("127.0.0.1", 9090)
    assert address_of("0.0.0.0:1") == ("0.0.0.0", 1)
    for wrong in ("", "host", "host:", "host:70000", "1.5"):
        with pytest.raises(UsageError, match="write PORT or HOST:PORT"):
            address_of(wrong)
