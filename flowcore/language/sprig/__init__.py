"""The sprig functions of expressions (``sprig.NAME(...)``): all generic ones of sprig v3 but those that read the environment or the network.

``SPRIG`` is handed out by the Argo functions. Functions check their arguments' types as Go does, change nothing, and bound what they build.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from flowcore.language.sources import sources
from flowcore.language.sprig import (
    casing,
    certificates,
    chance,
    dates,
    defaults,
    dicts,
    encodings,
    lists,
    numbers,
    paths,
    regexes,
    secrets,
    texts,
    urls,
    versions,
)
from flowcore.language.sprig.registry import FUNCTIONS

__all__ = ["SPRIG", "sources"]

_MODULES = (
    casing, certificates, chance, dates, defaults, dicts, encodings, lists, numbers, paths, regexes, secrets, texts, urls, versions,
)  # fmt: skip

SPRIG: Mapping[str, Callable[..., object]] = MappingProxyType(dict(FUNCTIONS))
"""The functions by name."""
